"""How many cores there are for this process."""

import os

import cv2


def usable_cores() -> int:
    """Return how many cores this process may use; affinity and the limits of a container count."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1024
    return max(1, min(cv2.getNumberOfCPUs(), allowed))
