"""Measured conductivities from the store's ``conductivities``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from store.conductivities import ConductivityRecord
from store.crystal import Crystal
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from api.service import Service

_READ: Final = (
    "name",
    "working_ion",
    "formula_given",
    "composition",
    "log10_sigma",
    "censored",
    "temperature",
    "family",
    "structure",
    "flags",
    "properties",
)


def stored_records(service: Callable[[], Service] | None) -> Iterator[ConductivityRecord]:
    """Read all records of the store, in the order of their names.

    Raises
    ------
    UsageError
        There are none.
    """
    documents: list[dict[str, Any]] = (service or _service)().call(
        lambda database: list(database["conductivities"].find({}, dict.fromkeys(_READ, 1)).sort("_id", 1))
    )
    if not documents:
        raise UsageError(
            "The store holds no conductivities.",
            mend="ionatlas ingest FILE and ionatlas build, or name a file after the command",
        )
    for document in documents:
        yield _record(document)


def _record(document: Mapping[str, Any]) -> ConductivityRecord:
    structure = document.get("structure")
    return ConductivityRecord(
        formula=str(document["formula_given"]),
        composition={str(symbol): float(amount) for symbol, amount in document["composition"].items()},
        crystal=None if structure is None else Crystal.from_document(structure),
        log10_sigma=document.get("log10_sigma"),
        temperature=document.get("temperature"),
        censored=document.get("censored"),
        working_ion=str(document["working_ion"]),
        id=str(document["_id"]),
        name=document.get("name"),
        family=document.get("family"),
        properties=dict(document.get("properties") or {}),
        flags=list(document.get("flags") or []),
    )


def _service() -> Service:
    from api.service import Service
    from store.connection import connect
    from store.settings import load_settings

    settings = load_settings()
    return Service(connect(settings), settings)
