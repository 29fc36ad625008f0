"""Work that changes the store, for all faces: taking records in, options of a build."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final

from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from pymongo.database import Database

    from builders.engine.run import Options
    from store.ingest.ingest import IngestReport
    from store.settings import Settings

OPTIMADE: Final = "optimade:"
MATERIALS_PROJECT: Final = "mp:"


def ingest_source(
    database: Database[dict[str, Any]],
    source: str | Path,
    *,
    provider: str | None = None,
    licence: str | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> IngestReport:
    """Take in what a source holds.

    Parameters
    ----------
    database : pymongo.database.Database
    source : str or pathlib.Path
        A file, folder or archive; ``amcsd``; ``mp:QUERY`` (a chemical system or ids with commas); ``optimade:URL``.
    provider, licence : str, optional
        Where the records do not say.
    progress : callable, optional
        Called with records done and the total, None where it is not known.

    Returns
    -------
    store.ingest.ingest.IngestReport

    Raises
    ------
    UsageError
        There is no such file, or the query cannot be understood.
    MissingExtra
        ``amcsd``, ``mp:`` and ``optimade:`` need optional packages.

    Examples
    --------
    >>> from store.connection import connect            # doctest: +SKIP
    >>> ingest_source(connect(), "structures/").new     # doctest: +SKIP
    12
    """
    from store.ingest.ingest import ingest
    from store.schema import migrate

    records = _records(source) if isinstance(source, str) else source
    migrate(database)
    return ingest(database, records, provider=provider, licence=licence, progress=progress)


def _records(source: str) -> Any:
    if source.startswith(OPTIMADE):
        from store.ingest.optimade_client import fetch_optimade

        url, _, rest = source.removeprefix(OPTIMADE).partition("?")
        filters = rest.removeprefix("filter=")
        return fetch_optimade(url, filters or None)
    if source.startswith(MATERIALS_PROJECT):
        from store.ingest.materials_project import fetch_materials_project

        return fetch_materials_project(**project_query(source.removeprefix(MATERIALS_PROJECT)))
    return source


def project_query(text: str) -> dict[str, Any]:
    """Read what is asked of the Materials Project: ids, a chemical system, or a formula.

    Raises
    ------
    UsageError
        It is none of them.

    Examples
    --------
    >>> project_query("mp-149,mp-13"), project_query("Li-*-O"), project_query("LiFePO4")
    ({'material_ids': ['mp-149', 'mp-13']}, {'chemsys': 'Li-*-O'}, {'formula': 'LiFePO4'})
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if parts and all(re.fullmatch(r"m(p|vc)-\w+", part) for part in parts):
        return {"material_ids": parts}
    if re.fullmatch(r"([A-Z][a-z]?|\*)(-([A-Z][a-z]?|\*))+", text):
        return {"chemsys": text}
    if re.fullmatch(r"([A-Z][a-z]?[\d.]*|[()*])+", text):
        return {"formula": text}
    raise UsageError(
        f"{text!r} is no query to the Materials Project.",
        mend="mp:mp-149,mp-13 (ids), mp:Li-Fe-P-O (system) or mp:LiFePO4",
    )


def build_options(
    settings: Settings,
    *,
    workers: int | None = None,
    cluster: str | None = None,
    retry_failed: bool = False,
    allow_orphans: bool = False,
    limit: int | None = None,
    wait: float = 0.0,
    ions: Sequence[str] | None = None,
    insert: Sequence[str] | None = None,
    materials: Collection[str] | None = None,
) -> Options:
    """Put the options of a build together; what is not given comes from the settings.

    Parameters
    ----------
    ions : sequence of str, optional
        Build the channels, predictions and topology of these ions only.
    insert : sequence of str, optional
        Analyse the materials as hosts for these ions too, where they hold none of them.
    materials : collection of str, optional
        Build only what depends on these.

    Raises
    ------
    UsageError
        A number that cannot be, an unknown ion, or ions to insert without the materials to insert them into.

    Examples
    --------
    >>> from store.settings import Settings
    >>> build_options(Settings(item_memory_gb=2), workers=3).workers
    3
    """
    from builders.engine.run import Options

    count = workers if workers is not None else settings.workers or usable_cores()
    if count < 1 or (limit is not None and limit < 1) or not wait >= 0:
        raise UsageError(
            f"A build with {count} workers, limit {limit}, wait {wait} cannot be.", mend="give positive numbers"
        )
    return Options(
        materials=materials,
        selections={
            "channels": _channels(settings, ions, insert, materials),
            "predictions": _predictions(ions, insert),
            "topology": _topology(settings, ions),
            "conductivity_predictions": _predictions(ions, None),
        },
        workers=count,
        cluster=cluster,
        retry_failed=retry_failed,
        allow_orphans=allow_orphans,
        limit=limit,
        wait=wait,
        item_seconds=settings.item_seconds,
        memory_bytes=int(settings.item_memory_gb * 2**30),
        orphan_share=settings.orphan_share,
    )


def _channels(
    settings: Settings,
    ions: Sequence[str] | None,
    insert: Sequence[str] | None,
    hosts: Collection[str] | None,
) -> dict[str, Any]:
    """Selection of :class:`builders.channels.builder.ChannelBuilder`."""
    chosen: dict[str, Any] = {}
    if ions or insert or settings.channel_ions:
        from builders.channels.pairs import read_ions

        if ions:
            chosen["ions"] = read_ions(ions)
        if settings.channel_ions:
            chosen["usual"] = read_ions(settings.channel_ions)
        if insert:
            if hosts is None:
                raise UsageError(
                    "Ions are inserted into hosts that are named, and none are.",
                    mend="name the hosts: --insert Li --query 'formula = \"FePO4\"'",
                )
            chosen |= {"insert": read_ions(insert), "hosts": frozenset(hosts)}
    return chosen


def _predictions(ions: Sequence[str] | None, insert: Sequence[str] | None) -> dict[str, Any]:
    """Selection of :class:`builders.predictions.builder.PredictionBuilder`."""
    if not ions:
        return {}
    from builders.channels.pairs import read_ions

    return {"ions": read_ions([*ions, *(insert or ())])}


def _topology(settings: Settings, ions: Sequence[str] | None) -> dict[str, Any]:
    """Selection of :class:`builders.topology.builder.TopologyBuilder`: that of the channels, without inserted ions."""
    return _channels(settings, ions, None, None)


def usable_cores() -> int:
    """Cores that this process may use (fewer than the machine's in a container or under taskset)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
