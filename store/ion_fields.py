"""Fields that every working ion has: one generator, so that ``li_channel_r1`` and ``na_channel_r1`` mean the same.

A row of :data:`PATTERNS` makes one field of ``candidates`` an ion, ``<ion>_<suffix>`` with the ion in small letters. Where
the channels of an ion were not analysed in a material, its document has none of that ion's fields: they are unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from store.field import Field, candidate

if TYPE_CHECKING:
    from store.field import FieldType

WORKING_IONS: Final = ("Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Zn", "Al", "Ag", "Cu")
"""Ions whose channels are analysed unless told otherwise."""

ANIONS: Final = ("F", "O")
"""Ions analysed on request only."""

IONS: Final = (*WORKING_IONS, *ANIONS)

INDEXED_IONS: Final = ("Li", "Na", "K", "Mg")
"""Ions whose channels are asked for most: ``candidates`` has indexes for these (a collection may have 64)."""


class Pattern(NamedTuple):
    """One field that every ion has, or some have; ``{ion}`` in the meaning stands for its symbol."""

    suffix: str
    type: FieldType
    unit: str | None
    path: str
    meaning: str
    indexed: bool = False
    collection: str = "channels"
    ions: tuple[str, ...] = IONS


def _energies(suffix: str, ways: str, lead: str, *, indexed: bool = False) -> tuple[Pattern, ...]:
    """Migration energy in some directions, the ends of its interval, its domain flag."""
    name = f"migration_energy{suffix}"
    paths = "a path over {ion}'s sites that" if not suffix else "paths over {ion}'s sites that together"
    return (
        Pattern(
            name,
            "float",
            "eV",
            name,
            f"Predicted: the smallest, over routes, of the largest barrier on {paths} {lead}.",
            indexed,
            "predictions",
        ),
        Pattern(
            f"{name}_lower",
            "float",
            "eV",
            f"{name}_lower",
            f"Lower end of the 90 % interval of {{ion}}'s migration energy{ways}.",
            collection="predictions",
        ),
        Pattern(
            f"{name}_upper",
            "float",
            "eV",
            f"{name}_upper",
            f"Upper end of the 90 % interval of {{ion}}'s migration energy{ways}.",
            collection="predictions",
        ),
        Pattern(
            f"{name}_in_domain",
            "boolean",
            None,
            f"{name}_in_domain",
            f"Whether hops of {{ion}} like those that the model was trained on make up the migration energy{ways}.",
            collection="predictions",
        ),
    )


def _topology(name: str, path: str, meaning: str, *, indexed: bool = False) -> Pattern:
    return Pattern(f"topology_{name}", "float", "Å", path, meaning, indexed, "topology")


def _conductivity(end: str, meaning: str, *, indexed: bool = False) -> Pattern:
    type_: FieldType = "boolean" if end == "_in_domain" else "float"
    unit = None if type_ == "boolean" else "log10(S/cm)"
    name = f"conductivity{end}"
    return Pattern(name, type_, unit, name, meaning, indexed, "conductivity_predictions", ("Li",))


PATTERNS: Final = (
    Pattern(
        "channel_dimension",
        "integer",
        None,
        "channel_dimension",
        "Directions, 0 to 3, in which channels at least as wide as the default threshold connect the crystal for {ion}.",
        indexed=True,
    ),
    Pattern(
        "channel_threshold",
        "float",
        "Å",
        "threshold",
        "Default threshold: the narrowest channel that {ion} passes among the anion around it.",
    ),
    Pattern(
        "channel_r1",
        "float",
        "Å",
        "r1",
        "Percolation radius: the channels at least so wide connect the crystal in one direction (framework without {ion}).",
    ),
    Pattern(
        "channel_r2", "float", "Å", "r2", "Percolation radius of {ion}'s channels in two directions.", indexed=True
    ),
    Pattern("channel_r3", "float", "Å", "r3", "Percolation radius of {ion}'s channels in three directions."),
    Pattern(
        "channel_hops", "integer", None, "n_hops", "Hops of {ion} between neighbouring sites, distinct by symmetry."
    ),
    Pattern(
        "path_r1",
        "float",
        "Å",
        "path_r1",
        "Bottleneck of the widest path over {ion}'s own sites that crosses the crystal in one direction; 0 if none does.",
    ),
    Pattern(
        "path_r2", "float", "Å", "path_r2", "Bottleneck of {ion}'s widest paths in two directions; 0 if there are none."
    ),
    Pattern(
        "path_r3",
        "float",
        "Å",
        "path_r3",
        "Bottleneck of {ion}'s widest paths in three directions; 0 if there are none.",
    ),
    Pattern(
        "path_r_chan1",
        "float",
        "Å",
        "path_r_chan1",
        "Smallest channel (r_chan) of the voids that {ion}'s widest path in one direction leads through.",
    ),
    Pattern("path_r_chan2", "float", "Å", "path_r_chan2", "The same of {ion}'s widest paths in two directions."),
    Pattern("path_r_chan3", "float", "Å", "path_r_chan3", "The same of {ion}'s widest paths in three directions."),
    Pattern(
        "r_sd_min",
        "float",
        "Å",
        "r_sd_min",
        "Smallest R_sd of the voids that hold {ion} (in a host: of those large enough).",
    ),
    Pattern(
        "r_sd_max", "float", "Å", "r_sd_max", "Largest R_sd of the voids that hold {ion} (in a host: of all voids)."
    ),
    Pattern(
        "channel_insertion",
        "boolean",
        None,
        "insertion",
        "Whether the crystal holds none of {ion} and was analysed as a host for it.",
    ),
    Pattern(
        "channel_flags",
        "list of string",
        None,
        "channel_flags.code",
        "Doubts about the analysis for {ion}, in fixed words, such as 'disordered framework'.",
    ),
    *_energies("", "", "crosses the crystal", indexed=True),
    *_energies("_2", " in two directions", "carry it in two directions"),
    *_energies("_3", " in three directions", "carry it in three directions"),
    _topology(
        "r1",
        "framework_r1",
        "From the homology of the framework without {ion}: channels so wide, whether they meet or not, lead in one direction.",
    ),
    _topology("r2", "framework_r2", "The same in two directions."),
    _topology("r3", "framework_r3", "The same in three directions."),
    Pattern(
        "topology_agrees",
        "boolean",
        None,
        "channels_agree",
        "Whether the channels, another way to these three, give them within 0.002 Å (channels that do not meet included).",
        collection="topology",
    ),
    _topology("void", "framework_void", "Radius of the largest void of the framework without {ion}."),
    _topology("ion_r1", "ion_r1", "Radius at which balls around {ion}'s sites first make a row without end."),
    _topology("ion_r2", "ion_r2", "Radius at which they make a layer."),
    _topology("ion_r3", "ion_r3", "Radius at which they make a network in three directions."),
    _topology(
        "ion_layers",
        "ion_layers",
        "Difference of the last two: the larger, the more {ion}'s sites lie in separate layers.",
        indexed=True,
    ),
    _conductivity("", "Predicted: log10 of {ion}'s conductivity in S/cm at 298 K (Li only).", indexed=True),
    _conductivity("_lower", "Lower end of the 90 % interval of {ion}'s conductivity."),
    _conductivity("_upper", "Upper end of the 90 % interval of {ion}'s conductivity."),
    _conductivity("_in_domain", "Whether the model of {ion}'s conductivity was trained on compounds like this one."),
)
"""Fields of every ion, or of those named; the path is that in the ion's document of the collection."""


def ion_fields() -> tuple[Field, ...]:
    """Make the fields of all ions, ion by ion.

    Examples
    --------
    >>> field = ion_fields()[2]
    >>> field.label, field.ion, field.source
    ('li_channel_r1 [Å]', 'Li', 'channels.r1')
    """
    return tuple(
        candidate(
            f"{ion.lower()}_{pattern.suffix}",
            pattern.type,
            pattern.unit,
            f"{pattern.collection}.{pattern.path}",
            pattern.meaning.format(ion=ion),
            indexed=pattern.indexed and ion in INDEXED_IONS,
            ion=ion,
        )
        for ion in IONS
        for pattern in PATTERNS
        if ion in pattern.ions
    )


def _field(
    name: str, type_: FieldType, unit: str | None, meaning: str, shape: str = "", collection: str = "channels"
) -> Field:
    return Field(name, type_, unit, meaning, f"{collection}.{name}", shape=shape)


CHANNEL_FIELDS: Final = (
    _field("ion", "string", None, "The working ion."),
    _field("anion", "string", None, "The anion around the ion, or a host's most abundant one."),
    _field("insertion", "boolean", None, "Whether the crystal holds none of the ion: hops then lead between voids."),
    _field("r1", "float", "Å", "Channels at least so wide connect the crystal in one direction."),
    _field("r2", "float", "Å", "Channels at least so wide connect it in two directions."),
    _field("r3", "float", "Å", "Channels at least so wide connect it in three directions."),
    _field("directions", "list", None, "Directions of travel at r1, r2, r3, in cell vectors.", "(3, ..., 3)"),
    _field("channel_dimension", "integer", None, "How many of r1, r2, r3 reach the threshold."),
    _field("threshold", "float", "Å", "Default threshold for the ion among its anion when the document was made."),
    _field("threshold_source", "string", None, "Whether the threshold was measured, or how it was estimated."),
    _field("n_voids", "integer", None, "Voids in the cell."),
    _field("n_channels", "integer", None, "Channels in the cell."),
    _field("n_hops", "integer", None, "Hops distinct by symmetry."),
    _field(
        "r_sd_min", "float", "Å", "Smallest R_sd of the voids that hold the ion (in a host: of those large enough)."
    ),
    _field("r_sd_max", "float", "Å", "Largest R_sd of the voids that hold the ion (in a host: of all voids)."),
    _field("path_r1", "float", "Å", "Bottleneck of the widest path over the ion's sites in one direction; 0 if none."),
    _field("path_r2", "float", "Å", "The same in two directions."),
    _field("path_r3", "float", "Å", "The same in three directions."),
    _field("path_r_chan1", "float", "Å", "Smallest r_chan of the hops that are open at path_r1."),
    _field("path_r_chan2", "float", "Å", "The same at path_r2."),
    _field("path_r_chan3", "float", "Å", "The same at path_r3."),
    _field("path_directions", "list", None, "Directions of the paths at path_r1, path_r2, path_r3.", "(3, ..., 3)"),
    _field("channel_flags", "list", None, "Doubts about the analysis: code (fixed words) and reason (a sentence)."),
    _field("certificate", "dictionary", None, "How the network proved itself: volume sum and Betti numbers."),
    _field("cell", "dictionary", "Å", "Cell of the arrays: lattice (3, 3) rows in Å, kinds of framework atoms."),
    _field("arrays", "bytes", None, "Framework, voids, channels and hops, packed (store/arrays.py)."),
)
"""Fields of the documents in ``channels``."""


def _predicted() -> tuple[Field, ...]:
    hops = (
        "Each hop of the channels: hop (its number there), value, lower and upper (eV), in_domain, distance (from the "
        "training set), percolates (belongs to a network without end), reason (why out of the domain, or not predicted)."
    )
    found = [
        _field("hops", "list", "eV", hops, "(n_hops,)", "predictions"),
        _field("n_predicted", "integer", None, "Hops that have a prediction.", "", "predictions"),
    ]
    for suffix, ways in (("", "one direction"), ("_2", "two directions"), ("_3", "three directions")):
        name = f"migration_energy{suffix}"
        found += [
            _field(name, "float", "eV", f"Migration energy in {ways}; none where no path leads so.", "", "predictions"),
            _field(f"{name}_lower", "float", "eV", "Lower end of its 90 % interval.", "", "predictions"),
            _field(f"{name}_upper", "float", "eV", "Upper end of its 90 % interval.", "", "predictions"),
            _field(
                f"{name}_in_domain", "boolean", None, "Whether no extrapolated barrier was needed.", "", "predictions"
            ),
            _field(f"{name}_hop", "integer", None, "The hop that limits it, by its number.", "", "predictions"),
            _field(
                f"{name}_directions", "list", None, "Where these paths lead, in cell vectors.", "(.., 3)", "predictions"
            ),
        ]
    return tuple(found)


PREDICTION_FIELDS: Final = _predicted()
"""Fields of the documents in ``predictions``."""
