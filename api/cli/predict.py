"""``ionatlas predict``: what the models say of a crystal, a material of the store, or rows of hops or compounds."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from api.cli.output import console, message, print_table, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from api.conductivity.report import ConductivityReport
    from api.migration.report import MigrationReport

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Predict what was not measured or computed.")

_MOST_ROWS = 40


@app.command("migration-energy")
def migration_energy(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|ID|HOPS",
            help="A file with one structure, a material, or a file of hops (such as JSON Lines). Files need no store.",
        ),
    ],
    ion: Annotated[
        str | None,
        typer.Option("--ion", metavar="ION", help="The ion that travels; by default the working ion in the crystal."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", metavar="FOLDER", help="A model that ionatlas train made.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes for large files of hops; one a core by default.", min=1)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines for programs.")] = False,
) -> None:
    """Predict the migration barriers of hops, with 90 % intervals and whether the model knows such hops.

    The migration energy of a crystal is the smallest, over the ways through it, of the highest barrier on the way.
    Rows of hops name their own ion: working_ion, with structure (the host), start_frac and end_frac.

    \b
    ionatlas predict migration-energy LiFePO4.cif --ion Li
    ionatlas predict migration-energy mp-19017 --json
    ionatlas predict migration-energy hops.jsonl.gz --json > predicted.jsonl
    """  # noqa: D301  (\\b keeps the lines of the examples)
    from api.migration import migration_energy as predict_crystal
    from api.row_files import open_hops

    opened = open_hops(source)
    if opened is not None:
        from api.migration.rows import answers

        _rows(answers(opened, ion, model, workers), opened.name, as_json, _HOPS)
        return
    report = predict_crystal(source, ion, model=model)
    if as_json:
        for row in report.rows():
            typer.echo(to_json(row))
    else:
        _print(report)
    _tell_failed(report.failed, len(report.channels.hops))


@app.command("conductivity")
def conductivity(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|ID|ROWS",
            help="A file with one structure, a material, or rows of compounds (such as JSON Lines). Files need no store.",
        ),
    ],
    model: Annotated[
        Path | None, typer.Option("--model", metavar="FOLDER", help="A model that ionatlas train made.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines for programs.")] = False,
) -> None:
    """Predict how well lithium ions are conducted at room temperature: log10 of S/cm with a 90 % interval.

    Rows have the layout of measured conductivities without the values: formula, and structure (or cell and
    space_group_number) where they are known. With the composition alone the interval is wider.

    \b
    ionatlas predict conductivity Li7La3Zr2O12.cif
    ionatlas predict conductivity mp-942733 --json
    ionatlas predict conductivity compounds.jsonl.gz --json > predicted.jsonl
    """  # noqa: D301  (\\b keeps the lines of the examples)
    from api.conductivity import conductivity as predict_crystal
    from api.row_files import open_compounds

    opened = open_compounds(source)
    if opened is not None:
        from api.conductivity.rows import answers
        from api.models import get_model
        from builders.conductivity.model import ConductivityModel

        _rows(answers(opened.rows, get_model(ConductivityModel, model)), opened.name, as_json, _COMPOUNDS)
        return
    report = predict_crystal(source, model=model)
    if as_json:
        typer.echo(to_json(report.row()))
    else:
        _say(report)


def _say(report: ConductivityReport) -> None:
    from rich.text import Text

    first, *others = report.sentences()
    console().print(Text(first, style="bold"))
    for sentence in others:
        console().print(Text(sentence))


class _Table(NamedTuple):
    """How answers to rows are shown: headings (text, whether numbers stand below), cells of one answer, what the rows are."""

    headings: Sequence[tuple[str, bool]]
    cells: Callable[[dict[str, Any]], list[str]]
    what: str


def _rows(answers: Iterable[dict[str, Any]], name: str, as_json: bool, table: _Table) -> None:
    import sys

    from api.cli.progress import RecordProgress

    kept: list[list[str]] = []
    done = failed = 0
    with RecordProgress(name, after=2.0) as progress:
        for answer in answers:
            done += 1
            failed += "error" in answer
            if as_json:
                sys.stdout.write(to_json(answer) + "\n")
            else:
                kept.append(table.cells(answer))
            progress(done, None)
    if not as_json:
        print_table(table.headings, kept)
    _tell_failed(failed, done, table.what)


def _hop_cells(answer: dict[str, Any]) -> list[str]:
    if "error" in answer:
        return [answer["id"], answer["ion"] or "–", "–", "–", "–", f"error: {answer['error']}"]
    return [
        answer["id"],
        answer["ion"],
        f"{answer['length']:.3f}",
        f"{answer['value']:.2f}",
        f"{answer['lower']:.2f} to {answer['upper']:.2f}",
        _in_domain(answer),
    ]


def _compound_cells(answer: dict[str, Any]) -> list[str]:
    if "error" in answer:
        return [answer["id"], "–", "–", "–", f"error: {answer['error']}"]
    return [
        answer["id"],
        f"{answer['value']:.2f}",
        f"{answer['lower']:.1f} to {answer['upper']:.1f}",
        answer["known"],
        _in_domain(answer),
    ]


def _in_domain(answer: dict[str, Any]) -> str:
    return "yes" if answer["in_domain"] else f"no: {answer.get('reason') or 'unlike the training set'}"


_HOPS = _Table(
    (
        ("id", False), ("ion", False), ("length [Å]", True), ("barrier [eV]", True), ("90 % interval", False),
        ("in domain", False),
    ),
    _hop_cells,
    "hops",
)  # fmt: skip
_COMPOUNDS = _Table(
    (("id", False), ("log10 S/cm", True), ("90 % interval", False), ("from", False), ("in domain", False)),
    _compound_cells,
    "rows",
)


def _tell_failed(failed: int, total: int, what: str = "hops") -> None:
    """End with the exit code of failed items where some hops or rows have no prediction.

    Raises
    ------
    ItemsFailed
    """
    if failed:
        from store.errors import ItemsFailed

        raise ItemsFailed(
            f"{failed:,} of {total:,} {what} could not be predicted; their rows tell why.",
            mend="--json has the reasons as 'error'",
        )


def _print(report: MigrationReport) -> None:
    from rich.text import Text

    screen = console()
    screen.print(Text(report.headline(), style="bold"))
    headings, rows = report.table()
    if rows:
        print_table(headings, rows[:_MOST_ROWS])
    if len(rows) > _MOST_ROWS:
        message(f"{len(rows) - _MOST_ROWS} more kinds of hops; --json has all")
    for sentence in report.sentences():
        screen.print(Text(sentence))
    for flag in report.channels.flags:
        screen.print(Text(f"flag: {flag.code}: {flag.reason}", style="yellow"))
