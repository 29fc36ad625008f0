"""Predictions of many hops: a few rows at a time, in processes beside this one where the file is large."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections import deque
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from api.models import checked_folder
from store.errors import IonatlasError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from api.row_files import FileRow, RowFile
    from builders.predictions.hops import Model
    from store.hops import HopRecord

Answer = dict[str, Any]

CHUNK: Final = 32
"""Rows that are predicted together."""
ALONE_SECONDS: Final = 3.0
"""So long this process works alone; starting others takes about a second each, which pays where more is left to do."""
AHEAD: Final = 3
"""Chunks a process that wait for their turn."""


def answers(
    file: RowFile, ion: str | None = None, model: str | Path | None = None, workers: int | None = None
) -> Iterator[Answer]:
    """Predict the hops of a file in its order.

    Parameters
    ----------
    file : RowFile
    ion : str, optional
        For rows without ``working_ion``.
    model : str or pathlib.Path, optional
        A folder.
    workers : int, optional
        Most processes; one a core by default.

    Yields
    ------
    dict
        See :func:`api.migration.hop_barriers`.

    Raises
    ------
    UsageError
        There is no such model.
    """
    from api.work import usable_cores
    from builders.migration.model import MigrationModel
    from builders.models.chosen import load

    folder = checked_folder(MigrationModel, model)
    load(MigrationModel, folder)  # a missing model is told before the first row
    return _stream(_chunks(file.rows), ion, folder, workers or usable_cores())


def _chunks(rows: Iterator[FileRow]) -> Iterator[list[FileRow]]:
    while chunk := list(itertools.islice(rows, CHUNK)):
        yield chunk


def _stream(chunks: Iterator[list[FileRow]], ion: str | None, folder: Path | None, workers: int) -> Iterator[Answer]:
    started = time.monotonic()
    for chunk in chunks:
        yield from answer_rows(chunk, ion, folder)
        if workers > 1 and time.monotonic() - started > ALONE_SECONDS:
            break
    # A file that ends here is no reason to start anything.
    left = list(itertools.islice(chunks, 2 * workers))
    if len(left) < 2 * workers:
        for chunk in left:
            yield from answer_rows(chunk, ion, folder)
        return
    with _pool(workers) as pool:
        waiting: deque[tuple[list[FileRow], Any]] = deque()
        for chunk in itertools.chain(left, chunks):
            waiting.append((chunk, pool.schedule(answer_rows, args=(chunk, ion, folder))))
            if len(waiting) >= AHEAD * workers:
                yield from _result(*waiting.popleft(), ion)
        while waiting:
            yield from _result(*waiting.popleft(), ion)


@contextlib.contextmanager
def _pool(workers: int) -> Iterator[Any]:
    """Spawned processes that ignore Ctrl-C (it is ours), end with us, and use one thread each."""
    import multiprocessing

    import pebble

    from builders.engine.executors import THREADS
    from builders.engine.work import prepare_worker
    from store.settings import load_settings

    memory = int(load_settings().item_memory_gb * 2**30)
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(THREADS)
    pool = pebble.ProcessPool(
        max_workers=workers,
        initializer=prepare_worker,
        initargs=(memory, os.getpid()),
        context=multiprocessing.get_context("spawn"),
    )
    try:
        yield pool
        pool.close()
    finally:
        pool.stop()
        with contextlib.suppress(RuntimeError, TimeoutError):
            pool.join(timeout=10)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _result(chunk: list[FileRow], future: Any, ion: str | None) -> list[Answer]:
    """What a process answered; where it died, nobody else answers for its rows."""
    try:
        found: list[Answer] = future.result()
    except IonatlasError:
        raise
    except Exception as error:
        return [_failed(row.id, ion, f"The process that worked on it ended: {error}") for row in chunk]
    return found


def answer_rows(rows: Sequence[FileRow], ion: str | None, folder: Path | None) -> list[Answer]:
    """Predict some rows; a row that cannot be read or described costs the others nothing."""
    from builders.barriers.environment import of_record
    from builders.predictions.hops import describe_hop, predict

    model = _model(folder)
    described: list[NDArray[Any] | IonatlasError] = []
    records: list[HopRecord | None] = []
    for row in rows:
        record, error = _read(row, ion)
        records.append(record)
        if record is None:
            described.append(error)
        else:
            described.append(describe_hop(partial(of_record, record)))
    ions = [record.working_ion if record else "" for record in records]
    barriers = predict(model, described, ions)
    made = []
    for number, (row, record) in enumerate(zip(rows, records, strict=True)):
        if barriers.value[number] != barriers.value[number]:
            made.append(_failed(row.id, ions[number] or ion, barriers.reasons[number]))
            continue
        answer = {
            "id": row.id,
            "ion": ions[number],
            "value": float(barriers.value[number]),
            "lower": float(barriers.lower[number]),
            "upper": float(barriers.upper[number]),
            "in_domain": bool(barriers.in_domain[number]),
            "distance": float(barriers.distance[number]),
            "model": model.id,
            "length": None if record is None else float(record.length),
        }
        if barriers.reasons[number]:
            answer["reason"] = barriers.reasons[number]
        made.append(answer)
    return made


@lru_cache(maxsize=1)
def _model(folder: Path | None) -> Model:
    from builders.migration.model import MigrationModel
    from builders.models.chosen import load

    return load(MigrationModel, folder)


def _read(row: FileRow, ion: str | None) -> tuple[HopRecord | None, IonatlasError]:
    from store.errors import SourceError
    from store.ingest.readers import read_hop

    nothing = SourceError(row.error or "The row cannot be read.")
    if row.error:
        return None, nothing
    content = row.content
    if ion is not None and row.format == "hop-json" and b'"working_ion"' not in content:
        content = _with_ion(content, ion)
    try:
        return read_hop(row.format, content), nothing
    except IonatlasError as error:
        return None, error


def _with_ion(content: bytes, ion: str) -> bytes:
    import orjson

    try:
        return orjson.dumps({**orjson.loads(content), "working_ion": ion})
    except (ValueError, TypeError):
        return content  # the reader tells what is wrong with it


def _failed(id: str, ion: str | None, error: str) -> Answer:
    return {
        "id": id, "ion": ion, "value": None, "lower": None, "upper": None, "in_domain": None, "model": None, "error": error,
    }  # fmt: skip
