"""Hashes that depend on content alone, and a registry in which every name means one thing."""

from __future__ import annotations

import pickle
import re
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import errors
from store.crystal import Crystal, site_label
from store.documents import DOCUMENTS, CandidateDocument
from store.errors import FeatureError, IonatlasError
from store.fields import FIELDS, candidate_fields, nearest
from store.provenance import content_hash, describe_error, join_hashes, reject_non_finite, split_hashes

json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def reversed_keys(value: object) -> object:
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(each) for each in value] if isinstance(value, list) else value


@given(json_like)
def test_the_order_of_keys_does_not_matter(value: object) -> None:
    assert content_hash(value) == content_hash(reversed_keys(value))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.integers(0, 100))
def test_the_last_bit_of_a_number_matters(values: list[float], place: int) -> None:
    other = list(values)
    other[place % len(values)] = float(np.nextafter(other[place % len(values)], 1e308))
    assert content_hash(values) != content_hash(other)


def test_arrays_bytes_and_times_have_hashes() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert content_hash(np.arange(3.0)) == content_hash([0.0, 1.0, 2.0])
    assert content_hash(b"ab") != content_hash(b"ac")
    assert len(content_hash({"at": now, "content": b"x"})) == 32


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), {"a": [1.0, float("nan")]}, [[1.0], [float("-inf")]]])
def test_numbers_that_are_not_finite_are_named(bad: object) -> None:
    with pytest.raises(FeatureError, match="only finite numbers"):
        reject_non_finite(bad)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.from_regex(r"[0-9a-f]{32}", fullmatch=True)))
def test_joined_hashes_come_apart_again(hashes: dict[str, str]) -> None:
    assert split_hashes(join_hashes(dict(hashes))) == hashes


def test_errors_survive_the_way_between_processes_and_keep_their_mending() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, IonatlasError)]
    assert len(kinds) > 25
    for kind in kinds:
        again = pickle.loads(pickle.dumps(kind("It broke.", mend="make it")))
        assert (type(again), str(again)) == (kind, "It broke. To mend it: make it")
        assert kind.__name__ in (errors.__doc__ or "")


def test_an_error_without_words_still_says_something() -> None:
    assert describe_error(TimeoutError())["message"] == "TimeoutError without a message"


def test_every_document_field_is_in_the_registry() -> None:
    internal = {"DuplicatesDocument": {"id"}}
    bookkeeping = {"BuildStateDocument", "BuildDocument", "LeaseDocument", "KeyDocument"}
    for document in DOCUMENTS:
        if document.__name__ in bookkeeping:
            continue
        for name in document._fields:
            assert name in FIELDS or name in internal.get(document.__name__, set()), f"{document.__name__}.{name}"


def test_candidates_hold_exactly_the_candidate_fields() -> None:
    assert set(CandidateDocument._fields) == {field.name for field in candidate_fields()} | {"hash", "recipe", "stamp"}


def test_units_stand_in_the_registry_and_never_in_a_name() -> None:
    for field in FIELDS.values():
        assert not re.search(r"_(ev|angstrom|gpa|kelvin|deg)$", field.name.lower())
        assert field.meaning.endswith("."), field.name
        collection, _, path = field.source.partition(".")
        assert collection
        assert path, field.name


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("bandgap", "band_gap"),
        ("e_above_hull", "energy_above_hull"),
        ("densty", "density"),
        ("spacegroup", "space_group_number"),
    ],
)
def test_nearest_names(typed: str, meant: str) -> None:
    assert nearest(typed, 1)[0].name == meant


def test_a_crystal_goes_through_documents_and_pymatgen() -> None:
    mixed = Crystal.from_sites(np.eye(3) * 4, [{"Fe": 0.6, "Mg": 0.4}, {"O": 1.0}], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert mixed.species == ("Fe0.6Mg0.4", "O")
    for again in (Crystal.from_document(mixed.to_document()), Crystal.from_pymatgen(mixed.to_pymatgen())):
        assert again.species == mixed.species
        assert again.occupancies == mixed.occupancies
        assert np.allclose(again.lattice, mixed.lattice)
    assert mixed.amounts() == {"Fe": 0.6, "Mg": 0.4, "O": 1.0}
    assert site_label({"Mg": 0.4, "Fe": 0.6}) == site_label({"Fe": 0.6, "Mg": 0.4})
