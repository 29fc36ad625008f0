"""Cost of voids, channels and percolation, beside Zeo++ and pymatgen on the same frameworks in the same run, on one core.

    python benchmarks/channels.py [--structures 60] [--repeats 5]

Ours is the network that Zeo++ makes too, vertices and edges of the Voronoi partition with their radii, and r1, r2, r3 with
directions; beside it the same with what an analysis adds: merged voids and channels, Betti numbers. Zeo++ is asked for its decomposition and its free sphere (one radius, no
directions), twice: through its Python binding pyzeo, and its C++ functions alone, called past the binding. Times are
the shortest of several runs in CPU ms; files are read before the clock starts; ours and the peers take turns on one core.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from channels_common import (
    Ratios,
    Row,
    compounds,
    exponent,
    least_cpu,
    lithium_cobalt_oxide,
    lithium_iron_phosphate,
    one_core,
)
from channels_peers import Peer, PeerFailed, pymatgen_polyhedra, zeo_times
from common import report

SEED = 20230
DISPLACEMENT = 0.03
"""Å; of the atoms of supercells, so that the copies differ."""
BARS = {"network at 30": 1.2, "network at 224": 12.0, "VoronoiNN": 12.0, "analyses a second": 80.0, "exponent": 0.8}
ENGINE = "engine alone, decomposition and free sphere"
BINDING = "decomposition and free sphere"


def our_network(row: Row) -> Callable[[], Any]:
    """Vertices and edges of the partition with their radii and bottlenecks, and r1, r2, r3."""
    from builders.channels.network import voronoi_edges
    from builders.channels.percolation import percolate
    from builders.geometry.delaunay import periodic_delaunay

    def run() -> Any:
        partition = periodic_delaunay(row.frac_coords, row.lattice)
        edges = voronoi_edges(partition)
        return percolate(edges.vertices, edges.offsets, edges.r_open, len(partition.tetrahedra))

    return run


def our_certified_network(row: Row) -> Callable[[], Any]:
    """The same with merged voids and channels and the Betti numbers, as an analysis makes it."""
    import numpy as np

    from builders.channels.analysis import analyse_network

    cations = np.zeros(len(row.species), dtype=bool)
    return lambda: analyse_network(row.frac_coords, row.lattice, cations)


def our_analysis(row: Row) -> Callable[[], Any]:
    """The whole analysis: symmetry, R_sd of distinct voids, hops between the ion sites."""
    from builders.channels.analysis import analyse
    from store.crystal import Crystal

    crystal = Crystal(row.lattice, row.frac_coords, row.species)
    return lambda: analyse(crystal, "Li")


def sized(count: int, least: int, most: int, seed: int) -> list[Row]:
    """Random Li compounds whose framework has so many atoms."""
    frameworks = (row.framework() for row in compounds("Li", seed))
    return list(itertools.islice((row for row in frameworks if least <= len(row.species) <= most), count))


def near_224() -> list[Row]:
    """Supercells and large crystals of 200 to 250 atoms, Li included."""
    perturbed = [
        lithium_iron_phosphate().supercell((2, 2, 2), DISPLACEMENT),
        lithium_cobalt_oxide().supercell((3, 3, 2), DISPLACEMENT),
    ]
    large = (row for row in compounds("Li", SEED) if 200 <= len(row.species) <= 250)
    return [row.framework() for row in [*perturbed, *itertools.islice(large, 4)]]


def against_zeo(rows: list[Row], repeats: int) -> dict[str, Any]:
    """Times of ours and of Zeo++, one structure after the other, and what Zeo++ could not do."""
    zeo = Peer(zeo_times, 300.0)
    ours: list[float] = []
    certified: list[float] = []
    peer: list[dict[str, float]] = []
    measured, failed = [], {}
    for row in rows:
        try:
            times = zeo(row.frac_coords, row.lattice, repeats)
        except PeerFailed as error:
            failed[row.id] = str(error)
            continue
        ours.append(least_cpu(our_network(row), repeats))
        certified.append(least_cpu(our_certified_network(row), repeats))
        peer.append(times)
        measured.append(row)
    zeo.close()
    names = [name for name in peer[0] if all(name in times for times in peer)]
    return {
        "structures": len(measured),
        "mean atoms": statistics.fmean(len(row.species) for row in measured),
        "ours": statistics.fmean(ours),
        "ours certified": statistics.fmean(certified),
        "zeo certified": {name: Ratios.of(certified, [times[name] for times in peer])._asdict() for name in names},
        "zeo": {name: Ratios.of(ours, [times[name] for times in peer])._asdict() for name in names},
        "zeo failed": failed,
        "each": [
            {"id": row.id, "atoms": len(row.species), "ours": mine, **times}
            for row, mine, times in zip(measured, ours, peer, strict=True)
        ],
    }


def against_pymatgen(rows: list[Row], repeats: int) -> dict[str, Any]:
    """Times of ours and of VoronoiNN's polyhedra of all atoms."""
    from pymatgen.core import Lattice, Structure

    ours, peer, failed = [], [], {}
    for row in rows:
        structure = Structure(Lattice(row.lattice), row.species, row.frac_coords)
        try:
            peer.append(least_cpu(lambda crystal=structure: pymatgen_polyhedra(crystal), 1))  # type: ignore[misc]
        except Exception as error:  # it raises bare errors where a Voronoi cell is not closed within its cutoff
            failed[row.id] = f"{type(error).__name__}: {error}"
            continue
        ours.append(least_cpu(our_network(row), repeats))
    return {"structures": len(ours), **Ratios.of(ours, peer)._asdict(), "failed": failed}


def whole(count: int, repeats: int) -> dict[str, Any]:
    """Whole analyses of random Li compounds of any size."""
    rows = list(itertools.islice(compounds("Li", SEED), count))
    started = time.process_time()
    times = [least_cpu(our_analysis(row), repeats) for row in rows]
    return {
        "structures": count,
        "mean atoms": statistics.fmean(len(row.species) for row in rows),
        "mean ms": statistics.fmean(times),
        "a second": 1e3 / statistics.fmean(times),
        "slowest": sorted(
            ((taken, len(row.species), row.id) for row, taken in zip(rows, times, strict=True)), reverse=True
        )[:5],
        "measured in s": time.process_time() - started,
    }


def in_rounds(runs: list[Callable[[], Any]], rounds: int) -> list[float]:
    """Shortest times, all sizes taken in turn: a slow spell of the machine must not fall on one size alone."""
    shortest = [float("inf")] * len(runs)
    for _ in range(rounds):
        for place, run in enumerate(runs):
            shortest[place] = min(shortest[place], least_cpu(run, 1))
    return shortest


def growth(repeats: int, random_each: int) -> dict[str, Any]:
    """Exponents of cost over atoms, 12 to 450, for supercells and for random compounds."""
    oxide, phosphate = lithium_cobalt_oxide(), lithium_iron_phosphate()
    series = {
        "LiCoO2 supercells": [
            oxide.supercell(times, DISPLACEMENT)
            for times in [(1, 1, 1), (2, 1, 1), (2, 2, 1), (3, 3, 1), (3, 3, 2), (6, 3, 2)]
        ],
        "LiFePO4 supercells": [
            phosphate.supercell(times, DISPLACEMENT)
            for times in [(1, 1, 1), (1, 1, 2), (1, 2, 2), (2, 2, 2), (2, 2, 4)]
        ],
        "random compounds": _stratified(random_each),
    }
    told: dict[str, Any] = {}
    zeo = Peer(zeo_times, 300.0)
    for name, rows in series.items():
        sizes = [len(row.species) for row in rows]
        ours = in_rounds([our_network(row.framework()) for row in rows], 2 * repeats)
        wholes = in_rounds([our_analysis(row) for row in rows], repeats)
        told[name] = {"atoms": sizes, "ms": ours, "exponent": exponent(sizes, ours), "whole ms": wholes}
        told[name]["whole exponent"] = exponent(sizes, wholes)
        if name == "LiCoO2 supercells":
            theirs = [zeo(row.framework().frac_coords, row.framework().lattice, 1) for row in rows]
            told[name]["zeo exponents"] = {key: exponent(sizes, [times[key] for times in theirs]) for key in theirs[0]}
            told[name]["zeo"] = theirs
    zeo.close()
    return told


def _stratified(each: int) -> list[Row]:
    """Random compounds, as many from 12 to 24 atoms as from 25 to 49 and so on to 450."""
    edges = [12, 25, 50, 100, 200, 451]
    bins: list[list[Row]] = [[] for _ in edges[1:]]
    for row in compounds("Li", SEED + 1):
        for place, (low, high) in enumerate(itertools.pairwise(edges)):
            if low <= len(row.species) < high and len(bins[place]) < each:
                bins[place].append(row)
        if all(len(some) == each for some in bins):
            break
    return [row for some in bins for row in some]


def _zeo_rows(title: str, told: dict[str, Any], bar: float) -> list[tuple[str, str, str]]:
    rows = [
        (
            f"{title} ({told['structures']} frameworks, mean {told['mean atoms']:.0f} atoms), ours",
            f"{told['ours']:.2f} ms",
            "",
        )
    ]
    for name, ratio in told["zeo"].items():
        rows.append((f"    Zeo++, {name}", str(Ratios(**ratio)), f"bar {bar}x" if name == BINDING else ""))
    rows.append(("    ours with merged voids and Betti numbers", f"{told['ours certified']:.2f} ms", ""))
    for name, ratio in told["zeo certified"].items():
        rows.append((f"        Zeo++, {name}", str(Ratios(**ratio)), ""))
    if told["zeo failed"]:
        rows.append(("    Zeo++ gave no answer", str(len(told["zeo failed"])), "left out"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--structures", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    one_core()
    at_30 = sized(arguments.structures, 24, 40, SEED)
    values: dict[str, Any] = {
        "unit": "CPU ms, shortest of several runs",
        "bars": BARS,
        "network at 30": against_zeo(at_30, arguments.repeats),
        "network at 224": against_zeo(near_224(), arguments.repeats),
        "VoronoiNN at 30": against_pymatgen(at_30[:20], arguments.repeats),
        "VoronoiNN at 224": against_pymatgen(near_224()[:2], arguments.repeats),
        "whole analysis": whole(arguments.structures, min(3, arguments.repeats)),
        "growth": growth(arguments.repeats, 8),
    }
    analysis, growing = values["whole analysis"], values["growth"]
    print(f"load when it ended: {os.getloadavg()[0]:.1f}")
    report(
        "channels",
        [
            *_zeo_rows("network and r1..r3 at about 30", values["network at 30"], BARS["network at 30"]),
            *_zeo_rows("network and r1..r3 at 200 to 250", values["network at 224"], BARS["network at 224"]),
            *(
                (
                    f"    {each['id']}, {each['atoms']} atoms: ours",
                    f"{each['ours']:.1f} ms",
                    f"Zeo++ {each[BINDING]:.0f} ms ({each[BINDING] / each['ours']:.1f}x), "
                    f"engine alone {each.get(ENGINE, float('nan')):.0f} ms ({each.get(ENGINE, float('nan')) / each['ours']:.1f}x)",
                )
                for each in values["network at 224"]["each"]
            ),
            *(
                (
                    f"pymatgen VoronoiNN, all polyhedra, {name.split()[-1]} atoms",
                    str(Ratios(*(values[name][field] for field in Ratios._fields))),
                    f"bar {BARS['VoronoiNN']}x",
                )
                for name in ("VoronoiNN at 30", "VoronoiNN at 224")
            ),
            (
                f"whole analysis, {analysis['structures']} random Li compounds, mean {analysis['mean atoms']:.0f} atoms",
                f"{analysis['a second']:.0f} a second and core ({analysis['mean ms']:.2f} ms)",
                f"bar {BARS['analyses a second']:.0f}",
            ),
            *(
                (
                    f"growth over {min(told['atoms'])} to {max(told['atoms'])} atoms, {name}",
                    f"N^{told['exponent']:.2f}",
                    f"bar N^{BARS['exponent']}; whole analysis N^{told['whole exponent']:.2f}",
                )
                for name, told in growing.items()
            ),
            *(
                (f"    Zeo++, {name}", f"N^{slope:.2f}", "")
                for name, slope in growing["LiCoO2 supercells"]["zeo exponents"].items()
            ),
        ],
        values,
    )


if __name__ == "__main__":
    main()
