"""The weights that ship: what they say of compounds that every chemist knows, and what their card says of them."""

from __future__ import annotations

import numpy as np
import pytest

from builders.embeddings.pairs.model import FOLDER, load_cspml, load_pairs

OLIVINE = {"Li": 1, "Fe": 1, "P": 1, "O": 4}
SALT = {"Na": 1, "Cl": 1}


@pytest.fixture(params=["pairs", "cspml"])
def model(request):
    if request.param == "pairs":
        return load_pairs()
    if not (FOLDER / "cspml").is_dir():
        pytest.skip("CSPML's network, for comparison only, was not retrained: ionatlas train embeddings --only pairs")
    return load_cspml()


def test_close_relatives_are_alike(model):
    related = [{"K": 1, "Br": 1}, {"Li": 1, "F": 1}, {"Mg": 1, "O": 1}]
    assert (model.probability(SALT, related) > 0.5).all()


def test_strangers_are_not(model):
    strangers = [{"B": 1, "N": 1}, {"Ga": 1, "As": 1}, {"Ni": 1, "Al": 1}]
    assert (model.probability(SALT, strangers) < 0.5).all()


def test_an_olivine_resembles_an_olivine_more_than_an_alloy(model):
    olivine, alloy = model.probability(
        OLIVINE, [{"Li": 1, "Mn": 1, "P": 1, "O": 4}, {"Ni": 1, "Ti": 1, "V": 1, "Al": 4}]
    )
    assert olivine > 0.5 > alloy


def test_the_question_is_symmetric(model):
    one, other = SALT, {"Ag": 1, "Br": 1}
    np.testing.assert_allclose(model.probability(one, [other]), model.probability(other, [one]), rtol=1e-5)


def test_elements_in_another_order_are_the_same_compound(model):
    swapped = dict(reversed(OLIVINE.items()))
    template = [{"Na": 1, "Mn": 1, "P": 1, "O": 4}]
    np.testing.assert_allclose(model.probability(OLIVINE, template), model.probability(swapped, template), rtol=1e-5)


def test_each_formula_is_unknown_to_a_member():
    pairs = load_pairs()
    assert all(len(pairs.unseen_members({"Li": a, "O": b})) >= 1 for a in range(1, 20) for b in range(1, 20))


def test_the_card_tells_what_was_learned_from_and_what_was_not(model):
    assert model.card["data"]["excluded"] == "csp90.jsonl.gz"
    assert model.card["data"]["compounds"] == 30198
    assert model.card["licence"] == "BSD-3-Clause"


def test_the_weights_are_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*.npz")) < 6e6
