"""PredictionBuilder: ``channels`` -> ``predictions``, one document a material and ion."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from builders.channels.builder import OfIonsBuilder
from builders.channels.pairs import split_key
from builders.engine.inputs import KeyedInput
from store.ion_fields import IONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from builders.engine.inputs import Input, StampTables
    from builders.predictions.hops import Model


@dataclass(frozen=True)
class ChannelsInput(KeyedInput):
    """The channels of each pair of material and ion."""

    collection: str = "channels"

    def targets(self, materials: Iterable[str], tables: StampTables) -> set[str]:
        """Return the pairs of some materials, and pairs as they are: those whose channels are still to be made, too."""
        wanted = set(materials)
        stored = {key for key in tables.derived(self.collection) if split_key(key)[0] in wanted}
        return stored | {key for key in wanted if split_key(key)[1] in IONS}


class PredictionBuilder(OfIonsBuilder):
    """Predict the barrier of every hop whose channels are in the store, and what it costs the ion to cross the crystal.

    Predictions follow the documents of ``channels`` that are there; the choice of ions is a selection and no parameter.

    Examples
    --------
    >>> PredictionBuilder(params={"model": "m"}, selection={"ions": ["Li"]}).params
    {'model': 'm'}
    """

    NAME = "predictions"
    VERSION = 1
    COLLECTION = "predictions"
    PACKAGES = ("lightgbm", "numpy", "scipy")
    ITEM_SECONDS = 300.0
    BATCH: ClassVar[int] = 32

    @dataclass(frozen=True)
    class Params:
        """Identity of the model, its weights included: other weights make every prediction stale."""

        model: str = field(default_factory=lambda: _model_identity())

    @classmethod
    def inputs(cls) -> tuple[Input, ...]:
        """Read the channels."""
        return (ChannelsInput(),)

    def setup(self) -> Model:
        """Load the weights once a process."""
        from builders.migration.model import MigrationModel
        from builders.models.chosen import load_named

        assert isinstance(self.settings, PredictionBuilder.Params)
        return load_named(MigrationModel, self.settings.model, self.NAME)

    def compute_many(self, keys: Sequence[str], inputs: Sequence[dict[str, Any]]) -> list[dict[str, Any] | Exception]:
        """Describe hop by hop, ask the model once; what cannot be read fails alone."""
        from builders.channels.document import from_document
        from builders.predictions.document import to_document
        from builders.predictions.hops import predict_crystals
        from store.errors import IonatlasError

        read: list[Any] = []
        for each in inputs:
            try:
                read.append(from_document(each["channels"]))
            except IonatlasError as error:
                read.append(error)
        model: Model = self.tools()
        predicted = iter(predict_crystals(model, [each for each in read if not isinstance(each, Exception)]))
        return [
            each
            if isinstance(each, Exception)
            else {"material": split_key(key)[0], **to_document(each, next(predicted), model.id)}
            for key, each in zip(keys, read, strict=True)
        ]


def _model_identity() -> str:
    from builders.migration.model import MigrationModel
    from builders.models.chosen import identity

    return identity(MigrationModel)
