"""The tensors that networks see (0..1): to physical units and back, bands picked, memory laid out.

The ranges are those of `BandCodec.normalize`, which makes the model representation from whole tiles in host memory.
"""

from collections.abc import Sequence

import torch

from darts_utils.bands import manager


def to_memory(values: torch.Tensor, band: str) -> torch.Tensor:
    """Return physical units of a band's model representation; what was clipped or missing stays at the range's ends."""
    low, high = manager[band].valid_range
    return values * (high - low) + low


def to_model(values: torch.Tensor, band: str) -> torch.Tensor:
    """Return the model representation of a band, 0 to 1, clipped; NaN becomes 0."""
    low, high = manager[
        band
    ].valid_range  # in place from the second step on: large tensors take longer to get than to fill
    return (values - low).div_(high - low).nan_to_num_(nan=0.0).clamp_(0, 1)


def picked(channels: Sequence[int]) -> slice | list[int]:
    """Return channels as a slice where they follow one another, which picks them without a copy."""
    first, behind = channels[0], channels[-1] + 1
    return slice(first, behind) if list(channels) == list(range(first, behind)) else list(channels)


def laid_out_like(values: torch.Tensor, template: torch.Tensor) -> torch.Tensor:
    """Return values contiguous in memory, channels last if the (n, band, y, x) template is."""
    last = torch.channels_last
    keep_last = template.ndim == 4 and not template.is_contiguous() and template.is_contiguous(memory_format=last)
    return values.contiguous(memory_format=last if keep_last else torch.contiguous_format)
