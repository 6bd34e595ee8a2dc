"""Zip archives that services hand out."""

import zipfile
import zlib
from pathlib import Path

from darts_acquisition.services.retry import TransientError
from darts_utils.errors import DataError

_MOST_BYTES = 4_000_000_000
"""What an archive may hold unpacked: the boundaries of all districts have 400 MB."""


def check_zip(path: Path) -> None:
    """Do nothing if a zip archive is sound.

    Raises:
        TransientError: If it is none or damaged, as a reason to fetch it again.
        DataError: If what it holds is larger than anything that is asked for.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
            if unpacked > _MOST_BYTES:
                raise DataError(
                    f"what arrived as {path.name} has {unpacked / 1e6:,.0f} MB unpacked, and at most "
                    f"{_MOST_BYTES / 1e6:,.0f} MB are taken. Check the address that it comes from."
                )
            damaged = archive.testzip()  # no part gives more than it announces
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise TransientError(f"what arrived is no sound zip archive: {error}") from error
    if damaged is not None:
        raise TransientError(f"{damaged} arrived damaged")
