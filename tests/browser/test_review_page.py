"""The page of a review in a real browser: by keyboard, on a phone, from a server and from a file."""

import json
import math
import os
import re
import socket
import threading
import time

import geopandas as gpd
import numpy as np
import pandas as pd
import pystac
import pytest
import rio_cogeo
import uvicorn
from reviewed_world import YEARS, make_reviewed_world
from scipy.stats import binom

from darts.inventory.judging import bring_verdicts
from darts.publish.working import Place, Wanted, publish_inventory
from darts.review.begin import review_of
from darts.review.candidates import Candidates
from darts.review.command import review as review_command
from darts.review.imagery import Imagery
from darts.review.places import Asked, DataPlaces
from darts.review.server import application
from darts.review.store import Review, Said
from darts_export.publish.checking.catalogue import check_catalogue

N_SITES = int(os.environ.get("DARTS_TEST_REVIEWED", "4"))
"""Along each side; `.ci/full reviews` has more."""
WRONG = {"Anna": 0.1, "Boris": 0.2}
SHOWN = {}
"""When a page showed a question."""
KEYS = {"slump": "1", "not": "2", "unsure": "3"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_reviewed_world(tmp_path_factory.mktemp("reviewed"), N_SITES)


@pytest.fixture
def served(world):
    """Serve a review of the world; gives the review and its address."""
    candidates = Candidates(world.inventory, Imagery.of([world.output], DataPlaces()))
    review = review_of(world.inventory, world.inventory.parent / "page.sqlite", Asked())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        token = review.about["token"]
        server = uvicorn.Server(uvicorn.Config(application(review, candidates, token), log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield review, f"http://127.0.0.1:{listening.getsockname()[1]}/{token}/"
        server.should_exit = True
        thread.join()
    review.file.unlink()


@pytest.fixture
def visited(chromium):
    """Open an address, whose host alone is answered; gives the page, its complaints, and what it asked of others."""
    contexts = []

    def visit(address, width=1280, height=900, **settings):
        context = chromium.new_context(viewport={"width": width, "height": height}, **settings)
        contexts.append(context)
        page, said, asked = context.new_page(), [], []
        page.on("console", lambda line: said.append(line.text) if line.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        own = address.split("/")[2]

        def judge(route):
            url = route.request.url
            if url.startswith(("file:", "data:", "blob:")) or (own and url.split("/")[2] == own):
                route.continue_()
            else:
                asked.append(url)
                route.abort()

        page.route("**/*", judge)
        page.goto(address)
        return page, said, asked

    yield visit
    for context in contexts:
        context.close()


def begin(page, name):
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.locator("#facts").wait_for()
    SHOWN[page] = time.monotonic()


def wait_to_be_asked(page):
    """Wait as long as a key is taken for one that is still held down from before."""
    page.wait_for_timeout(max(0.0, 260 - 1000 * (time.monotonic() - SHOWN.get(page, 0.0))))


def press(page, key):
    """Press the key of a verdict, and wait for what comes then."""
    wait_to_be_asked(page)
    before = page.locator("#counts").inner_text() + page.locator("#facts").inner_text()
    page.keyboard.press(key)
    page.wait_for_function(
        "before => counts.textContent + facts.textContent !== before || !end.hidden", arg=before, timeout=10_000
    )
    SHOWN[page] = time.monotonic()


def place_of(page):
    north, west = re.search(r"([\d.]+)° N, ([\d.]+)° W", page.locator("#facts").inner_text()).groups()
    return -float(west), float(north)


class Reviewer:
    """Somebody who knows the truth, and errs at a known rate."""

    def __init__(self, name, page, world, seed):
        self.name, self.page, self.random = name, page, np.random.default_rng(seed)
        slumps = gpd.read_parquet(world.inventory / "slumps").drop_duplicates("slump_id", keep="last")
        self.slumps = slumps.set_geometry(slumps.geometry.to_crs("EPSG:32608"))
        self.truth = world.truth()

    def answer(self):
        """Answer what is shown; return whether there was anything."""
        if not self.page.locator("#review").is_visible():
            return False
        here = gpd.GeoSeries.from_xy(*([one] for one in place_of(self.page)), crs="EPSG:4326").to_crs("EPSG:32608")[0]
        slump = self.slumps.loc[self.slumps.distance(here).idxmin(), "slump_id"]
        verdict = self.truth[slump] != (self.random.random() < WRONG[self.name])
        press(self.page, KEYS["slump" if verdict else "not"])
        return True


def expected_share(review, truth, slumps):
    """Return which share of some slumps people who err as often as these call slumps."""
    first = review.verdicts().query("repeat_of.isna()").set_index("slump_id")["reviewer"]
    return np.mean([1 - WRONG[first[slump]] if truth[slump] else WRONG[first[slump]] for slump in slumps])


def kappa(pairs):
    """Cohen's, by his formula, from a table of counts."""
    table = pd.crosstab(pairs["first"], pairs["second"]).reindex(
        index=("slump", "not"), columns=("slump", "not"), fill_value=0
    )
    shares = table.to_numpy() / table.to_numpy().sum()
    chance = shares.sum(axis=0) @ shares.sum(axis=1)
    return np.nan if chance == 1 else (np.trace(shares) - chance) / (1 - chance)


def test_two_people_who_err_at_known_rates_review_a_world_that_is_published(
    world, served, visited, capsys, monkeypatch
):
    review, address = served
    people, complaints = [], []
    for seed, name in enumerate(WRONG):
        page, said, asked = visited(address)
        begin(page, name)
        people.append(Reviewer(name, page, world, seed))
        complaints.append((said, asked))
    while any([one.answer() for one in people]):  # noqa: C419  (each is to answer)
        pass
    ends = [one.page.locator("#end-words").inner_text() for one in people]
    assert any("answered. Thank you" in end for end in ends), "who answers the last one is told so"
    assert complaints == [([], []), ([], [])]
    page = people[0].page
    page.locator("#answered button").last.click()
    page.locator("#facts").wait_for()
    assert page.locator("#facts").inner_text().startswith("No. 1 ")
    assert page.locator("button.said").count() == 1, "a review that is finished can be corrected"
    counts = review.counts()
    n_asked = N_SITES**2 + math.ceil(0.05 * N_SITES**2)
    assert (counts["asked"], counts["answered"]) == (n_asked, n_asked)

    bring_verdicts(world.inventory, review_file=review.file, as_json=True)
    figures = json.loads(capsys.readouterr().out)
    rows = {row["group"]: row for row in figures["precision"]}
    truth = world.truth()
    slumps = gpd.read_parquet(world.inventory / "slumps").drop_duplicates("slump_id", keep="last")
    for tier in ("high", "medium", "low"):
        of_tier = slumps.loc[slumps["tier"] == tier, "slump_id"]
        row = rows[f"tier:{tier}"]
        least, most = binom.interval(0.99, len(of_tier), expected_share(review, truth, of_tier))
        assert least <= row["n_slump"] <= most, tier
        assert row["precision"] == row["n_slump"] / len(of_tier)
        assert row["n_slump"] + row["n_not"] == len(of_tier)
    assert rows["all"]["low"] <= np.mean(list(truth.values())) <= rows["all"]["high"]

    said = review.verdicts().set_index("question")
    again = said[said["repeat_of"].notna()]
    pairs = pd.DataFrame({"first": said.loc[again["repeat_of"].astype(int), "verdict"].to_numpy()})
    pairs = pairs.assign(second=again["verdict"].to_numpy())
    pairs = pairs.assign(
        own=said.loc[again["repeat_of"].astype(int), "reviewer"].to_numpy() == again["reviewer"].to_numpy()
    )
    assert len(pairs) == n_asked - N_SITES**2
    for kind, rows_of in (("within", pairs[pairs["own"]]), ("between", pairs[~pairs["own"]])):
        assert figures["agreement"][kind]["n"] == len(rows_of)
        expected = kappa(rows_of) if len(rows_of) else np.nan
        found = figures["agreement"][kind]["kappa"]
        assert found == pytest.approx(expected) if np.isfinite(expected) else found is None

    kept = gpd.read_parquet(world.inventory / "verdicts")
    assert len(kept) == n_asked
    assert set(kept["reviewer"]) == set(WRONG)
    assert_published(world, rows, monkeypatch)


def assert_published(world, rows, monkeypatch):
    """Publish all years, and compare what is told with the figures of the review."""
    if N_SITES == 4:  # a ninth of the time
        monkeypatch.setattr("darts.publish.working.finest_pixel_m", lambda looks: 30)
    out = world.output.parent / "catalogue"
    place = Place(
        inventory=world.inventory, out=out, roots=[world.output], data=DataPlaces(), about=None, evaluation=None
    )
    publish_inventory(place, Wanted(mosaic="polar", models=True, pictures=2, workers=1))
    assert check_catalogue(out) == []
    rasters = sorted(out.glob("mosaics/*/*.tif"))
    assert [file.parent.name for file in rasters] == sorted(2 * [str(year) for year in YEARS])
    assert all(rio_cogeo.cog_validate(str(file), strict=True)[0] for file in rasters)
    items = list(pystac.Catalog.from_file(str(out / "catalog.json")).get_items(recursive=True))
    assert sorted({item.properties["darts:year"] for item in items if "darts:year" in item.properties}) == sorted(YEARS)
    told = re.sub(r"<[^>]+>", " ", (out / "factsheet.html").read_text())
    for group in ("all", "tier:high", "tier:medium", "tier:low"):
        row = rows[group]
        figures = (row["n_slump"], row["n_not"], row["n_unsure"], f"{row['precision']:.2f}")
        assert re.search(rf"{group}\s+" + r"\s+".join(map(str, figures)), told), group


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (640, 450), (390, 844)], ids=["desktop", "zoomed", "phone"])
def test_all_of_it_fits_the_screen(served, visited, width, height):
    page, said, asked = visited(served[1], width, height)
    begin(page, "Chen")
    page.wait_for_function("() => [...document.images].every(one => one.complete)")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1"), "it scrolls sideways"
    shown = page.locator("#panels img:visible").count()
    assert shown == 4, "two pictures of two widths; the world has no elevation"
    assert page.evaluate("[...document.querySelectorAll('#panels img')].every(one => one.naturalWidth === 384)")
    for key in ("1", "2", "3"):
        button = page.locator("[data-verdict]").nth(int(key) - 1)
        assert button.bounding_box()["y"] + button.bounding_box()["height"] <= height, "a verdict is out of sight"
    page.keyboard.press("e")
    picture, tools = (page.locator(one).bounding_box() for one in (".edited svg", "#tools"))
    assert picture["y"] >= 0, "what is edited has scrolled away"
    assert picture["y"] + picture["height"] <= tools["y"] + 1
    assert tools["y"] + tools["height"] <= height + 1
    assert picture["width"] >= min(width - 60, 0.4 * height)
    assert said == []
    assert asked == []


def test_nothing_on_the_page_tells_how_sure_the_models_were(served, visited):
    page, _, _ = visited(served[1])
    answers = []
    page.on("response", lambda one: answers.append(one.text()) if one.url.endswith("/next") else None)
    begin(page, "Dora")
    words = page.content() + "".join(answers)
    assert answers
    for told in ("probab", "tier", "high", "medium"):
        assert told not in words, told
    shown = json.loads(answers[0])["question"]
    assert set(shown) == {
        "question", "year", "longitude", "latitude", "sides", "outline", "years", "terrain", "said",
    }  # fmt: skip
    assert all(set(one) == {"year", "image", "acquired", "outline"} for one in shown["years"])


def test_outlines_are_edited_by_keyboard_and_by_mouse_and_kept_beside_those_of_the_model(
    world, served, visited, capsys
):
    review, address = served
    page, said, _ = visited(address)
    begin(page, "Emma")
    shape = page.locator("#panels figure path.line").first
    first = shape.get_attribute("d")
    page.keyboard.press("o")
    assert not shape.is_visible()
    page.keyboard.press("e")
    assert shape.is_visible(), "who edits an outline sees it"
    corners = page.locator("#panels circle").count()
    page.keyboard.press(".")
    for _ in range(6):
        page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("i")
    assert page.locator("#panels circle").count() == corners + 1
    page.keyboard.press("Delete")
    edge = page.locator(".edge").last.bounding_box()
    page.mouse.move(edge["x"] + edge["width"] / 2, edge["y"] + edge["height"] / 2)
    page.mouse.down()
    page.mouse.move(edge["x"] - 30, edge["y"] + edge["height"] / 2)
    page.mouse.up()
    assert page.locator("#panels circle").count() == corners + 1
    changed = shape.get_attribute("d")
    assert changed != first
    page.keyboard.press("Escape")
    assert shape.get_attribute("d") == first, "Esc leaves it as it was"

    page.keyboard.press("e")
    page.keyboard.press("r")
    for arrow in ("ArrowUp", "ArrowLeft", "ArrowDown"):
        for _ in range(4):
            page.keyboard.press(f"Shift+{arrow}")
        page.keyboard.press(" ")
    page.keyboard.press("Enter")
    drawn = shape.get_attribute("d")
    assert drawn.count("L") == 2, "a triangle was drawn by keyboard"
    page.keyboard.press("n")
    page.keyboard.type("<b>bank</b> 1 2 3")
    page.keyboard.press("Enter")
    press(page, "1")
    page.keyboard.press("b")
    page.wait_for_function("() => note.value === '<b>bank</b> 1 2 3'")
    SHOWN[page] = time.monotonic()
    assert shape.get_attribute("d") == drawn
    assert page.locator("button.said").inner_text().endswith("slump")
    press(page, "1")
    assert said == []

    bring_verdicts(world.inventory, review_file=review.file)
    capsys.readouterr()
    (row,) = gpd.read_parquet(world.inventory / "verdicts").query("reviewer == 'Emma'").itertuples()
    assert row.edited
    assert row.note == "<b>bank</b> 1 2 3"
    slumps = gpd.read_parquet(world.inventory / "slumps")
    model = slumps[(slumps["slump_id"] == row.slump_id) & (slumps["year"] == row.year)].geometry.iloc[0]
    assert len(row.geometry.exterior.coords) == 4
    assert not row.geometry.equals(model)
    assert row.geometry.distance(model.centroid) < 0.01


def test_a_server_that_ends_is_told_of_and_the_page_goes_on_with_the_next_one(world, served, visited):
    review, address = served
    page, said, _ = visited(address)
    begin(page, "Finn")
    page.route("**/verdict", lambda route: route.abort())
    wait_to_be_asked(page)
    page.keyboard.press("1")
    page.locator("#trouble").wait_for()
    assert "Start `darts review` again" in page.locator("#trouble").inner_text()
    page.unroute("**/verdict")
    press(page, "1")
    assert not page.locator("#trouble").is_visible()
    assert review.counts()["answered"] == 1

    held = []
    page.route("**/verdict", lambda route: held.append(route))
    page.keyboard.press("n")
    page.keyboard.type("a bank, not a slump")
    page.keyboard.press("Enter")
    wait_to_be_asked(page)
    review.answer(2, Said(reviewer="Gina", verdict="slump"))  # who had it for too long is no more waited for
    before = page.locator("#facts").inner_text()
    page.keyboard.press("2")
    page.locator("#loading").wait_for()
    held[0].continue_()
    page.locator("#refused").wait_for()
    page.wait_for_function("before => facts.textContent !== before", arg=before)
    words = page.locator("#refused p").inner_text()
    assert "was not taken: somebody else has answered it" in words
    assert "a bank, not a slump" in words
    assert not page.locator("#loading").is_visible()
    page.unroute("**/verdict")
    SHOWN[page] = time.monotonic()
    press(page, "1")
    assert page.locator("#refused").is_visible(), "it stays until it was read"
    page.locator("#refused-seen").click()
    assert not page.locator("#refused").is_visible()
    assert all("ERR_FAILED" in one or "409" in one for one in said)


def save(page, folder):
    """Save the verdicts of a page, and return the file."""
    with page.expect_download() as download:
        page.keyboard.press("s")
    saved = folder / download.value.suggested_filename
    download.value.save_as(saved)
    return saved


def test_the_page_as_a_file_gives_verdicts_back(visited, tmp_path, capsys):
    world = make_reviewed_world(tmp_path, n_sites=3, years=YEARS[-2:])
    file = world.inventory.parent / "file.sqlite"
    page_file = tmp_path / "review.html"
    asked = Asked()
    review_command(world.inventory, tiles=[world.output], review_file=file, page=page_file, asked=asked)
    assert f"verdicts {world.inventory} FILE --review-file {file}" in capsys.readouterr().out.replace("\n", " ")
    page, said, requests = visited(page_file.absolute().as_uri())
    begin(page, "Gül <i>")
    for key in "1213":
        press(page, key)
    page.keyboard.press("e")
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Enter")
    press(page, "1")
    before = page.locator("#counts").inner_text()
    page.reload()
    page.keyboard.press("Enter")
    page.locator("#facts").wait_for()
    assert page.locator("#counts").inner_text() == before, "what was said is kept"
    saved = save(page, tmp_path)
    assert saved.name == f"verdicts-{Review(file).id}-Gül-i-.json"
    assert (said, requests) == ([], [])

    for n_new in (5, 0):  # the same file twice is no more than once
        capsys.readouterr()
        bring_verdicts(world.inventory, saved, review_file=file, as_json=True)
        told = capsys.readouterr()
        assert f"New or changed: {n_new} verdicts of 1 file." in told.err
        figures = json.loads(told.out)
        assert (figures["answered"], figures["slump"], figures["not"], figures["unsure"]) == (5, 3, 1, 1)
    kept = gpd.read_parquet(world.inventory / "verdicts")
    own = kept[kept["reviewer"] == "Gül <i>"]
    assert own["edited"].sum() == 1

    first = saved.rename(tmp_path / "first.json")
    SHOWN[page] = time.monotonic()
    press(page, "b")
    page.locator("button.said").wait_for()
    SHOWN[page] = time.monotonic()
    press(page, "2")
    for given, n_new in ((save(page, tmp_path), 1), (first, 0)):  # an older file changes nothing
        bring_verdicts(world.inventory, given, review_file=file, as_json=True)
        told = capsys.readouterr()
        assert f"New or changed: {n_new} verdict" in told.err
        figures = json.loads(told.out)
        assert (figures["answered"], figures["slump"], figures["not"], figures["unsure"]) == (5, 2, 2, 1)
