"""The builders by name, in one place: a room that adds a derived collection adds its line here.

Classes are imported when asked for, so that listing names costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from store.errors import UsageError

if TYPE_CHECKING:
    from builders.engine.builder import IncrementalBuilder

BUILDERS: Final[dict[str, str]] = {
    "structures": "builders.structures.builder:StructureBuilder",
    "duplicates": "builders.structures.duplicates_builder:DuplicatesBuilder",
    "composition": "builders.embeddings.builder:CompositionBuilder",
    "structure_distances": "builders.embeddings.structure.builder:StructureFingerprintBuilder",
    "order_parameters": "builders.embeddings.structure.builder:OrderParameterBuilder",
    "tower_compositions": "builders.embeddings.towers.builder:TowerCompositionBuilder",
    "tower_structures": "builders.embeddings.towers.builder:TowerStructureBuilder",
    "channels": "builders.channels.builder:ChannelBuilder",
    "barriers": "builders.barriers.builder:BarrierBuilder",
    "predictions": "builders.predictions.builder:PredictionBuilder",
    "topology": "builders.topology.builder:TopologyBuilder",
    "conductivities": "builders.conductivities.builder:ConductivityBuilder",
    "conductivity_predictions": "builders.conductivity_predictions.builder:ConductivityPredictionBuilder",
    "candidates": "builders.candidates.builder:CandidateBuilder",
}
"""Name of a builder (its ``NAME``) and where its class stands, in an order in which they can run."""

ON_REQUEST: Final = frozenset({"order_parameters"})
"""Builders that run when they are named, and are left out of a build of everything: they cost much and few need them."""


def builder_class(name: str) -> type[IncrementalBuilder]:
    """Import the class of a builder.

    Raises
    ------
    UsageError
        There is no builder of this name; the known ones are listed.

    Examples
    --------
    >>> builder_class("structures").COLLECTION
    'structures'
    """
    if name not in BUILDERS:
        raise UsageError(
            f"There is no builder {name!r}. There are: {', '.join(BUILDERS)}.", mend="ionatlas build --explain"
        )
    module, attribute = BUILDERS[name].split(":")
    found: type[IncrementalBuilder] = getattr(import_module(module), attribute)
    return found
