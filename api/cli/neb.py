"""``ionatlas neb``: the barrier of one hop from a universal interatomic potential."""

from __future__ import annotations

import sys
import time
from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.output import console, message, to_json

if TYPE_CHECKING:
    from api.neb import NebReport
    from builders.potential.result import Convergence

_EVERY = 10.0  # s between plain lines
_STAGES = {"start": "relaxing the start", "end": "relaxing the end", "band": "elastic band", "climb": "climbing image"}


def neb(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|ID", help="A file with one structure, for which no store is needed, or a material."
        ),
    ],
    ion: Annotated[
        str | None,
        typer.Option("--ion", metavar="ION", help="The ion that travels; by default the working ion in the crystal."),
    ] = None,
    hop: Annotated[
        int, typer.Option("--hop", metavar="K", min=0, help="Which hop, from 0, in the order of 'ionatlas channels'.")
    ] = 0,
    images: Annotated[int, typer.Option("--images", help="Images between the two ends.")] = 5,
    fmax: Annotated[float, typer.Option("--fmax", help="Largest force of a converged band, eV/Å.")] = 0.05,
    steps: Annotated[int, typer.Option("--steps", help="Most iterations of each end, and of the band.")] = 300,
    supercell: Annotated[
        str,
        typer.Option(
            "--supercell", metavar="N,N,N", help="'auto' (images of the ion 8 Å apart, at most 200 atoms) or 2,2,1."
        ),
    ] = "auto",
    dilute: Annotated[
        bool | None,
        typer.Option(
            "--dilute/--vacancy", help="The moving ion alone, or all ions but one (default where the crystal has any)."
        ),
    ] = None,
    store: Annotated[
        bool, typer.Option("--store/--no-store", help="Keep a converged barrier in the store, as a record.")
    ] = False,
    png: Annotated[Path | None, typer.Option("--png", help="Draw the profile.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Compute the barrier of a hop: a climbing-image elastic band with a universal interatomic potential.

    Needs the extra 'potential' and some minutes. The potential imitates DFT: expect errors of 0.2 to 0.3 eV.
    Ctrl-C stops it, shows how far it got, and stores nothing.

    \b
    ionatlas neb LiFePO4.cif --ion Li --hop 0 --png profile.png
    ionatlas neb mp-19017 --ion Li --hop 0 --dilute --store
    """  # noqa: D301  (\\b keeps the lines of the examples)
    from api.neb import neb as compute
    from api.neb.picture import check_name
    from builders.potential.neb import Options
    from builders.potential.potentials import require_potential

    options = Options(images=images, fmax=fmax, steps=steps)
    options.check()
    repeats = read_supercell(supercell)
    if png is not None:
        check_name(png)
    require_potential()
    # The store is asked before minutes are spent, and before torch is loaded: its server may have to be started.
    database = _open_store() if store else None
    limit: Any = None if dilute is None else "dilute" if dilute else "vacancy"
    with Telling() as telling:
        report = compute(
            source,
            ion,
            hop,
            limit=limit,
            supercell=repeats,
            options=options,
            progress=telling,
            announce=telling.announce,
        )
    _answer(report, png, as_json)
    _finish(report, database)


def read_supercell(text: str) -> tuple[int, int, int] | None:
    """Read ``2,2,1`` or ``2x2x1``; None for ``auto``.

    Raises
    ------
    UsageError

    Examples
    --------
    >>> read_supercell("auto"), read_supercell("2,2,1"), read_supercell("1x2x2")
    (None, (2, 2, 1), (1, 2, 2))
    """
    from store.errors import UsageError

    if text.strip().lower() == "auto":
        return None
    parts = text.lower().replace("x", ",").split(",")
    if len(parts) == 3 and all(part.strip().isdecimal() and 1 <= int(part) <= 50 for part in parts):
        return int(parts[0]), int(parts[1]), int(parts[2])
    raise UsageError(
        f"A supercell is 'auto' or three positive numbers with commas; {text!r} was given.",
        mend="--supercell 2,2,1, for example",
    )


class Telling:
    """Iterations on stderr: one line that changes on a terminal, a plain line now and then elsewhere."""

    def __init__(self, live: bool | None = None) -> None:
        self._live = sys.stderr.isatty() if live is None else live
        self._status: Any = None
        self._told = -_EVERY
        self._stage = ""

    def __enter__(self) -> Telling:
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def announce(self, text: str) -> None:
        """Say what is computed, before it begins."""
        message(text)
        if self._live:
            from rich.console import Console

            self._status = Console(stderr=True).status("first forces")
            self._status.start()

    def __call__(self, state: Convergence) -> None:
        """Report an iteration."""
        what = "above the start" if state.stage in ("band", "climb") else "since its first geometry"
        text = f"{_STAGES[state.stage]}: iteration {state.iteration}, forces {state.fmax:.3f} eV/Å, {state.energy:+.3f} eV {what}"
        if self._status is not None:
            self._status.update(text)
        elif state.stage != self._stage or time.monotonic() - self._told >= _EVERY:
            self._told, self._stage = time.monotonic(), state.stage
            message(text)


def _open_store() -> Any:
    from api.cli.output import open_service

    return open_service().database


def _answer(report: NebReport, png: Path | None, as_json: bool) -> None:
    from rich.text import Text

    if as_json:
        typer.echo(to_json(report.to_dict(), indent=True))
    else:
        screen = console()
        head, *lines = report.headline()
        screen.print(Text(head, style="bold"))
        for line in lines:
            screen.print(Text(line))
        for flag in report.flags:
            screen.print(Text(f"flag: {flag.code}: {flag.reason}", style="yellow"))
    if png is not None and len(report.result.energies):
        message(f"written: {report.png(png)}")


def _finish(report: NebReport, database: Any) -> None:
    """Store a barrier, and leave with an exit code that says whether there is one."""
    from builders.potential.result import FLAG_INTERRUPTED

    if any(flag.code == FLAG_INTERRUPTED for flag in report.result.flags):
        message("interrupted; nothing was stored")
        raise typer.Exit(130)
    if not report.result.usable:
        message("no converged barrier; nothing was stored")
        raise typer.Exit(5)
    if database is not None:
        told = report.store(database)
        message(f"stored as {report.id} ({'new' if told.new else 'changed' if told.updated else 'unchanged'})")
        message("ionatlas build derives its documents")
