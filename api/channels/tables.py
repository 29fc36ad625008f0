"""Tables of hops, voids and channels: for programs as data frames, for people as rows of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from api.channels.words import along, atoms_of, place, site_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from api.channels.report import ChannelReport

UNITS: Final = {
    "x": "", "y": "", "z": "", "r1": "Å", "r2": "Å", "r3": "Å", "radii": "Å", "lattice": "Å", "r_sd": "Å", "r_void": "Å",
    "r_chan": "Å", "r_bottleneck": "Å", "r_open": "Å", "p_length": "Å", "length": "Å", "route_length": "Å",
    "site_distance": "Å", "distance": "Å", "jitter": "Å",
}  # fmt: skip
"""Units of the columns and of the keys of :meth:`ChannelReport.to_dict`; "" for shares of a cell vector."""

MEANINGS: Final = {
    "start": "ion site (void, in a host without the ion) where the hop or channel begins",
    "end": "where it ends",
    "offset": "cell of the end, in cell vectors",
    "multiplicity": "equivalent ones in the cell",
    "p_length": "distance of the two sites",
    "r_sd": "radius of a sphere as large as the Voronoi cell of a point put into the void",
    "r_chan": "radius of the channel as published: of a hop, the smallest channel of its void; of a channel, of its circle",
    "r_bottleneck": "narrowest place of the widest route between the two sites",
    "route_length": "length of that route",
    "length": "distance of the two voids",
    "void": "void of the hop, by its number",
    "narrowest": "elements of the atoms around that narrowest place",
    "open": "whether the bottleneck is at least the threshold",
    "rank": "directions in which an ion travels without end that needs no wider passages than this hop's, by ways like this",
    "directions": "those directions, in cell vectors",
    "r_void": "distance from the void's centre to the nearest atoms",
    "orbit": "number shared by equivalent voids",
    "n_members": "vertices of the Voronoi partition that were merged into the void",
    "site": "ion site in the void",
    "site_distance": "distance to the nearest ion site",
    "wide": "whether R_sd is at least the threshold",
    "on_network": "whether the void lies on the network that percolates at the threshold",
    "r_open": "true bottleneck along the channel",
    "atoms": "elements of the atoms that form the channel",
    "inside": "whether the circle's centre lies on the channel, between its two voids",
    "blocked": "whether a cation is among those atoms",
    "role": "1D, 2D, 3D: needed to travel in so many directions; network: a further part of what percolates at the "
    "threshold; side: wide enough but leads nowhere; narrow: below the threshold",
}
"""What the columns mean."""

_ROLES: Final = {1: "1D", 2: "2D", 3: "3D", 4: "network", 5: "side", 6: "narrow"}


_HOP_COLUMNS: Final = (
    "start", "end", "offset", "multiplicity", "p_length", "r_sd", "r_chan", "r_bottleneck", "route_length", "void",
    "narrowest", "open", "rank", "directions",
)  # fmt: skip
_VOID_COLUMNS: Final = (
    "x", "y", "z", "r_sd", "r_void", "orbit", "multiplicity", "n_members", "site", "site_distance", "wide", "on_network",
)  # fmt: skip
_PASSAGE_COLUMNS: Final = (
    "start", "end", "offset", "r_chan", "r_open", "length", "atoms", "inside", "blocked", "role",
)  # fmt: skip


def hops(report: ChannelReport) -> pd.DataFrame:
    """One row a hop, of each symmetry class one."""
    from api.channels.scene import network_of

    found, names = report.channels, site_names(report.channels)
    rows = []
    for hop in found.hops:
        basis = network_of(found, hop)
        narrowest = min(hop.passages, key=lambda number: float(found.passages.r_open[number]), default=None)
        rows.append(
            {
                "start": names[hop.start],
                "end": names[hop.end],
                "offset": [int(step) for step in hop.offset],
                "multiplicity": int(hop.multiplicity),
                "p_length": float(hop.p_length),
                "r_sd": float(hop.r_sd),
                "r_chan": float(hop.r_chan),
                "r_bottleneck": float(hop.r_bottleneck),
                "route_length": float(hop.route_length),
                "void": int(hop.void),
                "narrowest": None if narrowest is None else atoms_of(found, narrowest),
                "open": bool(hop.r_bottleneck >= report.threshold),
                "rank": len(basis),
                "directions": [[int(step) for step in vector] for vector in basis],
            }
        )
    return _frame(rows, _HOP_COLUMNS)


def voids(report: ChannelReport) -> pd.DataFrame:
    """One row a void."""
    found, names = report.channels.voids, site_names(report.channels)
    counts = np.bincount(found.orbit, minlength=1)
    reached = np.zeros(len(found.r_void), dtype=bool)
    reached[report.channels.passages.voids[report.roles <= 4].ravel()] = True
    rows = [
        {
            "x": float(found.frac_coords[k, 0]),
            "y": float(found.frac_coords[k, 1]),
            "z": float(found.frac_coords[k, 2]),
            "r_sd": float(found.r_sd[k]),
            "r_void": float(found.r_void[k]),
            "orbit": int(found.orbit[k]),
            "multiplicity": int(counts[found.orbit[k]]),
            "n_members": int(found.n_members[k]),
            "site": names[int(found.site[k])] if found.site[k] >= 0 else None,
            "site_distance": float(found.site_distance[k]) if np.isfinite(found.site_distance[k]) else None,
            "wide": bool(found.r_sd[k] >= report.limits.r_sd),
            "on_network": bool(reached[k]),
        }
        for k in range(len(found.r_void))
    ]
    return _frame(rows, _VOID_COLUMNS)


def passages(report: ChannelReport) -> pd.DataFrame:
    """One row a channel."""
    found = report.channels.passages
    rows = [
        {
            "start": int(found.voids[k, 0]),
            "end": int(found.voids[k, 1]),
            "offset": found.offsets[k].tolist(),
            "r_chan": float(found.r_chan[k]),
            "r_open": float(found.r_open[k]),
            "length": float(found.length[k]),
            "atoms": atoms_of(report.channels, k),
            "inside": bool(found.inside[k]),
            "blocked": bool(found.blocked[k]),
            "role": _ROLES[int(report.roles[k])],
        }
        for k in range(len(found.r_chan))
    ]
    return _frame(rows, _PASSAGE_COLUMNS)


def _frame(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(columns))
    frame.attrs["units"] = {name: UNITS[name] for name in columns if UNITS.get(name)}
    frame.attrs["meanings"] = {name: MEANINGS[name] for name in columns if name in MEANINGS}
    return frame


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries, with None for what is missing."""
    plain = frame.astype(object)
    rows: list[dict[str, Any]] = plain.where(plain.notna(), None).to_dict("records")
    return rows


Table = tuple[list[tuple[str, bool]], list[list[str]]]
"""Headings, each with whether the column holds numbers, and rows of text."""


def hop_table(report: ChannelReport) -> Table:
    """Hops for people."""
    headings = [
        ("hop", False), ("P_length [Å]", True), ("R_sd [Å]", True), ("r_chan [Å]", True), ("bottleneck [Å]", True),
        ("narrowest at", False), ("in the cell", True), ("at its own width", False), (f">= {report.threshold:.3f}", False),
    ]  # fmt: skip
    rows = [
        [
            f"{row.start} → {place(row.end, row.offset)}",
            f"{row.p_length:.3f}",
            f"{row.r_sd:.3f}",
            f"{row.r_chan:.3f}",
            f"{row.r_bottleneck:.3f}",
            row.narrowest or "–",
            f"{row.multiplicity} ×",
            f"percolates {row.rank}D {along(row.directions) if row.rank < 3 else ''}".strip() if row.rank else "–",
            "open" if row.open else "closed",
        ]
        for row in report.hops.itertuples()
    ]
    return headings, rows


def void_table(report: ChannelReport) -> Table:
    """Voids for people, one of each kind, the largest first."""
    headings = [
        ("void", True), ("R_sd [Å]", True), ("r_void [Å]", True), ("in the cell", True), ("holds", False),
        ("at x, y, z", False), (f"R_sd >= {report.limits.r_sd:.3f}", False), ("on the network", False),
    ]  # fmt: skip
    kinds = report.voids.drop_duplicates("orbit").sort_values("r_sd", ascending=False, kind="stable")
    held = report.voids.dropna(subset=["site"]).groupby("orbit")["site"].agg(_listed)
    rows = [
        [
            str(row.Index),
            f"{row.r_sd:.3f}",
            f"{row.r_void:.3f}",
            f"{row.multiplicity} ×",
            held.get(row.orbit, "–"),
            " ".join(f"{abs(round(value, 3)) % 1.0:.3f}" for value in (row.x, row.y, row.z)),
            "yes" if row.wide else "no",
            "yes" if row.on_network else "no",
        ]
        for row in kinds.itertuples()
    ]
    return headings, rows


def _listed(given: Iterable[str]) -> str:
    names = sorted(set(given), key=lambda name: (len(name), name))
    return " ".join(names) if len(names) <= 4 else f"{' '.join(names[:3])} ... ({len(names)})"
