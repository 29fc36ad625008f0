"""``ionatlas compare``: models side by side on one task."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.output import console, open_service, print_table, to_json

if TYPE_CHECKING:
    from api.compare.report import Comparison

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Compare models on measured values.")


@app.callback()
def tasks() -> None:
    """Compare models on measured values."""


@app.command("conductivity")
def conductivity(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="ROWS",
            help="A file of conductivities (JSON Lines, CSV; compressed or not), for which no store is needed; by default the "
            "store's conductivities.",
        ),
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(
            "--features",
            metavar="SET,SET...",
            help="Of composition, lattice, channels, topology, topology-stats, topology-images, topology-landscapes; repeat it "
            "to compare combinations.",
        ),
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(
            "--models",
            metavar="NAME,NAME...",
            help="Of constant, ridge, svr, knn, gp, forest, extra-trees, hist-boosting, lightgbm, flaml; by default "
            "all but flaml.",
        ),
    ] = None,
    bounds: Annotated[
        str,
        typer.Option(
            "--bounds", metavar="RULE", help="Values below a bound: keep (the bound), drop, benchmark (1e-15)."
        ),
    ] = "keep",
    structures_only: Annotated[bool, typer.Option("--structures-only", help="Only rows with a structure.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="The same rows and seed give the same table.", min=0)] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Three folds instead of five, and fewer settings.")] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Models at work at a time; one a core by default.", min=1)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Compare models of the ionic conductivity at room temperature under nested, grouped cross-validation.

    Rows of one composition are kept out together; settings are searched inside the rows learnt from. Behind ± stands the spread
    over the folds. After Ctrl-C the models that were finished are printed.

    \b
    ionatlas compare conductivity conductivity.jsonl.gz --quick
    ionatlas compare conductivity --features composition --features composition,topology
    """  # noqa: D301  (\\b keeps the lines of the examples)
    from api.cli.reproduce import StepProgress
    from api.compare import DEFAULT_FEATURES, compare_conductivity

    begun: list[Comparison] = []
    try:
        with StepProgress() as progress:
            compare_conductivity(
                source,
                features=[_listed(each) for each in features] if features else [DEFAULT_FEATURES],
                models=_listed(models) if models else None,
                bounds=bounds,
                seed=seed,
                quick=quick,
                structures_only=structures_only,
                workers=workers,
                service=open_service,
                progress=progress,
                begun=begun.append,
            )
    finally:
        # Also after Ctrl-C: what was finished is told.
        for found in begun:
            if found.lines:
                _tell(found, as_json)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _tell(found: Comparison, as_json: bool) -> None:
    from rich.text import Text

    from api.compare.report import HEADINGS, table

    if as_json:
        typer.echo(to_json(found.to_dict(), indent=True))
        return
    screen = console()
    for sentence in found.headline():
        screen.print(Text(sentence))
    for part in found.parts:
        screen.print(Text(f"\n{' + '.join(part.features)} ({part.n_columns:,} columns)", style="bold"))
        print_table(HEADINGS, table(part.ranked))
    screen.print(Text(found.verdict(), style="bold"))
