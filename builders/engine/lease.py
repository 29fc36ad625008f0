"""Leases: one build of a collection at a time, whoever starts it and wherever.

A lease names its owner (host, process, start of the process) and runs out unless it is renewed. A lease whose process is
dead on this very host is taken at once, so a killed build does not make the next one wait.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pymongo.errors import DuplicateKeyError, PyMongoError

from store.errors import BuildRunning
from store.provenance import utc_now

if TYPE_CHECKING:
    from types import TracebackType

    from pymongo.database import Database

SECONDS = 60.0
"""A lease that was not renewed for so long may be taken by another, s."""

log = logging.getLogger(__name__)


def _process_started(pid: int) -> float | None:
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


class Lease:
    """Hold the right to write a collection; use as a context.

    Parameters
    ----------
    database : pymongo.database.Database
    name : str
        What is leased: the builder's name.
    wait : float
        Seconds to wait for another's lease before giving up.
    seconds : float
        Time after which a silent owner loses it, s.

    Raises
    ------
    BuildRunning
        Another process holds it; the message names host and process.
    """

    def __init__(self, database: Database[Any], name: str, *, wait: float = 0.0, seconds: float = SECONDS) -> None:
        self._leases = database["leases"]
        self._name = name
        self._wait = wait
        self._seconds = seconds
        self._owner = uuid.uuid4().hex
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.lost = False

    def __enter__(self) -> Lease:
        deadline = time.monotonic() + self._wait
        while not self._take():
            if time.monotonic() >= deadline:
                raise BuildRunning(self._message(), mend=f"wait for it, or ionatlas build {self._name} --wait 600")
            time.sleep(min(0.5, max(0.05, deadline - time.monotonic())))
        self._thread = threading.Thread(target=self._renew, name=f"lease {self._name}", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        with contextlib.suppress(PyMongoError):  # without the server it runs out by itself
            self._leases.delete_one({"_id": self._name, "owner": self._owner})

    def _document(self) -> dict[str, Any]:
        now = utc_now()
        pid = os.getpid()
        return {
            "_id": self._name,
            "owner": self._owner,
            "host": socket.gethostname(),
            "pid": pid,
            "process_started": _process_started(pid) or 0.0,
            "acquired_at": now,
            "expires_at": now + timedelta(seconds=self._seconds),
        }

    def _take(self) -> bool:
        try:
            self._leases.insert_one(self._document())
        except DuplicateKeyError:
            held = self._leases.find_one({"_id": self._name})
            if held is None or not self._is_void(held):
                return False
            # Taken from exactly the owner we judged: two that judge at once cannot both win.
            taken = self._leases.find_one_and_replace({"_id": self._name, "owner": held["owner"]}, self._document())
            if taken is not None:
                log.info(
                    "took the lease of %s from process %s on %s, which is gone", self._name, held["pid"], held["host"]
                )
            return taken is not None
        return True

    def _is_void(self, held: dict[str, Any]) -> bool:
        if held["expires_at"] < utc_now():
            return True
        if held["host"] != socket.gethostname():
            return False
        started = _process_started(held["pid"])
        return started is None or abs(started - held["process_started"]) > 1.0

    def _renew(self) -> None:
        while not self._stop.wait(self._seconds / 4):
            try:
                found = self._leases.find_one_and_update(
                    {"_id": self._name, "owner": self._owner},
                    {"$set": {"expires_at": utc_now() + timedelta(seconds=self._seconds)}},
                )
                if found is None and not self._stop.is_set():
                    self.lost = True
                    return
            except PyMongoError as error:  # the build's own operations deal with a server that went away
                log.debug("lease of %s not renewed: %s", self._name, error)

    def check(self) -> None:
        """Raise if another process took the lease in the meantime (this one was stopped for long)."""
        if self.lost:
            raise BuildRunning(
                f"This build of {self._name} lost its lease: it was silent for over {self._seconds:.0f} s and another build "
                "took over. What it had written is kept.",
                mend=f"ionatlas build {self._name}",
            )

    def _message(self) -> str:
        held = self._leases.find_one({"_id": self._name})
        if held is None:
            return f"Another build of {self._name} ended just now."
        return (
            f"Another build of {self._name} is running: process {held['pid']} on {held['host']}, "
            f"since {held['acquired_at']:%Y-%m-%d %H:%M:%S} UTC."
        )
