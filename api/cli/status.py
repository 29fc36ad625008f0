"""``ionatlas status``: what the store holds and how it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.output import message, open_service, print_table, to_json

if TYPE_CHECKING:
    from datetime import datetime


def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """Show the collections, their last builds, failures with their reasons, and the indexes."""
    found = open_service().status()
    if as_json:
        typer.echo(to_json(found, indent=True))
        return
    headings = [("collection", False), ("documents", True), ("failed", True), ("last build", False), ("state", False)]
    rows = []
    for each in found.collections:
        name = each.name if each.builder in (None, each.name) else f"{each.name} ({each.builder})"
        rows.append((name, f"{each.documents:,}", f"{each.failed:,}", _when(each.last_build), each.last_state or "–"))
    rows += [
        (f"index {index.name}", f"{index.vectors:,}", "–", _when(index.published_at), index.state)
        for index in found.indexes
    ]
    print_table(headings, rows)
    for each in found.collections:
        for reason, count in each.reasons.items():
            typer.echo(f"{each.name}: {count:,} × {reason}")
    message(f"database {found.database}, data folder {found.home}")
    if not any(each.documents for each in found.collections):
        message("The store is empty. To fill it: ionatlas ingest FILE, then ionatlas build")


def _when(moment: datetime | None) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else "–"
