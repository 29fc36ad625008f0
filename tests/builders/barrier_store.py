"""A store with a few hops in it, made for tests of barriers: hops in supercells of known crystals, and some that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from api.builds import run_builds
from api.channels.source import read_file
from api.work import build_options
from store.crystal import Crystal
from store.hops import HopRecord
from store.ingest.ingest import ingest
from store.settings import Settings

from .barrier_hops import CRYSTALS, hop_row, octahedral_hop, supercell, write_lines

NAMES_OF = ["structures", "channels", "barriers"]


def triphylite() -> Crystal:
    return read_file(CRYSTALS / "LiFePO4.cif")


def cobaltate() -> Crystal:
    return read_file(CRYSTALS / "LiCoO2.cif")


def vacancy(crystal: Crystal, length: float, copies: tuple[int, int, int], shake: float = 0.0) -> HopRecord:
    """A hop of that length between two ions of a supercell, both of which are left out of its host."""
    host = supercell(crystal, copies)
    ions = [k for k, symbol in enumerate(host.species) if symbol == "Li"]
    first = ions[0]
    shifts = np.array(list(np.ndindex(3, 3, 3))) - 1
    for second in ions[1:]:
        steps = (host.frac_coords[second] - host.frac_coords[first] + shifts) @ host.lattice
        near = int(np.linalg.norm(steps, axis=1).argmin())
        if abs(np.linalg.norm(steps[near]) - length) < 0.01:
            break
    else:
        raise AssertionError("no such hop")
    kept = [k for k in range(host.n_sites) if k not in (first, second)]
    moves = np.random.default_rng(0).normal(0.0, shake, (len(kept), 3)) @ np.linalg.inv(host.lattice)
    start = host.frac_coords[first]
    return HopRecord(
        "Li",
        Crystal.from_lists(host.lattice, [host.species[k] for k in kept], host.frac_coords[kept] + moves),
        start,
        start + steps[near] @ np.linalg.inv(host.lattice),
    )


def hops() -> list[dict[str, Any]]:
    """Three hops, and two that are none."""
    olivine = vacancy(triphylite(), 3.003, (1, 2, 2), shake=0.01)
    layers = vacancy(cobaltate(), 2.811, (3, 3, 1))
    salt = octahedral_hop(4.1)
    long = HopRecord("Li", salt.host, salt.start, salt.start + np.array([5.0, 0.0, 0.0]))
    images = np.linspace(olivine.start, olivine.end, 5)
    return [
        hop_row(
            "olivine-b", olivine, barrier_eV=0.27, barrier_definition="forward", method="DFT-NEB", xc="GGA+U",
            images_frac=images.tolist(), images_energy_eV=[0.0, 0.2, 0.27, 0.2, 0.0], images_kind="relaxed",
            framework_formula="FePO4", crystal_class="OLIVINE", space_group="Pnma", doi="10.1234/olivine",
            license="CC0-1.0", quality_flags=["odd"], sys_name="LiFePO4", limit="vacancy", colour="grey",
        ),
        hop_row("layers", layers, barrier_eV=0.33, method="MLIP-NEB (made up)"),
        hop_row("dilute", salt),
        hop_row("long", long, barrier_eV=0.5),
        hop_row("nowhere", HopRecord("Li", salt.host, salt.start, salt.start), barrier_eV=0.5),
    ]  # fmt: skip


def give(database: Any, folder: Path, rows: list[dict[str, Any]]) -> None:
    ingest(database, write_lines(folder / "given.jsonl", rows), provider="test")


def structure(key: str, crystal: Crystal) -> dict[str, Any]:
    return {"id": key, "structure": layout(crystal)}


def layout(crystal: Crystal) -> dict[str, Any]:
    """As a JSON Lines file has it; shared sites with their occupancies."""
    if crystal.occupancies is None:
        return crystal.to_document()
    sites = [
        {"species": site, "abc": place}
        for site, place in zip(crystal.occupancies, crystal.frac_coords.tolist(), strict=True)
    ]
    return {"lattice": crystal.lattice.tolist(), "sites": sites}


def build(
    database: Any, settings: Settings, names: list[str] | None = None, **options: Any
) -> dict[str, tuple[int, int]]:
    runs = run_builds(database, settings, names or NAMES_OF, build_options(settings, workers=1, **options))
    return {run.name: (run.built, run.failed) for run in runs}


def documents(database: Any) -> dict[str, dict[str, Any]]:
    return {row["_id"]: row for row in database["barriers"].find()}
