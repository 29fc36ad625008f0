"""Sets of features of a measured compound: what is known of its composition and, where there is one, of its structure.

A compound without a structure, and one whose structure cannot be analysed, has gaps (nan) in the sets that need one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from store.errors import IonatlasError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from builders.topology.vectors import Kind
    from store.conductivities import ConductivityRecord

    Progress = Callable[[str, int, int], None]

_KINDS: Final[dict[str, Kind]] = {
    "topology": "curves",
    "topology-stats": "stats",
    "topology-images": "images",
    "topology-landscapes": "landscapes",
}
_BLOCKS: Final = {"composition": "composition", "lattice": "lattice", "channels": "sites"}
"""Sets that are blocks of :mod:`builders.conductivity.features`."""
SETS: Final = (*_BLOCKS, *_KINDS)
"""Names of the sets: the elements, the cell, the ion's sites and channels; Betti curves and the other vectors of diagrams."""
ION: Final = "Li"


def check_sets(names: Sequence[str]) -> tuple[str, ...]:
    """Check the names of sets, and take each once.

    Raises
    ------
    UsageError
        No set, or one nobody knows.

    Examples
    --------
    >>> check_sets(["composition", "lattice", "composition"])
    ('composition', 'lattice')
    """
    unknown = [name for name in names if name not in SETS]
    if unknown or not names:
        said = f"There is no set of features {unknown[0]!r}" if unknown else "No set of features was named"
        raise UsageError(f"{said}.", mend=f"choose of {', '.join(SETS)}")
    return tuple(dict.fromkeys(names))


def matrix(
    records: Sequence[ConductivityRecord], sets: Sequence[str], progress: Progress | None = None
) -> NDArray[np.float64]:
    """Describe compounds.

    Parameters
    ----------
    records : sequence of ConductivityRecord
    sets : sequence of str
        Of :data:`SETS`.
    progress : callable, optional

    Returns
    -------
    numpy.ndarray
        shape=(n, n_columns), the sets side by side; nan where something is unknown.

    Examples
    --------
    >>> from store.conductivities import ConductivityRecord
    >>> matrix([ConductivityRecord("LiF", {"Li": 1.0, "F": 1.0})], ["topology"]).shape
    (1, 790)
    """
    makers: list[_Blocks | _Diagrams] = []
    blocks = [name for name in sets if name in _BLOCKS]
    kinds = [name for name in sets if name in _KINDS]
    if blocks:
        makers.append(_Blocks(blocks))
    if kinds:
        makers.append(_Diagrams(kinds))
    rows = []
    for number, record in enumerate(records, start=1):
        rows.append(np.concatenate([_or_gaps(make, record) for make in makers]))
        if progress is not None:
            progress("compounds", number, len(records))
    return np.array(rows)


class _Blocks:
    """Blocks of the descriptors of the conductivity model."""

    def __init__(self, sets: Sequence[str]) -> None:
        from builders.conductivity.features import FEATURES

        wanted = {_BLOCKS[name] for name in sets}
        self.columns = np.array([feature.group in wanted for feature in FEATURES])
        self.width = int(self.columns.sum())

    def __call__(self, record: ConductivityRecord) -> NDArray[np.float64]:
        from builders.conductivity.features import describe_record

        found: NDArray[np.float64] = describe_record(record)[self.columns]
        return found


class _Diagrams:
    """Vectors of persistence diagrams."""

    def __init__(self, sets: Sequence[str]) -> None:
        self.kinds = [_KINDS[name] for name in sets]
        self.width = len(self._vectors({}))

    def __call__(self, record: ConductivityRecord) -> NDArray[np.float64]:
        from builders.structures.validation import validate
        from builders.topology.analysis import analyse

        if record.crystal is None:
            return np.full(self.width, np.nan)
        return self._vectors(analyse(validate(record.crystal).crystal, ION))

    def _vectors(self, diagrams: Any) -> NDArray[np.float64]:
        from builders.topology.vectors import vectorise

        return np.concatenate([vectorise(diagrams, kind)[1] for kind in self.kinds])


def _or_gaps(make: _Blocks | _Diagrams, record: ConductivityRecord) -> NDArray[np.float64]:
    try:
        return make(record)
    except IonatlasError:
        return np.full(make.width, np.nan)
