"""Notebooks as pages: their text and code, made Markdown when Sphinx reads them; nothing is executed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx


def read_notebook(app: Sphinx, page: str, source: list[str]) -> None:
    """Give a page that is a notebook its text in Markdown."""
    path = Path(app.env.doc2path(page))
    if path.suffix == ".ipynb":
        source[0] = markdown_of(json.loads(source[0]), path.name)


def markdown_of(notebook: dict[str, Any], name: str) -> str:
    """Return a notebook as Markdown; below its title, where to get the file."""
    title, *others = _parts(notebook)
    heading, _, rest = title.partition("\n")
    file = f"*A notebook, without what it shows: get {{download}}`{name}` and [run it](../start/notebook.md).*"
    return "\n\n".join([heading, file, rest.strip(), *others]) + "\n"


def _parts(notebook: dict[str, Any]) -> Iterator[str]:
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        yield text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the reading of notebooks."""
    app.connect("source-read", read_notebook)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
