"""Each model in a process of its own: what it takes is measured alone, and Ctrl-C ends it at once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.learning.comparison import Line, summarise, try_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builders.learning.comparison import Effort, Task, Trial

Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and of how much."""
_LOOK: float = 0.2
"""Seconds between looks at the processes; so long Ctrl-C may take."""


@dataclass(eq=False)
class _Running:
    """A model at work."""

    name: str
    process: Any
    receiver: Any
    trials: list[Trial] = field(default_factory=list)
    memory: float | None = None
    error: str | None = None


def run(
    names: Sequence[str],
    task: Task,
    effort: Effort,
    seed: int,
    finished: Callable[[Line], None],
    workers: int | None = None,
    progress: Progress | None = None,
    what: str = "comparing",
) -> None:
    """Compare models, each in its own process.

    Parameters
    ----------
    names : sequence of str
        Of :func:`builders.learning.contenders.contender`.
    task, effort, seed
        See :func:`builders.learning.comparison.try_model`.
    finished : callable
        Called with each line as soon as it is there, so that Ctrl-C loses nothing that was finished.
    workers : int, optional
        Models at work at a time; one a core by default.
    progress : callable, optional
    what : str
        Name of the work for ``progress``.
    """
    from multiprocessing.connection import wait

    from api.work import usable_cores

    waiting, running = list(reversed(names)), list[_Running]()
    done, total = 0, len(names) * min(effort.folds, int(task.groups.max()) + 1)
    try:
        while waiting or running:
            while waiting and len(running) < (workers or usable_cores()):
                running.append(_start(waiting.pop(), task, effort, seed))
            wait([each.receiver for each in running], timeout=_LOOK)
            for each in list(running):
                done += _receive(each)
                if each.process is None:
                    running.remove(each)
                    finished(_line(each, task))
            if progress is not None:
                progress(what, done, total)
    finally:
        for each in running:
            _end(each)


def _start(name: str, task: Task, effort: Effort, seed: int) -> _Running:
    import multiprocessing

    from builders.engine.executors import THREADS, environment

    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, name, task, effort, seed), daemon=True)
    with environment(dict(THREADS)):
        process.start()
    sender.close()
    return _Running(name, process, receiver)


def _receive(running: _Running) -> int:
    """Take what a process sent; the number of folds it finished. One that ended has no process any more."""
    folds = 0
    try:
        while running.receiver.poll():
            kind, content = running.receiver.recv()
            if kind == "trial":
                running.trials.append(content)
                folds += 1
            elif kind == "error":
                running.error = content
            else:
                running.memory = content
    except (EOFError, OSError):
        if running.memory is None and running.error is None:
            running.process.join(5)
            running.error = f"its process ended (exit code {running.process.exitcode}); out of memory?"
        _end(running)
    return folds


def _end(running: _Running) -> None:
    if running.process is None:
        return
    if running.process.is_alive() and running.memory is None and running.error is None:
        running.process.terminate()
    running.process.join(5)
    running.receiver.close()
    running.process = None


def _line(running: _Running, task: Task) -> Line:
    if running.error is not None:
        return Line(running.name, error=running.error, seconds=sum(trial.seconds for trial in running.trials))
    return summarise(running.name, task, running.trials, running.memory)


def _work(sender: Any, name: str, task: Task, effort: Effort, seed: int) -> None:
    """What a process does; Ctrl-C is its parent's."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        from builders.learning.contenders import contender

        model = contender(name)
        _warm_up(model, seed)
        before = peak_memory(reset=True)
        for trial in try_model(model, task, effort, seed):
            sender.send(("trial", trial))
        sender.send(("memory", max(0.0, peak_memory() - before)))
    except Exception as error:
        sender.send(("error", f"{type(error).__name__}: {str(error)[:300]}"))
    finally:
        sender.close()


def _warm_up(model: Any, seed: int) -> None:
    """Import what the model needs, so that programs in memory are not counted as the model's."""
    import numpy as np

    from builders.learning.comparison import halving_search

    x = np.arange(24.0).reshape(12, 2)
    if not model.grouped:
        model.make(seed)
        if model.space:
            halving_search(model.make(seed), model.space, len(x))
        with contextlib.suppress(ValueError):
            model.make(seed).fit(x, x[:, 0])


def peak_memory(*, reset: bool = False) -> float:
    """Most memory this process has held, MB; since the last reset where the system can tell (Linux)."""
    if reset:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    import psutil

    info = psutil.Process().memory_info()
    return float(getattr(info, "peak_wset", info.rss)) / 2**20
