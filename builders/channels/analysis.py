"""The whole analysis of one ion in one crystal: framework, voids, channels, percolation, hops.

Kernels in the order in which they are called; nothing here is computed twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from builders.channels.framework import split
from builders.channels.model import Certificate, Channels, Flag, HopLinks, Percolation, Voids
from builders.channels.network import MERGE_DIAMETER, MERGE_DISTANCE, build_network, voronoi_edges
from builders.channels.paths import hop_network, hop_percolation
from builders.channels.percolation import percolate
from builders.channels.symmetry import IDENTITY, SYMPREC, Symmetry, find_symmetry, orbits, stabiliser
from builders.geometry.delaunay import periodic_delaunay
from builders.geometry.homology import betti_numbers
from builders.geometry.insertion import inserted_volumes
from builders.geometry.measures import equivalent_radius
from builders.geometry.reduction import reduced_basis
from store.errors import GeometryError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.channels.network import Network
    from builders.channels.paths import HopNetwork
    from builders.channels.symmetry import Operations
    from builders.geometry.complex import PeriodicDelaunay
    from store.crystal import Crystal

HOLDS: Final = 0.5
"""Å; a void holds an ion site that is nearer than this to its centre."""
TORUS: Final = (1, 3, 3, 1)

FLAG_NO_SYMMETRY: Final = "symmetry not found"
FLAG_OFF_VOID: Final = "ion site off its void"
FLAG_SHARED_VOID: Final = "ion sites share a void"


@dataclass(frozen=True)
class Options:
    """What may be chosen about an analysis.

    Attributes
    ----------
    merge_distance, merge_diameter : float
        Å; see :func:`builders.channels.merging.merge`.
    symprec : float
        Å; tolerance of the symmetry search.
    hop_cutoff : float
        Å; longest hop.
    """

    merge_distance: float = MERGE_DISTANCE
    merge_diameter: float = MERGE_DIAMETER
    symprec: float = SYMPREC
    hop_cutoff: float = 8.0


DEFAULTS: Final = Options()


def analyse(crystal: Crystal, ion: str, options: Options = DEFAULTS) -> Channels:
    """Find the voids and channels that a framework offers an ion.

    Parameters
    ----------
    crystal : Crystal
        With the ion in it, or a host without it (then hops lead between voids). Any cell.
    ion : str
        Element symbol.
    options : Options, optional

    Returns
    -------
    Channels
        In the cell of ``crystal``.

    Raises
    ------
    StructureError
        Nothing but the ion is there, or the framework cannot be triangulated.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> rock_salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5, 0.5, 0.5], [0, 0, 0]])
    >>> found = analyse(rock_salt, "Li")
    >>> [round(radius, 3) for radius in found.percolation.radii]  # a / sqrt(6)
    [1.633, 1.633, 1.633]
    """
    framework = split(crystal, ion)
    lattice, atoms = crystal.lattice, framework.crystal.frac_coords
    core = analyse_network(atoms, lattice, framework.cations, options)
    flags = list(framework.flags)
    symmetry = find_symmetry(framework.crystal, options.symprec)
    if symmetry is None:
        flags.append(Flag(FLAG_NO_SYMMETRY, "Every void and hop counts as different: the symmetry search failed."))
        symmetry = Symmetry(IDENTITY, lattice)
    apart = _distances(core.network.frac_coords, framework.sites, lattice)
    voids = _voids(core, apart, symmetry, lattice)
    flags += _site_flags(apart, voids.r_void)
    own = _own_operations(symmetry, crystal, framework.sites, options)
    network = hop_network(
        lattice,
        framework.sites,
        voids,
        core.network.passages,
        own.rotations,
        own.translations,
        cutoff=options.hop_cutoff,
    )
    return Channels(
        ion=ion,
        anion=framework.anion,
        framework=framework.crystal,
        sites=framework.sites,
        occupancies=framework.occupancies,
        voids=voids,
        passages=core.network.passages,
        percolation=core.percolation,
        hops=network.hops,
        links=_links(network),
        hop_percolation=_no_wider(hop_percolation(network), core.percolation),
        flags=tuple(flags),
        certificate=core.certificate,
    )


def _links(network: HopNetwork) -> HopLinks:
    order = np.argsort(network.of_hop, kind="stable")
    return HopLinks(network.sites[order], network.offsets[order], network.of_hop[order])


def _no_wider(hops: Percolation, network: Percolation) -> Percolation:
    """Hops are measured once a symmetry class, and classes of nearly symmetric crystals differ by some 0.01 Å."""
    r1, r2, r3 = (min(pair) for pair in zip(hops.radii, network.radii, strict=True))
    return Percolation((r1, r2, r3), hops.directions)


def _own_operations(symmetry: Symmetry, crystal: Crystal, sites: NDArray[np.float64], options: Options) -> Operations:
    """The framework's operations that move ion sites to ion sites."""
    operations = symmetry.operations
    if len(operations.rotations) * len(sites) ** 2 <= _MOST_TRIALS:
        return stabiliser(operations, sites, crystal.lattice)
    found = find_symmetry(crystal, options.symprec)  # large supercells have thousands of translations
    return IDENTITY if found is None else found.operations


_MOST_TRIALS = 1_000_000
_TIE = 1e-3  # Å; radii that differ by less are the same for the directions of travel


class Core(NamedTuple):
    """Network and percolation of a framework, before symmetry, sizes and ions."""

    complex: PeriodicDelaunay
    network: Network
    percolation: Percolation
    certificate: Certificate


def analyse_network(
    frac_coords: NDArray[np.float64],
    lattice: NDArray[np.float64],
    cations: NDArray[np.bool_],
    options: Options = DEFAULTS,
) -> Core:
    """Triangulate a framework, prove it, and find its voids, channels and percolation radii.

    Percolation is that of the unmerged partition: merging joins voids past necks inside them.

    Examples
    --------
    >>> import numpy as np
    >>> core = analyse_network(np.zeros((1, 3)), 3.0 * np.eye(3), np.zeros(1, bool))
    >>> core.certificate.betti, [round(r / 3.0, 4) for r in core.percolation.radii]  # simple cubic: 1 / sqrt(2)
    ((1, 3, 3, 1), [0.7071, 0.7071, 0.7071])
    """
    complex_ = periodic_delaunay(frac_coords, lattice)
    betti = betti_numbers(complex_)
    if betti != TORUS:
        raise GeometryError(f"The triangulation has the Betti numbers {betti}, not those of a crystal, {TORUS}.")
    edges = voronoi_edges(complex_)
    percolation = percolate(edges.vertices, edges.offsets, edges.r_open, len(complex_.tetrahedra), tie=_TIE)
    network = build_network(complex_, edges, cations, distance=options.merge_distance, diameter=options.merge_diameter)
    certificate = Certificate("quotient complex", complex_.volume_error, betti, complex_.attempts, complex_.jitter)
    return Core(complex_, network, percolation, certificate)


def _voids(core: Core, apart: NDArray[np.float64], symmetry: Symmetry, lattice: NDArray[np.float64]) -> Voids:
    """Add what needs symmetry, the insertion of a point, and the distances to the ion sites."""
    network = core.network
    orbit = orbits(network.frac_coords, network.r_void, symmetry.operations, lattice)
    _, first = np.unique(orbit, return_index=True)
    # The translates of a point must not depend on the cell that the crystal happens to be given in.
    places = network.frac_coords[first] @ core.complex.lattice
    volumes = inserted_volumes(core.complex, places, symmetry.conventional)
    distance = apart.min(axis=1, initial=np.inf)
    site = apart.argmin(axis=1) if apart.shape[1] else np.full(len(apart), -1)
    return Voids(
        frac_coords=network.frac_coords,
        r_void=network.r_void,
        r_sd=equivalent_radius(volumes)[orbit],
        orbit=orbit,
        n_members=network.n_members,
        site=np.where(distance < HOLDS, site, -1),
        site_distance=distance,
    )


def _distances(
    places: NDArray[np.float64], sites: NDArray[np.float64], lattice: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Periodic distances, shape=(n_places, n_sites), Å: exact wherever they are the shortest of their row or column.

    In a reduced basis a difference rounded to the nearest cell is the shortest one if it is shorter than half the smallest
    spacing of lattice planes; otherwise the cells around are looked at as well.
    """
    basis, transform = reduced_basis(lattice)
    apart = (sites[None] - places[:, None]) @ np.linalg.inv(transform)
    apart -= np.rint(apart)
    cartesian = apart @ basis
    shortest: NDArray[np.float64] = np.einsum("ijk,ijk->ij", cartesian, cartesian)
    if shortest.size == 0:
        return shortest
    sure = (0.5 / np.linalg.norm(np.linalg.inv(basis), axis=0).max()) ** 2
    rows = np.flatnonzero(shortest.min(axis=1) >= sure)
    if (shortest.min(axis=0) >= sure).any():
        rows = np.arange(len(places))
    for step in _STEPS if len(rows) else ():
        moved = cartesian[rows] + step @ basis
        shortest[rows] = np.minimum(shortest[rows], np.einsum("ijk,ijk->ij", moved, moved))
    distances: NDArray[np.float64] = np.sqrt(shortest)
    return distances


_STEPS = np.array([step for step in np.ndindex(3, 3, 3) if step != (1, 1, 1)]) - 1


def _site_flags(apart: NDArray[np.float64], r_void: NDArray[np.float64]) -> list[Flag]:
    """Ion sites in no void's empty sphere, and voids that hold several sites; from the distances of voids and sites.

    An ion at the wall of a wide void is far from its centre and no cause for doubt.
    """
    n_sites = apart.shape[1]
    if n_sites == 0:
        return []
    nearest, distance = apart.argmin(axis=0), apart.min(axis=0)
    flags = []
    off = distance >= r_void[nearest]
    if off.any():
        flags.append(
            Flag(
                FLAG_OFF_VOID,
                f"{int(off.sum())} of {n_sites} ion sites lie outside the empty sphere of the nearest void "
                f"(farthest: {distance[off].max():.2f} Å).",
            )
        )
    shared = n_sites - len(np.unique(nearest))
    if shared:
        flags.append(Flag(FLAG_SHARED_VOID, f"{shared} of {n_sites} ion sites lie in the void of another one."))
    return flags
