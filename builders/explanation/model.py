"""The model that is explained: boosted trees on Betti curves, kept as LightGBM's text, with the card of how good it is.

It is no better a predictor than the model of :mod:`builders.conductivity`; it is the one whose every prediction can be taken
apart exactly into what the holes of each kind of atoms add.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.explanation.features import COMPOSITION, CURVES, columns, describe, label
from builders.learning.attribution import grouped, tree_contributions
from builders.models.files import CARD, read_together, write_whole, written
from builders.topology.vectors import GRID
from store.errors import UsageError
from store.provenance import content_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from builders.topology.persistence import Diagrams

WEIGHTS: Final = Path(__file__).parent / "weights"
TREES: Final = "trees.txt.gz"


@dataclass(frozen=True, eq=False)
class CurvePart:
    """What one Betti curve adds to a prediction.

    Attributes
    ----------
    group : str
        Of :data:`builders.topology.groups.GROUPS`.
    degree : int
    contribution : float
        log10 S/cm; the sum of ``columns``.
    columns : numpy.ndarray
        shape=(n_grid,); what each radius adds.
    curve : numpy.ndarray
        shape=(n_grid,); holes per atom of the group at each radius; nan where the crystal lacks the group.
    usual : numpy.ndarray
        shape=(n_grid,); median of the compounds learnt from.
    """

    group: str
    degree: int
    contribution: float
    columns: NDArray[np.float64]
    curve: NDArray[np.float64]
    usual: NDArray[np.float64]

    @property
    def grid(self) -> NDArray[np.float64]:
        """Radii, Å."""
        return GRID[self.degree]


@dataclass(frozen=True, eq=False)
class Explained:
    """A prediction taken apart.

    Attributes
    ----------
    value : float
        log10 S/cm; ``expected + composition + sum of the parts' contributions``.
    expected : float
        What the model says of a compound of which nothing is known.
    composition : float
        What the elements add.
    parts : list of CurvePart
        In the order of :data:`builders.explanation.features.CURVES`.
    """

    value: float
    expected: float
    composition: float
    parts: list[CurvePart]


@dataclass(frozen=True, eq=False)
class ExplainedModel:
    """Boosted trees on Betti curves and composition.

    Attributes
    ----------
    booster : lightgbm.Booster
    usual : numpy.ndarray
        shape=(n_columns,); medians of the training rows.
    card : dict
        Data, protocol, scores beside a constant, ranking of the curves, seed, licence, versions.
    """

    booster: Any
    usual: NDArray[np.float64]
    card: dict[str, Any]

    @property
    def id(self) -> str:
        """Name and version."""
        return str(self.card["id"])

    def explain(self, composition: Mapping[str, float], diagrams: Mapping[str, Diagrams]) -> Explained:
        """Predict, and say what each curve adds.

        Parameters
        ----------
        composition : mapping
            ``{element symbol: amount}``.
        diagrams : mapping
            As :func:`builders.topology.analysis.analyse` returns it.

        Raises
        ------
        FeatureError
            An element without data.

        Examples
        --------
        >>> from builders.topology.analysis import analyse
        >>> from store.crystal import Crystal
        >>> salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5] * 3, [0] * 3])
        >>> found = load_explained().explain(salt.amounts(), analyse(salt))
        >>> total = found.expected + found.composition + sum(part.contribution for part in found.parts)
        >>> abs(total - found.value) < 1e-9
        True
        """
        row = describe(composition, diagrams)
        value = float(np.asarray(self.booster.predict(row[None, :], num_threads=1))[0])
        values, expected = tree_contributions(self.booster, row[None, :])
        names, sums = grouped(values, columns()[1])
        total = dict(zip(names, sums[0].tolist(), strict=True))
        parts, begin = [], 0
        for group, degree in CURVES:
            end = begin + len(GRID[degree])
            part = slice(begin, end)
            name = label(group, degree)
            parts.append(CurvePart(group, degree, total[name], values[0, part], row[part], self.usual[part]))
            begin = end
        return Explained(value, float(expected[0]), total[COMPOSITION], parts)


def save_explained(model: ExplainedModel, folder: Path) -> None:
    """Write ``trees.txt.gz`` (LightGBM's text) and ``card.json``, each whole or not at all."""
    text = model.booster.model_to_string(num_iteration=-1)
    content = gzip.compress(text.encode(), 9, mtime=0)
    card = {**model.card, "weights_hash": content_hash(content), "usual": [_number(each) for each in model.usual]}
    told = json.dumps(card, indent=None, ensure_ascii=False, separators=(",", ":")) + "\n"
    try:
        write_whole(folder, {TREES: content, CARD: told.encode()})
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written: {error.strerror or error}.", mend="name another folder"
        ) from None


def _number(value: float) -> float | None:
    return round(float(value), 5) if np.isfinite(value) else None


def load_explained(path: Path | None = None) -> ExplainedModel:
    """Read a model.

    Parameters
    ----------
    path : pathlib.Path, optional
        Folder that :func:`save_explained` wrote; by default the one that ships.

    Raises
    ------
    UsageError
        There is no model in the folder, its files do not belong together, or it is of another version.

    Examples
    --------
    >>> load_explained().id
    'conductivity-explained-1'
    """
    folder = (path or WEIGHTS).resolve()
    return _load(folder, written(folder, (TREES, CARD)))


@lru_cache(maxsize=4)
def _load(folder: Path, written: tuple[tuple[int, int], ...]) -> ExplainedModel:
    import lightgbm

    mend = "ionatlas train explanation ROWS"
    content, card = read_together(folder, TREES, absent="There is no model to explain", foreign="The trees", mend=mend)
    text = gzip.decompress(content).decode()
    usual = np.array([np.nan if value is None else value for value in card.pop("usual")], dtype=np.float64)
    if len(usual) != len(columns()[0]):
        raise UsageError(
            f"The model in {folder} has {len(usual)} columns; this version makes {len(columns()[0])}.", mend=mend
        )
    return ExplainedModel(lightgbm.Booster(model_str=text), usual, card)
