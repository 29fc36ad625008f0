"""Where templates come from: the library of the store, files, crystals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store.errors import IonatlasError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from api.service import Service
    from indexes.templates.library import TemplateLibrary
    from store.crystal import Crystal

MOST_READ: Final = 20_000
"""Structures of files that are read on the fly; more belong into a store, where they are analysed once."""


class Gathered(NamedTuple):
    """Templates to look among, and what must be said of them."""

    library: TemplateLibrary
    notes: tuple[str, ...]


def gather(
    templates: Sequence[str | Path] | Mapping[str, Crystal] | TemplateLibrary,
    only: bool,
    service: Callable[[], Service] | None,
) -> Gathered:
    """Put the templates together.

    Raises
    ------
    UsageError
        ``only`` without templates; a file that is none, or that holds no structure that can be a template.
    SnapshotMissing
        The store's library is not built.
    """
    from indexes.templates.library import TemplateLibrary

    if isinstance(templates, TemplateLibrary):
        return Gathered(templates, ())
    given, failed = _crystals(templates)
    if only and not given:
        raise UsageError("Without the store's templates there are none.", mend="name files: --templates FILE")
    base = TemplateLibrary.from_entries([]) if only else _of_the_store(service)
    notes: list[str] = []
    if given:
        base, refused = _added(base, given)
        failed |= refused
        if len(refused) == len(given):
            name, reason = next(iter(refused.items()))
            raise UsageError(f"None of the {len(given)} structures can be a template: {name}: {reason}")
    if failed:
        name, reason = next(iter(failed.items()))
        notes.append(f"{len(failed)} of the given structures are no templates; {name}: {reason}")
    return Gathered(base, tuple(notes))


def _of_the_store(service: Callable[[], Service] | None) -> TemplateLibrary:
    if service is None:
        from api.cli.output import open_service

        service = open_service
    return service().templates()


def _crystals(
    templates: Sequence[str | Path] | Mapping[str, Crystal],
) -> tuple[dict[str, Crystal], dict[str, str]]:
    """Crystals by name, and why others cannot be read."""
    if isinstance(templates, Mapping):
        return dict(templates), {}
    found: dict[str, Crystal] = {}
    failed: dict[str, str] = {}
    paths = [templates] if isinstance(templates, str | Path) else templates
    for path in paths:
        for name, crystal in _read(Path(path)):
            if isinstance(crystal, str):
                failed[name] = crystal
                continue
            unique = name if name not in found else f"{name}-{len(found) + 1}"
            found[unique] = crystal
            if len(found) > MOST_READ:
                raise UsageError(
                    f"The files hold more than {MOST_READ:,} structures.",
                    mend=f"ionatlas ingest {path}, then ionatlas build structures index/templates",
                )
    if paths and not found and failed:
        name, reason = next(iter(failed.items()))
        raise UsageError(f"No structure could be read; {name}: {reason}", mend="give CIF, POSCAR or JSON files")
    return found, failed


def _read(path: Path) -> Iterator[tuple[str, Crystal | str]]:
    from store.ingest.containers import read_records
    from store.ingest.readers import read_record
    from store.ingest.records import BadRecord

    if not path.exists():
        raise UsageError(f"There is no file {str(path)!r}.", mend="check the path of --templates")
    for number, record in enumerate(read_records(path), start=1):
        name = f"{path.name}:{number}" if isinstance(record, BadRecord) else record.id or f"{path.name}:{number}"
        if isinstance(record, BadRecord):
            yield name, record.error.message
            continue
        try:
            yield name, read_record(record.format, record.content).crystal
        except IonatlasError as error:
            yield name, error.message


def _added(library: TemplateLibrary, crystals: Mapping[str, Crystal]) -> tuple[TemplateLibrary, dict[str, str]]:
    """The library with more templates; what is impossible or disordered is told, and the rest goes on."""
    from indexes.templates.entries import entry_of

    entries: list[Any] = []
    failed: dict[str, str] = {}
    for name, crystal in crystals.items():
        try:
            entries.append(entry_of(name, crystal))
        except IonatlasError as error:
            failed[name] = error.message
    return library.with_entries(entries), failed
