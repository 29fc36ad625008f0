"""Hops as JSON gives them: the uniform layout, and documents of the Materials Project; what is kept and what is refused."""

from __future__ import annotations

import gzip
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from store.crystal import Crystal
from store.errors import InvalidCoordinates, InvalidLattice, SourceError, UnknownElement
from store.hops import barrier_of
from store.ingest.containers import read_records
from store.ingest.json_records import canonical
from store.ingest.readers import read_hop
from store.ingest.records import BadRecord, Record
from store.ingest.sniff import classify

from .hop_examples import (
    CUBE,
    END,
    HOST,
    PROFILE,
    START,
    encoded,
    images,
    migration_graph,
    neb_pathway,
    neb_result,
    row,
    split,
    structure_dict,
    uniform,
    with_ion,
)

# ------------------------------------------------------------------------------------------------------- uniform layout


def test_everything_of_a_uniform_row_is_kept() -> None:
    record = uniform(
        images_frac=[START, [0.5, 0.5, 1.0], END], images_energy_eV=[0.0, 0.5, 0.1], reverse_barrier_eV=0.4
    )
    assert (record.id, record.name, record.working_ion) == ("h-1", "LiCoO3", "Li")
    assert record.host.species == ("Co", "O", "O", "O")
    assert (record.start.tolist(), record.end.tolist(), record.length) == (START, END, pytest.approx(3.0))
    assert (record.barrier, record.barrier_definition) == (0.5, "unstated")
    assert (record.method, record.functional) == ("DFT-NEB", "GGA+U")
    assert record.properties == {
        "colour": "blue",
        "reverse_barrier_eV": 0.4,
        "method_reported": "DFT-NEB, GGA+U (literature value)",
        "limit_reported": "dilute ion (charged host)",
        "source": "mine",
    }
    assert (record.limit, record.framework_formula) == ("dilute", "CoO3")
    assert (record.crystal_class, record.space_group) == ("PEROVSKITE", "Pm-3m")
    assert record.images is not None
    assert record.images.shape == (3, 3)
    assert record.energies is not None
    assert record.energies.tolist() == [0.0, 0.5, 0.1]
    assert (record.flags, record.licence, record.references) == (["odd"], "CC0-1.0", ["doi:10.1234/abc"])
    assert record.charge_state is None
    assert record.warnings == []


def test_a_row_to_be_predicted_has_places_and_host_only() -> None:
    bare = {key: row()[key] for key in ("working_ion", "structure", "start_frac", "end_frac")}
    record = read_hop("hop-json", encoded(bare))
    assert (record.barrier, record.barrier_definition, record.method, record.id) == (None, None, None, None)
    assert uniform(barrier_eV=None, units=None).barrier is None
    assert read_hop("hop-json", json.dumps({**row(), "barrier_eV": None}).encode()).barrier is None


def test_ions_are_written_in_many_ways_and_any_element_may_move() -> None:
    assert uniform(working_ion="Li+").working_ion == "Li"
    assert uniform(working_ion="D").working_ion == "H"
    assert uniform(working_ion="Cl").working_ion == "Cl"
    with pytest.raises(UnknownElement):
        uniform(working_ion="Zz")
    with pytest.raises(UnknownElement):
        uniform(working_ion=3)


def test_a_host_of_sites_with_partial_occupancies_is_read() -> None:
    sites = [{"species": {"Co": 0.5, "Ni": 0.5}, "abc": [0, 0, 0]}, {"species": {"O": 1}, "abc": [0.5, 0, 0]}]
    host = uniform(structure={"lattice": CUBE, "sites": sites}).host
    assert host.occupancies == ({"Co": 0.5, "Ni": 0.5}, {"O": 1.0})
    assert uniform(structure=structure_dict(with_ion([0.1, 0.1, 0.1]))).host.n_sites == 5


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"structure": None}, "no structure"),
        ({"structure": []}, "no structure"),
        ({"structure": {"lattice": CUBE, "species": [], "frac_coords": []}}, "no atoms"),
        ({"structure": {**HOST, "lattice": [[1, 0, 0]] * 3}}, "no volume"),
        ({"structure": {**HOST, "frac_coords": [[0, 0, 0]]}}, "4 species and 1 positions"),
        ({"working_ion": None}, "no working_ion"),
        ({"end_frac": None}, "no end_frac"),
        ({"end_frac": [0.5, 0.5]}, "end_frac must be rows of 3"),
        ({"end_frac": [0.5, 0.5, "a"]}, "end_frac"),
        ({"end_frac": [0.5, 0.5, "0.2"]}, "end_frac"),
        ({"end_frac": [0.5, 0.5, math.inf]}, "end_frac"),
        ({"end_frac": START}, "ends where it starts"),
        ({"images_frac": [[0, 0]]}, "images"),
        ({"images_energy_eV": 3}, "list of numbers"),
        ({"images_energy_eV": [0.1, None]}, "energy of an image"),
        ({"images_frac": [START, END], "images_energy_eV": [0.1, 0.2, 0.3]}, "2 images and 3 energies"),
        ({"charge_state": "one"}, "charge state"),
    ],
)
def test_broken_uniform_rows_say_what_is_wrong(changes: dict[str, Any], match: str) -> None:
    with pytest.raises((SourceError, InvalidCoordinates, InvalidLattice), match=match):
        uniform(**changes)


def test_uniform_rows_with_hops_are_not_taken_for_structures(tmp_path: Path) -> None:
    plain = {"id": "s-1", "source": "mine", "structure": HOST}
    path = tmp_path / "mixed.jsonl"
    path.write_bytes(
        b"\n".join([encoded(plain), encoded(row()), encoded(row(id="h-2", end_frac=None)), encoded(plain)])
    )
    found = split(path)
    assert [record.format for record in found] == ["uniform-json", "hop-json", "hop-json", "uniform-json"]
    assert (found[1].id, found[1].provider, found[1].licence) == ("h-1", "mine", "CC0-1.0")
    assert found[1].content == encoded(row())
    with pytest.raises(SourceError, match="no end_frac"):
        read_hop("hop-json", found[2].content)
    for name, content in (("one.json", encoded(row())), ("array.json", b"[" + encoded(row()) + b"]")):
        (tmp_path / name).write_bytes(content)
        assert [record.format for record in split(tmp_path / name)] == ["hop-json"]


@pytest.mark.data
def test_every_row_of_the_real_file(data_folder: Path) -> None:
    path = data_folder / "ionic" / "barriers.jsonl.gz"
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    found = split(path)
    assert len(found) == len(rows) == 560
    assert {record.format for record in found} == {"hop-json"}
    records = [read_hop(record.format, record.content) for record in found]
    for given, record in zip(rows, records, strict=True):
        assert record.id == given["id"]
        assert record.working_ion == given["working_ion"]
        assert record.host.species == tuple(given["structure"]["species"])
        assert record.length == pytest.approx(given["hop_length_A"], abs=2e-5)
        assert record.barrier == given["barrier_eV"]
        assert record.functional == given["xc"]
        assert record.framework_formula == given["framework_formula"]
        assert record.flags == given["quality_flags"]
        assert record.images is not None
        assert np.allclose(record.images, given["images_frac"])
        assert record.properties["path_info"] == given["path_info"]
        assert record.references == ([f"doi:{given['doi']}"] if given["doi"] else [])
    assert Counter(record.barrier_definition for record in records) == {"unstated": 559, "forward": 1}
    assert Counter(record.limit for record in records) == {"vacancy or intermediate": 413, "dilute": 147}
    assert {record.method for record in records} == {"DFT-NEB"}
    (computed,) = [record for record in records if record.energies is not None]
    assert computed.properties["reverse_barrier_eV"] == pytest.approx(0.855682)
    assert barrier_of(computed.energies, "forward") == pytest.approx(computed.barrier, abs=0.04)
    told = [(record.id, warning.split(":")[0]) for record in records for warning in record.warnings]
    # What is found here is what the source itself flags.
    assert told == [("devi2025-train-186", "end_on_host_atom"), ("devi2025-train-225", "moving_ion_in_host")]
    flags = {record.id: record.flags for record in records}
    assert [key for key in flags if "end_overlaps_host" in flags[key]] == ["devi2025-train-186"]
    assert [key for key in flags if "start_overlaps_host" in flags[key]] == ["devi2025-train-225"]


# ----------------------------------------------------------------------------------- documents of the Materials Project


def given(tmp_path: Path, value: Any, name: str = "document.json") -> list[Record]:
    path = tmp_path / name
    path.write_text(json.dumps(value))
    return split(path)


def test_a_pathway_is_a_record_for_each_hop(tmp_path: Path) -> None:
    found = given(tmp_path, neb_pathway())
    assert [(record.format, record.id) for record in found] == [
        ("mp-neb", "js-1_Li_hop_0+1"),
        ("mp-neb", "js-1_Li_hop_1+2"),
    ]
    assert found[0].origin.member == "hops/0+1"
    record = read_hop("mp-neb", found[0].content)
    assert (record.id, record.working_ion, record.barrier) == ("js-1_Li_hop_0+1", "Li", 0.51)
    assert (record.barrier_definition, record.method, record.functional) == ("forward", "DFT-CI-NEB", None)
    assert (record.limit, record.framework_formula) == ("dilute", "CoO3")
    assert record.energies is not None
    assert record.energies.tolist() == PROFILE
    assert record.images is not None
    assert np.allclose(record.images, np.linspace(START, END, 5))
    assert (record.properties["forward_barrier_eV"], record.properties["reverse_barrier_eV"]) == (0.51, 0.41)
    assert record.images_kind == "relaxed"
    failed = read_hop("mp-neb", found[1].content)
    assert (failed.barrier, failed.barrier_definition, failed.flags) == (None, None, ["neb_failed"])
    assert failed.properties["forward_barrier_eV"] == 0.51


def test_single_results_and_those_without_a_barrier(tmp_path: Path) -> None:
    (single,) = given(tmp_path, neb_result(forward_barrier=None, neb_method="approx_neb"))
    record = read_hop("mp-neb", single.content)
    assert record.barrier == pytest.approx(0.5)
    assert record.method == "ApproxNEB"
    assert "no forward_barrier is given" in record.warnings[0]
    initial = neb_result(images=None, energies=None, forward_barrier=None)
    initial["initial_images"] = [structure_dict(image) for image in images()]
    (single,) = given(tmp_path, initial)
    record = read_hop("mp-neb", single.content)
    assert (record.barrier, record.images_kind) == (None, "initial guess")
    (single,) = given(tmp_path, neb_result(energies=[1.0, None, 2.0], calculations=[{"run_type": "GGA+U"}] * 2))
    record = read_hop("mp-neb", single.content)
    assert (record.energies, record.functional, record.barrier) == (None, "GGA+U", 0.51)


def test_a_hop_without_images_is_kept_with_its_reason(tmp_path: Path) -> None:
    (single,) = given(tmp_path, neb_pathway(**{"0+1": {"images": None, "energies": None, "state": "failed"}}))
    with pytest.raises(SourceError, match="no two images"):
        read_hop("mp-neb", single.content)


@pytest.mark.parametrize("edges", [True, False])
def test_a_migration_graph_gives_places_and_no_barriers(tmp_path: Path, edges: bool) -> None:
    found = given(tmp_path, migration_graph(edges=edges))
    keys = ["0", "1"] if edges else ["0+1"]
    assert [(record.format, record.id) for record in found] == [
        ("mp-migration-graph", f"js-7_Li_hop_{key}") for key in keys
    ]
    assert b"long repetition" not in found[0].content
    records = [read_hop(record.format, record.content) for record in found]
    for record in records:
        assert (record.working_ion, record.barrier, record.limit) == ("Li", None, "dilute")
        assert record.host.species == ("Co", "O", "O", "O")
        assert record.length == pytest.approx(3.0)
        assert record.warnings == ["Fully charged entry contains working ion."]
    if edges:
        assert np.allclose(records[0].end, END)
        assert records[0].properties["graph_cost"] == 3.0
        assert np.allclose(records[1].end, [0.5, 0.5, 0.25])


def test_a_graph_without_hops_is_a_bad_record(tmp_path: Path) -> None:
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(migration_graph(edges=False) | {"insert_coords_combo": None, "deprecated": True}))
    (bad,) = read_records(path)
    assert isinstance(bad, BadRecord)
    assert str(bad.error) == (
        "The migration graph has no hops: no edges and no insert_coords_combo. It is marked as deprecated."
    )
    assert bad.content


def test_damaged_hop_documents_say_what_is_wrong() -> None:
    whole = structure_dict(with_ion(START))
    ion = structure_dict(Crystal.from_lists(CUBE, ["Li"], [START]))
    astray = {"hop": {"edge": {"from": 0, "id": 7}, "structure": whole, "sites": ion}}
    with pytest.raises(SourceError, match="leads to the site 7"):
        read_hop("mp-migration-graph", canonical(astray))
    many = {"hop": {"edge": {}, "structure": whole, "sites": whole}}
    with pytest.raises(SourceError, match="not one ion"):
        read_hop("mp-migration-graph", canonical(many))
    with pytest.raises(SourceError, match="lacks its supercell"):
        read_hop("mp-migration-graph", canonical({"hop": {}}))
    with pytest.raises(SourceError, match="no JSON object"):
        read_hop("mp-neb", canonical({"hop": 3}))


def test_documents_of_emmet_itself_are_read(tmp_path: Path) -> None:
    """Not our idea of the layout but the real one: what emmet writes."""
    neb = pytest.importorskip("emmet.core.neb", reason="emmet-core is not installed")
    from monty.json import MontyEncoder

    result = neb.NebResult(
        images=[image.to_pymatgen() for image in images()], energies=PROFILE, image_indices=list(range(5)),
        neb_method="climbing_image", state="successful",
    )  # fmt: skip
    pathway = neb.NebPathwayResult(hops={"0+1": result}, identifier="mine")
    for value in (pathway, result):
        path = tmp_path / "emmet.json"
        path.write_text(json.dumps(value.model_dump(), cls=MontyEncoder))
        (record,) = split(path)
        read = read_hop(record.format, record.content)
        assert read.barrier == pytest.approx(result.forward_barrier)
        assert read.barrier == pytest.approx(0.5, abs=0.03)
        assert (read.method, read.working_ion) == ("DFT-CI-NEB", "Li")
        assert np.allclose(read.end - read.start, np.subtract(END, START))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of spglib, which pymatgen calls
def test_migration_graphs_of_pymatgen_itself_are_read(tmp_path: Path) -> None:
    mapper = pytest.importorskip(
        "pymatgen.analysis.diffusion.neb.full_path_mapper", reason="pymatgen-analysis-diffusion is not installed"
    )
    places = [START, [0.5, 0.5, 0.25]]
    filled = Crystal.from_lists(CUBE, ["Li", "Li", *HOST["species"]], [*places, *HOST["frac_coords"]])
    graph = mapper.MigrationGraph.with_distance(filled.to_pymatgen(), "Li", 3.2)
    document = {"battery_id": "js-9_Li", "hop_cutoff": 3.2, "migration_graph": json.loads(graph.to_json())}
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(document))
    found = split(path)
    assert len(found) == len(graph.unique_hops)
    lengths = [read_hop(record.format, record.content).length for record in found]
    assert sorted(lengths) == pytest.approx(sorted(one["hop_distance"] for one in graph.unique_hops.values()))


def test_structures_of_emmet_stay_structures() -> None:
    assert classify({"@class": "Structure", "lattice": {}, "sites": []}).format == "pymatgen-json"  # type: ignore[union-attr]
    assert classify({"material_id": "mp-1", "structure": {}}).format == "mp-json"  # type: ignore[union-attr]
    assert classify({"images": [], "title": "a paper"}) is None
    assert classify({"hops": 3}) is None
