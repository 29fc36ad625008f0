"""Predictions for many compounds: a few rows at a time; a row that cannot be read costs the others nothing."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from store.errors import FeatureError, IonatlasError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from api.row_files import FileRow
    from builders.conductivity.model import ConductivityModel

Answer = dict[str, Any]

CHUNK: Final = 32
"""Rows that are predicted together."""


class Described(NamedTuple):
    """A row's descriptors, or why there are none; and what was wrong with its structure."""

    features: NDArray[np.float64] | None
    error: str = ""
    warning: str = ""


def answers(rows: Iterator[FileRow], model: ConductivityModel) -> Iterator[Answer]:
    """Predict rows in their order.

    Yields
    ------
    dict
        See :func:`api.conductivity.conductivities`.
    """
    while chunk := list(itertools.islice(rows, CHUNK)):
        yield from answer_rows(chunk, model)


def answer_rows(rows: Sequence[FileRow], model: ConductivityModel) -> list[Answer]:
    """Predict some rows with one call of the model."""
    from builders.conductivity.features import has_structure
    from builders.conductivity.rows import strata

    described = [describe_row(row) for row in rows]
    good = [each.features for each in described if each.features is not None]
    if not good:
        return [_failed(row.id, each.error) for row, each in zip(rows, described, strict=True)]
    features = np.array(good)
    structure = has_structure(features)
    told, known = model.predict(features, structure), strata(features, structure)
    made, place = [], 0
    for row, each in zip(rows, described, strict=True):
        if each.features is None:
            made.append(_failed(row.id, each.error))
            continue
        answer: Answer = {
            "id": row.id,
            "value": float(told.value[place]),
            "lower": float(told.lower[place]),
            "upper": float(told.upper[place]),
            "in_domain": bool(told.in_domain[place]),
            "distance": float(told.distance[place]),
            "known": known[place],
            "model": model.id,
        }
        if told.reasons[place]:
            answer["reason"] = told.reasons[place]
        if each.warning:
            answer["warning"] = each.warning
        made.append(answer)
        place += 1
    return made


def describe_row(row: FileRow) -> Described:
    """Read and describe one row."""
    from builders.conductivity.features import describe_record
    from store.ingest.readers import read_conductivity

    if row.error:
        return Described(None, row.error)
    try:
        record = read_conductivity(row.format, without_value(row.format, row.content))
        warnings = [each for each in record.warnings if each.startswith(_OF_STRUCTURES)]
        return Described(describe_record(record), warning="; ".join(warnings))
    except IonatlasError as error:
        return Described(None, error.message)
    except (ArithmeticError, LookupError, ValueError, TypeError, np.linalg.LinAlgError) as error:
        # A compound nobody thought of: one row without a prediction, not a file without any.
        return Described(None, FeatureError(f"The row could not be described: {type(error).__name__}: {error}").message)


_OF_STRUCTURES: Final = ("structure_", "no_Li_in_structure")
_VALUES: Final = (
    "log10_sigma", "sigma_S_cm", "sigma", "censored", "temperature_K", "temperature", "obelix_benchmark_log10_sigma",
)  # fmt: skip


def without_value(format_: str, content: bytes) -> bytes:
    """Drop what was measured: what is predicted must not depend on it, nor fail by it.

    Examples
    --------
    >>> without_value("conductivity-json", b'{"formula":"Li3N","log10_sigma":"nobody knows"}')
    b'{"formula":"Li3N"}'
    """
    import orjson

    if format_ != "conductivity-json":
        return content
    try:
        row = orjson.loads(content)
    except ValueError:
        return content  # the reader tells what is wrong with it
    if not isinstance(row, dict):
        raise SourceError("The row is no JSON object.")
    return orjson.dumps({key: value for key, value in row.items() if key not in _VALUES})


def _failed(id: str, error: str) -> Answer:
    return {
        "id": id, "value": None, "lower": None, "upper": None, "in_domain": None, "model": None, "error": error,
    }  # fmt: skip
