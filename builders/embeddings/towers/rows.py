"""Structures and compositions to train on and to judge by: read from a file of structures, described, kept as arrays."""

from __future__ import annotations

import gzip
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from builders.embeddings.towers.composition import Composition, composition_sets
from builders.embeddings.towers.sets import Group, Sets, gather
from builders.embeddings.towers.structure import StructureFeatures, described

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FILE: Final = "rows.npz"


@dataclass(frozen=True, eq=False)
class Rows:
    """Structures, and the compositions that they have.

    Attributes
    ----------
    ids : tuple of str
        shape=(n,), of the structures.
    compositions : tuple of Composition
        shape=(m,), each once.
    owner : numpy.ndarray
        shape=(n,), int64; composition of each structure.
    label : numpy.ndarray
        shape=(n,), int64; stoichiometry of each structure.
    composition_label : numpy.ndarray
        shape=(m,), int64.
    structures : Sets
    prototypes : tuple of str
        shape=(n,), anonymous prototype of each structure.
    """

    ids: tuple[str, ...]
    compositions: tuple[Composition, ...]
    owner: NDArray[np.int64]
    label: NDArray[np.int64]
    composition_label: NDArray[np.int64]
    structures: Sets
    prototypes: tuple[str, ...]

    def composition_sets(self) -> Sets:
        """The compositions as the composition tower sees them."""
        return composition_sets(self.compositions)


def make_rows(ids: Sequence[str], features: Sequence[StructureFeatures], prototypes: Sequence[str]) -> Rows:
    """Put described structures together."""
    places: dict[Composition, int] = {}
    owner = [places.setdefault(Composition(each.elements, each.amounts), len(places)) for each in features]
    ratios: dict[tuple[int, ...], int] = {}
    compositions = tuple(places)
    composition_label = np.array([ratios.setdefault(each.amounts, len(ratios)) for each in compositions])
    owners = np.array(owner, dtype=np.int64)
    return Rows(
        tuple(ids),
        compositions,
        owners,
        composition_label[owners],
        composition_label,
        structure_sets(features),
        tuple(prototypes),
    )


def structure_sets(features: Sequence[StructureFeatures]) -> Sets:
    """Put described structures into sets for the structure tower, in order.

    Examples
    --------
    >>> structure_sets([]).groups
    {}
    """
    by_size: dict[int, list[StructureFeatures]] = defaultdict(list)
    for each in features:
        by_size[len(each.amounts)].append(each)
    groups = {k: _group(some) for k, some in sorted(by_size.items())}
    return gather([len(each.amounts) for each in features], groups)


def _group(features: Sequence[StructureFeatures]) -> Group:
    amounts = np.array([each.amounts for each in features], dtype=np.float64)
    return Group(
        np.stack([each.tokens for each in features]),
        (amounts / amounts.sum(axis=1, keepdims=True)).astype(np.float32),
        np.stack([each.whole for each in features]),
        np.stack([each.pairs for each in features]),
        whole_kind=np.array([each.space_group for each in features], dtype=np.int64),
    )


def read_rows(
    path: Path, folder: Path | None = None, *, processes: int = 1, progress: Callable[[int], None] | None = None
) -> Rows:
    """Describe the structures of a file (gzip'ed JSON Lines), or read what an earlier call kept in ``folder``.

    Structures that cannot be described are left out.
    """
    if folder is not None and (folder / FILE).exists():
        return load_rows(folder)
    ids, features, prototypes = [], [], []
    for number, (identifier, found) in enumerate(_described(path, processes), start=1):
        if found is not None:
            ids.append(identifier)
            features.append(found[0])
            prototypes.append(found[1])
        if progress is not None and number % 1000 == 0:
            progress(number)
    rows = make_rows(ids, features, prototypes)
    if folder is not None:
        save_rows(rows, folder)
    return rows


def _described(path: Path, processes: int) -> Iterator[tuple[str, tuple[StructureFeatures, str] | None]]:
    from multiprocessing import get_context

    with gzip.open(path, "rb") as lines:
        if processes == 1:
            yield from map(_describe, lines)
            return
        with get_context("spawn").Pool(processes) as pool:
            yield from pool.imap(_describe, lines, chunksize=100)


def _describe(line: bytes) -> tuple[str, tuple[StructureFeatures, str] | None]:
    from store.crystal import Crystal
    from store.errors import IonatlasError

    row = orjson.loads(line)
    given = row["structure"]
    try:
        crystal = Crystal.from_lists(given["lattice"], given["species"], given["frac_coords"])
        return row["id"], described(crystal)
    except IonatlasError:
        return row["id"], None


def save_rows(rows: Rows, folder: Path) -> None:
    """Keep rows in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {
        "ids": np.array(rows.ids),
        "formulas": np.array([_text(each) for each in rows.compositions]),
        "owner": rows.owner,
        "prototypes": np.array(rows.prototypes),
    }
    for k, group in rows.structures.groups.items():
        arrays[f"members_{k}"] = rows.structures.members[k]
        arrays[f"tokens_{k}"], arrays[f"pairs_{k}"] = group.tokens, group.pairs
        arrays[f"weights_{k}"], arrays[f"whole_{k}"], arrays[f"kind_{k}"] = group.weights, group.whole, group.whole_kind
    partial = folder / ("part-" + FILE)
    np.savez(partial, **arrays)
    partial.replace(folder / FILE)


def load_rows(folder: Path) -> Rows:
    """Read what :func:`save_rows` wrote."""
    with np.load(folder / FILE) as held:
        sizes = sorted(int(name.split("_")[1]) for name in held.files if name.startswith("tokens_"))
        groups = {
            k: Group(
                held[f"tokens_{k}"],
                held[f"weights_{k}"],
                held[f"whole_{k}"],
                held[f"pairs_{k}"],
                whole_kind=held[f"kind_{k}"],
            )
            for k in sizes
        }
        members = {k: held[f"members_{k}"] for k in sizes}
        compositions = tuple(map(_composition, held["formulas"].tolist()))
        ids, owner, prototypes = tuple(held["ids"].tolist()), held["owner"], tuple(held["prototypes"].tolist())
    ratios: dict[tuple[int, ...], int] = {}
    label = np.array([ratios.setdefault(each.amounts, len(ratios)) for each in compositions])
    return Rows(ids, compositions, owner, label[owner], label, Sets(groups, members), prototypes)


def _text(composition: Composition) -> str:
    return " ".join(f"{e}:{n}" for e, n in zip(composition.elements, composition.amounts, strict=True))


def _composition(text: str) -> Composition:
    parts: Iterable[list[str]] = [each.split(":") for each in text.split()]
    return Composition(tuple(e for e, _ in parts), tuple(int(n) for _, n in parts))


def held_out(rows: Rows, count: int, *, seed: int, avoid: Iterable[int] = ()) -> NDArray[np.int64]:
    """Draw compositions to keep out, the same for the same seed; numbers, ascending."""
    free = np.setdiff1d(np.arange(len(rows.compositions)), np.fromiter(avoid, dtype=np.int64))
    # Drawn by name, so that the order of the file does not matter.
    names = np.array([_text(rows.compositions[place]) for place in free])
    chosen = np.random.default_rng(seed).choice(len(free), size=min(count, len(free)), replace=False)
    return np.sort(free[np.argsort(names)][chosen])
