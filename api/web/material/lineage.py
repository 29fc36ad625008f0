"""Lineage as a tree for a page."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from api.web.text import when

if TYPE_CHECKING:
    from api.results import Step


def tree(step: Step) -> dict[str, Any]:
    """Describe a step and all before it: name, state, lines of name and text, and the steps it was made from."""
    lines: list[tuple[str, str]] = []
    if step.builder:
        took = f", in {1000 * (step.seconds or 0):.1f} ms"
        lines.append(("Made by", f"{step.builder}, version {step.version}, {when(step.made_at)}{took}"))
        lines.append(("Parameters", "not known any more" if step.params is None else _pairs(step.params)))
        if step.packages:
            lines.append(("With", _pairs(step.packages)))
    elif step.made_at:
        lines.append(("Came in", when(step.made_at)))
    lines += [("Read from", _origin(each)) for each in step.origins]
    if step.format:
        lines.append(("Format", step.format))
    if step.licence:
        lines.append(("Licence", step.licence))
    lines += [("Cites", each) for each in step.references]
    if step.sha256:
        lines.append(("SHA-256", step.sha256))
    if step.hash:
        lines.append(("Content hash", step.hash))
    return {
        "collection": step.collection,
        "id": step.id,
        "state": step.state,
        "good": step.state in ("fresh", "given"),
        "lines": lines,
        "inputs": [tree(each) for each in step.inputs],
        "more": step.more_inputs,
    }


def _origin(origin: dict[str, Any]) -> str:
    """Where a record was read; of a folder of the server only the file's name."""
    told = str(origin.get("url") or PurePath(str(origin.get("path") or "?")).name)
    if origin.get("member"):
        told += f", {origin['member']}"
    if origin.get("line") is not None:
        told += f", line {origin['line']}"
    return told


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "none"
