"""The sandbox: limits of time and memory, workers that die, queues that are full."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from api.sandbox import Sandbox, SandboxBusy, SandboxLimit, safe_name
from store.errors import SourceError, UnknownFormat, UsageError

CIF = b"data_x\n_cell_length_a 3\n_cell_length_b 3\n_cell_length_c 3\n_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90\nloop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nPo1 0 0 0\n"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seconds=20, memory_gb=1.0, waiting=1) as opened:
        opened.warm()
        yield opened


def test_a_crystal_is_read_elsewhere(sandbox: Sandbox) -> None:
    assert sandbox.crystal("../../x.cif", CIF).species == ("Po",)
    assert sandbox.run(os.getpid) != os.getpid()


def test_what_the_readers_say_comes_through(sandbox: Sandbox) -> None:
    with pytest.raises((SourceError, UnknownFormat, UsageError)) as told:
        sandbox.crystal("x.cif", b"nonsense")
    assert told.value.message
    with pytest.raises(UsageError, match="empty"):
        sandbox.crystal("x.cif", b"")
    with pytest.raises(UsageError, match="MB"):
        sandbox.crystal("x.cif", b"#" * 3_000_000)


def test_what_hangs_is_stopped_and_the_next_call_is_answered(sandbox: Sandbox) -> None:
    began = time.monotonic()
    with pytest.raises(SandboxLimit, match="longer than 1 s"):
        sandbox.run(time.sleep, 60, seconds=1)
    assert time.monotonic() - began < 30
    assert sandbox.run(len, [1, 2]) == 2


def test_what_wants_too_much_memory_is_stopped(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxLimit, match="memory"):
        sandbox.run(bytearray, 3 * 2**30)
    assert sandbox.run(len, [1]) == 1


def test_a_worker_that_dies_is_replaced(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxLimit, match="ended"):
        sandbox.run(os._exit, 3)
    with pytest.raises(SandboxLimit, match="ended"):
        sandbox.run(os.abort)
    assert sandbox.run(len, [1, 2, 3]) == 3


def test_errors_that_are_not_ours_become_ours(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxLimit, match="ZeroDivisionError"):
        sandbox.run(divmod, 1, 0)


def test_no_core_files_and_no_large_files(sandbox: Sandbox, tmp_path: Any) -> None:
    import resource

    assert sandbox.run(resource.getrlimit, resource.RLIMIT_CORE)[0] == 0
    assert sandbox.run(resource.getrlimit, resource.RLIMIT_FSIZE)[0] == 64 * 2**20
    assert sandbox.run(resource.getrlimit, resource.RLIMIT_AS)[0] < 10 * 2**30


def test_more_than_may_wait_are_refused() -> None:
    with Sandbox(seconds=20, waiting=1) as small:
        small.run(len, [])
        threads = [threading.Thread(target=small.run, args=(time.sleep, 1.5)) for _ in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        with pytest.raises(SandboxBusy) as told:
            small.run(len, [])
        assert told.value.retry_after > 0
        for thread in threads:
            thread.join()
        assert small.run(len, [1]) == 1


@pytest.mark.parametrize("name", ["", ".", "..", "/etc/passwd", "a/b\\c", "x\0y", "ü" * 300, "-rf", ".hidden"])
def test_names_of_files_lead_nowhere(name: str) -> None:
    made = safe_name(name)
    assert made
    assert "/" not in made
    assert "\0" not in made
    assert made not in (".", "..")
    assert len(made) <= 100
