"""A hop as a document: as given, linked, described.

Packed arrays (:mod:`store.arrays`):

- ``features``: ``values`` (len(NAMES),).
- ``route``: ``voids`` (m, 3) fractional in the host's cell, unwrapped; ``void_sizes`` (m,), ``r_chan``, ``r_open`` (m - 1,), Å:
  the channel path. ``way`` (k, 3) fractional and ``way_energy`` (k,), eV: the way of lowest site energy.
- ``host``: ``lattice`` (3, 3), Å; ``frac_coords`` (n, 3); ``kinds`` (n,); ``start``, ``end`` (3,); ``images`` (i, 3) and
  ``energies`` (i,), eV, where they were given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from builders.barriers.describe import describe_with_way
from builders.barriers.environment import elements_of, of_record
from builders.barriers.features import NAMES, STUDY
from builders.barriers.link import link, without
from builders.barriers.study import find_route
from builders.structures.formulas import describe_composition
from store.arrays import pack, smallest, unpack
from store.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from builders.channels.model import Channels
    from store.crystal import Crystal
    from store.hops import HopRecord


def to_document(record: HopRecord, candidates: Sequence[tuple[str, Crystal, Channels | None]] = ()) -> dict[str, Any]:
    """Describe a hop, link it and write it as a document.

    Parameters
    ----------
    record : HopRecord
    candidates : sequence of tuple
        Structures it may belong to: see :func:`builders.barriers.link.link`.

    Returns
    -------
    dict
        Fields of :class:`store.barrier_documents.BarriersDocument` but those of the engine.

    Raises
    ------
    FeatureError, GeometryError
        The hop cannot be described.
    """
    environment = of_record(record)
    features, way = describe_with_way(environment)
    route = find_route(environment)
    value = dict(zip(NAMES, features.tolist(), strict=True))
    host, ion = record.host, record.working_ion
    framework = without(host, ion)
    links = link(framework, value["p_length"], value["r_bottleneck"], candidates)
    middle = (record.start + record.end) / 2
    inverse = np.linalg.inv(host.lattice)
    whole = host.amounts()
    other = whole.get(ion, 0.0)
    whole[ion] = other + 1.0
    return {
        "name": record.name,
        "working_ion": ion,
        "formula": formula_of(whole),
        "framework_formula": record.framework_formula or formula_of(framework.amounts()),
        "crystal_class": record.crystal_class,
        "space_group": record.space_group,
        "nsites": host.n_sites + 1,
        "other_ions": round(other),
        "barrier": record.barrier,
        "barrier_definition": record.barrier_definition,
        "method": record.method,
        "functional": record.functional,
        "charge_state": record.charge_state,
        "limit": record.limit,
        "material": links[0].material if links else None,
        "materials": [each._asdict() for each in links],
        "p_length": value["p_length"],
        "study": {name: value[name] for name in STUDY},
        "r_bottleneck": value["r_bottleneck"],
        "features": pack({"values": features}),
        "route": pack(
            {
                "voids": (middle + route.voids @ inverse).astype(np.float32),
                "void_sizes": route.sizes.astype(np.float32),
                "r_chan": route.r_chan.astype(np.float32),
                "r_open": route.r_open.astype(np.float32),
                "way": (middle + way.points @ inverse).astype(np.float32),
                "way_energy": way.energy.astype(np.float32),
            }
        ),
        **_host(record),
        "images_kind": record.images_kind,
        "dft": is_dft(record.method),
        "flags": list(record.flags),
        "warnings": list(record.warnings),
        "properties": dict(record.properties),
        "licence": record.licence,
        "references": list(record.references),
    }


def formula_of(amounts: Mapping[str, float]) -> str:
    """Reduced formula, as the structures of the store write theirs.

    Examples
    --------
    >>> formula_of({"Fe": 16, "P": 16, "O": 64})
    'FePO4'
    """
    return describe_composition(dict(amounts), 1).formula


def is_dft(method: str | None) -> bool:
    """Whether a barrier was computed with density-functional theory along a path of images.

    Examples
    --------
    >>> is_dft("DFT-NEB, GGA (literature value)"), is_dft("MLIP-NEB (CHGNet 0.4.2)"), is_dft(None)
    (True, False, False)
    """
    text = (method or "").upper()
    return text.startswith(("DFT", "VASP"))


def read_features(document: Mapping[str, Any]) -> NDArray[np.float64]:
    """Descriptors of a document, shape=(len(NAMES),).

    Raises
    ------
    SourceError
        They were made by another version and are of other descriptors.
    """
    values = unpack(document["features"])["values"].astype(np.float64)
    if values.shape != (len(NAMES),):
        raise SourceError(
            f"The hop has {len(values)} descriptors, and {len(NAMES)} are known.", mend="ionatlas build barriers"
        )
    return values


def _host(record: HopRecord) -> dict[str, Any]:
    symbols = elements_of(record.host)
    kinds = sorted(set(symbols))
    arrays: dict[str, Any] = {
        "lattice": record.host.lattice,
        "frac_coords": record.host.frac_coords,
        "kinds": smallest(np.array([kinds.index(symbol) for symbol in symbols], dtype=np.int64)),
        "start": record.start,
        "end": record.end,
    }
    if record.images is not None:
        arrays["images"] = record.images
    if record.energies is not None:
        arrays["energies"] = record.energies
    return {"host": pack(arrays), "host_kinds": kinds}
