"""A material as an OPTIMADE structure: attributes from ``candidates``, the cell from the record as it was given.

``nsites`` and the formula of a material are those of its record, so the record's own cell is served, brought into the form
in which it was analysed (right-handed, coordinates in the cell, deuterium as hydrogen). A site that is shared or partly
empty has a species of its own with several symbols, ``vacancy`` among them where something is missing.
"""

from __future__ import annotations

import re
from datetime import UTC
from typing import TYPE_CHECKING, Any

from api.optimade.names import CELL, REQUIRED, properties
from api.optimade.structure_filter import features, ratios

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from pymongo.database import Database

    from store.crystal import Crystal

Document = dict[str, Any]


def resource(document: Mapping[str, Any], names: Sequence[str], crystal: Crystal | None = None) -> Document:
    """Write one structure resource.

    Parameters
    ----------
    document : mapping
        Of ``candidates``, with what the properties need.
    names : sequence of str
        Properties to tell.
    crystal : store.crystal.Crystal, optional
        Its cell; without it the properties of the cell are unknown.

    Returns
    -------
    dict
        ``type``, ``id`` and ``attributes``.
    """
    cell = describe_cell(crystal) if crystal is not None else {}
    if cell and "implicit_atoms" in features(document):
        # The specification wants a species that no site has wherever it wants the word.
        cell["species"].append(_species("implicit-H", {"H": 1.0}))
    attributes = {name: _value(name, document, cell) for name in names if name not in REQUIRED}
    return {"type": "structures", "id": document["_id"], "attributes": attributes}


def _value(name: str, document: Mapping[str, Any], cell: Mapping[str, Any]) -> Any:
    if name in CELL:
        return cell.get(name)
    found = properties().get(name)
    if found is None:  # of another provider
        return None
    if found.source == "constant":
        return found.value
    if name == "last_modified":
        return timestamp((document.get("stamp") or {}).get("made_at"))
    if name == "elements_ratios":
        return ratios(document["chemical_formula_reduced"])
    if name == "structure_features":
        return features(document)
    return document.get(found.column or "")


def timestamp(moment: datetime | None) -> str | None:
    """Write a moment as RFC 3339 in whole seconds, UTC.

    Examples
    --------
    >>> from datetime import datetime, timezone
    >>> timestamp(datetime(2026, 5, 31, 12, 0, 0, 999000, timezone.utc))
    '2026-05-31T12:00:00Z'
    """
    if moment is None:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def describe_cell(crystal: Crystal) -> Document:
    """Write the cell of a crystal: Å, Cartesian positions, one species for each kind of site.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> half = Crystal.from_sites([[3, 0, 0], [0, 3, 0], [0, 0, 3]], [{"Li": 0.5}], [[0.5, 0, 0]])
    >>> described = describe_cell(half)
    >>> described["species"], described["cartesian_site_positions"]
    ([{'name': 'Li0.5', 'chemical_symbols': ['Li', 'vacancy'], 'concentration': [0.5, 0.5]}], [[1.5, 0.0, 0.0]])
    """
    occupancies = crystal.occupancies or tuple({symbol: 1.0} for symbol in crystal.species)
    kinds: dict[tuple[tuple[str, float], ...], str] = {}
    at_sites = []
    for label, site in zip(crystal.species, occupancies, strict=True):
        kind = tuple(sorted(site.items()))
        if kind not in kinds:
            # Labels are rounded: two kinds of sites may share one.
            taken = set(kinds.values())
            kinds[kind] = next(name for name in _names(label) if name not in taken)
        at_sites.append(kinds[kind])
    return {
        "lattice_vectors": crystal.lattice.tolist(),
        "cartesian_site_positions": (crystal.frac_coords @ crystal.lattice).tolist(),
        "species": [_species(name, dict(kind)) for kind, name in kinds.items()],
        "species_at_sites": at_sites,
    }


def _names(label: str) -> Iterable[str]:
    yield label
    number = 2
    while True:
        yield f"{label}-{number}"
        number += 1


def _species(name: str, site: dict[str, float]) -> Document:
    empty = 1.0 - sum(site.values())
    if empty > 1e-8:
        site = {**site, "vacancy": empty}
    return {"name": name, "chemical_symbols": list(site), "concentration": list(site.values())}


def read_crystals(database: Database[dict[str, Any]], sites: Mapping[str, int]) -> dict[str, Crystal]:
    """Read the cells of some materials from their records.

    Parameters
    ----------
    database : pymongo.database.Database
    sites : mapping of str to int
        Ids, with the number of sites that ``candidates`` tells.

    Returns
    -------
    dict
        Crystals by id; a record that was changed since, or is gone, is left out.
    """
    from builders.structures.validation import validate
    from store.errors import IonatlasError
    from store.ingest.readers import read_record

    found: dict[str, Crystal] = {}
    for source in database["sources"].find({"_id": {"$in": list(sites)}}, {"format": 1, "content": 1}):
        try:
            crystal = validate(read_record(source["format"], source["content"]).crystal).crystal
        except IonatlasError:
            continue
        if crystal.n_sites == sites[source["_id"]]:
            found[source["_id"]] = crystal
    return found


def licence_link(licence: str | None) -> str | None:
    """Find the address of a licence: itself, or of its SPDX identifier.

    Examples
    --------
    >>> licence_link("CC-BY-4.0"), licence_link("ask the authors") is None
    ('https://spdx.org/licenses/CC-BY-4.0', True)
    """
    if licence is None:
        return None
    if re.match(r"https?://\S+$", licence):
        return licence
    return f"https://spdx.org/licenses/{licence}" if spdx(licence) else None


def spdx(licence: str | None) -> bool:
    """Whether a licence is named by an SPDX identifier of those that data are under."""
    return licence is not None and bool(
        re.fullmatch(
            r"(CC0-1\.0|CC-(BY|BY-SA|BY-NC|BY-NC-SA|BY-ND|BY-NC-ND)-[1-4]\.0|CC-PDDC|MIT|Apache-2\.0)", licence
        )
        or re.fullmatch(
            r"(BSD-[123]-Clause|ODbL-1\.0|ODC-By-1\.0|PDDL-1\.0|OGL-UK-3\.0|CDLA-(Permissive|Sharing)-\d\.\d)", licence
        )
    )
