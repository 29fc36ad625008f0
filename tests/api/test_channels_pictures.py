"""Pictures of channels: what they show is what was found, they continue across the border, and files are whole."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from api.channels import channels
from api.channels.figure import channel_figure
from api.channels.polyhedra import polyhedra_in
from api.channels.report import ChannelReport
from api.channels.scene import BELOW, CLOSED, SIDE, Scene, make_scene
from api.channels.shapes import Mesh, cylinders, spheres
from api.channels.style import element_colours
from store.crystal import Crystal
from store.errors import UsageError


@cache
def lfp() -> ChannelReport:
    sites = [
        [0, 0, 0],
        [0.28222, 0.25, 0.97472],
        [0.09486, 0.25, 0.41820],
        [0.09678, 0.25, 0.74279],
        [0.45710, 0.25, 0.20602],
        [0.16558, 0.04646, 0.28478],
    ]
    cell = Lattice.orthorhombic(10.329, 6.0065, 4.6908)
    made = Structure.from_spacegroup("Pnma", cell, ["Li", "Fe", "P", "O", "O", "O"], sites)
    return channels(made, "Li", threshold=1.7)


@cache
def lco() -> ChannelReport:
    cell = Lattice.hexagonal(2.811, 14.05)
    made = Structure.from_spacegroup("R-3m", cell, ["Li", "Co", "O"], [[0, 0, 0.5], [0, 0, 0], [0, 0, 0.26]])
    return channels(made, "Li", threshold=1.7)


def fractions(scene: Scene, points: Any) -> Any:
    return np.asarray(points) @ np.linalg.inv(scene.lattice)


# --------------------------------------------------------------------------------------------------------------- scene


@pytest.mark.parametrize("make", [lfp, lco])
def test_every_tube_is_a_channel_of_the_network(make: Any) -> None:
    report = make()
    scene, passages = report.scene(), report.channels.passages
    lengths = np.linalg.norm(scene.tubes.ends[:, 1] - scene.tubes.ends[:, 0], axis=1)
    assert lengths == pytest.approx(passages.length[scene.tubes.index], abs=1e-3)
    assert (scene.tubes.width == passages.r_open[scene.tubes.index]).all()
    start = (
        fractions(scene, scene.tubes.ends[:, 0])
        - report.channels.voids.frac_coords[passages.voids[scene.tubes.index, 0]]
    )
    assert np.abs(start - np.rint(start)).max() < 1e-6


@pytest.mark.parametrize("make", [lfp, lco])
def test_the_block_holds_all_copies_and_its_border_on_every_side(make: Any) -> None:
    report = make()
    scene = report.scene()
    places = fractions(scene, scene.sites.centres)
    block = np.array(scene.repeats)
    assert (places > -0.01).all()
    assert (places < block + 0.01).all()
    wrapped = report.channels.sites % 1.0
    expected = 0
    for site in wrapped:
        on_border = np.minimum(site, 1 - site) < 1e-3
        expected += int(np.prod(np.where(on_border, block + 1, block)))
    assert len(places) == expected


def test_a_short_cell_is_repeated_and_a_long_one_is_not() -> None:
    assert lco().scene().repeats == (3, 3, 1)
    assert lfp().scene().repeats == (1, 2, 2)


def test_channels_that_lead_through_go_on_across_the_border() -> None:
    scene = lfp().scene()
    first = scene.tubes.ends[scene.tubes.tier == 1]
    along_b = fractions(scene, first.reshape(-1, 3))[:, 1]
    assert along_b.min() < -0.1
    assert along_b.max() > scene.repeats[1] + 0.1


def test_the_widest_channels_of_the_phosphate_are_rods_and_those_of_the_oxide_are_layers() -> None:
    rods = lfp().scene()
    places = fractions(rods, rods.tubes.ends[(rods.tubes.tier == 1) & rods.tubes.on_route].reshape(-1, 3))
    # Lithium stands at x = 0 and 1/2; the voids between are 0.094 aside.
    assert np.abs(places[:, 0] - np.rint(2 * places[:, 0]) / 2).max() < 0.12
    layers = lco().scene()
    heights = fractions(layers, layers.tubes.ends[layers.tubes.tier == 1].reshape(-1, 3))[:, 2] % (1 / 3)
    # No end lies at the height of the cobalt layers, z = 0, 1/3, 2/3.
    assert heights.min() > 0.05
    assert heights.max() < 1 / 3 - 0.05


def test_hops_mark_their_channels() -> None:
    report = lfp()
    scene = report.scene()
    widest = report.channels.hops[0]
    drawn = scene.tubes.index[scene.tubes.on_route]
    assert set(widest.passages) <= set(drawn.tolist())
    assert not scene.tubes.on_route.all()


def test_where_nothing_is_wide_enough_the_widest_way_is_shown_as_closed() -> None:
    report = lfp()
    scene = make_scene(report.channels, report.cations, 2.05)
    assert (scene.tubes.tier == CLOSED).any()
    assert set(scene.tubes.tier.tolist()) <= {SIDE, BELOW, CLOSED}


@pytest.mark.parametrize("make", [lfp, lco])
def test_the_view_is_a_rotation(make: Any) -> None:
    view = make().scene().view
    assert view @ view.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(view) == pytest.approx(1.0)


def test_a_channel_lies_across_the_picture_and_planes_are_seen_from_the_side() -> None:
    right, _, towards = lfp().scene().view
    assert right[1] > 0.9
    _, up, _ = lco().scene().view
    assert abs(up[2]) > 0.9
    assert abs(towards[1]) < 0.5


# ---------------------------------------------------------------------------------------------------------- polyhedra


def test_iron_has_octahedra_and_phosphorus_tetrahedra() -> None:
    report = lfp()
    found: dict[str, set[int]] = {}
    for solid in report.scene().polyhedra:
        symbol = report.channels.framework.species[solid.site]
        found.setdefault(symbol, set()).add(len(solid.corners))
        assert all(report.channels.framework.species[anion] == "O" for anion in solid.anions.tolist())
    assert found == {"Fe": {6}, "P": {4}}


def test_the_corners_of_every_polyhedron_are_drawn_as_atoms() -> None:
    scene = lco().scene()
    for solid in scene.polyhedra:
        apart = np.linalg.norm(scene.atoms.centres[:, None] - solid.corners[None], axis=2).min(axis=0)
        assert apart.max() < 0.02
    near = np.linalg.norm(scene.atoms.centres[:, None] - scene.atoms.centres[None], axis=2)
    assert near[np.triu_indices(len(near), 1)].min() > 0.5


CUBE = [[4.0, 0, 0], [0, 4.0, 0], [0, 0, 4.0]]


@pytest.mark.parametrize(
    ("sites", "corners", "edges"),
    [
        ([("Ti", [0.5, 0.5, 0.5]), ("O", [0.5, 0.5, 0]), ("O", [0.5, 0, 0.5]), ("O", [0, 0.5, 0.5])], 6, 12),
        ([("Cu", [0.5, 0.5, 0.5]), ("O", [0.5, 0, 0.5]), ("O", [0, 0.5, 0.5])], 4, 4),
        ([("C", [0.5, 0.5, 0.5]), ("O", [0.82, 0.5, 0.5]), ("O", [0.34, 0.777, 0.5]), ("O", [0.34, 0.223, 0.5])], 3, 3),
    ],
    ids=["octahedron", "square", "triangle"],
)
def test_shapes_of_polyhedra(sites: list[tuple[str, list[float]]], corners: int, edges: int) -> None:
    crystal = Crystal.from_lists(CUBE, [name for name, _ in sites], [place for _, place in sites])
    cations = np.array([name != "O" for name, _ in sites])
    found = polyhedra_in(crystal, cations, np.ones(3))
    assert [(len(solid.corners), len(solid.edges)) for solid in found] == [(corners, edges)]


def test_large_polyhedra_and_lone_atoms_are_left_as_balls() -> None:
    chloride = Crystal.from_lists(CUBE, ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert polyhedra_in(chloride, np.array([True, False]), np.ones(3)) == []
    metal = Crystal.from_lists(CUBE, ["Fe"], [[0, 0, 0]])
    assert polyhedra_in(metal, np.array([True]), np.ones(3)) == []


# ------------------------------------------------------------------------------------------------------ meshes, colours


def volume(body: Mesh) -> float:
    one, two, three = (body.vertices[body.faces[:, k]] for k in range(3))
    return float(np.einsum("ij,ij->i", np.cross(one, two), three).sum() / 6)


def closed(body: Mesh) -> bool:
    sides = np.sort(body.faces[:, [[0, 1], [1, 2], [0, 2]]].reshape(-1, 2), axis=1)
    _, counts = np.unique(sides, axis=0, return_counts=True)
    return bool((counts == 2).all())


def test_balls_are_closed_and_turned_outwards() -> None:
    body = spheres(np.array([[0.0, 0, 0], [5, 0, 0]]), np.array([1.0, 0.5]), 2)
    assert closed(body)
    assert volume(body) == pytest.approx(4 / 3 * np.pi * (1 + 0.125), rel=0.05)


def test_tubes_are_closed_and_turned_outwards() -> None:
    ends = np.array([[[0, 0, 0], [0, 0, 3.0]], [[1, 1, 1], [3, 2, 0]]])
    body, owner = cylinders(ends, np.array([0.2, 0.1]))
    assert closed(body)
    lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    radii = np.array([0.2, 0.1])
    full = np.pi * radii**2 * (lengths + 2 * 0.8 * radii / 3)
    assert volume(body) == pytest.approx(full.sum(), rel=0.08)
    assert np.bincount(owner).tolist() == [len(owner) // 2] * 2


def test_colours_that_would_be_taken_for_each_other_are_changed() -> None:
    alone = {symbol: element_colours([symbol])[symbol] for symbol in ("Li", "La", "Zr", "O")}
    together = element_colours(["Li", "O", "La", "Zr"])
    assert together["Li"] == alone["Li"]
    assert together["O"] == alone["O"]
    assert together["Zr"] != alone["Zr"]  # green as lithium
    assert len(set(together.values())) == 4


def test_every_element_has_a_colour() -> None:
    from api.conditions import SYMBOLS

    chosen = element_colours(SYMBOLS)
    assert set(chosen) == set(SYMBOLS)
    assert all(0 <= part <= 1 for colour in chosen.values() for part in colour)


# ---------------------------------------------------------------------------------------------------------------- files


ODD = {
    "one framework atom": (Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5] * 3, [0, 0, 0]]), "Li"),
    "metal": (Crystal.from_lists([[3, 0, 0], [0, 3, 0], [0, 0, 3]], ["Li", "Ag"], [[0, 0, 0], [0.5] * 3]), "Li"),
    "skewed cell": (
        Crystal.from_lists([[4, 0, 0], [12, 4, 0], [0, 4, 4]], ["Na", "Cl"], [[0.3, 0.2, 0], [0.8, 0.7, 0.5]]),
        "Na",
    ),
    "disorder": (
        Crystal.from_sites(
            CUBE, [{"Li": 0.5}, {"Ti": 0.5, "Nb": 0.5}, {"O": 1.0}, {"O": 0.9}, {"O": 1.0}],
            [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
        ),
        "Li",
    ),
    "host": (
        Crystal.from_lists(CUBE, ["W", "O", "O", "O"], [[0.5] * 3, [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]),
        "Li",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("threshold", [None, 0.5, 4.0])
def test_any_crystal_can_be_drawn(name: str, threshold: float | None, tmp_path: Path) -> None:
    crystal, ion = ODD[name]
    report = channels(crystal, ion, threshold=threshold)
    png, html = report.png(tmp_path / "a.png"), report.html(tmp_path / "a.html")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert html.read_text().startswith("<!DOCTYPE html>")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.html", "a.png"]


def test_a_large_cell_can_be_drawn(tmp_path: Path) -> None:
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.2), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    salt.make_supercell([3, 3, 4])
    salt.perturb(0.05, seed=1)
    report = channels(salt, "Li")
    assert len(salt) == 288
    assert report.scene().repeats == (1, 1, 1)
    assert report.png(tmp_path / "a.png").stat().st_size > 10_000
    assert report.html(tmp_path / "a.html").stat().st_size < 12_000_000


def test_a_picture_with_much_in_it_is_not_blank(tmp_path: Path) -> None:
    from matplotlib.image import imread

    image = imread(lfp().png(tmp_path / "a.png"))[:, :, :3]
    assert (image.min(axis=2) < 0.97).mean() > 0.15
    assert len(np.unique((image * 15).astype(int) @ [1, 16, 256])) > 100


@pytest.mark.parametrize(("method", "name"), [("png", "a.jpg"), ("html", "a.txt")])
def test_a_wrong_ending_is_refused(method: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="named otherwise"):
        getattr(lfp(), method)(tmp_path / name)


@pytest.mark.parametrize(("method", "name"), [("png", "none/a.png"), ("html", "none/a.html")])
def test_a_file_that_cannot_be_written_is_told(method: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        getattr(lfp(), method)(tmp_path / name)


def test_the_page_needs_no_network_and_says_the_result(tmp_path: Path) -> None:
    text = lfp().html(tmp_path / "a.html").read_text()
    assert re.search(r"<(script|link|img)[^>]*(src|href)=", text) is None
    assert "r1 1.877 Å along [010]" in text
    assert "percolates 1D along [010]" in text
    assert text.count("<table>") == 2


def test_the_slider_shows_what_is_wide_enough() -> None:
    report = lfp()
    figure = channel_figure(report, report.scene(), report.labels())
    tubes = [number for number, trace in enumerate(figure.data) if getattr(trace, "coloraxis", None) == "coloraxis"]
    (slider,) = figure.layout.sliders
    least = [float(np.min(figure.data[number].intensity, initial=np.inf)) for number in tubes]
    labels = [step.label for step in slider.steps]
    assert len(labels) == len(tubes)
    assert labels[slider.active].startswith("1.700 Å (threshold): 2D in planes (100)")
    for step in slider.steps:
        shown, numbers = step.args[0]["visible"], step.args[1]
        assert list(numbers) == tubes
        limit = float(step.label.split()[0])
        assert all(on == (width >= limit - 2e-3) for on, width in zip(shown, least, strict=True) if np.isfinite(width))
    assert [figure.data[number].visible for number in tubes] == list(slider.steps[slider.active].args[0]["visible"])
    assert any(label.endswith("1D along [010]") for label in labels)
    assert "no percolation" in labels[0]


def test_words_for_the_pointer_fit_the_bodies() -> None:
    report = lfp()
    figure = channel_figure(report, report.scene(), report.labels())
    told = [trace for trace in figure.data if trace.meta]
    assert {"Li sites", "O", "voids large enough"} <= {trace.name for trace in told}
    for trace in told:
        assert len(trace.meta["of"]) * trace.meta["each"] == len(trace.x)
        assert sorted(set(trace.meta["of"])) == list(range(len(trace.meta["words"])))
    json.loads(figure.to_json())
    void = next(trace for trace in told if trace.name == "voids large enough").meta["words"][0]
    number = int(re.match(r"void (\d+)<br>", void)[1])  # type: ignore[index]
    assert f"R_sd {report.channels.voids.r_sd[number]:.3f} Å" in void
