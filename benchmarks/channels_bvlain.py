"""Dimension of the channels of 200 random lithium compounds beside BVlain's void percolation, every disagreement explained.

    python benchmarks/channels_bvlain.py [--structures 200] [--resolution 0.2] [--seed 7]

BVlain puts a grid into the cell and takes for every grid point the distance to the surfaces of the ions (Shannon radii
averaged over coordination numbers); where the points with more than a probe's radius connect through the crystal, it
percolates. Ours is exact, measured to the centres of the atoms, without radii. Both are asked for the dimension at the
same probe: t, our threshold of (Li, anion), is t minus BVlain's radius of that anion on its scale.

A disagreement has a cause, found by changing one thing at a time on the way from ours to BVlain's:

    ours -> atoms as points on BVlain's grid -> ionic radii -> two nearest ions only -> BVlain's count of dimensions ->
    BVlain's bisection, which stops at 0.1 Å
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from channels_common import Floats, Row, compounds
from channels_grid import FINE, grid_dimension, grid_radii
from channels_peers import Peer, PeerFailed
from common import report

STEPS = {
    "grid": "the grid: the middle of a passage lies between its points, so that it looks narrower",
    "radii": "the ionic radii: ours gives every atom the same size, BVlain small cations and each anion its own",
    "nearest": "the two nearest centres: BVlain looks at no third ion, though a larger one farther away may be nearer by its surface",
    "count": "BVlain's count of dimensions in a 2x2x2 supercell",
    "bisection": "BVlain's bisection: it stops within 0.1 Å and returns the lower end",
}
"""What changes from one verdict to the next."""
LEVELS = (2, 4, 8)
"""Cells of a 2x2x2 supercell that one component reaches when it percolates in 1, 2, 3 directions, as BVlain counts."""


class Study:
    """One crystal in BVlain."""

    def __init__(self, row: Row, resolution: float) -> None:
        from bvlain import Lain
        from pymatgen.core import Lattice, Structure

        self._resolution = resolution
        self._lain = Lain(verbose=False)
        self._lain.n_jobs, self._lain.backend = 1, "threading"
        structure = Structure(Lattice(row.lattice), row.species, row.frac_coords)
        self.structure = self._lain.read_structure(structure)

    def field(self, *, ionic: bool, neighbours: int) -> Floats:
        """Distances on the grid, Å."""
        values = self._lain.void_distribution(
            "Li1+", r_cut=10.0, resolution=self._resolution, k=neighbours, ionic=ionic
        )
        return np.array(values, dtype=float)

    def ionic_radii(self) -> dict[str, float]:
        """BVlain's radius of each framework element, the mean where it has several charges."""
        symbols = np.array(self._lain.atoms.get_chemical_symbols())
        radii = self._lain.atoms.get_array("r_i")
        return {symbol: float(radii[symbols == symbol].mean()) for symbol in sorted(set(symbols.tolist()))}

    def percolation_radii(self, field: Floats) -> list[float]:
        """BVlain's answer; it measures from the smallest value of the grid, or from 0 where there are negative ones."""
        self._lain.void_data = field
        found = self._lain.percolation_radii()
        return [found[f"r_{k}D"] + max(0.0, float(field.min())) for k in (1, 2, 3)]

    def dimension(self, field: Floats, probe: float) -> int:
        """BVlain's own count at one probe."""
        clipped = np.where(field > 0, field, 0)
        labels, features = self._lain._connected_components(clipped, probe - clipped.min(), task="void")
        cells = self._lain._percolation_dimension(labels, features)
        return int(sum(cells >= level for level in LEVELS))


def study(row: Row, anion: str, t: float, resolution: float) -> dict[str, Any]:
    """All verdicts of one crystal."""
    warnings.simplefilter("ignore")
    crystal = Study(row, resolution)
    points = crystal.field(ionic=False, neighbours=2)
    nearest = crystal.field(ionic=True, neighbours=2)
    ionic = crystal.field(ionic=True, neighbours=24)
    radii = crystal.ionic_radii()
    probe = t - radii[anion]
    bisected_points = crystal.percolation_radii(points)
    bisected = crystal.percolation_radii(nearest)
    return {
        "ionic radii": radii,
        "charges": {
            symbol: sorted({int(site.specie.oxi_state) for site in crystal.structure if site.specie.symbol == symbol})
            for symbol in radii
        },
        "probe": probe,
        "points": grid_radii(points),
        "bvlain points": bisected_points,
        "ionic": grid_radii(ionic),
        "bvlain": bisected,
        "points at probe": {
            "grid": grid_dimension(points, t)[0],
            "modulo 2": grid_dimension(points, t)[1],
            "count": crystal.dimension(points, t),
            "bisection": int(sum(radius >= t for radius in bisected_points)),
        },
        "ionic at probe": {
            "grid": grid_dimension(points, t)[0],
            "radii": grid_dimension(ionic, probe)[0],
            "nearest": grid_dimension(nearest, probe)[0],
            "modulo 2": grid_dimension(nearest, probe)[1],
            "count": crystal.dimension(nearest, probe),
            "bisection": int(sum(radius >= probe for radius in bisected)),
        },
    }


def finer(row: Row, t: float, resolution: float) -> int:
    """Dimension of the atoms as points on a grid of half the spacing."""
    warnings.simplefilter("ignore")
    return grid_dimension(Study(row, resolution / 2).field(ionic=False, neighbours=2), t)[0]


def shift_to_agree(radii: Sequence[float], t: float, verdict: int) -> float:
    """By how much our threshold would have to move for our verdict to be this one, Å."""
    lowest = radii[verdict] if verdict < 3 else 0.0  # not below: the next direction must stay closed
    highest = radii[verdict - 1] if verdict else float("inf")
    return max(0.0, t - highest, lowest - t)


def causes(ours: int, verdicts: dict[str, int]) -> list[str]:
    """Steps at which the verdict changes."""
    found = []
    before = ours
    for name in STEPS:
        if name in verdicts:
            if verdicts[name] != before:
                said = name
                if name == "count":
                    said += (
                        ", translations modulo 2"
                        if verdicts["count"] == verdicts["modulo 2"]
                        else ", labels not all joined"
                    )
                if name == "radii":
                    said += ", BVlain wider" if verdicts[name] > before else ", BVlain narrower"
                if name == "grid":
                    said += ", BVlain wider" if verdicts[name] > before else ", BVlain narrower"
                found.append(said)
            before = verdicts[name]
    return found


def our_side(row: Row) -> tuple[tuple[float, float, float], str | None, float | None]:
    """Percolation radii, anion and threshold."""
    from builders.channels.analysis import analyse_network
    from builders.channels.framework import split
    from builders.channels.thresholds import threshold
    from store.crystal import Crystal

    frame = split(Crystal(row.lattice, row.frac_coords, row.species), "Li")
    radii = analyse_network(frame.crystal.frac_coords, row.lattice, frame.cations).percolation.radii
    return radii, frame.anion, None if frame.anion is None else threshold("Li", frame.anion).r_chan


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Rank correlation."""
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic)


def pattern(radii: Sequence[float], tolerance: float) -> tuple[bool, bool]:
    """Whether r1 = r2 and r2 = r3: the same on every scale."""
    return radii[0] - radii[1] < tolerance, radii[1] - radii[2] < tolerance


def gather(count: int, resolution: float, seed: int, seconds: float) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Verdicts on so many compounds, and the compounds that BVlain could not take, with its reason."""
    peer, again = Peer(study, seconds), Peer(finer, seconds)
    rows: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for row in compounds("Li", seed):
        if len(rows) == count:
            break
        radii, anion, t = our_side(row)
        if anion is None or t is None:
            failed[row.id] = "no anion: no threshold and no ionic radii"
            continue
        try:
            told = peer(row, anion, t, resolution)
        except PeerFailed as error:
            failed[row.id] = str(error)
            continue
        dimension = sum(radius >= t for radius in radii)
        verdicts = (told["points at probe"]["bisection"], told["ionic at probe"]["bisection"])
        known = {"id": row.id, "formula": row.formula, "atoms": len(row.species), "anion": anion, "t": t}
        told["points shift"], told["ionic shift"] = (shift_to_agree(radii, t, verdict) for verdict in verdicts)
        if told["points at probe"]["grid"] != dimension:
            try:
                told["half the spacing"] = again(row, t, resolution)
            except PeerFailed as error:
                told["half the spacing"] = str(error)
        rows.append({**known, "ours": radii, "dimension": dimension, **told})
        if len(rows) % 20 == 0:
            print(f"  {len(rows)} of {count}", flush=True)
    peer.close()
    again.close()
    return rows, failed


def tables(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Agreement and its causes on both scales."""
    told: dict[str, Any] = {}
    for scale in ("points at probe", "ionic at probe"):
        last = [row[scale]["bisection"] for row in rows]
        matrix = Counter(zip((row["dimension"] for row in rows), last, strict=True))
        different = {
            row["id"]: causes(row["dimension"], row[scale])
            for row in rows
            if row["dimension"] != row[scale]["bisection"]
        }
        told[scale] = {
            "agree": sum(row["dimension"] == verdict for row, verdict in zip(rows, last, strict=True)),
            "agree before its count and bisection": sum(
                row["dimension"] == row[scale]["grid" if scale == "points at probe" else "nearest"] for row in rows
            ),
            "percolates or not, agree": sum(
                (row["dimension"] > 0) == (verdict > 0) for row, verdict in zip(rows, last, strict=True)
            ),
            "agree within 0.1 Å of the threshold": sum(row[f"{scale.split()[0]} shift"] <= 0.1 for row in rows),
            "matrix": {f"ours {mine}D, BVlain {theirs}D": number for (mine, theirs), number in sorted(matrix.items())},
            "causes": dict(Counter(" + ".join(each) for each in different.values()).most_common()),
            "different": different,
        }
    return told


def margins(rows: list[dict[str, Any]]) -> dict[str, float]:
    """How near to the threshold the verdicts are that the grid changes."""
    near = [
        min(abs(radius - row["t"]) for radius in row["ours"])
        for row in rows
        if row["points at probe"]["grid"] != row["dimension"]
    ]
    gone = sum(row.get("half the spacing") == row["dimension"] for row in rows)
    return {
        "number": len(near),
        "gone at half the spacing": gone,
        "median": statistics.median(near) if near else 0.0,
        "largest": max(near, default=0.0),
    }


def correlations(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Rank correlation of each radius with ours."""
    return {
        name: {
            f"r{k + 1}": spearman([row["ours"][k] for row in rows], [row[name][k] for row in rows]) for k in range(3)
        }
        for name in ("points", "bvlain points", "ionic", "bvlain")
    }


def same_patterns(rows: list[dict[str, Any]], tolerance: float = 0.1) -> int:
    """Compounds where the equal ones among r1, r2, r3 are the same for ours and for the points on the grid."""
    return sum(pattern(row["ours"], tolerance) == pattern(row["points"], tolerance) for row in rows)


def text_for_docs(rows: list[dict[str, Any]], failed: dict[str, str], values: dict[str, Any]) -> str:
    """The block for the page of benchmarks."""
    points, ionic = values["points at probe"], values["ionic at probe"]
    count = len(rows)
    lines = [
        f"{count} random Li compounds that BVlain can take (of {count + len(failed)}; {_reasons(failed)}), mean {values['mean atoms']:.0f} atoms, grid {values['resolution']} Å.",
        "",
        "| the same dimension (0 to 3) at the same probe | atoms as points | BVlain's ionic radii |",
        "|---|---|---|",
        f"| BVlain's `percolation_radii` | {_share(points['agree'], count)} | {_share(ionic['agree'], count)} |",
        f"| ... if the threshold may move by 0.1 Å, the step at which BVlain's bisection ends | {_share(points['agree within 0.1 Å of the threshold'], count)} | {_share(ionic['agree within 0.1 Å of the threshold'], count)} |",
        f"| its grid, dimensions counted exactly | {_share(points['agree before its count and bisection'], count)} | {_share(ionic['agree before its count and bisection'], count)} |",
        f"| percolates at all or not | {_share(points['percolates or not, agree'], count)} | {_share(ionic['percolates or not, agree'], count)} |",
        f"| rank correlation of r1, r2, r3 | {_ranks(values['rank correlation']['bvlain points'])} | {_ranks(values['rank correlation']['bvlain'])} |",
        f"| ... of its field, percolation found to {FINE} Å | {_ranks(values['rank correlation']['points'])} | {_ranks(values['rank correlation']['ionic'])} |",
        "",
        f"The scale-free pattern (is r1 = r2, is r2 = r3) is the same in {_share(values['same pattern'], count)} (atoms as points, within 0.1 Å).",
        "",
        "| cause of a disagreement | atoms as points | ionic radii |",
        "|---|---|---|",
    ]
    names = list(dict.fromkeys([*points["causes"], *ionic["causes"]]))
    lines += [f"| {name} | {points['causes'].get(name, 0)} | {ionic['causes'].get(name, 0)} |" for name in names]
    lines += ["", *(f"- *{name}*: {meaning}" for name, meaning in STEPS.items())]
    near = values["margin of the grid's changes"]
    lines += [
        "",
        f"The grid changes {near['number']} verdicts, {near['gone at half the spacing']} of which half the spacing puts right; our nearest radius is "
        f"{near['median']:.3f} Å from the threshold there (median; largest {near['largest']:.3f}).",
    ]
    return "\n".join(lines)


def _share(number: int, of: int) -> str:
    return f"{number} ({100 * number / of:.0f} %)"


def _ranks(values: dict[str, float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values.values())


def _reasons(failed: dict[str, str]) -> str:
    return "; ".join(
        f"{number} {kind}" for kind, number in Counter(_kind(said) for said in failed.values()).most_common()
    )


def _kind(said: str) -> str:
    """A reason without the particulars of its crystal."""
    if said.startswith("KeyError"):
        return "no Shannon radius of the assigned charge"
    if "BV parameters" in said or "alence" in said or "oxidation" in said:
        return "no charges assigned by BVAnalyzer"
    if said.startswith("no answer"):
        return "too slow for BVlain"
    return said.split(":")[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=int, default=200)
    parser.add_argument("--resolution", type=float, default=0.2, help="grid spacing, Å; 0.2 is BVlain's default")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=90.0, help="longest time for one structure in BVlain")
    arguments = parser.parse_args()
    started = time.perf_counter()
    rows, failed = gather(arguments.structures, arguments.resolution, arguments.seed, arguments.seconds)
    values: dict[str, Any] = {
        "structures": len(rows),
        "resolution": arguments.resolution,
        "mean atoms": statistics.fmean(row["atoms"] for row in rows),
        "seconds": time.perf_counter() - started,
        **tables(rows),
        "rank correlation": correlations(rows),
        "same pattern": same_patterns(rows),
        "margin of the grid's changes": margins(rows),
        "failed": failed,
        "rows": rows,
    }
    print(text_for_docs(rows, failed, values))
    report(
        "channels_bvlain",
        [
            (
                f"dimension as BVlain's, {scale}",
                _share(values[scale]["agree"], len(rows)),
                f"its grid counted exactly: {_share(values[scale]['agree before its count and bisection'], len(rows))}",
            )
            for scale in ("points at probe", "ionic at probe")
        ],
        values,
    )


if __name__ == "__main__":
    main()
