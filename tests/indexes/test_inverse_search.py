"""Inverse retrieval over a small library, with towers whose answers are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from builders.embeddings.towers.composition import Composition, composition_of
from builders.embeddings.towers.model import load_towers
from indexes.inverse.search import InverseCandidate, inverse
from indexes.inverse.space import CompositionSpace
from indexes.templates.library import TemplateLibrary
from store.crystal import Crystal
from store.errors import StructureError, UnknownId, UsageError


def rock_salt(a: float, cation: str, anion: str) -> Crystal:
    h = a / 2
    return Crystal.from_lists([[0, h, h], [h, 0, h], [h, h, 0]], [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def caesium_chloride(a: float, cation: str, anion: str) -> Crystal:
    return Crystal.from_lists(np.eye(3) * a, [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def fluorite(a: float, cation: str, anion: str) -> Crystal:
    h = a / 2
    return Crystal.from_lists(
        [[0, h, h], [h, 0, h], [h, h, 0]],
        [cation, anion, anion],
        [[0, 0, 0], [0.25, 0.25, 0.25], [0.75, 0.75, 0.75]],
    )


CRYSTALS = {
    "salt": rock_salt(5.64, "Na", "Cl"),
    "sylvite": rock_salt(6.29, "K", "Cl"),
    "periclase": rock_salt(4.21, "Mg", "O"),
    "dense": caesium_chloride(3.3, "Na", "Cl"),
    "caesium": caesium_chloride(4.12, "Cs", "Cl"),
    "fluorite": fluorite(5.46, "Ca", "F"),
}


class ByScore:
    def probability(self, features: Any) -> Any:
        return features[:, 1]  # of the score at the given volume


class ByRelatives:
    def probability(self, features: Any) -> Any:
        return (features[:, 0] + features[:, 3]) / 2  # of the best score and of the relatives


class BySize:
    """Towers that know one thing: the spacing of a structure, and for compositions a number made up here."""

    dimension = 2
    SIZES: Mapping[str, float] = {"NaCl": 2.8, "KCl": 3.1, "MgO": 2.1, "CsCl": 3.3, "NaF": 2.3, "CaF2": 2.4}

    def embed_compositions(self, compositions: Sequence[Any]) -> Any:
        read = [each if isinstance(each, Composition) else composition_of(each) for each in compositions]
        return self._angles([self.SIZES.get(each.formula, 9.0) for each in read])

    def embed_features(self, features: Sequence[Any]) -> Any:
        return self._angles([float(each.whole[-1]) for each in features])

    @property
    def support(self) -> Mapping[str, Any]:
        return {"structure": ByScore(), "arrangement": ByRelatives()}

    def _angles(self, sizes: Sequence[float]) -> Any:
        angle = np.array(sizes, dtype=np.float32).reshape(-1) / 4
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)


@pytest.fixture(scope="module")
def space() -> CompositionSpace:
    library = TemplateLibrary.from_entries([]).with_crystals(CRYSTALS)
    return CompositionSpace(library, BySize())  # type: ignore[arg-type]


def formulas(found: list[InverseCandidate]) -> list[str]:
    return [each.formula for each in found]


def test_known_compositions_of_the_stoichiometry_are_ranked(space: CompositionSpace) -> None:
    found = inverse(rock_salt(5.6, "Li", "I"), space)
    assert formulas(found) == ["NaCl", "KCl", "CsCl", "MgO"]  # by |size - 2.8|: 0, 0.3, 0.5, 0.7
    assert [each.rank for each in found] == [1, 2, 3, 4]
    assert all(each.known for each in found)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    assert all(each.scale == 1.0 for each in found)


def test_relatives_decide_who_could_take_the_arrangement(space: CompositionSpace) -> None:
    found = inverse("salt", space, any_volume=True)
    assert [each.probability for each in found] == sorted((each.probability for each in found), reverse=True)
    # Nobody is a relative of itself: of the others of NaCl two in three have the prototype, of those of CsCl all.
    shares = {each.formula: each.probability for each in found}
    assert shares["CsCl"] > shares["NaCl"]


def test_the_volume_may_be_free(space: CompositionSpace) -> None:
    found = {each.formula: each for each in inverse(rock_salt(5.6, "Li", "I"), space, any_volume=True)}
    assert found["MgO"].scale == 0.93
    assert found["CsCl"].scale == 1.07
    assert found["NaCl"].scale == 1.0


def test_who_has_the_prototype_is_told(space: CompositionSpace) -> None:
    found = {each.formula: each for each in inverse("salt", space)}
    assert {name for name, each in found.items() if each.has_prototype} == {"NaCl", "KCl", "MgO"}
    assert set(found["NaCl"].known_ids) == {"salt", "dense"}
    assert [member.id for member in found["CsCl"].nearest_known] == ["sylvite", "salt", "periclase"]
    assert "salt" not in [member.id for member in found["NaCl"].nearest_known]


def test_elements_bring_new_compositions(space: CompositionSpace) -> None:
    found = inverse("salt", space, elements=["Na", "K", "F", "Cl"], charge_balanced=True)
    assert set(formulas(found)) == {"NaCl", "KCl", "NaF", "KF"}
    new = {each.formula for each in found if not each.known}
    assert new == {"NaF", "KF"}
    assert all(each.known_ids == () and not each.has_prototype for each in found if not each.known)


def test_without_balance_everything_is_there(space: CompositionSpace) -> None:
    found = inverse("salt", space, elements="Na,K,F,Cl")
    assert len(found) == 6
    assert {each.formula for each in found if each.oxidation_states is None} == {"KNa", "ClF"}


def test_only_new_or_only_some(space: CompositionSpace) -> None:
    assert formulas(inverse("salt", space, elements=["Na", "K", "F"], charge_balanced=True, stored=False))[0] == "NaF"
    assert formulas(inverse("salt", space, required=["Mg"])) == ["MgO"]
    assert formulas(inverse("salt", space, elements=["Cs", "Cl"])) == ["CsCl"]
    assert "NaCl" not in formulas(inverse("salt", space, exclude=["Na2Cl2"]))
    assert len(inverse("salt", space, 2)) == 2


def test_another_stoichiometry_on_request(space: CompositionSpace) -> None:
    found = inverse("salt", space, ratios=["2:1"])
    assert formulas(found) == ["CaF2"]
    assert found[0].mapping == {}
    assert np.isnan(found[0].probability)


def test_elements_stand_for_those_alike(space: CompositionSpace) -> None:
    found = {each.formula: each for each in inverse("salt", space)}
    assert found["KCl"].mapping == {"K": "Na", "Cl": "Cl"}
    assert found["MgO"].mapping == {"Mg": "Na", "O": "Cl"}
    assert found["MgO"].oxidation_states == {"Mg": 2.0, "O": -2.0}


def test_stored_vectors_are_used_where_there_are_any(space: CompositionSpace) -> None:
    asked: list[str] = []

    def stored(identifier: str) -> Any:
        asked.append(identifier)
        return None if identifier == "sylvite" else np.array([1.0, 0.0], dtype=np.float32)

    vectors = CompositionSpace(space.library, BySize(), stored).of((1, 1)).vectors  # type: ignore[arg-type]
    assert len(asked) == 4  # one a composition
    assert sorted(vectors[:, 0].tolist())[1:] == [1.0, 1.0, 1.0]


def test_what_nothing_is_known_of(space: CompositionSpace) -> None:
    copper = Crystal.from_lists([[0, 1.8, 1.8], [1.8, 0, 1.8], [1.8, 1.8, 0]], ["Cu"], [[0, 0, 0]])
    assert inverse(copper, space) == []
    assert formulas(inverse(copper, space, elements=["Ag", "Au"])) == ["Ag", "Au"]


def test_wrong_questions_are_refused(space: CompositionSpace) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        inverse("salt", space, 0)
    with pytest.raises(UnknownId):
        inverse("nothing", space)
    with pytest.raises(UsageError, match="nothing to look among"):
        inverse("salt", space, stored=False)
    with pytest.raises(StructureError):
        inverse(Crystal.from_lists(np.zeros((3, 3)), ["Na"], [[0, 0, 0]]), space)


def test_the_shipped_towers_put_salts_before_metals() -> None:
    library = TemplateLibrary.from_entries([]).with_crystals(CRYSTALS)
    found = inverse(
        "salt", CompositionSpace(library, load_towers()), 30, elements=["Li", "Na", "K", "Cl", "Br", "Al", "Ti"]
    )
    places = {each.formula: each.rank for each in found}
    assert max(places["NaCl"], places["NaBr"]) < min(places["TiAl"], places.get("Al1Na1", 99), places.get("NaAl", 99))
    assert all(0 < each.probability < 1 for each in found)


def test_a_structure_of_an_element_without_features_can_be_asked_about(space: CompositionSpace) -> None:
    found = inverse(rock_salt(5.6, "Cm", "N"), space)
    assert len(found) == 4
    assert all(each.mapping == {} for each in found)


def test_a_disordered_structure_can_be_asked_about(space: CompositionSpace) -> None:
    mixed = Crystal.from_sites(
        rock_salt(5.6, "Na", "Cl").lattice, [{"Na": 0.5, "K": 0.5}, {"Cl": 1.0}], [[0, 0, 0], [0.5] * 3]
    )
    assert inverse(mixed, space) == []  # nothing of 1:1:2 is known
    assert formulas(inverse(mixed, space, elements=["Na", "K", "Br"], charge_balanced=True)) == ["KNaBr2"]
