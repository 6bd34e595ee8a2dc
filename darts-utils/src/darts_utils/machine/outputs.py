"""Folders that a user names for results: told by their names where nothing can be written, best before work begins."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from darts_utils.errors import DartsError, OutputError
from darts_utils.machine.disk import cannot_write


def check_writable(folder: Path) -> None:
    """Do nothing if a folder can be made and written to; nothing is left there.

    Raises:
        OutputError: If it cannot; the message names the folder, and not what would have been written in it.
    """
    nearest = folder.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise OutputError(f"cannot write {folder}: {nearest.name} is no folder. Choose another folder.")
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise cannot_write(folder, error) from error


def check_file(file: Path) -> None:
    """Do nothing if a file can be made, or replaced.

    Raises:
        OutputError: If it is a folder, or its folder cannot be written to.
    """
    if file.is_dir():
        raise OutputError(f"{file} is a folder, but a file was to be written. Name a file.")
    check_writable(file.parent)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Write in the block; where that fails, the error names the folder, and no file that nobody knows of.

    Raises:
        OutputError: If it fails.
    """
    try:
        yield
    except DartsError:
        raise
    except OSError as error:
        raise cannot_write(folder, error) from error
