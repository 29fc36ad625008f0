"""Progress on stderr: bars on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Self

from api.cli.output import message

if TYPE_CHECKING:
    from types import TracebackType

EVERY = 10.0
"""Seconds between plain lines."""


class BuildProgress:
    """What a build calls: ``start``, ``advance``, ``stop``; use as a context.

    Parameters
    ----------
    bars : bool, optional
        Draw bars; by default when stderr is a terminal.
    """

    def __init__(self, bars: bool | None = None) -> None:
        self._bars: Any = None
        self._wanted = sys.stderr.isatty() if bars is None else bars
        self._tasks: dict[str, Any] = {}
        self._totals: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._failed: dict[str, int] = {}
        self._told = 0.0
        self._reported: dict[str, int] = {}

    def __enter__(self) -> Self:
        if self._wanted:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bars = Progress(
                TextColumn("{task.description:<14}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[failed]}"),
                console=Console(stderr=True),
            )
            self._bars.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()

    def start(self, name: str, total: int) -> None:
        """Announce a builder and the number of its items."""
        self._totals[name], self._done[name], self._failed[name] = total, 0, 0
        if self._bars is not None:
            self._tasks[name] = self._bars.add_task(name, total=total, failed="")
        elif total:
            message(f"{name}: {total:,} to build")
        self._told = time.monotonic()

    def advance(self, name: str, done: int, failed: int) -> None:
        """Report finished items."""
        self._done[name] += done
        self._failed[name] += failed
        if self._bars is not None:
            told = f"{self._failed[name]:,} failed" if self._failed[name] else ""
            self._bars.update(self._tasks[name], advance=done, failed=told)
        elif time.monotonic() - self._told >= EVERY:
            self._told = time.monotonic()
            self._tell(name)

    def stop(self, name: str) -> None:
        """Say that a builder ended."""
        if self._bars is None and self._done.get(name) and self._reported.get(name) != self._done[name]:
            self._tell(name)

    def _tell(self, name: str) -> None:
        failed = f", {self._failed[name]:,} failed" if self._failed[name] else ""
        message(f"{name}: {self._done[name]:,} of {self._totals[name]:,}{failed}")
        self._reported[name] = self._done[name]


class RecordProgress:
    """Count records as they come in; use as a context, call with ``(done, total or None)``.

    Parameters
    ----------
    name : str
    bars : bool, optional
        Draw a line that changes; by default when stderr is a terminal.
    after : float
        Seconds before which nothing is drawn: what is quick needs no word.
    unit : str
        What is counted.
    """

    def __init__(self, name: str, bars: bool | None = None, *, after: float = 0.0, unit: str = "records") -> None:
        self._name = name
        self._unit = unit
        self._after = after
        self._wanted = sys.stderr.isatty() if bars is None else bars
        self._bars: Any = None
        self._task: Any = None
        self._told = self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        if self._wanted and not self._after:
            self._draw()
        return self

    def _draw(self) -> None:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
        self._bars.start()
        self._task = self._bars.add_task(self._name, total=None)

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, done: int, total: int | None) -> None:
        """Report how many records were read."""
        of = f" of {total:,}" if total else ""
        text = f"{self._name}: {done:,}{of} {self._unit}"
        if self._wanted and self._bars is None and time.monotonic() - self._began >= self._after:
            self._draw()
        if self._bars is not None:
            from rich.markup import escape

            self._bars.update(self._task, description=escape(text))
        elif time.monotonic() - self._told >= EVERY:
            self._told = time.monotonic()
            message(text)
