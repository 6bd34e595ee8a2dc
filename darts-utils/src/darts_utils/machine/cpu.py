"""How many cores there are for this process."""

import os
from contextlib import suppress
from functools import cache
from pathlib import Path

import cv2

_most = [1024]
"""Cores that this process was told to keep to."""


def usable_cores() -> int:
    """Return how many cores this process may use.

    Affinity, the limits of a container and `limit_cores` count. Two threads of a core count as one: they share what
    arithmetic is done with, and only get into each other's way.
    """
    allowed = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset(range(1024))
    return max(1, min(cv2.getNumberOfCPUs(), physical_cores(allowed), _most[0]))


@cache
def physical_cores(cpus: frozenset[int], root: Path = Path("/sys/devices/system/cpu")) -> int:
    """Return how many cores some CPUs of the system are threads of; as many as there are CPUs where nobody tells.

    Args:
        cpus: Numbers of CPUs, as the system counts them.
        root: Where the system tells.
    """
    cores = set()
    for cpu in cpus:
        told = str(cpu)
        with suppress(OSError, UnicodeError):
            told = (root / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text(encoding="ascii").strip()
        cores.add(told)
    return len(cores)


def limit_cores(number: int) -> None:
    """Keep this process to some cores from now on, because others on this machine have work too."""
    _most[0] = number
    cv2.setNumThreads(usable_cores())
