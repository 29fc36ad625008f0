"""Names without an ion: ``migration_energy < 300 meV`` asks for materials in which some working ion has it.

Such a condition is true where it is for one ion, false where it is for none and the field of some ion is known, and unknown
where the field is known of no ion. ``migration_energy IS UNKNOWN`` asks for the last.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from api.conditions import NOTHING, Condition, known, unknown
from store.fields import FIELDS
from store.ion_fields import PATTERNS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pymongo.database import Database

    from api.conditions import Query
    from api.filters import CompiledFilter
    from api.service import Service
    from store.fields import Field


@lru_cache(maxsize=256)
def of_any_ion(name: str) -> tuple[Field, ...]:
    """Return the fields of all ions that a name without an ion stands for; none where it stands for nothing.

    Examples
    --------
    >>> [field.name for field in of_any_ion("migration_energy")][:3]
    ['li_migration_energy', 'na_migration_energy', 'k_migration_energy']
    """
    patterns = [pattern for pattern in PATTERNS if pattern.suffix == name]
    return tuple(FIELDS[f"{ion.lower()}_{name}"] for pattern in patterns for ion in pattern.ions)


def for_any(fields: Sequence[Field], rest: Callable[[Field], Condition]) -> Condition:
    """Put a condition to each ion's field.

    Examples
    --------
    >>> for_any(of_any_ion("conductivity"), known).yes
    {'$or': [{'$and': [{'working_ions': 'Li'}, {'li_conductivity': {'$ne': None}}]}]}
    """
    somewhere = _any([(field, known(field)) for field in fields])
    if rest is known or rest is unknown:
        there = Condition(somewhere, {"$nor": [somewhere]})
        return there if rest is known else there.inverse()
    yes = _any([(field, rest(field)) for field in fields])
    return Condition(yes, {"$and": [somewhere, {"$nor": [yes]}]})


def _any(conditions: Sequence[tuple[Field, Condition]]) -> Query:
    # The ion stands beside its condition so that `query_of` can tell which parts to leave out.
    return {"$or": [{"$and": [{"working_ions": field.ion}, condition.yes]} for field, condition in conditions]}


def query_of(service: Service, compiled: CompiledFilter) -> Query:
    """Return the query of a filter, without the parts about ions that no material of the store was analysed for.

    MongoDB goes through the whole of a document for a field that is not there, and would do so once an ion.
    """
    if not compiled.any_ion:
        return compiled.query
    held = service.kept.answer(
        service,
        "working_ions",
        lambda: frozenset(service.call(_ions_held)),
    )
    pruned: Query = _pruned(compiled.query, held)
    return pruned


def _ions_held(database: Database[dict[str, Any]]) -> list[str]:
    from api.finding import milliseconds

    held: list[str] = database["candidates"].distinct("working_ions", maxTimeMS=milliseconds())
    return held


def _pruned(query: Any, held: frozenset[str]) -> Any:
    if isinstance(query, list):
        return [_pruned(each, held) for each in query]
    if not isinstance(query, dict):
        return query
    if list(query) == ["$or"]:
        kept = [_pruned(each, held) for each in query["$or"] if _ion_of(each) is None or _ion_of(each) in held]
        return {"$or": kept} if kept else NOTHING
    return {name: _pruned(value, held) for name, value in query.items()}


def _ion_of(query: Query) -> str | None:
    """The ion that a part made by :func:`for_any` is about."""
    first = (query.get("$and") or [{}])[0]
    ion = first.get("working_ions") if isinstance(first, dict) else None
    return ion if isinstance(ion, str) else None


def held_somewhere(rows: Sequence[dict[str, object]], fields: Sequence[Field], optional: frozenset[str]) -> list[Field]:
    """Leave out those of the optional columns that have no value in any row."""
    return [
        field for field in fields if field.name not in optional or any(row.get(field.name) is not None for row in rows)
    ]
