"""How fast is the topographic position index next to a convolution with the disk?

`uv run python -m benchmarks tpi`: radius 100 m at pixels of 10 m and of 3 m. The convolution is measured on a piece.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import xarray as xr

from benchmarks.lib import baselines
from benchmarks.lib.checks import assert_close
from benchmarks.lib.inputs import elevation
from benchmarks.lib.results import Goal, Result
from benchmarks.lib.roofline import seconds_for_bytes
from benchmarks.lib.runner import Case, Trial, measured, run_case
from benchmarks.lib.scene import FULL_PX
from darts_preprocessing import topographic_position_index

RADIUS_M = 100
_KINDS = ((10, 2048, 20), (3, 1024, 100))
"""Metres a pixel, edge of the baseline's piece, goal of the ratio."""


def results(case: Case) -> Iterator[Result]:
    """Yield a result for each size of pixels."""
    size = FULL_PX if case.size is None else case.size
    for pixel_m, piece, times in _KINDS:
        dem, radius = elevation(size, pixel_m), -(-RADIUS_M // pixel_m)
        part = dem.values[:piece, :piece]
        trial = Trial(
            what=f"TPI, {RADIUS_M} m at {pixel_m} m a pixel",
            px=dem.size,
            ours=partial(topographic_position_index, dem, RADIUS_M, device="cpu"),
            baseline_name=baselines.CONVOLUTION,
            baseline=partial(baselines.relative_elevation, part, radius),
            baseline_px=part.size,
            agree=_agree,
            roofline_s=seconds_for_bytes(dem.size, read=4, written=4),
            goal=Goal(ratio=times),
        )
        yield measured(case, trial)


def _agree(ours: xr.DataArray, plain: np.ndarray) -> None:
    assert_close(ours.values[: plain.shape[0], : plain.shape[1]], plain, tolerance=0.01)


if __name__ == "__main__":
    run_case("tpi", __doc__)
