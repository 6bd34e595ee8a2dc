"""How much do patches cost besides the networks: cutting, normalising, feeding, blending?

`uv run python -m benchmarks patches`: next to `model.forward` alone on the very same patches, which lie in memory, and
next to a loop that holds all patches. `--size` is the edge of the largest patches.
"""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from benchmarks.lib import baselines
from benchmarks.lib.checks import assert_close
from benchmarks.lib.inputs import features
from benchmarks.lib.networks import Network, ensemble_without_network, recorded, untrained_ensemble
from benchmarks.lib.results import Goal, Result
from benchmarks.lib.roofline import forward, seconds_for_bytes, seconds_for_forward
from benchmarks.lib.runner import Case, Trial, measured, run_case
from darts_utils.bands import TRAINING_BANDS

if TYPE_CHECKING:
    from darts_segmentation import EnsembleV1

LARGEST_PX = 1024
_KINDS: tuple[tuple[int, int, int, Network], ...] = (
    (4, 4, 1, "demo"),
    (4, 4, 2, "demo"),
    (1, 2, 1, "demo"),
    (2, 3, 1, "resnet34"),
    (1, 2, 1, "resnet34"),
)
"""Patches of what part of the largest one's edge, how many along an edge of the tile, how many networks, which."""
_OVERLAP = 4
"""Neighbours share this part of a patch."""
_SPARE_PX = 32
_LOOP_PATCHES = 4
_BATCH = 8
FORWARD = "model.forward alone"


def results(case: Case) -> Iterator[Result]:
    """Yield a result for all that is not the network, and some for sizes of patches with one network or two."""
    largest = LARGEST_PX if case.size is None else case.size
    yield measured(case, _next_to_loop(largest // 2))
    with tempfile.TemporaryDirectory() as folder:
        for part, along, n_models, network in _KINDS:
            ensemble = untrained_ensemble(Path(folder), n_models, network)
            yield _next_to_forward(case, largest // part, along, ensemble, network)


def _tile(patch: int, along: int) -> xr.Dataset:
    """Return a tile of so many patches along an edge; they begin at places of the map, so some pixels are to spare."""
    return features(max(along * patch - (along - 1) * (patch // _OVERLAP) - _SPARE_PX, patch))


def _next_to_forward(case: Case, patch: int, along: int, ensemble: "EnsembleV1", network: Network) -> Result:
    tile, models = _tile(patch, along), [member.model for member in ensemble.members]
    ours = partial(ensemble.segment_tile, tile, patch, patch // _OVERLAP, batch_size=_BATCH)
    with recorded(models[0]) as calls:
        ours()
    batches = [batch for batch, _ in calls]
    trial = Trial(
        what=f"{sum(map(len, batches))} patches of {patch}, {len(models)} x {network}",
        px=tile["red"].size,
        ours=ours,
        baseline_name=FORWARD,
        baseline=partial(forward, models, batches),
        agree=partial(_agree_with_calls, calls, len(models)),
        roofline_s=seconds_for_forward(models, batches),
        goal=Goal(ratio=0.95),
    )
    return measured(case, trial)


def _agree_with_calls(calls: list[Any], n_models: int, ours: xr.Dataset, plain: list[Any]) -> None:
    """Check that the networks alone give what they gave on the way, and that ours lies within what they gave."""
    for (_, then), now in zip(calls, plain[::n_models], strict=True):
        assert_close(now.numpy(), then.numpy(), tolerance=1e-4)
    probs = ours["probabilities"].values
    assert np.isfinite(probs).all()
    expected = np.concatenate([1 / (1 + np.exp(-logits.numpy())) for logits in plain])
    assert expected.min() - 1e-4 <= probs.min() < probs.max() <= expected.max() + 1e-4


def _next_to_loop(patch: int) -> Trial:
    tile, ensemble = _tile(patch, _LOOP_PATCHES), ensemble_without_network()
    model = ensemble.members[0].model
    overlap = patch // _OVERLAP

    def baseline() -> np.ndarray:
        return baselines.segmented(baselines.model_input(tile, TRAINING_BANDS), [model], patch, overlap, _BATCH)

    return Trial(
        what=f"patches of {patch} without a network",
        px=tile["red"].size,
        ours=lambda: (
            ensemble.segment_tile(tile, patch_size=patch, overlap=overlap, batch_size=_BATCH)["probabilities"].values
        ),
        baseline_name=baselines.PATCH_LOOP,
        baseline=baseline,
        agree=partial(assert_close, tolerance=1e-4),
        roofline_s=seconds_for_bytes(tile["red"].size, read=10 * 4 + 3, written=4),
    )


if __name__ == "__main__":
    run_case("patches", __doc__)
