"""A lock for file systems that know none: a file that its owner keeps fresh, so that a dead owner's is seen."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from darts_utils.errors import OutputError

_BEAT_S = 15.0
_DEAD_S = 180.0
"""An owner that was silent so long is dead; whichever machine it was on, for its processes cannot be seen."""
_POLL_S = 0.2


@contextmanager
def soft_lock(path: Path, *, timeout_s: float = -1) -> Iterator[None]:
    """Hold a lock by a file at `path`, which is gone afterwards; a negative timeout waits for ever.

    Raises:
        TimeoutError: If somebody else still holds it after `timeout_s` seconds.
    """
    _take(path, timeout_s)
    over = threading.Event()
    heart = threading.Thread(target=_beat, args=(path, over), name="darts-lock", daemon=True)
    heart.start()
    try:
        yield
    finally:
        over.set()
        heart.join()
        path.unlink(missing_ok=True)


def _take(path: Path, timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            if _bury(path):
                continue
        except OSError as error:
            raise OutputError(f"cannot make the lock {path}: {error.strerror}. Choose another folder.") from error
        else:
            return
        if timeout_s >= 0 and time.monotonic() >= deadline_s:
            raise TimeoutError(path)
        time.sleep(min(_POLL_S, max(timeout_s, 0.01)) if timeout_s >= 0 else _POLL_S)


def _bury(path: Path) -> bool:
    """Take the lock of a dead owner away; return whether that was done."""
    try:
        if _now_there(path) - path.stat().st_mtime < _DEAD_S:
            return False
        grave = path.with_name(f"{path.name}-{os.urandom(4).hex()}")
        path.rename(grave)  # only one of several processes succeeds
        grave.unlink()
    except OSError:
        return False
    return True


def _now_there(path: Path) -> float:
    """Return the time by the clock of the file system, which may be that of another machine."""
    probe = path.with_name(f"{path.name}-{os.urandom(4).hex()}")
    try:
        probe.touch()
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _beat(path: Path, over: threading.Event) -> None:
    while not over.wait(_BEAT_S):
        with suppress(OSError):
            os.utime(path)
