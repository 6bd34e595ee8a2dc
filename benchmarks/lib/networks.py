"""Networks to measure with: one that does next to nothing, and untrained ones of a sensible make."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import as_file
from importlib.resources import files as resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from darts_utils.bands import TRAINING_BANDS

if TYPE_CHECKING:
    import torch

    from darts_segmentation import EnsembleV1

type Network = Literal["demo", "resnet34"]

SLUMPS_ABOVE = 0.4
"""Normalised reflectance that the first network takes for a slump: bright specks, about as many as a busy scene has."""


def ensemble_without_network(n_models: int = 1) -> "EnsembleV1":
    """Return an ensemble whose members see all bands and look at the first one only."""
    import torch

    from darts_segmentation import EnsembleV1
    from darts_segmentation.network import Member
    from darts_utils.machine.memory import keep_freed

    keep_freed()  # as ensembles on the CPU do when they are made
    ensemble = EnsembleV1.__new__(EnsembleV1)
    ensemble.device = torch.device("cpu")
    ensemble.card = None
    ensemble.members = tuple(
        Member(name=f"first-band-{index}", model=first_band(), bands=TRAINING_BANDS) for index in range(n_models)
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
