"""Do layers of lithium mark good conductors? The published claim on the conductivities with structures.

    python benchmarks/lithium_layers.py [--permutations 5000] [--figure docs/pictures/lithium-layers.png]

Data: ``ionic/conductivity.jsonl.gz`` at room temperature, rows with a structure that holds lithium; a bound stands for a value below it.
What is tested and how: :mod:`builders.explanation.claim` and docs/explain.md.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import data_folder, report

from api.explain.rows import Compounds, gather_compounds
from builders.explanation.claim import LAYERED, by_composition, controls, examine


def main() -> None:
    """Test, print, draw."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--permutations", type=int, default=5000)
    arguments.add_argument("--figure", type=Path)
    given = arguments.parse_args()
    began = time.perf_counter()
    compounds = gather_compounds(data_folder() / "ionic" / "conductivity.jsonl.gz")
    alike = np.array([controls(record.crystal) for record in compounds.records if record.crystal is not None])
    findings, differences = examine(compounds.rows, compounds.layering, alike, given.permutations)
    groups = compounds.rows.groups
    target, layers = (by_composition(each, groups) for each in (compounds.rows.target, compounds.layering))
    many = layers[:, 0] > LAYERED
    rows: list[dict[str, Any]] = []
    shown = [
        (
            "compounds; compositions; of these with lithium in layers",
            f"{len(compounds.rows)}; {len(target)}; {many.sum()}",
            "",
        ),
        ("median log10 sigma: layered; others", f"{np.median(target[many]):.2f}; {np.median(target[~many]):.2f}", ""),
    ]
    for statement, what, found in findings:
        told = f"{found.value:+.2f} [{found.lower:+.2f}, {found.upper:+.2f}]"
        shown.append((f"{statement}. {what}", told, f"p = {found.p:.4f}"))
        rows.append({"statement": statement, "what": what, **found._asdict()})
    for each in differences:
        change = each.without - each.with_
        told = f"{each.with_:.3f} -> {each.without:.3f}: {change:+.3f} [{each.lower:+.3f}, {each.upper:+.3f}]"
        shown.append((f"4. {each.what}, mean error", told, ""))
        rows.append({"statement": 4, **each._asdict()})
    summary = {
        "compositions": len(target),
        "layered": int(many.sum()),
        "seconds": time.perf_counter() - began,
        "rows": rows,
    }
    report("lithium_layers", shown, summary)
    if given.figure is not None:
        draw(compounds, given.figure)


def draw(compounds: Compounds, path: Path) -> None:
    """Conductivity against layers and chains, a dot a composition."""
    from matplotlib.figure import Figure

    groups = compounds.rows.groups
    target, layers = (by_composition(each, groups) for each in (compounds.rows.target, compounds.layering))
    kinds = by_composition(
        np.array([controls(record.crystal)[4:] for record in compounds.records if record.crystal is not None]), groups
    ).argmax(axis=1)
    figure = Figure(figsize=(10, 4.2), dpi=130, facecolor="white", layout="constrained")
    for place, (name, axes) in enumerate(
        zip(("layers: log2 (e3 / e2)", "chains: log2 (e2 / e1)"), figure.subplots(1, 2, sharey=True), strict=True)
    ):
        for kind, (label, colour) in enumerate(
            (
                ("oxides", "#c0392b"),
                ("sulfides, selenides", "#d4a017"),
                ("halides", "#1e8449"),
                ("nitrides, hydrides ...", "#2058a8"),
            )
        ):
            chosen = kinds == kind
            shaken = layers[chosen, place] + np.random.default_rng(0).uniform(0, 0.02, chosen.sum())
            axes.scatter(shaken, target[chosen], s=16, color=colour, alpha=0.65, label=label, linewidths=0)
        axes.set_xlabel(name)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("log10 of the conductivity, S/cm")
    figure.axes[1].legend(frameon=False, fontsize=9)
    figure.savefig(path)
    print(f"written: {path}")


if __name__ == "__main__":
    main()
