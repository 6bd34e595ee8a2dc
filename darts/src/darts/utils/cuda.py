"""Which devices there are."""

import logging
import os
import platform
from collections.abc import Iterator

from darts_utils.machine.devices import DeviceSpec, decide_device

__all__ = ["DeviceSpec", "debug_info", "decide_device", "environment"]

logger = logging.getLogger(__name__)


def debug_info() -> None:
    """Log the versions, processors and devices that a run would use."""
    for name, value in environment():
        logger.info("%s: %s", name, value)


def environment() -> Iterator[tuple[str, str]]:
    """Yield names and values that describe this machine and installation."""
    import torch

    import darts

    yield "darts", darts.__version__
    yield "python", platform.python_version()
    yield "platform", platform.platform()
    yield "processors", str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    yield "torch", f"{torch.__version__} (CUDA build {torch.version.cuda or 'none'})"
    yield "gpus", str(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        yield f"gpu {index}", f"{name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    yield "default device", str(decide_device(None))
