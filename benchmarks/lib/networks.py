"""Networks to measure with: one that does next to nothing, untrained ones of a sensible make, and some that learnt."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import as_file
from importlib.resources import files as resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from benchmarks.lib import baselines
from benchmarks.lib.inputs import features
from darts_utils.bands import TRAINING_BANDS

if TYPE_CHECKING:
    import torch

    from darts_segmentation import EnsembleV1

type Network = Literal["demo", "resnet34"]

SLUMPS_ABOVE = 0.4
"""Normalised reflectance that the first network takes for a slump: bright specks, about as many as a busy scene has."""


def ensemble_without_network(n_models: int = 1) -> "EnsembleV1":
    """Return an ensemble whose members see all bands and look at the first one only."""
    from darts_utils.machine.memory import keep_freed

    keep_freed()  # as runs on the CPU do when they load models
    return ensemble_of([first_band() for _ in range(n_models)], "cpu")


def ensemble_of(models: Sequence[Any], device: str) -> "EnsembleV1":
    """Return an ensemble whose members see all bands, in the numbers that are usual on a device."""
    import torch

    from darts_segmentation import EnsembleV1
    from darts_segmentation.network import Member, place
    from darts_segmentation.precision import usual_precision

    ensemble = EnsembleV1.__new__(EnsembleV1)
    ensemble.device = torch.device(device)
    ensemble.precision = usual_precision(ensemble.device)
    ensemble.card = None
    ensemble.members = tuple(
        Member(name=f"network-{index}", model=place(model, ensemble.device), bands=TRAINING_BANDS)
        for index, model in enumerate(models)
    )
    return ensemble


def first_band() -> Any:
    """Return a network whose logits rise with the first band."""
    import torch

    class FirstBand(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 100 * (x[:, :1] - SLUMPS_ABOVE)

    return FirstBand()


def untrained_ensemble(folder: Path, n_models: int, network: Network = "demo") -> "EnsembleV1":
    """Return networks with all bands and random weights, from checkpoints in a folder.

    Args:
        folder: Where checkpoints are written.
        n_models: How many networks.
        network: The small one that `darts demo` maps with, or a U-Net on a ResNet-34, as maps are mostly made with.
    """
    import segmentation_models_pytorch as smp
    import torch

    from darts_segmentation import EnsembleV1
    from darts_segmentation.models.card import read_card
    from darts_segmentation.models.checkpoint import save_checkpoint

    config: dict[str, Any] = {"arch": "unet", "encoder_name": network, "in_channels": len(TRAINING_BANDS), "classes": 1}
    if network == "demo":
        with as_file(resources("darts.demo") / "models" / "sentinel2" / "demo_with_tcvis.safetensors") as model:
            config = dict(read_card(model).architecture)
    config["encoder_weights"] = None
    files = {}
    for index in range(n_models):
        torch.manual_seed(index)
        files[f"untrained-{index}"] = folder / f"untrained-{index}.pt"
        weights = smp.create_model(**config).state_dict()
        save_checkpoint(files[f"untrained-{index}"], config, TRAINING_BANDS, weights)
    return EnsembleV1(files, device="cpu")


def trained(encoder: str, device: str, steps: int = 200, patch: int = 256, batch: int = 8) -> Any:
    """Return a U-Net that has learnt where the mean of some bands is high, in evaluation mode.

    Args:
        encoder: Its encoder.
        device: Where it learns, and is left.
        steps: How many steps it learns.
        patch: Edge of the patches that it learns from.
        batch: Patches a step.
    """
    import segmentation_models_pytorch as smp
    import torch

    torch.manual_seed(0)
    model = smp.Unet(encoder, encoder_weights=None, in_channels=len(TRAINING_BANDS), classes=1).to(device).train()
    bands = torch.from_numpy(baselines.model_input(features(1024), TRAINING_BANDS)).to(device)
    level = torch.nn.functional.avg_pool2d(bands[:3].mean(0, keepdim=True)[None], 15, 1, 7)[0]
    target = (level > level.flatten()[::64].quantile(0.9)).float()
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3)
    places = np.random.default_rng(0)
    for _ in range(steps):
        corners = [(slice(y, y + patch), slice(x, x + patch)) for y, x in places.integers(0, 1024 - patch, (batch, 2))]
        seen, wanted = (
            torch.stack([layer[:, rows, columns] for rows, columns in corners]) for layer in (bands, target)
        )
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(seen), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


@contextmanager
def recorded(model: "torch.nn.Module") -> Iterator[list[Any]]:
    """Give a list that fills with what a network is called with, and with what it gives, as pairs."""
    calls: list[Any] = []

    def record(_module: Any, inputs: Sequence["torch.Tensor"], output: "torch.Tensor") -> None:
        calls.append((inputs[0].clone(), output.clone()))

    hook = model.register_forward_hook(record)
    try:
        yield calls
    finally:
        hook.remove()
