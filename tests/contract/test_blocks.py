"""What pages tell readers to type is run, or says why it is not; in any case such a command and its flags are there.

A comment before a block says which: `<!-- run -->` runs it here, in a small sample world, after those before it on the
page; `<!-- run by FILE -->` is run by another test; `<!-- not run: REASON -->` is not. A comment that begins with
`all blocks ` counts for its whole page.
"""

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cyclopts
import pyarrow.parquet as pq
import pytest

from darts.cli import app
from darts.utils.config import config_parser

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if not {"_build", "api", "commands"} & set(page.parts)),
]
_MARK = re.compile(r"<!-- (all blocks )?(run by \S+|run|not run: .{10,}) -->")
SHELLS = ("sh", "bash", "console")
ENDS = ("|", "||", "&&", ";", "do", "then")
"""What a command of a line ends before."""


@dataclass(frozen=True)
class Block:
    """A block of code of a page."""

    page: Path
    line: int
    language: str
    text: str
    mark: str | None
    """What its comment says, or that of its page."""

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page):
    """Return the blocks of a page, in order."""
    found, of_page, before, opened = [], None, None, None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.match(r"\s*```(.*)$", line)
        if opened is None and fence:
            opened = (number, fence[1].strip(), before, [])
        elif opened is not None and fence:
            at, language, mark, lines = opened
            found.append(Block(page, at, language, "\n".join(lines) + "\n", mark or of_page))
            opened = before = None
        elif opened is not None:
            opened[3].append(line)
        elif mark := _MARK.search(line):
            of_page, before = (mark[2], None) if mark[1] else (of_page, mark[2])
        elif line.strip():
            before = None
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
SHELL_BLOCKS = [block for block in BLOCKS if block.language in SHELLS]


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=str)
def test_a_block_is_run_or_says_why_not(block):
    assert block.mark, "give it a comment; the first lines of this file say which"
    if block.mark.startswith("run by "):
        test = ROOT / block.mark.removeprefix("run by ")
        assert test.is_file(), f"there is no {test}"


@cache
def variables_of(page):
    """Return the variables that the blocks of a page set, each with its first word."""
    text = "\n".join(block.text for block in blocks_of(page) if block.language in SHELLS)
    return {name: value.strip("\"'").split()[0] for name, value in re.findall(r'(?m)^(\w+)=("[^"]+"|[\w-]+)', text)}


def commands_in(block):
    """Yield the arguments of each `darts` in a block of a shell, or behind a prompt in one of text."""
    text = block.text.replace("\\\n", " ")
    values = variables_of(block.page)
    for line in text.splitlines():
        if block.language not in SHELLS:
            if not line.startswith("$ darts"):
                continue
            line = line.removeprefix("$ ")
        line = re.sub(r"\$\(.*?\)|\$\?", "1", line)
        line = re.sub(r"\$\{?(\w+)[^}\s\"'/-]*\}?", lambda name: values.get(name[1], "1"), line)
        tokens = shlex.split(line, comments=True)
        if "darts" in tokens and not {"git", "bash", "cd"} & set(tokens[:1]):
            rest = tokens[tokens.index("darts") + 1 :]
            end = next((at for at, token in enumerate(rest, 1) if token in ENDS or token.endswith(";")), None)
            yield [token.rstrip(";") for token in rest[:end] if token not in ENDS]


@pytest.mark.parametrize("block", [block for block in BLOCKS if list(commands_in(block))], ids=str)
def test_a_command_of_a_page_is_there_with_its_flags(block):
    common = {"--log-plain", "--log-json", "--strict-config", "-v", "-vv", "-vvv"}
    config_parser.__init__()  # other tests have read other files
    config_parser.root_app = app
    for tokens in commands_in(block):
        if tokens[:1] in ([], ["..."]) or "..." in tokens or "--help" in tokens:
            continue
        given = [token for token in tokens if token not in common]
        for name in ("--config-file", "--log-dir", "--set", "--keep-logs"):
            while name in given:
                del given[given.index(name) : given.index(name) + 2]
        try:
            app.parse_args(given, exit_on_error=False, print_error=False)
        except cyclopts.CycloptsError as error:
            pytest.fail(f"darts {' '.join(tokens)}: {error}")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with the sample world as `darts demo` leaves it, also as a data folder of its own, as pages take it."""
    from darts.demo.run import demo

    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert demo(size=320, seed=3, folder=Path("darts-demo")).exit_code == 0
    for name in ("aux", "input", "models", "output"):
        (folder / name).symlink_to(folder / "darts-demo" / name)
    (scene,) = (folder / "output" / "sentinel2-cdse").glob("S2*")
    (folder / "scenes.txt").write_text(scene.name + "\n")
    (folder / "config.toml").write_text("[darts]\nmin_object_size = 32\n")
    return folder


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning", "ignore::DeprecationWarning")  # of what draws
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(block.page == page and block.mark == "run" for block in BLOCKS)],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_blocks_of_a_page_run_one_after_the_other(page, world, darts, monkeypatch):
    monkeypatch.chdir(world)
    names = {}
    for block in (block for block in BLOCKS if block.page == page and block.mark == "run"):
        if block.language == "python":
            exec(compile(block.text, str(block), "exec"), names)
            continue
        assert block.language in SHELLS, block
        for tokens in commands_in(block):
            done = darts(*tokens)
            assert done.returncode == 0, f"{block}: darts {' '.join(tokens)}: {done.stderr}"


def test_every_column_is_in_the_data_dictionary_or_the_page_that_it_names(world):
    pages = ("reference/data-dictionary", "reference/run-record", "science/objects", "guides/inventory")
    told = set(re.findall(r"\w+", "".join((ROOT / "docs" / f"{page}.md").read_text() for page in pages)))
    tables = [path for path in (world / "output" / "sentinel2-cdse").rglob("*.parquet") if ".parts" not in path.parts]
    assert {"slumps", "objects", "looks"} <= {part for path in tables for part in path.parts}
    assert {name for path in tables for name in pq.read_schema(path).names} <= told
