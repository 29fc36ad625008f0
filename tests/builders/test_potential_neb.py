"""The elastic band: against exact barriers, against ASE's own band, and what it says when something went wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from api.channels.source import read_file
from builders.channels.analysis import analyse
from builders.channels.model import Channels
from builders.potential.endpoints import Endpoints, make_endpoints
from builders.potential.neb import Options, run_neb
from builders.potential.record import FORMAT, hop_id, hop_record, hop_row, row_bytes
from builders.potential.result import (
    FLAG_COLLAPSED,
    FLAG_END_SLID,
    FLAG_INTERRUPTED,
    FLAG_NO_SADDLE,
    FLAG_NOT_CONVERGED,
    FLAG_OTHERS_MOVED,
    FLAG_VALLEY,
    Convergence,
    NebResult,
    doubts,
)
from builders.potential.supercell import supercell
from store.crystal import Crystal
from store.errors import BuildError, UsageError

from .potential_models import Hedgehogs, Valley, potential

SALT = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5, 0.5, 0.5], [0, 0, 0]])


@pytest.fixture(scope="module")
def salt() -> Endpoints:
    return make_endpoints(analyse(SALT, "Li"), 0)


def valley(ends: Endpoints, **options: float) -> Valley:
    return Valley(ends.start[-1], ends.end[-1], ends.start[:-1], **options)


def codes(result: NebResult) -> list[str]:
    return [flag.code for flag in result.flags]


def copper_vacancy() -> Endpoints:
    """A vacancy in 2x2x2 cells of copper, and the neighbour that jumps into it."""
    atoms = bulk("Cu", cubic=True, a=3.6) * (2, 2, 2)
    cell, places = np.array(atoms.cell), atoms.get_positions()
    jump = np.array([1.8, 1.8, 0.0])
    target = int(np.linalg.norm(places - places[0] - jump, axis=1).argmin())
    rest = np.delete(places, [0, target], axis=0)
    start, end = np.concatenate([rest, places[:1]]), np.concatenate([rest, places[:1] + jump])
    route = np.stack([start[-1], end[-1]])
    return Endpoints(
        "Cu", ("Cu",) * 31, cell, start, end, route, "vacancy", 30, supercell(cell, np.eye(3, dtype=int)), ()
    )


# ----------------------------------------------------------------------------------------------------------- barriers


def test_a_symmetric_well_has_the_barrier_it_was_made_with(salt: Endpoints) -> None:
    # The band leaves along the route through the tetrahedron and must find back to the straight valley.
    result = run_neb(salt, valley(salt, height=0.45), Options(fmax=0.01))
    assert result.usable
    assert result.first_path
    assert result.forward == pytest.approx(0.45, abs=0.002)
    assert result.reverse == pytest.approx(result.forward, abs=0.002)
    assert codes(result) == []
    assert result.energies.argmax() == 3


def test_a_tilted_well_has_two_barriers(salt: Endpoints) -> None:
    calculator = valley(salt, height=0.45, tilt=0.2)
    forward, reverse = calculator.exact()
    result = run_neb(salt, calculator, Options(fmax=0.01))
    assert result.forward == pytest.approx(forward, abs=0.002)
    assert result.reverse == pytest.approx(reverse, abs=0.002)
    assert forward - reverse == pytest.approx(0.2, abs=0.001)


def test_one_image_climbs_to_the_saddle(salt: Endpoints) -> None:
    calculator = valley(salt, height=0.45, tilt=0.1)
    result = run_neb(salt, calculator, Options(images=1, fmax=0.01))
    assert result.forward == pytest.approx(calculator.exact()[0], abs=0.002)


def test_a_vacancy_in_copper_as_ase_computes_it() -> None:
    ends = copper_vacancy()
    result = run_neb(ends, EMT(), Options(images=1, fmax=0.02))
    assert result.usable
    assert result.forward == pytest.approx(result.reverse, abs=0.002)
    assert result.forward == pytest.approx(by_ase(ends, 1), abs=0.003)
    assert result.forward == pytest.approx(0.776, abs=0.01)  # converged tighter, with five images


def by_ase(ends: Endpoints, count: int) -> float:
    """The same by ASE's own tools, another optimiser and a straight first path."""
    from ase import Atoms
    from ase.mep import NEB
    from ase.optimize import FIRE, LBFGS

    images = [Atoms(ends.symbols, ends.start, cell=ends.lattice, pbc=True) for _ in range(count + 2)]
    images[-1].positions[:] = ends.end
    for image in images:
        image.calc = EMT()
    for end in (images[0], images[-1]):
        LBFGS(end, logfile=None).run(fmax=0.02)
    band = NEB(images, climb=True, method="aseneb")
    band.interpolate("linear")
    FIRE(band, logfile=None, dt=0.2).run(fmax=0.02, steps=100)
    energies = [image.get_potential_energy() for image in images]
    return float(max(energies) - energies[0])


@pytest.fixture(scope="module")
def cobaltate() -> Channels:
    return analyse(read_file(Path(__file__).resolve().parent.parent / "crystals" / "LiCoO2.cif"), "Li")


def test_in_a_crystal_of_repelling_atoms_both_directions_are_alike(cobaltate: Channels) -> None:
    ends = make_endpoints(cobaltate, 0)
    result = run_neb(ends, Hedgehogs(), Options(images=3, fmax=0.03))
    assert result.usable
    assert result.forward is not None
    assert result.forward > 0.05
    assert result.reverse == pytest.approx(result.forward, abs=0.005)
    np.testing.assert_allclose(result.energies, result.energies[::-1], atol=0.005)


# --------------------------------------------------------------------------------------------------------- procedure


def test_the_same_input_gives_the_same_numbers(salt: Endpoints) -> None:
    one, other = (run_neb(salt, valley(salt, tilt=0.1)) for _ in range(2))
    np.testing.assert_array_equal(one.energies, other.energies)
    np.testing.assert_array_equal(one.positions, other.positions)
    assert one.history == other.history


def test_every_iteration_is_told_and_kept(salt: Endpoints) -> None:
    told: list[Convergence] = []
    calculator = valley(salt)
    result = run_neb(salt, calculator, progress=told.append)
    assert tuple(told) == result.history
    assert list(dict.fromkeys(each.stage for each in told)) == ["start", "end", "band", "climb"]
    assert told[-1].fmax <= result.fmax
    assert told[-1].energy == pytest.approx(result.forward)
    assert result.calls == calculator.calls
    # One geometry is computed once: an end each iteration, five images each iteration of the band.
    bands = sum(each.stage == "band" for each in told) + result.iterations("climb")
    assert result.calls == sum(each.stage in ("start", "end") for each in told) + 5 * bands


def test_the_ends_are_relaxed(salt: Endpoints) -> None:
    calculator = valley(salt, tilt=0.2)
    calculator.held = calculator.held + 0.1
    result = run_neb(salt, calculator, Options(fmax=0.01))
    np.testing.assert_allclose(result.positions[0, :-1], calculator.held, atol=0.01)
    assert result.iterations("start") > 0


@pytest.mark.parametrize("options", [Options(images=0), Options(images=99), Options(fmax=0.0), Options(steps=0)])
def test_options_that_cannot_be(salt: Endpoints, options: Options) -> None:
    with pytest.raises(UsageError):
        run_neb(salt, valley(salt), options)


# ------------------------------------------------------------------------------------------------------------- doubts


def test_a_band_that_needs_more_iterations_is_no_result(salt: Endpoints) -> None:
    result = run_neb(salt, valley(salt), Options(fmax=0.001, steps=2))
    assert FLAG_NOT_CONVERGED in codes(result)
    assert not result.converged
    assert not result.usable
    assert result.iterations("band", "climb") <= 2
    assert result.forward is not None  # so far
    with pytest.raises(BuildError, match="not converged"):
        hop_record("a", "LiF", 0, salt, result, potential(None))


@pytest.mark.parametrize(("after", "stage"), [(2, "start"), (25, "band")])
def test_ctrl_c_leaves_what_there_is(salt: Endpoints, after: int, stage: str) -> None:
    result = run_neb(salt, Hedgehogs(stop_after=after), Options(images=3, fmax=0.001))
    assert FLAG_INTERRUPTED in codes(result)
    assert not result.usable
    assert result.history[-1].stage == stage
    assert (result.forward is None) == (stage == "start")
    assert np.isfinite(result.positions).all()


def test_ends_that_fall_together_are_told(salt: Endpoints) -> None:
    # Both ends roll into the one minimum of a bowl.
    class Bowl(Valley):
        def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = ()) -> None:
            super().calculate(atoms, properties, system_changes)
            off = atoms.get_positions()[-1] - (self.start + self.axis * self.length / 2)
            self.results["energy"] = float(4 * (off**2).sum())
            self.results["forces"][-1] = -8 * off

    result = run_neb(salt, Bowl(salt.start[-1], salt.end[-1], salt.start[:-1]))
    assert codes(result)[-3:] == [FLAG_END_SLID, FLAG_END_SLID, FLAG_COLLAPSED]
    assert result.forward is None
    assert not result.usable


def test_doubts_about_a_path(salt: Endpoints) -> None:
    path = np.stack([salt.start, (salt.start + salt.end) / 2, salt.end])
    assert doubts(salt, path, np.array([0.0, 0.3, 0.0])) == []
    moved = path.copy()
    moved[1:, 3] += 1.5
    assert [flag.code for flag in doubts(salt, moved, np.zeros(0))] == [FLAG_OTHERS_MOVED]
    assert [flag.code for flag in doubts(salt, path, np.array([0.0, 0.1, 0.2]))] == [FLAG_NO_SADDLE]
    four = np.concatenate([path[:2], path[1:]])
    assert [flag.code for flag in doubts(salt, four, np.array([0.0, 0.3, -0.2, 0.1]))] == [FLAG_VALLEY]


def test_another_optimiser_takes_over_where_the_first_gets_nowhere(
    salt: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ase.optimize

    class Stubborn(ase.optimize.LBFGS):  # type: ignore[misc]
        def step(self, *_: Any) -> None:
            return

    calculator = valley(salt, height=0.45)
    monkeypatch.setattr("builders.potential.neb.PATIENCE", 3)
    monkeypatch.setattr(ase.optimize, "LBFGS", Stubborn)
    result = run_neb(salt, calculator, Options(fmax=0.02))
    assert result.usable
    assert result.forward == pytest.approx(0.45, abs=0.002)
    assert [each.iteration for each in result.history if each.stage == "band"][:5] == [0, 1, 2, 3, 3]


# ------------------------------------------------------------------------------------------------------------- record


def test_a_barrier_becomes_a_row_that_the_store_reads(salt: Endpoints) -> None:
    from store.ingest.kinds import HOP_FORMATS
    from store.ingest.readers import read_hop

    result = run_neb(salt, valley(salt, tilt=0.1))
    made = hop_record("neb-LiF-Li-0-toy", "LiF", 0, salt, result, potential(None))
    row = hop_row(made)
    content = row_bytes(row)
    assert json.loads(content) == row
    assert list(row)[:2] == ["id", "source"]  # so the splitter of JSON Lines knows it
    assert FORMAT in HOP_FORMATS
    read = read_hop(FORMAT, content)
    assert read.id == "neb-LiF-Li-0-toy"
    assert read.working_ion == "Li"
    assert read.method == "MLIP-NEB (Toy 1.0)"
    assert not read.method.startswith("DFT")
    assert "VASP" not in read.method
    assert (read.barrier_definition, read.limit, read.charge_state, read.warnings) == ("forward", "vacancy", 0.0, [])
    assert read.barrier == pytest.approx(result.forward, abs=1e-6)
    assert read.framework_formula == "F2"
    assert read.host.n_sites == len(salt.symbols) - 1
    np.testing.assert_allclose(read.images @ salt.lattice, result.positions[:, -1], atol=1e-4)
    np.testing.assert_allclose(read.energies, result.energies, atol=1e-6)
    np.testing.assert_allclose(
        (read.end - read.start) @ salt.lattice, result.positions[-1, -1] - result.positions[0, -1], atol=1e-4
    )


def test_ids_keep_the_limits_apart(salt: Endpoints, cobaltate: Channels) -> None:
    toy = potential(None)
    assert hop_id("a b/LiF.cif.gz", "Li", 3, salt, toy) == "neb-a_b_LiF-Li-3-toy"
    assert (
        hop_id("mp-22526", "Li", 0, make_endpoints(cobaltate, 0, limit="dilute"), toy) == "neb-mp-22526-Li-0-toy-dilute"
    )
