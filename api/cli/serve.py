"""``ionatlas serve``: the store over HTTP, as pages, REST and OPTIMADE."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from api.rest.options import ServeOptions
    from store.settings import Settings

_THREADS: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
"""Many requests share the processor: threads inside each would fight for it. Libraries read this when they are loaded."""


def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen at; 127.0.0.1 is reached from this machine alone.")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen at.", min=1, max=65_535)] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Server processes.", min=1, max=64)] = None,
    public_url: Annotated[
        str | None,
        typer.Option(
            "--public-url", help="Address at which others reach it through a proxy, e.g. https://atlas.example.org."
        ),
    ] = None,
    anonymous: Annotated[
        str | None,
        typer.Option("--anonymous", help="What is answered without a key: all, read or none.", metavar="LEVEL"),
    ] = None,
    rate_limit: Annotated[
        str | None,
        typer.Option("--rate-limit", help="Requests an address may make without a key, e.g. 600/minute, or off."),
    ] = None,
    compute_limit: Annotated[
        str | None, typer.Option("--compute-limit", help="The same for computations and exports.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No line for each request.")] = False,
) -> None:
    """Serve the store: pages at /, REST at /v1, OPTIMADE at /optimade, the reference at /docs. Ctrl-C ends it.

    Nothing can be written over HTTP. What is not said here is read from the settings (IONATLAS_SERVE_PORT and so on).

    \b
    ionatlas serve
    ionatlas serve --port 9000 --workers 2
    ionatlas serve --host 0.0.0.0 --public-url https://atlas.example.org --anonymous none
    """  # noqa: D301  (\\b keeps the lines of the examples)
    given = {
        "SERVE_HOST": host,
        "SERVE_PORT": port,
        "SERVE_WORKERS": workers,
        "PUBLIC_URL": public_url,
        "ANONYMOUS": anonymous,
        "RATE_LIMIT": rate_limit,
        "COMPUTE_LIMIT": compute_limit,
    }
    # Server processes read the same settings; what was said on the command line reaches them so.
    for name, value in _THREADS.items():
        os.environ.setdefault(name, value)
    os.environ.update({f"IONATLAS_{name}": str(value) for name, value in given.items() if value is not None})
    from api.rest.options import ServeOptions
    from store.connection import connect
    from store.settings import load_settings

    settings = load_settings()
    options = ServeOptions.from_settings(settings)
    check_port(options.host, options.port)
    database = connect(settings)
    for line in warnings_of(options, _valid_keys(database)):
        typer.secho(f"Warning: {line}", fg=typer.colors.YELLOW, err=True)
    shown = f"[{options.host}]" if ":" in options.host else options.host
    typer.echo(
        f"ionatlas is served at {options.public_url or f'http://{shown}:{options.port}'} (Ctrl-C ends it)", err=True
    )
    run(settings, options, quiet=quiet)


def run(settings: Settings, options: ServeOptions, *, quiet: bool) -> None:
    """Run the server until it is told to end."""
    import uvicorn

    uvicorn.run(
        "api.rest.app:served_app",
        factory=True,
        host=options.host,
        port=options.port,
        workers=options.workers,
        log_config=log_config(quiet=quiet),
        access_log=False,  # ours leaves query strings out
        server_header=False,
        proxy_headers=options.public_url is not None,
        forwarded_allow_ips=os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1"),
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
        limit_concurrency=1000,
    )


def check_port(host: str, port: int) -> None:
    """See that the port is free, before anything is started.

    Raises
    ------
    UsageError
    """
    import socket

    from store.errors import UsageError

    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
            0
        ]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise UsageError(
            f"The server cannot listen at {host}:{port}: {error.strerror or error}.",
            mend=f"ionatlas serve --port {port + 1 if port < 65_535 else 8000}",
        ) from None


def warnings_of(options: ServeOptions, keys: int) -> list[str]:
    """Say in plain words what others may do with a server that they can reach.

    Examples
    --------
    >>> from api.rest.options import ServeOptions
    >>> warnings_of(ServeOptions(), 0)
    []
    >>> warnings_of(ServeOptions(host="0.0.0.0", anonymous="read"), 0)[0]
    'Everybody who can reach this server may read the whole store without a key. To ask for keys: ionatlas serve --anonymous none'
    """
    if not options.exposed:
        return []
    told = []
    if options.anonymous != "none":
        may = "read the whole store" if options.anonymous == "read" else "read the whole store and have it compute"
        told.append(
            f"Everybody who can reach this server may {may} without a key. To ask for keys: ionatlas serve --anonymous none"
        )
    elif not keys:
        told.append("There is no valid key yet, so nobody may ask. To make one: ionatlas key create NAME")
    if options.rate_limit is None or options.compute_limit is None:
        told.append(
            "There is no rate limit. To set one: ionatlas serve --rate-limit 600/minute --compute-limit 30/minute"
        )
    if not (options.public_url or "").startswith("https:"):
        told.append("Keys and answers travel unencrypted. Put a proxy with TLS before it: --public-url https://...")
    return told


def _valid_keys(database: Any) -> int:
    from api.keys import list_keys
    from store.provenance import utc_now

    now = utc_now()
    return sum(key.state(now) == "valid" for key in list_keys(database))


_PLAIN: Final = "%(asctime)s %(levelname)s %(message)s"


def log_config(*, quiet: bool) -> dict[str, Any]:
    """Where the lines of the server go: to stderr, each with its time."""
    level = "WARNING" if quiet else "INFO"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": _PLAIN}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stderr"}},
        "loggers": {
            "ionatlas": {"handlers": ["stderr"], "level": level, "propagate": False},
            "api": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
            "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        },
    }
