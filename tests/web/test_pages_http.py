"""Pages without a browser: well-formed, escaped, never a fault of ours, files that are what they say."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest

from .crystals import HOSTILE_ID, HOSTILE_NAME

VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
DRAWN = frozenset({"circle", "ellipse", "rect", "path"})
PAGES = (
    "/", "/status", "/status/plan", "/fields", "/fields?q=barrier&ion=Li", "/about", "/predict-structure", "/inverse", "/channels",
    "/predict", "/materials/w-1", "/materials/w-again", "/materials/w-broken", "/materials/w-1/similar?by=composition",
    "/materials/w-1/similar?by=structure", "/materials/w-1/similar?by=learned", "/materials/w-1/polymorphs",
    "/materials/w-1/lineage/band_gap", "/materials/w-1/lineage/li_channel_r1", "/search/facets", "/?has=Li&n=2&system=cubic",
    "/predict-structure?formula=KF", "/channels?id=w-1&sent=1", "/inverse?id=w-1&sent=1", "/predict?id=w-1&sent=1",
    "/?columns=id,density,elements&sort=-density&size=25", "/?x=band_gap&y=density", "/?unique=1&dim=3", "/?hull_max=0.01&gap_min=2",
)  # fmt: skip


class Checked(HTMLParser):
    """Reads a page, and remembers what is not closed, what has two of one id, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.labels: list[str] = []
        self.scripts: list[dict[str, str | None]] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        self.faults += [f"<{name}> is not closed" for name in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if len(given) != len(attrs):
            self.faults.append(f"<{tag}> has an attribute twice")
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if tag == "label":
            self.labels.append(str(given.get("for")))
        if tag == "script":
            self.scripts.append(given)
        self.handlers += [name for name in given if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID and tag not in DRAWN:
            self.faults.append(f"<{tag}/> closes itself")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes <{self.open[-1] if self.open else 'nothing'}>")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("address", PAGES)
def test_pages_are_well_formed_and_hold_no_script_of_their_own(client: Any, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text[:2000]
    found = Checked(answer.text)
    assert found.faults == []
    assert len(found.ids) == len(set(found.ids)), "ids are given twice"
    assert all(each.get("src") or each.get("type") == "application/json" for each in found.scripts)
    assert found.handlers == []
    assert "script-src 'self';" in answer.headers["content-security-policy"]
    assert "<title>" in answer.text
    assert 'lang="en"' in answer.text


@pytest.mark.parametrize("address", ["/search/facets", "/materials/w-1/similar?by=structure", "/status/plan"])
def test_fragments_are_parts_and_no_pages(client: Any, address: str) -> None:
    join = "&" if "?" in address else "?"
    answer = client.get(f"{address}{join}fragment=1")
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert Checked(answer.text).faults == []


HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "{{7*7}}",
    "%00",
    "\ud7ff\u202e",
    "a" * 9000,
    "../../etc",
    "'",
    "$where",
)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("place", ["/?filter={}", "/?has={}", "/?sort={}", "/?columns={}", "/?after={}", "/?x={}&y=density", "/?size={}",
                                   "/fields?q={}", "/materials/{}", "/materials/w-1/lineage/{}", "/materials/w-1/similar?by={}",
                                   "/materials/{}/scene.json", "/predict-structure?formula={}", "/inverse?id={}&sent=1", "/channels?id={}&sent=1",
                                   "/channels?id=w-1&threshold={}&sent=1", "/search/complete?text={}", "/search/points.json?x={}&y=density",
                                   "/materials/w-1/structure.{}", "/static/{}", "/{}"])  # fmt: skip
def test_hostile_text_is_escaped_and_never_a_fault(client: Any, place: str, text: str) -> None:
    answer = client.get(place.format(quote(text, safe="")))
    assert answer.status_code < 500, answer.text[:500]
    assert "<script>alert" not in answer.text
    assert "<img src=x" not in answer.text
    assert "Traceback" not in answer.text
    if answer.headers["content-type"].startswith("text/html"):
        assert Checked(answer.text).faults == []


def test_names_and_ids_of_records_are_escaped(client: Any) -> None:
    page = client.get("/materials/w-hostile").text
    assert HOSTILE_NAME not in page
    assert "&lt;script&gt;" in page
    assert "<i>nobody</i>" not in page
    listed = client.get('/?filter=elements HAS ANY "Br","Rb"&columns=id,name,provider').text
    assert HOSTILE_NAME not in listed
    assert Checked(listed).faults == []
    link = "/materials/" + quote(HOSTILE_ID, safe="")
    assert f'href="{link}"' in listed
    answer = client.get(link)
    assert answer.status_code == 200
    assert Checked(answer.text).faults == []
    assert "RbCl" in Checked(answer.text).text
    assert client.get(link + "/lineage/density").status_code == 200
    assert client.get(link + "/structure.cif").status_code == 200


ODD = (
    "?has=Xx", "?not=1", "?mode=none", "?system=round", "?n=-1", "?n=99999999999999999999", "?ion=H", "?dim=7", "?hull_min=nan",
    "?hull_max=1e999", "?gap_min=a", "?size=0", "?size=10000000", "?sort=elements", "?sort=,,,", "?columns=*", "?columns=nothing",
    "?columns=,", "?after=zzzz", "?x=name&y=band_gap", "?x=nothing&y=band_gap", "?filter=(", "?filter=band_gap > 3 furlongs",
    "?filter=band_gap%20%3E%201e99999", "?filter=SIMILAR TO \"nobody\" BY structure", "?filter=SIMILAR TO \"w-1\" BY smell",
)  # fmt: skip


@pytest.mark.parametrize("query", ODD)
def test_what_cannot_be_meant_is_told_and_the_box_keeps_its_text(client: Any, query: str) -> None:
    answer = client.get("/" + query)
    assert answer.status_code in (200, 400, 404), query
    found = Checked(answer.text)
    assert found.faults == []
    if answer.status_code != 200:
        assert 'role="alert"' in answer.text
        assert "To mend it:" in found.text or "Nearest" in found.text


def test_a_mistyped_field_is_shown_in_place_with_a_search_that_has_the_right_one(client: Any) -> None:
    answer = client.get("/", params={"filter": 'elements HAS "Li" AND band_gp > 3', "has": "O"})
    assert answer.status_code == 400
    text = Checked(answer.text).text
    assert "^^^^^^^" in text
    assert "Search with band_gap" in text
    assert "filter=elements+HAS+%22Li%22+AND+band_gap+%3E+3" in answer.text
    assert ">elements HAS &#34;Li&#34; AND band_gp &gt; 3</textarea>" in answer.text


def test_facets_and_filter_are_one_question(client: Any) -> None:
    answer = client.get(
        "/", params={"filter": "band_gap > 1", "has": "Li", "not": "O", "system": "cubic", "columns": "id,formula"}
    )
    text = Checked(answer.text).text
    assert answer.status_code == 200
    assert "LiF" in text
    assert "MgO" not in text
    twin = next(part for part in answer.text.split('"') if part.startswith("/v1/materials?"))
    rows = client.get(twin.replace("&amp;", "&"), headers={"accept": "application/json"}).json()["data"]
    assert {row["formula"] for row in rows} >= {"LiF", "LiCl"}
    assert not any("O" in row["formula"] for row in rows if row["formula"] != "Co")


def test_pages_of_the_table_follow_each_other_without_gaps(client: Any) -> None:
    seen: list[str] = []
    address = "/?size=25&sort=-band_gap&columns=id"
    for _ in range(5):
        text = client.get(address).text
        seen += [part.split('"')[0] for part in text.split('<th scope="row"><a href="/materials/')[1:]]
        following = text.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0] if 'rel="next"' in text else None
        if following is None:
            break
        address = following.replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == client.get("/v1/materials?count=true&limit=1").json()["meta"]["total"]


def test_downloads_are_what_they_say(client: Any) -> None:
    from pymatgen.core.structure import Structure

    cif = client.get("/materials/w-1/structure.cif")
    assert 'filename="w-1.cif"' in cif.headers["content-disposition"]
    assert Structure.from_str(cif.text, fmt="cif").composition.reduced_formula == "LiF"
    poscar = client.get("/materials/w-1/structure.poscar?cell=primitive")
    assert len(Structure.from_str(poscar.text, fmt="poscar")) == 2
    told = client.get("/materials/w-1/structure.json").json()
    assert told["units"] == {"lattice": "Å"}
    for form in ("jsonl", "csv", "parquet"):
        assert client.get(f'/v1/export?filter=elements HAS "Li"&format={form}').status_code == 200


def test_the_scene_holds_the_conventional_cell_with_its_channels(client: Any) -> None:
    found = json.loads(client.get("/materials/w-1/scene.json?ion=Li").text)
    assert found["ion"] == "Li"
    assert found["tubes"]
    assert found["voids"]
    assert [round(row[k], 2) for k, row in enumerate(found["lattice"])] == [4.03, 4.03, 4.03]
    assert client.get("/materials/w-1/scene.json?ion=Zr").status_code == 400


def test_topology_is_told_in_numbers(client: Any) -> None:
    found = client.get("/materials/w-1/topology.json?ion=Li").json()
    assert set(found) >= {"all", "framework"}
    assert len(found["all"]["curves"]) == 3
    assert len(found["all"]["essential"]) == 4


def test_failures_and_repeats_are_told(client: Any) -> None:
    broken = Checked(client.get("/materials/w-broken").text).text
    assert "CoincidentAtoms" in broken
    assert "retry-failed" in broken
    assert "CoincidentAtoms" in Checked(client.get("/status").text).text
    assert "w-again" in client.get("/materials/w-5").text


def test_errors_are_pages_for_browsers_and_problems_for_programs(client: Any) -> None:
    page = client.get("/no/such/page")
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "There is no such page" in page.text
    problem = client.get("/v1/nothing")
    assert problem.headers["content-type"].startswith("application/problem+json")
    other = client.get("/no/such/page", headers={"accept": "application/json"})
    assert "html" not in other.headers["content-type"]
    near = client.get("/materials/w-")
    assert near.status_code == 404
    assert "There is no material" in near.text


def test_a_fault_of_ours_is_a_page_too(client: Any, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(app.state.service, "status", broken)
    answer = client.get("/status")
    assert answer.status_code == 500
    assert "Something went wrong" in answer.text
    assert "secret" not in answer.text


def test_uploads_are_read_elsewhere_and_their_faults_told(client: Any) -> None:
    from .conftest import CRYSTALS

    cif = (CRYSTALS / "LiFePO4.cif").read_bytes()
    found = client.post("/channels", data={"ion": "Li", "sent": "1"}, files={"file": ("a<b>.cif", cif)})
    assert found.status_code == 200, found.text[:3000]
    assert "Percolation radii" in Checked(found.text).text
    assert Checked(found.text).faults == []
    for content, told in ((b"nonsense", "format"), (b"", "wanted")):
        answer = client.post("/channels", data={"sent": "1"}, files={"file": ("x.cif", content)})
        assert answer.status_code == 400
        assert 'role="alert"' in answer.text, told
    large = client.post("/channels", data={"sent": "1"}, files={"file": ("x.cif", b"#" * 2_040_000)})
    assert large.status_code in (400, 413)
    assert "MB" in large.text
    too_large = client.post("/channels", data={"sent": "1"}, files={"file": ("x.cif", b"#" * 3_000_000)})
    assert too_large.status_code == 413


@pytest.mark.parametrize("address", ["/channels", "/predict", "/inverse", "/predict-structure"])
def test_forms_bear_odd_bodies(client: Any, address: str) -> None:
    kind = {"content-type": "multipart/form-data; boundary=x"}
    for content, headers in (
        (b"--x\r\nbroken", kind),
        (b"\xff" * 99, kind),
        (b"{}", {"content-type": "application/json"}),
        (b"", {}),
    ):
        answer = client.post(address, content=content, headers=headers)
        assert answer.status_code < 500, answer.text[:500]
        assert "Traceback" not in answer.text


def test_files_of_the_pages_are_packed_and_kept(client: Any) -> None:
    text = client.get("/").text
    style = next(part for part in text.split('"') if part.endswith("/style.css"))
    answer = client.get(style, headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert client.get(style, headers={"if-none-match": answer.headers["etag"]}).status_code == 304
    for bad in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/", "/static/nothing.css", "/static//etc/passwd"):
        assert client.get(bad).status_code in (400, 404), bad


def test_an_empty_store_says_what_to_do(settings: Any, database: Any) -> None:
    from starlette.testclient import TestClient

    from api.rest.app import create_app

    made = create_app(settings)
    try:
        empty = TestClient(made, headers={"accept": "text/html"})
        for address in ("/", "/status", "/search/facets", "/about", "/fields"):
            answer = empty.get(address)
            assert answer.status_code == 200, address
            assert Checked(answer.text).faults == []
        assert "ionatlas ingest" in empty.get("/").text
        assert "No material matches" not in empty.get("/").text
        lost = empty.get("/predict-structure?formula=KCl")
        assert lost.status_code == 409
        assert "ionatlas build" in lost.text
    finally:
        made.state.sandbox.close()


def test_no_hits_are_explained(client: Any) -> None:
    answer = client.get("/?filter=band_gap > 100&has=Li")
    assert answer.status_code == 200
    text = Checked(answer.text).text
    assert "No material matches" in text
    assert "Without “with Li”" in text


def test_facets_that_cannot_be_counted_say_so_once(client: Any) -> None:
    answer = client.get("/search/facets", params={"filter": "SIMILAR TO w-1 BY composition", "fragment": "1"})
    assert answer.status_code == 200
    assert answer.text.count("WITHIN") == 1
    within = client.get("/search/facets", params={"filter": "SIMILAR TO w-1 BY composition WITHIN 30", "fragment": "1"})
    assert "cubic" in within.text


def test_computed_barriers_and_measured_conductivities_are_told(client: Any) -> None:
    fluoride = Checked(client.get("/materials/w-1").text).text
    assert "h-1" in fluoride
    assert "0.62" in fluoride
    assert "below −10.00" in fluoride
    for id, told in (("h-1", "a hop of an ion, not a material"), ("c-1", "a measured conductivity, not a material")):
        answer = client.get(f"/materials/{id}")
        assert answer.status_code == 200
        found = Checked(answer.text)
        assert found.faults == []
        assert told in found.text
        assert "is not built" not in found.text
    assert "(same formula)" in client.get("/materials/c-1").text


def test_where_computing_is_limited_an_address_alone_computes_nothing(web_settings: Any) -> None:
    from dataclasses import replace

    from starlette.testclient import TestClient

    from api.rest.app import create_app
    from api.rest.options import ServeOptions

    made = create_app(web_settings, replace(ServeOptions(), anonymous="read", compute_limit="5/minute"))
    try:
        reader = TestClient(made, headers={"accept": "text/html"})
        for address in (
            "/predict-structure?formula=KF",
            "/channels?id=w-1&sent=1",
            "/inverse?id=w-1&sent=1",
            "/predict?id=w-1&sent=1",
        ):
            answer = reader.get(address)
            assert answer.status_code == 200, address
            assert "<tbody>" not in answer.text
            assert "KF" in answer.text or "w-1" in answer.text  # filled in
        for address in ("/materials/w-1/polymorphs", "/status/plan"):
            answer = reader.get(address)
            assert answer.status_code == 400
            assert "press the button" in answer.text
        assert reader.post("/materials/w-1/polymorphs").status_code in (401, 403)
    finally:
        made.state.sandbox.close()
