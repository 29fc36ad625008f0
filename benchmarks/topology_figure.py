"""The picture of docs/topology.md: persistence diagrams of LiFePO4, a panel a group of atoms.

python benchmarks/topology_figure.py [docs/pictures/topology-LiFePO4.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from builders.topology.persistence import Diagrams

ROOT = Path(__file__).resolve().parent.parent
PANELS = {"ion": "lithium", "anions": "oxygen", "framework": "framework"}
KINDS = (("H0: clusters", "#2058a8"), ("H1: loops", "#d4a017"), ("H2: voids", "#c0392b"))
INK = "#22313f"


def draw(diagrams: dict[str, Diagrams], path: Path) -> None:
    """One dot a kind of bar, as large as there are many; behind them where the framework stops letting pass."""
    from matplotlib.figure import Figure

    from api.pictures import save_figure

    figure = Figure(figsize=(10.5, 3.9), dpi=110, facecolor="white", layout="constrained")
    for axes, (group, title) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        panel(axes, diagrams[group], title)
    radii = diagrams["framework"].essential[2]
    for number, radius in zip((3, 2, 1), radii.tolist(), strict=True):
        axes.axvline(radius, color="#aab4bd", lw=0.9, ls="--", zorder=0)
        axes.text(radius, 0.05 + 0.07 * number, f"r{number}", size=8.5, color=INK, transform=axes.get_xaxis_transform())
    figure.axes[0].set_ylabel("ends at, Å", color=INK)
    figure.axes[0].legend(frameon=False, fontsize=9, loc="lower right", labelcolor=INK, markerscale=0.9)
    save_figure(figure, path)
    print(f"written: {path}")


def panel(axes: Any, diagrams: Diagrams, title: str) -> None:
    """Bars of the infinite crystal of one group; equal ones are one dot."""
    end = max(float(bars.max()) for bars in diagrams.extensive if len(bars)) * 1.08
    axes.plot((0, end), (0, end), color="#aab4bd", lw=1)
    for (label, colour), bars in zip(KINDS, diagrams.extensive, strict=True):
        kinds, counts = np.unique(np.asarray(bars).round(2).reshape(-1, 2), axis=0, return_counts=True)
        sizes = 14.0 + 60.0 * counts / diagrams.n_points
        axes.scatter(*kinds.T, s=sizes, color=colour, alpha=0.8, linewidths=0, label=label)
    axes.set_title(title, color=INK)
    axes.set_xlabel("begins at, Å", color=INK)
    axes.set_xlim(-0.03 * end, end)
    axes.set_ylim(0, end)
    axes.tick_params(labelsize=9, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", type=Path, default=ROOT / "docs" / "pictures" / "topology-LiFePO4.png")
    path = parser.parse_args().path
    from builders.topology.analysis import analyse
    from store.ingest.readers import read_record

    crystal = read_record("cif", (ROOT / "tests" / "crystals" / "LiFePO4.cif").read_bytes()).crystal
    draw(analyse(crystal, "Li"), path)


if __name__ == "__main__":
    main()
