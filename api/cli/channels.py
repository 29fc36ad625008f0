"""``ionatlas channels``: voids and channels of an ion in a crystal, in words, tables and pictures."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.output import console, message, print_table, to_json

if TYPE_CHECKING:
    from api.channels.report import ChannelReport

_MOST_ROWS = 24


def channels(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|ID",
            help="A file with one structure (CIF, POSCAR, JSON, extended XYZ), for which no store is needed, or a material.",
        ),
    ],
    ion: Annotated[
        str | None,
        typer.Option("--ion", metavar="ION", help="The ion that travels; by default the working ion in the crystal."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", metavar="R", help="Channel radius that the ion needs, Å; by default from a table."),
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page to turn in a browser.")] = None,
    png: Annotated[Path | None, typer.Option("--png", help="Draw a picture.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Find the voids and channels through which an ion can travel, and how wide they are.

    Percolation radii r1, r2, r3: the widest passages that lead through the crystal in one, two and three directions.
    R_sd, r_chan, P_length: sizes of voids, channels and hops as published for migration maps.
    A crystal without the ion is taken as a host for insertion.

    \b
    ionatlas channels LiFePO4.cif --ion Li --png LiFePO4.png --html LiFePO4.html
    ionatlas channels mp-19017 --ion Li --threshold 1.8
    """  # noqa: D301  (\\b keeps the lines of the examples)
    from api.channels import channels as analyse_channels

    report = analyse_channels(source, ion, threshold=threshold)
    written = []
    if png is not None:
        written.append(report.png(png))
    if html is not None:
        written.append(report.html(html))
    if as_json:
        typer.echo(to_json(report.to_dict(), indent=True))
    else:
        _print(report)
    for file in written:
        message(f"written: {file}")


def _print(report: ChannelReport) -> None:
    from rich.text import Text

    from api.channels.tables import hop_table, void_table

    screen = console()
    head, *lines = report.headline()
    screen.print(Text(head, style="bold"))
    for line in lines:
        screen.print(Text(line))
    hop_headings, hops = hop_table(report)
    if hops:
        print_table(hop_headings, hops[:_MOST_ROWS])
    else:
        screen.print(Text("\nno hops"))
    void_headings, voids = void_table(report)
    print_table(void_headings, voids[:_MOST_ROWS])
    for what, rows in (("hops", hops), ("voids", voids)):
        if len(rows) > _MOST_ROWS:
            message(f"{len(rows) - _MOST_ROWS} more kinds of {what}; --json has all")
    for flag in report.flags:
        screen.print(Text(f"flag: {flag.code}: {flag.reason}", style="yellow"))
