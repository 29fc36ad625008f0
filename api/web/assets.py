"""Style sheet, scripts and libraries: packed once, kept by browsers until their content changes."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".md": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".LICENSE": "text/plain; charset=utf-8",
}
_YEAR: Final = 365 * 24 * 3600


@dataclass(frozen=True)
class Asset:
    """A file as it is served.

    Attributes
    ----------
    content, packed : bytes
        As it is, and by gzip.
    digest : str
        Of the content.
    type : str
    """

    content: bytes
    packed: bytes
    digest: str
    type: str


@lru_cache(maxsize=128)
def _load(name: str, changed: float) -> Asset:
    content = (FOLDER / name).read_bytes()
    packed = gzip.compress(content, 9, mtime=0)
    return Asset(content, packed, hashlib.sha256(content).hexdigest()[:12], _TYPES[Path(name).suffix])


def asset(name: str) -> Asset | None:
    """Return a file of the folder; None for anything else.

    Examples
    --------
    >>> asset("style.css").type, asset("../app.py"), asset("no.css")
    ('text/css; charset=utf-8', None, None)
    """
    path = FOLDER / name
    parts = Path(name).parts
    if ".." in parts or Path(name).is_absolute() or "\0" in name or path.suffix not in _TYPES or not path.is_file():
        return None
    return _load(name, path.stat().st_mtime)


@lru_cache(maxsize=1)
def edition() -> str:
    """Name of the present state of all files: it stands in their addresses, and scripts that import each other share it.

    Examples
    --------
    >>> edition()[0], len(edition())
    ('v', 13)
    """
    found = hashlib.sha256()
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            found.update(path.relative_to(FOLDER).as_posix().encode() + b"\0" + path.read_bytes())
    return f"v{found.hexdigest()[:12]}"


def address(name: str) -> str:
    """Address of a file in the present edition.

    Examples
    --------
    >>> address("style.css") == f"/static/{edition()}/style.css"
    True
    """
    if asset(name) is None:
        raise FileNotFoundError(name)
    return f"/static/{edition()}/{name}"


def serve(request: Request) -> Response:
    """Answer a request for a file."""
    name = request.path_params["name"]
    given, _, rest = name.partition("/")
    named = re.fullmatch(r"v[0-9a-f]{12}", given) is not None
    found = asset(rest if named else name)
    if found is None:
        return Response("There is no such file.\n", 404, media_type="text/plain")
    headers = {"ETag": f'"{found.digest}"', "Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff"}
    # An edition never changes; without its name, or under that of another one, a file is asked for again each time.
    headers["Cache-Control"] = f"public, max-age={_YEAR}, immutable" if given == edition() else "no-cache"
    if f'"{found.digest}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    content = found.content
    if "gzip" in request.headers.get("accept-encoding", ""):
        content = found.packed
        headers["Content-Encoding"] = "gzip"
    return Response(content, media_type=found.type, headers=headers)
