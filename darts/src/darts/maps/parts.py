"""Parts that pages are made of: styles and scripts as text, and data that a script reads."""

import json
from functools import cache
from pathlib import Path
from typing import Any

ASSETS = Path(__file__).parent / "assets"


@cache
def part_text(file: Path) -> str:
    """Return a part of a page as text, without the line that names a source map: it is not there."""
    text = file.read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if not line.startswith("//# sourceMappingURL"))


def as_text(values: Any) -> str:
    """Return plain values as JSON that can stand in a page: nothing in it can end a script."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
