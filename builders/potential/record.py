"""A barrier from a potential as a record of the store: the uniform hop layout (``docs/hops.md``), one JSON object."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.structures.formulas import describe_composition, formula_units
from store.crystal import Crystal
from store.errors import BuildError
from store.hops import FORWARD, HopRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builders.potential.endpoints import Endpoints
    from builders.potential.potentials import Potential
    from builders.potential.result import NebResult

FORMAT: Final = "hop-json"
SOURCE: Final = "ionatlas neb"
IMAGES: Final = "relaxed (all atoms, fixed cell); the moving ion of each image, among the framework of the start"
CHARGE: Final = "The cell is neutral: a potential knows no charges."
_DIGITS: Final = 6


def hop_id(material: str, ion: str, number: int, endpoints: Endpoints, potential: Potential) -> str:
    """Name a result: ``neb-<material>-<ion>-<hop>-<potential>``, with ``-dilute`` in the dilute limit.

    Examples
    --------
    >>> from types import SimpleNamespace as Any
    >>> hop_id("LiFePO4.cif", "Li", 0, Any(limit="vacancy"), Any(key="sevennet-0"))
    'neb-LiFePO4-Li-0-sevennet-0'
    """
    stem = re.sub(r"(\.(cif|json|vasp|poscar|xyz|extxyz|gz|bz2|xz))+$", "", material, flags=re.IGNORECASE)
    plain = re.sub(r"[^\w.+-]+", "_", stem).strip("_") or "crystal"
    dilute = "-dilute" if endpoints.limit == "dilute" else ""
    return f"neb-{plain}-{ion}-{number}-{potential.key}{dilute}"


def hop_record(
    id: str, name: str, number: int, endpoints: Endpoints, result: NebResult, potential: Potential
) -> HopRecord:
    """Put a result into the form in which the store knows hops.

    Parameters
    ----------
    id : str
        See :func:`hop_id`.
    name : str
        File, id or formula of the crystal.
    number : int
        The hop, counted as the analysis of channels counts it.
    endpoints, result, potential

    Returns
    -------
    store.hops.HopRecord
        ``host`` is the framework of the relaxed start, ``images`` and ``energies`` those of the relaxed band.

    Raises
    ------
    BuildError
        The result is no barrier: not converged, interrupted, or both ends are one place.
    """
    if not result.usable or result.forward is None:
        reasons = "; ".join(f"{flag.code}: {flag.reason}" for flag in result.flags)
        raise BuildError(f"Only a converged barrier is kept ({reasons}).", mend="more iterations, or a looser --fmax")
    fractions = result.positions @ np.linalg.inv(endpoints.lattice)
    start = fractions[0, -1]
    images = fractions[:, -1] - np.floor(start)
    host = Crystal(endpoints.lattice, fractions[0, :-1] % 1.0, endpoints.symbols[:-1])
    framework = [symbol for symbol in host.species if symbol != endpoints.ion]
    return HopRecord(
        working_ion=endpoints.ion,
        host=host,
        start=images[0],
        end=images[-1],
        id=id,
        name=name,
        images=images,
        images_kind=IMAGES,
        energies=result.energies,
        barrier=result.forward,
        barrier_definition=FORWARD,
        method=potential.method,
        functional=potential.functional,
        charge_state=0.0,
        limit=endpoints.limit,
        framework_formula=_formula(framework) if framework else None,
        properties={
            "hop": number,
            "reverse_barrier_eV": result.reverse,
            "n_other_working_ions": endpoints.n_other_ions,
            "supercell": endpoints.supercell.label,
            "image_distance_A": endpoints.supercell.apart,
            "fmax_eV_per_A": result.fmax,
            "iterations": result.iterations(),
            "potential": potential.to_dict(),
            "charge_note": CHARGE,
        },
        references=[potential.reference],
        flags=[flag.code for flag in (*endpoints.flags, *result.flags)],
    )


def hop_row(record: HopRecord) -> dict[str, Any]:
    """Write a record as one row of the uniform hop layout; numbers have six digits behind the point.

    Examples
    --------
    >>> host = Crystal.from_lists([[3, 0, 0], [0, 3, 0], [0, 0, 3]], ["O"], [[0, 0, 0]])
    >>> row = hop_row(HopRecord("Li", host, np.full(3, 0.5), np.array([0.5, 0.5, 1.5]), id="a", barrier=0.25))
    >>> row["id"], row["end_frac"], row["hop_length_A"], row["barrier_eV"]
    ('a', [0.5, 0.5, 1.5], 3.0, 0.25)
    """
    host = record.host
    row: dict[str, Any] = {
        "id": record.id,
        "source": SOURCE,
        "sys_name": record.name,
        "working_ion": record.working_ion,
        "formula_endpoint": _formula([*host.species, record.working_ion]),
        "host_formula": _formula(host.species),
        "framework_formula": record.framework_formula,
        "structure": {
            "lattice": _rounded(host.lattice),
            "species": list(host.species),
            "frac_coords": _rounded(host.frac_coords),
        },
        "start_frac": _rounded(record.start),
        "end_frac": _rounded(record.end),
        "images_frac": None if record.images is None else _rounded(record.images),
        "images_kind": record.images_kind,
        "images_energy_eV": None if record.energies is None else _rounded(record.energies),
        "hop_length_A": round(record.length, _DIGITS),
        "barrier_eV": None if record.barrier is None else round(record.barrier, _DIGITS),
        "barrier_definition": record.barrier_definition,
        "method": record.method,
        "xc": record.functional,
        "charge_state": record.charge_state,
        "limit": record.limit,
        "references": record.references,
        "quality_flags": record.flags,
        "units": "eV",
    }
    for key, value in record.properties.items():
        row[key] = round(value, _DIGITS) if isinstance(value, float) else value
    return row


def row_bytes(row: dict[str, Any]) -> bytes:
    """The row as it lies in ``sources``: one line of JSON.

    Examples
    --------
    >>> row_bytes({"id": "a", "barrier_eV": 0.25})
    b'{"id":"a","barrier_eV":0.25}'
    """
    import orjson

    return orjson.dumps(row)


def _formula(species: Sequence[str]) -> str:
    amounts: dict[str, float] = {}
    for symbol in species:
        amounts[symbol] = amounts.get(symbol, 0.0) + 1.0
    return describe_composition(amounts, formula_units(tuple(species))).formula


def _rounded(values: Any) -> Any:
    return (np.round(np.asarray(values, dtype=np.float64), _DIGITS) + 0.0).tolist()
