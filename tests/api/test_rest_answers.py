"""REST: every use-case over HTTP on a small built store; pages, forms of answers, ETags, errors."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

BuiltStore = Any  # of conftest.py, which is no module to import from

CIF = """data_LiF
_cell_length_a 4.03
_cell_length_b 4.03
_cell_length_c 4.03
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
_symmetry_Int_Tables_number 225
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Li1 Li 0 0 0
F1 F 0.5 0.5 0.5
"""


@pytest.fixture(scope="module")
def client(built: BuiltStore) -> Iterator[TestClient]:
    from api.rest.app import create_app

    with TestClient(create_app(built.settings)) as opened:
        yield opened


def get(client: TestClient, path: str, status: int = 200, **query: Any) -> Any:
    reply = client.get(f"/v1{path}", params=query)
    assert reply.status_code == status, reply.text
    return reply.json()


def problem(client: TestClient, path: str, status: int = 400, **query: Any) -> Any:
    reply = client.get(path, params=query or None)
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    told = reply.json()
    assert told["status"] == status
    assert told["detail"]
    return told


class TestMaterials:
    def test_rows_come_with_units_and_a_count(self, client: TestClient) -> None:
        told = get(client, "/materials", filter='elements HAS "Li" AND band_gap > 5', fields="id,band_gap")
        assert told["data"] == [{"id": "t-2", "band_gap": 6.3}, {"id": "t-3", "band_gap": 8.8}]
        assert told["meta"]["fields"]["band_gap"]["unit"] == "eV"
        assert (told["meta"]["total"], told["meta"]["more"], told["links"]["next"]) == (2, False, None)

    @pytest.mark.parametrize("sort", ["", "-density", "band_gap", "-band_gap,formula"])
    def test_pages_hold_each_material_once_in_order(self, client: TestClient, sort: str) -> None:
        whole = [row["id"] for row in get(client, "/materials", limit=1000, sort=sort, fields="id")["data"]]
        found: list[str] = []
        address = f"/v1/materials?limit=3&sort={sort}&fields=id"
        while address:
            told = client.get(address).json()
            found += [row["id"] for row in told["data"]]
            address = told["links"]["next"]
        assert found == whole
        assert len(set(whole)) == len(whole) > 9

    def test_a_cursor_of_another_question_is_refused(self, client: TestClient) -> None:
        after = get(client, "/materials", limit=2)["meta"]["next"]
        assert problem(client, "/v1/materials", after=after, filter="band_gap > 1")["mend"]
        problem(client, "/v1/materials", after="x" * 40)

    def test_ids_are_answered_in_their_order(self, client: TestClient) -> None:
        reply = client.post("/v1/materials", json={"ids": ["t-3", "none", "t-1"], "fields": "id,formula"})
        assert [row["id"] for row in reply.json()["data"]] == ["t-3", "t-1"]
        assert "none" in reply.json()["meta"]["note"]

    def test_a_long_filter_is_posted(self, client: TestClient) -> None:
        text = " OR ".join(f'id = "t-{number}"' for number in range(1, 4)) + " " * 4000
        reply = client.post("/v1/materials", json={"filter": text})
        assert len(reply.json()["data"]) == 3

    def test_one_material(self, client: TestClient) -> None:
        told = get(client, "/materials/t-1")
        assert told["data"]["formula"] == "NaCl"
        assert get(client, "/materials/t-1", fields="id,density")["data"].keys() == {"id", "density"}
        assert problem(client, "/v1/materials/t-99", 404)["error"] == "UnknownId"

    def test_a_slash_in_an_id_is_no_boundary(self, client: TestClient) -> None:
        told = problem(client, "/v1/materials/a%2Fstructure", 404)
        assert told["error"] == "UnknownId"
        assert problem(client, "/v1/materials/a/structure", 404)["error"] == "UnknownId"
        assert "error" not in problem(client, "/v1/materials/a/b", 404)

    def test_structures_in_three_forms(self, client: TestClient) -> None:
        data = get(client, "/materials/t-1/structure")["data"]
        assert len(data["species"]) == len(data["frac_coords"]) == 8
        cif = client.get("/v1/materials/t-1/structure?format=cif&cell=primitive")
        assert cif.headers["content-type"].startswith("chemical/x-cif")
        assert "_cell_length_a" in cif.text
        assert client.get("/v1/materials/t-1/structure?format=poscar").text.startswith("t-1")
        problem(client, "/v1/materials/t-1/structure", format="pdf")

    def test_where_a_value_comes_from(self, client: TestClient) -> None:
        data = get(client, "/materials/t-1/lineage/band_gap")["data"]
        assert (data["value"], data["unit"]) == (5.0, "eV")
        step = data["steps"][0]
        while step["inputs"]:
            step = step["inputs"][0]
        assert step["collection"] == "sources"
        assert step["origins"][0]["file"] == "crystals.jsonl"
        assert "/" not in json.dumps(step["origins"]), "no path of this machine"

    def test_documents_tell_no_path_of_the_machine(self, client: TestClient, built: BuiltStore) -> None:
        told = client.get("/v1/materials/t-1/documents").text
        assert json.loads(told)["data"]["structure"]["formula"] == "NaCl"
        for secret in (str(built.file.parent), str(built.settings.home)):
            assert secret not in told

    def test_status_tells_no_path_either(self, client: TestClient, built: BuiltStore) -> None:
        told = client.get("/v1/status").text
        assert str(built.settings.home) not in told
        assert {each["name"] for each in json.loads(told)["data"]["collections"]} >= {"structures", "candidates"}


class TestOtherReads:
    def test_groups_and_histograms(self, client: TestClient) -> None:
        told = get(client, "/aggregate", group_by="crystal_system", value="density")["data"]
        assert sum(bucket["count"] for bucket in told["buckets"]) == told["total"]
        assert told["buckets"][0]["minimum"] <= told["buckets"][0]["mean"] <= told["buckets"][0]["maximum"]
        told = get(client, "/aggregate", histogram="band_gap", bins=4)["data"]
        assert len(told["buckets"]) == 4
        assert get(client, "/aggregate", filter='elements HAS "Li"')["data"]["total"] == 2

    def test_similar_materials(self, client: TestClient) -> None:
        told = get(client, "/similar", to="t-1", k=3, fields="id,formula")
        assert told["data"][0] == {"id": "t-11", "distance": 0.0, "formula": "NaCl"}
        told = get(client, "/similar", to="LiBr", k=2, filter='elements HAS "Cl"', fields="id")
        assert [row["id"] for row in told["data"]][0] == "t-2"

    def test_completion_and_fields(self, client: TestClient) -> None:
        assert get(client, "/complete", text="band_g")["data"][0]["text"] == "band_gap"
        names = {each["name"]: each for each in get(client, "/fields")["data"]}
        assert names["band_gap"]["unit"] == "eV"
        assert all(each["ion"] == "Li" for each in get(client, "/fields", ion="Li")["data"])

    @pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
    def test_exports(self, client: TestClient, form: str) -> None:
        import pandas as pd

        reply = client.get(f"/v1/export?format={form}&fields=id,band_gap&filter=band_gap%20%3E%205")
        read = {
            "jsonl": lambda f: pd.read_json(f, lines=True),
            "csv": lambda f: pd.read_csv(f, comment="#"),
            "parquet": pd.read_parquet,
        }
        frame = read[form](io.BytesIO(reply.content))
        assert list(frame["id"]) == ["t-2", "t-3", "t-7", "t-8"]
        assert f"materials.{form}" in reply.headers["content-disposition"]
        manifest = get(client, "/export/manifest", filter="band_gap > 5")["data"]
        assert manifest["rows"] == 4
        assert sum(each["rows"] for each in manifest["licences"]) == 4


class TestComputations:
    def test_of_a_file_and_of_a_material(self, client: TestClient) -> None:
        reply = client.post("/v1/channels", files={"file": ("LiF.cif", CIF)}, data={"ion": "Li", "threshold": "1.6"})
        assert reply.status_code == 200, reply.text
        told = reply.json()["data"]
        assert (told["formula"], told["name"], told["dimension"]) == ("LiF", "LiF.cif", 3)
        assert get(client, "/channels", id="t-3", ion="Li", threshold=1.6)["data"]["r1"] == pytest.approx(
            told["r1"], abs=1e-3
        )

    @pytest.mark.parametrize(
        "path", ["predict/migration-energy", "predict/conductivity", "explain/conductivity", "inverse"]
    )
    def test_predictions_of_a_file(self, client: TestClient, path: str) -> None:
        reply = client.post(f"/v1/{path}", files={"file": ("LiF.cif", CIF)})
        assert reply.status_code == 200, reply.text
        assert reply.json()["data"]["formula"] == "LiF"

    def test_structures_of_a_composition(self, client: TestClient) -> None:
        told = get(client, "/predict-structure", formula="KBr", top=2)["data"]
        assert told["candidates"][0]["space_group_symbol"] in ("Fm-3m", "Pm-3m")

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.cif", b""),
            ("a.cif", b"\x00\xff" * 50),
            ("POSCAR", b"nonsense"),
            ("a.cif", b"data_x\n"),
            ("a.zip", b"PK\x03\x04abc"),
        ],
    )
    def test_bad_files_are_told_why(self, client: TestClient, name: str, content: bytes) -> None:
        reply = client.post("/v1/channels", files={"file": (name, content)}, data={"ion": "Li"})
        assert reply.status_code == 400, reply.text
        assert reply.json()["detail"]

    def test_forms_are_read_strictly(self, client: TestClient) -> None:
        file = {"file": ("LiF.cif", CIF)}
        assert client.post("/v1/channels", data={"ion": "Li"}).status_code == 400
        assert client.post("/v1/channels", files=file, data={"id": "t-1"}).status_code == 400
        assert client.post("/v1/channels", files=file, data={"ions": "Li"}).json()["parameter"] == "ions"
        assert client.post("/v1/channels", files=file, data={"threshold": "wide"}).json()["parameter"] == "threshold"
        assert client.post("/v1/channels?ion=Li", files=file).status_code == 400
        assert client.post("/v1/channels", json={"id": "t-1"}).status_code == 400
        assert client.post("/v1/channels", files={"other": ("LiF.cif", CIF)}).status_code == 400
        problem(client, "/v1/channels")

    def test_a_file_too_large_is_refused(self, client: TestClient) -> None:
        reply = client.post("/v1/channels", files={"file": ("a.cif", b"#" * 2_050_000)})
        assert reply.status_code == 400
        assert "MB" in reply.json()["detail"]
        assert client.post("/v1/channels", files={"file": ("a.cif", b"#" * 3_000_000)}).status_code == 413


class TestErrors:
    def test_a_wrong_filter_shows_the_place(self, client: TestClient) -> None:
        told = problem(client, "/v1/materials", filter="bandgap > 1")
        assert told["where"].splitlines()[1].strip() == "^" * 7
        assert "band_gap" in told["detail"]

    @pytest.mark.parametrize(
        ("query", "parameter"),
        [
            ("filtr=x", "filtr"),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=ten", "limit"),
            ("limit=1&limit=2", "limit"),
            ("limit=99999999999999999999999", "limit"),
            ("limit=-1", "limit"),
            ("count=yes", "count"),
            ("filter=%00", "filter"),
            ("filter=%ff", "query"),
            ("%00=1", "\\x00"),
            ("fields[$ne]=1", "fields[$ne]"),
        ],
    )
    def test_parameters_are_read_strictly(self, client: TestClient, query: str, parameter: str) -> None:
        assert problem(client, f"/v1/materials?{query}")["parameter"] == parameter

    def test_an_unknown_parameter_is_told_the_nearest(self, client: TestClient) -> None:
        assert "Did you mean filter?" in problem(client, "/v1/materials", filtr="x")["detail"]

    def test_nothing_here_and_not_so(self, client: TestClient) -> None:
        problem(client, "/v1/nothing", 404)
        reply = client.put("/v1/materials")
        assert reply.status_code == 405
        assert set(reply.headers["allow"].replace(" ", "").split(",")) >= {"GET", "POST"}
        assert reply.headers["content-type"] == "application/problem+json"

    @pytest.mark.parametrize(
        "body",
        [b"", b"[]", b"{", b'{"limit": "3"}', b'{"filter": {"$ne": 1}}', b'{"$where": "1"}', b"\xff", b"[" * 5000],
    )
    def test_bodies_are_read_strictly(self, client: TestClient, body: bytes) -> None:
        reply = client.post("/v1/materials", content=body, headers={"Content-Type": "application/json"})
        assert reply.status_code == 400, reply.text
        assert client.post("/v1/materials", content=body, headers={"Content-Type": "text/plain"}).status_code == 400

    def test_what_is_not_built_says_so(self, settings: Any, database: Any) -> None:
        from api.rest.app import create_app

        client = TestClient(create_app(settings))
        assert "empty" in get(client, "/materials")["meta"]["note"]
        assert problem(client, "/v1/similar", 409, to="NaCl")["mend"]
        client.app.state.sandbox.close()  # type: ignore[attr-defined]


class TestCaching:
    def test_the_same_question_has_the_same_etag_and_304(self, client: TestClient) -> None:
        first = client.get("/v1/materials?limit=2")
        etag = first.headers["etag"]
        assert client.get("/v1/materials?limit=2").headers["etag"] == etag
        assert client.get("/v1/materials?limit=3").headers["etag"] != etag
        again = client.get("/v1/materials?limit=2", headers={"If-None-Match": f'"x", {etag}'})
        assert (again.status_code, again.content) == (304, b"")
        assert (
            client.get(
                "/v1/similar?to=t-1", headers={"If-None-Match": client.get("/v1/similar?to=t-1").headers["etag"]}
            ).status_code
            == 304
        )

    def test_a_new_generation_is_noticed(self, settings: Any, database: Any, built: BuiltStore) -> None:
        import time

        from api.builds import run_builds
        from api.rest.app import create_app
        from api.work import build_options, ingest_source

        client = TestClient(create_app(settings))
        lines = built.file.read_text().splitlines(keepends=True)
        totals, etags = [], []
        for number in (2, 4):
            file = settings.home / f"{number}.jsonl"
            file.write_text("".join(lines[:number]))
            ingest_source(database, file)
            run_builds(
                database, settings, ["structures", "duplicates", "candidates"], build_options(settings, workers=1)
            )
            time.sleep(1.1)
            reply = client.get("/v1/materials?fields=id&limit=10")
            totals.append(reply.json()["meta"]["total"])
            etags.append(reply.headers["etag"])
        assert totals == [2, 4]
        assert etags[0] != etags[1]
        client.app.state.sandbox.close()  # type: ignore[attr-defined]

    def test_large_answers_are_compressed_small_ones_not(self, client: TestClient) -> None:
        large = client.get("/v1/fields", headers={"Accept-Encoding": "gzip"})
        assert large.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in client.get("/healthz", headers={"Accept-Encoding": "gzip"}).headers
        assert "content-encoding" not in client.get("/v1/fields", headers={"Accept-Encoding": "identity"}).headers
        assert gzip.compress(b"x")


def test_ids_with_any_letter_are_answered_or_refused_in_words(client: TestClient) -> None:
    for name in ("..", "../../etc/passwd", "$where", '{"$ne":1}', "a\r\nSet-Cookie: x", "é", "x" * 299, "a?b", "%00"):
        reply = client.get(f"/v1/materials/{quote(name, safe='')}")
        assert reply.status_code in (400, 404), (name, reply.status_code)
        assert "set-cookie" not in reply.headers
        assert "root:" not in reply.text
