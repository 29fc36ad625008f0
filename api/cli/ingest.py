"""``ionatlas ingest``: records into the store."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.output import message, to_json


def ingest(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCES...",
            help="Files, folders or archives (CIF, POSCAR, JSON, JSON Lines, extended XYZ, ASE databases; hops as in "
            "docs/hops.md; .gz, zip, tar); "
            "'amcsd' for the mineral set of larixite; 'mp:Li-Fe-P-O' for the Materials Project; "
            "'optimade:URL' for an OPTIMADE provider.",
        ),
    ],
    provider: Annotated[
        str | None, typer.Option("--provider", help="Who gave the records, where they do not say.")
    ] = None,
    licence: Annotated[str | None, typer.Option("--licence", help="Their licence, where they do not say.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Take records in, exactly as they are; the same record twice is one.

    What cannot be read is kept with the reason, and the rest goes on. Then: ionatlas build

    \b
    ionatlas ingest structures/ more.zip mp.jsonl.gz
    ionatlas ingest barriers.jsonl.gz hops.csv nebDFT2k/
    ionatlas ingest amcsd
    ionatlas ingest 'optimade:https://optimade.materialsproject.org?filter=elements HAS ONLY "Li","O"'
    """  # noqa: D301  (\\b keeps the lines of the examples)
    from api.cli.progress import RecordProgress
    from api.work import ingest_source
    from store.connection import connect
    from store.settings import load_settings

    settings = load_settings()
    database = connect(settings)
    reports = {}
    for source in sources:
        with RecordProgress(source) as progress:
            report = ingest_source(database, source, provider=provider, licence=licence, progress=progress)
        reports[source] = report
        if not as_json:
            typer.echo(f"{source}: {report}")
        for error in report.errors[:5]:
            message(f"  {error['origin']}: {error['type']}: {error['message']}")
        if report.unreadable > 5:
            message(f"  and {report.unreadable - 5:,} more; ionatlas status counts them by reason")
    if as_json:
        typer.echo(to_json([{"source": source, "report": report} for source, report in reports.items()], indent=True))
