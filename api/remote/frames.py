"""Answers as tables: units and meanings stand in ``attrs``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from api.results import Aggregation, QueryResult


def to_frame(result: QueryResult) -> pd.DataFrame:
    """Make a DataFrame of an answer; units and meanings stand in ``attrs``.

    Examples
    --------
    >>> from api.results import QueryResult
    >>> from store.fields import FIELDS
    >>> frame = to_frame(QueryResult([{"density": 5.3}], [FIELDS["density"]], 1, False, 0.0))
    >>> frame.attrs["units"]
    {'density': 'g/cm^3'}
    """
    import pandas as pd

    names = [field.name for field in result.fields]
    frame = pd.DataFrame(result.rows, columns=names)
    for field in result.fields:
        # A column of a type of its own even where every value is unknown, or there is no row.
        kind = {"integer": "Int64", "float": "float64", "boolean": "boolean"}.get(field.type)
        if kind is not None:
            frame[field.name] = frame[field.name].astype(kind)
    frame.attrs["units"] = {field.name: field.unit for field in result.fields if field.unit}
    frame.attrs["meanings"] = {field.name: field.meaning for field in result.fields}
    frame.attrs["more"] = result.more
    frame.attrs["total"] = result.total
    frame.attrs["next"] = result.next
    if result.note:
        frame.attrs["note"] = result.note
    return frame


def bucket_frame(found: Aggregation) -> pd.DataFrame:
    """Make a DataFrame of counts: one row a group or an interval."""
    import pandas as pd

    names = [field.name for field in found.fields]
    summed = () if found.value is None else ("minimum", "maximum", "mean")
    rows = []
    for bucket in found.buckets:
        row: dict[str, Any] = {}
        if found.kind == "histogram":
            row = {"low": bucket.low, "high": bucket.high}
        elif names:
            row = dict(zip(names, bucket.value if len(names) > 1 else [bucket.value], strict=True))
        rows.append({**row, "count": bucket.count, **{name: getattr(bucket, name) for name in summed}})
    frame = pd.DataFrame(rows)
    units = {field.name: field.unit for field in found.fields if field.unit}
    if found.kind == "histogram" and units:
        units |= dict.fromkeys(("low", "high"), next(iter(units.values())))
    if found.value is not None and found.value.unit:
        units |= dict.fromkeys(summed, found.value.unit)
    frame.attrs |= {"kind": found.kind, "fields": names, "total": found.total, "unknown": found.unknown, "units": units}
    return frame
