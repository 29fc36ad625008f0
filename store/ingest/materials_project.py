"""Structures from the Materials Project through its own client mp-api (extra ``materials-project``)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from store.errors import MissingExtra, SourceError, UsageError
from store.ingest.records import Origin, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

PROVIDER: Final = "mp"
LICENCE: Final = "CC-BY-4.0"
REFERENCE: Final = "Jain et al., APL Materials 1, 011002 (2013), doi:10.1063/1.4812323"
ADDRESS: Final = "https://api.materialsproject.org/"
FIELDS: Final = (
    "material_id",
    "formula_pretty",
    "structure",
    "symmetry",
    "formation_energy_per_atom",
    "energy_above_hull",
    "is_stable",
    "band_gap",
    "is_metal",
    "theoretical",
    "database_IDs",
    "deprecated",
    "last_updated",
    "builder_meta",
)
"""What is asked of the summary collection, unless the caller names other fields."""


def fetch_materials_project(
    api_key: str | None = None,
    *,
    client: Any = None,
    fields: tuple[str, ...] = FIELDS,
    page_size: int = 500,
    limit: int | None = None,
    **query: Any,
) -> Iterator[Record]:
    """Yield the summary documents that a query finds, page by page.

    Parameters
    ----------
    api_key : str, optional
        Key of the user's account; default: the environment variable MP_API_KEY, as mp-api reads it.
    client : mp_api.client.MPRester, optional
        A client that is open already (made with ``use_document_model=False``).
    fields : tuple of str
        Fields to fetch; the id and the structure are always among them.
    page_size : int
        Documents a request, at most 1,000.
    limit : int, optional
        Stop after so many documents.
    **query
        As ``MPRester.materials.summary.search`` takes them: ``chemsys="Li-*"``, ``elements=["Li", "O"]``,
        ``energy_above_hull=(0, 0.05)``, ``material_ids=["mp-1"]`` ...

    Yields
    ------
    Record
        Of the format "mp-json".

    Raises
    ------
    MissingExtra
        mp-api is not installed.
    UsageError
        The key or the query was refused.
    SourceError
        The service failed or answered something else; what was yielded before is good.

    Examples
    --------
    >>> from itertools import islice
    >>> for record in islice(fetch_materials_project(chemsys="Li-P-S"), 3):   # doctest: +SKIP
    ...     print(record.id)
    """
    if not 1 <= page_size <= 1000:
        raise UsageError(f"A page holds 1 to 1,000 documents; {page_size} were asked for.")
    wanted = list(dict.fromkeys(("material_id", "structure", *fields)))
    own = client is None
    rester = _open(api_key) if own else client
    address = str(getattr(rester, "endpoint", ADDRESS)).rstrip("/")
    try:
        yield from _pages(rester, wanted, page_size, limit, query, address)
    finally:
        if own:
            rester.session.close()


def _open(api_key: str | None) -> Any:
    try:
        from mp_api.client import MPRester
    except ImportError:
        raise MissingExtra(
            "The Materials Project is reached through the package mp-api, which is not installed.",
            mend="pip install 'ionatlas[materials-project]'",
        ) from None
    try:
        return MPRester(api_key, use_document_model=False, mute_progress_bars=True)
    except Exception as error:  # its own error classes, those of requests, and ValueError for keys
        raise UsageError(
            f"The Materials Project client cannot be opened: {_short(error)}.",
            mend="set MP_API_KEY to the key of your account (https://next-gen.materialsproject.org/api)",
        ) from error


def _pages(
    rester: Any, fields: list[str], page_size: int, limit: int | None, query: dict[str, Any], address: str
) -> Iterator[Record]:
    page, given = 1, 0
    while limit is None or given < limit:
        documents = _page(rester, fields, page_size, page, query)
        for document in documents[: None if limit is None else limit - given]:
            yield _record(document, address)
        given += len(documents)
        if len(documents) < page_size:
            return
        page += 1


def _page(rester: Any, fields: list[str], page_size: int, page: int, query: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        found = rester.materials.summary.search(
            fields=fields, chunk_size=page_size, num_chunks=1, _page=page, all_fields=False, **query
        )
    except TypeError as error:
        raise UsageError(f"The query {query!r} cannot be put to the Materials Project: {_short(error)}.") from error
    except Exception as error:  # the client lets through whatever requests and json raise
        kind = UsageError if "does not support the request" in str(error) else SourceError
        raise kind(f"The Materials Project did not answer page {page}: {_short(error)}.") from error
    documents = []
    for document in found or []:
        plain = document if isinstance(document, dict) else document.model_dump()
        if "material_id" not in plain:
            raise SourceError(f"The Materials Project sent a document without material_id on page {page}.")
        documents.append(plain)
    return documents


def _record(document: dict[str, Any], address: str) -> Record:
    from monty.json import MontyEncoder

    content = json.dumps(document, cls=MontyEncoder, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    name = str(document["material_id"])
    meta = document.get("builder_meta")
    terms = meta.get("license") if isinstance(meta, dict) else None
    return Record(
        format="mp-json",
        content=content.encode("utf-8", "surrogatepass"),
        id=name,
        origin=Origin(url=f"{address}/materials/summary/?material_ids={name}"),
        provider=PROVIDER,
        licence=str(terms) if terms else LICENCE,
        references=(REFERENCE,),
    )


def _short(error: BaseException) -> str:
    return (str(error) or type(error).__name__).strip()[:400]
