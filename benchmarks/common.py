"""What the benchmarks share: a store of their own, the memory of a tree of processes, results as table and JSON."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def data_folder() -> Path:
    """The shared data set, or an end with the reason."""
    folder = Path(os.environ.get("IONATLAS_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "structures" / "mp.jsonl.gz").exists():
        sys.exit(
            f"This benchmark needs structures/mp.jsonl.gz in {folder}; set IONATLAS_DATA to the folder that has it."
        )
    return folder


@contextlib.contextmanager
def own_store(keep: str | None = None) -> Iterator[Path]:
    """A private server and home of this run alone, removed afterwards (unless a folder to keep is named)."""
    from store.connection import close_connections
    from store.server import stop_server
    from store.settings import load_settings

    home = Path(keep) if keep else Path(tempfile.mkdtemp(prefix="ionatlas-bench-"))
    home.mkdir(parents=True, exist_ok=True)
    for name in [
        name for name in os.environ if name.startswith("IONATLAS_") and name not in ("IONATLAS_DATA", "IONATLAS_MONGOD")
    ]:
        del os.environ[name]
    os.environ["IONATLAS_HOME"] = str(home)
    try:
        yield home
    finally:
        close_connections()
        stop_server(load_settings())
        if keep is None:
            shutil.rmtree(home, ignore_errors=True)


class Memory(threading.Thread):
    """Peak of the proportional memory of this process, its children and the database server, bytes."""

    def __init__(self, server_pid: int) -> None:
        super().__init__(daemon=True)
        self._server_pid = server_pid
        self._over = threading.Event()
        self.peak = 0
        self.peak_server = 0

    def run(self) -> None:
        import psutil

        me = psutil.Process()
        while not self._over.wait(0.5):
            total = 0
            with contextlib.suppress(psutil.Error):
                server = psutil.Process(self._server_pid).memory_info().rss
                self.peak_server = max(self.peak_server, server)
                total += server
            for process in [me, *me.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    if process.pid != self._server_pid:
                        total += process.memory_info().rss
            self.peak = max(self.peak, total)

    def __enter__(self) -> Memory:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def command(*arguments: str, timeout: float = 3600) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Run ``ionatlas`` as a user would; seconds and what it said."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "api.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=ROOT,
        check=False,
    )
    return time.perf_counter() - started, done


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {"cores": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}


def report(name: str, rows: list[tuple[str, str, str]], values: dict[str, Any]) -> None:
    """Print a table (what, measured, bar) and write the JSON beside it."""
    width = max(len(row[0]) for row in rows)
    middle = max(len(row[1]) for row in rows)
    print(f"\n{name}")
    for what, measured, bar in rows:
        print(f"  {what:<{width}}  {measured:>{middle}}  {bar}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **values}, indent=2, default=str) + "\n")
    print(f"  written to {path.relative_to(ROOT)}")
