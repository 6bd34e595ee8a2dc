"""One device spec, as users write it, turned into a torch device."""

from typing import TYPE_CHECKING, Literal

from darts_utils.errors import ConfigError

if TYPE_CHECKING:
    import torch

type DeviceSpec = Literal["cuda", "cpu", "auto"] | int | None
"""``None``: CUDA if there is one, else the CPU; ``"auto"``: a GPU with under half of its memory in use, else the CPU;
an integer: that GPU."""


def decide_device(device: "DeviceSpec | torch.device" = None) -> "torch.device":
    """Return the torch device that a device spec stands for; one that is a device already stays as it is.

    Raises:
        ConfigError: If the GPU asked for is not there, or the spec is none of the legal ones.
    """
    import torch

    if isinstance(device, torch.device):
        return device
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "cpu" or (n_gpus == 0 and device in (None, "auto")):
        return torch.device("cpu")
    if device is None:
        return torch.device("cuda", 0)
    if device == "auto":
        return _least_busy_gpu(n_gpus)
    index = 0 if device == "cuda" else device
    if isinstance(index, bool) or not isinstance(index, int) or index < 0:
        raise ConfigError(f"device is {device!r} but must be cuda, cpu, auto or the number of a GPU.")
    if index >= n_gpus:
        raise ConfigError(f"device is {device!r} but this machine has {n_gpus} usable GPUs. Use device cpu or auto.")
    return torch.device("cuda", index)


def device_name(device: "torch.device") -> str:
    """Return what a device is called, for people: `cpu`, or the number and the make of a GPU."""
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def _least_busy_gpu(n_gpus: int) -> "torch.device":
    """Return the GPU with the most free memory if at least half of it is free, else the CPU."""
    import torch

    free_share = []
    for index in range(n_gpus):
        free, total = torch.cuda.mem_get_info(index)
        free_share.append(free / total)
    best = max(range(n_gpus), key=free_share.__getitem__)
    return torch.device("cuda", best) if free_share[best] > 0.5 else torch.device("cpu")
