"""What an analysis of voids and channels says: frozen arrays, one row a void or a channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from store.crystal import Crystal


class Flag(NamedTuple):
    """A doubt about an analysis, or why it could not be made.

    Attributes
    ----------
    code : str
        Fixed words, such as "disordered framework".
    reason : str
        One sentence with the numbers of this case.
    """

    code: str
    reason: str


@dataclass(frozen=True, eq=False)
class Voids:
    """Voids of the framework, one row each (vertices of the Voronoi partition, near-coincident ones merged).

    Attributes
    ----------
    frac_coords : numpy.ndarray
        shape=(n_voids, 3), float64, in [0, 1).
    r_void : numpy.ndarray
        shape=(n_voids,), float64, Å; radius of the largest empty sphere around the void's members: distance to the nearest
        framework atoms.
    r_sd : numpy.ndarray
        shape=(n_voids,), float64, Å; radius of the sphere as large as the Voronoi cell of a point put at the void's centre
        (with its lattice translates only) into the framework.
    orbit : numpy.ndarray
        shape=(n_voids,), int; voids with the same number are equivalent by symmetry.
    n_members : numpy.ndarray
        shape=(n_voids,), int; Voronoi vertices merged into the void.
    site : numpy.ndarray
        shape=(n_voids,), int; the ion site that the void holds, -1 for none.
    site_distance : numpy.ndarray
        shape=(n_voids,), float64, Å; distance to the nearest ion site, inf where there is none.
    """

    frac_coords: NDArray[np.float64]
    r_void: NDArray[np.float64]
    r_sd: NDArray[np.float64]
    orbit: NDArray[np.int64]
    n_members: NDArray[np.int64]
    site: NDArray[np.int64]
    site_distance: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Passages:
    """Channels between voids, one row each: edges of the Voronoi partition.

    A channel leads from void ``voids[:, 0]`` in the home cell to void ``voids[:, 1]`` in cell ``offsets``; each is listed once,
    in one direction. Several channels may join the same two voids.

    Attributes
    ----------
    voids : numpy.ndarray
        shape=(n_channels, 2), int.
    offsets : numpy.ndarray
        shape=(n_channels, 3), int.
    r_chan : numpy.ndarray
        shape=(n_channels,), float64, Å; circumradius of the triangle of atoms that form the channel.
    r_open : numpy.ndarray
        shape=(n_channels,), float64, Å; true bottleneck along the channel: ``r_chan`` where the circle's centre lies inside
        the edge, else the smaller empty sphere of its two ends; and never more than the neck between its end and the
        middle of the void there.
    length : numpy.ndarray
        shape=(n_channels,), float64, Å; distance of the two voids.
    atoms : numpy.ndarray
        shape=(n_channels, 3), int; framework atoms that form it.
    atom_shifts : numpy.ndarray
        shape=(n_channels, 3, 3), int; cell of each.
    inside : numpy.ndarray
        shape=(n_channels,), bool; whether the circle's centre lies inside the Voronoi edge.
    blocked : numpy.ndarray
        shape=(n_channels,), bool; whether a cation is among the forming atoms.
    """

    voids: NDArray[np.int64]
    offsets: NDArray[np.int64]
    r_chan: NDArray[np.float64]
    r_open: NDArray[np.float64]
    length: NDArray[np.float64]
    atoms: NDArray[np.int64]
    atom_shifts: NDArray[np.int64]
    inside: NDArray[np.bool_]
    blocked: NDArray[np.bool_]


class Percolation(NamedTuple):
    """Largest radii at which the channels connect the crystal in one, two and three directions.

    Attributes
    ----------
    radii : tuple of float
        r1 >= r2 >= r3, Å. An ion needs no narrower passage than r_k to travel in k independent directions.
    directions : tuple
        For k = 1, 2, 3 the integer vectors (in cell vectors) of travel at r_k: a basis of the translations. There are k of
        them, or more where the radii of further directions are the same; none where rank k is never reached.
    """

    radii: tuple[float, float, float]
    directions: tuple[tuple[tuple[int, int, int], ...], ...]


@dataclass(frozen=True)
class Hop:
    """A way of the ion from one of its sites to a neighbouring one; one of each symmetry class.

    Attributes
    ----------
    start, end : int
        Ion sites (voids, in a host that holds none of the ion).
    offset : tuple of int
        Cell of the end.
    multiplicity : int
        Hops of this class in the cell, each direction counted once.
    p_length : float
        Distance of the two sites, Å (the study's P_length).
    r_sd : float
        R_sd of the path's void, Å: see :mod:`builders.channels.paths` for which void that is.
    r_chan : float
        Smallest channel of the path's void, Å (the study's r_chan).
    r_bottleneck : float
        Narrowest place of the widest route near by that meets no third ion site, Å.
    void : int
        The path's void.
    route : tuple
        ((void, (n1, n2, n3)), ...) from start to end along the widest route.
    passages : tuple of int
        Channels of the route, one fewer than its voids.
    route_length : float
        Å.
    """

    start: int
    end: int
    offset: tuple[int, int, int]
    multiplicity: int
    p_length: float
    r_sd: float
    r_chan: float
    r_bottleneck: float
    void: int
    route: tuple[tuple[int, tuple[int, int, int]], ...]
    passages: tuple[int, ...]
    route_length: float


@dataclass(frozen=True, eq=False)
class HopLinks:
    """All hops in the cell, one row each, each direction counted once: the edges of a periodic graph.

    Attributes
    ----------
    sites : numpy.ndarray
        shape=(n_links, 2), int; start and end (voids, in a host that holds none of the ion).
    offsets : numpy.ndarray
        shape=(n_links, 3), int; cell of the end.
    of_hop : numpy.ndarray
        shape=(n_links,), int; the hop, one of each symmetry class, that stands for it; ascending.
    """

    sites: NDArray[np.int64]
    offsets: NDArray[np.int64]
    of_hop: NDArray[np.int64]


class Certificate(NamedTuple):
    """How the network proved itself.

    Attributes
    ----------
    method : str
        "quotient complex".
    volume_error : float
        |sum of the tetrahedra - cell volume| / cell volume.
    betti : tuple of int
        Betti numbers of the complex: (1, 3, 3, 1), those of the 3-torus.
    attempts : int
        Triangulations tried.
    jitter : float
        Å; by how much the atoms were moved into general position.
    """

    method: str
    volume_error: float
    betti: tuple[int, int, int, int]
    attempts: int
    jitter: float


@dataclass(frozen=True, eq=False)
class Channels:
    """Voids, channels, percolation and hops of one ion in one crystal.

    Attributes
    ----------
    ion : str
        The working ion.
    anion : str or None
        Element that surrounds the ion (in a host without it: the most abundant anion); its threshold is used.
    framework : Crystal
        The atoms that stay: all sites but the ion's. ``framework.lattice`` is the cell of everything here.
    sites : numpy.ndarray
        shape=(n_sites, 3), float64, fractional; ion sites, empty for insertion into a host.
    occupancies : numpy.ndarray
        shape=(n_sites,), float64; share of the ion on each site.
    voids : Voids
    passages : Passages
    percolation : Percolation
        Of the whole channel network.
    hops : tuple of Hop
        One of each symmetry class, the widest bottleneck first.
    links : HopLinks
        All hops in the cell.
    hop_percolation : Percolation
        Of the hops alone: radii are bottlenecks, 0.0 where the hops never connect in so many directions.
    flags : tuple of Flag
    certificate : Certificate
    """

    ion: str
    anion: str | None
    framework: Crystal
    sites: NDArray[np.float64]
    occupancies: NDArray[np.float64]
    voids: Voids
    passages: Passages
    percolation: Percolation
    hops: tuple[Hop, ...]
    links: HopLinks
    hop_percolation: Percolation
    flags: tuple[Flag, ...]
    certificate: Certificate

    @property
    def n_places(self) -> int:
        """Places that hops lead between: the ion sites, or all voids of a host."""
        return len(self.sites) or len(self.voids.r_void)
