"""ionatlas: a materials knowledge store with a query layer.

    from ionatlas import Atlas, channels, migration_energy

    with Atlas() as atlas:
        table = atlas.query('elements HAS "Li" AND band_gap > 3', sort="energy_above_hull")
        predicted = atlas.predict_structure("LiNiPO4", exclude_formula=True)
    report = channels("LiFePO4.cif", ion="Li")
    energy = migration_energy("LiFePO4.cif", ion="Li")

Importing it costs next to nothing: the rest is loaded when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from api.channels import channels
    from api.client import Atlas
    from api.inverse import inverse
    from api.migration import hop_barriers, migration_energy
    from api.prediction import predict_structure

    __version__: str

__all__ = ["Atlas", "__version__", "channels", "hop_barriers", "inverse", "migration_energy", "predict_structure"]


def __getattr__(name: str) -> Any:
    if name == "Atlas":
        from api.client import Atlas

        return Atlas
    if name == "channels":
        from api.channels import channels

        return channels
    if name in ("hop_barriers", "migration_energy"):
        from api import migration

        return getattr(migration, name)
    if name == "predict_structure":
        from api.prediction import predict_structure

        return predict_structure
    if name == "inverse":
        from api.inverse import inverse

        return inverse
    if name == "__version__":
        from importlib.metadata import version

        return version("ionatlas")
    raise AttributeError(f"module 'ionatlas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
