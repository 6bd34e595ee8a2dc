"""The checksums of all files of a catalogue, in the format that `sha256sum -c` reads."""

import re
from collections.abc import Container, Iterator
from pathlib import Path

from darts_export.publish.changed import write_changed
from darts_export.publish.checking.findings import Findings
from darts_export.publish.checking.tree import look
from darts_utils.errors import DataError

FILE = "checksums.sha256"
_BESIDE = (".aux.xml", "-wal", "-shm", "-journal")
"""What GDAL and SQLite leave beside files that somebody opened."""
_LINE = re.compile(rb"(?P<escaped>\\?)(?P<digest>[0-9a-fA-F]{64}) [ *](?P<name>.+)")
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_ESCAPED = re.compile(r"\\(.)")
_NAMED = {"\\": "\\", "n": "\n", "r": "\r"}


def write_checksums(folder: Path) -> bool:
    r"""Write `checksums.sha256` over the files of a folder, and return whether it was changed.

    Left out are itself, and what programs leave beside files that they open.

    A line is `<SHA-256>  <path from the folder, with />`, in the order of the paths. A name with a line end or a
    backslash is written as `sha256sum` does: with a backslash before the line, `\n` and `\\` in it.

    Raises:
        DataError: If there are links that lead elsewhere, or what is neither a file nor a folder.
        OutputError: If the file cannot be written.
    """
    findings = Findings()
    tree = look(folder, findings)
    if findings.found:
        wrong = min(findings.found)
        raise DataError(f"{folder / wrong.file} {wrong.what}. {wrong.advice}")
    listed = [path for path in sorted(tree.sizes) if path != FILE and not is_beside(path, tree.sizes)]
    lines = [line_of(tree.digest(path), path) for path in listed]
    return write_changed(folder / FILE, b"".join(lines))


def is_beside(path: str, others: Container[str]) -> bool:
    """Return whether a file is what programs leave beside one of others that they open."""
    return any(path.endswith(suffix) and path.removesuffix(suffix) in others for suffix in _BESIDE)


def line_of(digest: str, path: str) -> bytes:
    """Return the line of a file."""
    name = "".join(_ESCAPES.get(one, one) for one in path)
    return f"{'' if name == path else chr(92)}{digest}  {name}\n".encode(errors="surrogateescape")


def parsed(content: bytes) -> Iterator[tuple[int, str, str]]:
    """Yield the number, the digest in small letters, and the path of each line; both empty for what is no such line."""
    for number, line in enumerate(content.splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            yield number, "", ""
            continue
        name = match["name"].decode(errors="surrogateescape")
        path = _ESCAPED.sub(lambda found: _NAMED.get(found[1], found[0]), name) if match["escaped"] else name
        yield number, match["digest"].decode().lower(), path
