"""``ionatlas fields``: what can be asked for.

The fields that every ion has are one row with ``<ion>`` in its name, unless one ion's are asked for.
"""

from __future__ import annotations

from typing import Annotated

import typer


def fields(
    ion: Annotated[
        str | None, typer.Option("--ion", metavar="ION", help="The fields about the channels of one ion.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List the fields of materials: name, unit, type, meaning, where each comes from."""
    from dataclasses import asdict

    from api.cli.output import message, print_table, to_json
    from store.fields import candidate_fields, shown_fields
    from store.ion_fields import IONS

    chosen = None if ion is None else _chosen(ion)
    if as_json:
        known = [field for field in candidate_fields() if chosen is None or field.ion == chosen]
        typer.echo(to_json([{**asdict(field), "queryable": field.queryable} for field in known], indent=True))
        return
    headings = [(heading, False) for heading in ("field", "unit", "type", "index", "meaning")]
    rows = [
        (name, field.unit or "", field.type, "yes" if field.indexed or field.name == "id" else "", meaning)
        for name, field, meaning in shown_fields(chosen)
    ]
    print_table(headings, rows)
    if chosen is None:
        message(f"<ion> is one of {' '.join(each.lower() for each in IONS)}: li_channel_r1; ionatlas fields --ion Li")


def _chosen(ion: str) -> str:
    from builders.channels.pairs import read_ions

    return read_ions([ion])[0]
