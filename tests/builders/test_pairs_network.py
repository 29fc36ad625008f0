"""Training in torch and its twin in NumPy; what a model promises of its embeddings, members and files."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from builders.embeddings.pairs.compositions import Scale, element_vectors, formula_key, read_sets
from builders.embeddings.pairs.labels import Labels
from builders.embeddings.pairs.model import DifferenceModel, Line, PairModel, load_cspml, load_pairs, save_model
from builders.embeddings.pairs.network import difference_logit, encode, folded, separation
from builders.embeddings.pairs.protocol import Pairs
from builders.embeddings.pairs.train import classes_among
from builders.learning.pair_classifier import ClassifierSettings, PairClassifier
from builders.learning.pair_metric import MetricSettings, SetMetric
from store.errors import FeatureError, MissingExtra, UsageError

PLAIN = Scale(np.zeros(290), np.full(290, 50.0))
SALTS = [{a: 1, b: 1} for a in ("Li", "Na", "K", "Rb") for b in ("F", "Cl", "Br", "I")]
ALLOYS = [{a: 1, b: 1} for a in ("Fe", "Co", "Ni", "Mn") for b in ("Al", "Ga", "Ti", "Zn")]
WATERS = [{"O": 1, a: 2} for a in ("H", "Li", "Na", "K")]
SMALL = MetricSettings(width=16, heads=2, layers=1, learned=4, hidden=16, dimension=8, epochs=25, batch=64, rate=1e-2)


@pytest.fixture(scope="module")
def problem():
    """Salts are alike, alloys are alike, a salt and an alloy are not."""
    compositions = SALTS + ALLOYS + WATERS
    kind = np.array([0] * 16 + [1] * 16 + [2] * 4)
    rows = {"1:1": np.arange(32), "1:2": np.arange(32, 36)}
    labels = Labels(rows, {k: kind[v][:, None] == kind[v] for k, v in rows.items()}, ["1:1"] * 32 + ["1:2"] * 4)
    return compositions, read_sets(compositions, PLAIN), labels


@pytest.fixture(scope="module")
def trained(problem):
    _, sets, labels = problem
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return SetMetric(SMALL, element_vectors()).fit(sets, classes_among(labels, np.arange(36))).weights_


@pytest.fixture(scope="module")
def model(problem, trained):
    other = {name: values * 0.9 if name == "out.weight" else values for name, values in trained.items()}
    return PairModel((trained, other), PLAIN, seed=3, ensemble=Line(0.8, 0.1), single=Line(0.7, 0.0))


def test_training_tells_what_is_alike(trained, problem):
    _, sets, _ = problem
    z = encode(sets, trained)
    logit = trained["offset"] - separation(z[:32, None], z[None, :32])
    kind = np.arange(32) < 16
    assert ((logit > 0) == (kind[:, None] == kind)).mean() > 0.97


def test_numpy_computes_what_torch_computes(problem):
    torch = pytest.importorskip("torch")
    from builders.learning.pair_modules import SetEncoder

    _, sets, _ = problem
    torch.manual_seed(0)
    network = SetEncoder(torch.from_numpy(element_vectors()), 6, 290, replace(SMALL, layers=2)).eval()
    with torch.no_grad():
        embedded, doubt = network(*(torch.from_numpy(part) for part in sets))
        wanted = network.logits(embedded, doubt).numpy()
    z = encode(sets, {name: value.numpy() for name, value in network.state_dict().items()})
    np.testing.assert_allclose(network.offset.item() - separation(z[:, None], z[None]), wanted, atol=1e-4)


def test_numpy_computes_what_torchs_classifier_computes():
    torch = pytest.importorskip("torch")
    from builders.learning.pair_modules import Difference

    torch.manual_seed(0)
    network = Difference(12, ClassifierSettings(layers=2, units=9))
    x = torch.rand(64, 12)
    network(x)  # moves the running means off their start
    network.eval()
    with torch.no_grad():
        wanted = torch.softmax(network(x), dim=1)[:, 1].numpy()
    found = difference_logit(x.numpy(), folded({k: v.numpy() for k, v in network.state_dict().items() if v.ndim}))
    np.testing.assert_allclose(1 / (1 + np.exp(-found)), wanted, atol=1e-6)


def test_the_order_and_the_size_of_a_formula_do_not_matter(model):
    one, other = model.embed([{"Li": 1, "Fe": 1, "P": 1, "O": 4}, {"O": 16, "P": 4, "Fe": 4, "Li": 4}])
    np.testing.assert_array_equal(one, other)


def test_the_most_probable_templates_are_the_nearest_neighbours(model, problem):
    compositions = problem[0][:32]
    rows = model.embed(compositions)
    probability = model.probability(compositions[0], compositions[1:])
    query = model.as_queries(rows[:1])
    nearest = np.argsort(np.linalg.norm(rows[1:] - query, axis=1), kind="stable")
    assert (np.diff(probability[nearest]) <= 1e-6).all()


def test_the_logit_is_the_mean_of_the_members(model, problem):
    rows = model.embed(problem[0][:5])
    alone = [model.logit(rows[0], rows, [member]) for member in range(2)]
    np.testing.assert_allclose(model.logit(rows[0], rows), np.mean(alone, axis=0), rtol=1e-5)


def test_a_member_alone_is_its_encoder(model, problem):
    _, sets, _ = problem
    rows = model.embed(problem[0][:5])
    z = encode(sets.at(np.arange(5)), model.members[1])
    wanted = model.members[1]["offset"] - separation(z, z[0])
    np.testing.assert_allclose(model.logit(rows[0], rows, [1]), wanted, rtol=1e-4, atol=1e-5)


def test_unseen_only_asks_the_member_that_left_the_formula_out(model, problem):
    compositions = problem[0]
    query = next(each for each in compositions if model.fold_of(each) == 1)
    rows = model.embed([query, *compositions[:4]])
    wanted = model.of_embeddings(rows[0], rows[1:], [1])
    np.testing.assert_allclose(model.probability(query, compositions[:4], unseen_only=True), wanted)


def test_folds_divide_formulas_evenly_and_by_formula(model):
    formulas = [{"Li": a, "O": b} for a in range(1, 40) for b in range(1, 40)]
    folds = np.array([model.fold_of(each) for each in formulas])
    keys = [formula_key(each) for each in formulas]
    assert len({*zip(keys, folds.tolist(), strict=True)}) == len(set(keys))
    assert abs((folds == -1).mean() - 0.06) < 0.03
    assert abs((folds == 0).mean() - 0.47) < 0.05


def test_no_templates_give_no_probabilities(model):
    assert model.probability({"Na": 1, "Cl": 1}, []).shape == (0,)


def test_an_element_without_features_is_refused(model):
    with pytest.raises(FeatureError, match="Lr"):
        model.probability({"Lr": 1, "Cl": 1}, [{"Na": 1, "Cl": 1}])


def test_training_without_torch_names_the_extra(problem, monkeypatch):
    _, sets, labels = problem
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"ionatlas\[train\]"):
        SetMetric(SMALL, element_vectors()).fit(sets, classes_among(labels, np.arange(36)))


def test_training_again_gives_the_same(problem, trained):
    _, sets, labels = problem
    again = SetMetric(SMALL, element_vectors()).fit(sets, classes_among(labels, np.arange(36))).weights_
    assert all((again[name] == trained[name]).all() for name in trained)


def test_interrupted_training_ends_as_if_it_had_not_been(problem, trained, tmp_path):
    _, sets, labels = problem

    def interrupt(told):
        if told["epoch"] == 10:
            raise KeyboardInterrupt

    path = tmp_path / "member.pt"
    classes = classes_among(labels, np.arange(36))
    with pytest.raises(KeyboardInterrupt):
        SetMetric(SMALL, element_vectors(), path, progress=interrupt).fit(sets, classes)
    epochs = []
    learner = SetMetric(SMALL, element_vectors(), path, progress=lambda told: epochs.append(told["epoch"]))
    found = learner.fit(sets, classes).weights_
    assert epochs[0] == 11
    np.testing.assert_allclose(found["out.weight"], trained["out.weight"], rtol=1e-5)


def test_a_checkpoint_of_other_settings_is_not_gone_on_with(problem, tmp_path):
    _, sets, labels = problem
    path, epochs = tmp_path / "member.pt", []
    classes = classes_among(labels, np.arange(36))
    SetMetric(replace(SMALL, epochs=2), element_vectors(), path).fit(sets, classes)
    told = replace(SMALL, epochs=2, seed=1)
    SetMetric(told, element_vectors(), path, progress=lambda told: epochs.append(told["epoch"])).fit(sets, classes)
    assert epochs == [1, 2]


def test_early_stopping_keeps_the_best_epoch(problem):
    _, sets, labels = problem
    scores = iter([0.1, 0.9, 0.3, 0.2, 0.1])
    told = replace(SMALL, patience=2)
    learner = SetMetric(told, element_vectors()).fit(
        sets, classes_among(labels, np.arange(36)), lambda rows, offset: next(scores)
    )
    assert learner.best_epoch_ == 1


def test_the_classifier_learns_and_stops():
    pytest.importorskip("torch")
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 6)).astype(np.float32)
    first, second = random.integers(0, 200, (2, 3000))
    pairs = Pairs(first, second, np.abs(x[first, 0] - x[second, 0]) < 0.8)
    parts = [Pairs(*(each[part] for each in pairs)) for part in (slice(2400), slice(2400, None))]
    learner = PairClassifier(ClassifierSettings(units=16, batch=128, epochs=40, patience=5)).fit(x, *parts)
    assert learner.best_epoch_ + 5 == learner.epochs_ - 1 or learner.epochs_ == 40
    found = difference_logit(np.abs(x[parts[1].first] - x[parts[1].second]), folded(learner.weights_))
    assert ((found > 0) == parts[1].alike).mean() > 0.85


def test_a_training_that_has_ended_is_not_run_again(tmp_path):
    pytest.importorskip("torch")
    random = np.random.default_rng(0)
    x = random.normal(size=(50, 4)).astype(np.float32)
    pairs = Pairs(
        random.integers(0, 50, 300), random.integers(0, 50, 300), random.random(300) < 0.5
    )  # nothing to learn
    told, epochs = ClassifierSettings(units=4, epochs=200, patience=3), []
    first = PairClassifier(told, tmp_path / "c.pt").fit(x, pairs, pairs)
    assert first.epochs_ < 200
    again = PairClassifier(told, tmp_path / "c.pt", progress=lambda each: epochs.append(each)).fit(x, pairs, pairs)
    assert not epochs
    assert all((again.weights_[name] == first.weights_[name]).all() for name in first.weights_)


def test_a_saved_model_is_the_same_to_half_precision(model, problem, tmp_path):
    save_model(model, tmp_path)
    found = load_pairs(tmp_path)
    assert (found.seed, found.ensemble, found.single) == (3, Line(0.8, 0.1), Line(0.7, 0.0))
    compositions = problem[0]
    wanted = model.probability(compositions[0], compositions)
    np.testing.assert_allclose(found.probability(compositions[0], compositions), wanted, atol=0.02)


def test_a_saved_classifier_is_nearly_the_same(tmp_path):
    random = np.random.default_rng(0)
    member = {
        "dense.0.weight": random.normal(size=(5, 290)).astype(np.float32),
        "dense.0.bias": np.zeros(5, np.float32),
        "out.weight": random.normal(size=(1, 5)).astype(np.float32),
        "out.bias": np.zeros(1, np.float32),
    }
    model = DifferenceModel((member,), PLAIN)
    save_model(model, tmp_path)
    wanted = model.probability(SALTS[0], SALTS)
    assert wanted[0] == 0.5  # no difference at all
    np.testing.assert_allclose(load_cspml(tmp_path).probability(SALTS[0], SALTS), wanted, atol=0.02)


def test_weights_that_do_not_belong_to_their_card_are_refused(model, tmp_path):
    save_model(model, tmp_path)
    card = tmp_path / "pairs" / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "weights_hash": "0"}))
    with pytest.raises(UsageError, match="do not belong"):
        load_pairs(tmp_path)


def test_a_folder_without_a_model_says_how_to_make_one(tmp_path):
    with pytest.raises(UsageError, match=r"pairs\.train"):
        load_cspml(tmp_path)
