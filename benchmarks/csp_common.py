"""What the benchmark of structure prediction asks, how rivals order templates, and how answers are judged."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from builders.templates.candidates import Proposals
from builders.templates.elements import element_distances
from builders.templates.features import base_cost
from builders.templates.prototypes import collapse
from builders.templates.ranker import ALTERNATIVES, POOL, Ranker
from indexes.templates.library import TemplateLibrary
from indexes.templates.questions import proposals_of, stable_formulas
from indexes.templates.retrieve import Retrieved, retrieve
from store.crystal import Crystal

DEPTHS = (1, 5, 10, 20)
MATCHER = {"ltol": 0.2, "stol": 0.3, "angle_tol": 5}
SYMPREC = 0.1
NEVER = 10**6
MATCHER_LIKELY = 0.5
"""From this probability on two arrangements count as one kind where no matcher is asked."""


@dataclass(frozen=True, eq=False)
class Asked:
    """One query with what retrieval proposed."""

    formula: str
    found: Retrieved
    proposals: Proposals


@dataclass(frozen=True, eq=False)
class Judged:
    """Rank (from 1) of the first answer with the right structure, the right space group, and both; NEVER if none."""

    structure: int
    group: int
    both: int
    matched: tuple[bool, ...]


def held_out(formula: str) -> bool:
    """Whether a formula belongs to the tenth of mp that no shipped model has seen."""
    return hashlib.sha256(formula.encode()).digest()[0] < 26


def published_distance() -> np.ndarray:
    """Element distance that learned nothing from the templates: XenonPy's features and periodic numbers."""
    return element_distances().combined({"xenonpy": 1.0, "periodic": 1.0})


def ask(library: TemplateLibrary, formula: str, allowed: np.ndarray | None = None) -> Asked:
    """Retrieve templates for a formula, its own left out."""
    found = retrieve(library, formula, exclude_own=True, allowed=allowed, top=POOL, alternatives=ALTERNATIVES)
    return Asked(formula, found, proposals_of(library, found))


# --------------------------------------------------------------------------------------------------------------- orderings

Order = Callable[[Asked], list[int]]
"""From a query to proposals, best first, each another arrangement."""


def by_score(asked: Asked, score: np.ndarray) -> list[int]:
    """One proposal an arrangement, in the order of the best score in each."""
    if not len(score):
        return []
    arrangements = collapse(asked.proposals.rows, asked.proposals.formula_units, asked.proposals.space_group)
    order, seen, out = np.argsort(-score, kind="stable"), set(), []
    for k in order.tolist():
        if arrangements.of[k] not in seen:
            seen.add(arrangements.of[k])
            out.append(k)
    return out


def nearest(asked: Asked) -> list[int]:
    """The templates whose elements are nearest by XenonPy's features, as CSPML measures element dissimilarity."""
    return by_score(asked, -asked.found.costs[:, 0].sum(axis=1))


def voted(asked: Asked, temperature: float = 0.25) -> list[int]:
    """The arrangements for which most near templates speak: sum of exp(-cost / T)."""
    proposals = asked.proposals
    if not len(proposals):
        return []
    arrangements = collapse(proposals.rows, proposals.formula_units, proposals.space_group)
    vote = np.bincount(arrangements.of, np.exp(-base_cost(proposals) / temperature))
    first = arrangements.first
    return [int(k) for k in first[np.argsort(-vote, kind="stable")]]


def ranked(ranker: Ranker) -> Order:
    """The order of ours, without energies."""
    return lambda asked: ranker.rank(asked.proposals).proposal.tolist()


def random_templates(library: TemplateLibrary, seed: int = 0) -> Callable[[str, np.ndarray | None], list[Crystal]]:
    """Twenty templates of the right stoichiometry drawn at random, elements put in by the cheapest assignment."""
    rng = np.random.default_rng(seed)

    def draw(formula: str, allowed: np.ndarray | None = None) -> list[Crystal]:
        found = retrieve(library, formula, exclude_own=True, allowed=allowed, top=1 << 20, alternatives=1)
        chosen = rng.permutation(len(found))[: DEPTHS[-1]]
        return [crystal_of(library, found, int(k)) for k in chosen]

    return draw


def network_templates(library: TemplateLibrary) -> Callable[[str], list[Crystal]] | None:
    """CSPML as published: its network scores the stable templates of the stoichiometry, one a formula."""
    from builders.embeddings.pairs.model import load_cspml
    from store.errors import UsageError

    try:
        network = load_cspml()
    except UsageError as error:
        print(f"  (no row for CSPML's network: {error})")
        return None
    stable = np.zeros(len(library), bool)
    stable[stable_formulas(library)] = True
    distance = element_distances().of("xenonpy")

    def answers(formula: str) -> list[Crystal]:
        found = retrieve(
            library, formula, exclude_own=True, allowed=stable, top=1 << 20, alternatives=1, distance=distance
        )
        if not len(found):
            return []
        templates = [library.query(int(place)).composition() for place in found.templates]
        order = np.argsort(-network.probability(found.query.composition(), templates), kind="stable")
        return [crystal_of(library, found, int(row)) for row in order[: DEPTHS[-1]]]

    return answers


def crystal_of(library: TemplateLibrary, found: Retrieved, row: int) -> Crystal:
    """The crystal of a proposal at the template's own volume (the matcher scales)."""
    place = int(found.templates[row])
    replaced = {int(old): element for element, old in zip(found.query.elements, found.mapping[row], strict=True)}
    symbols = tuple([replaced[int(k)] for k in library.species(place)])
    return Crystal(library.lattice(place), library.frac_coords(place), symbols)


# ----------------------------------------------------------------------------------------------------------------- judging


class Judge:
    """StructureMatcher (0.2, 0.3, 5) and space group (symprec 0.1) against one ground truth a formula."""

    def __init__(self) -> None:
        from pymatgen.analysis.structure_matcher import StructureMatcher

        self._matcher = StructureMatcher(**MATCHER)
        self._known: dict[tuple[str, Any], tuple[bool, bool]] = {}

    def one(self, truth: Crystal, candidate: Crystal) -> tuple[bool, bool]:
        """Whether the structures match, and whether the space groups are equal."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            match = bool(self._matcher.fit(structure_of(truth), structure_of(candidate)))
        return match, group_of(truth) == group_of(candidate)

    def judge(self, key: str, truth: Crystal, candidates: Iterable[tuple[Any, Crystal]]) -> Judged:
        """Judge the first twenty answers; what was judged before under the same key is remembered."""
        outcomes = []
        for name, candidate in candidates:
            if len(outcomes) == DEPTHS[-1]:
                break
            if (key, name) not in self._known:
                self._known[key, name] = self.one(truth, candidate)
            outcomes.append(self._known[key, name])
        return Judged(
            _first([match for match, _ in outcomes]),
            _first([group for _, group in outcomes]),
            _first([match and group for match, group in outcomes]),
            tuple([match for match, _ in outcomes]),
        )


def _first(right: Sequence[bool]) -> int:
    return right.index(True) + 1 if True in right else NEVER


def structure_of(crystal: Crystal) -> Any:
    """As pymatgen wants it."""
    from pymatgen.core import Lattice, Structure

    return Structure(Lattice(crystal.lattice), list(crystal.species), crystal.frac_coords)


def group_of(crystal: Crystal) -> int:
    """Number of the space group."""
    from builders.structures.symmetry import find_symmetry

    return find_symmetry(crystal, SYMPREC).number


def shares(ranks: Sequence[int]) -> list[float]:
    """Share of ranks within each depth, %."""
    return [100.0 * float(np.mean([rank <= depth for rank in ranks])) if ranks else float("nan") for depth in DEPTHS]


# ----------------------------------------------------------------------------------------------------------------- library


def open_mp(folder: Path | None, data: Path) -> TemplateLibrary:
    """The library of mp.jsonl.gz: read from a folder that an earlier run wrote, or made (some minutes)."""
    if folder is not None and (folder / "manifest.json").exists():
        return TemplateLibrary.load(folder)
    started = time.perf_counter()
    library = read_library(data / "structures" / "mp.jsonl.gz")
    print(f"  library of {len(library):,} templates made in {time.perf_counter() - started:.0f} s", flush=True)
    if folder is not None:
        library.save(folder)
    return library


def read_library(path: Path, workers: int = 2) -> TemplateLibrary:
    """Make entries of the rows of a file of structures, in processes."""
    import gzip
    from multiprocessing import get_context

    with gzip.open(path, "rt") as file, get_context("spawn").Pool(workers) as pool:
        return TemplateLibrary.from_entries(e for e in pool.imap(entry_of_line, file, chunksize=200) if e is not None)


def entry_of_line(line: str) -> Any:
    """Library entry of one line, or None where a row is no template."""
    import json
    from dataclasses import replace

    from indexes.templates.entries import entry_of
    from store.errors import IonatlasError

    row = json.loads(line)
    given = row["structure"]
    try:
        entry = entry_of(row["id"], Crystal.from_lists(given["lattice"], given["species"], given["frac_coords"]))
    except (IonatlasError, KeyError):
        return None
    nan = float("nan")
    day = row.get("created_at")
    hull, formation = row.get("energy_above_hull"), row.get("formation_energy_per_atom")
    return replace(
        entry,
        energy_above_hull=nan if hull is None else hull,
        formation_energy_per_atom=nan if formation is None else formation,
        created=int(day[:10].replace("-", "")) if day else 0,
        experimental=row.get("icsd"),
    )
