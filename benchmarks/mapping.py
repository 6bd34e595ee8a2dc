"""Whole images through all stages with a network that does nothing: seconds and peak memory, stage by stage."""

from collections.abc import Callable
from typing import Any

from benchmarks.measure import sampled

SLUMPS_ABOVE = 0.4
"""Normalised reflectance that the network takes for a slump: bright specks, about as many as a busy scene has."""


def ensemble_without_network(n_models: int = 1) -> Any:
    """Return an ensemble whose members see all bands and look at the first one only."""
    import torch

    from darts.demo.training_data import BANDS
    from darts_segmentation import EnsembleV1
    from darts_segmentation.network import Member

    class FirstBand(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 100 * (x[:, :1] - SLUMPS_ABOVE)

    ensemble = EnsembleV1.__new__(EnsembleV1)
    ensemble.device = torch.device("cpu")
    ensemble.members = tuple(
        Member(name=f"first-band-{index}", model=FirstBand(), bands=BANDS) for index in range(n_models)
    )
    return ensemble


def map_and_print(make_pipeline: Callable[[type], Any], pipeline: type, limit_gib: float) -> bool:
    """Run a pipeline without network and print what each stage took; return whether it kept within the memory."""

    class WithoutNetwork(pipeline):  # type: ignore[misc, valid-type]
        def _load_models(self) -> Any:
            return ensemble_without_network()

    with sampled() as samples:
        report = make_pipeline(WithoutNetwork).run()
    (outcome,) = report.outcomes
    if outcome.error:
        print(outcome.error)
    for stage in outcome.times:
        peak = max((gib for when, gib in samples if stage.start <= when <= stage.end), default=0.0)
        print(f"{stage.stage:12} {stage.seconds:6.1f} s  {peak:5.2f} GiB")
    highest = max(gib for _, gib in samples)
    print(f"all stages   {outcome.seconds:6.1f} s  {highest:5.2f} GiB, {highest / limit_gib:.2f} of the limit")
    return highest <= limit_gib and outcome.error is None
