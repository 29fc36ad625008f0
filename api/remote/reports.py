"""Answers of computations on a server: the names of the reports of this machine, on the server's numbers.

A report of this machine holds the analysis itself (its arrays, its pictures); of a server comes what can be written as JSON.
What both have has one name: radii, energies with their intervals, tables with units, candidates, rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from api.migration.headline import OneDirection
from store.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from pymatgen.core.structure import Structure

    from builders.channels.model import Flag

Json = dict[str, Any]


class Record(Mapping[str, Any]):
    """A part of an answer, read by key or as an attribute; what a newer server adds is there as well.

    Examples
    --------
    >>> Record({"rank": 1}).rank, Record({"rank": 1})["rank"]
    (1, 1)
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._values:
            raise AttributeError(f"The answer has no {name!r}; it has {', '.join(self._values)}.")
        return self._values[name]

    def __repr__(self) -> str:
        return f"Record({self._values!r})"


def frame(rows: list[Json], units: Mapping[str, str], meanings: Mapping[str, str]) -> pd.DataFrame:
    """Make a table with units and meanings in ``attrs``."""
    import pandas as pd

    made = pd.DataFrame(rows)
    columns = [str(name) for name in made.columns]
    made.attrs["units"] = {name: units[name] for name in columns if units.get(name)}
    made.attrs["meanings"] = {name: meanings[name] for name in columns if name in meanings}
    return made


@dataclass(frozen=True, eq=False)
class _Named:
    """An answer about one crystal, as the server sent it."""

    data: Json

    @property
    def name(self) -> str:
        """File, id or formula."""
        return str(self.data.get("name"))

    @property
    def formula(self) -> str:
        """What the crystal is made of."""
        return str(self.data.get("formula"))


@dataclass(frozen=True, eq=False)
class RemoteChannels(_Named):
    """Voids and channels, from a server (:class:`api.channels.report.ChannelReport`).

    Attributes
    ----------
    data : dict
        As :meth:`to_dict` gives it.
    """

    def __repr__(self) -> str:
        return f"{self.name}: channels of {self.ion} in {self.formula}, r1 {self.r1}, r2 {self.r2}, r3 {self.r3} Å"

    @property
    def ion(self) -> str:
        """The working ion."""
        return str(self.data.get("ion"))

    @property
    def is_host(self) -> bool:
        """Whether the crystal holds none of the ion."""
        return bool(self.data.get("insertion"))

    @property
    def r1(self) -> float:
        """Percolation radius in one direction, Å."""
        return _number(self.data.get("r1"))

    @property
    def r2(self) -> float:
        """The same in two directions, Å."""
        return _number(self.data.get("r2"))

    @property
    def r3(self) -> float:
        """The same in three directions, Å."""
        return _number(self.data.get("r3"))

    @property
    def threshold(self) -> float:
        """Channel radius that the ion needs, Å."""
        return _number((self.data.get("threshold") or {}).get("r_chan"))

    @property
    def flags(self) -> tuple[Flag, ...]:
        """Doubts about the analysis, with reasons."""
        from builders.channels.model import Flag

        return tuple(Flag(str(each.get("code")), str(each.get("reason"))) for each in self.data.get("flags") or ())

    def dimension(self, threshold: float | None = None) -> int:
        """Count the directions in which an ion that needs passages so wide (Å) travels without end."""
        if threshold is None:
            return int(self.data.get("dimension") or 0)
        return sum(radius >= threshold for radius in (self.r1, self.r2, self.r3))

    @cached_property
    def hops(self) -> pd.DataFrame:
        """Hops between ion sites; ``attrs`` hold units and meanings."""
        return self._table("hops")

    @cached_property
    def voids(self) -> pd.DataFrame:
        """Voids; ``attrs`` hold units and meanings."""
        return self._table("voids")

    @cached_property
    def passages(self) -> pd.DataFrame:
        """Channels between voids; ``attrs`` hold units and meanings."""
        return self._table("passages")

    def to_dict(self) -> Json:
        """Everything, in keys that stay."""
        return self.data

    def _table(self, name: str) -> pd.DataFrame:
        return frame(self.data.get(name) or [], self.data.get("units") or {}, self.data.get("meanings") or {})


@dataclass(frozen=True, eq=False)
class RemoteMigration(_Named, OneDirection):
    """Barriers and migration energies, from a server (:class:`api.migration.report.MigrationReport`).

    Attributes
    ----------
    data : dict
        As the server sent it.
    """

    def __repr__(self) -> str:
        return f"{self.name}: migration energy of {self.ion} in {self.formula} {self.value} eV ({self.lower} to {self.upper})"

    @property
    def ion(self) -> str:
        """The working ion."""
        return str(self.data.get("ion"))

    @property
    def model(self) -> str:
        """The model's id."""
        return str(self.data.get("model"))

    @cached_property
    def energies(self) -> tuple[Record | None, Record | None, Record | None]:
        """Migration energy in one, two and three directions (``value``, ``lower``, ``upper``, eV; ``in_domain``)."""
        one, two, three = (self._energy(name) for name in ("one_direction", "two_directions", "three_directions"))
        return one, two, three

    @property
    def failed(self) -> int:
        """Hops without a prediction."""
        return sum(each.get("value") is None for each in self._hops())

    @cached_property
    def hops(self) -> pd.DataFrame:
        """Hops, one of each symmetry class; ``attrs`` hold units and meanings."""
        from api.migration.report import MEANINGS, UNITS

        rows = [{**each, "reason": each.get("reason") or each.get("error")} for each in self._hops()]
        made = frame(rows, UNITS, MEANINGS)
        return made.reindex(columns=list(MEANINGS)) if len(made) else frame([], UNITS, MEANINGS)

    def rows(self) -> Iterator[Json]:
        """One dictionary a hop, and a last one for the crystal."""
        yield from self._hops()
        last = {
            "id": f"{self.name}/{self.ion}",
            "ion": self.ion,
            **(self.data.get("one_direction") or {}),
            "model": self.model,
        }
        if self.value is None:
            last["reason"] = self.data.get("reason")
        names = ("two_directions", "three_directions", "formula")
        yield last | {name: self.data.get(name) for name in names}

    def _hops(self) -> list[Json]:
        return list(self.data.get("hops") or [])

    def _energy(self, name: str) -> Record | None:
        told = self.data.get(name) or {}
        return Record(told) if told.get("value") is not None else None


@dataclass(frozen=True, eq=False)
class RemotePrediction:
    """Predicted structures, from a server (:class:`api.prediction.report.StructurePrediction`).

    Attributes
    ----------
    data : dict
        As the server sent it.
    seconds : float
    """

    data: Json
    seconds: float

    def __repr__(self) -> str:
        return f"{self.formula}: {len(self.candidates)} structures, from {self.n_templates:,} templates of its stoichiometry"

    @property
    def formula(self) -> str:
        """Reduced."""
        return str(self.data.get("formula"))

    @property
    def n_templates(self) -> int:
        """Templates of the stoichiometry."""
        return int(self.data.get("n_templates") or 0)

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be known beside the numbers."""
        return tuple(str(note) for note in self.data.get("notes") or ())

    @cached_property
    def candidates(self) -> list[Record]:
        """The likeliest first: ``rank``, ``probability``, ``space_group_number``, ``template_id``, ``mapping``, ..."""
        return [
            Record({**row, "space_group_number": row.get("space_group"), "template_id": row.get("template")})
            for row in self.rows()
        ]

    def structure(self, rank: int = 1) -> Structure:
        """Return a candidate as pymatgen ``Structure``: its primitive cell."""
        from pymatgen.core.structure import Structure

        return Structure.from_str(self.cif(rank), fmt="cif")

    def cif(self, rank: int = 1) -> str:
        """Write a candidate as CIF.

        Raises
        ------
        UsageError
            There is no candidate of this rank.
        """
        if not 1 <= rank <= len(self.rows()):
            raise UsageError(f"There is no candidate {rank} of {self.formula}: {len(self.rows())} were found.")
        return str(self.rows()[rank - 1]["cif"])

    def rows(self) -> list[Json]:
        """One plain row a candidate, with its CIF."""
        return list(self.data.get("candidates") or [])

    def write(self, folder: Path) -> list[Path]:
        """Write every candidate as ``FORMULA_RANK.cif`` into a folder, each whole or not at all."""
        from api.whole_files import written_whole

        folder.mkdir(parents=True, exist_ok=True)
        name = "".join(letter for letter in self.formula if letter.isalnum() or letter == ".")
        width = len(str(len(self.rows())))
        made = []
        for rank in range(1, len(self.rows()) + 1):
            path = folder / f"{name}_{rank:0{width}d}.cif"
            with written_whole(path) as part:
                part.write_text(self.cif(rank), encoding="utf-8")
            made.append(path)
        return made


@dataclass(frozen=True, eq=False)
class RemoteInverse(_Named):
    """Compositions that could take a structure, from a server (:class:`api.inverse.report.InverseReport`).

    Attributes
    ----------
    data : dict
        As the server sent it.
    """

    def __repr__(self) -> str:
        return f"{self.name} ({self.formula}): {len(self.candidates)} compositions that could take this structure"

    @property
    def n_known(self) -> int:
        """Structures whose compositions were looked among."""
        return int(self.data.get("n_known") or 0)

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be known beside the numbers."""
        return tuple(str(note) for note in self.data.get("notes") or ())

    @cached_property
    def candidates(self) -> list[Record]:
        """The likeliest first: ``rank``, ``formula``, ``probability``, ``known``, ``mapping``, ..."""
        return [Record(row) for row in self.rows()]

    def rows(self) -> list[Json]:
        """One plain row a candidate."""
        return list(self.data.get("candidates") or [])


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
