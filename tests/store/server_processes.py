"""Processes of servers for tests: started elsewhere, stopped, killed, and ports that are taken."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from store.server.folder import ServerFolder
from store.server.process import alive, inspect_process
from store.settings import Settings

STARTER = "from store.server import ensure_server; info = ensure_server(); print(info.pid, info.port, flush=True)"


def start_elsewhere(settings: Settings) -> subprocess.Popen[str]:
    """Start the server from another process, as a second terminal would."""
    environment = {**os.environ, "IONATLAS_HOME": str(settings.home), "IONATLAS_CACHE_GB": "0.25"}
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", STARTER], env=environment, cwd=root, stdout=subprocess.PIPE, text=True
    )


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal; after the last one, wait for the end."""
    os.kill(pid, number)
    if number == signal.SIGKILL:
        wait_until_dead(pid)


@contextlib.contextmanager
def port_held_by_another_program(port: int) -> Iterator[None]:
    """Listen at `port` and hang up on everyone."""
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", port))
        thief.listen()
        thief.settimeout(0.1)
        over = threading.Event()

        def hang_up() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    thief.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def freeze(pid: int) -> None:
    """Stop a process, and wait until it stands."""
    os.kill(pid, signal.SIGSTOP)
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)


def wait_until_dead(pid: int) -> None:
    """Wait for the end of a process, 20 s at most."""
    deadline = time.monotonic() + 20
    while alive(pid):
        assert time.monotonic() < deadline, f"process {pid} does not end"
        time.sleep(0.02)


def servers_of(settings: Settings) -> list[int]:
    """Servers of a data folder that run, by process number."""
    folder = ServerFolder.of(settings.home)
    return [pid for pid in psutil.pids() if inspect_process(pid, folder) is not None]
