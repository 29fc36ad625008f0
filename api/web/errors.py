"""Errors as pages for browsers; programs get what the API says."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("ionatlas.pages")

_NOT_PAGES: Final = ("/v1", "/optimade", "/openapi.json", "/healthz", "/static")
"""Addresses whose errors are for programs, whoever asks."""

_MOST_KEPT: Final = 65_536


def wants_page(request: Request) -> bool:
    """Whether a browser asks for a page.

    Examples
    --------
    >>> scope = {"type": "http", "path": "/x", "headers": [(b"accept", b"text/html,*/*")], "query_string": b""}
    >>> wants_page(Request(scope)), wants_page(Request({**scope, "path": "/v1/materials"}))
    (True, False)
    """
    path = request.scope["path"]
    programs = any(path == each or path.startswith(f"{each}/") for each in _NOT_PAGES)
    return not programs and "text/html" in request.headers.get("accept", "")


class ErrorPages:
    """Middleware that turns an error into a page where a browser asked; it holds the answer back until it is seen whole."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or not wants_page(Request(scope)):
            await self._app(scope, receive, send)
            return
        held: dict[str, Any] = {"status": 0, "body": b"", "started": False, "headers": []}

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_bare(message):
                held.update(status=message["status"], headers=message["headers"])
                return
            if not held["status"]:
                held["started"] = True
                await send(message)
                return
            held["body"] = (held["body"] + message.get("body", b""))[:_MOST_KEPT]
            if not message.get("more_body"):
                await _page(scope, held)(scope, receive, send)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            if held["started"]:
                raise
            log.exception("A page failed: %s", scope["path"])
            from api.web.rendering import plain_error

            await plain_error(Request(scope), 500)(scope, receive, send)


def _is_bare(message: Message) -> bool:
    """Whether an answer is an error that is no page."""
    if message["status"] < 400:
        return False
    kinds = [value for name, value in message["headers"] if name.lower() == b"content-type"]
    return not any(value.startswith(b"text/html") for value in kinds)


def _page(scope: Scope, held: dict[str, Any]) -> Response:
    """The page of an error that an inner part told: its words, where it has some."""
    from api.web.rendering import page, plain_error

    request, status = Request(scope), int(held["status"])
    try:
        told = json.loads(held["body"])
    except ValueError:
        told = None
    known = isinstance(told, dict) and "detail" in told and status not in (404, 405, 500)
    if not known or not isinstance(told, dict):
        return plain_error(request, status)
    error = {
        "what": str(told["detail"]),
        "picture": str(told.get("where") or ""),
        "more": "",
        "mend": str(told.get("mend") or ""),
    }
    answer = page(request, "error.html", status=status, title=str(told.get("title") or "Error"), error=error)
    kept = (b"retry-after", b"www-authenticate")
    answer.raw_headers.extend((name, value) for name, value in held["headers"] if name.lower() in kept)
    return answer
