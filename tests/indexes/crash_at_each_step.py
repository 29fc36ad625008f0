"""Not a test: a program that a test runs. Publish, and end the process at the n-th step that touches the disk.

Usage: crash_at_each_step.py FOLDER ACTION. A copy of FOLDER is made for each n, a child process changes it and is ended
without warning at its n-th step, and the copy is then opened as a reader would. Prints the number of steps.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from indexes.snapshot import SnapshotStore
from store.errors import SnapshotMissing

WATCHED = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.listdir", "os.scandir"}


def act(store: SnapshotStore, action: str) -> None:
    if action == "publish":
        store.publish(["x", "y"], [[7, 7], [8, 8]], [b"x" * 16, b"y" * 16], model="second")
    elif action == "apply":
        store.apply({"a": ([9, 9], b"n" * 16), "z": ([5, 5], b"z" * 16)}, removed=["b"], model="second")
    else:
        store.apply({}, revision="second", model="second")


def contents(store: SnapshotStore) -> dict[str, tuple[list[float], bytes]] | None:
    try:
        found = store.load()
    except SnapshotMissing:
        return None
    rows = zip(found.ids, found.vectors, found.hashes, strict=True)
    return {identifier: (vector.tolist(), digest.tobytes()) for identifier, vector, digest in rows}


def arm(root: Path, last: int) -> None:
    steps = 0

    def step(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal steps
        if event in WATCHED and any(str(root) in str(each) for each in arguments):
            steps += 1
            if steps == last:
                os._exit(9)

    real = os.fsync

    def fsync(handle: int) -> None:
        nonlocal steps
        steps += 1
        if steps == last:
            os._exit(9)
        real(handle)

    os.fsync = fsync
    sys.addaudithook(step)


def attempt(folder: Path, action: str, last: int) -> bool:
    """Act in a child that ends at step ``last``; return whether it came to its own end before that."""
    child = os.fork()
    if child == 0:
        arm(folder, last)
        act(SnapshotStore(folder, "index"), action)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 9), code
    return code == 0


def main(folder: Path, action: str) -> None:
    before = contents(SnapshotStore(folder, "index"))
    whole = folder.with_name(f"{folder.name}-whole")
    shutil.copytree(folder, whole)
    act(SnapshotStore(whole, "index"), action)
    after = contents(SnapshotStore(whole, "index"))
    steps, switched = 0, None
    while True:
        steps += 1
        copy = folder.with_name(f"{folder.name}-{steps}")
        shutil.copytree(folder, copy)
        ended = attempt(copy, action, steps)
        store = SnapshotStore(copy, "index")
        model = store.manifest().model if store.token() else None
        found = contents(store)
        assert found == (after if model == "second" else before), f"step {steps}: neither before nor after"
        if switched is None and model == "second":
            switched = steps
        assert (model == "second") == (switched is not None), f"step {steps}: went back"
        # The next writer finds its way, and clears up what the crash left.
        act(store, action)
        assert contents(store) == after, f"step {steps}: the next write went wrong"
        names = {path.name for path in (copy / "index").iterdir()}
        assert not [name for name in names if name.startswith(".tmp")], f"step {steps}: left {names}"
        # At most the current and the previous generation, and the two that the previous one is made of.
        assert len([name for name in names if name.startswith("g")]) <= 4, f"step {steps}: left {names}"
        shutil.rmtree(copy)
        if ended:
            break
    assert switched is not None
    print(steps)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
