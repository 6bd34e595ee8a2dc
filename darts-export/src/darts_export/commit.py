"""How outputs appear: a new folder by one rename, missing files one by one, nothing else touched."""

import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from darts_utils.errors import DartsError, OutputError
from darts_utils.files import atomic_folder, make_folder, part_path, sync_path


def commit_folder(out_dir: Path, write: Callable[[Path], None]) -> None:
    """Fill a folder that stands at `out_dir` when all is written, in place of what was there, or not at all.

    Args:
        out_dir: Where the folder appears.
        write: Gets an empty folder and fills it.

    Raises:
        OutputError: If writing fails; the message names the folder and the reason, and nothing is left behind.
    """
    try:
        with atomic_folder(out_dir) as part:
            write(part)
    except DartsError:
        raise
    except OSError as error:
        raise _output_error(out_dir, error) from error


def commit_files(out_dir: Path, names: Collection[str], write: Callable[[Path], None]) -> None:
    """Add files to a folder, each appearing whole or not at all; what is there already stays as it is.

    Args:
        out_dir: The folder to add to.
        names: The files to add.
        write: Gets an empty folder and fills it; files that are not among the names are dropped.

    Raises:
        OutputError: If writing fails; the message names the folder and the reason, and nothing is left behind.
    """
    part = part_path(out_dir)  # beside the folder and not in it, so that the tile never shows a stray entry
    try:
        make_folder(part)
        write(part)
        for name in names:
            sync_path(part / name)
            (part / name).replace(out_dir / name)
        sync_path(out_dir)
    except DartsError:
        raise
    except OSError as error:
        raise _output_error(out_dir, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _output_error(out_dir: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(f"cannot write {out_dir}: {reason}. Free some space, or choose another folder.")
