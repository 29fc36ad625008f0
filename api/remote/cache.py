"""Answers of a server, kept in a folder on request: asked for again only if they changed, and there without a network."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORMAT: Final = 1

Params = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Kept:
    """An answer that was kept.

    Attributes
    ----------
    etag : str or None
        What the server calls this version of it.
    at : str
        When it was given (ISO 8601).
    body : bytes
    """

    etag: str | None
    at: str
    body: bytes

    def data(self) -> Any:
        """The JSON in it."""
        return json.loads(self.body)

    def told(self) -> str:
        """The time, for people."""
        return self.at[:16].replace("T", " ") + " UTC"


class ResponseCache:
    """A folder of answers, one file each.

    Files are readable by their owner alone, since a key may have been needed to get them; answers to one key are not given
    to another. The folder may be deleted at any time.

    Parameters
    ----------
    folder : str or pathlib.Path

    Raises
    ------
    UsageError
        The folder cannot be made or written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser()
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"{self.folder} cannot hold the cache: {error.strerror or error}.", mend="name another folder"
            ) from None

    def find(self, address: str, path: str, params: Params, api_key: str | None) -> Kept | None:
        """Look an answer up; a file that cannot be read counts as none."""
        file = self._file(address, path, params, api_key)
        try:
            head, _, body = file.read_bytes().partition(b"\n")
            about = json.loads(head)
            good = about["format"] == _FORMAT and about["sha256"] == hashlib.sha256(body).hexdigest()
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return Kept(about.get("etag"), str(about.get("at")), body) if good else None

    def keep(
        self,
        address: str,
        path: str,
        params: Sequence[tuple[str, str]],
        api_key: str | None,
        etag: str | None,
        body: bytes,
    ) -> None:
        """Keep an answer; a full disk is no reason to fail."""
        about = {
            "format": _FORMAT,
            "address": address,
            "path": path,
            "etag": etag,
            "at": datetime.now(tz=UTC).isoformat(timespec="seconds"),
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        file = self._file(address, path, tuple(params), api_key)
        part = file.with_name(f".{file.name}.{os.getpid()}.part")
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as open_file:
                open_file.write(json.dumps(about).encode() + b"\n" + body)
            part.replace(file)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink()

    def _file(self, address: str, path: str, params: Params, api_key: str | None) -> Path:
        asked = json.dumps(
            [address, path, params, None if api_key is None else hashlib.sha256(api_key.encode()).hexdigest()]
        )
        return self.folder / f"{hashlib.sha256(asked.encode()).hexdigest()[:40]}.json"
