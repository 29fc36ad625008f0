"""The hops that the study is run on: from a file of hops, or from the barriers of the store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from store.errors import FeatureError, SourceError, StructureError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from api.service import Service
    from store.hops import HopRecord

    Progress = Callable[[str, int, int], None]
    """Called with what is done, how much of it, and of how much."""

ION: Final = "Li"
HIGHEST: Final = 1.5
"""eV; the published models and plots end here."""
STORE: Final = "the store"
FEWEST: Final = 40
"""Hops below which six subsets and ten folds are nothing but noise."""
NEEDED: Final = ("r_sd", "r_chan", "p_length", "r_sd_plus_r_chan", "p_over_r_sd", "p_over_r_chan")
"""The study's six descriptors, as ``builders.barriers.study.NAMES`` orders them."""

OVERLAP: Final = "host_sites_overlap"
_NO_DFT: Final = ("MLIP", "BVSE", "BVEL")
"""Words in the name of a method that mark an energy of a model, which is no datum to learn from here."""
_STORED: Final = (
    "hop_id",
    "id",
    "working_ion",
    "framework_formula",
    "barrier",
    "study",
    "flags",
    "method",
    "barrier_definition",
)


@dataclass(frozen=True, eq=False)
class Hops:
    """Hops of lithium with a computed barrier in the published range, described as in the study.

    Attributes
    ----------
    source : str
        Name of the file, or "the store".
    ids : tuple of str
    groups : numpy.ndarray
        shape=(n,), str; framework formula: the host without its lithium.
    descriptors : numpy.ndarray
        shape=(n, 6), float64: R_sd, r_chan, P_length, R_sd + r_chan (Å), P_length/R_sd, P_length/r_chan.
    barrier : numpy.ndarray
        shape=(n,), float64, eV.
    excluded : dict
        Hops of the source that are not among them, by reason.
    methods, definitions : dict
        How many barriers come from which method, and are defined in which way.
    """

    source: str
    ids: tuple[str, ...]
    groups: NDArray[np.str_]
    descriptors: NDArray[np.float64]
    barrier: NDArray[np.float64]
    excluded: dict[str, int]
    methods: dict[str, int]
    definitions: dict[str, int]

    def __len__(self) -> int:
        return len(self.barrier)


@dataclass(frozen=True)
class _Row:
    """A hop on its way in; ``descriptors`` is what gives them, because that takes time and may fail."""

    id: str
    group: str
    barrier: float
    method: str
    definition: str
    descriptors: Callable[[], Sequence[float]]


def from_file(path: Path, progress: Progress | None = None) -> Hops:
    """Read the hops of a file and describe them.

    Parameters
    ----------
    path : pathlib.Path
        Of one of the formats of hops that ``ionatlas ingest`` reads, compressed or not.
    progress : callable, optional
        Called with what is done, how much of it, and of how much.

    Returns
    -------
    Hops

    Raises
    ------
    UsageError
        No such file, a folder, no hops in it, or too few of lithium.

    Examples
    --------
    >>> hops = from_file(Path("hops.jsonl.gz"))                                 # doctest: +SKIP
    >>> len(hops), hops.descriptors.shape, hops.excluded                        # doctest: +SKIP
    (147, (147, 6), {'of another ion': 384, 'above 1.5 eV': 27, 'host_sites_overlap': 2})
    """
    if path.is_dir():
        raise UsageError(f"{str(path)!r} is a folder, and a file of hops is wanted.", mend="name a file in it")
    if not path.exists():
        raise UsageError(f"There is no file {str(path)!r}.", mend="check the path, or leave it out to use the store")
    out: Counter[str] = Counter()
    faults: list[str] = []
    rows = list(_rows_of_file(path, out, faults))
    if not rows and sum(out.values()) == len(faults):
        raise UsageError(
            f"{path.name} holds no hops{f': {faults[0]}' if faults else '.'}",
            mend="docs/hops.md shows the formats of hops that are read",
        )
    return _gather(path.name, rows, out, progress)


def from_store(service: Service) -> Hops:
    """Take the hops from the store's ``barriers``.

    Raises
    ------
    UsageError
        The store holds no barriers, or too few of lithium.

    Examples
    --------
    >>> from api.cli.output import open_service                                 # doctest: +SKIP
    >>> from_store(open_service()).source                                       # doctest: +SKIP
    'the store'
    """
    documents: list[dict[str, Any]] = service.call(
        lambda database: list(database["barriers"].find({}, dict.fromkeys(_STORED, 1)).sort("_id", 1))
    )
    if not documents:
        raise UsageError(
            "The store holds no barriers to run the study on.",
            mend="ionatlas ingest HOPS.jsonl.gz and ionatlas build, or name the file: ionatlas reproduce osipov HOPS.jsonl.gz",
        )
    out: Counter[str] = Counter()
    return _gather(STORE, list(_rows_of_store(documents, out)), out, None)


def _rows_of_file(path: Path, out: Counter[str], faults: list[str]) -> Iterator[_Row]:
    """Rows that belong to the study; the others are counted in ``out``, and what is no hop at all is told in ``faults``."""
    from store.ingest.containers import read_records
    from store.ingest.kinds import HOP_FORMATS
    from store.ingest.readers import read_hop
    from store.ingest.records import BadRecord

    for number, record in enumerate(read_records(path)):
        if isinstance(record, BadRecord):
            out["that cannot be read"] += 1
            faults.append(str(record.error))
            continue
        if record.format not in HOP_FORMATS:
            out["that are no hops"] += 1
            faults.append(f"a structure ({record.format}) was found in it.")
            continue
        try:
            hop = read_hop(record.format, record.content)
        except (SourceError, StructureError) as error:
            out["that cannot be read"] += 1
            faults.append(str(error))
            continue
        reason = _refusal(hop.working_ion, hop.barrier, hop.flags, hop.method)
        if reason is not None:
            out[reason] += 1
            continue
        assert hop.barrier is not None  # refused above
        yield _Row(
            id=hop.id or str(number),
            group=hop.framework_formula or _framework_formula(hop),
            barrier=float(hop.barrier),
            method=hop.method or "unstated",
            definition=hop.barrier_definition or "unstated",
            descriptors=_Describe(hop),
        )


@dataclass(frozen=True, eq=False)
class _Describe:
    """Describes a hop when it is asked to."""

    hop: HopRecord

    def __call__(self) -> list[float]:
        from builders.barriers.environment import of_record
        from builders.barriers.study import describe_study

        # These six alone: all that the builder of barriers computes takes many times as long.
        found = describe_study(of_record(self.hop))
        return [found[name] for name in NEEDED]


def _rows_of_store(documents: Iterable[Mapping[str, Any]], out: Counter[str]) -> Iterator[_Row]:
    for document in documents:
        barrier, method = document.get("barrier"), document.get("method")
        reason = _refusal(document.get("working_ion"), barrier, document.get("flags") or (), method)
        if reason is not None:
            out[reason] += 1
            continue
        assert barrier is not None  # refused above
        study = document.get("study") or {}
        yield _Row(
            id=str(document.get("hop_id") or document.get("id") or document.get("_id")),
            group=document.get("framework_formula") or "?",
            barrier=float(barrier),
            method=method or "unstated",
            definition=document.get("barrier_definition") or "unstated",
            descriptors=_Take(study),
        )


@dataclass(frozen=True)
class _Take:
    """Takes the descriptors out of a document."""

    study: Mapping[str, float | None]

    def __call__(self) -> list[float]:
        values = [self.study.get(name) for name in NEEDED]
        return [float("nan") if value is None else float(value) for value in values]


def _refusal(ion: str | None, barrier: float | None, flags: Sequence[str], method: str | None) -> str | None:
    """Why a hop is no part of the study, None where it is."""
    if ion != ION:
        return "of another ion"
    if barrier is None or not np.isfinite(barrier):
        return "without a barrier"
    if barrier <= 0:
        return "not above 0 eV"
    if barrier > HIGHEST:
        return f"above {HIGHEST} eV"
    if OVERLAP in flags:
        return "with overlapping host sites"
    if method is not None and any(word in method.upper() for word in _NO_DFT):
        return "not from density-functional theory"
    return None


def _framework_formula(hop: HopRecord) -> str:
    """Formula of the host without the ion that hops."""
    from builders.structures.formulas import describe_composition

    amounts = {symbol: amount for symbol, amount in hop.host.amounts().items() if symbol != hop.working_ion}
    return describe_composition(amounts).formula if amounts else "?"


def _gather(source: str, rows: Sequence[_Row], out: Counter[str], progress: Progress | None) -> Hops:
    """Describe the rows, leave out what cannot be, and see that enough remain."""
    if len(rows) < FEWEST:
        raise _too_few(source, len(rows), out)
    kept: list[_Row] = []
    described: list[Sequence[float]] = []
    for number, row in enumerate(rows):
        if progress is not None:
            progress("hops described", number, len(rows))
        try:
            values = row.descriptors()
        except (FeatureError, StructureError):
            out["that cannot be described"] += 1
            continue
        if not np.isfinite(values).all():
            out["that cannot be described"] += 1
            continue
        kept.append(row)
        described.append(values)
    if progress is not None:
        progress("hops described", len(rows), len(rows))
    if len(kept) < FEWEST:
        raise _too_few(source, len(kept), out)
    return Hops(
        source=source,
        ids=tuple(row.id for row in kept),
        groups=np.array([row.group for row in kept]),
        descriptors=np.array(described, dtype=np.float64),
        barrier=np.array([row.barrier for row in kept], dtype=np.float64),
        excluded=dict(out.most_common()),
        methods=dict(Counter(row.method for row in kept).most_common()),
        definitions=dict(Counter(row.definition for row in kept).most_common()),
    )


def _too_few(source: str, count: int, out: Counter[str]) -> UsageError:
    told = f" Left out: {excluded_in_words(out)}." if out else ""
    name = "The store" if source == STORE else source
    return UsageError(
        f"{name} holds {count} hops of {ION} with a barrier above 0 and up to {HIGHEST} eV that can be described; the published "
        f"protocol (six subsets, ten folds) needs {FEWEST}.{told}",
        mend="give a file with more hops of lithium: ionatlas reproduce osipov HOPS.jsonl.gz",
    )


def excluded_in_words(excluded: Mapping[str, int]) -> str:
    """Say what was left out.

    Examples
    --------
    >>> excluded_in_words({"of another ion": 384, "above 1.5 eV": 27})
    '384 of another ion, 27 above 1.5 eV'
    """
    return ", ".join(f"{count:,} {reason}" for reason, count in excluded.items())
