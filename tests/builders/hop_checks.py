"""What every route of a hop must keep, whatever the network."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from builders.channels.model import Hop, Passages, Voids


def check_route(hop: Hop, lattice: np.ndarray, voids: Voids, passages: Passages, closed: set[int]) -> None:
    for ((one, cell), (other, next_cell)), number in zip(itertools.pairwise(hop.route), hop.passages, strict=True):
        step = np.array(next_cell) - cell
        forward = passages.voids[number].tolist() == [one, other] and (passages.offsets[number] == step).all()
        backward = passages.voids[number].tolist() == [other, one] and (passages.offsets[number] == -step).all()
        assert forward or backward
    chosen = list(hop.passages)
    assert hop.r_bottleneck == passages.r_open[chosen].min()
    assert hop.route_length == pytest.approx(passages.length[chosen].sum())
    ends = np.array([voids.frac_coords[void] + cell for void, cell in (hop.route[0], hop.route[-1])]) @ lattice
    assert hop.route_length >= np.linalg.norm(ends[1] - ends[0]) - 1e-9
    assert len(set(hop.route)) == len(hop.route)
    assert {hop.route[0][0], hop.route[-1][0]} <= closed
    assert not closed & {void for void, _ in hop.route[1:-1]}
