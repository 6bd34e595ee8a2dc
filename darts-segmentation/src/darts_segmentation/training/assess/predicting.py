"""Logits of patches, computed as a map computes them: the same numbers, the same device."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from darts_segmentation.network import Member, place
from darts_segmentation.precision import computing_in, usual_precision
from darts_segmentation.training.patches.batches import Batch


@dataclass(frozen=True)
class Predictor:
    """Gives logits of patches."""

    device: torch.device
    function: Callable[[torch.Tensor], torch.Tensor]
    """(n, band, y, x) float32 to (n, y, x) float32 logits, both on the device."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, y, x) float32 logits of (n, band, y, x) float32 patches, on the host."""
        return self.function(x.to(self.device, non_blocking=True)).cpu()


def predictor(network: nn.Module, device: torch.device, temperature: float = 1.0) -> Predictor:
    """Return what gives the logits of one network.

    Args:
        network: The network; it is placed on the device, in evaluation mode.
        device: Where it runs.
        temperature: What its logits are divided by.
    """
    network = place(network, device)

    def predict(x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(), computing_in(usual_precision(device), device):
            output = network(x.contiguous(memory_format=torch.channels_last))
        logits: torch.Tensor = output[0] if isinstance(output, tuple) else output
        return logits[:, 0].float() / temperature

    return Predictor(device, predict)


def ensemble_predictor(members: Sequence[Member], bands: Sequence[str], device: torch.device) -> Predictor:
    """Return what gives the logits of the mean probability of several networks, each with its own temperature.

    Args:
        members: The networks.
        bands: Bands of the patches, in order; each network finds its own among them.
        device: Where they run.
    """
    predictors = [predictor(member.model, device, member.temperature) for member in members]
    channels = [[list(bands).index(band) for band in member.bands] for member in members]

    def predict(x: torch.Tensor) -> torch.Tensor:
        each = [torch.sigmoid(one.function(x[:, chosen])) for one, chosen in zip(predictors, channels, strict=True)]
        return torch.logit(torch.stack(each).mean(dim=0))

    return Predictor(device, predict)


def predicted(predict: Predictor, batches: Iterable[Batch]) -> Iterator[tuple[Batch, torch.Tensor]]:
    """Yield each batch with its logits, (n, y, x) float32, on the host."""
    for batch in batches:
        yield batch, predict(batch["x"])
