"""Hops made up so that the right answers of the study are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from api.reproduce.hops import Hops
from api.reproduce.published import six


def straight(
    r_sd: NDArray[np.float64], r_chan: NDArray[np.float64], p_length: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A barrier, eV, that a linear SVR on the study's descriptors can learn exactly."""
    barrier: NDArray[np.float64] = 0.72 - 0.45 * (r_sd - 1.45) - 0.5 * (r_chan - 1.9) + 0.2 * (p_length - 3.5)
    return barrier


def linear_hops(n_frameworks: int = 15, each: int = 6, seed: int = 1) -> Hops:
    """Hops whose barrier follows from the descriptors alone, so that new frameworks are as easy as known ones."""
    rng = np.random.default_rng(seed)
    n = n_frameworks * each
    r_sd, r_chan, p_length = rng.uniform(1.2, 1.7, n), rng.uniform(1.6, 2.2, n), rng.uniform(2.5, 4.5, n)
    return make_hops(r_sd, r_chan, p_length, straight(r_sd, r_chan, p_length), np.arange(n) // each)


def family_hops(n_frameworks: int = 8, each: int = 9, seed: int = 1) -> Hops:
    """Hops of narrow families whose barriers are random from family to family: nothing can be learnt but the families."""
    rng = np.random.default_rng(seed)
    family = np.repeat(np.arange(n_frameworks), each)
    places = np.stack([rng.uniform(*size, n_frameworks) for size in ((1.2, 1.7), (1.6, 2.2), (2.5, 4.5))])
    r_sd, r_chan, p_length = places[:, family] + rng.normal(0, 0.004, (3, len(family)))
    barrier = rng.permutation(np.linspace(0.1, 1.4, n_frameworks))[family] + rng.normal(0, 0.01, len(family))
    return make_hops(r_sd, r_chan, p_length, barrier, family)


def make_hops(
    r_sd: NDArray[np.float64],
    r_chan: NDArray[np.float64],
    p_length: NDArray[np.float64],
    barrier: NDArray[np.float64],
    family: NDArray[np.int64],
) -> Hops:
    rows = [six(*row) for row in zip(r_sd.tolist(), r_chan.tolist(), p_length.tolist(), strict=True)]
    return Hops(
        source="made up",
        ids=tuple(f"hop-{number}" for number in range(len(barrier))),
        groups=np.array([f"M{number}O2" for number in family]),
        descriptors=np.array(rows),
        barrier=np.asarray(barrier, dtype=float),
        excluded={},
        methods={"DFT-NEB": len(barrier)},
        definitions={"forward": len(barrier)},
    )
