"""Make the table of thresholds: ``python -m builders.channels.derive_thresholds STRUCTURES``.

STRUCTURES is a file of gzip'ed JSON Lines with one structure a line. For each working ion and each anion it may sit among,
structures near the convex hull are drawn at random (fixed seed) and the ion's own surroundings measured: R_sd of the void
that holds it, and the distance of its nearest anion. Every structure counts once, its sites in equal parts. Nothing of the
data is kept but these statistics, with their sample sizes and where they are from.

``--barriers FILE`` checks the factor between the distance of the nearest anion and the radius of a channel: FILE holds hops
with their barriers from first principles, and the share of easy hops whose widest way is no narrower than the threshold is
written beside the table.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import heapq
from collections import Counter, defaultdict
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import orjson

from builders.channels.framework import split
from builders.channels.network import voronoi_edges
from builders.channels.symmetry import find_symmetry
from builders.channels.thresholds import DATA, Threshold, read_table, to_json
from builders.geometry.delaunay import periodic_delaunay
from builders.geometry.insertion import inserted_volumes
from builders.geometry.measures import equivalent_radius
from builders.structures.neighbours import pairs_within, points_of
from builders.structures.validation import validate
from store.crystal import Crystal
from store.errors import IonatlasError
from store.ion_fields import WORKING_IONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from builders.channels.framework import Framework

SEED: Final = 20230703
SAMPLE: Final = 1000  # structures an (ion, anion) pair; p1 then rests on ten of them
LEAST: Final = 30
HULL: Final = 0.1  # eV/atom; hypothetical crystals above it squeeze large ions where they would never sit
LARGEST: Final = 200  # atoms
FACTOR: Final = 0.83
EASY: Final = 0.6  # eV
_SHELL: Final = 1.25
_RADIUS: Final = 6.5  # Å
_QUANTILES: Final = (0.01, 0.05, 0.25, 0.50)

Pair = tuple[str, str | None]


class Surroundings(NamedTuple):
    """What the ion sites of one crystal see; each shape=(n_sites,)."""

    r_sd: NDArray[np.float64]
    nearest: NDArray[np.float64]


def measure(framework: Framework) -> Surroundings | None:
    """Measure the sites all of whose nearest neighbours are the framework's anion (any atom, in a metal).

    Sites with a cation nearer than the anion are left out: Al in Ti3AlC2 is bonded to Ti, not to C.

    Examples
    --------
    >>> rock_salt = Crystal.from_lists([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], ["Na", "Cl"],
    ...                                [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> found = measure(split(rock_salt, "Na"))
    >>> found.nearest.round(3).tolist(), (found.r_sd / 5.6).round(3).tolist()  # octahedral void of an fcc packing
    ([2.8], [0.31])
    """
    chosen, nearest = _pure_sites(framework)
    if not len(chosen):
        return None
    lattice = framework.crystal.lattice
    complex_ = periodic_delaunay(framework.crystal.frac_coords, lattice)
    symmetry = find_symmetry(framework.crystal)
    translates = lattice if symmetry is None else symmetry.conventional  # as in the analysis
    volumes = inserted_volumes(complex_, framework.sites[chosen] @ lattice, translates)
    return Surroundings(equivalent_radius(volumes), nearest)


def _pure_sites(framework: Framework) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the sites whose first shell is the anion alone, and the distance of its nearest atom."""
    atoms, count = framework.crystal, len(framework.sites)
    # The ions go in front: then their numbers are 0 to count - 1.
    places = np.vstack([framework.sites, atoms.frac_coords]) % 1.0
    points = points_of(Crystal(atoms.lattice, places, ("X",) * len(places)))
    pairs = pairs_within(points, _RADIUS, np.arange(count))
    is_anion = np.array([framework.anion in (None, symbol) for symbol in atoms.species])
    seen = pairs.neighbour >= count
    centre, neighbour, distance = pairs.centre[seen], pairs.neighbour[seen] - count, pairs.distance[seen]
    bare = ~framework.cations[neighbour]
    nearest, nearest_cation = np.full(count, np.inf), np.full(count, np.inf)
    np.minimum.at(nearest, centre[bare], distance[bare])
    np.minimum.at(nearest_cation, centre[~bare], distance[~bare])
    foreign = bare & ~is_anion[neighbour] & (distance <= _SHELL * nearest[centre])
    pure = np.isfinite(nearest) & (nearest <= nearest_cation)
    pure[centre[foreign]] = False
    return np.flatnonzero(pure), nearest[pure]


def read(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read the rows that may be sampled, with their numbers."""
    with gzip.open(path, "rb") as file:
        for number, line in enumerate(file):
            row = orjson.loads(line)
            above = row.get("energy_above_hull")
            if above is not None and above <= HULL and len(row["structure"]["species"]) <= LARGEST:
                yield number, row["structure"]


def split_all(structure: dict[str, Any], ions: Iterable[str]) -> Iterator[tuple[Pair, Framework]]:
    """Split a structure for each of the ions it holds; what cannot be split, or not without a doubt, is left out."""
    present = sorted(set(structure["species"]).intersection(ions))
    for ion in present:
        try:
            framework = split(validate(Crystal.from_document(structure)).crystal, ion)
        except IonatlasError:
            continue
        if not framework.flags:
            yield (ion, framework.anion), framework


def draw(path: Path, *, sample: int = SAMPLE, seed: int = SEED) -> tuple[dict[int, list[str]], dict[Pair, int]]:
    """Draw rows for each pair: ``{row number: ions}``, and how many rows there were to draw from."""
    numbers: dict[Pair, list[int]] = defaultdict(list)
    for number, structure in read(path):
        for pair, _ in split_all(structure, WORKING_IONS):
            numbers[pair].append(number)
    drawn: dict[int, list[str]] = defaultdict(list)
    random = np.random.default_rng(seed)
    for pair in sorted(numbers, key=str):
        for number in random.permutation(numbers[pair])[:sample].tolist():
            drawn[number].append(pair[0])
    return drawn, {pair: len(rows) for pair, rows in numbers.items()}


def derive(path: Path, *, sample: int = SAMPLE, seed: int = SEED, least: int = LEAST) -> list[Threshold]:
    """Measure the drawn structures and sum them up, one row a pair with at least ``least`` structures."""
    drawn, available = draw(path, sample=sample, seed=seed)
    found: dict[Pair, list[Surroundings]] = defaultdict(list)
    for number, structure in read(path):
        for pair, framework in split_all(structure, drawn.get(number, ())):
            surroundings = measure(framework)
            if surroundings is not None:
                found[pair].append(surroundings)
    return [
        summarise(pair, found[pair], available[pair]) for pair in sorted(found, key=str) if len(found[pair]) >= least
    ]


def summarise(pair: Pair, found: list[Surroundings], available: int) -> Threshold:
    """Sum up the surroundings of one pair, each structure with weight one."""
    weights = np.concatenate([np.full(len(one.r_sd), 1.0 / len(one.r_sd)) for one in found])
    r_sd = np.concatenate([one.r_sd for one in found])
    nearest = np.concatenate([one.nearest for one in found])
    p1, p5, p25, p50 = weighted_quantiles(r_sd, weights, _QUANTILES)
    mean, distance = float(np.average(r_sd, weights=weights)), float(np.average(nearest, weights=weights))
    sd = float(np.sqrt(np.average((r_sd - mean) ** 2, weights=weights)))
    return Threshold(
        ion=pair[0],
        anion=pair[1],
        r_sd=p1,
        r_chan=FACTOR * distance,
        distance=distance,
        r_sd_p5=p5,
        r_sd_p25=p25,
        r_sd_p50=p50,
        r_sd_mean=mean,
        r_sd_std=sd,
        n=len(found),
        n_sites=len(r_sd),
        n_available=available,
    )


def weighted_quantiles(
    values: NDArray[np.float64], weights: NDArray[np.float64], quantiles: tuple[float, ...]
) -> list[float]:
    """Quantiles where each value counts as much as its weight (interpolated between mid-points).

    Examples
    --------
    >>> weighted_quantiles(np.array([3.0, 1.0, 2.0]), np.ones(3), (0.5,))
    [2.0]
    """
    order = np.argsort(values)
    places = (np.cumsum(weights[order]) - weights[order] / 2) / weights.sum()
    result: list[float] = np.interp(quantiles, places, values[order]).tolist()
    return result


class Hops(NamedTuple):
    """Hops with known barriers; each shape=(n_hops,)."""

    hosts: list[str]
    barriers: NDArray[np.float64]
    """eV"""
    ratios: NDArray[np.float64]
    """bottleneck of the widest way / mean distance of the ion's nearest anion"""


def read_hops(path: Path, rows: list[Threshold]) -> Hops:
    """Measure the hops of a barriers file whose ion and anion are in the table and that carry no quality flag."""
    distances = {(row.ion, row.anion): row.distance for row in rows}
    hosts, barriers, ratios = [], [], []
    with gzip.open(path, "rb") as file:
        for row in map(orjson.loads, file):
            host, ion = Crystal.from_document(row["structure"]), row["working_ion"]
            places = np.vstack([host.frac_coords, row["start_frac"]])
            framework = split(Crystal(host.lattice, places, (*host.species, ion)), ion)
            distance = distances.get((ion, framework.anion))
            if distance is None or row["quality_flags"]:
                continue
            radius = widest_way(framework.crystal, np.array(row["start_frac"]), np.array(row["end_frac"]))
            hosts.append(f"{ion} {row['framework_formula']}")
            barriers.append(row["barrier_eV"])
            ratios.append(radius / distance)
    return Hops(hosts, np.array(barriers), np.array(ratios))


def widest_way(framework: Crystal, start: NDArray[np.float64], end: NDArray[np.float64]) -> float:
    """Radius of the narrowest passage on the widest way between the voids nearest to two places; Å, 0.0 if there is none.

    The way stays within 3 Å of the sphere through the two places: a way round through the next cell is another hop.

    Examples
    --------
    >>> fcc = Crystal.from_lists(np.eye(3) * 4.0, ["O"] * 4, [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    >>> float(np.round(widest_way(fcc, np.array([0.5, 0.5, 0.5]), np.array([0.5, 0, 0])), 3))  # 4 / sqrt(6)
    1.633
    """
    complex_ = periodic_delaunay(framework.frac_coords, framework.lattice)
    edges, lattice = voronoi_edges(complex_), complex_.lattice
    around: dict[int, list[tuple[int, NDArray[np.int64], float]]] = defaultdict(list)
    for (first, second), offset, radius in zip(
        edges.vertices.tolist(), edges.offsets, edges.r_open.tolist(), strict=True
    ):
        around[first].append((second, offset, radius))
        around[second].append((first, -offset, radius))
    middle, reach = (start + end) @ lattice / 2, float(np.linalg.norm((end - start) @ lattice)) / 2 + 3.0
    first, last = (_nearest(complex_.centres, place, lattice) for place in (start, end))
    heap, done = [(-np.inf, *first)], set()
    while heap:
        width, vertex, cell = heapq.heappop(heap)
        if (vertex, cell) == last:
            return -width
        if (vertex, cell) in done:
            continue
        done.add((vertex, cell))
        for other, offset, radius in around[vertex]:
            there = np.add(cell, offset)
            if np.linalg.norm(complex_.centres[other] + there @ lattice - middle) < reach:
                heapq.heappush(heap, (max(width, -radius), other, tuple(there.tolist())))
    return 0.0


def _nearest(
    vertices: NDArray[np.float64], place: NDArray[np.float64], lattice: NDArray[np.float64]
) -> tuple[int, tuple[int, ...]]:
    """Find the vertex nearest to a place, and its cell."""
    apart = place - vertices @ np.linalg.inv(lattice)
    cells = np.round(apart)[:, None, :] + np.array(list(product((-1, 0, 1), repeat=3)))
    distances = np.linalg.norm((apart[:, None, :] - cells) @ lattice, axis=2)
    vertex, image = np.unravel_index(distances.argmin(), distances.shape)
    return int(vertex), tuple(cells[vertex, image].astype(int).tolist())


def check_factor(hops: Hops, source: str) -> dict[str, Any]:
    """Tell how the factor parts easy hops from hard ones, each host (ion and framework) counted once."""
    easy = hops.barriers < EASY
    easy_weights, hard_weights = _host_weights(hops, easy), _host_weights(hops, ~easy)
    p5, p10, p25, p50 = weighted_quantiles(hops.ratios[easy], easy_weights, (0.05, 0.10, 0.25, 0.50))
    passes = hops.ratios >= FACTOR
    return {
        "source": source,
        "easy": f"barrier below {EASY} eV",
        "n_easy": int(easy.sum()),
        "n_hard": int((~easy).sum()),
        "n_hosts": len(set(hops.hosts)),
        "ratio_of_easy_hops": {"p5": round(p5, 3), "p10": round(p10, 3), "p25": round(p25, 3), "p50": round(p50, 3)},
        "easy_that_pass": round(float(np.average(passes[easy], weights=easy_weights)), 3),
        "hard_that_pass": round(float(np.average(passes[~easy], weights=hard_weights)), 3),
    }


def _host_weights(hops: Hops, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    hosts = [host for host, is_chosen in zip(hops.hosts, chosen.tolist(), strict=True) if is_chosen]
    counts = Counter(hosts)
    return np.array([1.0 / counts[host] for host in hosts])


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Make the table of thresholds of voids and channels.")
    parser.add_argument("structures", type=Path, help="gzip'ed JSON Lines, one structure a line")
    parser.add_argument("--out", type=Path, default=DATA, help="file to write (the package's own table)")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="structures a pair")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument(
        "--source",
        default="Materials Project 2025.02 (Jain et al., APL Mater. 1, 011002, 2013, https://doi.org/10.1063/1.4812323)",
        help="what the data is",
    )
    parser.add_argument("--licence", default="CC-BY-4.0", help="licence of the data")
    parser.add_argument("--barriers", type=Path, help="gzip'ed JSON Lines of hops with barriers, to check the factor")
    parser.add_argument(
        "--barriers-source",
        default="Devi et al. 2025, https://doi.org/10.48550/arXiv.2508.06459 (MIT)",
        help="what they are",
    )
    given = parser.parse_args(arguments)
    rows = derive(given.structures, sample=given.sample, seed=given.seed)
    about: dict[str, Any] = {
        "what": "Thresholds of voids and channels for an ion among an anion (null: in metals), and what they come from.",
        "source": given.source,
        "data_file": given.structures.name,
        "data_sha256": hashlib.sha256(given.structures.read_bytes()).hexdigest(),
        "data_licence": given.licence,
        "selection": (
            f"ordered, at most {LARGEST} atoms, at most {HULL} eV/atom above the hull; sites with one kind of anion within "
            f"{_SHELL} times the nearest distance and no cation nearer; {given.sample} structures a pair or all, at least "
            f"{LEAST}; each structure counts once"
        ),
        "r_sd": "1 % quantile of R_sd (Å) of the void that holds the ion, the ion taken out",
        "r_chan": f"{FACTOR} times the mean distance (Å) of the nearest anion",
        "factor": FACTOR,
        "script": "python -m builders.channels.derive_thresholds",
        "seed": given.seed,
        "licence": "BSD-3-Clause",
    }
    if given.barriers is not None:
        rounded = list(read_table(to_json(about, rows)).rows.values())
        about["factor_check"] = check_factor(read_hops(given.barriers, rounded), given.barriers_source)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(to_json(about, rows), encoding="utf-8")
    print(f"{len(rows)} rows in {given.out}")


if __name__ == "__main__":
    main()
