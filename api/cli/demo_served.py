"""The demo's part about the served store: the same questions over HTTP, and the pages."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_SECONDS = 60.0
_PICTURE_SECONDS = 60.0


def show_served(folder: Path, material: str) -> None:
    """Serve the store on a free port, ask it from Python over HTTP, by OPTIMADE, and take a picture of a page."""
    with served() as address:
        _from_python(address)
        _by_optimade(address)
        _page(address, material, folder / "page.png")


@contextlib.contextmanager
def served() -> Iterator[str]:
    """Run ``ionatlas serve`` beside us; its address while it runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    typer.secho(f"$ ionatlas serve --port {port} &", bold=True)
    program = "from api.cli.main import main; main()"
    server = subprocess.Popen([sys.executable, "-c", program, "serve", "--port", str(port), "--quiet"])
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address, server)
        yield address
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def _wait(address: str, server: subprocess.Popen[bytes]) -> None:
    import httpx

    from store.errors import DatabaseError

    deadline = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{address}/healthz", timeout=5, trust_env=False).status_code == 200:
                return
        time.sleep(0.1)
    raise DatabaseError("The store could not be served.", mend="ionatlas serve tells why")


def _from_python(address: str) -> None:
    from api.client import Atlas

    wanted = 'elements HAS ALL "Li","O" AND density < 2600 kg/m^3 AND is_ordered = TRUE'
    fields = "id,name,formula,density"
    typer.secho(f">>> Atlas({address!r}).query({wanted!r}, fields={fields!r}, sort='density', limit=4)", bold=True)
    with Atlas(address) as atlas:
        typer.echo(atlas.query(wanted, fields=fields, sort="density", limit=4).to_string(index=False))


def _by_optimade(address: str) -> None:
    import httpx

    wanted = 'elements HAS ALL "Li","P","O" AND nelements=4'
    typer.secho(f"$ curl -G {address}/optimade/v1/structures --data-urlencode 'filter={wanted}'", bold=True)
    parameters = {"filter": wanted, "page_limit": "3", "response_fields": "chemical_formula_reduced,nsites"}
    found = httpx.get(f"{address}/optimade/v1/structures", params=parameters, timeout=30, trust_env=False).json()
    for each in found["data"]:
        typer.echo(
            f"{each['id']}  {each['attributes']['chemical_formula_reduced']}  {each['attributes']['nsites']} sites"
        )
    typer.echo(f"... of {found['meta'].get('data_returned', '?')}")


def _page(address: str, material: str, picture: Path) -> None:
    """Draw a page as a browser shows it, where there is one."""
    import shutil

    browser = shutil.which("chromium") or shutil.which("google-chrome")
    typer.echo(
        f"Pages for people: {address}/ (search), {address}/materials/{material}; as long as ionatlas serve runs."
    )
    if browser is None:
        return
    options = [
        "--headless",
        "--no-sandbox",
        "--hide-scrollbars",
        "--window-size=1280,1600",
        "--virtual-time-budget=8000",
    ]
    command = [browser, *options, f"--screenshot={picture}", f"{address}/materials/{material}"]
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_PICTURE_SECONDS, check=False
        )
    if picture.exists():
        typer.echo(f"The page of {material} as a browser shows it: {picture}")
