"""Candidates as documents, put into a database without building anything."""

from __future__ import annotations

import random
from typing import Any

from api.service import Service

ELEMENTS = ["Li", "Na", "O", "F", "P", "S", "Fe", "Mn", "Co", "Ti", "Sr", "B"]
SYSTEMS = ["cubic", "hexagonal", "monoclinic", "triclinic"]


def composed(amounts: dict[str, float]) -> dict[str, Any]:
    """The formula fields of a composition, as the builder writes them."""
    from builders.structures.formulas import describe_composition

    told = describe_composition(amounts)
    return {
        "formula": told.formula,
        "chemical_formula_reduced": told.reduced,
        "chemical_formula_anonymous": told.anonymous,
        "chemical_system": told.chemical_system,
        "elements": list(told.elements),
        "nelements": len(told.elements),
    }


def random_candidate(rng: random.Random, number: int) -> dict[str, Any]:
    """A material: some values are null, some are not there."""
    elements = rng.sample(ELEMENTS, rng.randint(1, 4))
    values: dict[str, Any] = {
        **composed({element: float(rng.choice([1, 1, 2, 3, 4])) for element in elements}),
        "band_gap": rng.choice([0.0, 0.5, 0.5, 1.0, 2.25, round(rng.uniform(0, 8), 2), None, ...]),
        "energy_above_hull": rng.choice([0.0, 0.05, round(rng.uniform(0, 0.3), 3), None]),
        "density": round(rng.uniform(1, 12), 1),
        "name": rng.choice(["olivine", "spinel", "Spinel", "Ånge", "", None, ...]),
        "crystal_system": rng.choice(SYSTEMS),
        "space_group_number": rng.choice([1, 2, 62, 225]),
        "is_ordered": rng.choice([True, False]),
        "experimental": rng.choice([True, False, None, ...]),
        "flags": rng.choice([[], ["short"], ["short", "odd"], None, ...]),
        "provider": rng.choice(["mp", "mp", "amcsd", None]),
        "licence": rng.choice(["CC-BY-4.0", "CC0-1.0", None]),
    }
    return {"_id": f"m-{number:05d}", **{name: value for name, value in values.items() if value is not ...}}


def filled(database: Any, settings: Any, count: int, seed: int = 5) -> tuple[Service, list[dict[str, Any]]]:
    """A service on a database with so many random candidates, and these."""
    rng = random.Random(seed)
    documents = [random_candidate(rng, number) for number in range(count)]
    database["candidates"].insert_many(documents)
    return Service(database, settings), documents
