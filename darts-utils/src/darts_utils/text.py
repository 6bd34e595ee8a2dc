"""Text files as people save them: with byte order marks, in UTF-16 of older shells, in UTF-8 whatever the locale."""

import codecs
from pathlib import Path

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, or in what its byte order mark says.

    Raises:
        OSError: If it cannot be read.
        UnicodeDecodeError: If it is no such text.
    """
    return decode_text(Path(path).read_bytes())


def decode_text(content: bytes) -> str:
    """Return text in UTF-8, or in what its byte order mark says, without the mark.

    Raises:
        UnicodeDecodeError: If it is no such text.
    """
    encoding = next((encoding for mark, encoding in _MARKS.items() if content.startswith(mark)), "utf-8")
    return content.decode(encoding)


def counted(number: int, noun: str) -> str:
    """Return how many there are of something in words: `1 tile`, `2 tiles`, `12,000 tiles`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}es" if noun.endswith("h") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
