"""Make the pictures of the pages in docs/pictures: every page as a browser shows it, small.

They show the store that the environment names; those in the repository show what ``ionatlas demo`` makes::

    ionatlas demo
    export IONATLAS_HOME=$PWD/demo-output/store IONATLAS_DATABASE=demo
    python docs/screenshots.py

Needs playwright and a chromium on PATH.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
LARGEST = 100_000
CIF = ROOT / "tests" / "crystals" / "LiFePO4.cif"


class Shot(NamedTuple):
    """One picture: name, address, size, colours, and what is done before it is taken."""

    name: str
    address: str
    size: tuple[int, int] = (1200, 860)
    scheme: str = "light"
    act: Callable[[Any], None] | None = None


def main() -> None:
    """Take all pictures, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only these, such as search material")
    parser.add_argument("--url", help="a server that runs; by default one is started here")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        url = given.url or stack.enter_context(serving())
        for shot in shots(url):
            if not given.names or shot.name in given.names:
                size = take(url, shot)
                print(f"web-{shot.name}.png  {size / 1000:.0f} kB")


def shots(url: str) -> list[Shot]:
    """The pictures."""
    id = first(url, 'name = "Triphylite" AND li_migration_energy_in_domain = TRUE')
    wanted = "/?filter=elements+HAS+%22O%22+AND+li_channel_dimension+%3E%3D+2&x=density&y=li_migration_energy&sort=li_migration_energy"
    return [
        Shot("search", "/", act=lambda page: page.wait_for_selector("#facets .facet")),
        Shot(
            "search-dark",
            "/?has=Li,O&not=H",
            (1200, 980),
            "dark",
            lambda page: page.wait_for_selector("#facets .facet"),
        ),
        Shot("scatter", wanted, (1200, 900), act=_scatter),
        Shot("error", "/?filter=elements+HAS+%22Li%22+AND+band_gp+%3E+3+eV", (1200, 560)),
        Shot(
            "material", f"/materials/{id}", (1200, 900), act=lambda page: page.wait_for_selector("#viewer[data-drawn]")
        ),
        Shot("material-topology", f"/materials/{id}", (1200, 760), act=_topology),
        Shot(
            "material-phone",
            f"/materials/{id}",
            (360, 740),
            "dark",
            lambda page: page.wait_for_selector("#viewer[data-drawn]"),
        ),
        Shot("lineage", f"/materials/{id}/lineage/li_migration_energy", (1200, 860)),
        Shot("predict-structure", "/predict-structure?formula=LiNiPO4&exclude=1", (1200, 1150), act=_drawn),
        Shot("inverse", f"/inverse?id={ordered(url)}&elements=Li,Na,Mn,Co,Ni,P,O&balanced=1&sent=1", (1200, 860)),
        Shot("channels", "/channels", (1200, 1000), act=_channels),
        Shot("predict", "/predict", (1200, 900), act=_predict),
        Shot("status", "/status", (1200, 900)),
        Shot("fields", "/fields?q=barrier", (1200, 560)),
        Shot("help", "/about", (1200, 860), "dark"),
    ]


def first(url: str, asked: str) -> str:
    """Id of the first material that fits."""
    import httpx

    found = httpx.get(f"{url}/v1/materials", params={"filter": asked, "limit": 1, "fields": "id"}).json()["data"]
    if not found:
        raise SystemExit(f"No material of this store fits {asked}; ionatlas demo makes one that has them.")
    return str(found[0]["id"])


def ordered(url: str) -> str:
    """Id of an ordered olivine."""
    return first(url, 'formula = "LiFePO4" AND is_ordered = TRUE')


def _drawn(page: Any) -> None:
    page.wait_for_selector("#viewer[data-drawn]")


def _scatter(page: Any) -> None:
    page.wait_for_selector("#scatter[data-drawn]")
    page.locator(".bar").scroll_into_view_if_needed()


def _topology(page: Any) -> None:
    page.locator("#topology").scroll_into_view_if_needed()
    page.wait_for_selector("#diagrams[data-drawn]")
    page.evaluate("document.getElementById('topology').scrollIntoView()")


def _channels(page: Any) -> None:
    page.locator("#file").set_input_files(CIF)
    page.locator("#ion-asked").select_option("Li")
    page.get_by_role("button", name="Find channels").click()
    page.wait_for_selector("#viewer[data-drawn]")


def _predict(page: Any) -> None:
    page.locator("#file").set_input_files(CIF)
    page.get_by_role("button", name="Predict").click()
    page.wait_for_selector("#migration-title")


def take(url: str, shot: Shot) -> int:
    """Take one picture; its size in bytes."""
    from playwright.sync_api import sync_playwright

    drawing = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
    width, height = shot.size
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", *drawing])
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=shot.scheme)
        page = context.new_page()
        page.goto(url + shot.address)
        page.wait_for_load_state("networkidle")
        if shot.act is not None:
            shot.act(page)
        page.wait_for_timeout(700)
        content = page.screenshot()
        browser.close()
    small = reduced(content)
    (PICTURES / f"web-{shot.name}.png").write_bytes(small)
    return len(small)


def reduced(content: bytes) -> bytes:
    """The picture with as many colours as its size allows."""
    from PIL import Image

    image = Image.open(io.BytesIO(content)).convert("RGB")
    for colours in (256, 192, 128, 96, 64, 32, 16):
        out = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        if out.tell() < LARGEST:
            break
    return out.getvalue()


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The application on a free port."""
    import uvicorn

    from api.rest.app import create_app

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(create_app(), host="127.0.0.1", port=port, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=15)


if __name__ == "__main__":
    main()
