"""The answer about an ion's way through a crystal: barriers of its hops, migration energies, words, tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from api.channels.words import along, place, site_names, spelled
from api.migration.headline import OneDirection

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from builders.channels.model import Channels
    from builders.predictions.energies import HopBarriers, MigrationEnergy

DEFINITION: Final = "the smallest, over the ways through the crystal, of the highest barrier on the way"

UNITS: Final = {"length": "Å", "r_bottleneck": "Å", "value": "eV", "lower": "eV", "upper": "eV"}
MEANINGS: Final = {
    "start": "ion site (void, in a host without the ion) where the hop begins",
    "end": "where it ends",
    "offset": "cell of the end, in cell vectors",
    "multiplicity": "equivalent ones in the cell",
    "length": "distance of the two sites",
    "r_bottleneck": "narrowest place of the widest route between the two sites",
    "value": "predicted migration barrier",
    "lower": "lower end of its 90 % interval",
    "upper": "upper end of its 90 % interval",
    "in_domain": "whether the hop is like those that the model was trained on",
    "distance": "distance from those, in the model's measure",
    "percolates": "whether the hop belongs to a network that leads through the crystal without end",
    "reason": "why it is out of the domain, or has no prediction",
}
"""What the columns of :attr:`MigrationReport.hops` mean."""


@dataclass(frozen=True, eq=False)
class MigrationReport(OneDirection):
    """Predicted barriers of an ion's hops in a crystal, and its migration energy.

    Attributes
    ----------
    name : str
        File, id, or formula.
    formula : str
    channels : builders.channels.model.Channels
        Sites, hops and the framework around them.
    barriers : builders.predictions.energies.HopBarriers
        One row a hop of ``channels.hops``.
    model : str
        The model's id.

    Examples
    --------
    >>> from builders.channels.analysis import analyse
    >>> from builders.predictions.energies import HopBarriers
    >>> from store.crystal import Crystal
    >>> salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5, 0.5, 0.5], [0, 0, 0]])
    >>> value = np.array([0.5])
    >>> barriers = HopBarriers(value, value - 0.2, value + 0.3, np.array([True]), np.array([1.0]), ("",))
    >>> report = MigrationReport("salt", "LiF", analyse(salt, "Li"), barriers, "one-1")
    >>> report.value, report.in_domain, report.energies[2].value
    (0.5, True, 0.5)
    """

    name: str
    formula: str
    channels: Channels
    barriers: HopBarriers
    model: str

    def __repr__(self) -> str:
        return "\n".join([self.headline(), *self.sentences()])

    @property
    def ion(self) -> str:
        """The working ion."""
        return self.channels.ion

    @cached_property
    def energies(self) -> tuple[MigrationEnergy | None, MigrationEnergy | None, MigrationEnergy | None]:
        """Migration energy in one, two and three directions; None where no path leads so."""
        from builders.predictions.energies import migration_energies

        return migration_energies(self.channels.links, self.barriers, self.channels.n_places)

    @cached_property
    def percolates(self) -> NDArray[np.bool_]:
        """shape=(n_hops,), bool; whether each hop belongs to a network without end."""
        from builders.predictions.energies import percolating_hops

        return percolating_hops(self.channels.links, len(self.channels.hops), self.channels.n_places)

    @property
    def failed(self) -> int:
        """Hops without a prediction."""
        return int((~np.isfinite(self.barriers.value)).sum())

    @cached_property
    def hops(self) -> pd.DataFrame:
        """Hops, one of each symmetry class, the widest first; ``attrs`` hold units and meanings."""
        import pandas as pd

        columns = list(MEANINGS)
        frame = pd.DataFrame([{name: row[name] for name in columns} for row in self._hops()], columns=columns)
        frame.attrs["units"] = dict(UNITS)
        frame.attrs["meanings"] = dict(MEANINGS)
        return frame

    def _hops(self) -> Iterator[dict[str, Any]]:
        names, barriers = site_names(self.channels), self.barriers
        for number, hop in enumerate(self.channels.hops):
            known = bool(np.isfinite(barriers.value[number]))
            yield {
                "start": names[hop.start],
                "end": names[hop.end],
                "offset": [int(step) for step in hop.offset],
                "multiplicity": int(hop.multiplicity),
                "length": float(hop.p_length),
                "r_bottleneck": float(hop.r_bottleneck),
                "value": float(barriers.value[number]) if known else None,
                "lower": float(barriers.lower[number]) if known else None,
                "upper": float(barriers.upper[number]) if known else None,
                "in_domain": bool(barriers.in_domain[number]) if known else None,
                "distance": float(barriers.distance[number]) if np.isfinite(barriers.distance[number]) else None,
                "percolates": bool(self.percolates[number]),
                "reason": barriers.reasons[number] or None,
            }

    def rows(self) -> Iterator[dict[str, Any]]:
        """One dictionary a hop, and a last one for the crystal: what ``--json`` prints line by line.

        Yields
        ------
        dict
            ``id`` (``<name>/<ion>/<hop>``, of the last ``<name>/<ion>``), ``ion``, ``value``, ``lower``, ``upper`` (eV),
            ``in_domain``, ``model``; of a hop its geometry, ``reason`` out of the domain and ``error`` without a prediction;
            of the crystal ``limiting_hop``, ``directions`` and the same for two and three directions.
        """
        for number, row in enumerate(self._hops()):
            known = row["value"] is not None
            told = {
                "id": self.hop_id(number),
                "ion": self.ion,
                **{name: row[name] for name in ("value", "lower", "upper", "in_domain")},
                "model": self.model if known else None,
                **{name: row[name] for name in ("start", "end", "offset", "multiplicity", "length", "r_bottleneck")},
                "distance": row["distance"],
                "percolates": row["percolates"],
            }
            if row["reason"]:
                told["reason" if known else "error"] = row["reason"]
            yield told
        one, two, three = (self._energy(energy) for energy in self.energies)
        told = {"id": f"{self.name}/{self.ion}", "ion": self.ion, **one, "model": self.model}
        if one["value"] is None:
            told["reason"] = self.no_way()
        yield told | {"two_directions": two, "three_directions": three, "formula": self.formula}

    def _energy(self, energy: MigrationEnergy | None) -> dict[str, Any]:
        if energy is None:
            names = ("value", "lower", "upper", "in_domain", "limiting_hop")
            return {**dict.fromkeys(names), "directions": []}
        return {
            "value": energy.value,
            "lower": energy.lower,
            "upper": energy.upper,
            "in_domain": energy.in_domain,
            "limiting_hop": self.hop_id(energy.hop),
            "directions": [list(vector) for vector in energy.directions],
        }

    def hop_id(self, number: int) -> str:
        """Name of a hop in lines for programs."""
        return f"{self.name}/{self.ion}/{number}"

    def headline(self) -> str:
        """Say what this is about."""
        told = f"{self.formula}: migration of {spelled(self.ion)}, predicted by {self.model}"
        if not len(self.channels.sites):
            told += f" (insertion: the crystal holds no {self.ion}, hops lead between its voids)"
        return told

    def sentences(self) -> list[str]:
        """Say the migration energies with their definition, intervals and doubts."""
        if self.energies[0] is None:
            return [f"no migration energy: {self.no_way()}"]
        told: list[str] = []
        for ways, energy in self._distinct():
            if energy is None:
                told.append(f"in {ways}: no path")
                continue
            doubt = "" if energy.in_domain else "; outside the model's domain, an extrapolation"
            told.append(
                f"in {ways}: {energy.value:.2f} eV (90 %: {energy.lower:.2f} to {energy.upper:.2f}) "
                f"{along(energy.directions)}, limited by hop {energy.hop}{doubt}"
            )
        return [f"migration energy ({DEFINITION}):", *told]

    def _distinct(self) -> list[tuple[str, MigrationEnergy | None]]:
        """Migration energies with the numbers of directions, equal ones together."""
        numbers: list[list[str]] = []
        kept: list[MigrationEnergy | None] = []
        for number, energy in zip(("one", "two", "three"), self.energies, strict=True):
            if kept and energy == kept[-1]:
                numbers[-1].append(number)
            else:
                numbers.append([number])
                kept.append(energy)
        told = [
            f"{' and '.join(each) if len(each) < 3 else 'one, two and three'} direction{'' if each == ['one'] else 's'}"
            for each in numbers
        ]
        return list(zip(told, kept, strict=True))

    def no_way(self) -> str:
        """Say why there is no migration energy."""
        if not self.channels.hops:
            return "there are no hops"
        if self.failed:
            return f"{self.failed} of {len(self.barriers.value)} hops have no prediction, and the others lead nowhere"
        return "no path over its hops leads through the crystal"

    def table(self) -> tuple[list[tuple[str, bool]], list[list[str]]]:
        """Hops for people: headings, each with whether the column holds numbers, and rows of text."""
        headings = [
            ("hop", True), ("from → to", False), ("length [Å]", True), ("bottleneck [Å]", True), ("in the cell", True),
            ("barrier [eV]", True), ("90 % interval", False), ("leads on", False), ("in domain", False),
        ]  # fmt: skip
        rows = []
        for number, row in enumerate(self._hops()):
            known = row["value"] is not None
            rows.append(
                [
                    str(number),
                    f"{row['start']} → {place(row['end'], row['offset'])}",
                    f"{row['length']:.3f}",
                    f"{row['r_bottleneck']:.3f}",
                    f"{row['multiplicity']} ×",
                    f"{row['value']:.2f}" if known else "–",
                    f"{row['lower']:.2f} to {row['upper']:.2f}" if known else "–",
                    "yes" if row["percolates"] else "no",
                    "yes" if row["in_domain"] else f"no: {row['reason'] or 'unlike the training set'}",
                ]
            )
        return headings, rows
