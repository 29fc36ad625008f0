"""Hops in documents of the Materials Project (emmet's ``NebResult``, ``NebPathwayResult`` and ``MigrationGraphDoc``).

A document of several hops is taken apart: each record holds its hop as given, with the head of the document, so that it
can be read on its own. A migration graph gives places, not barriers: its "cost" may be a distance, a barrier, or nothing
at all, and the document does not say which, so it is kept among the properties only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from store.errors import SourceError
from store.hops import FORWARD, HopRecord, checked, finite, shortest_image
from store.ingest.common import keep_properties, load_object, symbol_of
from store.ingest.hop_json import place, text
from store.ingest.hop_paths import path_of
from store.ingest.json_records import canonical
from store.ingest.read_json import json_structure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from store.crystal import Crystal

_LONGEST_ID: Final = 300
_METHODS: Final = {"standard": "DFT-NEB", "climbing_image": "DFT-CI-NEB", "approx_neb": "ApproxNEB"}
_HEAD: Final = (
    "identifier",
    "battery_id",
    "material_id",
    "task_id",
    "active_species",
    "tags",
    "host_formula_reduced",
    "host_chemsys",
)
_GRAPH_HEAD: Final = (
    "battery_id",
    "material_id",
    "hop_cutoff",
    "warnings",
    "deprecated",
    "last_updated",
    "builder_meta",
)
_NEB_TAKEN: Final = frozenset({
    "images", "initial_images", "energies", "image_indices", "barrier_analysis", "calculations", "objects", "directories",
    "forward_barrier", "neb_method", "@module", "@class", "@version",
})  # fmt: skip


def neb_records(value: dict[str, Any]) -> Iterator[tuple[str, str | None, bytes]]:
    """Take a pathway, or a single NEB result, apart.

    Yields
    ------
    tuple
        Key of the hop in the document, id of its record where the document gives one, content of its record.

    Examples
    --------
    >>> [(key, name) for key, name, _ in neb_records({"identifier": "x", "hops": {"0+1": {}, "1+2": {}}})]
    [('0+1', 'x_hop_0+1'), ('1+2', 'x_hop_1+2')]
    """
    head = {key: value[key] for key in _HEAD if value.get(key) is not None}
    hops = value.get("hops")
    if not isinstance(hops, dict):
        yield "", _name(value, None), canonical({"hop": value, "key": None, "head": head})
        return
    for key, hop in hops.items():
        yield key, _name(value, key), canonical({"hop": hop, "key": key, "head": head})


def read_neb(content: bytes) -> HopRecord:
    """Read one hop of an NEB result: ``{"hop": NebResult, "key": its name, "head": what else the document says}``.

    The barrier is ``forward_barrier`` (emmet: maximum of a spline through the energies, minus that of the first image), or
    the highest energy minus the first where only energies are given; a calculation that failed has none.

    Parameters
    ----------
    content : bytes
        As :func:`neb_records` writes it.

    Raises
    ------
    SourceError, StructureError
        No two images; images that do not belong together; an impossible cell.
    """
    bundle = load_object(content)
    hop, head = bundle.get("hop"), bundle.get("head")
    head = head if isinstance(head, dict) else {}
    if not isinstance(hop, dict):
        raise SourceError("The NEB result is no JSON object.")
    warnings: list[str] = []
    images, relaxed = _images(hop, warnings)
    given = text(head, "active_species") or text(hop, "active_species")
    ion = symbol_of(given, warnings) if given else None
    path = path_of(images, warnings, ion)
    failed = _word(hop.get("state")) in {"failed", "error"}
    energies = _energies(hop, len(images) if relaxed else None, warnings)
    barrier = None if failed else _barrier(hop, energies, warnings)
    others = path.ion in path.host.species
    properties = keep_properties(hop, _NEB_TAKEN) | keep_properties(head)
    for key, kept in (("reverse_barrier", "reverse_barrier_eV"), ("forward_barrier", "forward_barrier_eV")):
        properties.pop(key, None)
        if isinstance(hop.get(key), float | int):
            properties[kept] = float(hop[key])
    return checked(
        HopRecord(
            working_ion=path.ion,
            host=path.host,
            start=path.places[0],
            end=path.places[-1],
            id=_name(head, bundle.get("key")),
            images=path.places,
            images_kind="relaxed" if relaxed else "initial guess",
            energies=energies,
            barrier=barrier,
            barrier_definition=None if barrier is None else FORWARD,
            method=_METHODS.get(_word(hop.get("neb_method")), "DFT-NEB"),
            functional=_functional(hop),
            limit="vacancy or intermediate" if others else "dilute",
            framework_formula=None if others else text(head, "host_formula_reduced"),
            properties=properties,
            warnings=warnings,
            flags=["neb_failed"] if failed else [],
        )
    )


def _word(value: Any) -> str:
    """Value of an enumeration, which monty writes as an object."""
    return str(value.get("value") if isinstance(value, dict) else value or "").casefold()


def _name(head: dict[str, Any], key: Any) -> str | None:
    base = text(head, "identifier", "battery_id", "material_id", "task_id")
    name = f"{base}_hop_{key}" if base and isinstance(key, str) else base
    return name if name is not None and len(name) <= _LONGEST_ID else None


def _images(hop: dict[str, Any], warnings: list[str]) -> tuple[list[Crystal], bool]:
    for key in ("images", "initial_images"):
        images = hop.get(key)
        if isinstance(images, list) and len(images) >= 2 and all(isinstance(image, dict) for image in images):
            if key == "initial_images":
                warnings.append("The relaxed images are missing; the path is the one before the calculation.")
            return [json_structure(image, warnings) for image in images], key == "images"
    raise SourceError("The NEB result has no two images.")


def _energies(hop: dict[str, Any], expected: int | None, warnings: list[str]) -> NDArray[np.float64] | None:
    values = hop.get("energies")
    if not isinstance(values, list) or expected is None:
        return None
    if len(values) != expected or any(value is None for value in values):
        warnings.append(f"The energies ({len(values)}, some may be missing) do not fit the {expected} images.")
        return None
    return np.array([finite(value, "energy of an image") for value in values])


def _barrier(hop: dict[str, Any], energies: NDArray[np.float64] | None, warnings: list[str]) -> float | None:
    analysis = hop.get("barrier_analysis")
    for part in (hop, analysis if isinstance(analysis, dict) else {}):
        if part.get("forward_barrier") is not None:
            return finite(part["forward_barrier"], "forward_barrier")
    if energies is None:
        return None
    warnings.append(
        "The barrier is the highest energy of the images minus that of the first; no forward_barrier is given."
    )
    return float(energies.max() - energies[0])


def _functional(hop: dict[str, Any]) -> str | None:
    calculations = hop.get("calculations")
    runs = (
        [run.get("run_type") for run in calculations if isinstance(run, dict)] if isinstance(calculations, list) else []
    )
    named = list(dict.fromkeys(str(run) for run in runs if run))
    return named[0] if len(named) == 1 else None


def graph_records(value: dict[str, Any]) -> Iterator[tuple[str, str | None, bytes]]:
    """Take a migration graph apart: one record for each symmetrically distinct hop.

    The hops are the edges of the graph, whose ends are unwrapped; where it has no edges, the pairs of places in the
    supercell (``insert_coords_combo``), the nearer image of each.

    Yields
    ------
    tuple
        As :func:`neb_records`.

    Raises
    ------
    SourceError
        The document has no hop in either way.
    """
    head = {key: value[key] for key in _GRAPH_HEAD if value.get(key) is not None}
    found = list(_of_edges(value)) or list(_of_supercell(value))
    if not found:
        what = " It is marked as deprecated." if value.get("deprecated") is True else ""
        raise SourceError(f"The migration graph has no hops: no edges and no insert_coords_combo.{what}")
    for key, hop in found:
        yield key, _name(value, key), canonical({"hop": hop, "key": key, "head": head})


def _of_edges(value: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    graph = next((value[key] for key in ("migration_graph_w_cost", "migration_graph") if value.get(key)), None)
    if not isinstance(graph, dict):
        return
    inner = graph.get("m_graph")
    if not isinstance(inner, dict) or not isinstance(inner.get("graphs"), dict):
        return
    adjacency = inner["graphs"].get("adjacency")
    sites = inner.get("structure")
    seen: set[Any] = set()
    for first, edges in enumerate(adjacency if isinstance(adjacency, list) else []):
        for number, edge in enumerate(edges if isinstance(edges, list) else []):
            if not isinstance(edge, dict):
                continue
            label = edge.get("hop_label", f"{first}.{number}")
            if str(label) in seen:
                continue
            seen.add(str(label))
            plain = {key: edge[key] for key in edge if key != "hop"}  # a MigrationHop repeats the whole structure
            yield str(label), {"edge": {"from": first, **plain}, "structure": graph.get("structure"), "sites": sites}


def _of_supercell(value: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    places, pairs, host = (
        value.get(key) for key in ("inserted_ion_coords", "insert_coords_combo", "matrix_supercell_structure")
    )
    if not isinstance(places, list) or not isinstance(pairs, list) or not isinstance(host, dict):
        return
    ion = value.get("working_ion_entry")
    for pair in pairs:
        ends = str(pair).split("+")
        if len(ends) != 2 or not all(end.isdecimal() and int(end) < len(places) for end in ends):
            continue
        start, end = (places[int(number)] for number in ends)
        yield str(pair), {"start": start, "end": end, "host": host, "working_ion": _ion_of(ion)}


def _ion_of(entry: Any) -> str | None:
    composition = entry.get("composition") if isinstance(entry, dict) else None
    return next(iter(composition), None) if isinstance(composition, dict) else None


def read_migration_graph(content: bytes) -> HopRecord:
    """Read one hop of a migration graph; it has no barrier.

    Parameters
    ----------
    content : bytes
        As :func:`graph_records` writes it.

    Raises
    ------
    SourceError, StructureError
        The hop lacks places or host; an impossible cell.
    """
    bundle = load_object(content)
    hop, head = bundle.get("hop"), bundle.get("head")
    head = head if isinstance(head, dict) else {}
    if not isinstance(hop, dict):
        raise SourceError("The hop of the migration graph is no JSON object.")
    warnings: list[str] = [str(warning) for warning in head.get("warnings") or [] if isinstance(warning, str)]
    ion, host, start, end, given = _edge(hop, warnings) if "edge" in hop else _pair(hop, warnings)
    return checked(
        HopRecord(
            working_ion=ion,
            host=host,
            start=start,
            end=end,
            id=_name(head, bundle.get("key")),
            limit="dilute" if ion not in host.species else "intermediate",
            properties=keep_properties(given) | keep_properties(head, ("warnings", "builder_meta")),
            warnings=warnings,
            flags=["deprecated"] if head.get("deprecated") is True else [],
        )
    )


Parts = tuple[str, "Crystal", "NDArray[np.float64]", "NDArray[np.float64]", dict[str, Any]]


def _edge(hop: dict[str, Any], warnings: list[str]) -> Parts:
    edge, structure, sites = hop.get("edge"), hop.get("structure"), hop.get("sites")
    if not isinstance(edge, dict) or not isinstance(structure, dict) or not isinstance(sites, dict):
        raise SourceError("The edge of the migration graph lacks its structure or its sites.")
    ions = json_structure(sites, warnings)
    if len(set(ions.species)) != 1 or not ions.is_ordered:
        raise SourceError(f"The sites of the migration graph hold {', '.join(sorted(set(ions.species)))}, not one ion.")
    places = (_array(edge.get("ipos")), _array(edge.get("epos")))
    if places[0] is None or places[1] is None:
        start, end = _node(ions, edge.get("from")), _node(ions, edge.get("id"))
        end = end + place(_array(edge.get("to_jimage")) or [0, 0, 0], "to_jimage")
    else:
        start, end = place(places[0], "ipos"), place(places[1], "epos")
    given = {f"graph_{key}": edge[key] for key in ("hop_label", "hop_distance", "cost", "hop_key") if key in edge}
    return ions.species[0], _host(json_structure(structure, warnings), ions), start, end, given


def _node(ions: Crystal, number: Any) -> NDArray[np.float64]:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < ions.n_sites:
        raise SourceError(f"An edge of the migration graph leads to the site {number!r}, which is not there.")
    where: NDArray[np.float64] = ions.frac_coords[number]
    return where


def _array(value: Any) -> Any:
    return value.get("data") if isinstance(value, dict) else value


def _host(structure: Crystal, ions: Crystal) -> Crystal:
    """Take all sites of the moving ion out (pymatgen: those within 0.05 Å of one)."""
    from store.crystal import Crystal

    steps = structure.frac_coords[:, None] - ions.frac_coords[None]
    far = np.linalg.norm((steps - np.round(steps)) @ structure.lattice, axis=2).min(axis=1) > 0.05
    kept = [number for number in range(structure.n_sites) if far[number]]
    if not kept:
        raise SourceError("Nothing but the moving ion is in the migration graph.")
    return Crystal(
        structure.lattice,
        structure.frac_coords[kept],
        tuple(structure.species[number] for number in kept),
        None if structure.occupancies is None else tuple(structure.occupancies[number] for number in kept),
    )


def _pair(hop: dict[str, Any], warnings: list[str]) -> Parts:
    host, start, end = hop.get("host"), hop.get("start"), hop.get("end")
    if not isinstance(host, dict) or not isinstance(start, dict) or not isinstance(end, dict):
        raise SourceError("The hop of the migration graph lacks its supercell or its ends.")
    crystal = json_structure(host, warnings)
    first, last = (place(one.get("site_frac_coords"), "site_frac_coords") for one in (start, end))
    return (
        symbol_of(hop.get("working_ion"), warnings),
        crystal,
        first,
        shortest_image(crystal.lattice, first, last),
        {"uc_site_types": [str(one.get("uc_site_type")) for one in (start, end)]},
    )
