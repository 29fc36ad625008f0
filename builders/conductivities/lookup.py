"""Compositions of conductivity records, and what has the same: structures of the store, other records.

Two compositions are the same where no atomic fraction differs by more than :data:`SAME`: formulas are rounded to two decimals or
three, and a dopant that is there or not differs by more.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from builders.channels.pairs import amounts_of
from store.compositions import difference, fractions
from store.ingest.kinds import CONDUCTIVITY_FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pymongo.database import Database

    from builders.engine.inputs import StampTables

SAME: Final = 5e-4
"""Largest difference of an atomic fraction within one composition: 0.01 atoms of 20."""

_MOST_KNOWN: Final = 200_000


class Compound(NamedTuple):
    """What a record is looked up by: the ion that conducts, and atomic fractions in the order of the symbols."""

    ion: str
    symbols: tuple[str, ...]
    shares: tuple[float, ...]

    def holds(self, other: Mapping[str, float]) -> bool:
        """Whether this is the composition of some amounts of the same elements."""
        return difference(dict(zip(self.symbols, self.shares, strict=True)), other) <= SAME


_known: dict[str, Compound | None] = {}


def compound_of(hash_: str, format_: str, content: bytes) -> Compound | None:
    """Tell by what a record is looked up; None for one that cannot be read.

    Parameters
    ----------
    hash_ : str
        Of the record: the answer is remembered by it.
    format_ : str
        One of :data:`store.ingest.kinds.CONDUCTIVITY_FORMATS`.
    content : bytes
    """
    if hash_ not in _known:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[hash_] = _read(format_, content)
    return _known[hash_]


def _read(format_: str, content: bytes) -> Compound | None:
    from store.errors import IonatlasError
    from store.ingest.readers import read_conductivity

    try:
        record = read_conductivity(format_, content)
    except IonatlasError:
        return None
    return compound(record.working_ion, record.composition)


def compound(ion: str, composition: Mapping[str, float]) -> Compound:
    """Make the key of a composition.

    Examples
    --------
    >>> compound("Li", {"N": 1.0, "Li": 3.0})
    Compound(ion='Li', symbols=('Li', 'N'), shares=(0.75, 0.25))
    """
    shares = sorted(fractions(composition).items())
    return Compound(ion, tuple(symbol for symbol, _ in shares), tuple(share for _, share in shares))


def compounds(tables: StampTables) -> dict[str, Compound]:
    """Compounds of all readable records, by id."""
    found = {row["_id"]: compound_of(row["hash"], row["format"], row["content"]) for row in _rows(tables)}
    return {key: each for key, each in found.items() if each is not None}


def _rows(tables: StampTables) -> list[dict[str, Any]]:
    query = {"format": {"$in": list(CONDUCTIVITY_FORMATS)}}
    return tables.rows("sources", "conductivities", query, {"content": 1, "format": 1, "hash": 1})


def find_compounds(database: Database[Any], keys: Iterable[str] | None = None) -> dict[str, Compound]:
    """Compounds of some records, or of all, read from the database; the bytes only of those not met before."""
    query = {"format": {"$in": list(CONDUCTIVITY_FORMATS)}} | ({} if keys is None else {"_id": {"$in": list(keys)}})
    rows = list(database["sources"].find(query, {"format": 1, "hash": 1}))
    new = [row["_id"] for row in rows if row["hash"] not in _known]
    for row in database["sources"].find({"_id": {"$in": new}}, {"content": 1, "format": 1, "hash": 1}):
        compound_of(row["hash"], row["format"], row["content"])
    found = {row["_id"]: _known.get(row["hash"]) for row in rows}
    return {key: each for key, each in found.items() if each is not None}


def members_of(rows: Iterable[tuple[str, str]], wanted: Iterable[Compound]) -> dict[Compound, list[str]]:
    """Sort structures into compositions.

    Parameters
    ----------
    rows : iterable of tuple
        Identifier and reduced formula of each structure.
    wanted : iterable of Compound

    Returns
    -------
    dict
        Identifiers, ascending; compositions without any are left out.

    Examples
    --------
    >>> nitride = compound("Li", {"Li": 3.0, "N": 1.0})
    >>> members_of([("b", "Li3N"), ("a", "Li6N2"), ("c", "LiN")], [nitride])[nitride]
    ['a', 'b']
    """
    by_symbols: dict[tuple[str, ...], list[Compound]] = {}
    for each in set(wanted):
        by_symbols.setdefault(each.symbols, []).append(each)
    by_formula: dict[str, list[Compound]] = {}
    found: dict[Compound, list[str]] = {}
    for key, formula in rows:
        matching = by_formula.get(formula)
        if matching is None:
            there = by_symbols.get(symbols_of(formula), ())
            matching = by_formula[formula] = [each for each in there if each.holds(amounts_of(formula))]
        for each in matching:
            found.setdefault(each, []).append(key)
    return {each: sorted(keys) for each, keys in found.items()}


@lru_cache(maxsize=262144)
def symbols_of(formula: str) -> tuple[str, ...]:
    """Elements of a reduced formula, in alphabetical order.

    Examples
    --------
    >>> symbols_of("FeLiO4P")
    ('Fe', 'Li', 'O', 'P')
    """
    return tuple(sorted(amounts_of(formula)))


def repeats(records: Mapping[str, Compound]) -> dict[str, list[str]]:
    """Other records of each record's composition and ion, ascending.

    Examples
    --------
    >>> one, other = compound("Li", {"Li": 1.0, "F": 1.0}), compound("Li", {"Li": 2.0, "F": 2.0})
    >>> repeats({"a": one, "b": other, "c": compound("Li", {"Li": 3.0, "F": 2.0})})
    {'a': ['b'], 'b': ['a'], 'c': []}
    """
    by_elements: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for key, each in records.items():
        by_elements.setdefault((each.ion, each.symbols), []).append(key)
    found: dict[str, list[str]] = {}
    for group in by_elements.values():
        for key in group:
            mine = records[key].shares
            found[key] = sorted(
                other
                for other in group
                if other != key
                and all(abs(one - two) <= SAME for one, two in zip(mine, records[other].shares, strict=True))
            )
    return found
