"""The id of a model: one hash over everything that its results depend on."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from darts_utils.canonical import canonical


def identity(
    weights: Mapping[str, torch.Tensor],
    architecture: Mapping[str, Any],
    bands: Sequence[Mapping[str, Any]],
    *,
    model_input: Mapping[str, Any] | None = None,
    calibration: Mapping[str, Any] | None = None,
) -> str:
    """Return the SHA-256 of a model as 64 hexadecimal digits.

    It depends neither on the file that holds the weights, nor on their order, device or layout in memory, nor on what
    is only said about the model, such as its licence.

    Args:
        weights: Parameters and buffers by the network's own names, in the float types that they were stored in.
        architecture: Arguments of `segmentation_models_pytorch.create_model`, plain values only.
        bands: `name`, `low` and `high` of each input channel in order; None for a range that is not known.
        model_input: What the network was trained on (`sensor`, `pixel_size_m`, ...), None where it is not known.
        calibration: How its logits are calibrated, None where it is not known.
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        weight = weights[name]
        digest.update(canonical([name, str(weight.dtype).removeprefix("torch."), list(weight.shape)]))
        digest.update(_raw(weight))
    digest.update(
        canonical({"architecture": architecture, "bands": bands, "input": model_input, "calibration": calibration})
    )
    return digest.hexdigest()


def _raw(weight: torch.Tensor) -> memoryview:
    """Return the bytes of a tensor in row-major order; numpy knows no bfloat16, so they are read as uint8."""
    flat = weight.detach().cpu().contiguous().reshape(-1)
    return memoryview(flat.view(torch.uint8).numpy())
