"""How fast are elevation and trends brought onto the grid of a scene, next to GDAL's cubic warp on one thread?

`uv run python -m benchmarks warps`; GDAL is also asked without being told of missing values, which is quicker and
wrong around holes.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from benchmarks.lib import baselines
from benchmarks.lib.checks import assert_close
from benchmarks.lib.results import NO_GOAL, Goal, Result
from benchmarks.lib.roofline import seconds_for_bytes
from benchmarks.lib.runner import Case, Trial, measured, run_case
from benchmarks.lib.scene import made_scene, scene_grid
from darts_acquisition import load_arcticdem, load_tcvis
from darts_preprocessing import TCVIS_BANDS, align_dem, align_tcvis

SIZE_PX = 4096
DEM_MARGIN_PX = 16


def results(case: Case) -> Iterator[Result]:
    """Yield a result for the elevation with either baseline, and one for the trends."""
    size = SIZE_PX if case.size is None else case.size
    grid, aux = scene_grid(size), made_scene(case.folder, size) / "aux"
    yield measured(case, _elevation(grid, aux, np.nan, baselines.GDAL, Goal(ratio=2.5)))
    yield measured(case, _elevation(grid, aux, None, f"{baselines.GDAL}, not told of holes", NO_GOAL))
    yield measured(case, _trends(grid, aux))


def _elevation(grid: GeoBox, aux: Path, nodata: float | None, baseline: str, goal: Goal) -> Trial:
    source = load_arcticdem(grid, aux, 10, buffer=DEM_MARGIN_PX, offline=True)
    dem = source["dem"].values
    return Trial(
        what="warp of the elevation",
        px=grid.shape[0] * grid.shape[1],
        ours=lambda: align_dem(source, grid),
        baseline_name=baseline,
        baseline=lambda: baselines.warped(dem[None], source.odc.geobox, grid, nodata)[0],
        agree=_agree_in_height,
        roofline_s=seconds_for_bytes(dem.size, read=4, written=4),
        goal=goal,
    )


def _agree_in_height(ours: np.ndarray, plain: np.ndarray) -> None:
    """Compare heights; GDAL left alone smooths them a little, because the grids are turned to each other."""
    assert_close(ours, plain, tolerance=1.0, share=0.99)
    assert_close(ours, plain, tolerance=0.1, share=0.8)


def _trends(grid: GeoBox, aux: Path) -> Trial:
    source = load_tcvis(grid, aux, offline=True)
    stack = np.stack([source[name].values for name in TCVIS_BANDS])
    return Trial(
        what="warp of the trends",
        px=grid.shape[0] * grid.shape[1],
        ours=lambda: align_tcvis(source, grid, TCVIS_BANDS),
        baseline_name=baselines.GDAL,
        baseline=lambda: baselines.warped(stack, _grid(source), grid, 0),
        agree=_agree_in_trend,
        roofline_s=seconds_for_bytes(grid.shape[0] * grid.shape[1], read=len(stack) / 9, written=len(stack)),
        goal=Goal(ratio=2.5),
    )


def _grid(source: xr.Dataset) -> GeoBox:
    grid: GeoBox = source.odc.geobox
    return grid


def _agree_in_trend(ours: dict[str, np.ndarray], plain: np.ndarray) -> None:
    for name, expected in zip(TCVIS_BANDS, plain, strict=True):
        assert_close(ours[name].astype(np.float32), expected.astype(np.float32), tolerance=2, share=0.99)


if __name__ == "__main__":
    run_case("warps", __doc__)
