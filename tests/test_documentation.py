"""Documentation that cannot drift: reference pages equal the code, and every command stands in the README."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_the_reference_pages_are_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def commands() -> list[str]:
    import typer

    from api.cli.main import app

    return sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_every_command_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "commands.md").read_text()
    readme = (ROOT / "README.md").read_text()
    for name in commands():
        assert f"## `ionatlas {name}`" in page
        assert f"ionatlas {name}" in readme, f"the README does not mention 'ionatlas {name}'"


@pytest.mark.parametrize("page", sorted(path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md")), ids=str)
def test_links_in_the_docs_lead_somewhere(page: Path) -> None:
    import re

    for target in re.findall(r"\]\(([^)#\s]+)", (ROOT / page).read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page} links to {target}"


def test_public_docstring_examples_run(private_settings: Any) -> None:
    """Every public example is executed, on a private server of this test's own: some of them stop it."""
    import doctest
    import importlib

    modules = [
        path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        for room in ("store", "builders", "indexes", "api")
        for path in sorted((ROOT / room).rglob("*.py"))
        if path.name != "__init__.py"
    ]
    failed, tried = [], 0
    for name in modules:
        result = doctest.testmod(
            importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
        )
        tried += result.attempted
        if result.failed:
            failed.append(f"{name}: {result.failed}")
    assert failed == []
    assert tried > 50
