"""Filters find what they say: MongoDB against a slow twin in Python, on random documents and random filters."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies
from pymongo.collection import Collection

from api.filters import compile_filter
from store.fields import FIELDS

WORDS = [
    "",
    "a",
    "A",
    "ab",
    "a.b",
    "(x)",
    "x*",
    "Li",
    "LiO2",
    'q"q',
    "back\\slash",
    "Å",
    "a b",
    "new\nline",
    "ab\n",
    "^a$",
]
ELEMENTS = ["Li", "O", "Fe", "P", "S"]
FLAGS = ["disordered", "short", "odd"]
NUMBERS = [-1.5, 0, 0.0, 1, 2, 2.5, 3, 1e-12, 1e300, -7, 2**40]
MISSING = object()


def random_documents(count: int) -> list[dict[str, Any]]:
    """Materials as candidates have them: values, nulls, and fields that are not there at all."""
    rng = random.Random(20)
    documents = []
    for number in range(count):
        elements = sorted(rng.sample(ELEMENTS, rng.randint(1, 4)))
        values = {
            "name": rng.choice([*WORDS, None, MISSING]),
            "formula": rng.choice(WORDS),
            "elements": elements,
            "nelements": len(elements),
            "flags": rng.choice([rng.sample(FLAGS, rng.randint(0, 3)), [], None, MISSING]),
            "band_gap": rng.choice([*NUMBERS, None, MISSING]),
            "density": rng.choice([*NUMBERS, None]),
            "space_group_number": rng.choice([1, 2, 225, None, MISSING]),
            "is_ordered": rng.choice([True, False]),
            "experimental": rng.choice([True, False, None, MISSING]),
        }
        kept = {name: value for name, value in values.items() if value is not MISSING}
        documents.append({"_id": f"m-{number}", **kept})
    return documents


# ------------------------------------------------------------------------------------------ the twin: Kleene's logic


def no(value: bool | None) -> bool | None:
    return None if value is None else not value


def every(values: list[bool | None]) -> bool | None:
    return False if False in values else (None if None in values else True)


def some(values: list[bool | None]) -> bool | None:
    return True if True in values else (None if None in values else False)


COMPARE = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
MATCH = {
    "CONTAINS": lambda a, b: b in a,
    "STARTS WITH": lambda a, b: a.startswith(b),
    "STARTS": lambda a, b: a.startswith(b),
    "ENDS WITH": lambda a, b: a.endswith(b),
    "ENDS": lambda a, b: a.endswith(b),
}
HAVE = {
    "HAS": lambda a, b: b[0] in a,
    "HAS ANY": lambda a, b: bool(set(a) & set(b)),
    "HAS ALL": lambda a, b: set(b) <= set(a),
    "HAS ONLY": lambda a, b: bool(a) and set(a) <= set(b),
}


def holds(tree: tuple[Any, ...], document: dict[str, Any]) -> bool | None:
    kind = tree[0]
    if kind == "not":
        return no(holds(tree[1], document))
    if kind in ("and", "or"):
        return (every if kind == "and" else some)([holds(each, document) for each in tree[1]])
    _, name, operator, constant = tree
    value = document.get("_id" if name == "id" else name)
    if kind == "known":
        return (value is not None) == (operator == "KNOWN")
    if value is None:
        return None
    if kind == "length":
        return bool(COMPARE[operator](len(value), constant))
    table: dict[str, Any] = {"compare": COMPARE, "match": MATCH, "have": HAVE}[kind]
    return bool(table[operator](value, constant))


# --------------------------------------------------------------------------------------------- filters, tree and text


def constant_text(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)


TURNED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def text_of(tree: tuple[Any, ...], turn: bool = False) -> str:
    kind = tree[0]
    if kind == "not":
        return f"NOT ({text_of(tree[1])})"
    if kind in ("and", "or"):
        return "(" + f" {kind.upper()} ".join(text_of(each) for each in tree[1]) + ")"
    _, name, operator, constant = tree
    if kind == "known":
        return f"{name} IS {operator}"
    if kind == "length":
        return f"{name} LENGTH {operator} {constant}"
    if kind == "have":
        return f"{name} {operator} " + ",".join(constant_text(each) for each in constant)
    if kind == "compare" and turn and not isinstance(constant, bool):  # the grammar has no TRUE on the left
        return f"{constant_text(constant)} {TURNED[operator]} {name}"
    return f"{name} {operator} {constant_text(constant)}"


def leaves() -> strategies.SearchStrategy[tuple[Any, ...]]:
    pick = strategies.sampled_from
    numbers = strategies.one_of(pick(NUMBERS), strategies.floats(-1e6, 1e6), strategies.integers(-(2**63), 2**63 - 1))
    words = strategies.one_of(
        pick([word for word in WORDS if "\0" not in word]), strategies.text('aLi.*($^\\" Å\n', max_size=3)
    )
    order = pick(list(COMPARE))
    flags = strategies.lists(pick([*FLAGS, "none such"]), min_size=1, max_size=3)
    elements = strategies.lists(pick([*ELEMENTS, "U"]), min_size=1, max_size=3)
    return strategies.one_of(
        strategies.tuples(
            strategies.just("compare"), pick(["band_gap", "density", "space_group_number"]), order, numbers
        ),
        strategies.tuples(strategies.just("compare"), pick(["name", "formula", "id"]), order, words),
        strategies.tuples(
            strategies.just("compare"), pick(["is_ordered", "experimental"]), pick(["=", "!="]), strategies.booleans()
        ),
        strategies.tuples(strategies.just("match"), pick(["name", "formula", "id"]), pick(list(MATCH)), words),
        strategies.tuples(strategies.just("have"), strategies.just("elements"), pick(list(HAVE)[1:]), elements),
        strategies.tuples(strategies.just("have"), strategies.just("flags"), pick(list(HAVE)[1:]), flags),
        strategies.tuples(
            strategies.just("have"), strategies.just("flags"), strategies.just("HAS"), flags.map(lambda f: f[:1])
        ),
        strategies.tuples(
            strategies.just("length"),
            pick(["flags", "elements"]),
            order,
            strategies.integers(-3, 5) | strategies.just(2**40),
        ),
        strategies.tuples(
            strategies.just("known"),
            pick(["name", "flags", "band_gap", "experimental", "id"]),
            pick(["KNOWN", "UNKNOWN"]),
            strategies.none(),
        ),
    )


def trees() -> strategies.SearchStrategy[tuple[Any, ...]]:
    def grow(inner: strategies.SearchStrategy[tuple[Any, ...]]) -> strategies.SearchStrategy[tuple[Any, ...]]:
        several = strategies.lists(inner, min_size=2, max_size=3)
        return strategies.one_of(
            strategies.tuples(strategies.just("not"), inner),
            strategies.tuples(strategies.sampled_from(["and", "or"]), several),
        )

    return strategies.recursive(leaves(), grow, max_leaves=6)


class Materials:
    """Documents, in MongoDB and in memory."""

    def __init__(self, collection: Collection[Any], documents: list[dict[str, Any]]) -> None:
        self.collection = collection
        self.documents = documents


@pytest.fixture(params=["without indexes", "with indexes"])
def materials(request: pytest.FixtureRequest, database: Any) -> Materials:
    """A few hundred documents; indexes must change the speed and nothing else."""
    collection = database["random_materials"]
    documents = random_documents(300)
    collection.insert_many(documents)
    if request.param == "with indexes":
        for name in documents[0].keys() | {"name", "flags", "band_gap", "experimental", "space_group_number"} - {"_id"}:
            collection.create_index([(name, 1), ("_id", 1)])
    return Materials(collection, documents)


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tree=trees(), turn=strategies.booleans())
def test_mongodb_finds_what_the_twin_finds(materials: Materials, tree: tuple[Any, ...], turn: bool) -> None:
    text = text_of(tree, turn)
    found = {row["_id"] for row in materials.collection.find(compile_filter(text).query, {"_id": 1})}
    assert found == {document["_id"] for document in materials.documents if holds(tree, document) is True}, text


def test_the_twin_covers_every_type_of_field() -> None:
    used = {
        FIELDS[name].type for name in ("name", "elements", "flags", "band_gap", "space_group_number", "experimental")
    }
    assert used == {field.type for field in FIELDS.values() if field.queryable}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NOT band_gap > 2", {"low"}),
        ("NOT (band_gap > 2 OR density > 0)", set()),
        ("band_gap != 1", {"high"}),
        ("band_gap IS UNKNOWN", {"null", "absent"}),
        ("NOT band_gap IS KNOWN", {"null", "absent"}),
        ("band_gap > 2 OR band_gap IS UNKNOWN", {"high", "null", "absent"}),
    ],
)
def test_what_is_unknown_is_neither_found_by_a_comparison_nor_by_its_negation(
    database: Any, text: str, expected: set[str]
) -> None:
    collection = database["gaps"]
    collection.insert_many(
        [
            {"_id": "low", "band_gap": 1.0, "density": 3.0},
            {"_id": "high", "band_gap": 3.0, "density": 3.0},
            {"_id": "null", "band_gap": None, "density": 3.0},
            {"_id": "absent", "density": 3.0},
        ]
    )
    assert {row["_id"] for row in collection.find(compile_filter(text).query)} == expected
