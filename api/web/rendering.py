"""Pages from templates: one environment, what every page knows, errors in the house style."""

from __future__ import annotations

import re
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi.routing import APIRoute
from starlette.responses import HTMLResponse, Response

from api.web.text import FILTERS
from store.errors import IonatlasError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from jinja2 import Environment
    from starlette.requests import Request

    from api.service import Service

POLICY: Final = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "worker-src 'self' blob:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
    "object-src 'none'"
)
"""Content-Security-Policy of the pages."""

_LOCAL: Final = re.compile(r"(?<![\w:/.])/(?:[\w.@+-]+/)+[\w.@+-]*")
"""Paths of the server's machine, which are nobody else's business."""

PAGES: Final = (
    ("/", "Search"),
    ("/predict-structure", "Structures"),
    ("/inverse", "Inverse"),
    ("/channels", "Channels"),
    ("/predict", "Conduction"),
    ("/fields", "Fields"),
    ("/status", "Status"),
    ("/about", "Help"),
)
"""What the head of every page leads to."""


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Make the environment of the templates: everything is escaped."""
    from pathlib import Path

    from jinja2 import Environment, FileSystemLoader

    from api.web.assets import address
    from api.web.text import is_number

    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    made.globals.update(static=address, is_number=is_number, pages=PAGES, version=_version())
    return made


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("ionatlas")
    except PackageNotFoundError:
        return ""


def render(name: str, **context: Any) -> str:
    """Fill a template."""
    return environment().get_template(name).render(**context)


def page(request: Request, name: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """Answer with a page."""
    told = render(name, path=request.url.path, fragment=is_fragment(request), **context)
    return HTMLResponse(told, status, headers={"Content-Security-Policy": POLICY, "Vary": "Accept-Encoding"})


def is_fragment(request: Request) -> bool:
    """Whether a part of a page is asked for, to be put into one that is open already."""
    return request.query_params.get("fragment") == "1"


def service_of(request: Request) -> Service:
    """The service of the application."""
    found: Service = request.app.state.service
    return found


def may_compute(request: Request) -> bool:
    """Whether this request may set off a computation.

    What is sent (POST) was let through as such before it came here. An address alone (GET) passes as reading: where
    computing is limited or wants a key it only fills a form in, and its button sends it.
    """
    if request.method == "POST":
        return True
    options = getattr(request.app.state, "options", None)
    return options is None or (options.anonymous == "all" and options.compute_limit is None)


def must_compute(request: Request) -> None:
    """Refuse an address that would set off a computation where that must be sent.

    Raises
    ------
    UsageError
    """
    if not may_compute(request):
        raise UsageError(
            "This is worked out on request, and an address alone is none on this server.",
            mend="press the button on the page that leads here",
        )


def status_of(error: IonatlasError) -> int:
    """HTTP status of an error of ours, the same as the API's.

    Examples
    --------
    >>> from store.errors import UnknownId
    >>> status_of(UnknownId("no")), status_of(UsageError("no"))
    (404, 400)
    """
    from api.rest.problems import status_of as status

    return status(error)


def parts_of(error: IonatlasError) -> dict[str, Any]:
    r"""Take an error apart for a page: first line, picture with the caret, what follows, how to mend it.

    Examples
    --------
    >>> parts_of(UsageError("Not so:\n  a b\n    ^\nNear: c.", mend="d"))
    {'what': 'Not so:', 'picture': 'a b\n  ^', 'more': 'Near: c.', 'mend': 'd'}
    """
    lines = _LOCAL.sub("(a path)", error.message).split("\n")
    carets = [number for number, line in enumerate(lines) if line.strip() and not line.strip().strip("^")]
    if not carets:
        return {"what": lines[0], "picture": "", "more": "\n".join(lines[1:]), "mend": error.mend or ""}
    last = carets[-1]
    first = next((number for number, line in enumerate(lines[1:last], 1) if line.startswith("  ")), last - 1)
    first = max(first, 1)
    return {
        "what": "\n".join(lines[:first]),
        "picture": "\n".join(line.removeprefix("  ") for line in lines[first : last + 1]),
        "more": "\n".join(lines[last + 1 :]),
        "mend": error.mend or "",
    }


def error_page(request: Request, error: IonatlasError) -> HTMLResponse:
    """Answer with an error as a page."""
    status = status_of(error)
    name = "error_part.html" if is_fragment(request) else "error.html"
    titles = {404: "There is no such material", 409: "This is not built yet", 400: "That cannot be answered"}
    title = titles.get(status, "The store does not answer")
    return page(request, name, status=status, title=title, error=parts_of(error))


def plain_error(request: Request, status: int) -> HTMLResponse:
    """Answer for an address that does not exist, or for a fault of ours."""
    told = {
        404: ("There is no such page", "The address leads nowhere.", "the search, or one of the pages named above"),
        405: ("That cannot be done here", "The address does not take this kind of request.", "open it in a browser"),
        413: ("That is too large", "The upload is larger than this server takes.", "give a smaller file"),
        500: (
            "Something went wrong",
            "The fault is in ionatlas, not in the question. It was recorded.",
            "try again; if it stays, tell the operators what you asked",
        ),
    }
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Error"
    title, what, mend = told.get(status, (phrase, f"The server answers {status}.", "go back and try again"))
    error = {"what": what, "picture": "", "more": "", "mend": mend}
    return page(request, "error.html", status=status, title=title, error=error)


class PageRoute(APIRoute):
    """A route whose errors are pages; the API's own are problem+json."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler."""
        from fastapi.exceptions import RequestValidationError

        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await inner(request)
            except IonatlasError as error:
                return error_page(request, error)
            except RequestValidationError as error:
                names = ", ".join(str(each["loc"][-1]) for each in error.errors())
                told = UsageError(f"The form cannot be read: {names}.", mend="fill it in again and send it")
                return error_page(request, told)

        return handle
