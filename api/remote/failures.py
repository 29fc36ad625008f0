"""Errors of a server, made into the errors that the same question raises on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from store import errors
from store.errors import DatabaseError, FilterError, IonatlasError, ServerUnavailable, UnknownId, UsageError

if TYPE_CHECKING:
    import httpx

_BY_STATUS: Final[dict[int, type[IonatlasError]]] = {
    400: UsageError,
    404: UnknownId,
    409: errors.SnapshotMissing,
    413: UsageError,
    422: UsageError,
    429: ServerUnavailable,
    502: ServerUnavailable,
    503: ServerUnavailable,
    504: DatabaseError,
}
_LONGEST: Final = 4000


def failed(address: str, answer: httpx.Response) -> IonatlasError:
    """Make an error of an answer that is none.

    Parameters
    ----------
    address : str
        The server's.
    answer : httpx.Response
        Read; ``application/problem+json``, or whatever stands between us and the server says.

    Returns
    -------
    IonatlasError
        Of the class that the server names, if there is one of this name here; else what fits the status.
    """
    status = answer.status_code
    told = _problem(answer)
    if status in (401, 403):
        return _refused(address, status, told)
    detail = _text(told, "detail") or _text(told, "title")
    kind = _class(told) or _BY_STATUS.get(status, DatabaseError if status >= 500 else UsageError)
    if detail is None:
        return _wordless(address, answer, kind)
    where = _text(told, "where")
    mend = _text(told, "mend")
    if where is not None:
        detail = f"{detail}\n{where}" + ("\n" if mend else "")
    if status == 429:
        wait = answer.headers.get("retry-after")
        detail = f"{address} is asked too often: {detail}" + (f" It wants {wait} s of waiting." if wait else "")
    return kind(detail, mend=mend)


def _problem(answer: httpx.Response) -> dict[str, Any]:
    if "json" not in answer.headers.get("content-type", ""):
        return {}
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _text(told: dict[str, Any], name: str) -> str | None:
    value = told.get(name)
    return value[:_LONGEST] if isinstance(value, str) and value else None


def _class(told: dict[str, Any]) -> type[IonatlasError] | None:
    name = _text(told, "error") or (_text(told, "type") or "").rpartition("#")[2]
    kind = getattr(errors, name, None) if name.isidentifier() else None
    if isinstance(kind, type) and issubclass(kind, IonatlasError):
        return kind
    return FilterError if _text(told, "where") else None


def _refused(address: str, status: int, told: dict[str, Any]) -> UsageError:
    detail = _text(told, "detail") or "An API key is wanted." if status == 401 else _text(told, "detail") or "Refused."
    return UsageError(
        f"{address} refuses: {detail}",
        mend=_text(told, "mend")
        or 'Atlas("https://host", api_key=...), or the variable IONATLAS_API_KEY; who runs the server makes keys with '
        "ionatlas key create",
    )


def _wordless(address: str, answer: httpx.Response, kind: type[IonatlasError]) -> IonatlasError:
    if answer.status_code == 404:
        return UsageError(
            f"{address} has no {answer.request.url.path}: it is no ionatlas server, or an older one.",
            mend="check the address",
        )
    return kind(
        f"{address} answers with the status {answer.status_code} and says nothing more.", mend="try again later"
    )
