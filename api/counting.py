"""Counting in arrays: the fast way of :mod:`api.aggregate`."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from api.aggregate import equal_edges
from api.columns import Column, column_of, in_order, rows_of
from api.results import Bucket

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from api.aggregate import Plan
    from api.results import Aggregation
    from api.service import Service


def count_in_memory(service: Service, plan: Plan) -> Aggregation | None:
    """Answer an aggregation; None where MongoDB has to (lists together with other fields).

    Raises
    ------
    api.columns.TooLarge
    """
    if len(plan.fields) > 1 and any(field.type == "list of string" for field in plan.fields):
        return None
    if plan.kind == "count" and plan.value is None:
        return None  # MongoDB counts without telling which
    rows = rows_of(service, plan.wanted)
    columns = [column_of(service, field) for field in plan.fields]
    value = None if plan.value is None else column_of(service, plan.value).numbers[rows]
    if plan.kind == "histogram":
        return _histogram(plan, columns[0].numbers[rows], value)
    if plan.kind == "count":
        return plan.answer(_buckets(np.zeros(len(rows), dtype=np.int64), 1, value), len(rows), 0, 1)
    return _groups(plan, rows, columns, value)


def _groups(
    plan: Plan, rows: NDArray[np.int32], columns: list[Column], value: NDArray[np.float64] | None
) -> Aggregation:
    codes, places = columns[0].items(rows)
    known = codes >= 0
    joined = codes.astype(np.int64)
    for column in columns[1:]:
        joined = joined * len(column.values) + column.codes[rows]
        known &= column.codes[rows] >= 0
    joined, places = joined[known], places[known]
    keys, numbers = np.unique(joined, return_inverse=True)
    buckets = _buckets(numbers, len(keys), None if value is None else value[places])
    told = [replace(bucket, value=_value(int(key), columns)) for key, bucket in zip(keys, buckets, strict=True)]
    told.sort(key=lambda bucket: (-bucket.count, _order(bucket.value)))
    unknown = len(rows) - len(np.unique(places))
    return plan.answer(told[: plan.top], len(rows), unknown, len(told))


def _value(key: int, columns: list[Column]) -> Any:
    if len(columns) == 1:
        return columns[0].values[key]
    held: list[Any] = []
    for column in reversed(columns):
        key, place = divmod(key, len(column.values))
        held.append(column.values[place])
    return held[::-1]


def _order(value: Any) -> Any:
    return [in_order(each) for each in value] if isinstance(value, list) else in_order(value)


def _histogram(plan: Plan, numbers: NDArray[np.float64], value: NDArray[np.float64] | None) -> Aggregation:
    known = ~np.isnan(numbers)
    total, numbers = len(numbers), numbers[known]
    ends = (float(numbers.min()), float(numbers.max())) if len(numbers) else None
    edges = plan.edges or equal_edges(ends, plan.bins)
    if not edges:
        return plan.answer([], total, total, 0)
    # The last interval has its upper end.
    bounds = [*edges[:-1], math.nextafter(edges[-1], math.inf)]
    places = np.searchsorted(np.array(bounds), numbers, side="right")
    counted = _buckets(places, len(bounds) + 1, None if value is None else value[known])
    inside = [
        replace(bucket, low=low, high=high)
        for bucket, low, high in zip(counted[1:-1], edges[:-1], edges[1:], strict=True)
    ]
    answer = plan.answer(inside, total, total - len(numbers), len(inside))
    return replace(answer, below=counted[0].count, above=counted[-1].count)


def _buckets(places: NDArray[Any], count: int, value: NDArray[np.float64] | None) -> list[Bucket]:
    """Count by place, and sum a value up."""
    counts = np.bincount(places, minlength=count)
    if value is None:
        return [Bucket(int(each)) for each in counts]
    there = ~np.isnan(value)
    held, numbers = places[there], value[there]
    known = np.bincount(held, minlength=count)
    sums = np.bincount(held, weights=numbers, minlength=count)
    least, most = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(least, held, numbers)
    np.maximum.at(most, held, numbers)
    return [
        Bucket(
            int(counts[each]),
            known=int(known[each]),
            minimum=float(least[each]) if known[each] else None,
            maximum=float(most[each]) if known[each] else None,
            mean=float(sums[each] / known[each]) if known[each] else None,
        )
        for each in range(count)
    ]
