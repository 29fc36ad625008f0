"""Features of arrangements."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from builders.templates.elements import element_distances
from builders.templates.features import base_cost, costs, feature_names, features

from .templates_pools import arrangements_of, made_proposals


def test_costs_are_sums_of_published_distances() -> None:
    proposals = made_proposals()
    matrix = element_distances().of("xenonpy")
    expected = [sum(matrix[a, b] for a, b in zip(proposals.numbers, row, strict=True)) for row in proposals.replaced]
    assert np.allclose(costs(proposals)[:, 0], expected, atol=1e-6)


def test_every_feature_has_a_name_and_is_finite() -> None:
    proposals = made_proposals()
    arrangements = arrangements_of(proposals)
    found = features(proposals, arrangements, [-base_cost(proposals)])
    assert found.shape == (len(arrangements), len(feature_names()))
    assert np.isfinite(found).all()
    assert len(set(feature_names())) == len(feature_names())


def test_votes_are_shares() -> None:
    proposals = made_proposals()
    found = features(proposals, arrangements_of(proposals), [-base_cost(proposals)])
    for column, name in enumerate(feature_names()):
        if name == "learned vote" or "vote T=" in name:
            assert np.isclose(found[:, column].sum(), 1.0)


def test_features_do_not_depend_on_the_order_of_the_proposals() -> None:
    proposals = made_proposals(3)
    order = np.random.default_rng(1).permutation(len(proposals))
    names = ("replaced", "rows", "formula_units", "space_group", "hull", "volume")
    shuffled = replace(proposals, **{name: getattr(proposals, name)[order] for name in names})
    described = []
    for each in (proposals, shuffled):
        arrangements = arrangements_of(each)
        found = features(each, arrangements, [-base_cost(each)])
        # What stands for an arrangement's best proposal may be another of equal cost; votes, counts and costs may not change.
        kept = [k for k, name in enumerate(feature_names()) if "vote" in name or "cost" in name or name == "proposals"]
        kind = each.rows[arrangements.first, 0, 0]
        described.append(found[np.argsort(kind)][:, kept])
    assert np.allclose(*described, atol=1e-5)


def test_polymorphs_share_a_formula_and_only_the_lowest_is_lowest() -> None:
    proposals = made_proposals(m=4)
    same = replace(
        proposals, replaced=np.array([[9, 11], [9, 11], [17, 11], [17, 19]]), hull=np.array([0.1, 0.0, np.nan, 0.2])
    )
    assert same.formulas()[0] == same.formulas()[1]
    assert len(set(same.formulas().tolist())) == 3
    assert same.lowest().tolist() == [False, True, False, True]
