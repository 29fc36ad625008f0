"""Voids, channels, percolation and volumes of 1,000 random lithium compounds against Zeo++ and freud.

    python benchmarks/channels_correct.py [--structures 1000] [--seed 3]

Every Voronoi vertex of Zeo++ must be one of ours and the other way round, the percolation radii of its network and
its free sphere must be r1, r2, r3, the volumes of the atoms' cells and of voids put into the crystal must be freud's. Where
the two differ a third opinion decides who is right: the definition itself, evaluated on the given coordinates: a vertex has an
empty sphere that touches four atoms or more which are not in one plane; percolation radii come from SciPy's Voronoi
diagram of a block of the crystal, with the distance from each edge to an atom it belongs to. The usual cause is that
Zeo++ keeps one of several vertices that differ by less than 0.02 Å in each coordinate and measures its edges from
there, so that its radii are a few thousandths of an ångström off.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import time
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from channels_common import Floats, Row, compounds
from channels_peers import Peer, PeerFailed, ZeoNetwork, freud_volumes, zeo_network
from common import report
from scipy.spatial import Voronoi, cKDTree

from builders.channels.pairs import is_analysed

TOLERANCE = 1e-3
"""Å, and relative for volumes: the issue's bar. Zeo++ writes six significant digits."""
BUNDLE = 0.02 * 3**0.5
"""Å; Zeo++ keeps one of several vertices that differ by less than 0.02 Å in each coordinate, and measures edges from it."""
SAMPLE = 3
"""Voids of each structure whose R_sd is checked."""


class Found(NamedTuple):
    """One difference."""

    id: str
    what: str
    fault: str
    detail: str


class Space:
    """The periodic crystal as the definition sees it: atoms and nothing else."""

    def __init__(self, row: Row) -> None:
        self.lattice = row.lattice
        self._spacings = 1.0 / np.linalg.norm(np.linalg.inv(row.lattice), axis=0)
        self._fractions = row.frac_coords % 1.0

    def touching(self, fraction: Floats, reach: float) -> tuple[float, Floats]:
        """Distance of the nearest atom, and the atoms within TOLERANCE x 2 of it, relative to the point."""
        most = np.ceil((reach + 0.1) / self._spacings).astype(int) + 1
        cells = np.array(list(itertools.product(*(range(-n, n + 1) for n in most))))
        steps = (self._fractions[:, None] - fraction % 1.0 + cells).reshape(-1, 3) @ self.lattice
        distances = np.linalg.norm(steps, axis=1)
        return float(distances.min()), steps[distances < distances.min() + 2 * TOLERANCE]

    def rank(self, fraction: Floats, radius: float) -> int:
        """What an empty sphere of this radius around the point touches: 3 a vertex, 2 (atoms in one plane) an edge, 0 nothing.

        The centre of a flat tetrahedron of four atoms on one circle may be anywhere on the edge through that circle.
        """
        found, atoms = self.touching(fraction, radius)
        if abs(found - radius) > 2 * TOLERANCE or len(atoms) < 3:
            return 0
        return int((np.linalg.svd(atoms - atoms[0], compute_uv=False) > 1e-2).sum())


def nearest(points: Floats, among: Floats, lattice: Floats) -> tuple[Floats, Any]:
    """Distance of each point to the nearest of the others under the periodic boundary (exact below 0.1 Å), and which."""
    margin = 0.1 * np.linalg.norm(np.linalg.inv(lattice), axis=0)
    images, numbers = among % 1.0, np.arange(len(among))
    for axis in range(3):
        step = np.eye(3)[axis]
        low, high = images[:, axis] < margin[axis], images[:, axis] > 1 - margin[axis]
        images = np.concatenate([images, images[low] + step, images[high] - step])
        numbers = np.concatenate([numbers, numbers[low], numbers[high]])
    distances, places = cKDTree(images @ lattice).query((points % 1.0) @ lattice)
    return distances, numbers[places]


def definition_radii(row: Row, most: float) -> tuple[float, float, float]:
    """Percolation radii from SciPy's Voronoi diagram of a block that reaches three times the largest void around the cell."""
    from builders.channels.percolation import percolate

    inverse = np.linalg.inv(row.lattice)
    margin = 3.0 * most * np.linalg.norm(inverse, axis=0)
    counts = np.ceil(margin).astype(int)
    cells = np.array(list(itertools.product(*(range(-n, n + 1) for n in counts))))
    block = ((row.frac_coords % 1.0)[:, None] + cells).reshape(-1, 3)
    block = block[((block > -margin) & (block < 1 + margin)).all(axis=1)] @ row.lattice
    diagram = Voronoi(block)
    fractions = diagram.vertices @ inverse - np.array([0.0871, 0.1313, 0.0519])  # off the special positions
    homes = np.flatnonzero(((fractions >= 0) & (fractions < 1)).all(axis=1))
    at_home = np.zeros(len(fractions), dtype=bool)
    at_home[homes] = True
    ends, atoms = [], []
    for (atom, _), ring in zip(diagram.ridge_points, diagram.ridge_vertices, strict=True):
        for pair in zip(ring, [*ring[1:], ring[0]], strict=True):
            if min(pair) >= 0 and at_home[list(pair)].any():
                ends.append(pair)
                atoms.append(atom)
    edges, corners = np.array(ends), diagram.vertices[np.array(ends)]
    along = corners[:, 1] - corners[:, 0]
    from_atom = corners[:, 0] - block[atoms]
    share = -np.einsum("ij,ij->i", from_atom, along) / np.maximum(np.einsum("ij,ij->i", along, along), 1e-18)
    widths = np.linalg.norm(from_atom + np.clip(share, 0, 1)[:, None] * along, axis=1)
    _, nodes = nearest(fractions[edges.ravel()], fractions[homes], row.lattice)
    # The cell of an end is that of the home vertex it was found to be a copy of, whatever side rounding put it on.
    copies = np.rint(fractions[edges.ravel()] - fractions[homes][nodes]).astype(np.int64).reshape(-1, 2, 3)
    return percolate(nodes.reshape(-1, 2), copies[:, 1] - copies[:, 0], widths, len(homes)).radii


def compare_vertices(row: Row, complex_: Any, zeo: ZeoNetwork, counts: Counter[str]) -> list[Found]:
    """Both directions; what differs, and who is right."""
    space = Space(row)
    ours = complex_.centres @ np.linalg.inv(row.lattice)
    found = []
    distance, which = nearest(zeo.nodes, ours, row.lattice)
    same = (distance < TOLERANCE) & (np.abs(zeo.radii - complex_.radii[which]) < TOLERANCE)
    counts["Zeo++ vertices"] += len(same)
    counts["Zeo++ vertices that are ours"] += int(same.sum())
    for place in np.flatnonzero(~same):
        if distance[place] < BUNDLE and abs(zeo.radii[place] - complex_.radii[which[place]]) < BUNDLE:
            counts["Zeo++ vertices near ours within the bundle"] += 1
            continue
        right = space.rank(zeo.nodes[place], zeo.radii[place]) == 3
        found.append(
            Found(
                row.id,
                "vertex of Zeo++ is not ours",
                "ours" if right else "Zeo++",
                f"at {zeo.nodes[place].round(4).tolist()}, r {zeo.radii[place]:.4f}, nearest of ours {distance[place]:.4f} Å away; "
                f"{'a vertex' if right else 'no vertex'} by definition",
            )
        )
    distance, which = nearest(ours, zeo.nodes, row.lattice)
    same = (distance < TOLERANCE) & (np.abs(complex_.radii - zeo.radii[which]) < TOLERANCE)
    counts["our vertices"] += len(same)
    counts["our vertices that are Zeo++'s"] += int(same.sum())
    for place in np.flatnonzero(~same):
        rank = space.rank(ours[place], complex_.radii[place])
        if rank >= 2 and distance[place] < BUNDLE and abs(complex_.radii[place] - zeo.radii[which[place]]) < BUNDLE:
            counts["our vertices near Zeo++'s within the bundle, right by definition"] += 1
            continue
        if rank == 2:
            counts["our vertices on an edge (flat tetrahedra)"] += 1
            continue
        found.append(
            Found(
                row.id,
                "vertex of ours is not Zeo++'s",
                "Zeo++" if rank == 3 else "ours",
                f"at {ours[place].round(4).tolist()}, r {complex_.radii[place]:.4f}, nearest of Zeo++ {distance[place]:.4f} Å away; "
                f"{'a vertex' if rank == 3 else 'no vertex'} by definition",
            )
        )
    largest = int(complex_.radii.argmax())
    counts["largest voids"] += 1
    if abs(zeo.largest - complex_.radii[largest]) < TOLERANCE:
        counts["largest voids equal to Zeo++'s"] += 1
    else:
        right = space.rank(ours[largest], complex_.radii[largest]) >= 2 and complex_.radii[largest] > zeo.largest
        detail = f"Zeo++ {zeo.largest:.4f}, ours {complex_.radii[largest]:.4f}, which is an empty sphere: {right}"
        found.append(Found(row.id, "largest void", "Zeo++" if right else "?", detail))
    return found


def compare_percolation(row: Row, channels: Any, zeo: ZeoNetwork, counts: Counter[str]) -> list[Found]:
    """Our r1, r2, r3 beside those of Zeo++'s network and beside its free sphere; SciPy decides."""
    from builders.channels.percolation import percolate

    each = (zeo.edges[:, 0] < zeo.edges[:, 1]) | (
        (zeo.edges[:, 0] == zeo.edges[:, 1]) & (zeo.offsets @ [1_000_000, 1_000, 1] > 0)
    )
    ours = channels.percolation.radii
    theirs = percolate(zeo.edges[each], zeo.offsets[each], zeo.widths[each], len(zeo.nodes)).radii
    different = []
    for k in range(3):
        counts["percolation radii"] += 1
        if abs(theirs[k] - ours[k]) < TOLERANCE:
            counts["percolation radii equal to those of Zeo++'s network"] += 1
        else:
            different.append((k, f"r{k + 1} of Zeo++'s network", theirs[k]))
    counts["free spheres"] += 1
    if abs(zeo.free - ours[0]) < TOLERANCE:
        counts["free spheres equal to r1"] += 1
    else:
        different.append((0, "free sphere", zeo.free))
    if not different:
        return []
    exact = definition_radii(row, float(channels.voids.r_void.max()))
    found = []
    for k, what, value in different:
        fault = (
            "Zeo++" if abs(exact[k] - ours[k]) < TOLERANCE else ("ours" if abs(exact[k] - value) < TOLERANCE else "?")
        )
        found.append(
            Found(row.id, "percolation radius", fault, f"{what} {value:.4f}, ours {ours[k]:.4f}, SciPy {exact[k]:.4f}")
        )
    return found


def in_cell(fractions: Floats, lattice: Floats, other: Floats) -> Floats:
    """The atoms of a crystal in another cell of it, fractional; each once."""
    shape = other @ np.linalg.inv(lattice)
    reach = np.ceil(np.abs(shape).sum(axis=0)).astype(int)
    cells = np.array(list(itertools.product(*(range(-n, n + 1) for n in reach))))
    places = ((fractions[:, None] + cells).reshape(-1, 3) @ lattice @ np.linalg.inv(other)) % 1.0
    kept: list[int] = []
    tree = cKDTree(places % 1.0, boxsize=1.0)
    taken = np.zeros(len(places), dtype=bool)
    nearest_plane = 0.05 * float(np.linalg.norm(np.linalg.inv(other), axis=0).max())
    for place, copies in enumerate(tree.query_ball_point(places, nearest_plane)):
        if not taken[place]:
            kept.append(place)
            taken[copies] = True
    return places[kept]


def compare_volumes(
    row: Row, complex_: Any, voids: Any, freud: Peer, draw: random.Random, counts: Counter[str]
) -> list[Found]:
    """Volumes of all atoms, and of some voids put in with the translates of the conventional cell, as R_sd is defined."""
    from builders.channels.symmetry import SYMPREC, find_symmetry
    from builders.geometry.measures import voronoi_volumes
    from store.crystal import Crystal

    found = []
    ours, theirs = voronoi_volumes(complex_), freud(row.frac_coords, row.lattice)
    cell = abs(float(np.linalg.det(row.lattice)))
    counts["atomic volumes"] += len(ours)
    worst = np.abs(ours / theirs - 1.0)
    counts["atomic volumes equal to freud's"] += int((worst < TOLERANCE).sum())
    for atom in np.flatnonzero(worst >= TOLERANCE):
        sums = f"sum/cell - 1: ours {ours.sum() / cell - 1:.1e}, freud {theirs.sum() / cell - 1:.1e}"
        fault = "freud" if abs(theirs.sum() / cell - 1) > 1e-5 > abs(ours.sum() / cell - 1) else "?"
        found.append(
            Found(row.id, "atomic volume", fault, f"atom {atom}: {ours[atom]:.5f}, freud {theirs[atom]:.5f}; {sums}")
        )
    symmetry = find_symmetry(Crystal(row.lattice, row.frac_coords, row.species), SYMPREC)
    conventional = row.lattice if symmetry is None else symmetry.conventional
    block = in_cell(row.frac_coords, row.lattice, conventional)
    orbits = sorted(set(voids.orbit.tolist()))
    for orbit in draw.sample(orbits, min(SAMPLE, len(orbits))):
        member = int(np.flatnonzero(voids.orbit == orbit)[0])
        counts["R_sd"] += 1
        place = voids.frac_coords[member] @ row.lattice @ np.linalg.inv(conventional)
        with_void = np.concatenate([block, place[None]])
        expected = (3 * freud(with_void, conventional)[-1] / (4 * np.pi)) ** (1 / 3)
        if abs(voids.r_sd[member] / expected - 1) < TOLERANCE:
            counts["R_sd equal to freud's"] += 1
        else:
            detail = (
                f"void {voids.frac_coords[member].round(4).tolist()}: {voids.r_sd[member]:.5f}, freud {expected:.5f}"
            )
            found.append(Found(row.id, "R_sd", "?", detail))
    return found


def check(row: Row, zeo: Peer, freud: Peer, draw: random.Random, counts: Counter[str]) -> tuple[list[str], list[Found]]:
    """Flags of one compound and all that differs; flagged ones are compared too, but only the others count."""
    from builders.channels.analysis import analyse
    from builders.geometry.delaunay import periodic_delaunay
    from store.crystal import Crystal
    from store.errors import IonatlasError

    try:
        channels = analyse(Crystal(row.lattice, row.frac_coords, row.species), "Li")
    except IonatlasError as error:
        return [type(error).__name__], []
    flags = [flag.code for flag in channels.flags]
    frame = row.framework()
    complex_ = periodic_delaunay(frame.frac_coords, frame.lattice)
    found: list[Found] = []
    try:
        network = zeo(frame.frac_coords, frame.lattice)
    except PeerFailed as error:
        counts["structures without an answer of Zeo++"] += 1
        found.append(Found(row.id, "no answer", "Zeo++", str(error)))
    else:
        found += compare_vertices(frame, complex_, network, counts)
        found += compare_percolation(frame, channels, network, counts)
    try:
        found += compare_volumes(frame, complex_, channels.voids, freud, draw, counts)
    except PeerFailed as error:
        found.append(Found(row.id, "no answer", "freud", str(error)))
    return flags, found


def flags_of(row: Row) -> list[str]:
    """Flags of one crystal."""
    from builders.channels.analysis import analyse
    from store.crystal import Crystal
    from store.errors import IonatlasError

    try:
        return [flag.code for flag in analyse(Crystal(row.lattice, row.frac_coords, row.species), "Li").flags]
    except IonatlasError as error:
        return [type(error).__name__]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--structures", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    zeo, freud = Peer(zeo_network, 120.0), Peer(freud_volumes, 120.0)
    counts: Counter[str] = Counter()
    flagged: dict[str, list[str]] = {}
    found: list[Found] = []
    sizes = []
    started = time.perf_counter()
    alloys: dict[str, list[str]] = {}
    for row in compounds("Li", arguments.seed):
        if not is_analysed(row.formula, "Li"):  # no anions to speak of: the builder leaves it out, we look at its flags
            alloys[row.id] = flags_of(row)
            continue
        if len(sizes) == arguments.structures:
            break
        sizes.append(len(row.species))
        flags, differences = check(row, zeo, freud, draw, counts)
        if flags:
            flagged[row.id] = flags
        found += differences
    seconds = time.perf_counter() - started
    zeo.close()
    freud.close()
    codes = Counter(code for flags in flagged.values() for code in flags)
    kinds = Counter((each.what, each.fault) for each in found)
    doubtful = {each.id for each in found if each.fault in ("ours", "?")}
    wrong = doubtful - set(flagged)
    for each in found:
        print(f"  {each.id}: {each.what}, fault of {each.fault}: {each.detail}")
    report(
        "channels_correct",
        [
            (
                f"random Li compounds with anions, mean {statistics.fmean(sizes):.0f} atoms",
                str(arguments.structures),
                f"{seconds:.0f} s",
            ),
            ("flagged", f"{len(flagged)} ({100 * len(flagged) / arguments.structures:.1f} %)", "bar 0.5 %"),
            *((f"    {code}", str(number), "") for code, number in codes.most_common()),
            (
                "alloys met on the way (not analysed by the builder)",
                str(len(alloys)),
                f"flagged {sum(map(bool, alloys.values()))}",
            ),
            *((name, str(number), "") for name, number in counts.items()),
            *(
                (f"different: {what}, fault of {fault}", str(number), "")
                for (what, fault), number in kinds.most_common()
            ),
            ("flagged compounds where ours is wrong or it is open who is", str(len(doubtful - wrong)), ""),
            ("unflagged compounds where ours is wrong or it is open who is", str(len(wrong)), "bar 0"),
        ],
        {
            "structures": arguments.structures,
            "seed": arguments.seed,
            "seconds": seconds,
            "flagged": flagged,
            "alloys": alloys,
            "counts": counts,
            "different": [each._asdict() for each in found],
        },
    )


if __name__ == "__main__":
    main()
