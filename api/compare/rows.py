"""The measured conductivities that models are compared on: from a file, or from the store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from store.errors import SourceError, StructureError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from api.service import Service
    from store.conductivities import ConductivityRecord

BOUNDS: Final = ("keep", "drop", "benchmark")
BENCHMARK: Final = -15.0
"""log10 S/cm; what the OBELiX benchmark puts in the place of every upper bound."""
STORE: Final = "the store"
FEWEST: Final = 40
ION: Final = "Li"
_SAME: Final = 500
"""Atomic fractions that agree within 1/500 are the same composition."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Conductivities at room temperature.

    Attributes
    ----------
    source : str
        Name of the file, or "the store".
    records : list of ConductivityRecord
    target : numpy.ndarray
        shape=(n,), log10 of S/cm, bounds as the rule says.
    groups : numpy.ndarray
        shape=(n,), str; rows of one composition have one group.
    excluded : dict
        Records that are not among them, by reason.
    """

    source: str
    records: list[ConductivityRecord]
    target: NDArray[np.float64]
    groups: NDArray[np.str_]
    excluded: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def n_structures(self) -> int:
        """Rows with a structure."""
        return sum(record.crystal is not None for record in self.records)

    @property
    def n_bounds(self) -> int:
        """Rows of which only a bound is known."""
        return sum(record.censored is not None for record in self.records)


def gather(
    source: str | Path | None,
    bounds: str = "keep",
    *,
    structures_only: bool = False,
    service: Callable[[], Service] | None = None,
) -> Rows:
    """Read and choose: lithium, room temperature, a value.

    Raises
    ------
    UsageError
        Nothing there, or too little.
    """
    if bounds not in BOUNDS:
        raise UsageError(f"There is no rule {bounds!r} for bounds.", mend=f"choose of {', '.join(BOUNDS)}")
    out: Counter[str] = Counter()
    faults: list[str] = []
    if source is None:
        from api.compare.stored import stored_records

        name, found = STORE, list(stored_records(service))
    else:
        path = Path(source)
        name, found = path.name, list(_of_file(path, out, faults))
    if not found and not out.total() - out["that cannot be read"]:
        raise UsageError(
            f"{name[0].upper()}{name[1:]} holds no conductivities{f': {faults[0]}' if faults else '.'}",
            mend="name a file of conductivities (docs/conductivity-data.md), or: ionatlas ingest FILE and ionatlas build",
        )
    kept = [record for record in found if _kept(record, bounds, structures_only, out)]
    if len(kept) < FEWEST:
        why = "; ".join(f"{number:,} {reason}" for reason, number in out.items())
        raise UsageError(
            f"{len(kept)} conductivities at room temperature are too few to compare models; {FEWEST} are needed"
            + (f" (left out: {why})." if why else ".")
        )
    target = np.array([_value(record, bounds) for record in kept])
    return Rows(name, kept, target, np.array([group_of(record.composition) for record in kept]), dict(out))


def group_of(composition: Mapping[str, float]) -> str:
    """Name a composition by its atomic fractions: however a formula is written, the same one has the same name.

    Examples
    --------
    >>> group_of({"Li": 2.0, "O": 1.0}) == group_of({"O": 4.0, "Li": 8.0})
    True
    """
    total = sum(composition.values())
    return " ".join(f"{symbol}{round(_SAME * composition[symbol] / total)}" for symbol in sorted(composition))


def _kept(record: ConductivityRecord, bounds: str, structures_only: bool, out: Counter[str]) -> bool:
    reason = None
    if record.working_ion != ION:
        reason = "of another ion"
    elif record.log10_sigma is None:
        reason = "without a value"
    elif not record.at_room_temperature:
        reason = "not at room temperature"
    elif record.censored is not None and bounds == "drop":
        reason = "of which only a bound is known"
    elif structures_only and record.crystal is None:
        reason = "without a structure"
    if reason is not None:
        out[reason] += 1
    return reason is None


def _value(record: ConductivityRecord, bounds: str) -> float:
    assert record.log10_sigma is not None  # left out before
    if record.censored is not None and bounds == "benchmark":
        return BENCHMARK
    return float(record.log10_sigma)


def _of_file(path: Path, out: Counter[str], faults: list[str]) -> Iterator[ConductivityRecord]:
    from store.ingest.containers import read_records
    from store.ingest.kinds import CONDUCTIVITY_FORMATS
    from store.ingest.readers import read_conductivity
    from store.ingest.records import BadRecord

    if path.is_dir():
        raise UsageError(f"{str(path)!r} is a folder, and one file is wanted.", mend="name a file in it")
    if not path.exists():
        raise UsageError(f"There is no file {str(path)!r}.", mend="check the path, or leave it out to use the store")
    for record in read_records(path):
        if isinstance(record, BadRecord):
            out["that cannot be read"] += 1
            faults.append(record.error.message)
            continue
        if record.format not in CONDUCTIVITY_FORMATS:
            out["that cannot be read"] += 1
            faults.append(f"it holds something else ({record.format}).")
            continue
        try:
            yield read_conductivity(record.format, record.content)
        except (SourceError, StructureError) as error:
            out["that cannot be read"] += 1
            faults.append(error.message)


__all__ = ["BENCHMARK", "BOUNDS", "Rows", "gather", "group_of"]
