"""``ionatlas barriers``: the computed barriers of the store."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final

import typer

from api.cli.output import Format, format_for, message, open_service, write_result
from api.cli.query import FormatOption, OutputOption  # noqa: TC001  (typer reads the annotations)

_SHOWN: Final = (
    "id", "name", "working_ion", "barrier", "method", "p_length", "r_sd", "r_chan", "r_bottleneck", "material", "hop", "flags",
)  # fmt: skip
"""Columns of the table; files and JSON have all."""


def barriers(
    ion: Annotated[str | None, typer.Option("--ion", metavar="ION", help="Only hops of this ion.")] = None,
    material: Annotated[
        str | None, typer.Option("--material", metavar="ID", help="Only hops in the framework of this material.")
    ] = None,
    framework: Annotated[
        str | None,
        typer.Option("--framework", metavar="FORMULA", help="Only hosts that are this without the ion: FePO4."),
    ] = None,
    below: Annotated[float | None, typer.Option("--below", help="Only barriers below this, eV.")] = None,
    above: Annotated[float | None, typer.Option("--above", help="Only barriers of at least this, eV.")] = None,
    dft: Annotated[
        bool | None, typer.Option("--dft/--no-dft", help="Only those computed with DFT, or only the others.")
    ] = None,
    sort: Annotated[
        str, typer.Option("--sort", help="barrier, p_length, r_sd, r_chan or id; - for descending.")
    ] = "barrier",
    limit: Annotated[int, typer.Option("--limit", help="Most rows; 0 for all.", min=0)] = 50,
    skip: Annotated[int, typer.Option("--skip", help="Rows to leave out at the beginning.", min=0)] = 0,
    form: FormatOption = None,
    output: OutputOption = None,
) -> None:
    """List computed migration barriers, with what they are, how they were computed and where they belong.

    \b
    ionatlas barriers --ion Li --below 0.3
    ionatlas barriers --material mp-19017
    ionatlas barriers --framework FePO4 --format csv -o barriers.csv
    """  # noqa: D301  (\\b keeps the lines of the examples)
    from api.barriers import Wanted, find_barriers

    chosen = format_for(form, output)
    wanted = Wanted(ion, material, framework, below, above, dft)
    result = find_barriers(open_service(), wanted, sort=sort, limit=limit or None, skip=skip)
    if chosen is Format.TABLE:
        result = replace(result, fields=[field for field in result.fields if field.name in _SHOWN])
    write_result(result, chosen, output, hide_empty=True)
    if result.note:
        message(result.note)
    rows, total = len(result.rows), result.total or 0
    if output is not None:
        message(f"{rows:,} rows written to {output}")
    elif chosen is Format.TABLE:
        message(f"{rows:,} of {total:,} barriers{'; --limit 0 shows all' if result.more else ''}")
    elif result.more:
        message(f"{rows:,} rows; there are more (--limit 0 for all)")
