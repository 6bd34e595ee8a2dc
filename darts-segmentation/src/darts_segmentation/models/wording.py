"""Values of a stranger's file in messages: short, on one line, whatever they are."""

import reprlib
from collections.abc import Sequence

_SHORT = reprlib.Repr(maxstring=60, maxother=60, maxlong=30, maxdict=6, maxlist=8, maxtuple=8, maxlevel=3)
_LONGEST = 200


def brief(value: object) -> str:
    """Return a value as Python writes it, cut short."""
    try:
        text = _SHORT.repr(value)
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    except ValueError:  # whole numbers of thousands of digits have no text
        return f"a {type(value).__name__}"


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return names with commas between them, as they are if they can be printed, and no more than `most`."""
    shown = [name if name.isprintable() and len(name) <= 80 else brief(name) for name in names[:most]]
    return ", ".join([*shown, "..."] if len(names) > most else shown)
