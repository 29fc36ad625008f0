"""``ionatlas aggregate``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from api.cli.output import message, open_service, print_table, sensible, tell_why_empty, to_json
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.results import Aggregation, Bucket

_BAR: Final = 24
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"


def aggregate(
    filter: Annotated[str, typer.Argument(metavar="FILTER", help="A filter as in ionatlas query; '' for all.")] = "",
    by: Annotated[str | None, typer.Option("--by", help="Field to group by; several with commas.")] = None,
    histogram: Annotated[str | None, typer.Option("--histogram", help="Field whose numbers are counted.")] = None,
    bins: Annotated[
        str | None, typer.Option("--bins", help="Number of intervals (20), or their edges: 0,0.5,1,2")
    ] = None,
    value: Annotated[
        str | None, typer.Option("--value", help="Field of which each group tells smallest, mean and largest value.")
    ] = None,
    top: Annotated[int, typer.Option("--top", help="Most groups, the largest first.", min=1)] = 50,
    unique: Annotated[
        bool, typer.Option("--unique", help="Leave out what repeats another material's crystal.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Count materials: all that match, by the values of a field, or as a histogram.

    \b
    ionatlas aggregate 'elements HAS "Li"' --by crystal_system
    ionatlas aggregate 'band_gap > 1 eV' --histogram density --bins 10
    ionatlas aggregate '' --by crystal_system --value band_gap --csv
    """  # noqa: D301  (\\b keeps the lines of the examples)
    if as_json and as_csv:
        raise UsageError("--json and --csv were both given.", mend="give one of the two")
    found = open_service().aggregate(
        filter,
        group_by=by,
        histogram=histogram,
        bins=_bins(bins),
        value=value,
        top=top,
        include_duplicates=not unique,
    )
    if as_json:
        typer.echo(to_json(_plain(found), indent=True))
    elif as_csv:
        _write_csv(found)
    else:
        _print(found)
    if not found.total:
        tell_why_empty()


def _bins(text: str | None) -> int | list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")] if "," in text else int(text)
    except ValueError:
        raise UsageError(f"{text!r} is neither a number of bins nor a list of edges.", mend="--bins 20") from None


def _plain(found: Aggregation) -> dict[str, Any]:
    names = _columns(found)
    return {
        "kind": found.kind,
        "fields": [{"name": field.name, "unit": field.unit} for field in found.fields],
        "value": None if found.value is None else {"name": found.value.name, "unit": found.value.unit},
        "buckets": [dict(zip(names, _cells(found, bucket), strict=True)) for bucket in found.buckets],
        "total": found.total,
        "unknown": found.unknown,
        "groups": found.groups,
        "below": found.below,
        "above": found.above,
        "seconds": found.seconds,
    }


def _columns(found: Aggregation) -> list[str]:
    names = ["low", "high"] if found.kind == "histogram" else [field.name for field in found.fields]
    return [*names, "count", *(["known", "minimum", "mean", "maximum"] if found.value is not None else [])]


def _cells(found: Aggregation, bucket: Bucket) -> list[Any]:
    if found.kind == "histogram":
        keys: list[Any] = [bucket.low, bucket.high]
    else:
        keys = list(bucket.value) if len(found.fields) > 1 else [bucket.value] * len(found.fields)
    sums = [bucket.known, bucket.minimum, bucket.mean, bucket.maximum] if found.value is not None else []
    return [*keys, bucket.count, *sums]


def _write_csv(found: Aggregation) -> None:
    import csv

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_columns(found))
    writer.writerows(_cells(found, bucket) for bucket in found.buckets)


def _print(found: Aggregation) -> None:
    largest = max((bucket.count for bucket in found.buckets), default=0)
    rows = [_row(found, bucket, largest) for bucket in found.buckets]
    if rows:
        print_table(_headings(found), rows)
    _close(found)


def _headings(found: Aggregation) -> list[tuple[str, bool]]:
    if found.kind == "histogram":
        named = [(found.fields[0].label, False)]
    else:
        named = [(field.label, field.type == "integer") for field in found.fields]
    sums = [(f"{what} {found.value.label}", True) for what in ("least", "mean", "largest")] if found.value else []
    return [*named, ("materials", True), *sums, *([("", False)] if found.kind != "count" else [])]


def _row(found: Aggregation, bucket: Bucket, largest: int) -> Sequence[str]:
    if found.kind == "histogram":
        closing = "]" if bucket is found.buckets[-1] else ")"
        assert bucket.low is not None
        assert bucket.high is not None
        keys = [f"[{bucket.low:.4g}, {bucket.high:.4g}{closing}"]
    else:
        keys = [sensible(value) for value in _cells(found, bucket)[: len(found.fields)]]
    sums = [bucket.minimum, bucket.mean, bucket.maximum] if found.value is not None else []
    told = [*keys, f"{bucket.count:,}", *(sensible(each) for each in sums)]
    return [*told, bar(bucket.count, largest)] if found.kind != "count" else told


def bar(count: int, largest: int, width: int = _BAR) -> str:
    """Draw a number as a bar of text.

    Examples
    --------
    >>> bar(5, 10, 4), bar(1, 1000, 4), bar(0, 10, 4)
    ('██', '▏', '')
    """
    if not count or not largest:
        return ""
    eighths = max(1, round(8 * width * count / largest))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _close(found: Aggregation) -> None:
    told = [f"{found.total:,} materials match, in {found.seconds:.2f} s"]
    if found.unknown:
        told.append(f"{found.unknown:,} without {' or '.join(field.name for field in found.fields)}")
    if found.below or found.above:
        told.append(f"{found.below:,} below and {found.above:,} above the edges")
    if found.groups > len(found.buckets):
        told.append(f"{found.groups - len(found.buckets):,} smaller groups not shown; --top shows more")
    message("; ".join(told))
