"""ConductivityPredictionBuilder: ``structures`` -> ``conductivity_predictions``, one document a structure that holds lithium.

A builder of its own, beside that of migration energies: both predict, but from other inputs (structures, not channels) with other
models, and new weights of one must leave the documents of the other as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from builders.channels.builder import OfIonsBuilder
from builders.channels.pairs import amounts_of, is_analysed, key_of, split_key
from builders.engine.inputs import RAW

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pymongo.database import Database

    from builders.conductivity.model import ConductivityModel
    from builders.engine.inputs import Fetched, Input, StampTables

ION: Final = "Li"
"""The ion whose conductivity was measured often enough to learn from."""

NO_SALT: Final = "not a salt of lithium: in metals electrons conduct, and no measurement of the training set is of one"


@dataclass(frozen=True)
class LithiumInput:
    """Every structure that holds lithium; the target's key is ``<structure>/Li``."""

    collection: str = "structures"
    role: str = "structures"
    required: bool = True
    group: str = "chemical_formula_reduced"

    def hashes(self, tables: StampTables) -> Mapping[str, str]:
        """Map each pair to the hash of its structure."""
        rows = tables.derived(self.collection, group=self.group)
        return {key_of(material, ION): row.hash for material, row in rows.items() if ION in amounts_of(row.group)}

    def fetch(self, database: Database[Any], keys: Sequence[str]) -> dict[str, Fetched]:
        """Read compositions and primitive cells."""
        materials = {split_key(key)[0]: key for key in keys}
        documents = database[self.collection].with_options(codec_options=RAW)
        projection = {"primitive": 1, "composition": 1, self.group: 1}
        found = documents.find({"_id": {"$in": list(materials)}}, projection)
        return {materials[each["_id"]]: bytes(each.raw) for each in found}

    def targets(self, materials: Iterable[str], tables: StampTables) -> set[str]:
        """Return the pairs of some structures."""
        return {key_of(material, ION) for material in materials} & set(self.hashes(tables))

    def places(self, database: Database[Any], key: str) -> list[str]:
        """Return the structure of a pair."""
        return [split_key(key)[0]]


class ConductivityPredictionBuilder(OfIonsBuilder):
    """Predict the ionic conductivity at 298 K of every structure that holds lithium.

    Examples
    --------
    >>> ConductivityPredictionBuilder(params={"model": "m"}).params
    {'model': 'm'}
    """

    NAME = "conductivity_predictions"
    VERSION = 1
    COLLECTION = "conductivity_predictions"
    PACKAGES = ("numpy", "scipy")
    ITEM_SECONDS = 300.0
    BATCH: ClassVar[int] = 32

    @dataclass(frozen=True)
    class Params:
        """Identity of the model, and of that of the barriers among its descriptors: other weights make every prediction stale."""

        model: str = field(default_factory=lambda: _model_identity())
        barriers: str = field(default_factory=lambda: _barrier_identity())

    @classmethod
    def inputs(cls) -> tuple[Input, ...]:
        """Read the structures that hold lithium."""
        return (LithiumInput(),)

    def setup(self) -> ConductivityModel:
        """Load the weights once a process."""
        from builders.conductivity.model import ConductivityModel
        from builders.models.chosen import load_named

        assert isinstance(self.settings, ConductivityPredictionBuilder.Params)
        return load_named(ConductivityModel, self.settings.model, self.NAME)

    def compute_many(self, keys: Sequence[str], inputs: Sequence[dict[str, Any]]) -> list[dict[str, Any] | Exception]:
        """Describe structure by structure, ask the model once; what cannot be described fails alone."""
        described: list[Any] = []
        for each in inputs:
            try:
                described.append(_describe(each["structures"]))
            except Exception as error:  # whatever it is, it is this item's failure and recorded
                described.append(error)
        good = [each for each in described if not isinstance(each, Exception)]
        if not good:
            return described
        model: ConductivityModel = self.tools()
        told = model.predict(np.array(good), np.ones(len(good), dtype=np.bool_))
        made: list[dict[str, Any] | Exception] = []
        number = 0
        for key, given, each in zip(keys, inputs, described, strict=True):
            if isinstance(each, Exception):
                made.append(each)
                continue
            material, ion = split_key(key)
            salt = is_analysed(given["structures"]["chemical_formula_reduced"], ion)
            row = _row(told, number, None if salt else NO_SALT)
            made.append({"material": material, "ion": ion, "model": model.id, **row})
            number += 1
        return made


def _describe(structure: Mapping[str, Any]) -> Any:
    from builders.conductivity.features import describe
    from store.crystal import Crystal

    return describe(structure["composition"], Crystal.from_document(structure["primitive"]))


def _row(told: Any, number: int, doubt: str | None) -> dict[str, Any]:
    """One prediction; None for a number that the model does not give."""
    numbers = [float(values[number]) for values in (told.value, told.lower, told.upper)]
    known = bool(np.isfinite(numbers).all())
    distance = float(told.distance[number])
    reason = doubt or told.reasons[number] or (None if known else "The model gives no number.")
    return {
        "conductivity": numbers[0] if known else None,
        "conductivity_lower": numbers[1] if known else None,
        "conductivity_upper": numbers[2] if known else None,
        "conductivity_in_domain": bool(told.in_domain[number]) and known and doubt is None,
        "conductivity_distance": distance if np.isfinite(distance) else None,
        "conductivity_reason": reason,
    }


def _model_identity() -> str:
    from builders.conductivity.model import ConductivityModel
    from builders.models.chosen import identity

    return identity(ConductivityModel)


def _barrier_identity() -> str:
    from builders.migration.model import MigrationModel
    from builders.models.chosen import shipped_identity

    return shipped_identity(MigrationModel)
