"""``ionatlas query`` and ``ionatlas similar``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.output import Format, format_for, message, open_service, write_result

if TYPE_CHECKING:
    from api.results import QueryResult

FieldsOption = Annotated[
    str | None, typer.Option("--fields", help="Columns with commas ('id,li_*'), or 'all'. ionatlas fields lists them.")
]
FormatOption = Annotated[
    Format | None, typer.Option("--format", help="json is JSON Lines. Default: table, or what FILE's ending says.")
]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Write to a file instead of the screen.")]


def query(
    filter: Annotated[str, typer.Argument(metavar="FILTER", help="An OPTIMADE filter; '' for all materials.")],
    fields: FieldsOption = None,
    sort: Annotated[
        str | None, typer.Option("--sort", help="Fields with commas, - for descending: --sort=-density,formula")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="Most rows; 0 for all.", min=0)] = 50,
    skip: Annotated[int, typer.Option("--skip", help="Rows to leave out at the beginning.", min=0)] = 0,
    unique: Annotated[
        bool, typer.Option("--unique", help="Leave out what repeats another material's crystal.")
    ] = False,
    form: FormatOption = None,
    output: OutputOption = None,
) -> None:
    """Find materials by their properties.

    \b
    ionatlas query 'elements HAS ALL "Li","O" AND energy_above_hull < 0.05 AND band_gap > 3'
    ionatlas query 'formula = "LiFePO4" OR name STARTS WITH "quartz"' --fields id,formula,density
    ionatlas query 'nelements = 3 AND NOT elements HAS "O"' --sort=-density --format csv -o dense.csv
    ionatlas query 'formula MATCHES "Li-*-O" AND li_migration_energy < 300 meV AND density > 3000 kg/m^3'
    ionatlas query 'SIMILAR TO mp-19017 BY structure AND band_gap > 1 eV' --limit 10

    \b
    Comparisons: = != < <= > >=, CONTAINS, STARTS WITH, ENDS WITH; for lists HAS, HAS ALL, HAS ANY,
    HAS ONLY, LENGTH; MATCHES for formulas with open places; IS KNOWN, IS UNKNOWN; AND, OR, NOT and brackets;
    SIMILAR TO material BY composition, structure or learned, with WITHIN distance if you like.
    Text stands in double quotes. A number may have a unit (meV, kJ/mol, kg/m^3, pm); without one it is in the
    field's own (ionatlas fields).
    """  # noqa: D301  (\\b keeps the lines of the examples)
    chosen = format_for(form, output)
    result = open_service().query(
        filter,
        fields=fields,
        sort=sort,
        limit=limit or None,
        skip=skip,
        include_duplicates=not unique,
        count=chosen is Format.TABLE,
    )
    write_result(result, chosen, output, hide_empty=fields is None)
    _close(result, chosen, output)


def similar(
    id_or_formula: Annotated[
        str, typer.Argument(metavar="ID|FORMULA|FILE", help="A material, any formula, or a file with a structure.")
    ],
    k: Annotated[int, typer.Option("-k", help="How many.", min=1)] = 10,
    by: Annotated[
        str, typer.Option("--by", help="What to compare: composition, structure, or learned (what goes with what).")
    ] = "composition",
    filter: Annotated[
        str | None, typer.Option("--filter", help="Only among materials that match this filter (exactly).")
    ] = None,
    fields: FieldsOption = None,
    form: FormatOption = None,
    output: OutputOption = None,
) -> None:
    """Find the materials most like a material or a formula.

    \b
    ionatlas similar mp-19017
    ionatlas similar Li6PS5Cl -k 20 --filter 'NOT elements HAS "S"'
    ionatlas similar LiFePO4.cif --by structure
    ionatlas similar LiNiPO4 --by learned
    """  # noqa: D301  (\\b keeps the lines of the examples)
    chosen = format_for(form, output)
    result = open_service().similar(id_or_formula, k, by=by, filter=filter, fields=fields)
    write_result(result, chosen, output, hide_empty=fields is None)
    _close(result, chosen, output, nearest=True)


def _close(result: QueryResult, form: Format, output: Path | None, *, nearest: bool = False) -> None:
    """Say on stderr what the rows do not."""
    if result.note:
        message(result.note)
    rows = len(result.rows)
    if output is not None:
        message(f"{rows:,} rows written to {output}")
    elif nearest:
        message(f"the {rows:,} nearest, in {result.seconds:.2f} s" if form is Format.TABLE else f"{rows:,} rows")
    elif form is Format.TABLE:
        total = f"{result.total:,}" if result.total is not None else ("more" if result.more else f"{rows:,}")
        more = "; --limit 0 shows all" if result.more else ""
        message(f"{rows:,} of {total} in {result.seconds:.2f} s{more}")
    elif result.more:
        message(f"{rows:,} rows; there are more (--limit 0 for all)")
