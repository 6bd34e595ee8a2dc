"""The weights of a network, taken from a file only if every one fits and is a number."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import torch

from darts_segmentation.models.container import ContainerError
from darts_segmentation.models.stored import StoredTensor
from darts_segmentation.models.wording import listed
from darts_utils.errors import CheckpointError

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_COUNTS = (torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool)
_NUMBERS = "float16, bfloat16, float32 or float64"

type Weights = dict[str, torch.Tensor]


class WeightsFile(Protocol):
    """A file whose tensors are read one by one, after they were described."""

    @property
    def path(self) -> Path:
        """Where it is."""
        ...

    def holds(self, stored: StoredTensor) -> bool:
        """Return whether the file has all numbers that a tensor claims."""
        ...

    def tensor(self, stored: StoredTensor) -> torch.Tensor:
        """Return a tensor that the file holds.

        Raises:
            ContainerError: If its bytes are not those that were written.
        """
        ...


def read_weights(
    network: str, file: WeightsFile, stored: Mapping[str, StoredTensor], wanted: Mapping[str, torch.Tensor]
) -> Weights:
    """Return all weights of a network, in the types that the file has for them.

    Args:
        network: What they are for, for messages.
        file: The file.
        stored: Its weights, by the network's own names as far as possible.
        wanted: The network's weights without their memory, see `architecture.outline`.

    Raises:
        CheckpointError: If a weight is missing, unexpected, of another shape or type, not in the file, or not finite
            as the network would have it.
    """
    path = file.path
    _check_fit(path, network, stored, wanted)
    for name, weight in stored.items():
        _check_type(path, name, weight.dtype, wanted[name].dtype)
        if not file.holds(weight):
            raise CheckpointError(f"{path} is damaged: it does not hold the weight {listed([name])}. Copy it again.")
    return {name: _number(path, name, file, weight, wanted[name].dtype) for name, weight in stored.items()}


def _check_fit(
    path: Path, network: str, stored: Mapping[str, StoredTensor], wanted: Mapping[str, torch.Tensor]
) -> None:
    problems = {
        "missing": sorted(set(wanted) - set(stored)),
        "unexpected": sorted(set(stored) - set(wanted)),
        "of another shape": sorted(k for k in wanted if k in stored and tuple(wanted[k].shape) != stored[k].shape),
    }
    parts = [f"{len(names)} {how} ({listed(names, 2)})" for how, names in problems.items() if names]
    if parts:
        raise CheckpointError(
            f"the weights in {path} do not fit {network}: {', '.join(parts)}."
            " Write the checkpoint anew with the arguments it was trained with."
        )


def _check_type(path: Path, name: str, given: torch.dtype, wanted: torch.dtype) -> None:
    if given in _FLOATS or (given in _COUNTS and not wanted.is_floating_point):
        return
    kind = str(given).removeprefix("torch.")
    raise CheckpointError(
        f"{path} has the weight {listed([name])} as {kind}, but {_NUMBERS} is needed. Write the checkpoint anew."
    )


def _number(path: Path, name: str, file: WeightsFile, stored: StoredTensor, wanted: torch.dtype) -> torch.Tensor:
    """Return a weight whose values are finite in the type that the network computes in."""
    try:
        weight = file.tensor(stored)
    except ContainerError as error:
        raise CheckpointError(f"{path} {error}") from error
    if not torch.isfinite(weight.to(wanted)).all():
        raise CheckpointError(
            f"{path} has a weight that is not a finite number: {listed([name])}. Its training failed, or the file was"
            " damaged: use another epoch of it."
        )
    return weight
