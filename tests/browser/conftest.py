"""A real browser that may open files and nothing else."""

import os
import shutil
from dataclasses import dataclass, field

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Opened:
    """A page, with all that went wrong on it."""

    page: object
    said: list = field(default_factory=list)
    """Errors and warnings in its console, and errors that no script caught."""
    asked: list = field(default_factory=list)
    """Addresses outside of the disk that it asked for."""


@pytest.fixture(scope="session")
def chromium():
    """A browser without a window; none, and the tests skip with the reason."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("needs chromium, which Debian has as the package of that name")
    from playwright.sync_api import sync_playwright

    sandbox = [] if getattr(os, "getuid", lambda: 1)() else ["--no-sandbox"]  # it refuses to run as root with one
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium):
    """Open a file in a window of a size."""
    contexts = []

    def open_file(path, width=1280, height=900, part="", **settings):
        context = chromium.new_context(viewport={"width": width, "height": height}, **settings)
        contexts.append(context)
        page = context.new_page()
        found = Opened(page)
        page.on("console", lambda line: found.said.append(line.text) if line.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: found.said.append(str(error)))

        def judge(route):
            url = route.request.url
            if url.startswith(("file:", "data:")):
                route.continue_()
            else:
                found.asked.append(url)
                route.abort()

        page.route("**/*", judge)
        page.goto(path.absolute().as_uri() + part)
        return found

    yield open_file
    for context in contexts:
        context.close()
