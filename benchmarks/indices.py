"""How fast are NDVI and what networks see of a band, next to NumPy over whole arrays?

`uv run python -m benchmarks.indices`
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from benchmarks import baselines
from benchmarks.answers import Answer
from benchmarks.asking import Asked, Trial, answered, ask
from benchmarks.checks import assert_close
from benchmarks.floors import seconds_for_bytes
from benchmarks.inputs import features
from darts_preprocessing import calculate_ndvi
from darts_utils.bands import manager

SIZE_PX = 4096


def answers(asked: Asked) -> Iterator[Answer]:
    """Yield an answer for NDVI and one for a normalised float32 band."""
    tile = features(SIZE_PX if asked.size is None else asked.size, names=("red", "nir"))
    yield answered(asked, _ndvi(tile))
    yield answered(asked, _normalize(tile))


def _ndvi(tile: xr.Dataset) -> Trial:
    red, nir = tile["red"].values, tile["nir"].values
    return Trial(
        what="NDVI",
        px=red.size,
        ours=lambda: calculate_ndvi(tile).values,
        baseline=baselines.NUMPY,
        plainly=lambda: baselines.ndvi(red, nir),
        agree=_agree,
        floor_s=seconds_for_bytes(red.size, read=8, written=4),
    )


def _normalize(tile: xr.Dataset) -> Trial:
    red, codec = tile["red"].values, manager["red"]
    return Trial(
        what="normalise a band",
        px=red.size,
        ours=lambda: codec.normalize(red),
        baseline=baselines.NUMPY,
        plainly=lambda: baselines.normalized(red, *codec.valid_range),
        agree=_agree,
        floor_s=seconds_for_bytes(red.size, read=4, written=4),
    )


def _agree(ours: np.ndarray, plain: np.ndarray) -> None:
    assert_close(ours, plain, tolerance=1e-6)


if __name__ == "__main__":
    ask("indices", __doc__)
