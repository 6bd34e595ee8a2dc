"""Model files: safetensors with a card in the header, which cannot run code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from darts_segmentation.models.architecture import checked_arguments
from darts_segmentation.models.card import KEY, ModelCard, check_ranges, parse_card, read_header
from darts_segmentation.models.container import ContainerError
from darts_segmentation.models.identity import identity
from darts_segmentation.models.stored import Storage, StoredTensor
from darts_utils.canonical import canonical
from darts_utils.errors import CheckpointError
from darts_utils.files import atomic_file

SUFFIX = ".safetensors"
_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip


class SafeFile:
    """The weights of a safetensors file, read one by one.

    Args:
        path: The file.

    Raises:
        CheckpointError: If it is none, or has weights of a type that no network has.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.card = parse_card(path, read_header(path).get("__metadata__"))
        try:
            with safe_open(path, framework="pt") as file:
                self.stored = {name: _stored(path, name, file.get_slice(name)) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path} is damaged or cut short and cannot be read. Copy it again.") from error

    def holds(self, stored: StoredTensor) -> bool:
        """Return whether the file has a tensor; the library has held its places against the size of the file."""
        return stored.storage.key in self.stored

    def tensor(self, stored: StoredTensor) -> torch.Tensor:
        """Return a tensor of the file, in memory of its own.

        Raises:
            ContainerError: If it cannot be read any more.
        """
        try:
            with safe_open(self.path, framework="pt") as file:
                tensor: torch.Tensor = file.get_tensor(stored.storage.key)
        except (SafetensorError, OSError) as error:
            raise ContainerError("is damaged: a weight cannot be read. Copy it again.") from error
        return tensor


def _stored(path: Path, name: str, weight: Any) -> StoredTensor:
    """Return what a file says of a weight."""
    dtype = _DTYPES.get(weight.get_dtype())
    if dtype is None:
        raise CheckpointError(f"{path} has the weight {name} as {weight.get_dtype()}, which no network has.")
    shape = tuple(weight.get_shape())
    strides = torch.empty(shape, device="meta").stride()
    n_numbers = int(torch.Size(shape).numel())
    return StoredTensor(Storage(name, dtype, n_numbers), dtype, 0, shape, strides)


def is_safe_file(path: Path) -> bool:
    """Tell whether a file is of safetensors, by what it begins with."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def card_id(card: ModelCard, weights: Mapping[str, torch.Tensor]) -> str:
    """Return the id of a model, see `models.identity`."""
    return identity(
        weights,
        card.architecture,
        [band.to_json() for band in card.bands],
        model_input=card.input,
        calibration=card.calibration,
    )


def write_model(path: Path, card: ModelCard, weights: Mapping[str, torch.Tensor]) -> ModelCard:
    """Write a model file; it appears whole or not at all.

    Args:
        path: The file, ending in `.safetensors`.
        card: What is known of the model; its architecture is checked and completed, its id computed.
        weights: By the network's own names; half-precision weights make a smaller file and are widened on loading.

    Returns:
        The card as written.

    Raises:
        CheckpointError: If the architecture or the ranges of bands are not those of a network of this release.
    """
    card = card.with_(architecture=checked_arguments(path, card.architecture))
    check_ranges(path, card.bands)
    own = {name: weight.detach().cpu().contiguous().clone() for name, weight in weights.items()}  # none shares memory
    card = card.with_(model_id=card_id(card, own))
    with atomic_file(path) as part:
        part.write_bytes(save(own, metadata={"format": "pt", KEY: canonical(card.to_json()).decode()}))
    return card
