"""Many formulas: one that cannot be read is told, and the rest goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from api.prediction.report import StructurePrediction
    from builders.templates.query import Query


@dataclass(frozen=True)
class Failed:
    """A formula that cannot be predicted, and why."""

    formula: str
    error: UsageError


def predict_each(formulas: Iterable[str], **options: Any) -> Iterator[StructurePrediction | Failed]:
    """Predict each formula (options as :func:`api.prediction.predict_structures`); what cannot be read is told in its place.

    Yields
    ------
    StructurePrediction or Failed
        In the order of ``formulas``.
    """
    from api.prediction import predict_structures
    from builders.templates.query import read_query

    read: list[Query | Failed] = []
    for formula in formulas:
        try:
            read.append(read_query(formula))
        except UsageError as error:
            read.append(Failed(formula, error))
    good = [each for each in read if not isinstance(each, Failed)]
    # Without a formula that can be read, neither a store nor weights are needed to say so.
    answers = iter(predict_structures(good, **options) if good else ())
    for each in read:
        yield each if isinstance(each, Failed) else next(answers)
