"""The map of a publication with many slumps: seconds to write it and to its first picture, frames while it is moved.

`uv run python -m benchmarks.maps --slumps 100000` makes up an inventory of five years, writes its map, and opens it
from disk in Chromium without a window, which draws by software. At a low, a middle and a high zoom level the mouse
moves the map through 30 steps, over the ground with most slumps, while the page counts its frames. Fails if the first
picture takes more than 3 s, or the frames of a level more than 200 ms on the median or 500 ms at the 95th percentile.
With `--tiles` the vector tiles are written as well.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.maps.made_inventory import make_inventory
from darts.inventory.layers import read_part
from darts.publish.map.page import Words, write_map
from darts.publish.map.tiles import TILES, write_pmtiles

LIMIT_FIRST_S, LIMIT_MEDIAN_MS, LIMIT_95_MS = 3.0, 200.0, 500.0
LEVELS = {"low": 3, "middle": 8, "high": 11.5}
"""Zoom levels as in the address of the page."""
STEPS, STEP_PX, PAUSE_MS = 30, (18, 7), 20
_WORDS = Words(title="Made-up slumps", about="Slumps that nobody mapped.", attribution=["Made up"], links=[])
_DENSEST = """() => {
    const {starts, x, y, n} = store.points, from = [...starts.values(), n];
    let best = 0;
    for (let k = 0; k + 1 < from.length; k += 1) if (from[k + 1] - from[k] > from[best + 1] - from[best]) best = k;
    const middle = (values) => values.slice(from[best], from[best + 1]).sort()[(from[best + 1] - from[best]) >> 1];
    return polar.inverse(middle(x), middle(y));
}"""
_RECORD = """() => {
    window.frames_ms = [];
    let before = performance.now();
    const step = (now) => {
        window.frames_ms.push(now - before);
        before = now;
        window.recording = requestAnimationFrame(step);
    };
    window.recording = requestAnimationFrame(step);
}"""
_READY = "document.documentElement.dataset.ready === 'true' && document.documentElement.dataset.whole === 'true'"


def main() -> int:
    """Measure, print a line for each step, and return 1 if a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slumps", type=int, default=2000)
    parser.add_argument("--tiles", action="store_true", help="write vector tiles, too")
    parser.add_argument("--repeat", type=int, default=2, help="how often the page is opened and moved")
    parser.add_argument("--folder", type=Path, help="where inventory and map stay; a temporary folder without it")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp()) if given.folder is None else given.folder
    try:
        catalogue = _written(folder, given.slumps, with_tiles=given.tiles)
        are_within = [_opened(catalogue) for _ in range(given.repeat)]
        return int(not all(are_within))
    finally:
        if given.folder is None:
            shutil.rmtree(folder)


def _written(folder: Path, n_slumps: int, *, with_tiles: bool) -> Path:
    """Write inventory and map, and return the catalogue."""
    inventory, catalogue = folder / "inventory", folder / "catalogue"
    if not inventory.is_dir():
        make_inventory(inventory, n_slumps)
    slumps = read_part(inventory, "slumps")
    if with_tiles:
        (catalogue / TILES).parent.mkdir(parents=True, exist_ok=True)
        status = read_part(inventory, "tracks").drop(columns="geometry")[["slump_id", "status"]]
        _timed("vector tiles", lambda: write_pmtiles(catalogue / TILES, slumps.merge(status, on="slump_id")))
    years = sorted({int(year) for year in slumps["year"]})
    _timed("page and data", lambda: write_map(catalogue, inventory, slumps, _WORDS, years=years, pictures={}))
    sizes = [file.stat().st_size / 1e6 for file in (catalogue / "data").glob("x*.js")]
    points = sum(file.stat().st_size / 1e6 for file in (catalogue / "data").glob("points*.js"))
    cells = f"{len(sizes)} cells, {sum(sizes):.0f} MB, the largest {max(sizes):.1f} MB"
    print(f"{len(slumps)} rows; points {points:.1f} MB, {cells}", flush=True)
    return catalogue


def _timed(name: str, call: Callable[[], object]) -> None:
    start = time.perf_counter()
    call()
    print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)


def _opened(catalogue: Path) -> bool:
    """Open and move the map, print what it took, and return whether it kept within the limits."""
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        address = (catalogue / "index.html").absolute().as_uri()
        page, first_s = _page(browser, address)
        longitude, latitude = page.evaluate(_DENSEST)
        print(f"first picture: {first_s:.2f} s")
        is_within = first_s <= LIMIT_FIRST_S
        for name, zoom in LEVELS.items():
            page, _ = _page(browser, f"{address}#{zoom}/{latitude}/{longitude}/all")
            shown = page.locator("#count").inner_text().split(";")[0]
            frames_ms = _frames_ms(page)
            median, high, longest = np.percentile(frames_ms, [50, 95, 100])
            print(
                f"{name}: {shown}, {len(frames_ms)} frames of {median:.0f} ms on the median, {high:.0f} ms at the 95th"
                f" percentile, {longest:.0f} ms at most"
            )
            is_within &= bool(median <= LIMIT_MEDIAN_MS and high <= LIMIT_95_MS)
        browser.close()
    return is_within


def _page(browser: Browser, address: str) -> tuple[Page, float]:
    """Return a page when it has drawn all that it will, and after how many seconds slumps were on it."""
    page = browser.new_page(viewport={"width": 1400, "height": 950})
    page.goto(address)
    while not page.evaluate(_READY):
        page.wait_for_timeout(50)
    page.wait_for_timeout(1000)
    return page, page.evaluate("performance.getEntriesByName('drawn')[0].startTime") / 1000


def _frames_ms(page: Page) -> Any:
    """Return how long each frame took while the map was moved."""
    box = page.locator("#map").bounding_box()
    assert box is not None, "the page has a map"
    x, y = box["x"] + 60, box["y"] + 120
    before = page.evaluate("location.hash")
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(_RECORD)
    for step in range(1, STEPS + 1):
        page.mouse.move(x + step * STEP_PX[0], y + step * STEP_PX[1])
        page.wait_for_timeout(PAUSE_MS)
    page.mouse.up()
    page.wait_for_timeout(300)
    assert page.evaluate("location.hash") != before, "the map moves"
    return page.evaluate("(cancelAnimationFrame(window.recording), window.frames_ms)")


if __name__ == "__main__":
    sys.exit(main())
