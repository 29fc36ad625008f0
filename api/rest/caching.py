"""Answers given before: kept by question and state of the data, so that nothing stale is ever told.

What such an answer depends on are ``candidates`` (generation, revision, number of documents) and the published indexes: as
long as these stand, the answer to a question stays the same, and so does its ETag.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from api.service import Service

SECONDS: Final = 1.0
"""How long a look at the data's state is good for, s: so late, at most, a new one is noticed."""


class Generation:
    """Which state of the data readers see."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._looked = 0.0
        self._name: str | None = None

    @property
    def fresh(self) -> bool:
        """Whether the last look is recent enough."""
        return time.monotonic() - self._looked < SECONDS

    @property
    def name(self) -> str | None:
        """What was found at the last look; None when the database did not answer, or nothing is built."""
        return self._name

    def look(self) -> str | None:
        """Ask the database, unless another thread just did."""
        with self._lock:
            if not self.fresh:
                self._name = self._read()
                self._looked = time.monotonic()
        return self._name

    def _read(self) -> str | None:
        from api.standing import state_of
        from indexes.registry import INDEXES, snapshot_store

        settings = self._service.settings
        published = [snapshot_store(name, settings).token() or b"" for name in INDEXES]
        try:
            state = self._service.call(state_of)
        except Exception:  # whoever asks will hear of it from the question itself
            return None
        return etag_of(repr(state), *published)


class ResponseCache:
    """Bodies by question, the least recently used dropped first; used from one thread, the event loop's.

    Parameters
    ----------
    largest : int
        Bytes in all.

    Examples
    --------
    >>> cache = ResponseCache(100)
    >>> cache.put("g1", "a", b"x" * 40); cache.put("g1", "b", b"y" * 40); cache.put("g1", "c", b"z" * 40)
    >>> cache.get("g1", "a") is None, cache.get("g1", "c") == b"z" * 40, cache.get("g2", "c") is None
    (True, True, True)
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._generation: str | None = None

    def get(self, generation: str, key: str) -> bytes | None:
        """Find a body."""
        if generation != self._generation:
            return None
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
        return found

    def put(self, generation: str, key: str, body: bytes) -> None:
        """Keep a body; those of another generation go."""
        if generation != self._generation:
            self._held.clear()
            self._size, self._generation = 0, generation
        if len(body) > self._largest // 2:
            return
        self._size += len(body) - len(self._held.pop(key, b""))
        self._held[key] = body
        while self._size > self._largest:
            self._size -= len(self._held.popitem(last=False)[1])


def etag_of(*parts: bytes | str) -> str:
    """Make a weak ETag: bodies of the same meaning share it, compressed or not.

    Examples
    --------
    >>> etag_of("a", b"b") == etag_of("a", "b"), etag_of("a")[:3]
    (True, 'W/"')
    """
    made = hashlib.blake2b(digest_size=12)
    for part in parts:
        made.update(part.encode() if isinstance(part, str) else part)
        made.update(b"\0")
    return f'W/"{made.hexdigest()}"'


def matches(header: str, etag: str) -> bool:
    """Whether an ``If-None-Match`` header names an ETag.

    Examples
    --------
    >>> matches('"x", W/"y"', 'W/"y"'), matches("*", 'W/"y"'), matches('"y"', 'W/"y"'), matches("", 'W/"y"')
    (True, True, True, False)
    """
    wanted = etag.removeprefix("W/")
    return any(each.strip() == "*" or each.strip().removeprefix("W/") == wanted for each in header.split(","))
