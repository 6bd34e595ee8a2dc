"""Files of a catalogue as STAC tells of them: where from an item, how large, with which checksum."""

import hashlib
import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from darts_export.publish.checksums import is_beside
from darts_export.publish.stac import names
from darts_utils.errors import DataError, MissingDataError

SHA2_256 = "1220"
"""Begins a multihash of SHA-256: its code, and its length of 32 bytes."""
_SAFE = "/+,=@~!()"


def file_of(folder: Path, path: str) -> Path:
    """Return where a path of the catalogue leads.

    Raises:
        DataError: If it leads out of the folder.
        MissingDataError: If nothing is there.
    """
    plain = posixpath.normpath(path)
    if path.startswith("/") or "\\" in path or plain.split("/")[0] in ("..", "."):
        raise DataError(
            f"{path!r} is no path of a file in the catalogue. Give it from the catalogue's folder, with `/`."
        )
    file = folder / plain
    if not file.exists():
        raise MissingDataError(f"there is no {path} in {folder}. Write it before the catalogue.")
    return file


def href_from(base: str, path: str) -> str:
    """Return a path of the catalogue as a link.

    Args:
        base: Path of the file that has the link.
        path: Where it leads.
    """
    relative = posixpath.relpath(path, posixpath.dirname(base) or ".")
    return quote(relative if relative.startswith("..") else f"./{relative}", safe=_SAFE)


def n_files(paths: Iterable[str]) -> int:
    """Return how many files there are, but for what programs leave beside those that they open."""
    known = set(paths)
    return sum(not is_beside(path, known) for path in known)


def file_fields(file: Path) -> dict[str, Any]:
    """Return size and checksum of a file, and of a folder how many files it has, with those of folders in it."""
    if file.is_dir():
        return {names.N_FILES: n_files(one.relative_to(file).as_posix() for one in file.rglob("*") if one.is_file())}
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"file:size": file.stat().st_size, "file:checksum": f"{SHA2_256}{digest}"}
