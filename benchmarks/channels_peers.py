"""The peers of the channel benchmarks: Zeo++ (pyzeo), freud, BVlain, each as exact and as fast as it can be asked to be.

Zeo++ ends the whole process when it dislikes a crystal ("Unable to add edge because nodes have not been added", a failed
volume check), so it lives in a process of its own; what it printed last is the reason that is reported.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from channels_common import Floats, least_cpu
from numpy.typing import NDArray

ATOM_RADIUS = 0.5
"""Å; radius that Zeo++ gives every atom when asked for none: its radii are to spheres of this size, ours to the centres."""


class PeerFailed(Exception):
    """The peer gave no answer: why."""


class ZeoNetwork(NamedTuple):
    """Voronoi network and free spheres of Zeo++; lengths in Å from atom centres.

    Attributes
    ----------
    nodes : numpy.ndarray
        shape=(n_nodes, 3), fractional.
    radii : numpy.ndarray
        shape=(n_nodes,).
    edges : numpy.ndarray
        shape=(n_edges, 2), int; each edge twice, once in each direction.
    offsets : numpy.ndarray
        shape=(n_edges, 3), int.
    widths : numpy.ndarray
        shape=(n_edges,); narrowest place of each edge.
    largest : float
        Radius of the largest included sphere.
    free : float
        Radius of the largest sphere that passes the crystal.
    """

    nodes: Floats
    radii: Floats
    edges: NDArray[np.int64]
    offsets: NDArray[np.int64]
    widths: Floats
    largest: float
    free: float


class Peer:
    """A function in a process of its own, started again when it dies.

    Parameters
    ----------
    work : callable
        What the process does with the arguments of each call.
    seconds : float
        Longest wait for an answer.
    """

    def __init__(self, work: Callable[..., Any], seconds: float = 60.0) -> None:
        self._work = work
        self._seconds = seconds
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (closed by close)
        self._process: Any = None
        self._pipe: Any = None

    def __call__(self, *arguments: Any) -> Any:
        """Ask; raise PeerFailed with what the peer said when it died, was too slow or raised."""
        if self._process is None:
            self._start()
        self._said.seek(0)
        self._said.truncate()
        self._pipe.send(arguments)
        if not self._pipe.poll(self._seconds):
            self._stop()
            raise PeerFailed(f"no answer within {self._seconds:.0f} s")
        try:
            answer, error = self._pipe.recv()
        except EOFError:
            self._process.join()
            ended = self._process.exitcode
            self._stop()
            raise PeerFailed(f"process ended ({_how(ended)}): {self._last_words()}") from None
        if error is not None:
            raise PeerFailed(error)
        return answer

    def close(self) -> None:
        """End the process."""
        self._stop()
        self._said.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=self._serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def _stop(self) -> None:
        if self._process is not None:
            self._pipe.close()
            self._process.kill()
            self._process.join()
            self._process = None

    def _serve(self, pipe: Any) -> None:
        self._pipe.close()
        os.dup2(self._said.fileno(), 1)
        os.dup2(self._said.fileno(), 2)
        while True:
            try:
                arguments = pipe.recv()
            except EOFError:
                return
            try:
                answer = (self._work(*arguments), None)
            except Exception as error:  # the peer's errors are its answer
                answer = (None, f"{type(error).__name__}: {error}")
            pipe.send(answer)

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").splitlines()
        telling = [line.strip() for line in lines if "rror" in line or "nable" in line or "abort" in line]
        return telling[0] if telling else (lines[-1].strip() if lines else "it said nothing")


def _how(exitcode: int) -> str:
    return signal.Signals(-exitcode).name if exitcode < 0 else f"exit code {exitcode}"


def triangular(lattice: Floats) -> Floats:
    """The same cell turned (and mirrored, if left-handed) so that a is along x and b in the xy plane; fractions stay."""
    return np.linalg.cholesky(lattice @ lattice.T)


@contextlib.contextmanager
def _file_of(frac_coords: Floats, lattice: Floats) -> Iterator[str]:
    """Zeo++'s V1 file: cell vectors and Cartesian coordinates, all digits (CSSR is written with fewer)."""
    cell = triangular(lattice)
    lines = ["Unit cell vectors:"]
    lines += [f"{name}= {x:.17g} {y:.17g} {z:.17g}" for name, (x, y, z) in zip(("va", "vb", "vc"), cell, strict=True)]
    lines.append(str(len(frac_coords)))
    lines += [f"C {x:.17g} {y:.17g} {z:.17g}" for x, y, z in (frac_coords % 1.0) @ cell]
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.NamedTemporaryFile("w", suffix=".v1", dir=memory) as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        yield file.name


def _atoms(frac_coords: Floats, lattice: Floats) -> Any:
    from pyzeo import AtomNetwork

    with _file_of(frac_coords, lattice) as name:
        return AtomNetwork.read_from_V1(name, rad_flag=False, mass_flag=False)


def zeo_network(frac_coords: Floats, lattice: Floats) -> ZeoNetwork:
    """Decompose and read the network back from Zeo++'s own file (six significant digits)."""
    from pyzeo import extension

    atoms = _atoms(frac_coords, lattice)
    network = atoms.perform_voronoi_decomposition()[0]
    with tempfile.TemporaryDirectory() as folder:
        extension.writeNt2file(f"{folder}/net.nt2", network, -100.0)
        atoms.calculate_free_sphere_parameters(f"{folder}/free.txt")
        nodes, edges = Path(f"{folder}/net.nt2").read_text().split("Edge table:")
        largest, free = (float(word) / 2 for word in Path(f"{folder}/free.txt").read_text().split()[-3:-1])
    corners = np.array([line.split()[1:5] for line in nodes.splitlines()[1:] if line.strip()], dtype=float)
    table = np.array([line.replace("->", "").split() for line in edges.splitlines() if line.strip()], dtype=float)
    return ZeoNetwork(
        nodes=corners[:, :3] @ np.linalg.inv(triangular(lattice)),
        radii=corners[:, 3] + ATOM_RADIUS,
        edges=table[:, :2].astype(np.int64),
        offsets=table[:, 3:6].astype(np.int64),
        widths=table[:, 2] + ATOM_RADIUS,
        largest=largest + ATOM_RADIUS,
        free=free + ATOM_RADIUS,
    )


class _Engine:
    """Zeo++ itself, called past its Python binding.

    The binding collects the edges' midpoints in a Python list and searches it anew for each edge; at 200 atoms that loop
    takes most of its time. Here the two C++ functions are called by their names in the binding's library, so that the
    engine can be told from its binding. The objects are the binding's own: the pointer follows the two words of
    every Python object.
    """

    def __init__(self) -> None:
        from pyzeo import extension

        specification = importlib.util.find_spec("pyzeo.extension")
        assert specification is not None
        assert specification.origin is not None
        library = ctypes.CDLL(specification.origin)
        pointer = ctypes.c_void_p
        self._network = extension.VoronoiNetwork
        self._decompose = library[
            "_Z20performVoronoiDecompbP12ATOM_NETWORKP15VORONOI_NETWORKPSt6vectorI8VOR_CELLSaIS4_EEbPS3_I11BASIC_VCELLSaIS8_EE"
        ]
        self._decompose.argtypes = [ctypes.c_bool, pointer, pointer, pointer, ctypes.c_bool, pointer]
        self._decompose.restype = ctypes.c_bool
        self._free_sphere = library["_Z29calculateFreeSphereParametersP15VORONOI_NETWORKPcb"]
        self._free_sphere.argtypes = [pointer, ctypes.c_char_p, ctypes.c_bool]
        self._free_sphere.restype = None

    @staticmethod
    def _inside(thing: Any) -> int:
        return int(ctypes.c_void_p.from_address(id(thing) + 2 * ctypes.sizeof(ctypes.c_void_p)).value or 0)

    def decompose(self, atoms: Any) -> Any:
        """The network; the two vectors for the cells start empty, which is three null pointers each."""
        network = self._network()
        cells, basic = (ctypes.c_void_p * 3)(), (ctypes.c_void_p * 3)()
        self._decompose(False, self._inside(atoms), self._inside(network), cells, False, basic)
        return network

    def free_sphere(self, network: Any) -> None:
        """Largest included and largest free sphere."""
        self._free_sphere(self._inside(network), os.devnull.encode(), False)


def zeo_times(frac_coords: Floats, lattice: Floats, repeats: int) -> dict[str, float]:
    """CPU ms of Zeo++: as its binding offers it, and (where the library lets itself be called) the engine alone."""
    atoms = _atoms(frac_coords, lattice)
    times = {
        "decomposition": least_cpu(atoms.perform_voronoi_decomposition, repeats),
        "decomposition and free sphere": least_cpu(lambda: atoms.calculate_free_sphere_parameters(os.devnull), repeats),
    }
    with contextlib.suppress(AttributeError, OSError):
        engine = _Engine()
        times["engine alone, decomposition"] = least_cpu(lambda: engine.decompose(atoms), repeats)
        times["engine alone, decomposition and free sphere"] = least_cpu(
            lambda: engine.free_sphere(engine.decompose(atoms)), repeats
        )
    return times


def freud_volumes(frac_coords: Floats, lattice: Floats) -> Floats:
    """Volumes of the atoms' Voronoi cells, Å^3, in the given order."""
    import freud

    cell = triangular(lattice)
    box = freud.box.Box.from_matrix(cell.T)
    points = box.wrap((frac_coords % 1.0) @ cell)
    return np.asarray(freud.locality.Voronoi().compute((box, points)).volumes, dtype=float)


def pymatgen_polyhedra(structure: Any) -> Any:
    """Voronoi polyhedra of all atoms by pymatgen."""
    from pymatgen.analysis.local_env import VoronoiNN

    return VoronoiNN().get_all_voronoi_polyhedra(structure)
