"""Files that are left alone where they would become what they are: a publication changes only what differs."""

import filecmp
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from darts_utils.files import atomic_file
from darts_utils.machine.disk import cannot_write


def json_bytes(document: Mapping[str, Any]) -> bytes:
    """Return a document as JSON in its only form: sorted keys, two spaces, UTF-8, a line end.

    Raises:
        ValueError: If a number in it is NaN or infinite.
    """
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def replace_changed(file: Path, write: Callable[[Path], object]) -> bool:
    """Let a file be as a function writes it, and return whether it was changed; it appears whole or not at all.

    Args:
        file: The file.
        write: Is called with the path of a file of the same name in another folder.

    Raises:
        OutputError: If it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=file.parent, prefix=".") as folder:
            made = Path(folder) / file.name
            write(made)
            if not file.is_symlink() and file.is_file() and filecmp.cmp(made, file, shallow=False):
                return False
            made.replace(file)
    except OSError as error:
        raise cannot_write(file, error) from error
    return True


def write_changed(file: Path, content: bytes) -> bool:
    """Let a file have a content, and return whether it was changed; it appears whole or not at all.

    Raises:
        OutputError: If it cannot be written.
    """
    with suppress(OSError):
        if not file.is_symlink() and file.stat().st_size == len(content) and file.read_bytes() == content:
            return False
    try:
        with atomic_file(file) as part:
            part.write_bytes(content)
    except OSError as error:
        raise cannot_write(file, error) from error
    return True
