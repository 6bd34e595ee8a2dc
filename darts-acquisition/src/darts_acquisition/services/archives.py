"""Zip archives that services hand out."""

import zipfile
import zlib
from pathlib import Path

from darts_acquisition.services.retry import TransientError


def check_zip(path: Path) -> None:
    """Do nothing if a zip archive is sound.

    Raises:
        TransientError: If it is none or damaged, as a reason to fetch it again.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError) as error:
        raise TransientError(f"what arrived is no sound zip archive: {error}") from error
    if damaged is not None:
        raise TransientError(f"{damaged} arrived damaged")
