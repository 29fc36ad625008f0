"""Readers of the JSON layouts: uniform, pymatgen, Materials Project, OPTIMADE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from store.errors import SourceError, UnknownElement
from store.ingest.common import (
    add_species,
    cell,
    keep_properties,
    load_object,
    matrix,
    mixed_crystal,
    ordered_crystal,
    reference_of,
    symbol_of,
)
from store.ingest.result import ReadResult

if TYPE_CHECKING:
    from store.crystal import Crystal, Occupancy

_MP_LICENCE: Final = "CC-BY-4.0"
_MP_REFERENCE: Final = "Jain et al., APL Materials 1, 011002 (2013), doi:10.1063/1.4812323"
_ENTRY_KEYS: Final = {"@module", "@class", "@version", "structure", "lattice", "sites", "charge", "properties", "data"}
_OPTIMADE_KEYS: Final = {
    "elements", "nelements", "elements_ratios", "chemical_formula_reduced", "chemical_formula_hill",
    "chemical_formula_anonymous", "dimension_types", "nperiodic_dimensions", "lattice_vectors", "species",
    "cartesian_site_positions", "nsites", "species_at_sites", "assemblies", "structure_features", "immutable_id",
    "space_group_symmetry_operations_xyz",
}  # fmt: skip
_OPTIMADE_NAMES: Final = {
    "_oqmd_delta_e": "formation_energy_per_atom",
    "_oqmd_stability": "energy_above_hull",
    "_oqmd_band_gap": "band_gap",
    "_alexandria_formation_energy_per_atom": "formation_energy_per_atom",
    "_alexandria_hull_distance": "energy_above_hull",
    "_alexandria_band_gap": "band_gap",
    "_mp_band_gap": "band_gap",
    "last_modified": "last_modified",
}
_MP_FUNCTIONALS: Final = ("gga_gga+u_r2scan", "r2scan", "gga_gga+u")


def read_uniform(content: bytes) -> ReadResult:
    """Read one line of the uniform layout: ``{"id", "formula", "structure": {...}, further properties}``.

    The structure has ``lattice``, ``species`` and ``frac_coords``, or ``lattice`` and ``sites`` with occupancies.

    Parameters
    ----------
    content : bytes
        The line.

    Raises
    ------
    SourceError, StructureError
        The line holds no structure, or an impossible one.

    Examples
    --------
    >>> line = b'{"id":"x","structure":{"lattice":[[3,0,0],[0,3,0],[0,0,3]],"species":["Po"],"frac_coords":[[0,0,0]]}}'
    >>> read_uniform(line).crystal.species
    ('Po',)
    """
    row = load_object(content)
    structure = row.get("structure")
    if structure is None:
        raise SourceError("The record has no structure: only its composition and properties are known.")
    if not isinstance(structure, dict):
        raise SourceError("The record's structure is no JSON object.")
    warnings: list[str] = []
    properties = keep_properties(row, ("id", "source", "structure", "formula", "licence", "license", "name"))
    if row.get("formula"):
        properties["formula_reported"] = str(row["formula"])
    if isinstance(row.get("icsd"), bool):
        properties["experimental"] = row["icsd"]
    name, licence = row.get("name"), row.get("licence") or row.get("license")
    return ReadResult(
        json_structure(structure, warnings),
        properties,
        name if isinstance(name, str) else None,
        licence if isinstance(licence, str) else None,
        reference_of(row.get("doi")),
        warnings,
    )


def json_structure(value: dict[str, Any], warnings: list[str]) -> Crystal:
    """Read a structure as JSON gives it: ``lattice`` with ``species`` and ``frac_coords``, or with ``sites``.

    Examples
    --------
    >>> cube = {"lattice": [[3, 0, 0], [0, 3, 0], [0, 0, 3]]}
    >>> json_structure(cube | {"sites": [{"species": {"Li": 0.5}, "abc": [0, 0, 0]}]}, []).species
    ('Li0.5',)
    """
    lattice = value.get("lattice")
    if isinstance(lattice, dict):
        lattice = lattice.get("matrix")
    if lattice is None:
        raise SourceError("The structure has no lattice: a molecule is no crystal.")
    if "sites" not in value:
        return ordered_crystal(lattice, value.get("species"), value.get("frac_coords"), warnings)
    sites = value["sites"]
    if not isinstance(sites, list) or not all(isinstance(site, dict) for site in sites):
        raise SourceError("The structure's sites must be a list of objects.")
    contents = [_site(site, warnings) for site in sites]
    if all("abc" in site or "frac_coords" in site for site in sites):
        coords: Any = [site.get("abc", site.get("frac_coords")) for site in sites]
    else:
        xyz = matrix([site.get("xyz") for site in sites] or [[0, 0, 0]], "positions")
        coords = xyz @ np.linalg.inv(cell(lattice))
    return mixed_crystal(lattice, contents, coords, warnings)


def _site(site: dict[str, Any], warnings: list[str]) -> Occupancy:
    species = site.get("species")
    content: Occupancy = {}
    if isinstance(species, dict):
        for symbol, amount in species.items():
            add_species(content, symbol_of(symbol, warnings), amount)
    elif isinstance(species, list):
        for part in species:
            if not isinstance(part, dict):
                raise SourceError("A site's species must be objects with an element and an occupancy.")
            add_species(content, symbol_of(part.get("element"), warnings), part.get("occu", 1))
    else:
        content[symbol_of(species if species is not None else site.get("label"), warnings)] = 1.0
    return content


def read_pymatgen(content: bytes) -> ReadResult:
    """Read a pymatgen ``Structure.as_dict()`` or an entry that holds one (``ComputedStructureEntry``).

    Examples
    --------
    >>> site = '{"species":[{"element":"Po","occu":1}],"abc":[0,0,0]}'
    >>> text = '{"lattice":{"matrix":[[3,0,0],[0,3,0],[0,0,3]]},"sites":[' + site + "]}"
    >>> read_pymatgen(text.encode()).crystal.species
    ('Po',)
    """
    value = load_object(content)
    warnings: list[str] = []
    inner = value.get("structure")
    crystal = json_structure(inner if isinstance(inner, dict) else value, warnings)
    given: dict[str, Any] = {}
    for part in (value.get("data"), value.get("properties"), (inner or {}).get("properties") if inner else None):
        given |= part if isinstance(part, dict) else {}
    given |= {key: item for key, item in value.items() if key not in _ENTRY_KEYS}
    return ReadResult(crystal, keep_properties(given), references=reference_of(given.get("doi")), warnings=warnings)


def read_materials_project(content: bytes) -> ReadResult:
    """Read one summary document of the Materials Project.

    Examples
    --------
    >>> import json
    >>> cube = {"lattice": {"matrix": [[3, 0, 0], [0, 3, 0], [0, 0, 3]]},
    ...         "sites": [{"species": [{"element": "Po", "occu": 1}], "abc": [0, 0, 0]}]}
    >>> text = json.dumps({"material_id": "mp-1", "structure": cube, "theoretical": False, "band_gap": 0.0})
    >>> read_materials_project(text.encode()).properties
    {'band_gap': 0.0, 'experimental': True}
    """
    value = load_object(content)
    structure = value.get("structure")
    if not isinstance(structure, dict):
        raise SourceError("The Materials Project document has no structure.")
    warnings: list[str] = []
    properties = keep_properties(
        value, ("structure", "material_id", "theoretical", "fields_not_requested", "builder_meta")
    )
    if isinstance(value.get("theoretical"), bool):
        properties["experimental"] = not value["theoretical"]
    created = value.get("created_at") or (value.get("builder_meta") or {}).get("build_date")
    if created:
        properties["created_at"] = str(created)
    if value.get("deprecated") is True:
        warnings.append("The Materials Project has deprecated this entry.")
    licence = (value.get("builder_meta") or {}).get("license") or _MP_LICENCE
    return ReadResult(json_structure(structure, warnings), properties, None, str(licence), [_MP_REFERENCE], warnings)


def read_optimade(content: bytes) -> ReadResult:
    """Read one structure resource of an OPTIMADE provider (specification 1.2, section "Structures entries").

    Examples
    --------
    >>> import json
    >>> attributes = {"lattice_vectors": [[3, 0, 0], [0, 3, 0], [0, 0, 3]], "cartesian_site_positions": [[0, 0, 0]],
    ...               "species_at_sites": ["Po"], "species": [{"name": "Po", "chemical_symbols": ["Po"],
    ...               "concentration": [1.0]}], "_x_colour": "red"}
    >>> read_optimade(json.dumps({"type": "structures", "id": "1", "attributes": attributes}).encode()).properties
    {'_x_colour': 'red'}
    """
    value = load_object(content)
    attributes = value.get("attributes")
    if not isinstance(attributes, dict):
        raise SourceError("The OPTIMADE resource has no attributes.")
    for key in ("lattice_vectors", "cartesian_site_positions", "species", "species_at_sites"):
        if not attributes.get(key):
            raise SourceError(f"The OPTIMADE resource has no {key}: the provider gives no full structure.")
    periodic = attributes.get("dimension_types")
    if isinstance(periodic, list) and periodic != [1, 1, 1]:
        raise SourceError(f"The structure is not periodic in three directions (dimension_types {periodic}).")
    warnings: list[str] = []
    contents = _optimade_sites(attributes, warnings)
    lattice = cell(attributes["lattice_vectors"])
    coords = matrix(attributes["cartesian_site_positions"], "positions") @ np.linalg.inv(lattice)
    if attributes.get("assemblies"):
        warnings.append("Correlated disorder (assemblies) was given; sites are kept as independent.")
    return ReadResult(
        mixed_crystal(lattice, contents, coords, warnings),
        _optimade_properties(attributes),
        None,
        attributes.get("license") if isinstance(attributes.get("license"), str) else None,
        _optimade_references(value),
        warnings,
    )


def _optimade_sites(attributes: dict[str, Any], warnings: list[str]) -> list[Occupancy]:
    kinds: dict[str, Occupancy] = {}
    for kind in attributes["species"]:
        symbols, amounts = kind.get("chemical_symbols"), kind.get("concentration")
        if not isinstance(symbols, list) or not isinstance(amounts, list) or len(symbols) != len(amounts):
            raise SourceError(f"The OPTIMADE species {kind.get('name')!r} lists no symbols with their concentrations.")
        content: Occupancy = {}
        for symbol, amount in zip(symbols, amounts, strict=True):
            if symbol == "vacancy":
                continue
            if symbol == "X":
                raise UnknownElement("The OPTIMADE species 'X' is no chemical element.")
            add_species(content, symbol_of(symbol, warnings), amount)
        kinds[str(kind.get("name"))] = content
    try:
        return [dict(kinds[name]) for name in attributes["species_at_sites"]]
    except (KeyError, TypeError) as error:
        raise SourceError(f"A site holds the species {error}, which is not described.") from None


def _optimade_properties(attributes: dict[str, Any]) -> dict[str, Any]:
    given = {_OPTIMADE_NAMES.get(key, key): item for key, item in attributes.items() if key not in _OPTIMADE_KEYS}
    stability = attributes.get("_mp_stability")
    if isinstance(stability, dict):
        for functional in _MP_FUNCTIONALS:
            part = stability.get(functional)
            if isinstance(part, dict):
                names = ("formation_energy_per_atom", "energy_above_hull")
                given |= {key: part[key] for key in names if isinstance(part.get(key), int | float)}
                break
    return keep_properties(given)


def _optimade_references(value: dict[str, Any]) -> list[str]:
    related = ((value.get("relationships") or {}).get("references") or {}).get("data") or []
    return [str(item["id"]) for item in related if isinstance(item, dict) and item.get("id")]
