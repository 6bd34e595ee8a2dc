"""The memory that tiles in work may take: of the machine, its control groups, and what SLURM says."""

import os
from pathlib import Path, PurePosixPath

import psutil

_NO_LIMIT = 2**62


def memory_budget_bytes(max_memory_gb: float | None) -> int:
    """Return the memory that tiles in work may take: as given in GiB, else half of what this process may use."""
    if max_memory_gb is not None:
        return int(max_memory_gb * 2**30)
    return usable_memory_bytes() // 2


def usable_memory_bytes() -> int:
    """Return the memory that this process may use."""
    return min(psutil.virtual_memory().total, _cgroup_limit_bytes(), _slurm_limit_bytes())


def _cgroup_limit_bytes(own: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the memory limit of a container or a job, a very large number if there is none.

    The limit may stand at any group above the one of this process; the smallest counts.

    Args:
        own: File that names the groups of this process.
        root: Where the groups are mounted.
    """
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines() if line.count(":") >= 2]
    except (OSError, UnicodeError):
        lines = []
    limits = [_NO_LIMIT]
    for _, controllers, group in [*lines, ("", "", "/"), ("", "memory", "/")]:
        if controllers == "":  # version 2, all controllers in one tree, or beside version 1 in `unified`
            trees, files = (
                (root, root / "unified"),
                ("memory.max", "memory.high"),
            )  # above `high` it is slowed to a crawl
            limits += [_smallest(tree, group, file) for tree in trees for file in files]
        elif "memory" in controllers.split(","):
            limits.append(_smallest(root / "memory", group, "memory.limit_in_bytes"))
    return min(limits)


def _smallest(tree: Path, group: str, file: str) -> int:
    """Return the smallest limit of a group and all above it."""
    parts = PurePosixPath(group.lstrip("/")).parts
    parts = () if ".." in parts else parts  # the group lies outside of what this container sees
    folders = [tree.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
    return min(_number(folder / file) for folder in folders)


def _number(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # ValueError: it says `max`
        return _NO_LIMIT


def _slurm_limit_bytes() -> int:
    """Return the memory that SLURM gave this job on this machine, a very large number if it did not say."""
    node, per_cpu = (_slurm_number(f"SLURM_MEM_PER_{of}") for of in ("NODE", "CPU"))
    cpus = _slurm_number("SLURM_CPUS_ON_NODE") or _slurm_number("SLURM_CPUS_PER_TASK")
    limits = [node, per_cpu * cpus]
    return min((limit * 2**20 for limit in limits if limit > 0), default=_NO_LIMIT)  # 0 asks for the whole machine


def _slurm_number(name: str) -> int:
    """Return a number of the environment, in MiB for memory; 0 if there is none."""
    text = os.environ.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() else 0
