"""What a material's page says, part by part: numbers with their fields, and for what is unknown the reason."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from store.fields import FIELDS
from store.ion_fields import WORKING_IONS

if TYPE_CHECKING:
    from store.fields import Field

_FACTS: Final = (
    "formula", "chemical_system", "space_group_symbol", "space_group_number", "crystal_system", "point_group", "prototype",
    "nsites_primitive", "volume_per_atom", "density", "min_distance", "formation_energy_per_atom", "energy_above_hull",
    "band_gap", "is_ordered", "experimental", "flags", "created_at",
)  # fmt: skip
"""Properties of the whole material, in the order of the page."""

_BUILDERS: Final = {
    "channels": "ionatlas build channels",
    "predictions": "ionatlas build channels predictions",
    "topology": "ionatlas build topology",
    "conductivity_predictions": "ionatlas build conductivity_predictions",
}

_HOP: Final = dict.fromkeys(("value", "lower", "upper", "reason"))
"""What a hop without a prediction lacks."""

_WAYS: Final = (("", "one direction"), ("_2", "two directions"), ("_3", "three directions"))


def kind(found: dict[str, Any]) -> str:
    """What the record is: ``structure``, ``hop`` or ``conductivity``."""
    from store.ingest.kinds import kind_of

    source = found["source"]
    return str(kind_of(source["format"])) if source and source.get("format") else "structure"


def facts(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Fields of the whole material with their values."""
    candidate = found["candidate"] or {}
    return [{"field": FIELDS[name], "value": candidate.get(name)} for name in _FACTS]


def ions(found: dict[str, Any]) -> list[str]:
    """Ions of which something is known here, in the usual order."""
    there = {document["ion"] for name in _BUILDERS for document in found[name]}
    return [*(ion for ion in WORKING_IONS if ion in there), *sorted(there - set(WORKING_IONS))]


def channels(found: dict[str, Any]) -> list[dict[str, Any]]:
    """One row an ion about its channels."""
    rows = []
    for document in found["channels"]:
        ion = document["ion"].lower()
        rows.append(
            {
                "ion": document["ion"],
                "anion": document.get("anion"),
                "insertion": document["insertion"],
                "dimension": document.get("channel_dimension"),
                "threshold": document.get("threshold"),
                "radii": [document[f"r{k}"] for k in (1, 2, 3)],
                "paths": [document[f"path_r{k}"] for k in (1, 2, 3)],
                "directions": document["directions"],
                "hops": document["n_hops"],
                "voids": document["n_voids"],
                "sizes": (document.get("r_sd_min"), document.get("r_sd_max")),
                "flags": document["channel_flags"],
                "fields": [_known(f"{ion}_channel_r{k}") for k in (1, 2, 3)],
            }
        )
    return rows


def energies(found: dict[str, Any]) -> list[dict[str, Any]]:
    """One block an ion about its predicted barriers."""
    blocks = []
    for document in found["predictions"]:
        ion = document["ion"].lower()
        ways = [
            {
                "ways": words,
                "value": document.get(f"migration_energy{suffix}"),
                "lower": document.get(f"migration_energy{suffix}_lower"),
                "upper": document.get(f"migration_energy{suffix}_upper"),
                "in_domain": document.get(f"migration_energy{suffix}_in_domain"),
                "hop": document.get(f"migration_energy{suffix}_hop"),
                "directions": document.get(f"migration_energy{suffix}_directions") or [],
                "field": _known(f"{ion}_migration_energy{suffix}"),
            }
            for suffix, words in _WAYS
        ]
        missing = document["n_hops"] - document["n_predicted"]
        blocks.append(
            {
                "ion": document["ion"],
                "model": document["model"],
                "ways": ways,
                "hops": [{**_HOP, **hop} for hop in document["hops"]],
                "missing": missing,
                "none": _no_path(document, missing) if ways[0]["value"] is None else "",
            }
        )
    return blocks


def _no_path(document: dict[str, Any], missing: int) -> str:
    if not document["n_hops"]:
        return "there are no hops between neighbouring sites"
    if missing:
        return f"{missing} of {document['n_hops']} hops have no prediction, and the others lead nowhere"
    return "no path over its hops leads through the crystal"


def conduction(found: dict[str, Any]) -> dict[str, Any]:
    """Predicted and measured conductivities."""
    predicted = [
        {
            "ion": each["ion"],
            "model": each["model"],
            "value": each.get("conductivity"),
            "lower": each.get("conductivity_lower"),
            "upper": each.get("conductivity_upper"),
            "in_domain": each["conductivity_in_domain"],
            "reason": each.get("conductivity_reason") or "",
            "field": _known(f"{each['ion'].lower()}_conductivity"),
        }
        for each in found["conductivity_predictions"]
    ]
    return {"predicted": predicted, "measured": found["conductivities"]}


def topology(found: dict[str, Any]) -> list[dict[str, Any]]:
    """One block an ion: radii, and the summary of each group of atoms."""
    return [
        {
            "ion": each["ion"],
            "radii": [(name, each.get(name), FIELDS[name].meaning) for name in _TOPOLOGY],
            "agree": each.get("channels_agree"),
            "groups": each["groups"],
        }
        for each in found["topology"]
    ]


_TOPOLOGY: Final = (
    "framework_r1",
    "framework_r2",
    "framework_r3",
    "framework_void",
    "ion_r1",
    "ion_r2",
    "ion_r3",
    "ion_layers",
)


def duplicates(found: dict[str, Any]) -> list[str]:
    """Other materials that are the same crystal."""
    for cluster in (found["duplicates"] or {}).get("clusters", []):
        if found["id"] in cluster["members"]:
            return [each for each in cluster["members"] if each != found["id"]]
    return []


def failures(found: dict[str, Any]) -> list[dict[str, str]]:
    """What could not be built, and why."""
    told = [
        {
            "builder": each["builder"],
            "id": each["_id"],
            "type": each["error"]["type"],
            "message": each["error"]["message"],
        }
        for each in found["failures"]
    ]
    source = found["source"]
    if source and source.get("error"):
        error = source["error"]
        told.append({"builder": "reading", "id": source["_id"], "type": error["type"], "message": error["message"]})
    return told


def missing(found: dict[str, Any], collection: str) -> str:
    """Say why a material has no documents in a collection of ions."""
    for each in found["failures"]:
        if each["_id"].startswith(f"{collection}/"):
            return f"It could not be built: {each['error']['type']}: {each['error']['message']}"
    elements = (found["structure"] or {}).get("elements") or []
    command = _BUILDERS[collection]
    if not found["structure"]:
        return "Its structure is not built. To build it: ionatlas build"
    if collection == "conductivity_predictions" and "Li" not in elements:
        return "Conductivities are predicted for lithium, and it holds none."
    usual = [ion for ion in WORKING_IONS if ion in elements]
    if not usual:
        return (
            f"It holds none of the ions that are looked at unasked ({', '.join(WORKING_IONS)}). The page of channels finds "
            "room for one to be inserted."
        )
    return f"It is not built for {' or '.join(usual)} yet. To build it: {command}"


def record(found: dict[str, Any]) -> dict[str, Any] | None:
    """The record as it was given. Folders of the server are nobody's business: of a path only the name is told."""
    source = found["source"]
    if source is None:
        return None
    origins = []
    for each in source.get("origins") or []:
        where = str(each.get("url") or PurePath(str(each.get("path") or "?")).name)
        member = f", {each['member']}" if each.get("member") else ""
        line = f", line {each['line']}" if each.get("line") is not None else ""
        origins.append(f"{where}{member}{line}")
    return {
        "format": source.get("format"),
        "provider": source.get("provider"),
        "licence": source.get("licence"),
        "references": source.get("references") or [],
        "origins": origins,
        "sha256": source.get("sha256"),
        "ingested_at": source.get("ingested_at"),
        "size": source.get("size"),
    }


def cell(found: dict[str, Any]) -> dict[str, Any] | None:
    """Lengths, angles and sites of the conventional cell."""
    structure = found["structure"]
    if structure is None:
        return None
    import numpy as np

    given = structure["standard"]
    rows = np.asarray(given["lattice"], dtype=float)
    lengths = np.linalg.norm(rows, axis=1)
    cosines = [rows[i] @ rows[j] / (lengths[i] * lengths[j]) for i, j in ((1, 2), (0, 2), (0, 1))]
    sites = list(zip(given["species"], given["frac_coords"], strict=True))
    return {
        "lengths": [float(each) for each in lengths],
        "angles": [float(each) for each in np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))],
        "sites": sites[:200],
        "more": max(0, len(sites) - 200),
        "volume": abs(float(np.linalg.det(rows))),
    }


def _known(name: str) -> Field | None:
    return FIELDS.get(name)
