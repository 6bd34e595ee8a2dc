"""What the devices of a run can do."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from darts.pipelines.computing.memory import memory_budget_bytes
from darts_segmentation.precision import faster_precisions, processor_name
from darts_utils.parameters import Precision

_OF_A_GPU = 0.5
"""Share of its memory that networks may take: others may use it too."""


@dataclass(frozen=True, kw_only=True)
class Ability:
    """What all that computes for a run can do."""

    faster: tuple[Precision, ...]
    """What it computes faster in than in float32, in the order in which it is to be tried."""
    processors: str
    """What computes, where that may make a difference."""
    network_bytes: int
    """Memory that networks may take, beside tiles on the CPU."""
    on_gpus: bool = False

    @classmethod
    def of(cls, device: torch.device, max_memory_gb: float | None = None) -> "Ability":
        """Return what a device can do; on a CPU networks may take half of what tiles may."""
        if device.type == "cuda":
            network_bytes = int(_OF_A_GPU * torch.cuda.get_device_properties(device).total_memory)
        else:
            network_bytes = memory_budget_bytes(max_memory_gb) // 2
        faster, name = faster_precisions(device), processor_name(device)
        return cls(faster=faster, processors=name, network_bytes=network_bytes, on_gpus=device.type == "cuda")

    @classmethod
    def of_all(cls, each: Sequence["Ability"]) -> "Ability":
        """Return what several workers can all do."""
        faster = [one for one in each[0].faster if all(one in other.faster for other in each)] if each else []
        return cls(
            faster=tuple(faster),
            processors=" + ".join(sorted({one.processors for one in each})),
            network_bytes=min((one.network_bytes for one in each), default=0),
            on_gpus=any(one.on_gpus for one in each),
        )
