"""The trained networks: compositions in, probability out that their stable structures are one arrangement.

Two models have the same interface. ``load_pairs()`` is ours: an ensemble of encoders whose Euclidean distance decides. The
members' embeddings stand side by side, each scaled so that the squared distance of two rows is what the mean of the members'
logits loses: the most probable templates are the nearest neighbours. One column a member is the root of a doubt, how little a
composition says of its arrangement: a query has 0 there (:func:`as_queries`), since its own doubt moves all templates alike.
``load_cspml()`` is CSPML's classifier as published, trained here: an ensemble of five, no embedding.

Only NumPy is needed.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.embeddings.pairs.compositions import Scale, bucket, formula_key, read_sets, read_statistics
from builders.embeddings.pairs.network import difference_logit, encode, separation
from builders.models.chosen import trained_folder
from builders.models.files import read_together, write_whole, written
from store.errors import UsageError
from store.provenance import content_hash

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.float32]]

FOLDER: Final = Path(__file__).parent / "weights"
CARD: Final = "card.json"
PAIRS: Final = "pairs"
CSPML: Final = "cspml"
MEND: Final = "python -m builders.embeddings.pairs.train STRUCTURES"

BUCKETS: Final = 1000
_BYTES: Final = ".bytes"
_SCALE: Final = ".scale_of_rows"

HELD_BUCKETS: Final = 60
"""Of a thousand formulas, so many are in no member's training: they stop and calibrate it."""


@dataclass(frozen=True)
class Line:
    """Platt's calibration: the logit times ``slope`` plus ``offset`` is the log odds."""

    slope: float = 1.0
    offset: float = 0.0

    def probability(self, logit: NDArray[np.floating]) -> NDArray[np.float64]:
        """Logits to probabilities.

        Examples
        --------
        >>> Line(2.0, 0.0).probability(np.array([0.0, 1.0])).round(3).tolist()
        [0.5, 0.881]
        """
        odds = np.clip(self.slope * np.asarray(logit, dtype=np.float64) + self.offset, -60, 60)
        found: NDArray[np.float64] = 1 / (1 + np.exp(-odds))
        return found


@dataclass(frozen=True, eq=False)
class PairModel:
    """The metric: an ensemble of encoders.

    Attributes
    ----------
    members : tuple of dict
        Arrays of each encoder.
    scale : Scale
        Of the statistics.
    seed : int
        Which member saw which formula hangs on it (:meth:`fold_of`).
    ensemble, single : Line
        Calibration of the mean of all members and of one, in the balance of the protocol (as many alike as unlike pairs).
    card : dict
    """

    members: tuple[Arrays, ...]
    scale: Scale
    seed: int = 0
    ensemble: Line = field(default_factory=Line)
    single: Line = field(default_factory=Line)
    card: Mapping[str, Any] = field(default_factory=dict)

    def embed(self, compositions: Sequence[Mapping[str, float]]) -> NDArray[np.float32]:
        """Embed compositions for nearest-neighbour search with the ordinary Euclidean distance.

        Returns
        -------
        numpy.ndarray
            shape=(n, members * (dimension + 1)), float32. The logit of a pair is a number of the query alone minus the squared
            distance of :meth:`as_queries` of its row and the template's row.

        Examples
        --------
        >>> len(load_pairs().embed([{"Li": 1, "Ni": 1, "P": 1, "O": 4}]))
        1
        """
        sets = read_sets(compositions, self.scale)
        found: NDArray[np.float32] = np.concatenate([encode(sets, member) for member in self.members], axis=1)
        return found / np.float32(np.sqrt(len(self.members)))

    def as_queries(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows of :meth:`embed` to search with among rows of :meth:`embed`: their own doubts taken out."""
        found = rows.copy().reshape(len(rows), len(self.members), -1)
        found[:, :, -1] = 0
        return found.reshape(rows.shape)

    def probability(
        self,
        query: Mapping[str, float],
        templates: Sequence[Mapping[str, float]],
        *,
        unseen_only: bool = False,
    ) -> NDArray[np.float64]:
        """Probability that the stable structure of a query is the arrangement of that of each template.

        Parameters
        ----------
        query : mapping
            ``{element: amount}``.
        templates : sequence of mappings
            Compositions of the query's ratio (others have no common arrangement, and the network has not learned to say so).
        unseen_only : bool
            Use only members that did not learn from the query's formula: what training of something further needs.

        Returns
        -------
        numpy.ndarray
            shape=(n,). In the balance of the protocol: at 0.5 the pair is as probably alike as not, had it been drawn from as
            many alike as unlike pairs of its ratio.

        Examples
        --------
        >>> probability = load_pairs().probability({"Na": 1, "Cl": 1}, [{"K": 1, "Br": 1}, {"B": 1, "N": 1}])
        >>> bool(probability[0] > probability[1])
        True
        """
        if not len(templates):
            return np.zeros(0)
        rows = self.embed([query, *templates])
        members = self.unseen_members(query) if unseen_only else None
        return self.of_embeddings(rows[0], rows[1:], members)

    def of_embeddings(
        self, query: NDArray[np.float32], templates: NDArray[np.float32], members: Sequence[int] | None = None
    ) -> NDArray[np.float64]:
        """Compute probabilities from rows of :meth:`embed`.

        Parameters
        ----------
        query : numpy.ndarray
            shape=(dimension,) or (n, dimension).
        templates : numpy.ndarray
            shape=(n, dimension).
        members : sequence of int, optional
            Members to ask; all by default (:meth:`unseen_members`).

        Returns
        -------
        numpy.ndarray
            shape=(n,).
        """
        line = self.ensemble if members is None or len(members) > 1 else self.single
        return line.probability(self.logit(query, templates, members))

    def logit(
        self, query: NDArray[np.float32], templates: NDArray[np.float32], members: Sequence[int] | None = None
    ) -> NDArray[np.float64]:
        """Mean logit of the members before calibration, shape=(n,)."""
        count = len(self.members)
        chosen = list(range(count) if members is None else members)
        one, other = (np.atleast_2d(rows).reshape(-1, count, rows.shape[-1] // count) for rows in (query, templates))
        lost = separation(one[:, chosen], other[:, chosen]).mean(axis=1, dtype=np.float64)
        offsets = np.array([float(self.members[member]["offset"]) for member in chosen])
        # embed divides by the number of all members.
        found: NDArray[np.float64] = offsets.mean() - lost * count
        return found

    def fold_of(self, composition: Mapping[str, float]) -> int:
        """The member that did not learn from this formula; -1 where none did."""
        number = bucket(formula_key(composition), self.seed, BUCKETS)
        return -1 if number < HELD_BUCKETS else number % len(self.members)

    def unseen_members(self, composition: Mapping[str, float]) -> list[int]:
        """Members that did not learn from this formula: one, or all of them for a held-out formula.

        A formula that was not in the training set at all is unseen by all; this is not asked here, so that what is said of
        a known and of an unknown formula compares.
        """
        fold = self.fold_of(composition)
        return list(range(len(self.members))) if fold < 0 else [fold]


@dataclass(frozen=True, eq=False)
class DifferenceModel:
    """CSPML's classifier: an ensemble of networks on the absolute difference of z-scored statistics.

    Attributes
    ----------
    members : tuple of dict
        Arrays, batch normalisation folded in.
    scale : Scale
    card : dict
    """

    members: tuple[Arrays, ...]
    scale: Scale
    card: Mapping[str, Any] = field(default_factory=dict)

    def probability(self, query: Mapping[str, float], templates: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
        """Mean probability of the members that a query and each template are alike, shape=(n,).

        Examples
        --------
        >>> load_cspml().probability({"Na": 1, "Cl": 1}, [{"K": 1, "Br": 1}]).shape          # doctest: +SKIP
        (1,)
        """
        statistics = (read_statistics([query, *templates]) - self.scale.mean) / self.scale.std
        return self.of_statistics(statistics[:1].astype(np.float32), statistics[1:].astype(np.float32))

    def of_statistics(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities of pairs of z-scored statistics, shape=(n, 290) each; one may have a single row."""
        apart = np.abs(first - second)
        found = [Line().probability(difference_logit(apart, member)) for member in self.members]
        return np.asarray(np.mean(found, axis=0), dtype=np.float64)


def load_pairs(folder: Path | None = None) -> PairModel:
    """Load our metric: of a folder, else the shipped one; one that did not change on disk is read once.

    Raises
    ------
    UsageError
        The folder holds no such model.
    """
    model = _load(PAIRS, folder or trained_folder("pairs", FOLDER))
    assert isinstance(model, PairModel)
    return model


def load_cspml(folder: Path | None = None) -> DifferenceModel:
    """Load CSPML's network: of a folder, else the shipped one.

    Raises
    ------
    UsageError
        The folder holds no such model.
    """
    model = _load(CSPML, folder or trained_folder("pairs", FOLDER))
    assert isinstance(model, DifferenceModel)
    return model


def save_model(model: PairModel | DifferenceModel, folder: Path) -> None:
    """Write weights and card into a subfolder named after the kind of model.

    Weights are kept in half precision; matrices of the classifier, which only benchmarks use, in a byte a number.
    """
    kind = PAIRS if isinstance(model, PairModel) else CSPML
    arrays: dict[str, NDArray[Any]] = {"scale.mean": model.scale.mean, "scale.std": model.scale.std}
    for place, member in enumerate(model.members):
        for name, values in member.items():
            shared = name == "vectors"  # the same for all
            arrays.update(_packed(name if shared else f"{place}.{name}", values, small=kind == CSPML))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # NumPy's stub takes the names for its own options
    content = buffer.getvalue()
    card = {**model.card, "model": kind, "members": len(model.members), "weights_hash": content_hash(content)}
    if isinstance(model, PairModel):
        card["seed"] = model.seed
        card["calibration"] = {
            name: [line.slope, line.offset] for name, line in (("ensemble", model.ensemble), ("single", model.single))
        }
    text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    write_whole(folder / kind, {"weights.npz": content, CARD: text.encode()})


def _load(kind: str, folder: Path) -> PairModel | DifferenceModel:
    place = (folder / kind).resolve()
    return _read(kind, place, written(place))


@lru_cache(maxsize=8)
def _read(kind: str, folder: Path, written: tuple[tuple[int, int], ...]) -> PairModel | DifferenceModel:
    content, card = read_together(
        folder, "weights.npz", absent="There is no model of pairs", foreign="The weights", mend=MEND
    )
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        scale = Scale(arrays.pop("scale.mean").astype(np.float64), arrays.pop("scale.std").astype(np.float64))
        members = tuple([_member(arrays, place) for place in range(card["members"])])
        if card["model"] != kind:
            raise KeyError(card["model"])
        if kind == CSPML:
            return DifferenceModel(members, scale, card)
        lines = {name: Line(*pair) for name, pair in card["calibration"].items()}
        return PairModel(members, scale, int(card["seed"]), card=card, **lines)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"The files in {folder} are not those of the model {kind}: {type(error).__name__}: {error}.", mend=MEND
        ) from error


def _member(arrays: Mapping[str, NDArray[Any]], place: int) -> dict[str, NDArray[np.float32]]:
    start = f"{place}."
    found = {name[len(start) :]: values for name, values in arrays.items() if name.startswith(start)}
    if "vectors" in arrays:
        found["vectors"] = arrays["vectors"]
    return {
        name.removesuffix(_BYTES): _unpacked(name, values, found)
        for name, values in found.items()
        if not name.endswith(_SCALE)
    }


def _packed(name: str, values: NDArray[np.float32], *, small: bool) -> dict[str, NDArray[Any]]:
    if not small or values.ndim < 2:
        return {name: np.asarray(values, dtype=np.float16)}
    scale = np.abs(values).max(axis=1, keepdims=True) / 127
    safe = np.where(scale > 0, scale, 1)
    return {name + _BYTES: np.rint(values / safe).astype(np.int8), name + _SCALE: scale.astype(np.float32)}


def _unpacked(name: str, values: NDArray[Any], others: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = values.astype(np.float32)
    return found * others[name.removesuffix(_BYTES) + _SCALE] if name.endswith(_BYTES) else found
