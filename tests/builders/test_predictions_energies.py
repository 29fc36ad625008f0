"""The smallest largest barrier of percolating paths, against enumerated cycles of small random crystals' hop graphs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.channels.model import HopLinks
from builders.predictions.energies import HopBarriers, migration_energies, percolating_hops


def barriers_of(values: list[float], in_domain: list[bool] | None = None) -> HopBarriers:
    value = np.array(values, dtype=float)
    inside = np.isfinite(value) if in_domain is None else np.array(in_domain)
    return HopBarriers(value, value * 0.8, value + 0.2, inside, np.zeros(len(value)), ("",) * len(value))


def links_of(rows: list[tuple[int, int, tuple[int, int, int], int]]) -> HopLinks:
    return HopLinks(
        np.array([row[:2] for row in rows], dtype=int).reshape(-1, 2),
        np.array([row[2] for row in rows], dtype=int).reshape(-1, 3),
        np.array([row[3] for row in rows], dtype=int),
    )


def cycles(links: HopLinks, n_places: int) -> list[tuple[set[int], tuple[int, ...], set[int]]]:
    """Every closed way that meets no place twice: its places, its translation, its links."""
    found = []
    steps: dict[int, list[tuple[int, np.ndarray, int]]] = {place: [] for place in range(n_places)}
    for number, ((a, b), offset) in enumerate(zip(links.sites.tolist(), links.offsets, strict=True)):
        steps[a].append((b, offset, number))
        steps[b].append((a, -offset, number))

    def walk(first: int, place: int, cell: np.ndarray, places: set[int], used: set[int]) -> None:
        for other, offset, number in steps[place]:
            if number in used:
                continue
            if other == first:
                found.append((places, tuple((cell + offset).tolist()), used | {number}))
            elif other > first and other not in places:
                walk(first, other, cell + offset, places | {other}, used | {number})

    for place in range(n_places):
        walk(place, place, np.zeros(3, dtype=int), {place}, set())
    return found


def by_enumeration(links: HopLinks, values: np.ndarray, n_places: int) -> list[float | None]:
    """Largest barriers, one after the other: do the cycles of one net without a higher one span k directions?"""
    every = cycles(links, n_places)
    answers: list[float | None] = [None, None, None]
    for limit in sorted(set(values[np.isfinite(values)].tolist())):
        low = {number for number in range(len(links.of_hop)) if values[links.of_hop[number]] <= limit}
        net = list(range(n_places))
        for number in low:
            a, b = (net[place] for place in links.sites[number])
            net = [a if each == b else each for each in net]
        for name in set(net):
            vectors = [
                vector for places, vector, used in every if used <= low and {net[place] for place in places} == {name}
            ]
            rank = np.linalg.matrix_rank(np.array(vectors)) if vectors else 0
            for k in range(rank):
                answers[k] = limit if answers[k] is None else answers[k]
    return answers


@st.composite
def graphs(draw: st.DrawFn) -> tuple[HopLinks, np.ndarray, int]:
    n_places, n_hops = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    place, step = st.integers(0, n_places - 1), st.integers(-1, 1)
    rows = []
    for hop in range(n_hops):
        for _ in range(draw(st.integers(1, 2))):
            rows.append((draw(place), draw(place), (draw(step), draw(step), draw(step)), hop))
    known = st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.8, 1.5, np.nan])
    return links_of(rows), np.array([draw(known) for _ in range(n_hops)]), n_places


@settings(max_examples=300, deadline=None)
@given(graphs(), st.randoms(use_true_random=False))
def test_energies_are_those_of_enumerated_paths(graph: tuple[HopLinks, np.ndarray, int], random: object) -> None:
    links, values, n_places = graph
    inside = [bool(np.isfinite(value)) and random.random() < 0.7 for value in values]  # type: ignore[attr-defined]
    found = migration_energies(links, barriers_of(values.tolist(), inside), n_places)
    expected = by_enumeration(links, values, n_places)
    assert [None if each is None else each.value for each in found] == expected
    sure = by_enumeration(links, np.where(inside, values, np.nan), n_places)
    for energy, value, certain in zip(found, expected, sure, strict=True):
        if energy is not None:
            assert energy.value == values[energy.hop]
            assert energy.lower <= energy.value <= energy.upper
            assert energy.in_domain == (certain == value)
            assert inside[energy.hop] or not energy.in_domain
    ranks = [len(each.directions) for each in found if each is not None]
    assert all(rank >= k for k, rank in enumerate(ranks, start=1))


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_a_hop_percolates_where_its_net_has_a_cycle_that_leads_on(graph: tuple[HopLinks, np.ndarray, int]) -> None:
    links, values, n_places = graph
    net = list(range(n_places))
    for a, b in links.sites.tolist():
        net = [net[a] if each == net[b] else each for each in net]
    endless = {net[min(places)] for places, vector, _ in cycles(links, n_places) if any(vector)}
    expected = [
        any(net[links.sites[number, 0]] in endless for number in np.flatnonzero(links.of_hop == hop))
        for hop in range(len(values))
    ]
    assert percolating_hops(links, len(values), n_places).tolist() == expected


def test_the_easier_of_two_ways_counts_and_its_highest_hop_limits() -> None:
    rows = [(0, 1, (0, 0, 0), 0), (1, 0, (1, 0, 0), 1), (0, 0, (1, 0, 0), 2), (0, 0, (0, 1, 0), 3)]
    one, two, three = migration_energies(links_of(rows), barriers_of([0.2, 0.4, 0.7, 0.9]), 2)
    assert (one.value, one.hop, one.directions) == (0.4, 1, ((1, 0, 0),))
    assert (two.value, two.hop) == (0.9, 3)
    assert three is None


def test_the_interval_is_not_that_of_the_limiting_hop_where_another_way_is_surer() -> None:
    links = links_of([(0, 0, (1, 0, 0), 0), (0, 0, (1, 0, 0), 1)])
    value, lower, upper = np.array([0.40, 0.41]), np.array([0.3, 0.1]), np.array([1.5, 0.5])
    barriers = HopBarriers(value, lower, upper, np.array([True, True]), np.zeros(2), ("", ""))
    one = migration_energies(links, barriers, 1)[0]
    assert (one.value, one.lower, one.upper, one.hop) == (0.40, 0.1, 0.5, 0)


def test_a_path_with_an_extrapolated_hop_is_out_of_the_domain() -> None:
    chain = links_of([(0, 1, (0, 0, 0), 0), (1, 0, (1, 0, 0), 1)])
    assert not migration_energies(chain, barriers_of([0.2, 0.4], [False, True]), 2)[0].in_domain
    assert not migration_energies(chain, barriers_of([0.2, 0.4], [True, False]), 2)[0].in_domain
    assert migration_energies(chain, barriers_of([0.2, 0.4], [True, True]), 2)[0].in_domain


def test_hops_without_a_prediction_are_impassable() -> None:
    links = links_of([(0, 0, (1, 0, 0), 0), (0, 0, (1, 0, 0), 1)])
    assert migration_energies(links, barriers_of([np.nan, 0.6]), 1)[0].value == 0.6
    assert migration_energies(links, barriers_of([np.nan, np.nan]), 1) == (None, None, None)


def test_of_equal_barriers_the_hop_in_the_domain_limits() -> None:
    links = links_of([(0, 0, (1, 0, 0), 0), (0, 0, (1, 0, 0), 1)])
    one = migration_energies(links, barriers_of([0.5, 0.5], [False, True]), 1)[0]
    assert (one.hop, one.in_domain) == (1, True)


@pytest.mark.parametrize("count", [0, 3])
def test_no_hops_no_energy(count: int) -> None:
    assert migration_energies(links_of([]), barriers_of([]), count) == (None, None, None)
    assert percolating_hops(links_of([]), 0, count).tolist() == []
