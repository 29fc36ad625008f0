"""Percolation of a periodic graph: how wide an ion may be and still travel without end in one, two or three directions.

A node is a place in the home cell; an edge (i, j, n) joins node i to node j in cell n. A walk that ends on a translated copy
of the node where it began has crossed a lattice translation; the translations of all closed walks of a component form a
subgroup of Z^3, and its rank is the component's number of directions. Edges are joined from the widest to the narrowest
(Kruskal's order), and each component carries the cell of every node relative to one of them, so that an edge inside a component
gives its translation at once: union-find with offsets. Nodes carry their component's number, and the smaller
of two components is renumbered when they meet: no node is renumbered more than log2(n) times.

The rank belongs to a component, not to the graph: two sets of rods that never meet, one along a and one along b, are a crystal
with two kinds of one-dimensional channels, not a two-dimensional one.

Offsets are packed into one Python integer, of which sums, differences and signs are those of the vectors: the loop
makes no arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from builders.channels.model import Percolation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

Vector = tuple[int, int, int]
Basis = tuple[Vector, ...]

TIE = 1e-6
"""Å; edges whose widths differ by less are equally wide: symmetry made them so, and rounding told them apart."""


@dataclass(frozen=True, eq=False)
class Component:
    """Nodes that edges connect, with all their translated copies.

    Attributes
    ----------
    rank : int
        Directions in which it goes on without end, 0 to 3.
    directions : tuple
        Basis of its translations in Hermite normal form, ``rank`` integer vectors in units of the cell vectors.
    nodes : numpy.ndarray
        shape=(n,), int; ascending.
    """

    rank: int
    directions: Basis
    nodes: NDArray[np.int64]


def percolate(
    nodes: NDArray[np.int64],
    offsets: NDArray[np.int64],
    widths: NDArray[np.float64],
    n_nodes: int,
    *,
    tie: float = TIE,
) -> Percolation:
    """Find the largest widths at which some component of a periodic graph has rank 1, 2 and 3.

    Parameters
    ----------
    nodes : numpy.ndarray
        shape=(n_edges, 2), int; the two ends of each edge, each edge given once. Loops and several edges between the
        same two nodes are welcome.
    offsets : numpy.ndarray
        shape=(n_edges, 3), int; cell of the second end when the first is in the home cell.
    widths : numpy.ndarray
        shape=(n_edges,), float64, Å; above zero. A wider edge is passed more easily.
    n_nodes : int
    tie : float
        Å; widths that differ by less count as equal when directions are asked for.

    Returns
    -------
    Percolation
        ``radii[k - 1]`` is the largest width w such that the edges at least w wide give some component the rank k; exact,
        and 0.0 where no w does. ``directions[k - 1]`` is the Hermite normal form of that component's translations, once
        every edge at least ``radii[k - 1] - tie`` wide is in: the same for every order of nodes and edges and every choice
        of the nodes' cells. It holds k vectors, or more where the radii of further directions are the same; () where rank k
        is never reached. Of several components that reach it together, the one of the highest rank is told, and among
        those the one whose basis comes first in the order of numbers.

    Raises
    ------
    ValueError
        If the arrays do not fit together, or a width is not a number.

    Examples
    --------
    A square net of rods, narrow along the third axis:

    >>> nodes, offsets = np.zeros((3, 2), dtype=int), np.eye(3, dtype=int)
    >>> found = percolate(nodes, offsets, np.array([1.8, 1.8, 1.2]), 1)
    >>> found.radii
    (1.8, 1.8, 1.2)
    >>> found.directions[1], found.directions[2]
    (((1, 0, 0), (0, 1, 0)), ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    """
    _check(nodes, offsets, widths, n_nodes)
    order = np.argsort(-widths, kind="stable")
    nets = _Nets(n_nodes, offsets)
    radii = [0.0, 0.0, 0.0]
    found: list[Basis] = [(), (), ()]
    reached = told = 0  # ranks reached; ranks whose directions are final
    until = -np.inf  # directions of rank told + 1 are final before an edge narrower than this comes in
    for width, first, second, offset in zip(
        widths[order].tolist(),
        nodes[order, 0].tolist(),
        nodes[order, 1].tolist(),
        nets.pack(offsets[order]),
        strict=True,
    ):
        while told < reached and width < until:
            found[told] = nets.directions(told + 1)
            told += 1
            until = radii[told] - tie if told < reached else -np.inf
        if told == 3:
            break
        rank = nets.join(first, second, offset)
        while reached < rank:
            radii[reached] = width
            if told == reached:
                until = width - tie
            reached += 1
    for k in range(told, reached):
        found[k] = nets.directions(k + 1)
    return Percolation((radii[0], radii[1], radii[2]), (found[0], found[1], found[2]))


def components(
    nodes: NDArray[np.int64],
    offsets: NDArray[np.int64],
    widths: NDArray[np.float64],
    threshold: float,
    n_nodes: int,
) -> tuple[Component, ...]:
    """Split a periodic graph, of which only the edges at least ``threshold`` wide count, into its components.

    Parameters
    ----------
    nodes, offsets, widths, n_nodes
        As for :func:`percolate`.
    threshold : float
        Å.

    Returns
    -------
    tuple of Component
        A partition of the nodes, those without any edge included; the highest rank first, then the largest, then the one that
        holds the lowest node number.

    Raises
    ------
    ValueError
        If the arrays do not fit together, or a width is not a number.

    Examples
    --------
    >>> parts = components(np.array([[0, 1], [1, 0]]), np.array([[0, 0, 0], [0, 1, 0]]), np.array([1.8, 1.7]), 1.5, 3)
    >>> [(part.rank, part.directions, part.nodes.tolist()) for part in parts]
    [(1, ((0, 1, 0),), [0, 1]), (0, (), [2])]
    """
    _check(nodes, offsets, widths, n_nodes)
    wide = widths >= threshold
    nets = _Nets(n_nodes, offsets)
    for (first, second), offset in zip(nodes[wide].tolist(), nets.pack(offsets[wide]), strict=True):
        nets.join(first, second, offset)
    parts = []
    for members in nets.members:
        if members:
            basis = nets.bases.get(nets.label[members[0]], ())
            parts.append(Component(len(basis), basis, np.array(sorted(members), dtype=np.int64)))
    parts.sort(key=lambda part: (-part.rank, -len(part.nodes), int(part.nodes[0])))
    return tuple(parts)


def dimension(percolation: Percolation, threshold: float) -> int:
    """Count the directions in which an ion that needs passages ``threshold`` wide can travel without end.

    Parameters
    ----------
    percolation : Percolation
    threshold : float
        Å.

    Returns
    -------
    int
        0 to 3.

    Examples
    --------
    >>> dimension(Percolation((1.734, 1.734, 1.316), ((), (), ())), 1.67)
    2
    """
    return sum(radius > 0.0 and radius >= threshold for radius in percolation.radii)


def translation_basis(vectors: Iterable[Vector]) -> Basis:
    """Basis of the lattice that integer vectors span, in Hermite normal form.

    Rows in echelon form, each pivot positive, the entries above a pivot from 0 to one less than it: one form for each lattice
    (H. Cohen, A Course in Computational Algebraic Number Theory, 1993, section 2.4).

    Parameters
    ----------
    vectors : iterable of tuple of int

    Returns
    -------
    tuple of tuple of int
        As many rows as the rank.

    Examples
    --------
    >>> translation_basis([(0, 2, 0), (1, -1, 0), (1, 1, 0)])
    ((1, 1, 0), (0, 2, 0))
    """
    basis: Basis = ()
    for vector in vectors:
        basis = _with_vector(basis, vector)
    return basis


def _with_vector(basis: Basis, vector: Vector) -> Basis:
    """Hermite normal form of the lattice that ``basis`` (in that form) and one more vector span.

    Examples
    --------
    >>> _with_vector(((1, 1, 0), (0, 2, 0)), (0, 3, 1))
    ((1, 0, 1), (0, 1, 1), (0, 0, 2))
    """
    rows = {_pivot(row): row for row in basis}
    rest = vector
    for pivot in range(3):
        if not rest[pivot]:
            continue
        if pivot not in rows:
            rows[pivot] = rest
            break
        row = rows[pivot]
        while rest[pivot]:  # Euclid's algorithm on two rows: the pivot becomes their common divisor
            row, rest = rest, _minus(row, rest, row[pivot] // rest[pivot])
        rows[pivot] = row
    return _reduced([rows[pivot] for pivot in sorted(rows)])


def _reduced(rows: list[Vector]) -> Basis:
    """Make the pivots of echelon rows positive and what stands above them smallest."""
    for k, row in enumerate(rows):
        pivot = _pivot(row)
        if row[pivot] < 0:
            rows[k] = row = (-row[0], -row[1], -row[2])
        for above in range(k):  # changes no column left of this pivot: what was done before stays
            rows[above] = _minus(rows[above], row, rows[above][pivot] // row[pivot])
    return tuple(rows)


def _pivot(row: Vector) -> int:
    return 0 if row[0] else 1 if row[1] else 2


def _minus(first: Vector, second: Vector, times: int) -> Vector:
    return (first[0] - times * second[0], first[1] - times * second[1], first[2] - times * second[2])


class _Nets:
    """Components of a growing periodic graph, and the translations of each.

    ``label[x]`` is the component of node x; ``cell[x]`` its packed cell relative to the others' of the same component.
    """

    def __init__(self, n_nodes: int, offsets: NDArray[np.int64]) -> None:
        # A cell is a sum of offsets along a path, a translation one of two cells and an offset: none exceeds three times the
        # sum of all. Twice that for the sign.
        largest = 6 * int(np.abs(offsets).sum()) + 1
        self._bits = largest.bit_length()
        self.label = list(range(n_nodes))
        self.members = [[node] for node in range(n_nodes)]
        self.bases: dict[int, Basis] = {}
        self._cell = [0] * n_nodes
        self._seen: dict[int, set[int]] = {}  # translations already in a component's basis, up to sign

    def pack(self, offsets: NDArray[np.int64]) -> list[int]:
        """One integer for each vector, shape=(n, 3)."""
        exact = offsets.astype(np.int64 if 3 * self._bits < 63 else object)
        packed: list[int] = ((exact[:, 0] << 2 * self._bits) + (exact[:, 1] << self._bits) + exact[:, 2]).tolist()
        return packed

    def join(self, first: int, second: int, offset: int) -> int:
        """Add an edge; the rank of its component where the edge may have raised it, else 0."""
        one, other = self.label[first], self.label[second]
        shift = self._cell[first] + offset - self._cell[second]
        if one == other:
            if not shift:
                return 0
            translation, seen = abs(shift), self._seen.setdefault(one, set())
            if translation in seen:
                return 0
            seen.add(translation)
            basis = self.bases[one] = _with_vector(self.bases.get(one, ()), self._unpack(translation))
            return len(basis)
        if len(self.members[one]) < len(self.members[other]):
            one, other, shift = other, one, -shift
        return self._merge(one, other, shift)

    def _merge(self, one: int, other: int, shift: int) -> int:
        """Let component ``one`` take in the other, whose cells all move by ``shift``."""
        label, cell, moved = self.label, self._cell, self.members[other]
        for node in moved:
            label[node] = one
            cell[node] += shift
        self.members[one] += moved
        self.members[other] = []
        gained = self.bases.pop(other, ())
        if not gained:
            return 0
        self._seen.setdefault(one, set()).update(self._seen.pop(other))
        basis = self.bases.get(one, ())
        for vector in gained:
            basis = _with_vector(basis, vector)
        self.bases[one] = basis
        return len(basis)

    def directions(self, rank: int) -> Basis:
        """Translations of the component of at least this rank, the canonical one of several."""
        return min(
            (basis for basis in self.bases.values() if len(basis) >= rank), key=lambda basis: (-len(basis), basis)
        )

    def _unpack(self, packed: int) -> Vector:
        half, mask = 1 << (self._bits - 1), (1 << self._bits) - 1
        third = ((packed + half) & mask) - half
        packed = (packed - third) >> self._bits
        second = ((packed + half) & mask) - half
        return ((packed - second) >> self._bits, second, third)


def _check(nodes: NDArray[np.int64], offsets: NDArray[np.int64], widths: NDArray[np.float64], n_nodes: int) -> None:
    n_edges = len(widths)
    if nodes.shape != (n_edges, 2) or offsets.shape != (n_edges, 3):
        raise ValueError(
            f"Edges need nodes (n, 2), offsets (n, 3) and widths (n,); given {nodes.shape}, {offsets.shape} and {widths.shape}."
        )
    if n_edges and not 0 <= int(nodes.min()) <= int(nodes.max()) < n_nodes:
        raise ValueError(f"Nodes are numbered 0 to {n_nodes - 1}; given {int(nodes.min())} to {int(nodes.max())}.")
    if np.isnan(widths).any():
        raise ValueError(f"Widths must be numbers; {int(np.isnan(widths).sum())} of {n_edges} are not.")
