"""The trained towers: compositions and structures in, vectors of one space out, and what a score is worth.

Weights and card ship with the package (made by :mod:`builders.embeddings.towers.train`). The towers are an ensemble: the
vectors of its members stand side by side, divided by the square root of their number, so that the inner product of two
vectors is the mean of the members' cosines. Only NumPy is needed.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.embeddings.towers import composition as composition_features
from builders.embeddings.towers import structure as structure_features_module
from builders.embeddings.towers.composition import Composition, composition_of, composition_sets
from builders.embeddings.towers.network import embed_sets
from builders.embeddings.towers.rows import structure_sets
from builders.embeddings.towers.structure import StructureFeatures, structure_features
from builders.embeddings.towers.support import Support
from builders.models.chosen import trained_folder
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from builders.embeddings.towers.sets import Sets
    from store.crystal import Crystal

COMPOSITION: Final = "tower-composition"
STRUCTURE: Final = "tower-structure"
"""Names under which the vectors stand in the collection ``embeddings``."""

FOLDER: Final = Path(__file__).parent / "weights"
ARRAYS: Final = "weights.npz"
CARD: Final = "card.json"
FORMAT: Final = (1, composition_features.VERSION, structure_features_module.VERSION)
"""Versions of this file's layout and of the features: weights of others are refused."""

Arrays = dict[str, "NDArray[np.float32]"]


@dataclass(frozen=True, eq=False)
class Towers:
    """Trained towers.

    Attributes
    ----------
    left, right : tuple of dict
        Arrays of the composition and the structure tower of each member.
    knots : dict of str to numpy.ndarray
        shape=(2, n): scores, ascending, and the probability at each, by kind of question (``structure``: prototype and
        about the given volume; ``arrangement``: prototype at any volume).
    support : dict of str to Support
        Probability by score and relatives, by kind of question.
    card : dict
        Data, split, scores, seed, licence, versions.
    """

    left: tuple[Arrays, ...]
    right: tuple[Arrays, ...]
    knots: Mapping[str, NDArray[np.float64]]
    support: Mapping[str, Support]
    card: Mapping[str, Any]

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return sum(len(each["head.out.bias"]) for each in self.left)

    @property
    def identity(self) -> str:
        """Name and weights, for stamps and manifests."""
        return f"{self.card['id']}:{self.card['weights_hash']}"

    def embed_compositions(
        self, compositions: Sequence[str | Mapping[str, float] | Composition]
    ) -> NDArray[np.float32]:
        """Embed compositions.

        Parameters
        ----------
        compositions : sequence
            Formulas, amounts by element, or what :func:`composition_of` made of them.

        Returns
        -------
        numpy.ndarray
            shape=(n, d), float32, rows of length 1. A row does not depend on the order of the elements.

        Raises
        ------
        FeatureError
            No formula, or an element that the towers do not know.

        Examples
        --------
        >>> from builders.embeddings.towers.model import load_towers
        >>> one, two = load_towers().embed_compositions(["LiFePO4", {"O": 8, "P": 2, "Fe": 2, "Li": 2}])
        >>> bool(np.allclose(one, two, atol=1e-6))
        True
        """
        read = [each if isinstance(each, Composition) else composition_of(each) for each in compositions]
        return self._embed(self.left, composition_sets(read), len(read))

    def embed_structures(self, crystals: Sequence[Crystal]) -> NDArray[np.float32]:
        """Embed crystals, from wherever they come: no store is needed. A disordered site counts as much as it is occupied.

        Parameters
        ----------
        crystals : sequence of Crystal

        Returns
        -------
        numpy.ndarray
            shape=(n, d), float32, rows of length 1.

        Raises
        ------
        StructureError
            A crystal is impossible.
        """
        return self.embed_features([structure_features(crystal) for crystal in crystals])

    def embed_features(self, features: Sequence[StructureFeatures]) -> NDArray[np.float32]:
        """Embed crystals that were described already (:func:`structure_features`), shape=(n, d)."""
        return self._embed(self.right, structure_sets(features), len(features))

    def embed_sets(self, side: str, sets: Sets) -> NDArray[np.float32]:
        """Embed prepared sets of the ``left`` (composition) or ``right`` (structure) tower, shape=(n, d)."""
        return self._embed(self.left if side == "left" else self.right, sets, len(sets))

    def _embed(self, members: tuple[Arrays, ...], sets: Sets, count: int) -> NDArray[np.float32]:
        if not count:
            return np.zeros((0, self.dimension), dtype=np.float32)
        parts = [embed_sets(each, sets) for each in members]
        found: NDArray[np.float32] = np.concatenate(parts, axis=1) / np.float32(np.sqrt(len(members)))
        return found

    def probability(self, scores: NDArray[Any], kind: str = "structure") -> NDArray[np.float64]:
        """Turn scores (inner products) into calibrated probabilities.

        Parameters
        ----------
        scores : numpy.ndarray
        kind : {"structure", "arrangement"}
            ``structure``: score of the structure as it is; ``arrangement``: the best score over volumes.

        Returns
        -------
        numpy.ndarray
            As ``scores``, in (0, 1): how often, of compounds that exist, one with this score has the prototype.
        """
        x, y = self.knots[kind]
        found: NDArray[np.float64] = np.asarray(np.interp(np.asarray(scores, dtype=np.float64), x, y))
        return found


def load_towers(folder: Path | None = None) -> Towers:
    """Read towers, once while their files do not change.

    Of a folder; by default of that of the setting IONATLAS_EMBEDDINGS, else those that ship.

    Raises
    ------
    UsageError
        There are none, their files do not belong together, or they were made for other features.

    Examples
    --------
    >>> load_towers().card["id"]
    'towers-1'
    """
    from builders.models.files import written

    place = (folder or trained_folder("towers", FOLDER)).resolve()
    return _load(place, written(place, (ARRAYS, CARD)))


@lru_cache(maxsize=4)
def _load(folder: Path, written: tuple[tuple[int, int], ...]) -> Towers:
    from builders.models.files import read_together

    content, card = read_together(
        folder,
        ARRAYS,
        absent="There are no towers",
        foreign="The weights of the towers",
        mend="ionatlas train embeddings",
    )
    if tuple(card.get("format", ())) != FORMAT:
        raise UsageError(
            f"The towers in {folder} were trained for other features ({card.get('format')}) than this version's "
            f"({list(FORMAT)}).",
            mend="ionatlas train embeddings",
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as held:
        arrays = {name: held[name] for name in held.files}
    members = range(int(card["members"]))
    left, right = (tuple(_member(arrays, side, number) for number in members) for side in ("left", "right"))
    knots = {name.removeprefix("knots."): value for name, value in arrays.items() if name.startswith("knots.")}
    support = {
        name.removeprefix("support."): Support.from_array(value)
        for name, value in arrays.items()
        if name.startswith("support.")
    }
    return Towers(left, right, knots, support, card)


def _member(arrays: Mapping[str, NDArray[Any]], side: str, number: int) -> Arrays:
    prefix = f"{side}.{number}."
    return {
        name.removeprefix(prefix): value.astype(np.float32) for name, value in arrays.items() if name.startswith(prefix)
    }


def save_towers(towers: Towers, folder: Path) -> None:
    """Write weights (half precision; scales of the inputs whole) and card; the same numbers give the same weights file."""
    from builders.models.files import write_whole
    from store.provenance import content_hash

    arrays: dict[str, Any] = {f"knots.{name}": value for name, value in towers.knots.items()}
    arrays.update({f"support.{name}": each.to_array() for name, each in towers.support.items()})
    for number, member in enumerate(zip(towers.left, towers.right, strict=True)):
        for side, tower in zip(("left", "right"), member, strict=True):
            for name, value in tower.items():
                whole = name.endswith(("_mean", "_std"))
                arrays[f"{side}.{number}.{name}"] = value.astype(np.float32 if whole else np.float16)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    content = buffer.getvalue()
    told = {
        **towers.card,
        "id": "towers-1",
        "format": list(FORMAT),
        "members": len(towers.left),
        "weights_hash": content_hash(content),
    }
    text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    write_whole(folder, {ARRAYS: content, CARD: text.encode()})


def identity() -> str:
    """Identity of the towers that are used: name and hash of the weights (needs the card alone).

    Raises
    ------
    UsageError
        The card cannot be read.

    Examples
    --------
    >>> identity().startswith("towers-1:")
    True
    """
    folder = trained_folder("towers", FOLDER)
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        return f"{card['id']}:{card['weights_hash']}"
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(
            f"The card of the towers in {folder} cannot be read: {type(error).__name__}.", mend="install ionatlas again"
        ) from error


def dimension() -> int:
    """Length of a vector of the towers that are used, for indexes.

    Examples
    --------
    >>> dimension() == load_towers().dimension
    True
    """
    return load_towers().dimension
