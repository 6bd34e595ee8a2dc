"""How outputs appear: a new folder by one rename, missing files one by one, nothing else touched."""

import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from darts_export.record import FILE as RECORD
from darts_export.record import FINGERPRINT, changed_image, fingerprints, record_added
from darts_utils.errors import DartsError, OutputError
from darts_utils.files import fill_folder, make_folder, part_path, replace_folder, sync_folder, sync_path, turn
from darts_utils.machine.disk import cannot_write


def commit_folder(out_dir: Path, write: Callable[[Path], None], *, replace: bool = True) -> bool:
    """Fill a folder that stands at `out_dir` when all is written, or not at all; return whether it does.

    Args:
        out_dir: Where the folder appears.
        write: Gets an empty folder and fills it.
        replace: Whether it takes the place of a folder that is there. If not, one that another process has put there in
            the meantime stays, and what was written is dropped.

    Raises:
        OutputError: If writing fails; the message names the folder and the reason, and nothing is left behind.
    """
    try:
        with fill_folder(out_dir) as part:
            write(part)
            sync_folder(part)
            with turn(out_dir.parent):
                if not replace and out_dir.exists():
                    return False
                replace_folder(part, out_dir)
        return True
    except DartsError:
        raise
    except OSError as error:
        raise _output_error(out_dir, error) from error


def commit_files(
    out_dir: Path, names: Collection[str], write: Callable[[Path], None], *, metadata: Mapping[str, Any] | None = None
) -> None:
    """Add files to a folder, each appearing whole or not at all; what is there already stays as it is.

    Args:
        out_dir: The folder to add to.
        names: The files to add; the record comes last.
        write: Gets an empty folder and fills it; files that are not among the names are dropped.
        metadata: How the files were made. Its fingerprint, if it has one, must be that of those in the folder, and what
            the record there says of the image must still hold. The record names what is added.

    Raises:
        OutputError: If the folder was made in another way, or writing fails; the message names the folder and the
            reason, and nothing is left behind.
    """
    part = part_path(out_dir)  # beside the folder and not in it, so that the tile never shows a stray entry
    try:
        make_folder(part)
        write(part)
        for name in names:
            sync_path(part / name)
        with turn(out_dir.parent):  # nobody puts another folder there between the check and the last file
            if metadata is not None and FINGERPRINT in metadata:
                check_same(out_dir, metadata)
                record_added(out_dir, names, metadata)
            for name in sorted(names, key=lambda name: name == RECORD):
                (part / name).replace(out_dir / name)
        sync_path(out_dir)
    except DartsError:
        raise
    except OSError as error:
        raise _output_error(out_dir, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_same(out_dir: Path, metadata: Mapping[str, Any]) -> None:
    """Refuse to mix results.

    Raises:
        OutputError: If not all files in the folder that bear a fingerprint bear that of the metadata, or none bears
            any; or if the image says something else of itself than when they were made.
    """
    there, fingerprint = fingerprints(out_dir), metadata[FINGERPRINT]
    if there != {fingerprint}:
        found = ", ".join(sorted(text[:12] for text in there)) or "none"
        raise OutputError(
            f"nothing is added to {out_dir}: its files have the fingerprint {found}, not {fingerprint[:12]}, so they "
            "were made in another way. Use --overwrite, or another folder."
        )
    if changed := changed_image(out_dir, metadata):
        raise OutputError(
            f"nothing is added to {out_dir}: its files were made of another image of that id ({changed})."
            " Use --overwrite, or another folder."
        )


def _output_error(out_dir: Path, error: OSError) -> OutputError:
    return cannot_write(out_dir, error)
