"""``ionatlas train``: models anew from the store, or from a file."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.output import console, message, print_table, sensible, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from api.migration.train import Gathered
    from api.training import Trained
    from builders.conductivity.rows import Gathered as Conductivities

_COLUMNS = {
    "mae": "MAE [eV]", "rmse": "RMSE [eV]", "r2": "R2", "accuracy": "right at 0.65 eV", "coverage": "in the interval",
    "mae_in_domain": "MAE in domain", "mae_out_of_domain": "MAE outside",
}  # fmt: skip

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Train a model anew from what is in the store or a file."
)


@app.command("migration-energy")
def migration_energy(
    seed: Annotated[int, typer.Option("--seed", help="The same seed and barriers give the same weights.", min=0)] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Where to; by default models/ in the user's data folder."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the model's card as JSON.")] = False,
) -> None:
    """Train the model of migration barriers from the barriers in the store, and tell how good it is.

    Learnt from are barriers computed with DFT along a path of images, without those flagged host_sites_overlap.

    \b
    ionatlas train migration-energy --seed 1 --output my-model
    ionatlas predict migration-energy LiFePO4.cif --model my-model
    """  # noqa: D301  (\\b keeps the lines of the examples)
    from api.cli.progress import RecordProgress
    from api.migration.train import train_migration_energy
    from api.training import default_folder
    from store.connection import connect
    from store.settings import load_settings

    settings = load_settings()
    folder = output or default_folder(settings, "migration-energy")
    with RecordProgress("training", after=2.0, unit="steps") as progress:
        trained = train_migration_energy(connect(settings), folder, seed=seed, progress=progress)
    if as_json:
        typer.echo(to_json({"folder": str(folder), **trained.card}, indent=True))
    else:
        _print(trained)
    message(f"written: {folder}")
    message(f"to predict with it: --model {folder}, or IONATLAS_MIGRATION_MODEL={folder} for builds too")


_CONDUCTIVITY_COLUMNS = {
    "mae": "MAE", "r2": "R2", "spearman": "Spearman", "coverage": "in the interval", "interval_width_median": "its width",
    "mae_in_domain": "MAE in domain", "mae_out_of_domain": "MAE outside",
}  # fmt: skip


@app.command("conductivity")
def conductivity(
    source: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Measured conductivities, such as JSON Lines; by default the store's."),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", help="The same seed and conductivities give the same weights.", min=0)
    ] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Where to; by default models/ in the user's data folder."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the model's card as JSON.")] = False,
) -> None:
    """Train the model of ionic conductivities at room temperature, and tell how good it is.

    Learnt from are lithium compounds between 288 and 308 K; values of which only a bound is known count as bounds.

    \b
    ionatlas train conductivity conductivity.jsonl.gz --output my-model
    ionatlas predict conductivity Li7La3Zr2O12.cif --model my-model
    """  # noqa: D301  (\\b keeps the lines of the examples)
    from api.cli.progress import RecordProgress
    from api.conductivity.train import train_conductivity
    from api.training import default_folder
    from store.settings import load_settings

    folder = output or default_folder(load_settings(), "conductivity")
    with RecordProgress("training", after=2.0, unit="steps") as progress:
        trained = train_conductivity(source, folder, seed=seed, progress=progress)
    if as_json:
        typer.echo(to_json({"folder": str(folder), **trained.card}, indent=True))
    else:
        _print_conductivity(trained)
    message(f"written: {folder}")
    message(f"to predict with it: --model {folder}, or IONATLAS_CONDUCTIVITY_MODEL={folder} for builds too")


@app.command("embeddings")
def embeddings(
    structures: Annotated[
        Path | None,
        typer.Argument(metavar="STRUCTURES", help="gzip'ed JSON Lines, one structure a line; the ranker needs none."),
    ] = None,
    only: Annotated[
        str | None, typer.Option("--only", metavar="PART", help="One of towers, pairs, ranker; by default all three.")
    ] = None,
    exclude: Annotated[
        Path | None, typer.Option("--exclude", metavar="FILE", help="Structures whose formulas nothing may learn from.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Where to; by default models/embeddings.")
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option("--work", metavar="FOLDER", help="For checkpoints: what was interrupted goes on from there."),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda, for the towers.")] = "cpu",
) -> None:
    """Train the networks and the ranker of structure prediction anew (extra train). It takes hours on two cores.

    towers: compositions and structures in one space. pairs: whether two compositions share a prototype. ranker: how likely a
    template is, learned from the template library of the store.

    \b
    ionatlas train embeddings structures.jsonl.gz --work checkpoints --output my-networks
    IONATLAS_EMBEDDINGS=my-networks ionatlas predict-structure LiNiPO4
    """  # noqa: D301  (\\b keeps the lines of the examples)
    from api.embeddings import train_embeddings
    from api.training import default_folder
    from store.settings import load_settings

    folder = output or default_folder(load_settings(), "embeddings")
    made = train_embeddings(structures, folder, only=only, exclude=exclude, work=work, device=device)
    for part in made:
        message(f"written: {part}")
    message(f"to use it: IONATLAS_EMBEDDINGS={folder}; ionatlas build then makes the vectors anew")


def _print_conductivity(trained: Trained[Conductivities]) -> None:
    from rich.text import Text

    data, screen = trained.card["data"], console()
    head = f"{trained.card['id']}: {data['rows']:,} conductivities of {data['compositions']:,} compositions"
    screen.print(Text(head, style="bold"))
    for why, number in trained.gathered.dropped.items():
        screen.print(Text(f"left out: {number:,} {why}"))
    rows = list(_scores(trained.card["scores"], _CONDUCTIVITY_COLUMNS))
    headings = [("log10 S/cm, with rows left out", False), *((text, True) for text in _CONDUCTIVITY_COLUMNS.values())]
    print_table(headings, rows)


def _print(trained: Trained[Gathered]) -> None:
    from rich.text import Text

    gathered, screen = trained.gathered, console()
    count = len(gathered.rows.ids)
    screen.print(Text(f"{trained.card.get('id', 'model')}: {count:,} barriers", style="bold"))
    for why, number in gathered.dropped.items():
        screen.print(Text(f"left out: {number:,} {why}"))
    told = ", ".join(f"{name} {number:,}" for name, number in gathered.definitions.items())
    screen.print(Text(f"what their sources mean by barrier: {told}"))
    rows = list(_scores(trained.card.get("scores") or {}))
    print_table([("on hops left out", False), *((heading, True) for heading in _COLUMNS.values())], rows)


def _scores(scores: Mapping[str, Any], columns: Mapping[str, str] = _COLUMNS) -> Iterator[list[str]]:
    """One row a way of leaving hops out, and under it that of a constant."""
    for name, found in scores.items():
        yield [name, *(sensible(found.get(key)) for key in columns)]
        constant = found.get("constant")
        if constant:
            yield ["  the median of the others instead", *(sensible(constant.get(key)) for key in columns)]
