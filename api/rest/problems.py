"""Errors as the web wants them: a status, and ``application/problem+json`` (RFC 9457) that says what mends it."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.responses import Response

from api.sandbox import SandboxBusy
from store.errors import (
    BuildError,
    DatabaseError,
    FeatureError,
    IonatlasError,
    ServerUnavailable,
    SnapshotMissing,
    SourceError,
    SourceTooLarge,
    StructureError,
    UnknownId,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIA: Final = "application/problem+json"


class QueryTimeout(DatabaseError):
    """MongoDB took longer over a query than it may."""


class NotAsked(UsageError):
    """A parameter that there is not, or a value that does not fit.

    Attributes
    ----------
    parameter : str
    """

    parameter: str | None = None

    @classmethod
    def of(cls, parameter: str, message: str, mend: str | None = None) -> NotAsked:
        """Make the error of a parameter."""
        made = cls(message, mend=mend)
        made.parameter = parameter
        return made


class TooMuch(UsageError):
    """What was sent is too large."""


_STATUS: Final[tuple[tuple[type[IonatlasError], int], ...]] = (
    (UnknownId, 404),
    (SandboxBusy, 503),
    (TooMuch, 413),
    (SourceTooLarge, 413),
    (UsageError, 400),
    (SourceError, 400),
    (StructureError, 400),
    (FeatureError, 400),
    (SnapshotMissing, 409),
    (ServerUnavailable, 503),
    (QueryTimeout, 504),
    (BuildError, 409),
)
_RETRY: Final = {503: "5", 504: "30"}
_LOCAL: Final = re.compile(r"(?<![\w:/.])/(?:[\w.@+-]+/)+[\w.@+-]*")
"""Paths of the server's machine, which are nobody else's business."""


def status_of(error: IonatlasError) -> int:
    """Tell the HTTP status of an error.

    Examples
    --------
    >>> status_of(UnknownId("no")), status_of(SnapshotMissing("no")), status_of(DatabaseError("no"))
    (404, 409, 500)
    """
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem(
    status: int,
    detail: str,
    *,
    kind: str | None = None,
    mend: str | None = None,
    where: str | None = None,
    parameter: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Make the reply of an error."""
    title = HTTPStatus(status).phrase
    body: dict[str, Any] = {
        "type": f"/docs#{kind}" if kind else "about:blank",
        "title": title if kind is None else _words(kind),
        "status": status,
        "detail": detail,
    }
    further = {"mend": mend, "where": where, "parameter": parameter, "error": kind}
    body |= {name: value for name, value in further.items() if value}
    retry = {"Retry-After": _RETRY[status]} if status in _RETRY else {}
    return Response(
        orjson.dumps(body), status, {"Cache-Control": "no-store", **retry, **(headers or {})}, media_type=MEDIA
    )


def told(error: IonatlasError) -> Response:
    """Make the reply of an error of ours."""
    status = status_of(error)
    message, where = _split(_safe(error.message))
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, SandboxBusy) else None
    mend = None if error.mend is None else _safe(error.mend)
    return problem(
        status,
        message,
        kind=next(each.__name__ for each in type(error).__mro__ if each.__module__ == "store.errors"),
        mend=mend,
        where=where,
        parameter=getattr(error, "parameter", None),
        headers=headers,
    )


def _safe(text: str) -> str:
    """Write a message so that JSON can hold it and nothing of the machine is told."""
    return _LOCAL.sub("(a path)", text.encode("utf-8", "backslashreplace").decode())


def _split(message: str) -> tuple[str, str | None]:
    """Take the picture of the place (a line of the filter, carets below it) out of a message."""
    lines = message.rstrip().split("\n")
    for number in range(1, len(lines)):
        if lines[number].strip() and set(lines[number].strip()) == {"^"}:
            picture = "\n".join(lines[number - 1 : number + 1])
            rest = [line.strip() for line in (*lines[: number - 1], *lines[number + 1 :])]
            return " ".join(line for line in rest if line), picture
    return message.strip(), None


def _words(kind: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()
    return words[:1].upper() + words[1:]
