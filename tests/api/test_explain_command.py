"""``ionatlas explain conductivity``: words, numbers and pictures that agree, and what is refused."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from api.cli.main import app
from api.explain import explain_conductivity
from api.explain.kinds import alike, kinds_of, window_of
from api.explain.page import contribution_figure, crystal_figure, diagram_figure
from api.explain.report import ExplanationReport
from api.explain.scene import LOWERS, RAISES, leading_kinds, make_scene
from api.explain.words import about, sentence
from builders.explanation.features import CURVES
from builders.explanation.holes import Holes
from builders.explanation.model import CurvePart
from store.errors import UsageError

from .conductivity_rows import write_rows

CRYSTALS = Path(__file__).resolve().parents[1] / "crystals"


@cache
def report(name: str = "LiCoO2.cif") -> ExplanationReport:
    return explain_conductivity(CRYSTALS / name)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["explain", "conductivity", *arguments])


def part(columns: list[float], curve: list[float], group: str = "ion", degree: int = 2) -> CurvePart:
    from builders.topology.vectors import GRID

    def padded(values: list[float]) -> Any:
        return np.concatenate([values, np.zeros(len(GRID[degree]) - len(values))])

    return CurvePart(group, degree, float(sum(columns)), padded(columns), padded(curve), padded([1.0] * len(curve)))


# ---------------------------------------------------------------------------------------------------------------- words


def test_a_sentence_says_holes_species_radius_and_direction() -> None:
    # Voids at radii 1.0, 1.1, 1.2, ...: two of one kind alive about 1.2 and 1.3, where all of the contribution is made.
    given = part([0.0, 0.0, 0.4, 0.2, 0.0, -0.01], [0, 0, 2, 2, 0, 0])
    corners = np.zeros((2, 4), dtype=np.int64)
    holes = Holes(
        2, np.array([[1.15, 1.35], [1.16, 1.35]]), np.zeros((2, 3)), corners, np.zeros((2, 4, 3), dtype=np.int64)
    )
    kinds, absence = kinds_of(given, holes)
    assert [(kind.count, round(kind.contribution, 9)) for kind in kinds] == [(2, 0.6)]
    assert absence == pytest.approx(-0.01)
    told = sentence(given, kinds, absence)
    assert told.startswith(
        "voids among the lithium raise it by 0.59, mostly from 1.2 to 1.3 Å (per atom at 1.2 Å: 2, usually 1)"
    )
    assert told.endswith("2 voids that open at 1.16 and close at 1.35 Å (+0.60)") or "(+0.60)" in told
    lowered = sentence(part([0.0, -0.3], [0, 0], "anions", 1), [], -0.3)
    assert lowered.startswith("loops among the anions lower it by 0.30, mostly at 1.1 Å")
    assert lowered.endswith("because there are none")


def test_the_window_is_where_most_of_the_contribution_is_made() -> None:
    window = window_of(part([0.1, -0.5, 0.3, 0.4, 0.0, -0.1, 0.2], [1, 2, 3, 4, 5, 6, 7]))
    assert (window.low, window.high, window.peak, window.holes) == pytest.approx((1.2, 1.6, 1.3, 4))
    assert window.contribution == pytest.approx(0.8)


def test_bars_alike_are_one_kind() -> None:
    bars = np.array([[1.0, 2.0], [1.01, 2.01], [1.0, 2.2], [1.2, 2.0]])
    assert [members.tolist() for members in alike(bars)] == [[0, 1], [2], [3]]


@pytest.mark.parametrize("name", ["LiCoO2.cif", "LiFePO4.cif"])
def test_nothing_is_lost_between_prediction_curves_and_holes(name: str) -> None:
    found = report(name)
    assert sorted((each.group, each.degree) for each in found.parts) == sorted(CURVES)
    total = found.explained.expected + found.explained.composition + sum(each.contribution for each in found.parts)
    assert total == pytest.approx(found.value, abs=1e-9)
    for each in found.parts:
        kinds, absence = found.kinds[each.group, each.degree]
        assert sum(kind.contribution for kind in kinds) + absence == pytest.approx(each.contribution, abs=1e-9)
    sizes = [abs(each.contribution) for each in found.parts]
    assert sizes == sorted(sizes, reverse=True)


# -------------------------------------------------------------------------------------------------------------- command


def test_the_command_tells_words_a_table_and_how_far_to_trust_them() -> None:
    result = invoke(str(CRYSTALS / "LiCoO2.cif"))
    assert result.exit_code == 0, result.stderr
    found = report()
    first = found.parts[0]
    assert f"LiCoO2: log10 of the conductivity {found.value:.2f}" in result.stdout
    assert (
        f"- {about(first.group, first.degree)} {'raise' if first.contribution > 0 else 'lower'} it by" in result.stdout
    )
    assert "mean error" in result.stdout
    assert "a constant: " in result.stdout
    for group, degree in CURVES:
        assert about(group, degree) in result.stdout


def test_json_is_complete_and_adds_up() -> None:
    told = json.loads(invoke(str(CRYSTALS / "LiCoO2.cif"), "--json").stdout)
    assert len(told["curves"]) == len(CURVES)
    total = told["expected"] + told["composition"] + sum(each["contribution"] for each in told["curves"])
    assert total == pytest.approx(told["value"], abs=1e-9)
    for each in told["curves"]:
        assert sum(each["by_radius"]) == pytest.approx(each["contribution"], abs=1e-9)
        assert len(each["radii"]) == len(each["by_radius"])
        for holes in each["holes"]:
            assert len(holes["centres"]) == len(holes["sites"]) == holes["count"]
            assert holes["death"] > holes["birth"]


def test_the_global_ranking_comes_from_the_card() -> None:
    result = invoke("--global")
    assert result.exit_code == 0, result.stderr
    assert "compositions" in result.stdout
    assert result.stdout.count("loops among the lithium") == 2
    card = json.loads(invoke("--global", "--json").stdout)
    assert card["ranking"][0]["importance"] >= card["ranking"][-1]["importance"]


def test_a_ranking_and_a_model_of_one_s_own_rows(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl.gz", 100)
    made = CliRunner().invoke(app, ["train", "explanation", str(file), "--output", str(tmp_path / "mine")])
    assert made.exit_code == 0, made.stderr
    assert "75 compounds of 40 compositions" in made.stdout
    again = invoke("--global", "--model", str(tmp_path / "mine"))
    assert again.stdout == made.stdout
    result = invoke(str(CRYSTALS / "LiCoO2.cif"), "--model", str(tmp_path / "mine"), "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["value"] != report().value
    (tmp_path / "in-the-way").write_text("")
    refused = CliRunner().invoke(app, ["train", "explanation", str(file), "--output", str(tmp_path / "in-the-way")])
    assert (refused.exit_code, "cannot be written" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Neither a file nor an id"),
        (("nothing.cif",), "There is no file"),
        (("--global", "--png", "a.png"), "--global is a table"),
        (("--global", "nothing.jsonl"), "There is no file"),
        (("{folder}/salt.vasp",), "holds no lithium"),
        (("{folder}",), "is a folder"),
        (("{cif}", "--model", "{folder}"), "There is no model"),
        (("{cif}", "--html", "{folder}/page.png"), "named otherwise"),
        (("{cif}", "--png", "{folder}/no/such/folder/a.png"), "folder"),
    ],
)
def test_what_cannot_be_explained_is_told(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "salt.vasp").write_text(
        "NaCl\n1\n0 2.8 2.8\n2.8 0 2.8\n2.8 2.8 0\nNa Cl\n1 1\nDirect\n0 0 0\n.5 .5 .5\n"
    )
    names = {"folder": tmp_path, "cif": CRYSTALS / "LiCoO2.cif"}
    result = invoke(*(each.format(**names) for each in arguments))
    assert result.exit_code == 2, result.stderr
    assert said in result.stderr


@pytest.mark.usefixtures("at_built")
def test_a_material_of_the_store() -> None:
    result = invoke("t-2", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["formula"] == "LiCl"
    assert invoke("t-99").exit_code == 2


# ------------------------------------------------------------------------------------------------------------- pictures


@pytest.mark.parametrize("name", ["LiCoO2.cif", "LiFePO4.cif"])
def test_holes_are_drawn_where_they_are(name: str) -> None:
    found = report(name)
    scene = make_scene(found)
    leading = leading_kinds(found)
    assert len(scene.drawn) == len(leading) >= 1
    for drawn, (group, degree, kind) in zip(scene.drawn, leading, strict=True):
        assert (drawn.group, drawn.degree) == (group, degree)
        assert drawn.colour == (RAISES if kind.contribution > 0 else LOWERS)
        assert len(drawn.centres) >= kind.count  # the border is drawn on every side
        places = found.crystal.frac_coords[found.sites[group]] @ found.crystal.lattice
        inverse = np.linalg.inv(found.crystal.lattice)
        for corner in drawn.corners.reshape(-1, 3):  # every corner is an atom of the group
            apart = (places - corner) @ inverse
            apart -= np.rint(apart)
            assert np.linalg.norm(apart @ found.crystal.lattice, axis=1).min() < 1e-3
        if degree == 2:  # as far from each corner as the void is large
            away = np.linalg.norm(drawn.corners - drawn.centres[:, None], axis=2)
            assert away == pytest.approx(np.full(away.shape, kind.death), abs=0.04)
        else:
            assert drawn.corners.mean(axis=1) == pytest.approx(drawn.centres, abs=0.02)


@pytest.mark.parametrize("name", ["LiCoO2.cif", "LiFePO4.cif"])
def test_the_picture_is_drawn_and_shows_both_colours(tmp_path: Path, name: str) -> None:
    from matplotlib.image import imread

    found = report(name)
    path = found.png(tmp_path / "why.png")
    pixels = imread(path)[:, :, :3]
    height, width = pixels.shape[:2]
    assert (height, width) == (1196, 1950)
    coloured = pixels.max(axis=2) - pixels.min(axis=2) > 0.15
    assert coloured[: height // 2, : width // 2].mean() > 0.01  # contributions
    assert coloured[height // 2 :, : width // 2].mean() > 0.0005  # diagrams
    assert coloured[height // 8 : 3 * height // 4, width // 2 :].mean() > 0.05  # the crystal
    signs = {each.contribution > 0 for each in found.parts}
    for colour, sign in ((RAISES, True), (LOWERS, False)):
        there = bool((np.abs(pixels - np.array(colour)).max(axis=2) < 0.02).any())
        assert there or sign not in signs


def test_no_text_leaves_the_picture() -> None:
    """Names of holes are long: none may be cut off at the left."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from api.explain.pictures import draw

    figure = Figure(figsize=(15.0, 9.2), dpi=60)
    draw(figure, report())
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = figure.get_tightbbox(canvas.get_renderer())
    assert box.x0 >= 0.0
    assert box.x1 <= 15.0
    assert box.y0 >= 0.0
    assert box.y1 <= 9.2


def test_the_page_needs_no_network_and_shows_what_was_found(tmp_path: Path) -> None:
    found = report()
    text = found.html(tmp_path / "why.html").read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"']https?://", text)
    assert "LiCoO2: log10 of the conductivity" in text
    names = [trace.name for trace in crystal_figure(found).data]
    for group, degree, kind in leading_kinds(found):
        assert any(
            about(group, degree).split(" ", 1)[1] in str(name) and f"{kind.count} " in str(name) for name in names
        )
    bars = contribution_figure(found).data[0]
    assert len(bars.x) == 11
    assert bars.x[1] == pytest.approx(found.parts[0].contribution)
    assert len(diagram_figure(found).data) == 4


def test_a_page_named_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="named otherwise"):
        report().html(tmp_path / "why.pdf")
