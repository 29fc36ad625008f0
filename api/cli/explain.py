"""``ionatlas explain``: why a prediction is what it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.output import console, message, open_service, print_table, to_json

if TYPE_CHECKING:
    from api.explain.ranking import GlobalRanking
    from api.explain.report import ExplanationReport

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Tell why a prediction is what it is.")

_HEADINGS = (
    ("holes", False), ("contribution", True), ("radii [Å]", True), ("per atom", True), ("usually", True),
)  # fmt: skip


@app.callback()
def subjects() -> None:
    """Tell why a prediction is what it is."""


@app.command("conductivity")
def conductivity(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE|ID", help="A file with one structure, or a material; with --global a file of conductivities."
        ),
    ] = None,
    everywhere: Annotated[
        bool,
        typer.Option("--global", help="Rank the holes over all compounds that the model was trained on, or of a file."),
    ] = False,
    png: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help="Draw diagrams, contributions, holes.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the same as a page to turn.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", metavar="FOLDER", help="A model that ionatlas train explanation made.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the folds of --global with a file.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Say which holes of which atoms raise or lower the conductivity that is predicted for a crystal.

    Contributions are exact Shapley values of boosted trees on Betti curves, summed over the radii of a curve.

    \b
    ionatlas explain conductivity Li7La3Zr2O12.cif --png why.png
    ionatlas explain conductivity --global
    """  # noqa: D301  (\\b keeps the lines of the examples)
    from store.errors import UsageError

    if everywhere:
        from api.cli.reproduce import StepProgress
        from api.explain.ranking import rank_conductivity

        if png is not None or html is not None:
            raise UsageError("--global is a table: it is not drawn.", mend="leave --png and --html out")
        with StepProgress() as progress:
            ranking = rank_conductivity(source, model=model, seed=seed, service=open_service, progress=progress)
        if as_json:
            typer.echo(to_json(ranking.to_dict(), indent=True))
        else:
            _print_ranking(ranking)
        return
    if source is None:
        raise UsageError(
            "Neither a file nor an id was named.",
            mend="ionatlas explain conductivity FILE|ID, or --global for all compounds",
        )
    from api.explain import explain_conductivity

    report = explain_conductivity(source, model=model)
    if as_json:
        typer.echo(to_json(report.to_dict(), indent=True))
    else:
        _print(report)
    if png is not None:
        message(f"written: {report.png(png)}")
    if html is not None:
        message(f"written: {report.html(html)}")


def _print(report: ExplanationReport) -> None:
    from rich.text import Text

    screen = console()
    screen.print(Text(report.headline(), style="bold"))
    first, *told = report.sentences()
    screen.print(Text(first))
    for sentence in told[:-1]:
        screen.print(Text(f"- {sentence}"))
    print_table(_HEADINGS, report.table())
    screen.print(Text(told[-1]))


def _print_ranking(ranking: GlobalRanking) -> None:
    from rich.text import Text

    from api.explain.ranking import HEADINGS

    screen = console()
    for sentence in ranking.headline():
        screen.print(Text(sentence))
    for title, key in (
        ("curves and composition", "ranking"),
        ("curves alone (what elements say, holes must say)", "ranking_of_curves_alone"),
    ):
        screen.print(Text(f"\n{title}", style="bold"))
        print_table(HEADINGS, ranking.table(key))


def train_explanation(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="ROWS", help="A file of conductivities with structures; by default the store's conductivities."
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where trees and card go.")] = Path(
        "conductivity-explained"
    ),
    seed: Annotated[int, typer.Option("--seed", help="The same rows and seed give the same trees.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the model's card as JSON.")] = False,
) -> None:
    """Train the model that ionatlas explain takes apart, and rank its holes on compositions it has not seen.

    \b
    ionatlas train explanation conductivity.jsonl.gz --output my-explanation
    ionatlas explain conductivity Li3PS4.cif --model my-explanation
    """  # noqa: D301  (\\b keeps the lines of the examples)
    from api.cli.reproduce import StepProgress
    from api.explain.ranking import GlobalRanking
    from api.explain.ranking import train_explanation as train

    with StepProgress() as progress:
        made = train(source, output, seed=seed, service=open_service, progress=progress)
    ranking = GlobalRanking(made.card)
    if as_json:
        typer.echo(to_json(ranking.to_dict(), indent=True))
    else:
        _print_ranking(ranking)
    message(f"written: {output}")
