"""How fast are the bands of the terrain, each alone and all together, next to xarray-spatial's functions one by one?

`uv run python -m benchmarks terrain`; with relative elevation only on a piece, where its convolution is slow.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import xarray as xr

from benchmarks.lib import baselines
from benchmarks.lib.checks import assert_close
from benchmarks.lib.inputs import elevation
from benchmarks.lib.results import NO_GOAL, Goal, Result
from benchmarks.lib.roofline import seconds_for_bytes
from benchmarks.lib.runner import Case, Trial, measured, run_case
from darts_preprocessing import derive_terrain, topographic_position_index
from darts_utils.grid import grid_convergence

BANDS = ("slope", "aspect", "hillshade", "curvature")
SIZE_PX = 4096
PIECE_PX = 2048
_RADIUS_PX, _RADIUS_M = 10, 100
_STEEP_DEG = 2.0


def results(case: Case) -> Iterator[Result]:
    """Yield a result for each band, for all of them, and for all with relative elevation."""
    size = SIZE_PX if case.size is None else case.size
    dem = elevation(size)
    for band in BANDS:
        yield measured(case, _trial(dem, (band,), NO_GOAL, f"{band} alone"))
    yield measured(case, _trial(dem, BANDS, Goal(ratio=4), "slope, aspect, hillshade, curvature together"))
    yield measured(case, _with_relative_elevation(dem))


def _trial(dem: xr.DataArray, bands: Sequence[str], goal: Goal, what: str) -> Trial:
    return Trial(
        what=what,
        px=dem.size,
        ours=lambda: derive_terrain(dem, bands, device="cpu"),
        baseline_name=baselines.XARRAY_SPATIAL,
        baseline=lambda: {band: baselines.terrain(dem, band) for band in bands},
        agree=partial(_agree, dem),
        roofline_s=seconds_for_bytes(dem.size, read=4, written=4 * len(bands)),
        goal=goal,
    )


def _with_relative_elevation(dem: xr.DataArray) -> Trial:
    part = dem[:PIECE_PX, :PIECE_PX]

    def ours() -> xr.Dataset:
        derived = derive_terrain(dem, BANDS, device="cpu")
        return derived.assign(relative_elevation=topographic_position_index(dem, _RADIUS_M, device="cpu"))

    def baseline() -> dict[str, xr.DataArray]:
        made = {band: baselines.terrain(part, band) for band in BANDS}
        return made | {"relative_elevation": part.copy(data=baselines.relative_elevation(part.values, _RADIUS_PX))}

    return Trial(
        what="the same with relative elevation",
        px=dem.size,
        ours=ours,
        baseline_name=baselines.XARRAY_SPATIAL,
        baseline=baseline,
        baseline_px=part.size,
        agree=lambda ours, plain: _agree(part, ours[{"y": slice(PIECE_PX), "x": slice(PIECE_PX)}], plain),
        roofline_s=seconds_for_bytes(dem.size, read=8, written=4 * (len(BANDS) + 1)),
        goal=Goal(ratio=4),
    )


def _agree(dem: xr.DataArray, ours: xr.Dataset, plain: dict[str, xr.DataArray]) -> None:
    """Compare bands, as far as xarray-spatial means the same by them."""
    for band, expected in plain.items():
        values = ours[band].values
        if band == "aspect":
            _agree_in_direction(dem, values, expected.values)
        elif band == "hillshade":  # by Horn's differences there, by plain ones here
            assert_close(values, expected.values, tolerance=0.1, share=0.99)
        else:
            assert_close(values, expected.values, tolerance=0.01)


def _agree_in_direction(dem: xr.DataArray, ours: np.ndarray, plain: np.ndarray) -> None:
    """Compare directions, from true north and from grid north, where it is not all but flat."""
    turn = (ours - (plain - grid_convergence(dem.odc.geobox)) + 180) % 360 - 180
    steep = baselines.terrain(dem, "slope").values > _STEEP_DEG
    assert_close(np.where(steep, turn, np.nan), np.zeros_like(turn), tolerance=0.4)


if __name__ == "__main__":
    run_case("terrain", __doc__)
