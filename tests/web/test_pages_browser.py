"""Every page in a real browser: what users do, without a mouse too, narrow, dark, and by axe's rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from .conftest import CRYSTALS, Site

MOST_BYTES = 1_500_000
PAGES = (
    "/", "/?x=band_gap&y=density", "/?filter=band_gp > 3", "/?filter=band_gap > 99", "/?has=Li&not=H", "/materials/w-30", "/materials/w-broken", "/materials/h-1", "/materials/c-1",
    "/materials/w-30/lineage/li_channel_r1", "/materials/w-30/similar?by=composition", "/materials/w-30/polymorphs", "/status",
    "/status/plan", "/fields?ion=Li", "/about", "/predict-structure", "/predict-structure?formula=LiNiPO4", "/inverse",
    "/inverse?id=w-1&sent=1", "/channels", "/channels?id=w-30&sent=1", "/predict", "/predict?id=w-30&sent=1", "/nothing",
)  # fmt: skip
OLIVINE = "/materials/w-30"


def view_of(page: Any) -> list[float]:
    found: list[float] = page.evaluate("document.getElementById('viewer').viewer.getView()")
    return found


def open_olivine(page: Any) -> None:
    page.goto(OLIVINE)
    page.wait_for_selector("#viewer[data-drawn]")


def first_column(page: Any, number: int) -> list[str]:
    found: list[str] = page.locator(f"#results tbody tr > :nth-child({number})").all_inner_texts()
    return found


# ------------------------------------------------------------------------------------------------------------ search


def test_search_with_completion(page: Any) -> None:
    page.goto("/")
    box = page.get_by_role("combobox", name="Filter")
    box.press_sequentially("band_g")
    page.wait_for_selector("#completions li")
    box.press("ArrowDown")
    assert page.locator("#completions [aria-selected=true]").count() == 1
    assert box.get_attribute("aria-activedescendant") == "completion-0"
    box.press("Enter")
    assert box.input_value().startswith("band_gap")
    box.press_sequentially("> 8 eV")
    page.wait_for_timeout(400)
    box.press("Escape")
    box.press("Enter")
    page.wait_for_url("**/?filter=*")
    assert "LiF" in page.locator("#results").inner_text()
    assert page.locator("#results tbody tr").count() == 1


def test_the_table_is_sorted_by_its_heads_and_says_so(page: Any) -> None:
    page.goto("/?columns=id,formula,density")
    page.get_by_role("link", name="density").click()
    page.wait_for_url("**sort=density*")
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("density")
    rising = [float(text) for text in first_column(page, 3)]
    assert rising == sorted(rising)
    page.get_by_role("link", name="density").click()
    page.wait_for_url("**sort=-density*")
    falling = [float(text) for text in first_column(page, 3)]
    assert falling == sorted(falling, reverse=True)


def test_facets_narrow_the_search_and_are_taken_back(page: Any) -> None:
    page.goto("/")
    page.wait_for_selector("#facets .facet")
    everything = page.locator("#total").inner_text()
    page.locator("#facets").get_by_role("link", name="hexagonal").click()
    page.wait_for_url("**system=hexagonal*")
    page.wait_for_selector("#facets .facet")
    assert page.locator("#total").inner_text() != everything
    page.get_by_role("link", name="Remove: hexagonal").click()
    page.wait_for_selector("#facets .facet")
    assert page.locator("#total").inner_text() == everything


def test_a_bar_of_a_histogram_is_a_range(page: Any) -> None:
    page.goto("/")
    page.wait_for_selector(".histogram")
    page.locator(".histogram").nth(1).get_by_role("link").nth(5).click()
    page.wait_for_url("**gap_min=5&gap_max=6*")
    assert page.locator("#results tbody tr").count() >= 1


def test_the_periodic_table_by_keyboard(page: Any) -> None:
    page.goto("/")
    page.locator("summary", has_text="Pick elements").press("Enter")
    hydrogen = page.get_by_role("button", name="Hydrogen", exact=True)
    hydrogen.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    assert page.locator("#has").input_value() == "Li"
    assert page.locator("#periodic-said").inner_text() == "Lithium included"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("Space")
    assert page.locator("#not").input_value() == "Be"
    assert page.get_by_role("button", name="Beryllium, excluded").count() == 1
    page.locator("#mode").select_option("exactly")
    page.get_by_role("button", name="Search with these").click()
    page.wait_for_url("**has=Li*")
    assert "mode=exactly" in page.url


def test_columns_are_chosen_and_stay_in_the_address(page: Any) -> None:
    page.goto("/")
    page.locator("summary", has_text="Columns").click()
    page.get_by_role("checkbox", name="li_channel_r1").check()
    page.get_by_role("button", name="Show these columns").click()
    page.wait_for_url("**columns=*li_channel_r1*")
    assert "li_channel_r1" in page.locator("#results thead").inner_text()


def test_a_point_of_the_scatter_leads_to_its_material(page: Any) -> None:
    page.goto("/")
    page.locator("summary", has_text="Scatter").click()
    page.locator("#axis-x").select_option("band_gap")
    page.locator("#axis-y").select_option("density")
    page.get_by_role("button", name="Draw").click()
    page.wait_for_selector("#scatter[data-drawn]")
    assert page.locator("#scatter .xtitle").text_content() == "band_gap (eV)"
    assert page.locator("#scatter .ytitle").text_content() == "density (g/cm³)"
    page.locator("#scatter details summary").click()
    page.wait_for_selector("#scatter details tbody tr")
    assert page.locator("#scatter details tbody tr").count() > 20
    page.evaluate("document.querySelector('#scatter .canvas').emit('plotly_click', {points: [{pointIndex: 0}]})")
    page.wait_for_url("**/materials/**")


def test_an_error_is_read_and_mended_by_a_click(page: Any) -> None:
    page.goto("/")
    box = page.get_by_role("combobox", name="Filter")
    box.fill('elements HAS "Li" AND band_gp > 3')
    page.get_by_role("button", name="Search", exact=True).click()
    alert = page.get_by_role("alert")
    assert "There is no field 'band_gp'" in alert.inner_text()
    assert "^^^^^^^" in alert.inner_text()
    assert box.input_value() == 'elements HAS "Li" AND band_gp > 3'
    assert box.get_attribute("aria-invalid") == "true"
    alert.get_by_role("link", name="Search with band_gap").click()
    page.wait_for_selector("#results")
    assert box.input_value() == 'elements HAS "Li" AND band_gap > 3'


def test_similarity_is_a_condition(page: Any) -> None:
    page.goto("/?filter=" + quote('SIMILAR TO "w-1" BY composition AND nelements = 2'))
    assert "distance" in page.locator("#results thead").inner_text()


# ---------------------------------------------------------------------------------------------------------- material


def test_a_material_is_opened_and_its_structure_turned(page: Any) -> None:
    page.goto('/?filter=formula = "LiFePO4"')
    page.locator("#results tbody a").first.click()
    page.wait_for_selector("#viewer[data-drawn]")
    assert page.locator("h1").inner_text() == "LiFePO4"
    before = view_of(page)
    box = page.locator("#viewer").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 150)
    page.mouse.down()
    page.mouse.move(box["x"] + 320, box["y"] + 210, steps=8)
    page.mouse.up()
    after = view_of(page)
    assert sum(abs(a - b) for a, b in zip(before[4:], after[4:], strict=True)) > 0.05
    page.get_by_role("button", name="Reset").click()
    back = view_of(page)
    assert back[4:] == pytest.approx(before[4:], abs=1e-3)


def test_the_structure_is_turned_by_keys_and_does_not_spin_by_itself(page: Any) -> None:
    open_olivine(page)
    assert not page.locator("#spin").is_checked()
    before = view_of(page)
    page.wait_for_timeout(400)
    assert view_of(page) == before
    page.locator("#viewer").focus()
    page.keyboard.press("ArrowRight")
    assert view_of(page)[4:] != before[4:]
    page.keyboard.press("+")
    assert view_of(page)[3] != before[3]


def test_channels_are_drawn_and_can_be_left_out(page: Any) -> None:
    open_olivine(page)
    shapes = "document.getElementById('viewer').viewer.shapes.length"
    with_channels = page.evaluate(shapes)
    page.get_by_role("checkbox", name="ways of the ion").uncheck()
    assert page.evaluate(shapes) < with_channels
    assert "Li sites" in page.locator("#legend").inner_text()


def test_diagrams_are_drawn_and_change_with_the_atoms(page: Any) -> None:
    open_olivine(page)
    page.locator("#topology").scroll_into_view_if_needed()
    page.wait_for_selector("#diagrams[data-drawn]")
    points = page.locator("#diagram .points path").count()
    assert points > 5
    page.locator("#topology-group").select_option("ion")
    page.wait_for_timeout(500)
    assert page.locator("#diagram .points path").count() != points
    assert page.locator("#betti .scatterlayer .trace").count() == 3


def test_similar_materials_and_polymorphs_come_when_looked_at(page: Any) -> None:
    open_olivine(page)
    page.locator("#similar").scroll_into_view_if_needed()
    page.wait_for_selector("#similar table")
    page.get_by_role("button", name="Predict them").click()
    page.wait_for_selector("#polymorphs table")
    assert "Pnma" in page.locator("#polymorphs table").inner_text()


def test_a_number_leads_to_its_lineage(page: Any) -> None:
    open_olivine(page)
    page.get_by_role("link", name="where from does density come").click()
    page.wait_for_url("**/lineage/density")
    assert "sources / w-30" in page.locator(".tree").inner_text()
    assert "CC0-1.0" in page.locator(".tree").inner_text()


# ------------------------------------------------------------------------------------------------------------- tools


def test_a_cif_is_sent_and_its_channels_shown(page: Any) -> None:
    page.goto("/channels")
    page.locator("#file").set_input_files(CRYSTALS / "LiFePO4.cif")
    page.locator("#ion-asked").select_option("Li")
    page.get_by_role("button", name="Find channels").click()
    page.wait_for_selector("#viewer[data-drawn]")
    assert "1.877" in page.locator("main").inner_text()
    assert page.get_by_role("region", name="Hops between ion sites").locator("tbody tr").count() == 3


def test_a_broken_file_is_told(page: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.cif"
    bad.write_text("no crystal")
    page.goto("/predict")
    page.locator("#file").set_input_files(bad)
    page.get_by_role("button", name="Predict").click()
    page.wait_for_selector("[role=alert]")
    assert "no data block" in page.get_by_role("alert").inner_text()


def test_conduction_of_a_sent_crystal(page: Any) -> None:
    page.goto("/predict")
    page.locator("#file").set_input_files(CRYSTALS / "LiFePO4.cif")
    page.get_by_role("button", name="Predict").click()
    page.wait_for_selector("#migration-title")
    text = page.locator("main").inner_text()
    assert "Migration energy" in text
    assert "S/cm" in text


def test_a_structure_is_predicted_and_its_file_downloaded(page: Any) -> None:
    page.goto("/predict-structure")
    page.get_by_role("textbox", name="Formula").fill("LiNiPO4")
    page.get_by_role("button", name="Predict").click()
    page.wait_for_selector("#viewer[data-drawn]")
    assert "Pnma" in page.locator("main table tbody tr").first.inner_text()
    with page.expect_download() as started:
        page.get_by_role("link", name="CIF of rank 1", exact=True).click()
    assert started.value.suggested_filename == "LiNiPO4_1.cif"
    assert "_cell_length_a" in Path(started.value.path()).read_text()


def test_compositions_for_a_sent_structure(page: Any) -> None:
    page.goto("/inverse")
    page.locator("#file").set_input_files(CRYSTALS / "LiFePO4-relaxed.cif")
    page.get_by_role("button", name="Find compositions").click()
    page.wait_for_selector("main table")
    assert "LiMnPO4" in page.locator("main table").inner_text()


# --------------------------------------------------------------------------------------------------- all pages, always


def test_dark_mode_is_kept(page: Any) -> None:
    page.goto("/")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Dark").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert light != dark
    page.goto("/status")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    assert page.get_by_role("button", name="Dark").get_attribute("aria-pressed") == "true"


@pytest.mark.slow
def test_every_page_fits_a_phone_and_is_light_to_carry(browser: Any, site: Site) -> None:
    wide, weights = {}, {}
    for address in PAGES:
        context = browser.new_context(base_url=site.url, viewport={"width": 360, "height": 740})
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        total = [0]
        session.on("Network.loadingFinished", lambda event, total=total: _add(total, event))
        page.goto(address)
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        page.wait_for_load_state("networkidle")
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if over > 0:
            wide[address] = over
        weights[address] = total[0]
        context.close()
    print(json.dumps(weights))
    assert wide == {}
    assert max(weights.values()) < MOST_BYTES
    assert min(weights.values()) > 5_000


def _add(total: list[int], event: dict[str, Any]) -> None:
    total[0] += int(event["encodedDataLength"])


@pytest.mark.slow
@pytest.mark.parametrize("page", [{"reduced_motion": "reduce"}], indirect=True, ids=["still"])
def test_axe_finds_nothing_in_light_or_dark(page: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    rules = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
    found = {}
    for address in PAGES:
        page.emulate_media(color_scheme="light")
        page.goto(address)
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        page.wait_for_load_state("networkidle")
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(250)
            answer = axe.Axe().run(page, options=rules).response
            told = [(each["id"], [node["html"][:160] for node in each["nodes"]][:3]) for each in answer["violations"]]
            if told:
                found[f"{address} {scheme}"] = told
    assert found == {}, json.dumps(found, indent=1)


def test_a_search_without_a_mouse(page: Any) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "filter"
    page.keyboard.type("band_gap > 8 eV", delay=5)
    page.wait_for_timeout(400)
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?filter=*")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('href')") == "/materials/w-1":
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url("**/materials/w-1")


@pytest.mark.parametrize("page", [{"java_script_enabled": False}], indirect=True)
def test_pages_serve_without_javascript(page: Any) -> None:
    page.goto("/")
    page.locator("#filter").fill('elements HAS "Li"')
    page.get_by_role("button", name="Search", exact=True).click()
    assert "LiF" in page.locator("#results").inner_text()
    page.get_by_role("link", name="Show how these divide").click()
    page.get_by_role("link", name="cubic").click()
    assert "system=cubic" in page.url
    page.locator("#results tbody a").first.click()
    page.get_by_role("link", name="Show them").first.click()
    assert page.locator("table").count() == 1
