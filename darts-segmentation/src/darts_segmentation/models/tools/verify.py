"""Whether a model file is whole: its hash, its bands, its numbers, and what its network makes of random patches."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from darts_segmentation.models.card import ModelCard
from darts_segmentation.models.checkpoint import LoadedModel, load
from darts_segmentation.models.tools.statement import is_known
from darts_segmentation.models.wording import brief
from darts_utils.errors import CheckpointError, DartsError, one_line

_SEED = 20
_EDGE_PX = 64
_N_PATCHES = 3
_TOLERANCE = 1e-4
"""Of the range of the logits: sums of other lengths round differently, by far less."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of the check of one file."""

    file: Path
    fault: str | None
    """Why it cannot be used, None if nothing was found."""
    model_id: str | None = None
    n_bands: int = 0
    unstated: tuple[str, ...] = ()
    """Bands whose range the file does not state."""
    is_recorded: bool = False
    """Whether the file itself says the id that was found."""


def verify(file: Path) -> Verdict:
    """Return whether a model file is whole and its network works; a file that is not does not raise.

    Checked are the id (recomputed of the weights and the card), the bands and their ranges, that all weights are
    finite, and that logits of random patches are finite and do not depend on the size of the batch.
    """
    try:
        model = load(file)
        check_card(file, model.card)
        _check_forward(file, model)
    except (DartsError, OSError) as error:
        return Verdict(file=file, fault=one_line(error))
    return Verdict(
        file=file,
        fault=None,
        model_id=model.model_id,
        n_bands=len(model.bands),
        unstated=tuple(band.name for band in model.card.bands if not is_known(band)),
        is_recorded=file.suffix.lower() == ".safetensors",
    )


def check_card(file: Path, card: ModelCard) -> None:
    """Do nothing if what a card says can be: a map is cut at its thresholds, and compared with its statistics.

    Raises:
        CheckpointError: If a value cannot be; it names the first.
    """
    thresholds = [(card.thresholds or {}).get(name) for name in ("low", "medium", "high")]
    given = [value for value in thresholds if value is not None]
    if not all(_is_number(value) and 0 <= value <= 1 for value in given) or given != sorted(given):
        raise _impossible(file, "thresholds", thresholds, "numbers from 0 to 1, low to high,", "Calibrate it anew.")
    for name in ("pixel_size_m", "patch_size"):
        said = (card.input or {}).get(name)
        if not all(
            one is None or (_is_number(one) and one > 0) for one in (said if isinstance(said, list) else [said])
        ):
            raise _impossible(file, name, said, "numbers above 0", "Write it anew with `darts models pack`.")
    for band, values in (card.input_statistics or {}).items():
        if not isinstance(values, Mapping) or not all(map(_is_number, values.values())):
            raise _impossible(file, f"input_statistics of {band}", values, "a mean and a std", "Train it anew.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _impossible(file: Path, name: str, value: object, needed: str, advice: str) -> CheckpointError:
    return CheckpointError(f"{file} says {name} {brief(value)}, but {needed} are needed. {advice}")


def random_patches(n_patches: int, n_bands: int, height: int, width: int) -> torch.Tensor:
    """Return (n, band, y, x) float32 from 0 to 1, the same at each call."""
    generator = torch.Generator().manual_seed(_SEED)
    return torch.rand(n_patches, n_bands, height, width, generator=generator)


def edge_of(network: nn.Module, at_least: int = _EDGE_PX) -> int:
    """Return an edge in pixels that a network accepts: a multiple of its output stride, and of no fewer than two."""
    stride = stride_of(network)
    return max(2, -(-at_least // stride)) * stride


def stride_of(network: nn.Module) -> int:
    """Return the number of pixels of which edges of patches must be multiples."""
    return max(1, int(getattr(getattr(network, "encoder", None), "output_stride", 32)))


@torch.inference_mode()
def logits_of(network: nn.Module, patches: torch.Tensor) -> torch.Tensor:
    """Return (n, 1, y, x) float32; of a network with an auxiliary head the first of its two outputs."""
    output = network(patches)
    logits: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return logits


def largest_difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the largest difference as a share of the range of the expected logits, NaN if one is not finite.

    The range counts as 1 at least, so that a network of constant output is not held against zero.
    """
    spread = max(float(expected.max() - expected.min()), 1.0)
    return float((found - expected).abs().max()) / spread


def _check_forward(file: Path, model: LoadedModel) -> None:
    patches, together = _that_work(file, model)
    if not torch.isfinite(together).all():
        raise CheckpointError(f"{file} gives logits that are not finite for random patches. Use another epoch of it.")
    alone = torch.cat([logits_of(model.network, patch[None]) for patch in patches])
    difference = largest_difference(alone, together)
    if not difference <= _TOLERANCE:
        raise CheckpointError(
            f"{file} gives other logits for a patch in a batch than for the patch alone (by {difference:.2g} of their"
            " range). Its network depends on the batch and cannot be used."
        )


def _that_work(file: Path, model: LoadedModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Return patches of a size that the network works on, the one it was trained with if no other, and their logits."""
    trained_px = (model.card.input or {}).get("patch_size")
    edges = [edge_of(model.network), *([trained_px] if isinstance(trained_px, int) else [])]
    for edge in edges:
        patches = random_patches(_N_PATCHES, len(model.bands), edge, edge)
        with suppress(Exception):  # networks raise all kinds for a size that they were not made for
            return patches, logits_of(model.network, patches)
    raise CheckpointError(
        f"{file} has a network that cannot work on patches of {' or '.join(map(str, edges))} pixels. State the size"
        " that it was trained with by `darts models pack --trained-patch-size`."
    )
