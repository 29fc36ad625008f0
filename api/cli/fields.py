"""``ionatlas fields``: what can be asked for."""

from __future__ import annotations

from typing import Annotated

import typer


def fields(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List the fields of materials: name, unit, type, meaning, where each comes from."""
    from dataclasses import asdict

    from api.cli.output import print_table, to_json
    from store.fields import candidate_fields

    known = candidate_fields()
    if as_json:
        typer.echo(to_json([{**asdict(field), "queryable": field.queryable} for field in known], indent=True))
        return
    headings = [(heading, False) for heading in ("field", "unit", "type", "index", "meaning")]
    rows = (
        (field.name, field.unit or "", field.type, "yes" if field.indexed or field.name == "id" else "", field.meaning)
        for field in known
    )
    print_table(headings, rows)
