"""Materials Project and OPTIMADE, each against a small HTTP server of our own on loopback, with the real clients."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from store.errors import FilterError, SourceError, UsageError
from store.ingest.ingest import ingest
from store.ingest.materials_project import fetch_materials_project
from store.ingest.optimade_client import fetch_optimade
from store.ingest.readers import read_record
from store.ingest.records import BadRecord


class Provider:
    """A server whose answers are set by path; a list of answers is given one a request, the last one for ever."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, Any, dict[str, str]]]] = {}
        self.requests: list[tuple[str, dict[str, list[str]]]] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = parse_qs(parts.query)
                provider.requests.append((parts.path, query))
                waiting = provider.answers.get(parts.path) or [
                    (404, {"errors": [{"title": "no", "detail": "page"}]}, {})
                ]
                status, body, headers = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                if callable(body):
                    body = body(query)
                payload = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def set(self, path: str, *answers: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.answers.setdefault(path, []).extend((status, answer, headers or {}) for answer in answers)


@pytest.fixture
def optimade_client() -> None:
    pytest.importorskip("optimade.client", reason="the extra optimade-client is not installed", exc_type=ImportError)


@pytest.fixture
def provider() -> Iterator[Provider]:
    served = Provider()
    yield served
    served.server.shutdown()
    served.server.server_close()
    served.thread.join(5)


def resource(number: int, **more: Any) -> dict[str, Any]:
    attributes = {
        "lattice_vectors": [[3.35, 0, 0], [0, 3.35, 0], [0, 0, 3.35]],
        "cartesian_site_positions": [[0, 0, 0]],
        "species_at_sites": ["Po"],
        "species": [{"name": "Po", "chemical_symbols": ["Po"], "concentration": [1.0]}],
        "dimension_types": [1, 1, 1],
        "nsites": 1,
        "last_modified": "2024-01-01T00:00:00Z",
        **more,
    }
    return {"type": "structures", "id": str(number), "attributes": attributes}


def page(data: list[Any], following: Any, *, available: int = 5) -> dict[str, Any]:
    meta = {"provider": {"prefix": "exmpl"}, "data_available": available, "data_returned": available}
    return {"data": data, "links": {"next": following}, "meta": meta}


@pytest.mark.usefixtures("optimade_client")
def test_optimade_pages_are_followed_and_read(provider: Provider) -> None:
    provider.set("/v1/structures", page([resource(1), resource(2)], f"{provider.address}/v1/next?page=2"))
    provider.set("/v1/next", page([resource(3, _exmpl_hardness=2.5)], {"href": "/v1/last"}))
    provider.set("/v1/last", page([resource(4)], None))
    records = list(fetch_optimade(provider.address, 'elements HAS "Po"', page_limit=2))
    assert [record.id for record in records] == ["exmpl-1", "exmpl-2", "exmpl-3", "exmpl-4"]
    assert provider.requests[0][1] == {"filter": ['elements HAS "Po"'], "page_limit": ["2"]}
    assert {record.provider for record in records} == {"exmpl"}
    assert records[2].origin.url == f"{provider.address}/v1/structures/3"
    read = read_record(records[2].format, records[2].content)
    assert read.crystal.species == ("Po",)
    assert read.properties["_exmpl_hardness"] == 2.5


@pytest.mark.usefixtures("optimade_client")
def test_an_error_page_ends_the_list_and_what_came_before_is_kept(provider: Provider, database: Any) -> None:
    provider.set("/v1/structures", page([resource(1), resource(2)], f"{provider.address}/v1/broken"))
    provider.set("/v1/broken", {"errors": [{"title": "Internal", "detail": "out of order"}]}, status=500)
    report = ingest(database, fetch_optimade(provider.address))
    assert (report.new, report.unreadable) == (2, 1)
    assert "out of order" in report.errors[0]["message"]
    assert database["sources"].count_documents({"format": "unreadable"}) == 1
    again = ingest(database, fetch_optimade(provider.address))
    assert (again.new, again.unchanged, again.unreadable) == (0, 2, 1)
    assert database["sources"].count_documents({}) == 3


@pytest.mark.usefixtures("optimade_client")
def test_a_busy_provider_is_asked_again_but_not_for_ever(
    provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.set("/v1/structures", b"", b"", status=429, headers={"Retry-After": "0"})
    provider.set("/v1/structures", page([resource(1)], None))
    assert [record.id for record in fetch_optimade(provider.address)] == ["exmpl-1"]
    provider.answers = {"/v1/structures": [(429, b"", {"Retry-After": "0"})]}
    (bad,) = fetch_optimade(provider.address, attempts=3)
    assert isinstance(bad, BadRecord)
    assert "still busy after 3 attempts" in str(bad.error)
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("optimade_client")
def test_pages_in_circles_and_pages_of_nonsense_end(provider: Provider) -> None:
    provider.set("/v1/structures", page([resource(1)], f"{provider.address}/v1/a", available=0))
    provider.set("/v1/a", page([resource(2)], f"{provider.address}/v1/a", available=0))
    *good, bad = fetch_optimade(provider.address)
    assert len(good) == 2
    assert "circles" in str(bad.error)
    provider.answers = {"/v1/structures": [(200, b"<html>", {})]}
    (bad,) = fetch_optimade(provider.address)
    assert "JSON" in str(bad.error)
    provider.answers = {"/v1/structures": [(200, page([{"type": "structures"}, 7], None), {})]}
    assert all(isinstance(item, BadRecord) for item in fetch_optimade(provider.address))


@pytest.mark.usefixtures("optimade_client")
def test_nobody_answers() -> None:
    (bad,) = fetch_optimade("http://127.0.0.1:9", attempts=1)
    assert "cannot be reached" in str(bad.error)


@pytest.mark.usefixtures("optimade_client")
def test_filters_and_names_are_checked_before_anything_is_sent(provider: Provider) -> None:
    with pytest.raises(FilterError, match="elements HASS"):
        list(fetch_optimade(provider.address, 'elements HASS "Li"'))
    with pytest.raises(UsageError, match="neither an address"):
        list(fetch_optimade("no such/provider"))
    assert provider.requests == []


@pytest.mark.usefixtures("optimade_client")
def test_a_limit_stops_early(provider: Provider) -> None:
    provider.set("/v1/structures", page([resource(1), resource(2)], f"{provider.address}/v1/more"))
    assert len(list(fetch_optimade(provider.address, limit=1))) == 1
    assert len(provider.requests) == 1


SUMMARY = {
    "structure": {
        "@module": "pymatgen.core.structure",
        "@class": "Structure",
        "lattice": {"matrix": [[3.35, 0, 0], [0, 3.35, 0], [0, 0, 3.35]]},
        "sites": [{"species": [{"element": "Po", "occu": 1}], "abc": [0, 0, 0]}],
    },
    "energy_above_hull": 0.01,
    "formation_energy_per_atom": -0.5,
    "band_gap": 0.0,
    "theoretical": False,
    "builder_meta": {"license": "BY-C"},
}


@pytest.fixture
def materials_project(provider: Provider) -> Any:
    client = pytest.importorskip("mp_api.client")
    beat = {"db_version": "2025.02.12", "access_controlled_batch_ids": [], "version": "0.87.3"}
    provider.set("/heartbeat", beat)
    rester = client.MPRester(
        "x" * 32, endpoint=f"{provider.address}/", use_document_model=False, mute_progress_bars=True
    )
    yield rester
    rester.session.close()


def test_materials_project_pages_are_followed_and_read(provider: Provider, materials_project: Any) -> None:
    def summary(query: dict[str, list[str]]) -> dict[str, Any]:
        first = int(query["_page"][0]) * 2 - 1 if "_page" in query else 1
        documents = [{"material_id": f"mp-{number}", **SUMMARY} for number in (first, first + 1) if number <= 3]
        return {"data": documents, "meta": {"total_doc": 3}}

    provider.set("/materials/summary/", summary)
    records = list(fetch_materials_project(client=materials_project, page_size=2, chemsys="Po"))
    assert [record.id for record in records] == ["mp-1", "mp-2", "mp-3"]
    assert provider.requests[-1][1]["chemsys"] == ["Po"]
    assert records[0].licence == "BY-C"
    read = read_record(records[0].format, records[0].content)
    assert read.crystal.species == ("Po",)
    assert read.properties["experimental"] is True
    assert read.properties["energy_above_hull"] == 0.01
    assert [record.id for record in fetch_materials_project(client=materials_project, page_size=2, limit=1)] == ["mp-1"]


def test_materials_project_errors_are_told(provider: Provider, materials_project: Any) -> None:
    provider.set("/materials/summary/", {"detail": "Invalid authentication credentials"}, status=401)
    with pytest.raises(SourceError, match="Invalid authentication"):
        list(fetch_materials_project(client=materials_project, chemsys="Po"))
    with pytest.raises(UsageError, match="cannot be put"):
        list(fetch_materials_project(client=materials_project, page_size=2, num_chunks=3))


def test_a_short_key_is_refused() -> None:
    pytest.importorskip("mp_api.client")
    with pytest.raises(UsageError, match="MP_API_KEY"):
        list(fetch_materials_project("short", chemsys="Po"))
