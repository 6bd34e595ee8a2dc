"""The documentation site builds without a warning, leads nowhere that is not there, and asks nobody to be read."""

import ast
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from test_importable_names import NAMES

from darts.cli import app
from darts.utils.config import known_keys

ROOT = Path(__file__).resolve().parents[2]
LOADED = {
    "script": "src",
    "img": "src",
    "link": "href",
    "source": "src",
    "iframe": "src",
    "video": "src",
    "audio": "src",
}
"""What a browser loads with a page, by the attribute that says from where."""
NOT_OURS = {"externally-managed-environment", "command not found: darts"}
"""Words of other programs that troubleshooting explains."""


class Page(HTMLParser):
    """What a page of the site leads to, loads, and can be led to."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.anchors, self.text = [], [], set(), ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[key] for key in ("id", "name") if given.get(key)}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in LOADED and given.get(LOADED[tag]) and given.get("rel") not in ("index", "search", "next", "prev"):
            self.loads.append(given[LOADED[tag]])

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The site, built once for all tests of this file; warnings are errors."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-d", folder / "doctrees", ROOT / "docs", folder / "html"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "html"


@pytest.fixture(scope="module")
def pages(built):
    return {path: Page(path) for path in built.rglob("*.html")}


def test_there_is_a_page_for_each_command(built, pages):
    sys.path.insert(0, str(ROOT / "docs" / "_ext"))
    from command_pages import commands

    index = pages[built / "reference" / "commands.html"]
    for words in commands():
        assert f"commands/{'-'.join(words)}.html" in index.links
        assert f"darts {' '.join(words)}" in pages[built / "reference" / "commands" / f"{'-'.join(words)}.html"].text


def test_every_config_key_is_in_the_table():
    table = (ROOT / "docs" / "reference" / "config-keys.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == known_keys(app)


def test_every_name_that_scripts_import_is_in_the_reference(built, pages):
    shown = set().union(*(pages[path].anchors for path in (built / "reference" / "api").glob("*.html")))
    known = {anchor.rpartition(".")[2] for anchor in shown}
    single = {"manager", "paths", "LoggingManager"}  # objects, which are told of with their classes
    assert {name for names in NAMES.values() for name in names.split()} - single - {"PipelineV2Paths"} <= known


def test_every_link_and_anchor_leads_somewhere(built, pages):
    lost = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            is_there = target in pages or (target.is_file() and not parts.fragment)
            if not is_there or (parts.fragment and unquote(parts.fragment) not in pages[target].anchors):
                lost.append(f"{path.relative_to(built)}: {link}")
    assert not lost


def test_nothing_is_loaded_from_another_host_and_all_of_it_is_there(built, pages):
    for path, page in pages.items():
        for source in page.loads:
            parts = urlsplit(source)
            assert not parts.scheme or parts.scheme == "data", f"{path.relative_to(built)} asks {source}"
            assert not parts.netloc, f"{path.relative_to(built)} asks {source}"
            assert parts.scheme or (path.parent / unquote(parts.path)).is_file(), f"{path}: {source} is not there"


def test_styles_and_scripts_name_no_other_host(built):
    for path in [*built.rglob("*.css"), *built.rglob("*.js")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"""(url\(|@import\s+|import\(|fetch\()['"]?(https?:)?//""", text), path


def test_troubleshooting_quotes_what_is_said():
    """The words of an error are looked for on the page, so both must be the same."""
    said = "\n".join(messages())
    quoted = re.findall(
        r"^\| (?:a warning )?`([^`]+)`", (ROOT / "docs/help/troubleshooting.md").read_text(), re.MULTILINE
    )
    assert len(quoted) > 40
    for line in set(quoted) - NOT_OURS:
        for words in line.split("..."):
            assert words.strip() in said, f"nothing says {words.strip()!r} any more"


def messages():
    """Yield all texts of the code, with what is put into them left out."""
    for path in ROOT.glob("darts*/src/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"%(\.\d)?[sdfg]", "\0", node.value)
