"""A small store, made the way a user makes one: a file ingested, everything built. Once for all tests of this room."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from store.server import ServerInfo
from store.settings import Settings

FCC = ((0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0))


def rock_salt(cation: str, anion: str, a: float) -> dict[str, Any]:
    lattice = [[a * x for x in row] for row in FCC]
    return {"lattice": lattice, "species": [cation, anion], "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]]}


def cubic(a: float, sites: list[tuple[str, list[float]]]) -> dict[str, Any]:
    lattice = [[a, 0, 0], [0, a, 0], [0, 0, a]]
    return {"lattice": lattice, "species": [name for name, _ in sites], "frac_coords": [place for _, place in sites]}


def records() -> list[dict[str, Any]]:
    """Twelve crystals; t-11 repeats t-1 in another cell, t-12 is impossible."""
    fluorite = {
        "lattice": [[5.46 * x for x in row] for row in FCC],
        "species": ["Ca", "F", "F"],
        "frac_coords": [[0, 0, 0], [0.25, 0.25, 0.25], [0.75, 0.75, 0.75]],
    }
    conventional = [("Na", [0, 0, 0]), ("Na", [0, 0.5, 0.5]), ("Na", [0.5, 0, 0.5]), ("Na", [0.5, 0.5, 0])]
    conventional += [("Cl", [0.5, 0.5, 0.5]), ("Cl", [0.5, 0, 0]), ("Cl", [0, 0.5, 0]), ("Cl", [0, 0, 0.5])]
    perovskite = [
        ("Sr", [0, 0, 0]),
        ("Ti", [0.5] * 3),
        ("O", [0.5, 0.5, 0]),
        ("O", [0.5, 0, 0.5]),
        ("O", [0, 0.5, 0.5]),
    ]
    made: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (rock_salt("Na", "Cl", 5.64), {"band_gap": 5.0, "energy_above_hull": 0.0}),
        (rock_salt("Li", "Cl", 5.13), {"band_gap": 6.3, "energy_above_hull": 0.0}),
        (rock_salt("Li", "F", 4.03), {"band_gap": 8.8, "energy_above_hull": 0.0}),
        (rock_salt("Mg", "O", 4.21), {"band_gap": 4.5, "energy_above_hull": 0.0}),
        (rock_salt("Ni", "O", 4.17), {"band_gap": 2.3, "energy_above_hull": 0.02}),
        (rock_salt("Co", "O", 4.26), {"energy_above_hull": 0.06}),
        (cubic(4.12, [("Cs", [0, 0, 0]), ("Cl", [0.5] * 3)]), {"band_gap": 5.2}),
        (fluorite, {"band_gap": 7.3, "energy_above_hull": 0.0}),
        (cubic(3.905, perovskite), {"band_gap": 1.8, "energy_above_hull": 0.0}),
        (cubic(2.87, [("Fe", [0, 0, 0]), ("Fe", [0.5] * 3)]), {"band_gap": 0.0, "energy_above_hull": 0.0}),
        (cubic(5.64, conventional), {"band_gap": 5.0, "energy_above_hull": 0.0}),
        (cubic(3.0, [("Na", [0, 0, 0]), ("Cl", [0, 0, 0.0001])]), {}),
    ]
    return [
        {"id": f"t-{number}", "source": "test", "formula": "", "structure": structure, **properties}
        for number, (structure, properties) in enumerate(made, start=1)
    ]


@dataclass
class BuiltStore:
    """The store and how it was made."""

    settings: Settings
    file: Path

    @property
    def database(self) -> Any:
        """The database; connected anew where a test in between closed all connections."""
        from store.connection import connect

        return connect(self.settings)

    def environment(self) -> dict[str, str]:
        """The variables that lead a command to it."""
        return {
            "IONATLAS_HOME": str(self.settings.home),
            "IONATLAS_MONGODB_URI": self.settings.mongodb_uri or "",
            "IONATLAS_DATABASE": self.settings.database,
        }


@pytest.fixture(scope="session")
def built(server: ServerInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuiltStore]:
    """The store; tests read it and leave it as it is."""
    from api.builds import run_builds
    from api.work import build_options, ingest_source
    from store.connection import connect

    folder = tmp_path_factory.mktemp("built")
    file = folder / "crystals.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records()))
    settings = Settings(home=folder, mongodb_uri=server.uri, database=f"test_{uuid.uuid4().hex[:16]}")
    database = connect(settings)
    ingest_source(database, file, licence="CC0-1.0")
    run_builds(database, settings, options=build_options(settings, workers=1))
    yield BuiltStore(settings, file)
    connect(settings).client.drop_database(settings.database)


@pytest.fixture
def at_built(built: BuiltStore, monkeypatch: pytest.MonkeyPatch) -> BuiltStore:
    """The store, named by the environment."""
    for name, value in built.environment().items():
        monkeypatch.setenv(name, value)
    return built
