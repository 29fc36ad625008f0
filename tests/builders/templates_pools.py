"""Made-up proposals for the tests of ranking."""

from __future__ import annotations

import numpy as np

from builders.templates.candidates import Proposals
from builders.templates.prototypes import collapse
from builders.templates.questions import Question, Truth, pose

ALKALI, HALOGENS = (3, 11, 19, 37, 55), (9, 17, 35, 53)


def made_proposals(seed: int = 0, m: int = 24, kinds: int = 4) -> Proposals:
    """Binary salts that take one of some arrangements; the heavier the alkali metal, the higher its number."""
    rng = np.random.default_rng(seed)
    alkali = rng.choice(ALKALI, m)
    kind = np.minimum(alkali // 15, kinds - 1)
    rows = (1.0 + 0.4 * kind)[:, None, None] * np.ones((m, 2, 40))
    return Proposals(
        numbers=np.array([int(rng.choice(HALOGENS)), int(rng.choice(ALKALI))]),
        amounts=np.array([1, 1]),
        replaced=np.stack([rng.choice(HALOGENS, m), alkali], axis=1),
        rows=rows.astype(np.float32),
        formula_units=np.ones(m, int),
        space_group=np.full(m, 225),
        hull=np.where(rng.random(m) < 0.2, np.nan, rng.choice([0.0, 0.03], m)),
        volume=rng.uniform(10, 40, m),
        n_class=m,
    )


def made_question(seed: int = 0) -> Question:
    """A question whose truth is the arrangement of the query's own alkali metal."""
    proposals = made_proposals(seed)
    kind = min(int(proposals.numbers[1]) // 15, 3)
    truth = Truth(((1.0 + 0.4 * kind) * np.ones((2, 40))).astype(np.float32), 1, 225)
    return pose(f"query-{seed}", proposals, truth)


def arrangements_of(proposals: Proposals):  # type: ignore[no-untyped-def]
    """Arrangements of proposals."""
    return collapse(proposals.rows, proposals.formula_units, proposals.space_group)
