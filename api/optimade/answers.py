"""What every OPTIMADE answer holds around its data, and errors as JSON:API writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode

import orjson
from optimade import __api_version__
from optimade.exceptions import OptimadeHTTPException
from optimade.server.routers.utils import JSONAPIResponse

from api.optimade.entries import timestamp
from api.optimade.names import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import Request
    from fastapi.exceptions import RequestValidationError
    from optimade.server.config import ServerConfig
    from starlette.exceptions import HTTPException

    from store.errors import IonatlasError

API_VERSION: Final[str] = __api_version__
_NUMBERS: Final = API_VERSION.split("-", maxsplit=1)[0].split("+", maxsplit=1)[0].split(".")
VERSIONS: Final = tuple(f"/v{'.'.join(_NUMBERS[:length])}" for length in (1, 2, 3))
"""Prefixes of the versioned base URLs."""

SCHEMA: Final = f"https://schemas.optimade.org/openapi/v{API_VERSION}/optimade.json"


class Answer(JSONAPIResponse):  # type: ignore[misc]  # optimade publishes no types
    """A JSON:API answer, written by orjson (NaN becomes null)."""

    def render(self, content: Any) -> bytes:
        """Write the body."""
        return orjson.dumps(content)


def base_url(request: Request) -> str:
    """Address under which the application is mounted, without a version: where others reach it, if the settings say so."""
    host = request.app.state.public_url or f"{request.url.scheme}://{request.url.netloc}"
    return f"{host.rstrip('/')}{request.scope.get('root_path', '')}".rstrip("/")


def path_within(request: Request) -> str:
    """Path of the request below the mount, with its version."""
    path: str = request.scope["path"]
    return path.removeprefix(request.scope.get("root_path", "")) or "/"


def next_link(request: Request, following: Mapping[str, str] | None) -> str | None:
    """Write the address of the next page."""
    if following is None:
        return None
    paging = ("page_offset", "page_number", "page_above", "page_below", "page_cursor", *following)
    kept = [(name, value) for name, value in parse_qsl(request.url.query) if name not in paging]
    return f"{base_url(request)}{path_within(request)}?{urlencode([*kept, *following.items()])}"


def meta(
    request: Request,
    *,
    returned: int | None = None,
    available: int | None = None,
    more: bool = False,
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the ``meta`` of an answer."""
    config: ServerConfig = request.app.state.config
    asked = re.sub(r"^/v\d+(\.\d+){0,2}(?=/|$)", "", path_within(request)) or "/"
    found: dict[str, Any] = {
        "query": {"representation": f"{asked}?{request.url.query}" if request.url.query else asked},
        "api_version": API_VERSION,
        "schema": SCHEMA,
        "time_stamp": timestamp(datetime.now(tz=UTC)),
        "more_data_available": more,
        "data_returned": returned,
        "data_available": available,
        "provider": config.provider.model_dump(mode="json", exclude_none=True),
        "implementation": config.implementation.model_dump(mode="json", exclude_none=True),
    }
    noted = [*warnings, *getattr(request.state, "optimade_warnings", ())]
    if noted:
        found["warnings"] = [{"type": "warning", "title": "Not used", "detail": each} for each in dict.fromkeys(noted)]
    return {name: value for name, value in found.items() if value is not None}


def failure(
    request: Request, status: int, title: str, detail: str, parameter: str | None = None, mend: str | None = None
) -> Answer:
    """Write an error."""
    error: dict[str, Any] = {"status": str(status), "title": title, "detail": detail}
    if parameter:
        error["source"] = {"parameter": parameter}
    if mend:
        error["meta"] = {f"_{PREFIX}_mend": mend}
    content = {"meta": meta(request, returned=0), "errors": [error]}
    return Answer(content, status_code=status)


def on_optimade(request: Request, error: Exception) -> Answer:
    """Answer an error of the specification's own kinds."""
    assert isinstance(error, OptimadeHTTPException)
    return failure(request, error.status_code, error.title, error.detail or error.title)


def on_ours(request: Request, error: Exception) -> Answer:
    """Answer one of our errors: what was asked is wrong (400), or MongoDB is at fault (503)."""
    from store.errors import IonatlasError, UsageError

    assert isinstance(error, IonatlasError)
    if isinstance(error, UsageError):
        return failure(request, 400, "Bad Request", error.message, mend=_public(error))
    return failure(request, 503, "Service Unavailable", error.message)


def _public(error: IonatlasError) -> str | None:
    # Commands of this machine help the one who runs the server, not the one who asks it.
    return None if error.mend is None or error.mend.startswith("ionatlas ") else error.mend


def on_http(request: Request, error: Exception) -> Answer:
    """Answer an unknown address; a version that there is not has a status of its own."""
    from starlette.exceptions import HTTPException

    assert isinstance(error, HTTPException)
    found = re.match(r"/v\d+(\.\d+){0,2}(?=/|$)", path_within(request))
    if error.status_code == 404 and found and found.group() not in VERSIONS:
        return failure(
            request, 553, "Version Not Supported", f"There is no {found.group()[1:]}; there are {_listed()}."
        )
    return failure(request, error.status_code, _title(error), str(error.detail))


def _listed() -> str:
    return ", ".join(version[1:] for version in VERSIONS)


def _title(error: HTTPException) -> str:
    from http import HTTPStatus

    try:
        return HTTPStatus(error.status_code).phrase
    except ValueError:
        return "Error"


def on_parameters(request: Request, error: Exception) -> Answer:
    """Answer a query parameter with a wrong value (the specification knows 400 for it, not 422)."""
    from fastapi.exceptions import RequestValidationError

    assert isinstance(error, RequestValidationError)
    return failure(request, 400, "Bad Request", _told(error), parameter=_parameter(error))


def _told(error: RequestValidationError) -> str:
    first = error.errors()[0]
    return f"{_parameter(error)}: {first.get('msg', 'wrong value')}."


def _parameter(error: RequestValidationError) -> str:
    return str(error.errors()[0].get("loc", ("query", "query"))[-1])


def on_fault(request: Request, error: Exception) -> Answer:
    """Answer a fault of ours without telling the inside."""
    del error
    return failure(request, 500, "Internal Server Error", "The server failed; its log tells why.")
