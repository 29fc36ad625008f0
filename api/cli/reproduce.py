"""``ionatlas reproduce``: published studies, run on what the user has, beside the published numbers."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from api.cli.output import console, message, open_service, print_table, to_json
from api.cli.progress import EVERY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from api.reproduce.study import Reproduction

app = typer.Typer(no_args_is_help=True, help="Run a published study on your hops, beside the published numbers.")


@app.callback()
def studies() -> None:
    """Run a published study on your hops, beside the published numbers."""


@app.command("osipov")
def osipov(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="HOPS",
            help="A file of hops with barriers (JSON Lines, CSV ...; compressed or not), for which no store is needed; "
            "by default the store's barriers.",
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the figures go.")] = Path(
        "osipov-figures"
    ),
    crystal: Annotated[
        list[Path] | None,
        typer.Option(
            "--crystal", metavar="FILE", help="A crystal of table 2, to measure its paths in anew; may be repeated."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the first split: tables 2, 4, 5 and figure 4.", min=0)] = 0,
    repeats: Annotated[
        int, typer.Option("--repeats", help="Splits of each kind that table 1 is the mean of.", min=1)
    ] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Run the study of Osipov et al. 2023 (migration energies of lithium from six descriptors) on your hops.

    Prints tables 1, 2, 4 and 5 beside the published ones, and draws figures 3 and 4. Table 1 also under splits that keep
    the hops of one framework together: the published split puts hops of one compound on both sides.

    \b
    ionatlas reproduce osipov hops.jsonl.gz --output figures
    ionatlas reproduce osipov --json > osipov.json
    """  # noqa: D301  (\\b keeps the lines of the examples)
    from api.reproduce import osipov as run

    with _folder(output), StepProgress() as progress:
        result = run(
            source, seed=seed, repeats=repeats, crystals=crystal or (), service=open_service, progress=progress
        )
        files = result.figures(output)
    if as_json:
        typer.echo(to_json({**result.to_dict(), "files": [str(file) for file in files]}, indent=True))
    else:
        _print(result)
    for file in files:
        message(f"written: {file}")


def _print(result: Reproduction) -> None:
    from rich.text import Text

    from api.reproduce.hops import excluded_in_words
    from api.reproduce.tables import tables

    screen, hops = console(), result.hops
    screen.print(Text("Osipov et al. 2023 (doi " + result.published.doi + "), run on your hops", style="bold"))
    screen.print(Text(result.headline()))
    if hops.excluded:
        screen.print(Text(f"left out: {excluded_in_words(hops.excluded)}"))
    screen.print(Text(result.differs))
    for table in tables(result):
        screen.print(Text(f"\n{table.title}", style="bold"))
        print_table(table.headings, table.rows)
    for note in result.notes():
        screen.print(Text(note))


@contextlib.contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Make the folder of the figures before minutes of work; take an empty one away again where the work fails.

    Raises
    ------
    UsageError
        Nothing can be written there.
    """
    import tempfile

    from store.errors import UsageError

    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(
            f"No figures can be written to {str(folder)!r}: {error.strerror or error}.",
            mend="--output FOLDER names another one",
        ) from None
    try:
        yield
    except BaseException:
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


class StepProgress:
    """Steps of a long computation on stderr: a bar on a terminal, a line now and then elsewhere.

    Use as a context, call with ``(what, done, total)``.

    Parameters
    ----------
    bars : bool, optional
        Draw bars; by default when stderr is a terminal.
    """

    def __init__(self, bars: bool | None = None) -> None:
        self._wanted = sys.stderr.isatty() if bars is None else bars
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}
        self._told = time.monotonic()

    def __enter__(self) -> Self:
        if self._wanted:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bars.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Report how much of what is done."""
        if self._bars is not None:
            if what not in self._tasks:
                self._tasks[what] = self._bars.add_task(what, total=total)
            self._bars.update(self._tasks[what], completed=done)
        elif time.monotonic() - self._told >= EVERY:
            self._told = time.monotonic()
            message(f"{what}: {done:,} of {total:,}")
