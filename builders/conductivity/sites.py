"""What a structure says of the way of its ions: sites, vacancies, distances, channels, and predicted barriers of hops.

Channels and hops are those of :mod:`builders.channels`, barriers those of the migration model that ships
(:mod:`builders.migration`): no other, so that descriptors do not depend on what somebody trained. Sites that are partly
occupied count as they are occupied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from builders.conductivity.composition import ION, Describer
from store.errors import IonatlasError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from builders.channels.model import Channels
    from store.crystal import Crystal

COLUMNS: Final = (
    Describer("site_density", "1/Å^3", "Lithium sites by volume."),
    Describer("site_occupancy", None, "Mean occupancy of the lithium sites."),
    Describer("partial_sites", None, "Share of lithium sites that are not full."),
    Describer("framework_disorder", None, "Share of framework sites that several atoms share or that are not full."),
    Describer("framework_volume", "Å^3", "Volume of the cell by its framework sites."),
    Describer("channel_radius_1", "Å", "Radius up to which the framework lets a sphere pass in one direction."),
    Describer("channel_radius_2", "Å", "The same in two directions."),
    Describer("channel_radius_3", "Å", "The same in three directions."),
    Describer("hop_radius_1", "Å", "Narrowest place on the widest way over hops between lithium sites in one direction."),
    Describer("hop_radius_2", "Å", "The same in two directions."),
    Describer("hop_radius_3", "Å", "The same in three directions."),
    Describer("hop_length_min", "Å", "Shortest hop."),
    Describer("hop_neck_max", "Å", "Widest neck of a hop."),
    Describer("void_size", "Å", "Mean radius of the spheres as large as the Voronoi cells of the voids that hold lithium."),
    Describer("void_radius_max", "Å", "Largest empty sphere of the framework."),
    Describer("voids_per_site", None, "Voids by framework sites."),
    Describer("site_distance", "Å", "Distance of the nearest other lithium site: mean, by occupancy."),
    Describer("site_distance_min", "Å", "The same: smallest."),
    Describer("contact_1", "Å", "Distance of the nearest framework atom of lithium: mean, by occupancy."),
    Describer("contact_4", "Å", "Mean distance of the four nearest."),
    Describer("contact_5_6", "Å", "Mean distance of the fifth and sixth."),
    Describer("contact_spread", "Å", "Standard deviation of the four nearest distances."),
    Describer("barrier_1", "eV", "Migration energy in one direction, predicted."),
    Describer("barrier_2", "eV", "The same in two directions."),
    Describer("barrier_3", "eV", "The same in three directions."),
    Describer("barrier_min", "eV", "Lowest predicted barrier of a hop."),
    Describer("barrier_median", "eV", "Median of the predicted barriers."),
)  # fmt: skip
"""Descriptors of ion sites and channels, in their order."""

MOST_HOPS: Final = 150
"""Kinds of hops up to which barriers are predicted: beyond, structures without symmetry would take many seconds."""

_INDEX: Final = {each.name: place for place, each in enumerate(COLUMNS)}
_FULL: Final = 0.99


def describe_sites(crystal: Crystal) -> NDArray[np.float64]:
    """Describe the ion sites of a crystal and the channels between them.

    Parameters
    ----------
    crystal : Crystal
        Validated.

    Returns
    -------
    numpy.ndarray
        shape=(len(COLUMNS),), float64; nan where something is unknown, everywhere if the crystal holds no lithium or cannot
        be analysed.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> rock_salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5, 0.5, 0.5], [0, 0, 0]])
    >>> found = dict(zip(_INDEX, describe_sites(rock_salt)))
    >>> float(found["channel_radius_1"].round(3)), float(found["contact_4"]), float(found["site_distance"].round(3))
    (1.633, 2.0, 2.828)
    """
    row = np.full(len(COLUMNS), np.nan)
    if ION not in crystal.amounts():
        return row
    from builders.channels.analysis import analyse

    try:
        channels = analyse(crystal, ION)
    except IonatlasError:
        return row
    if not len(channels.sites):
        return row
    found = {**_sites(channels), **_channels(channels), **_barriers(channels)}
    row[[_INDEX[name] for name in found]] = list(found.values())
    return np.round(row, 4)


def _sites(channels: Channels) -> Mapping[str, float]:
    lattice, occupancy = channels.framework.lattice, channels.occupancies
    volume, framework = abs(channels.framework.volume), channels.framework
    shared = [len(site) > 1 or max(site.values()) < _FULL for site in framework.occupancies or ()]
    others = _nearest(channels.sites, channels.sites, lattice, 2)[:, 1]
    atoms = _nearest(channels.sites, framework.frac_coords, lattice, 6)
    weights = np.maximum(occupancy, 1e-6)
    return {
        "site_density": len(occupancy) / volume,
        "site_occupancy": float(occupancy.mean()),
        "partial_sites": float((occupancy < _FULL).mean()),
        "framework_disorder": float(np.mean(shared)) if shared else 0.0,
        "framework_volume": volume / framework.n_sites,
        "site_distance": float(np.average(others, weights=weights)),
        "site_distance_min": float(others.min()),
        "contact_1": float(np.average(atoms[:, 0], weights=weights)),
        "contact_4": float(np.average(atoms[:, :4].mean(axis=1), weights=weights)),
        "contact_5_6": float(np.average(atoms[:, 4:6].mean(axis=1), weights=weights)),
        "contact_spread": float(np.average(atoms[:, :4].std(axis=1), weights=weights)),
    }


def _channels(channels: Channels) -> Mapping[str, float]:
    voids = channels.voids
    held = voids.r_sd[voids.site >= 0]
    found = {f"channel_radius_{k}": radius for k, radius in enumerate(channels.percolation.radii, 1)}
    found |= {f"hop_radius_{k}": radius for k, radius in enumerate(channels.hop_percolation.radii, 1)}
    found |= {
        "void_size": float(held.mean()) if len(held) else np.nan,
        "void_radius_max": float(voids.r_void.max()),
        "voids_per_site": len(voids.r_void) / channels.framework.n_sites,
    }
    if channels.hops:
        found["hop_length_min"] = min(hop.p_length for hop in channels.hops)
        found["hop_neck_max"] = max(hop.r_bottleneck for hop in channels.hops)
    return found


def _barriers(channels: Channels) -> Mapping[str, float]:
    from builders.migration.model import load_model
    from builders.predictions.energies import migration_energies
    from builders.predictions.hops import predict_crystals

    if not channels.hops or len(channels.hops) > MOST_HOPS:
        return {}
    (barriers,) = predict_crystals(load_model(), [channels])
    known = barriers.value[np.isfinite(barriers.value)]
    if not len(known):
        return {}
    energies = migration_energies(channels.links, barriers, channels.n_places)
    found = {f"barrier_{k}": energy.value for k, energy in enumerate(energies, 1) if energy is not None}
    return {**found, "barrier_min": float(known.min()), "barrier_median": float(np.median(known))}


def _nearest(
    centres: NDArray[np.float64], others: NDArray[np.float64], lattice: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """The smallest distances from each centre to the periodic images of others, ascending; shape=(n, count), Å."""
    from scipy.spatial import cKDTree

    from builders.geometry.reduction import reduced_basis

    basis, _ = reduced_basis(lattice)
    inverse = np.linalg.inv(basis)
    home = [(points @ lattice @ inverse) % 1.0 for points in (centres, others)]
    heights = 1.0 / np.linalg.norm(inverse, axis=0)
    reach = 4.0
    while True:
        steps = np.ceil(reach / heights).astype(int)
        axes = [np.arange(-step, step + 1) for step in steps]
        shifts = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        images = (home[1][:, None] + shifts).reshape(-1, 3)
        near = ((images > -steps - 1e-9 - reach / heights) & (images < 1 + reach / heights)).all(axis=1)
        tree = cKDTree(images[near] @ basis)
        found: NDArray[np.float64] = np.asarray(tree.query(home[0] @ basis, k=count)[0]).reshape(-1, count)
        # Distances within the reach are certain: every image that near is among the points.
        if found.max() <= reach:
            return found
        reach *= 1.6
