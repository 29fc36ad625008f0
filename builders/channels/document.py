"""Channels as a document of a few kB, and back: what is asked for as plain fields, all the rest in one packed binary.

The packed arrays (:mod:`store.arrays`) hold floats as float32, good to 1e-6 Å, and integers in the smallest type that
holds them:

================================  =====================================================================================
name                              content
================================  =====================================================================================
``atoms``, ``kinds``              framework: fractional coordinates (n, 3); which of ``cell.kinds`` each is (n,)
``sites``, ``occupancies``        ion sites: fractional coordinates (s, 3); share of the ion on each (s,)
``voids``                         fractional coordinates (v, 3)
``void_sizes``                    (3, v): r_void, r_sd, site_distance (infinite where there are no ion sites), Å
``void_labels``                   (3, v): orbit, n_members, site
``channels``                      (14 + 3, c): two voids, offsets (3), cells of the atoms (9), atoms (3)
``channel_sizes``                 (2, c): r_chan, r_open, Å
``channel_marks``                 (2, c): inside, blocked
``hops``                          (8, h): start, end, offset (3), multiplicity, void, voids on its route
``hop_sizes``                     (5, h): p_length, r_sd, r_chan, r_bottleneck, route_length, Å
``routes``                        (4, m): void, cell (3), the routes of all hops one after the other
``route_channels``                (m - h,): channels of the routes, one after the other
``links``                         (5, l): start, end, cell of the end (3) of all hops in the cell, those of the first hop first
================================  =====================================================================================

A channel's length is left out: it follows from the two voids. So is the class of a link: each hop has as many as its
multiplicity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.channels.model import Certificate, Channels, Flag, Hop, HopLinks, Passages, Percolation, Voids
from store.arrays import pack, smallest, unpack
from store.crystal import Crystal
from store.errors import ArraysDamaged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from builders.channels.thresholds import Threshold

OPEN: Final = 1e-6
"""Å; a hop whose bottleneck is narrower than the path's by no more than this belongs to the path."""

Row = tuple[int, ...]


def to_document(channels: Channels, threshold: Threshold | None = None) -> dict[str, Any]:
    """Write an analysis as a document.

    Parameters
    ----------
    channels : Channels
    threshold : Threshold, optional
        The default threshold for the ion among the anion (:func:`builders.channels.thresholds.threshold`).

    Returns
    -------
    dict
        Fields of :class:`store.documents.ChannelsDocument` but ``material`` and those of the engine.

    Notes
    -----
    ``r_sd_min`` and ``r_sd_max`` are of the voids that hold an ion site. In a host without ion sites: of the voids whose R_sd
    reaches the threshold, and where none does ``r_sd_max`` is the largest of all and ``r_sd_min`` unknown.

    ``path_r_chan1`` is the smallest r_chan of the hops whose bottleneck is at least ``path_r1``, and likewise for 2 and 3.

    Examples
    --------
    >>> from builders.channels.analysis import analyse
    >>> rock_salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5, 0.5, 0.5], [0, 0, 0]])
    >>> document = to_document(analyse(rock_salt, "Li"))
    >>> document["anion"], round(document["r1"], 3), len(document["arrays"]) < 2000
    ('F', 1.633, True)
    """
    low, high = _size_range(channels, threshold)
    r_chan = _smallest_channels(channels)
    kinds, occupancies, places = _kinds(channels.framework)
    cell: dict[str, Any] = {"lattice": channels.framework.lattice.tolist(), "kinds": kinds}
    if occupancies is not None:
        cell["occupancies"] = occupancies
    radii, paths = channels.percolation.radii, channels.hop_percolation.radii
    wide = None if threshold is None else threshold.r_chan
    return {
        "ion": channels.ion,
        "anion": channels.anion,
        "insertion": len(channels.sites) == 0,
        **{f"r{k + 1}": float(radii[k]) for k in range(3)},
        "directions": _nested(channels.percolation.directions),
        "channel_dimension": None if wide is None else sum(radius >= wide for radius in radii),
        "threshold": wide,
        "threshold_source": None if threshold is None else threshold.source,
        "n_voids": len(channels.voids.r_void),
        "n_channels": len(channels.passages.r_chan),
        "n_hops": len(channels.hops),
        "r_sd_min": low,
        "r_sd_max": high,
        **{f"path_r{k + 1}": float(paths[k]) for k in range(3)},
        **{f"path_r_chan{k + 1}": r_chan[k] for k in range(3)},
        "path_directions": _nested(channels.hop_percolation.directions),
        "channel_flags": [{"code": flag.code, "reason": flag.reason} for flag in channels.flags],
        "certificate": {**channels.certificate._asdict(), "betti": list(channels.certificate.betti)},
        "cell": cell,
        "arrays": pack(_arrays(channels, places)),
    }


def from_document(document: Mapping[str, Any]) -> Channels:
    """Read back what :func:`to_document` wrote; sizes and coordinates are as exact as float32.

    Raises
    ------
    ArraysDamaged
        The packed arrays cannot be read.

    Examples
    --------
    >>> from builders.channels.analysis import analyse
    >>> rock_salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5, 0.5, 0.5], [0, 0, 0]])
    >>> again = from_document(to_document(analyse(rock_salt, "Li")))
    >>> again.framework.species, again.sites.tolist()
    (('F',), [[0.5, 0.5, 0.5]])
    """
    arrays = unpack(document["arrays"])
    voids = _read_voids(arrays)
    framework = _framework(document["cell"], arrays)
    hops = _read_hops(arrays)
    return Channels(
        ion=document["ion"],
        anion=document["anion"],
        framework=framework,
        sites=arrays["sites"].astype(np.float64),
        occupancies=arrays["occupancies"].astype(np.float64),
        voids=voids,
        passages=_read_passages(arrays, voids.frac_coords, framework.lattice),
        percolation=_percolation(document, "r", "directions"),
        hops=hops,
        links=_read_links(arrays, hops),
        hop_percolation=_percolation(document, "path_r", "path_directions"),
        flags=tuple(Flag(each["code"], each["reason"]) for each in document["channel_flags"]),
        certificate=Certificate(**{**document["certificate"], "betti": tuple(document["certificate"]["betti"])}),
    )


# ------------------------------------------------------------------------------------------------------- plain fields


def _size_range(channels: Channels, threshold: Threshold | None) -> tuple[float | None, float | None]:
    r_sd = channels.voids.r_sd
    if len(channels.sites):
        chosen = r_sd[channels.voids.site >= 0]
        return (float(chosen.min()), float(chosen.max())) if len(chosen) else (None, None)
    large = r_sd if threshold is None else r_sd[r_sd >= threshold.r_sd]
    return (float(large.min()) if len(large) else None, float(r_sd.max()) if len(r_sd) else None)


def _smallest_channels(channels: Channels) -> list[float | None]:
    """For one, two and three directions the smallest r_chan of the hops that are open at the path's bottleneck."""
    found: list[float | None] = []
    for radius in channels.hop_percolation.radii:
        on_path = [hop.r_chan for hop in channels.hops if hop.r_bottleneck >= radius - OPEN]
        found.append(float(min(on_path)) if radius > 0.0 and on_path else None)
    return found


def _nested(directions: Sequence[Sequence[Row]]) -> list[list[list[int]]]:
    return [[[int(n) for n in vector] for vector in basis] for basis in directions]


def _percolation(document: Mapping[str, Any], radius: str, directions: str) -> Percolation:
    return Percolation(
        (document[f"{radius}1"], document[f"{radius}2"], document[f"{radius}3"]),
        tuple(tuple((a, b, c) for a, b, c in basis) for basis in document[directions]),
    )


# ---------------------------------------------------------------------------------------------------- packed arrays


def _kinds(crystal: Crystal) -> tuple[list[str], list[dict[str, float]] | None, NDArray[np.int64]]:
    """Tell the different contents of sites, and which of them each site has."""
    sites = crystal.occupancies
    if sites is None:
        kinds = list(dict.fromkeys(crystal.species))
        return kinds, None, np.array([kinds.index(symbol) for symbol in crystal.species], dtype=np.int64)
    contents = [(label, tuple(sorted(site.items()))) for label, site in zip(crystal.species, sites, strict=True)]
    different = list(dict.fromkeys(contents))
    places = np.array([different.index(each) for each in contents], dtype=np.int64)
    return [label for label, _ in different], [dict(site) for _, site in different], places


def _framework(cell: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Crystal:
    kinds, occupancies, places = cell["kinds"], cell.get("occupancies"), arrays["kinds"].tolist()
    return Crystal.from_lists(
        cell["lattice"],
        [kinds[place] for place in places],
        arrays["atoms"],
        None if occupancies is None else [occupancies[place] for place in places],
    )


def _arrays(channels: Channels, places: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    voids, passages, hops = channels.voids, channels.passages, channels.hops
    count = len(passages.r_chan)
    topology = (
        passages.voids,
        passages.offsets,
        passages.atom_shifts.reshape(count, 9),
        passages.atoms,
    )
    routes = [(void, *cell) for hop in hops for void, cell in hop.route]
    labels = [(hop.start, hop.end, *hop.offset, hop.multiplicity, hop.void, len(hop.route)) for hop in hops]
    sizes = [(hop.p_length, hop.r_sd, hop.r_chan, hop.r_bottleneck, hop.route_length) for hop in hops]
    # Rows of one quantity lie together: equal and similar numbers side by side compress better.
    return {
        "atoms": _float32(channels.framework.frac_coords),
        "kinds": smallest(places),
        "sites": _float32(channels.sites),
        "occupancies": _float32(channels.occupancies),
        "voids": _float32(voids.frac_coords),
        "void_sizes": _float32(np.stack([voids.r_void, voids.r_sd, voids.site_distance])),
        "void_labels": smallest(np.stack([voids.orbit, voids.n_members, voids.site])),
        "channels": smallest(np.concatenate(topology, axis=1).T),
        "channel_sizes": _float32(np.stack([passages.r_chan, passages.r_open])),
        "channel_marks": np.stack([passages.inside, passages.blocked]),
        "hops": smallest(np.array(labels, dtype=np.int64).reshape(-1, 8).T),
        "hop_sizes": _float32(np.array(sizes, dtype=np.float64).reshape(-1, 5).T),
        "routes": smallest(np.array(routes, dtype=np.int64).reshape(-1, 4).T),
        "route_channels": smallest(np.array([each for hop in hops for each in hop.passages], dtype=np.int64)),
        "links": smallest(np.concatenate([channels.links.sites, channels.links.offsets], axis=1).T),
    }


def _float32(array: NDArray[np.float64]) -> NDArray[np.float32]:
    return array.astype(np.float32)


def _read_voids(arrays: Mapping[str, NDArray[Any]]) -> Voids:
    r_void, r_sd, site_distance = arrays["void_sizes"].astype(np.float64)
    orbit, n_members, site = arrays["void_labels"].astype(np.int64)
    return Voids(arrays["voids"].astype(np.float64), r_void, r_sd, orbit, n_members, site, site_distance)


def _read_passages(
    arrays: Mapping[str, NDArray[Any]], void_coords: NDArray[np.float64], lattice: NDArray[np.float64]
) -> Passages:
    topology = arrays["channels"].astype(np.int64).T
    r_chan, r_open = arrays["channel_sizes"].astype(np.float64)
    inside, blocked = arrays["channel_marks"]
    voids, offsets = topology[:, :2], topology[:, 2:5]
    apart = (void_coords[voids[:, 1]] + offsets - void_coords[voids[:, 0]]) @ lattice
    return Passages(
        voids=voids,
        offsets=offsets,
        r_chan=r_chan,
        r_open=r_open,
        length=np.linalg.norm(apart, axis=1),
        atoms=topology[:, 14:],
        atom_shifts=topology[:, 5:14].reshape(-1, 3, 3),
        inside=inside,
        blocked=blocked,
    )


def _read_hops(arrays: Mapping[str, NDArray[Any]]) -> tuple[Hop, ...]:
    routes = [(void, (a, b, c)) for void, a, b, c in arrays["routes"].T.tolist()]
    channels = arrays["route_channels"].tolist()
    hops: list[Hop] = []
    place = 0
    for labels, sizes in zip(arrays["hops"].T.tolist(), arrays["hop_sizes"].T.tolist(), strict=True):
        start, end, n1, n2, n3, multiplicity, void, length = labels
        p_length, r_sd, r_chan, r_bottleneck, route_length = sizes
        first = place - len(hops)  # each route before had one channel fewer than voids
        hops.append(
            Hop(
                start=start,
                end=end,
                offset=(n1, n2, n3),
                multiplicity=multiplicity,
                p_length=p_length,
                r_sd=r_sd,
                r_chan=r_chan,
                r_bottleneck=r_bottleneck,
                void=void,
                route=tuple(routes[place : place + length]),
                passages=tuple(channels[first : first + length - 1]),
                route_length=route_length,
            )
        )
        place += length
    return tuple(hops)


def _read_links(arrays: Mapping[str, NDArray[Any]], hops: tuple[Hop, ...]) -> HopLinks:
    if "links" not in arrays:
        raise ArraysDamaged(
            "The document was made before all hops of the cell were kept.", mend="ionatlas build channels"
        )
    links = arrays["links"].astype(np.int64).T
    counts = [hop.multiplicity for hop in hops]
    return HopLinks(links[:, :2], links[:, 2:], np.repeat(np.arange(len(hops)), counts))
