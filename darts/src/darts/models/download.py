"""A model fetched over https: it appears only if it is what its hash says."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from darts.models.registry import Entry
from darts_acquisition.services.connections import ANYWHERE
from darts_acquisition.services.http import fetch_file
from darts_acquisition.services.retry import Limiter, RetryPolicy, Service
from darts_utils.errors import DataError, OutputError

MODELS = Service(
    name="model download",
    advice="Check the address and your connection, or try again later.",
    limiter=Limiter(connections=2),
    policy=RetryPolicy(attempts=4, total_s=120, try_timeout_s=3600),  # a gigabyte takes its time on a slow line
    leads_to=(ANYWHERE,),
)
"""Repositories keep their files on other hosts, whose names change; what comes is held against its hash."""
_PIECE_BYTES = 2**20


def fetch_model(
    entry: Entry, folder: Path, *, overwrite: bool = False, on_bytes: Callable[[int], None] | None = None
) -> tuple[Path, bool]:
    """Return where a model lies, and whether it was fetched; not if it was there already.

    Args:
        entry: The model.
        folder: Where it is kept, as its name with the suffix of its address.
        overwrite: Whether another file of that name is replaced.
        on_bytes: Is told how many bytes have arrived, piece by piece; a negative number takes some back.

    Raises:
        DataError: If what comes has another hash; nothing is kept then.
        OutputError: If another file of that name is there, or it cannot be written.
        ServiceError: If it cannot be had, at once or after all retries.
    """
    target = folder / f"{entry.name}{entry.suffix}"
    if target.is_file() and _sha256(target) == entry.sha256:
        return target, False
    if target.exists() and not overwrite:
        raise OutputError(f"{target} is there already, but is not {entry.url}. Add --overwrite, or rename it.")
    fetch_file(MODELS, entry.url, target, on_bytes, check=lambda part: _check(entry, part))
    return target, True


def _check(entry: Entry, part: Path) -> None:
    found = _sha256(part)
    if found != entry.sha256:
        raise DataError(
            f"{entry.url} is not the file that was asked for: its SHA-256 is {found}, but {entry.sha256} was given."
            " Nothing was kept; ask whoever gave you the hash."
        )


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
