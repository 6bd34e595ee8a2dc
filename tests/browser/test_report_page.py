"""The page of a report in a real browser: from disk, by keyboard, on a phone, with nothing asked of the network."""

import pytest

from benchmarks.lib.made_results import make_results
from darts.report.build import build_report

N_SCENES = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = make_results(tmp_path_factory.mktemp("results") / "output", N_SCENES)
    build_report([folder], folder)
    return folder


def test_the_page_of_300_scenes_is_small(folder):
    assert (folder / "index.html").stat().st_size < 5e6


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)], ids=["desktop", "phone"])
def test_it_opens_from_disk_without_an_error_or_a_request(folder, opened, width, height):
    view = opened(folder / "index.html", width, height)
    assert view.page.locator("#count").inner_text() == "300 tiles"
    assert view.page.locator("#map canvas").count() == 1
    assert view.page.locator("#timeline rect").count() > 1000
    assert "12 tiles failed" in view.page.locator("header").inner_text()
    assert view.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1"), "it scrolls sideways"
    assert view.said == []
    assert view.asked == []


def test_the_map_shows_ground_and_slumps(folder, opened):
    page = opened(folder / "index.html").page
    colours = """() => {
        const canvas = document.querySelector("#map canvas");
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let red = 0, blue = 0;
        for (let at = 0; at < data.length; at += 4) {
            if (data[at] > 140 && data[at + 1] < 110 && data[at + 2] < 110 && data[at + 3] > 100) red += 1;
            if (data[at] < 80 && data[at + 2] > 110 && data[at + 3] > 100) blue += 1;
        }
        return [red, blue];
    }"""
    red, blue = page.evaluate(colours)
    assert red > 300
    assert blue > 3000
    page.locator("#show-slumps").uncheck()
    page.wait_for_timeout(300)
    assert page.evaluate(colours)[0] == 0


def test_all_of_it_works_by_keyboard(folder, opened):
    page = opened(folder / "index.html").page
    page.locator("#words").focus()
    page.keyboard.type("00042")
    assert page.locator("#count").inner_text() == "1 tile"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('#table tbody') !== null"):
            break
    page.keyboard.press("Enter")
    assert "00042" in page.locator("#detail h3").inner_text()
    page.wait_for_function("document.querySelector('#detail img')?.naturalWidth === 640")
    before = page.evaluate("document.querySelector('#map canvas').toDataURL().length")
    page.locator("#map").focus()
    page.keyboard.press("+")
    page.wait_for_timeout(600)
    assert page.evaluate("document.querySelector('#map canvas').toDataURL().length") != before


def test_filters_and_order(folder, opened):
    page = opened(folder / "index.html").page
    page.locator("#status").select_option("failed")
    assert page.locator("#count").inner_text() == "12 tiles"
    assert "cannot be decoded" in page.locator("#failures").inner_text()
    page.locator("#status").select_option("")
    page.locator("#least").fill("50")
    slumps = [int(text) for text in page.locator("#table tbody td:nth-child(5)").all_inner_texts()]
    assert min(slumps) >= 50
    page.get_by_role("button", name="slumps", exact=True).click()
    slumps = [int(text) for text in page.locator("#table tbody td:nth-child(5)").all_inner_texts()]
    assert slumps == sorted(slumps, reverse=True)


def test_more_rows_and_pictures_come_when_asked_for(folder, opened):
    page = opened(folder / "index.html").page
    assert page.locator("#table tbody tr").count() == 200
    page.locator("#more").click()
    assert page.locator("#table tbody tr").count() == 300
    assert page.locator("#gallery img").count() == 12
    page.locator("#more-pictures").click()
    assert page.locator("#gallery img").count() == 60
    page.locator("#gallery button").first.click()
    assert page.locator("#detail h3").inner_text().startswith("S2B_")


def test_it_is_whole_at_twice_the_size(folder, opened):
    view = opened(folder / "index.html", 640, 450, device_scale_factor=2)
    assert view.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")
    assert view.said == []


def test_what_ids_and_errors_hold_is_text(tmp_path, opened):
    folder = make_results(tmp_path / "output", 30)
    record = next(folder.glob("*/darts_inference.json"))
    evil = "</script><script>window.hit = 1</script><img src=x onerror=window.hit=1>"
    record.write_text(record.read_text().replace('"sensor": "sentinel2"', f'"sensor": "{evil}"'))
    config = next(folder.glob("*.config.toml"))
    config.write_text(f'darts.x = "{evil}"')
    build_report([folder], folder)
    view = opened(folder / "index.html")
    assert evil in view.page.locator("#table").inner_text()
    assert evil in view.page.locator("#making pre").text_content()
    assert view.page.evaluate("window.hit") is None
    assert view.said == []
