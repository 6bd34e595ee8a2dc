"""How many cores there are for this process."""

import os

import cv2

_most = [1024]
"""Cores that this process was told to keep to."""


def usable_cores() -> int:
    """Return how many cores this process may use; affinity, the limits of a container and `limit_cores` count."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1024
    return max(1, min(cv2.getNumberOfCPUs(), allowed, _most[0]))


def limit_cores(number: int) -> None:
    """Keep this process to some cores from now on, because others on this machine have work too."""
    _most[0] = number
    cv2.setNumThreads(usable_cores())
