"""The four rooms have common names: they must be this project's, wherever Python finds them."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", ["store", "builders", "indexes", "api", "ionatlas"])
def test_the_name_is_ours(name: str) -> None:
    found = Path(str(import_module(name).__file__)).resolve()
    assert found.is_relative_to(ROOT), f"{name} comes from {found}: another package of this name is installed"


def test_the_version_heads_the_change_log() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    newest = next(line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))
    assert newest.removeprefix("## ").split()[0] == project["version"]


def test_every_dependency_has_an_exact_version_in_the_constraints() -> None:
    import re

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    exact = dict(re.split("==", line, maxsplit=1) for line in lines if line and not line.startswith("#"))
    exact = {canonicalize_name(name): version for name, version in exact.items()}
    for each in map(Requirement, wanted):
        assert canonicalize_name(each.name) in exact, f"{each.name} is missing from constraints.txt"
        assert each.specifier.contains(exact[canonicalize_name(each.name)]), each


def test_no_module_outgrew_its_room() -> None:
    rooms = [ROOT / name for name in ("store", "builders", "indexes", "api")]
    long = {
        str(path.relative_to(ROOT)): count
        for room in rooms
        for path in room.rglob("*.py")
        if (count := len(path.read_text().splitlines())) > 450
    }
    assert long == {}
