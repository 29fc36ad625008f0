"""Similarity: what is like a material or a formula, and how the index behind it stands."""

from __future__ import annotations

import os
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from api.any_ion import query_of
from api.channels.source import looks_like_a_path
from api.filters import compile_filter
from api.finding import choose_fields, matching_ids, read_formula, rows_by_id, without_unknown_ions
from api.results import IndexStatus, QueryResult
from store.errors import IndexError_, UnknownId, UsageError
from store.fields import Field

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from api.service import Service
    from store.crystal import Crystal


def distance_field(by: str) -> Field:
    """Describe the distance of an index as a column."""
    from indexes.registry import DISTANCES

    return Field("distance", "float", None, DISTANCES[by], f"indexes.{by}")


def similar(
    service: Service,
    asked: str,
    k: int,
    *,
    by: str,
    filter_text: str | None,
    fields: Sequence[str] | str | None,
    files: bool = True,
) -> QueryResult:
    """Answer a similarity question (see :meth:`api.service.Service.similar`)."""
    started = time.perf_counter()
    if not 1 <= k <= 100_000:
        raise UsageError(f"{k} neighbours cannot be given.", mend="ask for 1 to 100,000")
    chosen = choose_fields(fields)
    index = service.index(by)
    compiled = compile_filter(filter_text)
    allowed = matching_ids(service, query_of(service, compiled)) if compiled.query else None
    note = staleness_note(service, by)
    if not (files and os.path.lexists(asked)) and asked in index:
        found = index.similar(asked, k, allowed_ids=allowed)
    else:
        found = index.similar(_embed(service, by, asked, files), k, allowed_ids=allowed)
    known = rows_by_id(service, [each.id for each in found], chosen)
    if fields == "all":
        kept = without_unknown_ions(list(known.values()), chosen)[1]
        chosen = [field for field in chosen if field in kept]
    unknown = dict.fromkeys(field.name for field in chosen)
    rows = [{**unknown, **known.get(each.id, {}), "id": each.id, "distance": each.distance} for each in found]
    columns = [choose_fields("id")[0], distance_field(by), *(field for field in chosen if field.name != "id")]
    ordered = [{field.name: row[field.name] for field in columns} for row in rows]
    return QueryResult(ordered, columns, None, len(rows) == k, time.perf_counter() - started, note)


def index_status(service: Service, name: str) -> IndexStatus:
    """Describe an index."""
    from indexes.registry import index_step

    step = index_step(name, service.settings)
    staleness = service.call(step.staleness)
    manifest = staleness.manifest
    state = staleness.state if staleness.fresh or not staleness.message else f"{staleness.state}: {staleness.message}"
    if manifest is None:
        return IndexStatus(name, 0, None, staleness.state)
    return IndexStatus(name, manifest.count, datetime.fromisoformat(manifest.created_at), state)


def vector_of(service: Service, by: str, asked: str, *, files: bool) -> tuple[NDArray[np.float32], str | None]:
    """Return the vector of an id, a formula or a file, and the id where it is one."""
    index = service.index(by)
    if not (files and os.path.lexists(asked)) and asked in index:
        return index.vector(asked), asked
    return _embed(service, by, asked, files), None


def staleness_note(service: Service, by: str) -> str | None:
    """Tell when the index has not seen the last build."""
    from indexes.registry import index_step

    staleness = service.call(index_step(by, service.settings).staleness)
    return None if staleness.fresh else staleness.message


def _embed(service: Service, by: str, asked: str, files: bool) -> NDArray[np.float32]:
    """Embed a formula or a file's structure on the fly, as the builder would embed a material of it."""
    a_file = files and os.path.lexists(asked)
    amounts = None if a_file else read_formula(asked)
    if amounts is None and not a_file and not (files and looks_like_a_path(asked)):
        raise _no_such_material(service, asked)
    from indexes.registry import index_step

    step = index_step(by, service.settings)
    manifest = service.index(by).manifest
    if manifest.model != step.identity:
        raise IndexError_(
            f"The index {by} was made with another model ({manifest.model}) than the one at hand ({step.identity}): what is not "
            "in it cannot be compared with it.",
            mend="ionatlas build",
        )
    vector: NDArray[np.float32] = _EMBED[by](asked, amounts)
    return vector


def _by_composition(asked: str, amounts: dict[str, float] | None) -> Any:
    from builders.embeddings.composition import embed
    from builders.structures.formulas import describe_composition

    given = _crystal(asked).amounts() if amounts is None else amounts
    return embed([describe_composition(given).composition])[0]


def _by_structure(asked: str, amounts: dict[str, float] | None) -> Any:
    if amounts is not None:
        raise UsageError(
            f"{asked} is a composition, and structures are compared by their arrangement.",
            mend=f"ionatlas similar {asked} --by learned finds structures that it could take",
        )
    from builders.embeddings.structure.fingerprint import fingerprint

    return fingerprint(_crystal(asked)).vector()


def _learned(asked: str, amounts: dict[str, float] | None) -> Any:
    from builders.embeddings.towers.model import load_towers

    if amounts is not None:
        from builders.embeddings.towers.composition import composition_of

        return load_towers().embed_compositions([composition_of(amounts)])[0]
    from builders.embeddings.towers.structure import structure_features

    return load_towers().embed_features([structure_features(_crystal(asked))])[0]


def _crystal(path: str) -> Crystal:
    from api.channels.source import read_source
    from builders.structures.validation import validate

    return validate(read_source(path)[1]).crystal


_EMBED: Final[dict[str, Callable[[str, dict[str, float] | None], Any]]] = {
    "composition": _by_composition,
    "structure": _by_structure,
    "learned": _learned,
    "learned_composition": _learned,
}
"""How what is not in an index is embedded."""


def _no_such_material(service: Service, asked: str) -> UsageError:
    """Tell an unknown id from a material that has no vector."""

    def known(database: Any) -> Any:
        return database["sources"].find_one({"_id": asked}, {"_id": 1})

    if service.call(known) is None:
        error = service.unknown_id(asked)
        return UnknownId(f"{error.message} Nor is it a formula.", mend=error.mend)
    return UsageError(
        f"The material {asked} is not in the index: it is not built, or could not be.", mend=f"ionatlas show {asked}"
    )
