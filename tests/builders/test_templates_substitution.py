"""The learned element distance: it finds what made the data, keeps its prior where there are none, and is well formed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad

from builders.embeddings.elements import element_table
from builders.templates.elements import METRICS, SIZE, element_distances, published_distances
from builders.templates.substitution import Choice, _Likelihood, fit, square, substitution_distance, upper_triangle

ROW = element_table().row


def number(symbol: str) -> int:
    return ROW[symbol] + 1


def flat_prior() -> np.ndarray:
    prior = np.ones((SIZE, SIZE)) - np.eye(SIZE)
    prior[0] = prior[:, 0] = np.nan
    return prior


def choices(seed: int, count: int = 300) -> list[Choice]:
    """Alkali halides where an alkali metal replaces an alkali metal in the right templates, and a halogen does not."""
    rng = np.random.default_rng(seed)
    alkali, halogen = [number(s) for s in ("Li", "Na", "K", "Rb")], [number(s) for s in ("F", "Cl", "Br", "I")]
    found = []
    for _ in range(count):
        asked = np.array([rng.choice(halogen), rng.choice(alkali)])
        replaced = np.array([[rng.choice(halogen), rng.choice([*alkali, *halogen])] for _ in range(12)])
        right = np.isin(replaced[:, 1], alkali)
        found.append(Choice(asked, replaced, right & (rng.random(12) < 0.9)))
    return found


def test_elements_that_replace_each_other_come_near() -> None:
    distance = square(fit(choices(0), flat_prior()))
    within = distance[number("Na"), number("K")]
    across = distance[number("Na"), number("Br")]
    assert within < 0.5 * across


def test_pairs_that_never_occur_keep_the_prior_s_proportions() -> None:
    prior = flat_prior()
    one, other = (number("Fe"), number("Co")), (number("Au"), number("O"))
    prior[other] = prior[other[::-1]] = 3.0
    distance = square(fit(choices(0), prior))
    assert distance[other] / distance[one] == pytest.approx(3.0, rel=1e-4)


def test_the_gradient_is_that_of_the_likelihood() -> None:
    prior = np.nan_to_num(upper_triangle(flat_prior()))
    likelihood = _Likelihood(choices(1, 20), prior, 0.5)
    rng = np.random.default_rng(0)
    start = 0.1 * rng.normal(size=1 + len(prior))
    used = np.flatnonzero(np.abs(likelihood(start)[1]) > 0.2)[:20]

    def value(some: np.ndarray) -> float:
        return likelihood(_with(start, used, some))[0]

    def slope(some: np.ndarray) -> np.ndarray:
        return likelihood(_with(start, used, some))[1][used]

    assert check_grad(value, slope, start[used]) < 1e-3


def _with(start: np.ndarray, places: np.ndarray, values: np.ndarray) -> np.ndarray:
    changed = start.copy()
    changed[places] = values
    return changed


def test_queries_that_say_nothing_change_nothing() -> None:
    told = choices(0, 50)
    silent = [Choice(each.numbers, each.replaced, np.ones(12, bool)) for each in told]
    silent += [Choice(each.numbers, each.replaced, np.zeros(12, bool)) for each in told]
    assert fit([*told, *silent], flat_prior()) == pytest.approx(fit(told, flat_prior()))


def test_the_shipped_distance_is_symmetric_positive_and_zero_on_its_diagonal() -> None:
    distance = substitution_distance()[1:, 1:]
    assert (distance == distance.T).all()
    assert (np.diag(distance) == 0).all()
    assert distance[~np.eye(len(distance), dtype=bool)].min() > 0


@pytest.mark.parametrize(
    ("element", "near", "far"),
    [("Y", "Ho", "Ba"), ("Na", "K", "Cu"), ("Cl", "Br", "O"), ("Co", "Ni", "Zr"), ("Si", "Ge", "Na"), ("S", "Se", "O")],
)
def test_the_shipped_distance_knows_the_periodic_table(element: str, near: str, far: str) -> None:
    distance = substitution_distance()
    assert distance[number(element), number(near)] < distance[number(element), number(far)]


def test_all_metrics_are_distances_of_elements() -> None:
    found = element_distances()
    assert found.names == METRICS
    inner = found.values[:, 1:, 1:]
    assert np.isfinite(inner).all()
    assert (inner >= 0).all()
    assert np.allclose(inner, inner.transpose(0, 2, 1), atol=1e-6)
    assert np.abs(inner[:, range(94), range(94)]).max() < 1e-5


def test_published_metrics_have_mean_one() -> None:
    above = np.triu_indices(94, 1)
    for matrix in published_distances().values:
        assert matrix[1:, 1:][above].mean() == pytest.approx(1.0, rel=1e-4)


def test_periodic_numbers_run_down_the_groups() -> None:
    periodic = published_distances().of("periodic")
    step = periodic[number("Li"), number("Na")]
    assert periodic[number("Na"), number("K")] == pytest.approx(step)
    assert periodic[number("Li"), number("Be")] > 3 * step
