"""Names from elsewhere, such as ids of a catalogue, checked before they become names of files and folders."""

import re
import unicodedata

from darts_utils.errors import DataError

LONGEST_BYTES = 128
"""File systems allow 255, of which unfinished files and the folders of stores need some for their marks."""
_SHOWN = 60
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SEPARATORS = re.compile(r'[/\\:*?"<>|]')
_DATE = re.compile(r"(?<!\d)(20\d{2})(?:-?(\d{2})-?(\d{2})(?!\d)|_Q([1-4])(?=_|$))")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def name_fault(name: object) -> str | None:
    r"""Return why something cannot be the name of a folder on every file system, None if it can.

    Besides what would lead elsewhere (`..`, `/`, `\\`), that is what a disk from Windows refuses, what hides a folder,
    and what cannot be seen or written as UTF-8.
    """
    if not isinstance(name, str):
        return f"it is a {type(name).__name__}, no text"
    if not name.strip():
        return "it is empty"
    if name.startswith("."):
        return "it begins with a dot"
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for character in name):
        return "it has characters that cannot be seen"
    if _SEPARATORS.search(name) or name.endswith((".", " ")) or _RESERVED.fullmatch(name):
        return "it is no name of a folder on every system"
    if len(name.encode()) > LONGEST_BYTES:
        return f"it is longer than {LONGEST_BYTES} bytes"
    return None


def is_id(name: object) -> bool:
    """Tell whether something can be the id of a scene: letters, digits, `_`, `-` and `.`, and a name of a folder."""
    return isinstance(name, str) and _ID.fullmatch(name) is not None and name_fault(name) is None


def check_name(name: object, what: str) -> None:
    """Do nothing if something can be the name of a folder.

    Args:
        name: What an id or a file says.
        what: What it names, for the message.

    Raises:
        DataError: If it cannot; then it must not become a part of a path.
    """
    if (fault := name_fault(name)) is not None:
        raise DataError(f"{shown(name)} cannot name {what}: {fault}. Use letters, digits, '_', '-', '.'.")


def shown(value: object) -> str:
    """Return a value as messages show it, on one line and shortened, whatever a service sent."""
    text = repr(value[: 2 * _SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def date_in(image_id: str) -> tuple[str, str, str] | None:
    """Return year, month and day of the first date in an id as they stand there, with or without hyphens.

    Of a quarter (`2025_Q3`) it is the first day. Which day it is need not exist. None if there is no date.
    """
    found = _DATE.search(image_id)
    if found is None:
        return None
    year, month, day, quarter = found.groups()
    return (year, month, day) if quarter is None else (year, f"{3 * int(quarter) - 2:02d}", "01")


def year_in(image_id: str) -> int | None:
    """Return the year of the first date in an id, None if there is none."""
    date = date_in(image_id)
    return None if date is None else int(date[0])
