"""The towers' builders: ``structures`` -> ``embeddings`` of the models ``tower-composition`` and ``tower-structure``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from builders.embeddings.towers.model import COMPOSITION, STRUCTURE, identity
from builders.engine.builder import IncrementalBuilder
from builders.engine.inputs import KeyedInput
from store.errors import IonatlasError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from builders.embeddings.towers.model import Towers
    from builders.engine.inputs import Input


class _TowerBuilder(IncrementalBuilder):
    """What both have in common: one vector a structure, the model's identity among the parameters."""

    VERSION = 1
    COLLECTION = "embeddings"
    PACKAGES = ("elementembeddings", "moyopy", "numpy")
    MODEL: ClassVar[str]

    @dataclass(frozen=True)
    class Params:
        """Identity of the towers: other weights make every vector stale."""

        model: str = field(default_factory=identity)

    def setup(self) -> Towers:
        """Load the weights once a process."""
        from builders.embeddings.towers.model import load_towers
        from store.errors import BuildError

        assert isinstance(self.settings, _TowerBuilder.Params)
        towers = load_towers()
        if towers.identity != self.settings.model:
            raise BuildError(
                f"The towers were exchanged while vectors were made: {self.settings.model} before, {towers.identity} now.",
                mend=f"ionatlas build {self.NAME}",
            )
        return towers

    def _documents(
        self, keys: Sequence[str], given: Sequence[Any], embed: Callable[[Sequence[Any]], Any]
    ) -> list[dict[str, Any] | Exception]:
        good = [each for each in given if not isinstance(each, Exception)]
        vectors = iter(embed(good) if good else ())
        return [
            each if isinstance(each, Exception) else self._document(key, next(vectors))
            for key, each in zip(keys, given, strict=True)
        ]

    def _document(self, key: str, vector: Any) -> dict[str, Any]:
        return {
            "model": self.MODEL,
            "material": key.removeprefix(self.PREFIX),
            "vector": vector.astype("<f4").tobytes(),
            "dimension": len(vector),
        }


class TowerCompositionBuilder(_TowerBuilder):
    """Embed the composition of each structure by the composition tower.

    Examples
    --------
    >>> TowerCompositionBuilder(params={"model": "m"}).params
    {'model': 'm'}
    """

    NAME = "tower_compositions"
    MODEL = COMPOSITION
    PREFIX = COMPOSITION + "/"
    BATCH: ClassVar[int] = 200

    @classmethod
    def inputs(cls) -> tuple[Input, ...]:
        """Read the compositions."""
        return (KeyedInput("structures", prefix=cls.PREFIX, projection={"composition": 1}),)

    def compute_many(self, keys: Sequence[str], inputs: Sequence[dict[str, Any]]) -> list[dict[str, Any] | Exception]:
        """Embed many at once; an element that the towers do not know fails its own composition only."""
        read = [_attempt(_composition, each["structures"]) for each in inputs]
        towers: Towers = self.tools()
        return self._documents(keys, read, towers.embed_compositions)


class TowerStructureBuilder(_TowerBuilder):
    """Embed each structure by the structure tower.

    Examples
    --------
    >>> TowerStructureBuilder(params={"model": "m"}).NAME
    'tower_structures'
    """

    NAME = "tower_structures"
    MODEL = STRUCTURE
    PREFIX = STRUCTURE + "/"
    ITEM_SECONDS = 120.0
    BATCH: ClassVar[int] = 100

    @classmethod
    def inputs(cls) -> tuple[Input, ...]:
        """Read the primitive cells."""
        return (KeyedInput("structures", prefix=cls.PREFIX, projection={"primitive": 1}),)

    def compute_many(self, keys: Sequence[str], inputs: Sequence[dict[str, Any]]) -> list[dict[str, Any] | Exception]:
        """Describe structure by structure, embed all at once; what cannot be described fails alone."""
        described = [_attempt(_features, each["structures"]) for each in inputs]
        towers: Towers = self.tools()
        return self._documents(keys, described, towers.embed_features)


def _attempt(read: Callable[[dict[str, Any]], Any], document: dict[str, Any]) -> Any:
    try:
        return read(document)
    except IonatlasError as error:
        return error


def _composition(document: dict[str, Any]) -> Any:
    from builders.embeddings.towers.composition import composition_of

    return composition_of(document["composition"])


def _features(document: dict[str, Any]) -> Any:
    from builders.embeddings.towers.structure import structure_features
    from store.crystal import Crystal

    return structure_features(Crystal.from_document(document["primitive"]))
