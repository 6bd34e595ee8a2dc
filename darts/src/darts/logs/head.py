"""How a log file begins: what was typed, which versions of what run it, on which machine, as which job."""

import os
import platform
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from darts import __version__
from darts.command_line.commands import typed
from darts.logs.checkout import commit_of
from darts.pipelines.computing.memory import usable_memory_bytes

_JOB = {
    "job": ("SLURM_JOB_ID",),
    "job_array": ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"),
}


def log_head(tokens: Sequence[str], folders: Mapping[str, Path]) -> dict[str, str]:
    """Return names and values that tell how a run began; nothing is imported for it.

    Args:
        tokens: The command and its arguments, where nobody knows what was typed.
        folders: Folders that are written to, by what lies there.
    """
    commit = commit_of(Path(__file__))
    head = {
        "command": shlex.join(["darts", *(typed.get() or tokens)]),
        "folder": str(Path.cwd()),
        "darts": __version__ + ("" if commit is None else f" (commit {commit})"),
        "python": platform.python_version(),
        "torch": _version("torch"),
        "gdal": _gdal(),
        "host": f"{platform.node()}, {platform.platform()}, process {os.getpid()}",
        **{name: " task ".join(os.environ[one] for one in ones if one in os.environ) for name, ones in _JOB.items()},
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": _gib(usable_memory_bytes()),
        **{f"disk_of_{what}": _free(folder) for what, folder in folders.items()},
    }
    return {name: value for name, value in head.items() if value}


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _gdal() -> str:
    """Return the version of GDAL, where something has loaded it already."""
    return str(getattr(sys.modules.get("rasterio"), "__gdal_version__", ""))


def _free(folder: Path) -> str:
    """Return how much is free where a folder is, or would be made."""
    there = next((one for one in (folder.absolute(), *folder.absolute().parents) if one.is_dir()), None)
    if there is not None:
        with suppress(OSError):
            return f"{_gib(shutil.disk_usage(there).free)} free at {folder}"
    return ""


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.1f} GiB"
