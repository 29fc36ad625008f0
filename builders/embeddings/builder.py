"""CompositionBuilder: ``structures`` -> ``embeddings`` of the model ``composition-statistics``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from builders.embeddings.composition import model_identity
from builders.engine.builder import IncrementalBuilder
from builders.engine.inputs import KeyedInput
from store.errors import FeatureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builders.engine.inputs import Input

MODEL = "composition-statistics"


class CompositionBuilder(IncrementalBuilder):
    """Embed the composition of each structure: 290 statistics over element features, z-scored."""

    NAME = "composition"
    VERSION = 1
    COLLECTION = "embeddings"
    PREFIX = MODEL + "/"
    PACKAGES = ("elementembeddings", "numpy")
    BATCH: ClassVar[int] = 400

    @dataclass(frozen=True)
    class Params:
        """Identity of the model: element table and scaler."""

        model: str = field(default_factory=model_identity)

    @classmethod
    def inputs(cls) -> tuple[Input, ...]:
        """Read the compositions."""
        return (KeyedInput("structures", prefix=cls.PREFIX, projection={"composition": 1}),)

    def compute_many(self, keys: Sequence[str], inputs: Sequence[dict[str, Any]]) -> list[dict[str, Any] | Exception]:
        """Embed many at once; an element without data fails its own composition only."""
        from builders.embeddings.composition import embed

        compositions = [each["structures"]["composition"] for each in inputs]
        try:
            vectors: list[Any] = list(embed(compositions))
        except FeatureError:
            vectors = [_alone(composition) for composition in compositions]
        return [
            vector if isinstance(vector, Exception) else self._document(key, vector)
            for key, vector in zip(keys, vectors, strict=True)
        ]

    def _document(self, key: str, vector: Any) -> dict[str, Any]:
        return {
            "model": MODEL,
            "material": key.removeprefix(self.PREFIX),
            "vector": vector.astype("<f4").tobytes(),
            "dimension": len(vector),
        }


def _alone(composition: dict[str, float]) -> Any:
    from builders.embeddings.composition import embed

    try:
        return embed([composition])[0]
    except FeatureError as error:
        return error
