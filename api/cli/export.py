"""``ionatlas export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from api.cli.output import message, open_service, tell_why_empty, to_json
from api.whole_files import written_whole
from store.errors import UsageError

if TYPE_CHECKING:
    from api.exporting import Export

FileOption = Annotated[Path, typer.Option("--output", "-o", help="FILE.jsonl, FILE.csv or FILE.parquet.")]

_ENDINGS: Final = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}


def export(
    filter: Annotated[str, typer.Argument(metavar="FILTER", help="A filter as in ionatlas query; '' for all.")],
    output: FileOption,
    fields: Annotated[str, typer.Option("--fields", help="Columns with commas ('id,li_*'), or 'all'.")] = "all",
    sort: Annotated[
        str | None, typer.Option("--sort", help="Fields with commas, - for descending; by default in the order of ids.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="Most rows; 0 for all.", min=0)] = 0,
    unique: Annotated[
        bool, typer.Option("--unique", help="Leave out what repeats another material's crystal.")
    ] = False,
) -> None:
    """Write all materials that match to a file, with a manifest beside it.

    \b
    ionatlas export 'elements HAS "Li" AND energy_above_hull < 0.05' -o lithium.parquet
    ionatlas export 'band_gap > 2 eV' --fields id,formula,band_gap -o gaps.csv

    \b
    FILE.manifest.json tells the filter, the time, the columns with units and meanings, the licences of the
    records behind the rows, their number, and the SHA-256 of FILE. Neither file is there before it is whole.
    """  # noqa: D301  (\\b keeps the lines of the examples)
    form = _ENDINGS.get(output.suffix.lower())
    if form is None:
        raise UsageError(
            f"{output.name} does not tell the format.", mend="name it FILE.jsonl, FILE.csv or FILE.parquet"
        )
    export = open_service().export(
        filter, fields=fields, format=form, sort=sort, limit=limit or None, include_duplicates=not unique
    )
    manifest = output.with_name(f"{output.name}.manifest.json")
    with written_whole(output) as part:
        _write(export, part)
        manifest.unlink(missing_ok=True)  # the old one never stands beside the new file
    with written_whole(manifest) as told:
        told.write_text(to_json({"file": output.name, **export.manifest}, indent=True) + "\n", encoding="utf-8")
    message(f"{export.rows:,} rows, {export.bytes / 1e6:.1f} MB written to {output}, described in {manifest.name}")
    _tell_licences(export)
    if not export.rows:
        tell_why_empty()


def _write(export: Export, part: Path) -> None:
    from api.cli.progress import RecordProgress

    with part.open("wb") as stream, RecordProgress("export", after=0.5, unit="rows") as progress:
        for chunk in export:
            stream.write(chunk)
            progress(export.rows, export.total)


def _tell_licences(export: Export) -> None:
    told = [
        f"{each['licence'] or 'licence not stated'} ({each['provider'] or 'provider not stated'}, {each['rows']:,} rows)"
        for each in export.manifest["licences"]
    ]
    if told:
        message(f"Licences of the records: {'; '.join(told[:5])}{' ...' if len(told) > 5 else ''}")
