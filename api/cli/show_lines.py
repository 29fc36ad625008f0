"""Lines of ``ionatlas show`` about topology and conductivity."""

from __future__ import annotations

from typing import Any, Final

MOST_MEASURED: Final = 8
"""Measurements that are shown; of the others the number is told."""

_BOUNDS: Final = {"upper_bound": "below ", "lower_bound": "above "}
_BY: Final = {
    "structure": "the same crystal",
    "space group": "the same composition and space group",
    "formula": "the same composition",
}

Line = tuple[str, str]


def further_lines(found: dict[str, Any]) -> list[Line]:
    """Lines about topology, predicted and measured conductivity.

    Parameters
    ----------
    found : dict
        From :meth:`api.service.Service.show`.
    """
    lines = [topology_line(document) for document in found["topology"]]
    lines += [predicted_line(document) for document in found["conductivity_predictions"]]
    measured = found["conductivities"]
    lines += [measured_line(document, found["id"]) for document in measured[:MOST_MEASURED]]
    if len(measured) > MOST_MEASURED:
        lines.append(("measured", f"and {len(measured) - MOST_MEASURED} more (--json shows all)"))
    return lines


def topology_line(document: dict[str, Any]) -> Line:
    """One line about how the ion's sites join."""
    parts = []
    if document["ion_r1"] is not None:
        radii = " ".join(f"{document[f'ion_r{k}']:.3f}" for k in (1, 2, 3))
        parts.append(f"its sites join in rows, layers, 3D at {radii} Å")
    if document["framework_void"] is not None:
        parts.append(f"largest void {document['framework_void']:.3f} Å")
    if document["channels_agree"] is not None:
        told = "agree" if document["channels_agree"] else f"differ by {document['channels_difference']:.3f} Å"
        parts.append(f"percolation radii of homology and channels {told}")
        if not document["channels_meet"]:
            parts.append("channels in several directions that do not meet")
    return f"{document['ion']} topology", "; ".join(parts)


def predicted_line(document: dict[str, Any]) -> Line:
    """One line about the predicted conductivity."""
    if document["conductivity"] is None:
        return f"{document['ion']} conductivity", f"no prediction: {document['conductivity_reason']}"
    ends = f"{document['conductivity_lower']:.1f} to {document['conductivity_upper']:.1f}"
    doubt = "" if document["conductivity_in_domain"] else ", outside the model's domain"
    value = document["conductivity"]
    told = f"log10(S/cm) {value:.2f} at 298 K ({ends}{doubt}); {document['model']}"
    return f"{document['ion']} conductivity", told


def measured_line(document: dict[str, Any], id: str) -> Line:
    """One line about a measurement, of this record or of one that belongs to the material."""
    value, temperature = document["log10_sigma"], document["temperature"]
    told = "no value" if value is None else f"log10(S/cm) {_BOUNDS.get(document['censored'] or '', '')}{value:.2f}"
    if temperature is not None:
        told += f" at {temperature:.0f} K"
    if document["_id"] == id:
        told = f"{document['formula_given'].strip()}: {told}"
        if document["repeats"]:
            told += f"; others of this composition: {len(document['repeats'])}"
        if document["materials"]:
            told += "; in the store: " + " ".join(each["material"] for each in document["materials"][:5])
    else:
        (by,) = {each["by"] for each in document["materials"] if each["material"] == id}
        told += f" ({document['_id']}, {_BY[by]})"
    return "measured", told
