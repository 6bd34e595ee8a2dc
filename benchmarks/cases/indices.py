"""How fast are NDVI and what networks see of a band, next to NumPy over whole arrays?

`uv run python -m benchmarks indices`
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from benchmarks.lib import baselines
from benchmarks.lib.checks import assert_close
from benchmarks.lib.inputs import features
from benchmarks.lib.results import Result
from benchmarks.lib.roofline import seconds_for_bytes
from benchmarks.lib.runner import Case, Trial, measured, run_case
from darts_preprocessing import calculate_ndvi
from darts_utils.bands import manager

SIZE_PX = 4096


def results(case: Case) -> Iterator[Result]:
    """Yield a result for NDVI and one for a normalised float32 band."""
    tile = features(SIZE_PX if case.size is None else case.size, names=("red", "nir"))
    yield measured(case, _ndvi(tile))
    yield measured(case, _normalize(tile))


def _ndvi(tile: xr.Dataset) -> Trial:
    red, nir = tile["red"].values, tile["nir"].values
    return Trial(
        what="NDVI",
        px=red.size,
        ours=lambda: calculate_ndvi(tile).values,
        baseline_name=baselines.NUMPY,
        baseline=lambda: baselines.ndvi(red, nir),
        agree=_agree,
        roofline_s=seconds_for_bytes(red.size, read=8, written=4),
    )


def _normalize(tile: xr.Dataset) -> Trial:
    red, codec = tile["red"].values, manager["red"]
    return Trial(
        what="normalise a band",
        px=red.size,
        ours=lambda: codec.normalize(red),
        baseline_name=baselines.NUMPY,
        baseline=lambda: baselines.normalized(red, *codec.valid_range),
        agree=_agree,
        roofline_s=seconds_for_bytes(red.size, read=4, written=4),
    )


def _agree(ours: np.ndarray, plain: np.ndarray) -> None:
    assert_close(ours, plain, tolerance=1e-6)


if __name__ == "__main__":
    run_case("indices", __doc__)
