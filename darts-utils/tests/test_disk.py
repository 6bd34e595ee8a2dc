"""What is said when a disk does not do what it should: advice that fits, and space only where it lacks."""

import errno
import os

import pytest

from darts_utils.errors import OutputError
from darts_utils.machine.disk import cannot_write


def said(path, error):
    message = cannot_write(path, error)
    assert isinstance(message, OutputError)
    return str(message).removeprefix(f"cannot write {path}: ")


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "No space left on device. Free some space, or choose another folder."),
        (
            errno.EDQUOT,
            "Disk quota exceeded. Your quota is used up: free some of it, or choose another folder.",
        ),
        (errno.EACCES, "Permission denied. Ask for the right to write there, or choose another folder."),
        (errno.EROFS, "Read-only file system. Nothing can be written there: choose another folder."),
        (errno.ENAMETOOLONG, "File name too long. Choose a folder with a shorter path."),
        (errno.EIO, "Input/output error. The disk, or the way to it, fails: check it, and try again."),
        (errno.ESTALE, "Stale file handle. The disk, or the way to it, fails: check it, and try again."),
        (errno.ENOTDIR, "Not a directory. Choose another folder."),
        (errno.EMFILE, "Too many open files. Raise the limit of open files (ulimit -n)."),
    ],
)
def test_the_advice_fits_the_error(tmp_path, code, advice):
    assert said(tmp_path / "a.tif", OSError(code, os.strerror(code), "x")) == advice


@pytest.mark.parametrize(
    ("words", "free", "advice"),
    [
        ("write failed: no space left on device (os error 28)", 10**9, "Free some space, or choose another folder."),
        ("NetCDF: HDF error", 10**9, "Choose another folder."),
        ("NetCDF: HDF error", 10_000, "Free some space, or choose another folder."),
        ("Permission denied (os error 13)", 10_000, "Ask for the right to write there, or choose another folder."),
    ],
)
def test_words_of_a_library_and_a_full_disk_are_understood(tmp_path, monkeypatch, words, free, advice):
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert said(tmp_path / "a" / "b.nc", RuntimeError(words)) == f"{words}. {advice}"
