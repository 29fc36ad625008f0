"""Measured conductivities as rows to learn from: which are taken, and which belong together.

Taken are conductivities of lithium at room temperature. Rows that the Liverpool data set marks as contained in OBELiX are
left out: they are the same measurements, among them some that OBELiX keeps to test with. Measurements at higher temperatures
are not used: carried to room temperature by any fixed prefactor they are off by more than a decade, and with them predictions
got worse (docs/conductivity.md).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from builders.conductivity.composition import ION
from builders.conductivity.features import describe_record, has_cell, has_structure
from builders.learning.censored import LOWER, UPPER
from builders.models.training import Rows
from store.conductivities import BOUNDS
from store.errors import IonatlasError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from store.conductivities import ConductivityRecord

BENCHMARK: Final = -15.0
"""log10 S/cm that the OBELiX benchmark puts in the place of every upper bound."""
STRATA: Final = ("structure", "cell", "composition")
"""What may be known of a compound; each has intervals of its own."""
_SAME_FAMILY: Final = {
    "argyrodites": "argyrodite", "perovskites": "perovskite", "garnet-like": "garnet", "cholorides": "chlorides",
    "antiperovskite": "anti-perovskite", "lgps": "thio-lisicon", "nitride": "nitrides",
}  # fmt: skip
_NO_FAMILY: Final = frozenset({"", "other", "glass", "glass-ceramic", "none"})


@dataclass(frozen=True, eq=False)
class TrainingRows(Rows):
    """Compounds with a measured conductivity.

    Attributes
    ----------
    features : numpy.ndarray
        shape=(n, len(NAMES)).
    value : numpy.ndarray
        shape=(n,), log10 S/cm: value or bound.
    kind : numpy.ndarray
        shape=(n,), int; -1 where the value is an upper bound, 1 a lower bound, else 0.
    formulas, papers, families : numpy.ndarray
        shape=(n,), int; rows with the same number have the same composition; the same composition or publication, directly or
        over others; the same composition or family of structures, likewise.
    ids, sources : sequence of str
        shape=(n,) each.
    """

    features: NDArray[np.float64]
    value: NDArray[np.float64]
    kind: NDArray[np.int64]
    formulas: NDArray[np.int64]
    papers: NDArray[np.int64]
    families: NDArray[np.int64]
    ids: Sequence[str]
    sources: Sequence[str]

    @property
    def has_structure(self) -> NDArray[np.bool_]:
        """shape=(n,)."""
        return has_structure(self.features)

    @property
    def strata(self) -> list[str]:
        """One of :data:`STRATA` for each row."""
        return strata(self.features, self.has_structure)

    def benchmark(self) -> TrainingRows:
        """The rows under the benchmark's rule: upper bounds are values of 1e-15 S/cm."""
        upper = self.kind == UPPER
        return replace(self, value=np.where(upper, BENCHMARK, self.value), kind=np.where(upper, 0, self.kind))


class Gathered(NamedTuple):
    """Rows, and what was left out.

    Attributes
    ----------
    rows : TrainingRows
    dropped : dict of str to int
        Records left out, by why.
    licences : dict of str to int
        Rows by the licence that their records name.
    """

    rows: TrainingRows
    dropped: dict[str, int]
    licences: dict[str, int]


def strata(features: NDArray[np.float64], structure: NDArray[np.bool_]) -> list[str]:
    """What is known of each compound, shape=(n, len(NAMES)) to n of :data:`STRATA`."""
    cell = has_cell(features)
    return [STRATA[0] if s else STRATA[1] if c else STRATA[2] for s, c in zip(structure, cell, strict=True)]


def gather(records: Iterable[ConductivityRecord], progress: Callable[[int], None] | None = None) -> Gathered:
    """Choose records to learn from and describe them.

    Parameters
    ----------
    records : iterable of ConductivityRecord
    progress : callable, optional
        Called with the number of records that were looked at.

    Returns
    -------
    Gathered

    Examples
    --------
    >>> from store.conductivities import ConductivityRecord
    >>> one = ConductivityRecord("Li3N", {"Li": 3.0, "N": 1.0}, log10_sigma=-3.0, temperature=300.0, id="a")
    >>> two = ConductivityRecord("LiF", {"Li": 1.0, "F": 1.0}, log10_sigma=-6.0, temperature=700.0, id="b")
    >>> found = gather([one, two])
    >>> found.rows.ids, found.dropped
    (['a'], {'not at room temperature': 1})
    """
    dropped: Counter[str] = Counter()
    kept: list[ConductivityRecord] = []
    features: list[NDArray[np.float64]] = []
    for number, record in enumerate(records, 1):
        why = _unfit(record)
        if not why:
            try:
                features.append(describe_record(record))
                kept.append(record)
            except IonatlasError:
                why = "that cannot be described"
        if why:
            dropped[why] += 1
        if progress is not None:
            progress(number)
    licences = Counter(record.licence or "unstated" for record in kept)
    return Gathered(_rows(kept, features), dict(dropped), dict(licences))


def _unfit(record: ConductivityRecord) -> str:
    """Why a record is not learned from; empty if it is."""
    if record.working_ion != ION:
        return f"of another ion than {ION}"
    if record.log10_sigma is None:
        return "without a value"
    if not record.at_room_temperature:
        return "not at room temperature"
    return "marked as a copy of a row of another data set" if record.properties.get("in_obelix") is True else ""


def _rows(kept: Sequence[ConductivityRecord], features: Sequence[NDArray[np.float64]]) -> TrainingRows:
    from builders.conductivity.features import NAMES

    kinds = {BOUNDS[0]: UPPER, BOUNDS[1]: LOWER}
    formulas = [formula_key(record.composition) for record in kept]
    return TrainingRows(
        features=np.array(features, dtype=np.float64).reshape(-1, len(NAMES)),
        value=np.array([record.log10_sigma for record in kept], dtype=np.float64),
        kind=np.array([kinds.get(str(record.censored), 0) for record in kept], dtype=np.int64),
        formulas=connected(formulas),
        papers=connected(formulas, [_paper(record) for record in kept]),
        families=connected(formulas, [_family(record) for record in kept]),
        ids=[str(record.id or record.formula) for record in kept],
        sources=[str(record.source or "") for record in kept],
    )


def formula_key(amounts: Mapping[str, float]) -> str:
    """Name a composition by its atomic shares, to a tenth of a per cent, however its formula is written.

    Examples
    --------
    >>> formula_key({"Li": 2.0, "O": 1.0}), formula_key({"O": 4.0, "Li": 8.0})
    ('Li66.7 O33.3', 'Li66.7 O33.3')
    """
    total = sum(amounts.values())
    return " ".join(f"{symbol}{100.0 * amounts[symbol] / total:.1f}" for symbol in sorted(amounts))


def connected(*keys: Sequence[str | None]) -> NDArray[np.int64]:
    """Number rows so that those which share any key, directly or over others, have the same number.

    Parameters
    ----------
    keys : sequence of (str or None)
        shape=(n,) each; None is shared with nobody.

    Examples
    --------
    >>> connected(["a", "b", "c", "d"], ["x", "x", "y", None]).tolist()
    [0, 0, 1, 2]
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(keys[0])
    first: dict[tuple[int, str], int] = {}
    pairs = [
        (first.setdefault((kind, key), row), row)
        for kind, column in enumerate(keys)
        for row, key in enumerate(column)
        if key is not None
    ]
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    graph = coo_matrix((np.ones(ends.shape[1]), (ends[0], ends[1])), shape=(n, n))
    found: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return found


def _paper(record: ConductivityRecord) -> str | None:
    told = (record.references[0] if record.references else "").strip().casefold()
    return told or None


def _family(record: ConductivityRecord) -> str | None:
    told = (record.family or "").strip().casefold()
    told = _SAME_FAMILY.get(told, told)
    return None if told in _NO_FAMILY else told
