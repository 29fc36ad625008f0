"""Pages on an application: ``add_pages(app)``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI


def add_pages(app: FastAPI) -> None:
    """Add the pages, their files, and error pages for browsers.

    Parameters
    ----------
    app : fastapi.FastAPI
        With ``state.service`` and ``state.sandbox`` at the time of a request.

    Examples
    --------
    >>> from fastapi import FastAPI
    >>> app = FastAPI()
    >>> add_pages(app)
    """
    from api.web import assets
    from api.web.errors import ErrorPages
    from api.web.material import routes as material
    from api.web.overview import router as overview
    from api.web.search import routes as search
    from api.web.tools import routes as tools

    app.add_route("/static/{name:path}", assets.serve, methods=["GET", "HEAD"], include_in_schema=False)
    for router in (search.router, tools.router, overview, material.router):
        app.include_router(router)
    app.add_middleware(ErrorPages)
