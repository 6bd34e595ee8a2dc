"""What do faster numbers bring to networks on this processor, and what do they change?

`uv run python -m benchmarks precision`: networks that learnt for 200 steps, and that of the demo, over a tile they have
not seen; next to the same in float32, in patches of 1024. `dp` is the difference of a probability from float32 that
99.9 % of the pixels keep within, `flips` the share of the pixels that change sides of 0.5. What a processor computes
slower in than in float32 is left out. `--size` is the edge of the tile.
"""

from collections.abc import Callable, Iterator
from functools import partial
from importlib.resources import as_file
from importlib.resources import files as resources
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from benchmarks.lib.checks import assert_close
from benchmarks.lib.inputs import features
from benchmarks.lib.networks import ensemble_of, trained
from benchmarks.lib.results import Result
from benchmarks.lib.runner import Case, Trial, measured, run_case
from darts_segmentation.inference import predict
from darts_segmentation.patches import Patching
from darts_utils.parameters import FLOAT32, Precision

if TYPE_CHECKING:
    from darts_segmentation import EnsembleV1

ENCODERS = ("resnet34", "efficientnet-b4")
TILE_PX = 2560
_PATCHING = Patching(patch_size=1024, overlap=256)
BASELINE = "float32, patches of 1024"


def results(case: Case) -> Iterator[Result]:
    """Yield a result for each network and each precision."""
    from darts_segmentation.precision import faster_precisions

    tile = features(TILE_PX if case.size is None else case.size)
    for name, ensemble in _networks(small=case.size is not None):
        for precision in faster_precisions(ensemble.device):
            yield measured(case, _trial(name, ensemble, tile, precision))


def _networks(*, small: bool) -> "Iterator[tuple[str, EnsembleV1]]":
    """Yield networks by name; only the ready one for a small tile, as in tests."""
    from darts_segmentation import EnsembleV1
    from darts_utils.machine.memory import keep_freed

    keep_freed()
    with as_file(resources("darts.demo") / "models" / "sentinel2" / "demo_with_tcvis.safetensors") as model:
        yield "demo", EnsembleV1({"demo": model}, "cpu")
    for encoder in () if small else ENCODERS:
        yield encoder, ensemble_of([trained(encoder, "cpu", patch=128, batch=4)], "cpu")


def _trial(name: str, ensemble: "EnsembleV1", tile: xr.Dataset, precision: Precision) -> Trial:
    def in_numbers(used: Precision) -> Callable[[], Any]:
        return partial(predict, tile, ensemble.members, _PATCHING, ensemble.device, precision=used)

    ours, baseline = in_numbers(precision), in_numbers(FLOAT32)
    found, exact = ours().mean, baseline().mean
    apart = np.abs(found - exact)
    flips = float(((found > 0.5) != (exact > 0.5)).mean())
    return Trial(
        what=f"{name}, {precision}: dp {np.nanquantile(apart, 0.999):.2g}, flips {flips:.4%}",
        px=found.size,
        ours=ours,
        baseline_name=BASELINE,
        baseline=baseline,
        agree=lambda one, other: assert_close(one.mean, other.mean, tolerance=0.2, share=0.99),
    )


if __name__ == "__main__":
    run_case("precision", __doc__)
