"""The page of a report: how long does it take to write and to open, and how large is it?

`uv run python -m benchmarks.report --scenes 300` makes a results folder, writes its report twice (the second time
nothing is new), and opens the page from disk in Chromium five times: until all of its script has run and the map is
drawn. The aims are 2 s and 5 MB for 300 scenes. Chromium draws by the CPU where there is no GPU.
"""

import argparse
import shutil
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.lib.made_results import make_results
from darts.report.build import PAGE, build_report

_DRAWN = "document.querySelector('#map canvas') && document.querySelectorAll('#table tbody tr').length > 0"


def seconds_to_open(page: Path, times: int) -> list[float]:
    """Return how long a page takes until it is drawn, each time in a new context of the browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        found = []
        for _ in range(times):
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            tab = context.new_page()
            start = time.perf_counter()
            tab.goto(page.absolute().as_uri())
            tab.wait_for_function(_DRAWN)
            tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            found.append(time.perf_counter() - start)
            context.close()
        browser.close()
    return found


def main() -> None:
    """Make the folder, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--slumps", type=int, default=40)
    arguments = parser.parse_args()
    with TemporaryDirectory() as place:
        folder = make_results(Path(place) / "output", arguments.scenes, arguments.slumps)
        for words in ("all new", "nothing new"):
            start = time.perf_counter()
            build_report([folder], folder)
            print(f"report of {arguments.scenes} scenes, {words}: {time.perf_counter() - start:.2f} s")
        print(f"page: {(folder / PAGE).stat().st_size / 1e6:.2f} MB (aim for 300 scenes: 5)")
        opened = seconds_to_open(folder / PAGE, 5)
        print(f"opened from disk: {statistics.median(opened):.2f} s (aim: 2), at most {max(opened):.2f}")


if __name__ == "__main__":
    main()
