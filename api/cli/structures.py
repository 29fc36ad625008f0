"""``ionatlas predict-structure`` and ``ionatlas inverse``."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.output import console, message, open_service, print_table, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.prediction import StructurePrediction

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON Lines for programs, one line a candidate.")]


def predict_structure(
    formula: Annotated[str | None, typer.Argument(metavar="FORMULA", help="Such as LiNiPO4.")] = None,
    from_file: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Many formulas: a column 'formula' of a CSV file, or one a line."),
    ] = None,
    top: Annotated[int, typer.Option("--top", help="Most candidates a formula.", min=1, max=100)] = 10,
    exclude_formula: Annotated[
        bool, typer.Option("--exclude-formula", help="Do not use structures of this very formula.")
    ] = False,
    space_group: Annotated[
        int | None, typer.Option("--space-group", metavar="NUMBER", help="Only candidates of this space group.")
    ] = None,
    templates: Annotated[
        list[Path] | None,
        typer.Option("--templates", metavar="FILE", help="Structures that take part beside the store's; repeatable."),
    ] = None,
    only_templates: Annotated[
        bool, typer.Option("--only-templates", help="Use the files' structures alone; no store is needed.")
    ] = False,
    energies: Annotated[
        bool, typer.Option("--energies", help="Order by an interatomic potential too (extra 'potential').")
    ] = False,
    relax: Annotated[
        bool, typer.Option("--relax", help="Relax the candidates briefly by the potential; implies --energies.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Write the candidates as CIF into a folder.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Predict which crystal structures a composition may take, from templates of its stoichiometry.

    The probability says how likely a candidate is the formula's most stable structure (StructureMatcher's tolerances).
    CIF files and JSON carry the template, the elements it replaces, score, space group, energy and its method.

    \b
    ionatlas predict-structure LiNiPO4 --top 5 -o predicted/
    ionatlas predict-structure LiNiPO4 --exclude-formula --relax
    ionatlas predict-structure --from formulas.csv --json > predicted.jsonl
    ionatlas predict-structure Na3YCl6 --templates mine.cif --only-templates
    """  # noqa: D301  (\\b keeps the lines of the examples)
    from api.prediction.many import Failed, predict_each

    answers = predict_each(
        _formulas(formula, from_file),
        top=top,
        exclude_formula=exclude_formula,
        space_group=space_group,
        templates=templates or [],
        only_templates=only_templates,
        energies=energies,
        relax=relax,
        service=open_service,
    )
    alone = from_file is None
    failed = done = 0
    for answer in _counted(answers, None if alone else from_file):
        done += 1
        if isinstance(answer, Failed):
            if alone:
                raise answer.error
            failed += 1
            _tell_failure(answer, as_json)
        elif as_json:
            _write_json(answer)
        else:
            _print(answer)
        if output is not None and not isinstance(answer, Failed):
            made = answer.write(output)
            if made and alone:
                message(f"{len(made)} files in {output}")
    if failed:
        from store.errors import ItemsFailed

        raise ItemsFailed(
            f"{failed:,} of {done:,} formulas could not be read.", mend="--json has the reasons as 'error'"
        )


def _formulas(formula: str | None, path: Path | None) -> list[str]:
    from store.errors import UsageError

    if (formula is None) == (path is None):
        raise UsageError("One formula or a file of formulas is wanted.", mend="FORMULA, or --from FILE.csv")
    if formula is not None:
        return [formula]
    from api.prediction.formulas import read_formulas

    assert path is not None
    return read_formulas(path)


def _counted(answers: Iterator[Any], path: Path | None) -> Iterator[Any]:
    from api.cli.progress import RecordProgress

    if path is None:
        yield from answers
        return
    with RecordProgress(path.name, after=2.0) as progress:
        for count, answer in enumerate(answers, start=1):
            progress(count, None)
            yield answer


def _tell_failure(answer: Any, as_json: bool) -> None:
    if as_json:
        typer.echo(to_json({"formula": answer.formula, "rank": None, "error": answer.error.message}))
    else:
        message(f"{answer.formula}: {answer.error.message}")


def _write_json(answer: StructurePrediction) -> None:
    rows = answer.rows() or [{"formula": answer.formula, "rank": None}]
    for row in rows:
        typer.echo(to_json({**row, "notes": list(answer.notes)}))


def _print(answer: StructurePrediction) -> None:
    from rich.text import Text

    screen = console()
    screen.print(Text(answer.headline(), style="bold"))
    if answer.candidates:
        print_table(*answer.table())
    for note in answer.notes:
        screen.print(Text(note, style="yellow"))


def inverse(
    source: Annotated[str, typer.Argument(metavar="FILE|ID", help="A file with one structure, or a material.")],
    k: Annotated[int, typer.Option("-k", help="How many compositions.", min=1, max=1000)] = 20,
    elements: Annotated[
        str | None,
        typer.Option("--elements", metavar="Li,P,S", help="Only of these; new compositions of them are made up too."),
    ] = None,
    required: Annotated[str | None, typer.Option("--with", metavar="Li", help="Elements that must be there.")] = None,
    charge_balanced: Annotated[
        bool, typer.Option("--charge-balanced", help="Only compositions that are neutral in usual oxidation states.")
    ] = False,
    new: Annotated[bool, typer.Option("--new", help="Leave out compositions that the store has.")] = False,
    ratio: Annotated[
        list[str] | None, typer.Option("--ratio", metavar="1:2:4", help="Another stoichiometry; repeatable.")
    ] = None,
    given_volume: Annotated[
        bool, typer.Option("--given-volume", help="Compare at the structure's own volume only.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find compositions that could take a structure: known ones, and with --elements new ones.

    \b
    ionatlas inverse mp-19017 -k 20
    ionatlas inverse argyrodite.cif --elements Li,P,As,S,Se,Cl,Br,I --charge-balanced --with Li
    """  # noqa: D301  (\\b keeps the lines of the examples)
    from api.inverse import inverse as find

    found = find(
        source,
        k,
        elements=elements,
        required=required,
        charge_balanced=charge_balanced,
        new=new,
        ratios=ratio,
        any_volume=not given_volume,
        service=open_service,
    )
    if as_json:
        for row in found.rows():
            typer.echo(to_json(row))
        return
    from rich.text import Text

    console().print(Text(found.headline(), style="bold"))
    if found.candidates:
        print_table(*found.table())
    for note in found.notes:
        console().print(Text(note, style="yellow"))
