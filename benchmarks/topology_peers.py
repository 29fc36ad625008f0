"""The peers of the topology benchmark: GUDHI's alpha complex (CGAL) and HomCloud, each on an open supercell.

Neither can take a crystal's cell as it is: GUDHI's Python interface has no periodic alpha complex, HomCloud's needs a box with right
angles. So people build a supercell with open borders, here 3x3x3 as in the literature, and accept what is cut at its surface.
:func:`glued_diagrams` makes an exact oracle of GUDHI all the same: simplices of a block's interior glued to a torus.

HomCloud can end the interpreter ("Division by zero") or never return: it lives in a process of its own, in an environment of its own
if HOMCLOUD_PYTHON names that environment's interpreter.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from channels_common import Floats
from numpy.typing import NDArray

from builders.geometry.complex import PeriodicDelaunay

_HOMCLOUD = """
import json, sys, time
import numpy as np
import homcloud.interface as hc
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    given = json.loads(line)
    points = np.array(given["points"])
    times = []
    for _ in range(given["repeats"]):
        started = time.process_time_ns()
        diagrams = hc.PDList.from_alpha_filtration(points)
        bars = [len(diagrams.dth_diagram(degree).births) for degree in range(3)]
        times.append((time.process_time_ns() - started) / 1e6)
    print(json.dumps({"ms": min(times), "bars": bars}), flush=True)
"""


class PeerFailed(Exception):
    """The peer gave no answer: why."""


def open_supercell(fractions: Floats, lattice: Floats, copies: int = 3, jitter: float = 1e-3) -> Floats:
    """Cartesian places of copies^3 cells, moved a little so that no five lie on one sphere; the peers need it too."""
    cells = np.array(list(np.ndindex(copies, copies, copies)))
    places = (fractions[:, None] + cells).reshape(-1, 3) @ lattice
    return places + np.random.default_rng(0).uniform(-jitter, jitter, places.shape)


def gudhi_run(places: Floats, precision: str) -> Callable[[], Any]:
    """Alpha complex and diagrams of degrees 0 to 2 as GUDHI makes them."""
    import gudhi

    def run() -> list[Any]:
        tree = gudhi.AlphaComplex(points=places, precision=precision).create_simplex_tree()
        tree.compute_persistence(homology_coeff_field=2, min_persistence=0.0)
        return [tree.persistence_intervals_in_dimension(degree) for degree in range(3)]

    return run


class HomCloud:
    """HomCloud in a process of its own, started again when it dies."""

    def __init__(self, seconds: float = 120.0) -> None:
        self._python = os.environ.get("HOMCLOUD_PYTHON", sys.executable)
        self._seconds = seconds
        self._process: subprocess.Popen[str] | None = None

    def __call__(self, places: Floats, repeats: int) -> dict[str, Any]:
        """CPU ms of the shortest run, with its numbers of bars."""
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"points": places.tolist(), "repeats": repeats}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [self._python, "-c", _HOMCLOUD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], self._seconds)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            self._process.poll()
            code = self._process.returncode
            self.close()
            raise PeerFailed(f"ended by itself (code {code})" if ready else f"no answer within {self._seconds:.0f} s")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Glued(NamedTuple):
    """GUDHI's diagrams of a torus of copies^3 cells: bars of degrees 0 to 2, births of the essential classes of degrees 0 to 3."""

    bars: tuple[Floats, ...]
    essential: tuple[Floats, ...]


def glued_diagrams(complex_: PeriodicDelaunay, copies: int = 3) -> Glued | None:
    """Diagrams of the torus of copies^3 cells, from GUDHI's alpha complex of a larger open block.

    Triangulation, filtration and reduction are GUDHI's; of ours only the points are used (moved into general position), and the
    numbers of simplices to see that the glued complex is a simplicial one. None where it is not: the cell is too small.
    """
    import gudhi

    largest = float(complex_.radii.max())
    spacings = 1.0 / np.linalg.norm(np.linalg.inv(complex_.lattice), axis=0)
    fractions = complex_.points @ np.linalg.inv(complex_.lattice)
    spread = np.floor(np.ptp(fractions, axis=0))  # points may be given outside the cell
    margins = (np.ceil(2.1 * largest / spacings) + spread + 1).astype(int)
    cells = np.array(list(np.ndindex(*(copies + 2 * margins)))) - margins
    names = np.concatenate([np.insert(cells, 0, point, axis=1) for point in range(complex_.n_points)])
    places = complex_.points[names[:, 0]] + names[:, 1:] @ complex_.lattice
    middle = ((names[:, 1:] >= 0) & (names[:, 1:] < copies)).all(axis=1)
    weights = np.array([copies**2, copies, 1])
    glued = names[:, 0] * copies**3 + (names[:, 1:] % copies) @ weights

    # Its default of 1e-5 tells apart the copies of one nearly flat simplex. For this oracle alone: timings keep the default.
    before = gudhi.AlphaComplex.get_float_relative_precision()
    gudhi.AlphaComplex.set_float_relative_precision(1e-11)
    block = gudhi.AlphaComplex(points=places, precision="safe").create_simplex_tree()
    gudhi.AlphaComplex.set_float_relative_precision(before)
    found: list[dict[tuple[int, ...], float]] = [{}, {}, {}, {}]
    limit = largest**2 + 1e-6
    for simplex, value in block.get_filtration():
        if value > limit or not middle[simplex].any():
            continue
        name = tuple(sorted(glued[simplex].tolist()))
        if len(set(name)) < len(name):
            return None
        known = found[len(name) - 1].setdefault(name, value)
        if abs(known - value) > 1e-6:
            return None  # two different simplices between the same vertices
    n, tetrahedra = complex_.n_points, len(complex_.tetrahedra)
    if [len(each) for each in found] != [
        count * copies**3 for count in (n, n + tetrahedra, 2 * tetrahedra, tetrahedra)
    ]:
        return None
    tree = gudhi.SimplexTree()
    for each in found:
        for name, value in each.items():
            tree.insert(list(name), max(value, 0.0))
    tree.make_filtration_non_decreasing()
    tree.compute_persistence(homology_coeff_field=2, min_persistence=-1.0, persistence_dim_max=True)
    intervals = [np.sqrt(tree.persistence_intervals_in_dimension(degree)) for degree in range(4)]
    finite: list[NDArray[np.float64]] = [each[np.isfinite(each[:, 1])] for each in intervals]
    return Glued(tuple(finite[:3]), tuple(np.sort(each[~np.isfinite(each[:, 1]), 0]) for each in intervals))
