"""What the readers share: checked crystals, kept properties, decoded text."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from store.crystal import Crystal
from store.errors import InvalidCoordinates, InvalidLattice, SourceError, UnknownElement
from store.ingest.labels import SYMBOLS, element_of_symbol
from store.ingest.orbits import check_occupancy
from store.ingest.sniff import UTF8_MARK, UTF16_MARKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from store.crystal import Occupancy

KNOWN: Final = {
    "e_above_hull": "energy_above_hull",
    "ehull": "energy_above_hull",
    "hull_distance": "energy_above_hull",
    "formation_energy": "formation_energy_per_atom",
    "e_form_per_atom": "formation_energy_per_atom",
    "bandgap": "band_gap",
    "bandgap_pbe": "band_gap",
}
"""Other names of properties that are known here under one."""

_LONGEST: Final = 4000
_DEEPEST: Final = 6


def load_object(content: bytes) -> dict[str, Any]:
    """Parse a JSON object; NaN and Infinity, which Python writes and JSON does not know, are understood.

    Raises
    ------
    SourceError
        The bytes are no JSON object.

    Examples
    --------
    >>> load_object(b'{"a": 1}')
    {'a': 1}
    """
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        try:
            value = json.loads(content.removeprefix(UTF8_MARK))
        except (ValueError, RecursionError):
            raise SourceError(f"The record is no JSON: {error}.") from None
    if not isinstance(value, dict):
        raise SourceError(f"The record is a JSON {type(value).__name__}, where an object was expected.")
    return value


def decode(content: bytes, warnings: list[str]) -> str:
    """Decode text: by its byte order mark, else UTF-8, else Latin-1 with a warning.

    Examples
    --------
    >>> notes = []
    >>> decode("Å".encode("latin-1"), notes), len(notes)
    ('Å', 1)
    """
    if content.startswith(UTF16_MARKS):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError as error:
            raise SourceError(f"The text begins as UTF-16 and is none: {error}.") from error
    try:
        return content.removeprefix(UTF8_MARK).decode("utf-8")
    except UnicodeDecodeError:
        warnings.append("The text is not UTF-8; it was read as Latin-1.")
        return content.decode("latin-1")


def matrix(value: Any, what: str, columns: int = 3) -> NDArray[np.float64]:
    """Read nested lists of numbers into an array, shape=(n, columns).

    Raises
    ------
    InvalidCoordinates
        Not numbers, not finite, or of another shape.

    Examples
    --------
    >>> matrix([[0, 0.5, 0]], "coordinates").shape
    (1, 3)
    """
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidCoordinates(f"The {what} must be rows of {columns} numbers: {str(error)[:200]}.") from None
    if array.ndim != 2 or array.shape[1] != columns:
        raise InvalidCoordinates(f"The {what} must be rows of {columns} numbers. Their shape was {array.shape}.")
    if not np.isfinite(array).all():
        row = int(np.argmin(np.isfinite(array).all(axis=1)))
        raise InvalidCoordinates(f"The {what} must be finite numbers. Row {row + 1} is {array[row].tolist()}.")
    return array


def cell(value: Any) -> NDArray[np.float64]:
    """Read cell vectors, shape (3, 3), rows in Å.

    Raises
    ------
    InvalidLattice
        Not three finite vectors, or a volume of zero.

    Examples
    --------
    >>> cell([[3, 0, 0], [0, 3, 0], [0, 0, 3]]).shape
    (3, 3)
    """
    try:
        lattice = matrix(value, "cell vectors")
    except InvalidCoordinates as error:
        raise InvalidLattice(error.message) from None
    if lattice.shape != (3, 3):
        raise InvalidLattice(f"A cell has three vectors. There were {len(lattice)}.")
    if abs(np.linalg.det(lattice)) < 1e-6:
        raise InvalidLattice("The cell has no volume: its vectors lie in one plane or are zero.")
    return lattice


def ordered_crystal(lattice: Any, species: Any, coords: Any, notes: list[str]) -> Crystal:
    """Make a crystal of one full atom a site.

    Parameters
    ----------
    lattice, coords : nested lists
        Cell vectors in Å, fractional coordinates.
    species : list of str
        Element symbols; "Li+" and "D" are understood.
    notes : list of str
        What was assumed is appended here.

    Raises
    ------
    StructureError
        What is given is no crystal.

    Examples
    --------
    >>> ordered_crystal([[3, 0, 0], [0, 3, 0], [0, 0, 3]], ["Po"], [[0, 0, 0]], []).n_sites
    1
    """
    box = cell(lattice)
    if not isinstance(species, list | tuple) or not species:
        raise SourceError("The structure has no atoms.")
    places = matrix(coords, "coordinates")
    _same_length(len(species), len(places))
    symbols = tuple(species)
    try:
        known = SYMBOLS.issuperset(symbols)
    except TypeError:
        raise UnknownElement("Species must be element symbols, given as text.") from None
    if not known:
        symbols = tuple(symbol_of(symbol, notes) for symbol in symbols)
    return Crystal(box, places, symbols)


def mixed_crystal(lattice: Any, sites: Sequence[Occupancy], coords: Any, notes: list[str]) -> Crystal:
    """Make a crystal whose sites hold several species, or some.

    Examples
    --------
    >>> mixed_crystal([[3, 0, 0], [0, 3, 0], [0, 0, 3]], [{"Li": 0.5}], [[0, 0, 0]], []).species
    ('Li0.5',)
    """
    if not sites:
        raise SourceError("The structure has no atoms.")
    places = matrix(coords, "coordinates")
    _same_length(len(sites), len(places))
    return Crystal.from_sites(cell(lattice), [check_occupancy(site, notes) for site in sites], places)


def _same_length(species: int, places: int) -> None:
    if species != places:
        raise InvalidCoordinates(f"There are {species} species and {places} positions.")


def symbol_of(value: Any, notes: list[str]) -> str:
    """Read an element symbol as people write it ("Fe3+", "D").

    Raises
    ------
    UnknownElement
        It names no element.
    """
    if not isinstance(value, str):
        raise UnknownElement(f"{value!r} is no chemical element.")
    if value in SYMBOLS:
        return value
    found = element_of_symbol(value)
    if found.note and found.note not in notes:
        notes.append(found.note)
    return found.symbol


def add_species(site: Occupancy, symbol: str, amount: Any) -> None:
    """Add an amount of a species to a site; the same element in two charge states is one.

    Raises
    ------
    SourceError
        The amount is no number.
    """
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        raise SourceError(f"The occupancy of {symbol} is {amount!r}, not a number.")
    site[symbol] = site.get(symbol, 0.0) + float(amount)


def keep_properties(given: Mapping[str, Any], without: Iterable[str] = ()) -> dict[str, Any]:
    """Keep what came along: known names are unified, nothing that MongoDB cannot hold passes, nothing huge.

    Parameters
    ----------
    given : mapping
        Names and values.
    without : iterable of str
        Names that are dealt with elsewhere.

    Examples
    --------
    >>> keep_properties({"e_above_hull": 0.1, "x": None, "nan": float("nan"), "a.b": 1})
    {'energy_above_hull': 0.1, 'a_b': 1}
    """
    left_out = frozenset(without)
    kept: dict[str, Any] = {}
    for name, value in given.items():
        if name in left_out or value is None:
            continue
        plain = _plain(value, 0)
        if plain is None or (isinstance(plain, str | list | dict) and _too_long(plain)):
            continue
        known = KNOWN.get(name, name)
        kept.setdefault(_key(known), plain)
    return kept


def _too_long(value: Any) -> bool:
    return len(value if isinstance(value, str) else repr(value)) > _LONGEST


def _key(name: Any) -> str:
    return str(name).replace(".", "_").replace("\x00", "").lstrip("$") or "_"


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else float(str(value)[:300]) if abs(value) < 10**300 else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth >= _DEEPEST:
        return None
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value[: _LONGEST // 2]]
    if isinstance(value, dict):
        return {_key(name): _plain(item, depth + 1) for name, item in value.items()}
    return None


def reference_of(value: Any) -> list[str]:
    """Write a DOI, or several, as references.

    Examples
    --------
    >>> reference_of("https://doi.org/10.1021/ic030208w")
    ['doi:10.1021/ic030208w']
    """
    if isinstance(value, list):
        return [reference for item in value for reference in reference_of(item)]
    if not isinstance(value, str) or not value.strip():
        return []
    text = value.strip().removeprefix("https://").removeprefix("http://").removeprefix("dx.").removeprefix("doi.org/")
    return [f"doi:{text}" if text.startswith("10.") else value.strip()]
