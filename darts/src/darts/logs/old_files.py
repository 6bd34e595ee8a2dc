"""Old log files, removed where a new one begins; those that a run writes to are locked, and stay."""

import os
import time
from pathlib import Path
from typing import IO

KEEP_DAYS = 30
_DAY_S = 86_400

try:
    import fcntl
except ImportError:  # pragma: no cover  (not on Windows, where an open file cannot be removed anyway)
    fcntl = None  # type: ignore[assignment]  # asked for where it is used


def hold(stream: IO[str]) -> None:
    """Mark a log file as one that is written to, for as long as it is open."""
    if fcntl is not None:
        try:
            fcntl.flock(stream.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:  # not all file systems have locks; then its age says that it is in use
            return


def remove_old_logs(folder: Path, keep_days: int) -> int:
    """Remove log files of a folder that nobody has written to for some days; return how many.

    Args:
        folder: The folder of log files; nothing in it but `darts_*.log` is touched.
        keep_days: Days that they stay; 0 keeps all.
    """
    if keep_days == 0:
        return 0
    oldest = time.time() - keep_days * _DAY_S
    return sum(_removed(file, oldest) for file in sorted(folder.glob("darts_*.log")))


def _removed(file: Path, oldest: float) -> bool:
    try:
        if file.is_symlink() or not file.is_file() or file.stat().st_mtime >= oldest or _is_held(file):
            return False
        file.unlink()
    except OSError:  # somebody else's, or another run was faster
        return False
    return True


def _is_held(file: Path) -> bool:
    if fcntl is None:
        return False
    number = os.open(file, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(number)
    return False
