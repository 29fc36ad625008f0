"""Fields of the documents in ``barriers``. Part of :mod:`store.fields`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from store.field import Field

if TYPE_CHECKING:
    from store.field import FieldType


def _field(name: str, type_: FieldType, unit: str | None, meaning: str, shape: str = "") -> Field:
    return Field(name, type_, unit, meaning, f"barriers.{name}", shape)


BARRIER_FIELDS: Final = (
    _field("working_ion", "string", None, "The ion that moves."),
    _field("framework_formula", "string", None, "Reduced formula of the host without the ion that moves."),
    _field("crystal_class", "string", None, "Family of structures as the source names it, such as NASICON."),
    _field("space_group", "string", None, "Space group of the compound as the source gives it."),
    _field("other_ions", "integer", None, "Other ions of the kind that moves in the host's cell."),
    _field("barrier", "float", "eV", "Migration barrier as given; which difference it is says barrier_definition."),
    _field(
        "barrier_definition",
        "string",
        None,
        "What the barrier is: forward, reverse, larger of forward and reverse, max-min, or unstated.",
    ),
    _field("method", "string", None, "How the barrier was computed, such as DFT-NEB."),
    _field("functional", "string", None, "Exchange-correlation functional, as given."),
    _field("charge_state", "float", "e", "Total charge of the cell, where known."),
    _field("limit", "string", None, "How many ions are there beside the moving one: dilute, vacancy, intermediate."),
    _field("materials", "list", None, "Structures that the host is made from, the likest first, each with its hop."),
    _field("p_length", "float", "Å", "Distance of the hop's two ends (P_length)."),
    _field(
        "study", "dictionary", "Å", "The study's six: r_sd, r_chan, p_length, their sum, and two quotients (numbers)."
    ),
    _field("r_bottleneck", "float", "Å", "Narrowest channel of the widest route of voids near the hop."),
    _field(
        "features", "bytes", None, "All descriptors, packed, in the order of builders/barriers/features.py.", "(135,)"
    ),
    _field("route", "bytes", None, "Voids and channels of the widest route and the way of lowest site energy, packed."),
    _field("host", "bytes", None, "Host and ends of the hop, packed: lattice, frac_coords, kinds, start, end, images."),
    _field("host_kinds", "list of string", None, "Elements that the packed kinds of the host's sites stand for."),
    _field("images_kind", "string", None, "What the images are: relaxed, or interpolated."),
    _field("dft", "boolean", None, "Whether the barrier was computed with DFT along a path of images."),
)
"""Fields of the documents in ``barriers``."""
