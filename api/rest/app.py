"""The application: REST, OPTIMADE and the pages together, behind one guard."""

from __future__ import annotations

import contextlib
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from api.rest.problems import problem, told
from store.errors import IonatlasError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

    from api.rest.options import ServeOptions
    from api.rest.routes import Hub
    from api.rest.service import ServedService
    from store.settings import Settings

_LEAST_GZIP = 1024
_GZIP_LEVEL = 2


def create_app(settings: Settings | None = None, options: ServeOptions | None = None) -> FastAPI:
    """Make the web application of a store.

    Parameters
    ----------
    settings : Settings, optional
        Read from the environment when not given.
    options : ServeOptions, optional
        By default what the settings say.

    Returns
    -------
    fastapi.FastAPI
        ``app.state`` holds ``service`` (:class:`api.service.Service`), ``sandbox`` (:class:`api.sandbox.Sandbox`), ``settings``
        and ``options``.

    Raises
    ------
    DatabaseError
        The store does not answer.

    Examples
    --------
    >>> from starlette.testclient import TestClient                             # doctest: +SKIP
    >>> TestClient(create_app()).get("/v1/materials?limit=1").json()["data"]    # doctest: +SKIP
    [{'id': 'mp-1', ...}]
    """
    from fastapi import FastAPI

    from api.rest.options import ServeOptions
    from api.rest.routes import VERSION, Hub
    from api.rest.service import open_service
    from api.sandbox import Sandbox
    from store.settings import load_settings

    settings = settings or load_settings()
    options = options or ServeOptions.from_settings(settings)
    service = open_service(settings)
    sandbox = Sandbox(
        settings.sandbox_workers,
        settings.sandbox_seconds,
        settings.sandbox_memory_gb,
        waiting=4 * settings.sandbox_workers,
        upload_mb=settings.upload_mb,
        settings=service.settings,
    )
    app = FastAPI(
        title="ionatlas", version=VERSION, docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan
    )
    app.state.settings, app.state.options = settings, options
    app.state.service, app.state.sandbox = service, sandbox
    app.state.warm = False
    _add_rest(app, Hub(service, sandbox, options))
    _add_faces(app)
    _add_errors(app)
    _add_guard(app)
    return app


def served_app() -> FastAPI:
    """Make the application as ``ionatlas serve`` runs it: what first questions would wait for is loaded at its start."""
    app = create_app()
    app.state.warm = True
    return app


def _add_rest(app: FastAPI, hub: Hub) -> None:
    from api.rest.openapi import openapi
    from api.rest.reference import reference_page
    from api.rest.routes import PREFIX, Endpoint
    from api.usecases import load_use_cases

    endpoints = [Endpoint(case, hub) for case in load_use_cases().values()]
    # Longer paths first: an id takes whatever is left.
    for endpoint in sorted(endpoints, key=lambda each: -each.case.route.count("/")):
        app.add_route(PREFIX + endpoint.case.route, endpoint.handle, endpoint.methods, include_in_schema=False)
    app.openapi = lambda: openapi(hub.options.public_url)  # type: ignore[method-assign]
    app.add_route("/openapi.json", _json(app.openapi), ["GET"], include_in_schema=False)
    app.add_route("/docs", reference_page, ["GET"], include_in_schema=False)
    app.add_route("/healthz", _health(hub), ["GET"], include_in_schema=False)


def _add_faces(app: FastAPI) -> None:
    """OPTIMADE and the pages; each is a room of its own."""
    from api.optimade.app import optimade_app
    from api.web.app import add_pages

    app.mount("/optimade", optimade_app(app.state.service))
    add_pages(app)


def _add_errors(app: FastAPI) -> None:
    from starlette.exceptions import HTTPException

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, IonatlasError)
        return told(error)

    async def theirs(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        detail = str(error.detail)
        if error.status_code == 404:
            return problem(404, "There is nothing at this address.", mend="see /docs for what there is")
        if error.status_code == 405:
            detail = f"{request.method} is not answered here."
        return problem(error.status_code, detail, headers=error.headers)

    app.add_exception_handler(IonatlasError, ours)
    app.add_exception_handler(HTTPException, theirs)


def _add_guard(app: FastAPI) -> None:
    from starlette.middleware.gzip import GZipMiddleware

    from api.keys import Keyring
    from api.rest.guard import Guard

    app.add_middleware(GZipMiddleware, minimum_size=_LEAST_GZIP, compresslevel=_GZIP_LEVEL)
    app.add_middleware(
        Guard,
        options=app.state.options,
        keyring=Keyring(app.state.service.call),
        scopes=needed_scope,
        largest_body=int(app.state.settings.upload_mb * 1e6) + 65_536,
    )


def needed_scope(method: str, path: str) -> str:
    """Tell the scope that a request needs: that of its use-case; elsewhere, to read or to compute.

    Examples
    --------
    >>> needed_scope("GET", "/v1/materials"), needed_scope("GET", "/v1/export"), needed_scope("POST", "/channels")
    ('read', 'export', 'compute')
    """
    room, _, rest = path.removeprefix("/").partition("/")
    if room == "v1":
        return _scopes().get(rest.partition("/")[0], "read")
    return "compute" if method == "POST" else "read"


@lru_cache(maxsize=1)
def _scopes() -> dict[str, str]:
    """Scope by the first part of the path below ``/v1``."""
    from api.usecases import load_use_cases

    return {case.route.split("/", 2)[1]: case.scope for case in load_use_cases().values()}


def _json(make: Any) -> Any:
    import orjson
    from starlette.responses import Response

    async def answer(request: Request) -> Response:
        return Response(orjson.dumps(make()), media_type="application/json")

    return answer


def _health(hub: Hub) -> Any:
    from anyio.to_thread import run_sync
    from starlette.responses import JSONResponse

    async def health(request: Request) -> Response:
        """Whether the server and its database answer."""
        await run_sync(lambda: hub.service.call(lambda database: database.command("ping")))
        return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})

    return health


def _warm(service: ServedService) -> None:
    service.warm()
    with contextlib.suppress(IonatlasError):
        service.status()  # counts each kind of a collection once


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    threading.Thread(target=app.state.sandbox.warm, name="sandbox warming", daemon=True).start()
    if app.state.warm:
        threading.Thread(target=_warm, args=(app.state.service,), name="warming", daemon=True).start()
    yield
    app.state.sandbox.close()
