"""A small store with every kind of crystal that OPTIMADE tells apart, and a server of one's own for an application."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from fastapi.testclient import TestClient

from store.settings import Settings

from .conftest import records

SHARED = """data_shared
_cod_database_code 1000001
_cell_length_a 4.3
_cell_length_b 4.3
_cell_length_c 4.3
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Fe1 Fe 0 0 0 0.6
Mg1 Mg 0 0 0 0.4
Fe2 Fe 0.5 0.5 0 0.6
Mg2 Mg 0.5 0.5 0 0.4
Fe3 Fe 0.5 0 0.5 0.6
Mg3 Mg 0.5 0 0.5 0.4
Fe4 Fe 0 0.5 0.5 0.6
Mg4 Mg 0 0.5 0.5 0.4
O1 O 0.5 0.5 0.5 1
O2 O 0.5 0 0 1
O3 O 0 0.5 0 1
O4 O 0 0 0.5 1
"""
EMPTY = """data_empty
_cod_database_code 1000002
_cell_length_a 5.0
_cell_length_b 5.0
_cell_length_c 5.0
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Li1 Li 0 0 0 0.5
Cl1 Cl 0.5 0.5 0.5 1
"""
HYDROXIDE = """data_hydroxide
_cod_database_code 1000003
_chemical_formula_sum 'H2 Mg O2'
_cell_length_a 3.142
_cell_length_b 3.142
_cell_length_c 4.766
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Mg1 Mg 0 0 0 1
O1 O 0.3333 0.6667 0.22 1
O2 O 0.6667 0.3333 0.78 1
"""


def odd_records() -> list[dict[str, Any]]:
    """A left-handed cell, deuterium, an id with what patterns and addresses read in their own way."""
    cube = [[3.0, 0, 0], [0, 3.0, 0], [0, 0, 3.0]]
    made = [
        ("left", {"lattice": [cube[1], cube[0], cube[2]], "species": ["Po"], "frac_coords": [[0.25, -0.75, 1.5]]}),
        (
            "heavy",
            {
                "lattice": [[3.3, 0, 0], [0, 3.3, 0], [0, 0, 3.3]],
                "species": ["D", "Pd"],
                "frac_coords": [[0.5, 0.5, 0.5], [0, 0, 0]],
            },
        ),
        (
            "a(b.c/d+%é",
            {"lattice": [[4.1, 0, 0], [0, 4.1, 0], [0, 0, 4.1]], "species": ["Ar"], "frac_coords": [[0, 0, 0]]},
        ),
    ]
    return [{"id": key, "source": "odd", "formula": "", "structure": structure} for key, structure in made]


def make_store(uri: str, folder: Path) -> Settings:
    """Ingest the crystals and build what is asked for: structures, duplicates, candidates."""
    from api.builds import run_builds
    from api.work import build_options, ingest_source
    from store.connection import connect

    settings = Settings(home=folder, mongodb_uri=uri, database=f"test_{uuid.uuid4().hex[:16]}")
    database = connect(settings)
    file = folder / "crystals.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in [*records(), *odd_records()]))
    ingest_source(database, file, licence="CC-BY-4.0")
    for name, text in (("shared", SHARED), ("empty", EMPTY), ("hydroxide", HYDROXIDE)):
        (folder / f"{name}.cif").write_text(text)
        ingest_source(database, folder / f"{name}.cif", licence="CC-BY-4.0")
    run_builds(database, settings, ["structures", "duplicates", "candidates"], build_options(settings, workers=1))
    return settings


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application on a free port of this machine; gives its address."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [place]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 30
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{place.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


def ask(client: TestClient, filter_: str | None = None, **params: Any) -> Any:
    wanted = {**({"filter": filter_} if filter_ is not None else {}), **params}
    return client.get("structures", params=wanted)


def found(client: TestClient, filter_: str, **params: Any) -> set[str]:
    answer = ask(client, filter_, page_limit=100, **params)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["meta"]["data_returned"] == len(body["data"])
    return {entry["id"] for entry in body["data"]}


def everything(client: TestClient) -> set[str]:
    return found(client, "")
