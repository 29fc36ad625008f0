"""``ionatlas picture``: the store as a periodic table, or a crystal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli.output import open_service


def picture(
    id: Annotated[str | None, typer.Argument(metavar="[ID]", help="A material; without it, the whole store.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="PNG file to write.")] = None,
    primitive: Annotated[bool, typer.Option("--primitive", help="Draw the primitive cell.")] = False,
) -> None:
    """Draw the crystal of a material, or a periodic table of how many materials hold each element.

    \b
    ionatlas picture -o store.png
    ionatlas picture mp-19017 -o LiFePO4.png
    """  # noqa: D301  (\\b keeps the lines of the examples)
    from api.pictures import periodic_table, structure_picture

    service = open_service()
    if id is None:
        target = output or Path("elements.png")
        periodic_table(service.stats(), target)
    else:
        target = output or Path(f"{''.join(c if c.isalnum() or c in '-_.' else '_' for c in id)}.png")
        crystal = service.structure(id, "primitive" if primitive else "standard")
        row = service.query(f'id = "{id}"', fields="formula,space_group_symbol").rows
        title = "  ".join([id, *(str(value) for value in row[0].values() if value)]) if row else id
        structure_picture(crystal, target, title=title)
    typer.echo(str(target))
