"""The answer about the barrier of a hop: numbers, words, a picture of the profile, a record for the store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from api.channels.words import place, site_names, spelled
from store.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from pymongo.database import Database

    from builders.channels.model import Channels, Flag, Hop
    from builders.potential.endpoints import Endpoints
    from builders.potential.potentials import Potential
    from builders.potential.result import NebResult
    from store.hops import HopRecord
    from store.ingest.ingest import IngestReport


@dataclass(frozen=True, eq=False)
class NebReport:
    """Barrier of a hop.

    Attributes
    ----------
    name : str
        File, id, or formula.
    formula : str
    channels : builders.channels.model.Channels
        The analysis that found the hop.
    number : int
        Which of its hops.
    endpoints : builders.potential.endpoints.Endpoints
    potential : builders.potential.potentials.Potential
    found : builders.potential.result.NebResult or None
        None before it was computed.
    """

    name: str
    formula: str
    channels: Channels
    number: int
    endpoints: Endpoints
    potential: Potential
    found: NebResult | None

    def with_result(self, result: NebResult) -> NebReport:
        """The same with the result."""
        return replace(self, found=result)

    def __repr__(self) -> str:
        return "\n".join(self.headline())

    @property
    def result(self) -> NebResult:
        """What was computed."""
        assert self.found is not None  # neb() gives none away without
        return self.found

    @property
    def hop(self) -> Hop:
        """The hop as the analysis of channels describes it."""
        return self.channels.hops[self.number]

    @property
    def id(self) -> str:
        """Name of the result in the store."""
        from builders.potential.record import hop_id

        return hop_id(self.name, self.endpoints.ion, self.number, self.endpoints, self.potential)

    @property
    def forward(self) -> float | None:
        """Barrier from the start, eV; None where there is no barrier to speak of (see ``result.flags``)."""
        return self.result.forward if self.result.usable else None

    @property
    def reverse(self) -> float | None:
        """Barrier from the end, eV."""
        return self.result.reverse if self.result.usable else None

    @property
    def flags(self) -> tuple[Flag, ...]:
        """Doubts, with reasons."""
        return (*self.endpoints.flags, *self.result.flags)

    def hop_name(self) -> str:
        """The hop as ``ionatlas channels`` writes it: ``Li1 → Li3 -b``."""
        names = site_names(self.channels)
        return f"{names[self.hop.start]} → {place(names[self.hop.end], self.hop.offset)}"

    def task(self) -> str:
        """Say what is computed."""
        cell = self.endpoints.supercell
        return (
            f"{self.formula}, hop {self.number} of {spelled(self.endpoints.ion)}: {self.hop_name()}, "
            f"{self.endpoints.hop_length:.3f} Å; {self.endpoints.limit} limit, supercell {cell.label} of "
            f"{len(self.endpoints.symbols)} atoms (images {cell.apart:.1f} Å apart); {self.potential.label}"
        )

    def headline(self) -> list[str]:
        """Say the result in a few lines of words."""
        result = self.result
        if self.forward is not None and self.reverse is not None:
            second = f"barrier {self.forward:.3f} eV forward, {self.reverse:.3f} eV reverse"
        elif result.forward is not None:
            second = f"no barrier: the highest image is {result.forward:.3f} eV above the start so far, and that is no result"
        else:
            second = "no barrier: the band was not reached"
        last = result.history[-1].fmax if result.history else float("nan")
        state = "converged" if result.converged else "not converged"
        third = (
            f"{state}: {result.iterations()} iterations, {result.calls} calls of the potential, forces {last:.3f} eV/Å (asked "
            f"for {result.fmax:g}); first path: {result.first_path or 'none'}"
        )
        return [self.task(), second, third]

    def distances(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Way of the moving ion up to each image, Å; shape=(n_images + 2,)."""
        steps = np.linalg.norm(np.diff(self.result.positions[:, -1], axis=0), axis=1)
        return np.concatenate([[0.0], np.cumsum(steps)])

    def to_dict(self) -> dict[str, Any]:
        """Everything, in keys that stay.

        Returns
        -------
        dict
            ``id``, ``name``, ``formula``, ``ion``, ``hop`` (``number``, ``from``, ``to``, ``offset``, ``length``,
            ``r_bottleneck``), ``limit``, ``supercell``, ``n_atoms``, ``potential``; ``forward`` and ``reverse`` (None without
            a barrier); ``energies`` and ``distances`` of the images; ``converged``, ``fmax``, ``iterations`` by stage,
            ``calls``, ``history`` (``[stage, iteration, fmax, energy]``); ``flags``; ``units``.
        """
        result, hop, names = self.result, self.hop, site_names(self.channels)
        whole = len(result.energies) > 0
        return {
            "id": self.id,
            "name": self.name,
            "formula": self.formula,
            "ion": self.endpoints.ion,
            "hop": {
                "number": self.number,
                "from": names[hop.start],
                "to": names[hop.end],
                "offset": [int(step) for step in hop.offset],
                "length": self.endpoints.hop_length,
                "r_bottleneck": float(hop.r_bottleneck),
            },
            "limit": self.endpoints.limit,
            "supercell": {
                "matrix": self.endpoints.supercell.matrix.tolist(),
                "image_distance": self.endpoints.supercell.apart,
            },
            "n_atoms": len(self.endpoints.symbols),
            "potential": self.potential.to_dict(),
            "forward": self.forward,
            "reverse": self.reverse,
            "energies": result.energies.tolist(),
            "distances": self.distances().tolist() if whole else [],
            "converged": result.converged,
            "fmax": result.fmax,
            "iterations": {stage: result.iterations(stage) for stage in ("start", "end", "band", "climb")},
            "calls": result.calls,
            "first_path": result.first_path,
            "history": [list(each) for each in result.history],
            "flags": [flag._asdict() for flag in self.flags],
            "units": {
                "length": "Å", "r_bottleneck": "Å", "image_distance": "Å", "forward": "eV", "reverse": "eV",
                "energies": "eV", "distances": "Å", "fmax": "eV/Å",
            },
        }  # fmt: skip

    def record(self) -> HopRecord:
        """The barrier as a hop record of the store.

        Raises
        ------
        BuildError
            There is no barrier.
        """
        from builders.potential.record import hop_record

        return hop_record(self.id, self.name, self.number, self.endpoints, self.result, self.potential)

    def store(self, database: Database[dict[str, Any]]) -> IngestReport:
        """Put the barrier into ``sources``; the same result twice is one record.

        Raises
        ------
        BuildError
            There is no barrier.
        DatabaseError
            MongoDB went away or refused.
        """
        from builders.potential.record import FORMAT, SOURCE, hop_row, row_bytes
        from store.ingest.ingest import ingest
        from store.ingest.records import Origin, Record
        from store.schema import migrate

        content = row_bytes(hop_row(self.record()))
        made = Record(
            FORMAT,
            content,
            self.id,
            Origin(path=f"ionatlas neb {self.name} --ion {self.endpoints.ion} --hop {self.number}"),
            SOURCE,
            references=(self.potential.reference,),
        )
        migrate(database)
        return ingest(database, [made])

    def png(self, path: str | Path) -> Path:
        """Draw the energies along the path as a PNG file.

        Raises
        ------
        UsageError
            There is no path yet, or the file cannot be written.
        """
        from api.neb.picture import profile_picture

        if not len(self.result.energies):
            raise UsageError("There is no path to draw: the band was not reached.", mend="let it run to its end")
        return profile_picture(self, path)
