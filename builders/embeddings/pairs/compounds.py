"""The compounds that pairs are made of: one a formula, with the profile of its stable arrangement."""

from __future__ import annotations

import gzip
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from builders.embeddings.pairs.compositions import formula_key, ratio_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Compounds:
    """Compounds, one a formula.

    Attributes
    ----------
    ids : tuple of str
    compositions : tuple of dict
        One formula unit.
    ratios : tuple of str
    profiles : tuple of numpy.ndarray
        shape=(n_elements, n_elements, 2, k), float16; :func:`builders.embeddings.structure.arrangement.profile`.
    keys : tuple of str
        Formulas by :func:`builders.embeddings.pairs.compositions.formula_key`.
    """

    ids: tuple[str, ...]
    compositions: tuple[dict[str, float], ...]
    ratios: tuple[str, ...]
    profiles: tuple[NDArray[np.float16], ...]
    keys: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)


def read_formula_keys(path: Path) -> set[str]:
    """Formulas of the structures of a file, to keep them out."""
    return {formula_key(_composition(row)) for row in _rows(path)}


def read_compounds(
    path: Path, exclude: Collection[str] = (), progress: Callable[[int], None] | None = None
) -> Compounds:
    """Read compounds from a structures file.

    Of each formula the entry of the lowest formation energy counts (entries without one come last).

    Parameters
    ----------
    path : Path
        gzip'ed JSON Lines with ``id``, ``structure`` (``lattice``, ``species``, ``frac_coords``) and
        ``formation_energy_per_atom``.
    exclude : collection of str
        Formulas that are left out (:func:`read_formula_keys`).
    progress : callable, optional
        Called with the number of profiles made, now and then.
    """
    unwanted = set(exclude)
    chosen: dict[str, tuple[float, dict[str, Any]]] = {}
    for row in _rows(path):
        key = formula_key(_composition(row))
        energy = row.get("formation_energy_per_atom")
        value = math.inf if energy is None else float(energy)
        if key not in unwanted and (key not in chosen or value < chosen[key][0]):
            chosen[key] = (value, row)
    return make_compounds([row for _, row in chosen.values()], progress)


def make_compounds(rows: Sequence[dict[str, Any]], progress: Callable[[int], None] | None = None) -> Compounds:
    """Make compounds of rows of a structures file, one a formula."""
    from builders.embeddings.structure.arrangement import profile
    from builders.structures.validation import validate
    from store.crystal import Crystal

    compositions, profiles = [], []
    for number, row in enumerate(rows):
        unit = _composition(row)
        elements = sorted(unit, key=lambda symbol: (unit[symbol], symbol))
        given = row["structure"]
        crystal = validate(Crystal.from_lists(given["lattice"], given["species"], given["frac_coords"])).crystal
        # Means over the atoms of an element are the same in every cell: no primitive cell is needed.
        profiles.append(profile(crystal, elements).astype(np.float16))
        compositions.append({symbol: float(unit[symbol]) for symbol in elements})
        if progress is not None and number % 1000 == 999:
            progress(number + 1)
    return Compounds(
        tuple([str(row["id"]) for row in rows]),
        tuple(compositions),
        tuple([ratio_of(each) for each in compositions]),
        tuple(profiles),
        tuple([formula_key(each) for each in compositions]),
    )


def save_compounds(compounds: Compounds, path: Path) -> None:
    """Keep compounds in a file of arrays, so that profiles are made once."""
    sizes = [len(each) for each in compounds.profiles]
    table = orjson.dumps([list(pair) for pair in zip(compounds.ids, compounds.compositions, strict=True)])
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez_compressed(
        part,
        table=np.frombuffer(table, dtype=np.uint8),
        sizes=np.array(sizes),
        profiles=np.concatenate([each.reshape(-1) for each in compounds.profiles]),
    )
    part.replace(path)


def load_compounds(path: Path) -> Compounds:
    """Read what :func:`save_compounds` wrote."""
    with np.load(path) as archive:
        table, sizes, flat = orjson.loads(archive["table"].tobytes()), archive["sizes"], archive["profiles"]
    depth = len(flat) // int((2 * sizes**2).sum())
    ends = np.cumsum(2 * sizes**2 * depth)
    parts = np.split(flat, ends[:-1])
    profiles = tuple([part.reshape(n, n, 2, depth) for part, n in zip(parts, sizes, strict=True)])
    compositions = tuple([dict(pair[1]) for pair in table])
    return Compounds(
        tuple([pair[0] for pair in table]),
        compositions,
        tuple([ratio_of(each) for each in compositions]),
        profiles,
        tuple([formula_key(each) for each in compositions]),
    )


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    with gzip.open(path, "rb") as file:
        for line in file:
            yield orjson.loads(line)


def _composition(row: dict[str, Any]) -> dict[str, int]:
    counts = Counter(row["structure"]["species"])
    divisor = math.gcd(*counts.values())
    return {symbol: count // divisor for symbol, count in counts.items()}
