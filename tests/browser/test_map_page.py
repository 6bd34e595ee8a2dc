"""The map of a publication in a real browser: from disk, from servers with ranges and without, by keys, on phones."""

import json
import shutil
import time

import numpy as np
import pytest
from static_servers import served

from benchmarks.maps.made_inventory import CRS, make_inventory
from darts.inventory.layers import read_part
from darts.publish.map.page import Words, write_map
from darts.publish.map.tiles import TILES, write_pmtiles

EVIL = "</script><script>window.hit = 1</script><img src=x onerror=window.hit=1>"
N_SLUMPS = 200
WORDS = Words(title=f"Slumps {EVIL}", about=EVIL, attribution=[EVIL], links=[("Factsheet", "factsheet.html")])
READY = "document.documentElement.dataset.ready === 'true'"
WHOLE = "document.documentElement.dataset.mode === 'outlines' && document.documentElement.dataset.whole === 'true'"
RED_PLACES = """() => {
    const canvas = document.querySelector("canvas.slumps"), places = [];
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    for (let at = 0; at < data.length; at += 4) {
        if (data[at] > 110 && data[at] > 1.4 * data[at + 1] && data[at] > 1.4 * data[at + 2]) places.push(at);
    }
    return places;
}"""
RED = f"({RED_PLACES})().length"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """An inventory, its slumps, and the one that has a note, a picture and relations."""
    inventory = make_inventory(tmp_path_factory.mktemp("made") / "inventory", N_SLUMPS)
    slumps, tracks = read_part(inventory, "slumps"), read_part(inventory, "tracks")
    first = slumps[slumps["year"] == 2024].nlargest(2, "area_m2")["slump_id"].tolist()
    judged = (slumps["slump_id"] == first[0]) & (slumps["year"] == 2024)
    slumps.loc[judged, ["verdict", "reviewer", "reviewed_at", "note"]] = ["not", EVIL, "2026-01-02T03:04", EVIL]
    slumps.loc[slumps["slump_id"] == first[0], "tier"] = "high"
    tracks.loc[tracks["slump_id"] == first[0], ["split_from", "status"]] = [first[1], "active"]
    tracks.to_parquet(inventory / "tracks" / "all.parquet")
    return inventory, slumps, first


@pytest.fixture(scope="module")
def catalogue(world, tmp_path_factory):
    inventory, slumps, (chosen, _) = world
    folder = tmp_path_factory.mktemp("published") / "catalogue"
    (folder / "layers").mkdir(parents=True)
    (folder / "pictures").mkdir()
    picture = folder / "pictures" / "a slump#1.svg"
    picture.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48"><rect width="64" height="48"/></svg>'
    )
    status = read_part(inventory, "tracks").drop(columns="geometry")[["slump_id", "status"]]
    write_pmtiles(folder / TILES, slumps.merge(status, on="slump_id"))
    write_map(folder, inventory, slumps, WORDS, years=range(2020, 2025), pictures={chosen: "pictures/a slump#1.svg"})
    return folder


@pytest.fixture
def shown(catalogue, opened):
    """Open the page of the catalogue from disk, wait for its slumps."""

    def open_page(width=1400, height=950, part="", **settings):
        view = opened(catalogue / "index.html", width, height, part=part, **settings)
        until(view.page, READY)
        return view

    return open_page


def until(page, expression, seconds=10):
    """Wait until an expression is true: Playwright's own way evaluates text in the page, which its policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(20)


def place_of(slumps, slump_id):
    last = slumps[slumps["slump_id"] == slump_id].iloc[-1:]
    point = last.to_crs(CRS).representative_point().to_crs("EPSG:4326").iloc[0]
    return point.y, point.x


@pytest.mark.parametrize(("width", "height", "dense"), [(1400, 950, 1), (390, 844, 2), (640, 450, 2)], ids=str)
def test_it_opens_from_disk_without_an_error_or_a_request_or_sideways_scrolling(shown, width, height, dense):
    view = shown(width, height, device_scale_factor=dense)
    assert view.page.evaluate(RED) > 100
    assert f"{N_SLUMPS} slumps in view" in view.page.locator("#count").inner_text()
    assert view.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    view.page.locator("#list-body button").first.click()
    view.page.wait_for_selector("#detail table")
    assert view.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert view.said == []
    assert view.asked == []


def test_low_zooms_count_all_slumps_middle_ones_show_points_high_ones_outlines(shown, world):
    _, slumps, (chosen, _) = world
    latitude, longitude = place_of(slumps, chosen)
    page = shown(part=f"#2/{latitude}/{longitude}/all").page
    assert page.evaluate("document.documentElement.dataset.mode") == "counts"
    page = shown(part=f"#9/{latitude}/{longitude}/all").page
    assert page.evaluate("document.documentElement.dataset.mode") == "points"
    page = shown(part=f"#15/{latitude}/{longitude}/all").page
    until(page, WHOLE)
    assert page.evaluate(RED) > 5000
    assert page.evaluate("location.hash").startswith("#15/")


def test_a_click_shows_the_history_and_nothing_in_it_runs(shown, world):
    _, slumps, (chosen, other) = world
    latitude, longitude = place_of(slumps, chosen)
    view = shown(part=f"#15/{latitude}/{longitude}/2024")
    page = view.page
    until(page, WHOLE)
    box = page.locator("#map").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#detail blockquote")
    rows = slumps[slumps["slump_id"] == chosen]
    assert page.locator("#detail tbody th").all_inner_texts() == [str(year) for year in rows["year"]]
    assert f"{rows.iloc[-1]['area_majority_m2']:,.0f}" in page.locator("#detail tbody tr").last.inner_text()
    assert page.locator("#detail blockquote").inner_text() == EVIL
    assert "2024: not a slump" in page.locator("#detail .verdict").inner_text()
    until(page, "document.querySelector('#detail img')?.naturalWidth === 64")
    page.get_by_role("link", name=other[:8]).click()
    until(page, f"document.querySelector('#detail h2')?.textContent.includes('{other[:8]}')")
    assert EVIL in page.locator("h1").inner_text()
    assert page.evaluate("window.hit") is None
    assert view.said == []
    assert view.asked == []


def test_an_address_leads_to_the_same_view(shown, world):
    _, slumps, (chosen, _) = world
    latitude, longitude = place_of(slumps, chosen)
    page = shown(part=f"#14/{latitude:.5f}/{longitude:.5f}/2022/{chosen[:8]}").page
    page.wait_for_selector("#detail table")
    assert page.locator("#year-shown").inner_text() == "2022"
    zoom, lat, lon, year, slump = page.evaluate("location.hash.slice(1)").split("/")
    assert (zoom, year, slump) == ("14", "2022", chosen[:8])
    assert (float(lat), float(lon)) == (pytest.approx(latitude, abs=2e-4), pytest.approx(longitude, abs=1e-3))


def test_years_and_filters_show_what_the_table_has(shown, world):
    _, slumps, _ = world
    page = shown().page
    page.locator("#year").fill("1")
    of_year = slumps[slumps["year"] == 2021]

    def count():
        page.wait_for_timeout(300)
        return int(page.locator("#count").inner_text().split(" ")[0].replace(",", ""))

    assert count() == len(of_year)
    page.locator("#least").fill("8000")
    assert count() == (of_year["area_majority_m2"].round() >= 8000).sum()
    page.locator("#least").fill("")
    page.get_by_label("high", exact=True).uncheck()
    assert count() == (of_year["tier"] != "high").sum()
    page.get_by_label("none", exact=True).uncheck()
    assert count() == of_year["tier"].isin(["medium", "low"]).sum()
    page.locator("#reset").click()
    verdicts = slumps.dropna(subset="verdict").groupby("slump_id")["verdict"].last()
    page.locator("#verdict").select_option("2")
    assert count() == of_year["slump_id"].isin(verdicts[verdicts == "not"].index).sum()


def test_play_goes_through_the_years_and_stops(shown):
    page = shown().page
    page.clock.install()
    page.locator("#play").click()
    seen = [page.locator("#year-shown").inner_text()]
    for _ in range(5):
        page.clock.run_for(1400)
        seen.append(page.locator("#year-shown").inner_text())
    assert seen == ["2020", "2021", "2022", "2023", "2024", "2024"]
    assert page.locator("#play").inner_text() == "Play"


def test_ground_that_was_seen_is_drawn_on_request(shown, world):
    inventory, *_ = world
    looks = read_part(inventory, "looks")
    centre = looks[looks["year"] == 2022].geometry.iloc[0].centroid
    page = shown(part=f"#8/{centre.y}/{centre.x}/2022").page
    blueness = """() => {
        const canvas = document.querySelector("canvas.slumps");
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let sum = 0;
        for (let at = 0; at < data.length; at += 4) sum += data[at + 2] - data[at];
        return sum / (canvas.width * canvas.height);
    }"""
    before = page.evaluate(blueness)
    page.locator("#looks").check()
    until(page, f"({blueness})() > {before} + 5")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("69.2, -132.1", (69.2, -132.1)),
        ("69.2 -132.1", (69.2, -132.1)),
        ("69.2N 132.1W", (69.2, -132.1)),
        ("132.1 W, 69.2 N", (69.2, -132.1)),
        ("N69.2 W132.1", (69.2, -132.1)),
        ("69°12'30\"N 132°6'W", (69.2083333, -132.1)),
        ("69º12′30″ N, 132º6′ W", (69.2083333, -132.1)),
        ("69 12 30 N 132 6 W", (69.2083333, -132.1)),
        ("69.2; 170", (69.2, 170)),
    ],
    ids=str,
)
def test_coordinates_are_read(reader, words, wanted):
    longitude, latitude = reader.evaluate("words => search.coordinates(words)", words)
    assert (latitude, longitude) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    "words", ["69", "69N 70N", "12W 13E", "69.2N -132.1W 3", "69°70'N 3°E", "here, there", "1,2,3"]
)
def test_what_is_no_pair_of_coordinates_is_not_taken_for_one(reader, words):
    assert reader.evaluate("words => search.coordinates(words)", words) is None


@pytest.fixture(scope="module")
def reader(catalogue, chromium):
    page = chromium.new_page()
    page.goto((catalogue / "index.html").as_uri())
    until(page, READY)
    yield page
    page.close()


def test_the_plane_is_that_of_proj(reader):
    from pyproj import Transformer

    rng = np.random.default_rng(3)
    places = np.column_stack([rng.uniform(-180, 180, 200), rng.uniform(45, 89.9, 200)])
    expected = np.column_stack(Transformer.from_crs("EPSG:4326", CRS, always_xy=True).transform(*places.T))
    found = np.array(reader.evaluate("places => places.map((one) => polar.forward(...one))", places.tolist()))
    assert np.abs(found - expected).max() < 1e-3
    back = np.array(reader.evaluate("places => places.map((one) => polar.inverse(...one))", expected.tolist()))
    assert np.abs(back - places).max() < 1e-7


def test_search_says_what_it_cannot_read_and_finds_slumps(shown, world):
    chosen = world[2][0]
    page = shown().page

    def find(words):
        page.locator("#words").fill(words)
        page.keyboard.press("Enter")
        page.wait_for_timeout(150)
        return page.locator("#said").inner_text()

    assert "“69.2, north” cannot be read" in find("69.2, north")
    assert "latitudes go to 90" in find("99, 10")
    assert "in the south" in find("-69, 10")
    assert "No slump has an id that begins with zzzz" in find("zzzz")
    assert find("69.2N 132.1W") == "At 69.2000° N, 132.1000° W."
    _, lat, lon, _ = page.evaluate("location.hash.slice(1)").split("/")
    assert (float(lat), float(lon)) == (pytest.approx(69.2, abs=1e-3), pytest.approx(-132.1, abs=3e-3))
    for words in (chosen[:8], chosen, chosen.upper()):
        assert f"Slump {chosen[:8]}" in find(words)
    assert page.locator("#detail .id").inner_text() == chosen
    assert "No slump" in find(f"{chosen[:-1]}_")


def test_all_of_it_works_by_keyboard(shown):
    page = shown().page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    names = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        names.add(page.evaluate("document.activeElement.id || document.activeElement.name"))
        if page.evaluate("document.activeElement.closest('#list-body') !== null"):
            break
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert {
        "words",
        "play",
        "year",
        "whole",
        "tier",
        "status",
        "verdict",
        "least",
        "every-year",
        "reset",
        "map",
    } <= names
    page.keyboard.press("Enter")
    page.wait_for_selector("#detail table")
    assert page.evaluate("document.activeElement.tagName") == "H2"
    page.locator("#map").focus()
    before = page.evaluate("location.hash")
    page.keyboard.press("ArrowLeft")
    until(page, f"location.hash !== {json.dumps(before)}")
    zoom = float(page.evaluate("location.hash.slice(1).split('/')[0]"))
    page.keyboard.press("-")
    until(page, f"Number(location.hash.slice(1).split('/')[0]) < {zoom}")


@pytest.mark.parametrize("ranges", [False, True], ids=["without ranges", "with ranges"])
def test_outlines_come_from_tiles_where_ranges_work_and_from_cells_elsewhere(catalogue, world, chromium, ranges):
    _, slumps, (chosen, _) = world
    latitude, longitude = place_of(slumps, chosen)
    context = chromium.new_context(viewport={"width": 1400, "height": 950})
    page, said = context.new_page(), []
    page.on("console", lambda line: said.append(line.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    with served(catalogue, ranges=ranges) as server:
        page.goto(f"{server.address}/index.html#15/{latitude}/{longitude}/2024")
        until(page, READY)
        until(page, WHOLE)
        cells = [path for path, _ in server.asked if path.startswith("/data/x")]
        parts = [part for path, part in server.asked if path == f"/{TILES}"]
        assert page.evaluate(RED) > 5000
        assert parts[0] == "bytes=0-6"
        assert (len(parts) > 2, len(cells) == 0) == (ranges, ranges)
        box = page.locator("#map").bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_selector("#detail table")
        assert page.locator("#detail .id").inner_text() == chosen
        assert [path for path, _ in server.asked if path.startswith("/data/x")]
        context.close()
    assert said == []


def test_tiles_and_cells_draw_the_same(catalogue, world, chromium):
    _, slumps, (chosen, _) = world
    latitude, longitude = place_of(slumps, chosen)
    drawn = {}
    for ranges in (False, True):
        page = chromium.new_page(viewport={"width": 1400, "height": 950})
        with served(catalogue, ranges=ranges) as server:
            page.goto(f"{server.address}/index.html#15/{latitude}/{longitude}/2024")
            until(page, READY)
            until(page, WHOLE)
            drawn[ranges] = set(page.evaluate(RED_PLACES))
            page.close()
    assert len(drawn[True] & drawn[False]) > 0.95 * len(drawn[True] | drawn[False]) > 5000


def test_of_what_was_loaded_the_last_is_kept(reader):
    kept = """() => {
        const kept = new Map();
        for (const name of [1, 2, 3, 1, 4]) store.kept(kept, name, 3, async () => name);
        return [...kept.keys()];
    }"""
    assert reader.evaluate(kept) == [3, 1, 4]


def test_what_is_missing_is_said(catalogue, opened, tmp_path):
    shutil.copytree(catalogue, tmp_path / "half", ignore=shutil.ignore_patterns("points.js"))
    page = opened(tmp_path / "half" / "index.html").page
    page.wait_for_selector("#map-problem:not([hidden])")
    assert "data/points.js cannot be read. Is the whole catalogue there?" in page.locator("#map-problem").inner_text()
