"""Prototype labels: which Wyckoff positions of which space group are taken, and by what.

The label is that of AFLOW as pymatgen writes it, ``A2B_tP6_136_a_f:O-Ti``: anonymous formula in alphabetical order of
the elements, Pearson symbol, space-group number, Wyckoff letters of each element (counts in front), chemical system. The
same crystal can be described with other letters after a shift of origin or a swap of axes; of these descriptions the one
with the earliest letters is taken (Goodall et al. 2022, doi:10.1126/sciadv.abn4117).
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from builders.structures.elements import wyckoff_relabelings
from builders.structures.formulas import reduced_counts

if TYPE_CHECKING:
    from builders.structures.symmetry import Symmetry

Letters = tuple[tuple[str, int], ...]
"""Wyckoff letters of one element with their counts."""

# In the 26 letters and one of Pmmm, pymatgen gives the 27th, A, no weight; kept so that labels agree.
_WEIGHT = {letter: 0 if letter == "A" else ord(letter) - 96 for letter in "abcdefghijklmnopqrstuvwxyzA"}


def prototype_labels(species: tuple[str, ...], symmetry: Symmetry) -> tuple[str, str]:
    """Label the prototype of a crystal, with its elements and without.

    Parameters
    ----------
    species : tuple of str
        shape=(n_sites,), species of the sites that ``symmetry`` was found for; site labels when disordered.
    symmetry : Symmetry
        From :func:`builders.structures.symmetry.find_symmetry`.

    Returns
    -------
    tuple of str
        The label, e.g. ``AB2_tP6_136_f_a:O-Ti``, and the anonymous one, in which elements stand in ascending amounts
        and of the orders of elements with equal amounts the alphabetically first is taken, e.g. ``AB2_tP6_136_a_f``.

    Examples
    --------
    >>> from builders.structures.symmetry import find_symmetry
    >>> from store.crystal import Crystal
    >>> rock_salt = Crystal.from_lists([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], ["Na", "Cl"],
    ...                                [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> prototype_labels(rock_salt.species, find_symmetry(rock_salt))
    ('AB_cF8_225_a_b:Cl-Na', 'AB_cF8_225_a_b')
    """
    counts = Counter(species)
    taken: dict[str, Counter[str]] = {label: Counter() for label in sorted(counts)}
    wyckoffs = symmetry.wyckoffs
    for site, orbit in enumerate(symmetry.orbits):
        if site == orbit:
            taken[species[site]][wyckoffs[site]] += 1
    letters = tuple([tuple(sorted(found.items())) for found in taken.values()])
    reduced = reduced_counts(tuple([counts[label] for label in taken]))
    own, anonymous = canonical_letters(symmetry.number, letters, reduced)
    middle = f"{symmetry.pearson_symbol}_{symmetry.number}"
    return (
        f"{_formula(reduced)}_{middle}_{own}:{'-'.join(taken)}",
        f"{_formula(tuple(sorted(reduced)))}_{middle}_{anonymous}",
    )


@lru_cache(maxsize=16384)
def canonical_letters(number: int, letters: tuple[Letters, ...], amounts: tuple[int, ...]) -> tuple[str, str]:
    """Write Wyckoff letters in their earliest equivalent form.

    Parameters
    ----------
    number : int
        Space group.
    letters : tuple
        For each element, its ``((letter, count), ...)``.
    amounts : tuple of int
        For each element, its amount in the reduced formula.

    Returns
    -------
    tuple of str
        For the elements in the given order, and for the elements in ascending amounts.

    Examples
    --------
    >>> canonical_letters(225, ((("b", 1),), (("a", 1),)), (1, 1))
    ('a_b', 'a_b')
    """
    ordered: list[tuple[int, str]] = []
    anonymous: list[tuple[int, str]] = []
    for relabeling in wyckoff_relabelings()[number]:
        score = 0
        words = []
        for element in letters:
            # "A" is no key of some relabelings: a letter without an entry stays as it is.
            renamed = sorted([(relabeling.get(letter, letter), count) for letter, count in element])
            score += sum([_WEIGHT[letter] for letter, _ in renamed])
            words.append("".join([letter if count == 1 else f"{count}{letter}" for letter, count in renamed]))
        ordered.append((score, "_".join(words)))
        # Joined by "_", the smallest order of the words is that of the words with their "_".
        by_amount = sorted(zip(amounts, [f"{word}_" for word in words], strict=True))
        anonymous.append((score, "".join([word for _, word in by_amount])[:-1]))
    return min(ordered)[1], min(anonymous)[1]


def _formula(amounts: tuple[int, ...]) -> str:
    return "".join([f"{_letter(rank)}{amount if amount != 1 else ''}" for rank, amount in enumerate(amounts)])


def _letter(rank: int) -> str:
    """Name the kinds A to Z, then Aa, Ba ... as OPTIMADE does."""
    return chr(65 + rank % 26) + ("" if rank < 26 else chr(96 + rank // 26))
