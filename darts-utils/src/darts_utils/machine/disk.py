"""What to do about an error of a disk, in words that fit it."""

import errno
import os
import shutil
from pathlib import Path

from darts_utils.errors import OutputError, one_line

_ANOTHER = "Choose another folder."
_FAILS = "The disk, or the way to it, fails: check it, and try again."
_ADVICE = {
    errno.ENOSPC: "Free some space, or choose another folder.",
    errno.EDQUOT: "Your quota is used up: free some of it, or choose another folder.",
    errno.EACCES: "Ask for the right to write there, or choose another folder.",
    errno.EPERM: "Ask for the right to write there, or choose another folder.",
    errno.EROFS: "Nothing can be written there: choose another folder.",
    errno.ENAMETOOLONG: "Choose a folder with a shorter path.",
    errno.EFBIG: "The file system takes no file that large: choose another folder.",
    errno.EMFILE: "Raise the limit of open files (ulimit -n).",
    errno.ENFILE: "Too many files are open on this machine: try again later.",
    **dict.fromkeys(
        (errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN), _FAILS
    ),
}
_SPACE_BYTES = 1 << 20
"""A disk with less than that is full: libraries often only say that writing failed."""


def reason_of(error: BaseException) -> str:
    """Return what went wrong in a line, without the number and the names of files."""
    return getattr(error, "strerror", None) or one_line(error)


def advice_for(error: BaseException, path: Path) -> str:
    """Return what a user can do, as a sentence.

    Args:
        error: Of the operating system, or of a library that has its words.
        path: What was being written.
    """
    code = getattr(error, "errno", None) or _code_in(str(error))
    if code is None and _is_full(path):
        code = errno.ENOSPC
    return _ADVICE.get(code, _ANOTHER) if code is not None else _ANOTHER


def is_readable(path: Path) -> bool:
    """Tell whether a path, or the folder where it would be, may be looked into."""
    there = next((one for one in (path, *path.parents) if os.path.exists(one)), path)  # noqa: PTH110  (Path raises)
    return os.access(there, os.R_OK | os.X_OK if os.path.isdir(there) else os.R_OK)  # noqa: PTH112  (likewise)


def cannot_write(path: Path, error: BaseException, what: str = "") -> OutputError:
    """Return the error that says that something cannot be written, why, and what to do.

    Args:
        path: What was being written.
        error: Why it could not.
        what: What it is, such as `the cached tile `.
    """
    return OutputError(f"cannot write {what}{path}: {reason_of(error)}. {advice_for(error, path)}")


def _code_in(text: str) -> int | None:
    """Return the number of an error of which a library says only the words."""
    return next((code for code in _ADVICE if os.strerror(code).lower() in text.lower()), None)


def _is_full(path: Path) -> bool:
    for folder in (path, *path.parents):
        try:
            return shutil.disk_usage(folder).free < _SPACE_BYTES
        except OSError:
            continue
    return False
