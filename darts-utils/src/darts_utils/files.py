"""Everything written is whole or absent: write beside, flush, rename. Nobody else opens a final path for writing."""

import errno
import glob
import hashlib
import os
import platform
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from darts_utils.errors import OutputError
from darts_utils.machine.disk import advice_for, cannot_write
from darts_utils.machine.softlock import soft_lock

_PART_MARK = ".part-"
_NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}
"""How file systems without hard links answer, such as exFAT, CIFS and sshfs."""
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF}
"""How file systems without locks answer, such as Lustre and NFS without their daemons."""
_REPLACING_TRIES = 100
_NO_LABEL = "0"
_LABEL = [_NO_LABEL]
"""What this process marks its parts with, so that whoever started it can find them when it is gone."""
_ABANDONED_S = 86_400
"""Parts of another machine on a shared file system are taken for dead after a day: its processes cannot be seen."""


def _own_host() -> str:
    """Return a name for where the numbers of processes mean what they mean here.

    Containers may share a name, and one does not see the processes of another.
    """
    names = [platform.node()]
    with suppress(OSError):  # of another system than Linux, where the name must do
        names += [Path("/proc/sys/kernel/random/boot_id").read_text(), str(Path("/proc/self/ns/pid").readlink())]
    return hashlib.blake2b("\n".join(names).encode(), digest_size=6).hexdigest()


_HOST = _own_host()


def part_path(final: Path) -> Path:
    """Return a new hidden path beside the final one, with its suffix because writers choose formats by it."""
    mark = f"{_HOST}-{os.getpid()}-{_LABEL[0]}-{os.urandom(4).hex()}"
    return final.with_name(f".{final.stem}{_PART_MARK}{mark}{final.suffix}")


def label_parts(label: str) -> None:
    """Mark all that this process leaves unfinished from now on, for others of its kind and for whoever started them.

    Args:
        label: Letters and digits; shared by processes of which only one at a time works on a file or folder.
    """
    _LABEL[0] = label


def is_part(path: Path) -> bool:
    """Tell whether a path is an unfinished file or folder that a killed process left behind."""
    return path.name.startswith(".") and _PART_MARK in path.name


def sync_path(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # some network file systems refuse to flush a folder
        if not path.is_dir():
            raise error
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Flush all that lies in a folder to the disk."""
    for path in folder.rglob("*"):
        sync_path(path)


@contextmanager
def atomic_file(final: Path) -> Iterator[Path]:
    """Give a path to write to; when the block ends well the file stands at `final`, else nothing does.

    Raises:
        OutputError: If the folder of `final` cannot be made or written to.
    """
    make_folder(final.parent)
    part = part_path(final)
    try:
        yield part
        sync_path(part)
        part.replace(final)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


@contextmanager
def new_file(final: Path) -> Iterator[Path]:
    """Give a path to write to; when the block ends well the file stands at `final`, if nobody else put one there.

    Raises:
        FileExistsError: If there is a file at `final`, be it from another process a moment ago.
        OutputError: If the folder of `final` cannot be made or written to.
    """
    make_folder(final.parent)
    part = part_path(final)
    try:
        yield part
        sync_path(part)
        _put_new(part, final)
    finally:
        part.unlink(missing_ok=True)


def _put_new(part: Path, final: Path) -> None:
    """Let a file appear at `final`, unless there is one."""
    try:
        os.link(part, final)  # unlike a rename, this replaces nothing
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    else:
        return
    os.close(os.open(final, os.O_CREAT | os.O_EXCL | os.O_WRONLY))  # the place is ours now
    try:
        part.replace(final)
    except BaseException:
        final.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(final: Path) -> Iterator[Path]:
    """Give an empty folder to fill; when the block ends well it stands at `final`, replacing an older folder.

    Raises:
        OutputError: If the parent of `final` cannot be made or written to, or a file or a link stands at `final`.
    """
    with fill_folder(final) as part:
        yield part
        sync_folder(part)
        replace_folder(part, final)


@contextmanager
def fill_folder(final: Path) -> Iterator[Path]:
    """Give an empty folder beside `final` to fill; it is gone at the end unless it was moved away.

    Raises:
        OutputError: If the parent of `final` cannot be made or written to, or a file or a link stands at `final`.
    """
    check_replaceable(final)
    make_folder(final.parent)
    part = part_path(final)
    make_folder(part)
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Hold the others back, of this and other processes, who ask for a turn at the same folder.

    For the moment in which entries of the folder are looked at and replaced. Where the file system knows no locks on
    folders, a file in it is the lock.

    Raises:
        OutputError: If the folder cannot be written to.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    with ExitStack() as held:
        held.callback(os.close, descriptor)
        try:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except (ImportError, OSError):
            held.enter_context(soft_lock(folder / ".turn.lock"))
        yield


def check_replaceable(final: Path) -> None:
    """Do nothing if a folder may stand at `final`: what is no folder was never made here, and is a user's.

    Raises:
        OutputError: If a file or a link stands there.
    """
    try:
        mode = final.lstat().st_mode  # looked at once: another process may move it away in between
    except (FileNotFoundError, NotADirectoryError):
        return
    if not stat.S_ISDIR(mode):
        what = "link" if stat.S_ISLNK(mode) else "file"
        raise OutputError(
            f"{final} is a {what}, where a folder is to be made, and it is not replaced. "
            "Move it elsewhere, or choose another folder."
        )


def replace_folder(source: Path, final: Path) -> None:
    """Put the folder `source` at `final`; an older folder there is moved aside first and then deleted.

    Raises:
        OutputError: If a file or a link stands at `final`.
    """
    check_replaceable(final)
    aside = part_path(final)
    try:
        _swap(source, final, aside)
    except BaseException:
        with suppress(OSError):
            if not final.exists():
                aside.rename(final)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    with suppress(OSError):
        sync_path(final.parent)


def _swap(source: Path, final: Path, aside: Path) -> None:
    """Put a folder in the place of another one, be it one that another process has put there a moment ago."""
    for _ in range(_REPLACING_TRIES):
        with suppress(FileNotFoundError):  # there is none, or another process has just moved it aside
            final.rename(aside)
        try:
            source.rename(final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return
        shutil.rmtree(aside, ignore_errors=True)
    raise OutputError(f"{final} is replaced by other processes again and again. Let one of them work on it.")


def make_folder(folder: Path) -> None:
    """Make a folder and its parents.

    Raises:
        OutputError: If that is not possible; the message names the folder and the reason.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}. {advice_for(error, folder)}") from error


def remove_parts(folder: Path, *, own: bool = False, label: str | None = None, stem: str = "") -> int:
    """Delete what killed processes left unfinished in a folder; return how many there were.

    Parts of other processes that still run are kept.

    Args:
        folder: Where to look; what lies deeper is left.
        own: Whether those of this process go too, before it ends.
        label: Those with this label go too, on whatever machine they were made: the caller knows that nobody works on
            them.
        stem: Only parts of the file or folder of this name; of all if empty.
    """
    stale = [
        path
        for path in folder.glob(f".{glob.escape(stem) or '*'}{_PART_MARK}*")
        if _is_stale(path, own=own) or _label_of(path) == label
    ]
    for path in stale:
        is_folder = path.is_dir() and not path.is_symlink()
        shutil.rmtree(path, ignore_errors=True) if is_folder else path.unlink(missing_ok=True)
    return len(stale)


def abandon(part: Path) -> None:
    """Rename an unfinished file or folder so that the next try, of whatever process, may go on from it."""
    with suppress(OSError):
        part.rename(
            part.with_name(part.name.replace(f"{_PART_MARK}{_HOST}-{os.getpid()}-", f"{_PART_MARK}{_HOST}-left-"))
        )


def stale_parts(folder: Path, final: Path) -> list[Path]:
    """Return what killed processes left unfinished of one file or folder, to go on from.

    That is also what others with the label of this process left, on whatever machine.
    """
    parts = sorted(folder.glob(f".{glob.escape(final.stem)}{_PART_MARK}*{final.suffix}"))
    return [path for path in parts if _is_stale(path, own=False) or _is_of_our_kind(path)]


def _is_stale(part: Path, *, own: bool) -> bool:
    """Tell whether nobody works on a part any more."""
    host, pid, *_ = (*part.name.split(_PART_MARK)[-1].split("-"), "")
    if host != _HOST:
        with suppress(FileNotFoundError):
            return time.time() - _last_touched(part) > _ABANDONED_S
        return False
    if pid == str(os.getpid()):
        return own
    return not (pid.isdigit() and _is_running(int(pid)))


def _last_touched(part: Path) -> float:
    """Return when something was last written into a part, in seconds since the epoch."""
    times = [part.stat().st_mtime]
    for path in part.rglob("*"):
        with suppress(FileNotFoundError):
            times.append(path.lstat().st_mtime)
    return max(times)


def _is_of_our_kind(part: Path) -> bool:
    """Tell whether another process with the label of this one made a part."""
    is_own = part.name.split(_PART_MARK)[-1].startswith(f"{_HOST}-{os.getpid()}-")
    return _LABEL[0] != _NO_LABEL and _label_of(part) == _LABEL[0] and not is_own


def _label_of(part: Path) -> str:
    """Return what the process of a part had labelled it with."""
    return (*part.name.split(_PART_MARK)[-1].split("-"), "", "", "")[2]


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def exclusive_lock(path: Path, *, timeout_s: float = -1) -> Iterator[None]:
    """Hold the lock file `path` against other threads and processes; a negative timeout waits for ever.

    Where the file system knows no locks, a second file beside it is the lock.

    Raises:
        OutputError: If another process still holds the lock after `timeout_s` seconds, or it cannot be made.
    """
    from filelock import FileLock, Timeout  # here, because every command imports this module and few take a lock

    make_folder(path.parent)
    with ExitStack() as held:
        try:
            if _knows_locks(path):
                held.enter_context(FileLock(path, timeout=timeout_s))
            else:
                held.enter_context(soft_lock(path.with_name(f"{path.name}.held"), timeout_s=timeout_s))
        except (Timeout, TimeoutError) as error:
            raise OutputError(
                f"{path} is still locked by another process after {timeout_s:g} s. Wait for it."
            ) from error
        yield


def _knows_locks(path: Path) -> bool:
    """Tell whether a file can be locked.

    Raises:
        OutputError: If it cannot be made.
    """
    try:
        import fcntl
    except ImportError:
        return True  # another system, whose locks filelock knows
    try:
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise cannot_write(path, error) from error
    return True
