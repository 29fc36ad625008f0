"""What a worker of the sandbox does for the pages: crystals of strangers in, plain data out.

Functions of this module are called by :meth:`api.sandbox.Sandbox.run`: they and what they return travel between processes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from api.inverse.report import InverseReport
    from store.crystal import Crystal

Upload = tuple[str, bytes]


def _asked(id: str | None, upload: Upload | None) -> tuple[str, Crystal]:
    from api.sandbox import crystal_of, safe_name, worker_service

    if upload is not None:
        return safe_name(upload[0]), crystal_of(*upload)
    assert id is not None
    return id, worker_service().structure(id)


def channels(id: str | None, upload: Upload | None, ion: str | None, threshold: float | None) -> dict[str, Any]:
    """Find voids and channels; words, tables and the scene for the viewer."""
    from api.channels import channels as find
    from api.channels.tables import hop_table, void_table
    from api.web.material.scene import scene

    name, crystal = _asked(id, upload)
    report = replace(find(crystal, ion, threshold=threshold), name=name)
    # Directions and sites are told in the cell that was analysed; the picture shows the same one.
    return {
        "name": name,
        "formula": report.formula,
        "ion": report.ion,
        "headline": report.headline(),
        "radii": [report.r1, report.r2, report.r3],
        "threshold": report.threshold,
        "hops": hop_table(report),
        "voids": void_table(report),
        "flags": [flag._asdict() for flag in report.flags],
        "scene": scene(report.crystal, report.channels, report.threshold),
    }


def predict(id: str | None, upload: Upload | None, ion: str | None) -> dict[str, Any]:
    """Predict migration energies and conductivity; each may have its own reason for not being there."""
    from store.errors import IonatlasError

    name, crystal = _asked(id, upload)
    told: dict[str, Any] = {"name": name}
    for key, make in (("migration", _migration), ("conductivity", _conductivity)):
        try:
            told[key] = make(name, crystal, ion)
        except IonatlasError as error:
            told[key] = {"error": error.message, "mend": error.mend or ""}
    return told


def _migration(name: str, crystal: Crystal, ion: str | None) -> dict[str, Any]:
    from api.migration import migration_energy

    report = replace(migration_energy(crystal, ion), name=name)
    return {
        "headline": report.headline(),
        "sentences": report.sentences(),
        "table": report.table(),
        "energies": [
            None
            if each is None
            else {"value": each.value, "lower": each.lower, "upper": each.upper, "in_domain": bool(each.in_domain)}
            for each in report.energies
        ],
        "ion": report.ion,
        "formula": report.formula,
    }


def _conductivity(name: str, crystal: Crystal, ion: str | None) -> dict[str, Any]:
    from api.conductivity import conductivity

    return replace(conductivity(crystal), name=name).row()


def inverse(upload: Upload, options: dict[str, Any]) -> InverseReport:
    """Find compositions for the structure in a file, among those of the store."""
    from api.inverse import inverse as find
    from api.sandbox import worker_service

    name, crystal = _asked(None, upload)
    return replace(find(crystal, service=worker_service, **options), name=name)


def template(upload: Upload) -> Any:
    """Make a template of an uploaded crystal."""
    from api.sandbox import crystal_of, safe_name
    from indexes.templates.entries import entry_of

    return entry_of(safe_name(upload[0]), crystal_of(*upload))
