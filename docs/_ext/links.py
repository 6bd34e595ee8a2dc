"""Links of the site: files of the repository that have a page here are read as that page.

CONTRIBUTING.md and the like stand in the root of the repository, where people look for them. A page such as
`project/contributing.md` takes their text when it is built, and links to them become links to the page.
"""

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
PAGES = {
    "project/contributing": "CONTRIBUTING.md",
    "project/changelog": "CHANGELOG.md",
    "project/security": "SECURITY.md",
    "project/conduct": "CODE_OF_CONDUCT.md",
}
"""Pages that are a file of the root, by their name."""
INSTEAD = {ROOT / name: DOCS / f"{page}.md" for page, name in PAGES.items()} | {ROOT / "README.md": DOCS / "index.md"}
_TARGET = re.compile(r"(?<=\]\()([^)\s#:]+)(#[^)\s]*)?(?=\))")


def replace_source(app: Sphinx, page: str, source: list[str]) -> None:  # noqa: ARG001  (the signature of the event)
    """Give a page the text that it stands for, with links that lead to pages."""
    here = DOCS / f"{page}.md"
    origin = ROOT / PAGES[page] if page in PAGES else here
    text = origin.read_text(encoding="utf-8") if page in PAGES else source[0]
    source[0] = with_links(text, origin.parent, here.parent)


def with_links(text: str, was_in: Path, is_in: Path) -> str:
    """Return a text with its relative links as they must be where it is read."""

    def moved(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(was_in / link[1]))
        target = INSTEAD.get(target, target)
        return Path(os.path.relpath(target, is_in)).as_posix() + (link[2] or "")

    return _TARGET.sub(moved, text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the reading of pages."""
    app.connect("source-read", replace_source)
    for page, name in PAGES.items():
        app.connect(
            "env-get-outdated",
            lambda app, env, added, changed, removed, page=page, name=name: (  # noqa: ARG005
                [page] if (ROOT / name).stat().st_mtime > env.all_docs.get(page, 0) / 1e6 else []
            ),
        )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
