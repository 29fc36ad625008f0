"""Compounds with a structure and a measured conductivity, described for the model that is explained."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from store.errors import IonatlasError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from api.service import Service
    from builders.explanation.train import Measured
    from store.conductivities import ConductivityRecord

    Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Compounds:
    """What a ranking, a training or a test is made on.

    Attributes
    ----------
    source : str
    records : list of ConductivityRecord
    rows : builders.explanation.train.Measured
    layering : numpy.ndarray
        shape=(n, 3); see :func:`builders.explanation.layers.layering`.
    excluded : dict
        Records left out, by reason.
    """

    source: str
    records: list[ConductivityRecord]
    rows: Measured
    layering: NDArray[np.float64]
    excluded: dict[str, int]


def gather_compounds(
    source: str | Path | None,
    service: Callable[[], Service] | None = None,
    progress: Progress | None = None,
) -> Compounds:
    """Read conductivities and analyse the structures that come with them.

    Raises
    ------
    UsageError
        No such file, no conductivities, or no structures among them.
    """
    from api.compare.rows import gather
    from builders.explanation.features import ION, describe
    from builders.explanation.layers import layering
    from builders.explanation.train import Measured
    from builders.structures.validation import validate
    from builders.topology.analysis import analyse

    found = gather(source, structures_only=True, service=service)
    out: Counter[str] = Counter(found.excluded)
    features, layers, kept = [], [], []
    for number, record in enumerate(found.records):
        assert record.crystal is not None  # asked for
        if ION not in record.crystal.amounts():
            out[f"whose structure holds no {ION}"] += 1
        else:
            try:
                diagrams = analyse(validate(record.crystal).crystal, ION)
                row = describe(record.composition, diagrams)
            except IonatlasError:
                out["whose structure cannot be analysed"] += 1
            else:
                features.append(row)
                layers.append(layering(diagrams["ion"]))
                kept.append(number)
        if progress is not None:
            progress("structures", number + 1, len(found.records))
    if not kept:
        raise UsageError(f"None of the structures in {found.source} can be analysed.")
    rows = Measured(np.array(features), found.target[kept], [str(found.groups[k]) for k in kept])
    records: list[Any] = [found.records[k] for k in kept]
    return Compounds(found.source, records, rows, np.array(layers), dict(out))
