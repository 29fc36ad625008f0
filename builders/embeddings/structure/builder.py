"""Builders of structure vectors: ``structures`` -> ``embeddings``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from builders.embeddings.structure import order_parameters as crystal_nn
from builders.embeddings.structure import vector as distances
from builders.engine.builder import IncrementalBuilder
from builders.engine.inputs import KeyedInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.engine.inputs import Input


class StructureFingerprintBuilder(IncrementalBuilder):
    """Embed the arrangement of each structure, disordered ones included: neighbour distances resolved by element.

    Examples
    --------
    >>> StructureFingerprintBuilder().settings.model
    'structure-distances/1'
    """

    NAME = "structure_distances"
    VERSION = 1
    COLLECTION = "embeddings"
    PREFIX = distances.MODEL + "/"
    PACKAGES = ("numpy", "pymatgen")
    BATCH = 20

    @dataclass(frozen=True)
    class Params:
        """Identity of the model."""

        model: str = field(default_factory=distances.model_identity)

    @classmethod
    def inputs(cls) -> tuple[Input, ...]:
        """Read the primitive cells."""
        return (KeyedInput("structures", prefix=cls.PREFIX, projection={"primitive": 1}),)

    def compute(self, key: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Make the vector of one structure."""
        from builders.embeddings.structure.arrangement import profile
        from builders.embeddings.structure.fingerprint import canonical_order
        from store.crystal import Crystal

        cell = Crystal.from_document(inputs["structures"]["primitive"])
        elements, amounts, _ = canonical_order(cell)
        found = distances.profile_vectors(profile(cell, elements, distances.N_COLUMNS)[None], amounts)[0]
        return _document(distances.MODEL, key.removeprefix(self.PREFIX), found)


class OrderParameterBuilder(IncrementalBuilder):
    """Embed each ordered structure by the order parameters of CrystalNN: the vector of CSPML and the Materials Project.

    A tenth of a second a structure and more.

    Examples
    --------
    >>> OrderParameterBuilder().settings.model
    'crystalnn-order-parameters/1'
    """

    NAME = "order_parameters"
    VERSION = 1
    COLLECTION = "embeddings"
    PREFIX = crystal_nn.MODEL + "/"
    PACKAGES = ("numpy", "pymatgen")
    ITEM_SECONDS = 600.0
    BATCH = 4

    @dataclass(frozen=True)
    class Params:
        """Identity of the model."""

        model: str = field(default_factory=crystal_nn.model_identity)

    @classmethod
    def inputs(cls) -> tuple[Input, ...]:
        """Read the primitive cells."""
        return (KeyedInput("structures", prefix=cls.PREFIX, projection={"primitive": 1}),)

    def compute(self, key: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Make the vector of one structure."""
        from store.crystal import Crystal

        found = crystal_nn.order_parameters(Crystal.from_document(inputs["structures"]["primitive"]))
        return _document(crystal_nn.MODEL, key.removeprefix(self.PREFIX), found)


def _document(model: str, material: str, vector: NDArray[Any]) -> dict[str, Any]:
    return {
        "model": model,
        "material": material,
        "vector": vector.astype("<f4").tobytes(),
        "dimension": len(vector),
    }
