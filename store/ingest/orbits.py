"""From the sites of an asymmetric unit and symmetry operations to all atoms of the cell.

Published positions are rounded (0.3333 for 1/3), so the images of an atom on a special position fall close to each
other and not onto each other. Every site is therefore first moved to the mean of its images that lie within a
tolerance; its orbit is then exact. Works on arrays.

Reference: International Tables for Crystallography, volume A, section 1.5 (site-symmetry groups and orbits).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from store.crystal import Crystal
from store.errors import InvalidCoordinates, InvalidLattice, InvalidOccupancy, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from store.crystal import Occupancy
    from store.ingest.operations import Operations

SITE_TOLERANCE = 0.05
"""Distance below which two images are the same atom, Å: above rounding (0.0001 of 30 Å), far below any bond."""

OCCUPANCY_TOLERANCE = 0.02
"""How far a site's occupancies may sum above one through rounding (0.34 + 0.33 + 0.34); scaled back to one."""


_MAX_IMAGES = 5_000_000


def cell_matrix(lengths: Sequence[float], angles: Sequence[float]) -> NDArray[np.float64]:
    """Cell vectors from cell parameters, a along x and b in the xy plane.

    Parameters
    ----------
    lengths : sequence of float
        a, b, c in Å.
    angles : sequence of float
        alpha, beta, gamma in degrees.

    Returns
    -------
    numpy.ndarray
        shape=(3, 3), float64, Å; rows are the cell vectors.

    Raises
    ------
    InvalidLattice
        A length or angle is not a positive finite number, or the angles close no cell.

    Examples
    --------
    >>> cell_matrix([4, 4, 5], [90, 90, 90]).diagonal().round(6).tolist()
    [4.0, 4.0, 5.0]
    """
    values = np.array([*lengths, *angles], dtype=np.float64)
    if not np.isfinite(values).all() or (values <= 0).any():
        raise InvalidLattice(
            f"Cell lengths and angles must be positive numbers. They were {list(lengths)} Å, {list(angles)} degrees."
        )
    a, b, c = values[:3]
    # A right angle must give an exact zero: cos(90 degrees) is 6e-17 in floating point.
    cos = np.where(values[3:] == 90.0, 0.0, np.cos(np.radians(values[3:])))
    sin_gamma = float(np.sqrt(max(0.0, 1.0 - cos[2] ** 2)))
    square = 1.0 + 2.0 * cos.prod() - (cos**2).sum()
    if square <= 1e-10 or sin_gamma < 1e-6 or (values[3:] >= 180.0).any():
        raise InvalidLattice(f"The angles {list(angles)} degrees close no cell: its volume would be zero.")
    y = (cos[0] - cos[1] * cos[2]) / sin_gamma
    return np.array(
        [[a, 0.0, 0.0], [b * cos[2], b * sin_gamma, 0.0], [c * cos[1], c * y, c * np.sqrt(square) / sin_gamma]]
    )


def expand(
    lattice: NDArray[np.float64],
    coords: NDArray[np.float64],
    operations: Operations,
    tolerance: float = SITE_TOLERANCE,
) -> list[NDArray[np.float64]]:
    """All images of each site in the cell, each once.

    Parameters
    ----------
    lattice : numpy.ndarray
        shape=(3, 3), Å; rows are the cell vectors.
    coords : numpy.ndarray
        shape=(n_sites, 3), fractional.
    operations : Operations
        The whole group, centring translations included.
    tolerance : float
        Images closer than this are one atom, Å.

    Returns
    -------
    list of numpy.ndarray
        One array a site, shape=(multiplicity, 3), fractional, in [0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> from store.ingest.operations import parse_operations
    >>> inversion = parse_operations(("x,y,z", "-x,-y,-z"))
    >>> [len(orbit) for orbit in expand(np.eye(3) * 4, np.array([[0, 0, 0.0004], [0.1, 0, 0]]), inversion)]
    [1, 2]
    """
    metric = lattice @ lattice.T
    rotations, translations = operations.rotations, operations.translations
    if len(coords) * len(rotations) > _MAX_IMAGES:
        raise SourceError(f"{len(coords):,} sites times {len(rotations):,} operations make too large a cell.")
    images = np.einsum("oij,sj->soi", rotations, coords) + translations
    shift = images - coords[:, None, :]
    shift -= np.round(shift)
    near = ((shift @ metric) * shift).sum(axis=2) < tolerance**2
    counts = near.sum(axis=1)  # at least one: the identity is among the operations
    means = coords + np.einsum("so,soi->si", near.astype(np.float64), shift) / counts[:, None]
    images = np.einsum("oij,sj->soi", rotations, means) + translations
    order = len(rotations)
    return [_distinct(orbit, order, int(n), metric, tolerance) for orbit, n in zip(images, counts, strict=True)]


def _distinct(
    orbit: NDArray[np.float64], order: int, stabiliser: int, metric: NDArray[np.float64], tolerance: float
) -> NDArray[np.float64]:
    wrapped = wrap(orbit)
    if stabiliser == 1:
        return wrapped
    keys = np.round(wrapped * 1e5).astype(np.int64) % 100_000
    _, first = np.unique((keys[:, 0] * 100_000 + keys[:, 1]) * 100_000 + keys[:, 2], return_index=True)
    found: NDArray[np.float64] = wrapped[np.sort(first)]
    if len(found) * stabiliser == order:
        return found
    # The tolerance cut through a group of images, or rounding split one key: compare all pairs.
    kept: list[NDArray[np.float64]] = []
    for point in wrapped:
        if kept:
            delta = np.array(kept) - point
            delta -= np.round(delta)
            if (np.einsum("ki,ij,kj->k", delta, metric, delta) < tolerance**2).any():
                continue
        kept.append(point)
    return np.array(kept)


def wrap(coords: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fractional coordinates moved into [0, 1); what is within 1e-9 of a whole number becomes 0.

    Examples
    --------
    >>> import numpy as np
    >>> wrap(np.array([-0.25, 1.0 - 1e-12, 2.5])).tolist()
    [0.75, 0.0, 0.5]
    """
    moved = coords - np.floor(coords)
    moved[(moved > 1.0 - 1e-9) | (moved < 1e-9)] = 0.0
    return moved


def fill_cell(
    lattice: NDArray[np.float64],
    sites: Sequence[Occupancy],
    coords: NDArray[np.float64],
    operations: Operations,
    *,
    warnings: list[str] | None = None,
    tolerance: float = SITE_TOLERANCE,
) -> Crystal:
    """Make the crystal of an asymmetric unit: expand each site, join what shares a place, check the occupancies.

    Parameters
    ----------
    lattice : numpy.ndarray
        shape=(3, 3), Å; rows are the cell vectors.
    sites : sequence of dict
        shape=(n_sites,) of ``{element symbol: occupancy}``.
    coords : numpy.ndarray
        shape=(n_sites, 3), fractional.
    operations : Operations
        The whole group.
    warnings : list of str, optional
        What was mended is appended here.
    tolerance : float
        Å.

    Raises
    ------
    InvalidCoordinates
        NaN or infinite coordinates.
    InvalidOccupancy
        A site holds a negative amount, nothing, or more than one atom.

    Examples
    --------
    >>> import numpy as np
    >>> from store.ingest.operations import parse_operations
    >>> cell = fill_cell(np.eye(3) * 4, [{"Mg": 0.5}, {"Fe": 0.5}], np.zeros((2, 3)), parse_operations(()))
    >>> cell.species
    ('Fe0.5Mg0.5',)
    """
    notes = warnings if warnings is not None else []
    coords = np.asarray(coords, dtype=np.float64).reshape(-1, 3)
    if not np.isfinite(coords).all():
        row = int(np.argmin(np.isfinite(coords).all(axis=1)))
        raise InvalidCoordinates(f"Coordinates must be finite numbers. Site {row + 1} is at {coords[row].tolist()}.")
    orbits = expand(lattice, coords, operations, tolerance)
    owners = np.repeat(np.arange(len(orbits)), [len(orbit) for orbit in orbits])
    places = np.concatenate(orbits)
    groups = _share_place(lattice, places, tolerance)
    contents, frac = [], []
    for members in groups:
        contents.append(_join([(int(owners[member]), sites[owners[member]]) for member in members], notes))
        frac.append(_mean_place(places[members]))
    return Crystal.from_sites(lattice, [*contents], np.array(frac))


def _share_place(lattice: NDArray[np.float64], places: NDArray[np.float64], tolerance: float) -> list[list[int]]:
    """Group atoms closer than the tolerance; order of first appearance is kept."""
    from scipy.spatial import cKDTree

    # |x L| >= s |x| with s the smallest singular value of L: a sphere in fractional space that misses no pair.
    radius = tolerance / float(np.linalg.svd(lattice, compute_uv=False)[-1])
    alone = [[index] for index in range(len(places))]
    if radius >= 0.5:  # a cell thinner than 0.1 Å: the volume check of the builder says what is wrong
        return alone
    pairs: Any = cKDTree(places, boxsize=1.0).query_pairs(radius, output_type="ndarray")
    if not len(pairs):
        return alone
    delta = places[pairs[:, 0]] - places[pairs[:, 1]]
    delta -= np.round(delta)
    close = pairs[(np.linalg.norm(delta @ lattice, axis=1) < tolerance)]
    leader = list(range(len(places)))
    for one, two in sorted((int(min(p)), int(max(p))) for p in close):
        if leader[two] == two:
            leader[two] = leader[one]
    groups: dict[int, list[int]] = {}
    for index, head in enumerate(leader):
        groups.setdefault(head, []).append(index)
    return list(groups.values())


def _mean_place(places: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(places) == 1:
        alone: NDArray[np.float64] = places[0]
        return alone
    delta = places - places[0]
    delta -= np.round(delta)
    return wrap(places[0] + delta.mean(axis=0))


def _join(members: Iterable[tuple[int, Occupancy]], notes: list[str]) -> Occupancy:
    """Add up what stands on one place; a site listed twice, or in two equivalent places, counts once."""
    seen: dict[int, Occupancy] = dict(members)
    listed = list(seen.values())
    total = _add(listed)
    if sum(total.values()) > 1.0 + OCCUPANCY_TOLERANCE:
        once = [site for place, site in enumerate(listed) if site not in listed[:place]]
        if len(once) < len(listed):
            _note(notes, "A site was listed more than once; it was counted once.")
            total = _add(once)
    return check_occupancy(total, notes)


def _add(sites: Iterable[Occupancy]) -> Occupancy:
    total: Occupancy = {}
    for site in sites:
        for symbol, amount in site.items():
            total[symbol] = total.get(symbol, 0.0) + amount
    return total


def check_occupancy(site: Occupancy, notes: list[str]) -> Occupancy:
    """Return the site, scaled to one where rounding took it above; raise where it is impossible.

    Raises
    ------
    InvalidOccupancy
        A negative or not finite amount, nothing at all, or a sum above one by more than rounding.

    Examples
    --------
    >>> check_occupancy({"Li": 0.5}, [])
    {'Li': 0.5}
    """
    amount = sum(site.values())
    if not np.isfinite(amount) or any(value < 0 for value in site.values()):
        raise InvalidOccupancy(f"Occupancies lie between 0 and 1. A site holds {_show(site)}.")
    if amount < 1e-6:
        raise InvalidOccupancy(f"A site holds nothing: {_show(site)}.")
    if amount > 1.0 + OCCUPANCY_TOLERANCE:
        raise InvalidOccupancy(f"The occupancies of a site sum to {amount:.4g}, above 1: {_show(site)}.")
    if amount > 1.0 + 1e-8:
        _note(notes, f"Occupancies of {_show(site)} were scaled to sum to 1.")
        return {symbol: value / amount for symbol, value in site.items()}
    return site


def _show(site: Occupancy) -> str:
    return ", ".join(f"{symbol} {value:.4g}" for symbol, value in site.items())


def _note(notes: list[str], text: str) -> None:
    if text not in notes:
        notes.append(text)
