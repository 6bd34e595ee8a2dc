"""How fast is each product of a tile written, next to plain files of the same content?

`uv run python -m benchmarks writers`; ours are cloud-optimised with overviews, and take their place in one step.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import rasterio
import xarray as xr

from benchmarks.cases.polygons import assert_same_rows
from benchmarks.lib import baselines
from benchmarks.lib.checks import assert_close, assert_same
from benchmarks.lib.inputs import prepared_tile
from benchmarks.lib.results import NO_GOAL, Goal, Result
from benchmarks.lib.runner import Case, Trial, measured, run_case
from benchmarks.lib.scene import FULL_PX
from darts_export import export_tile


@dataclass(frozen=True, kw_only=True)
class _Product:
    """How a product is written plainly, and how both are compared."""

    band: str
    baseline_name: str
    baseline: Callable[[xr.Dataset, Path], None]
    agree: Callable[[Path, Path], None]
    """Compares the folders with what ours and the baseline wrote."""
    goal: Goal = NO_GOAL


def results(case: Case) -> Iterator[Result]:
    """Yield a result for each product of the default exports, and for the reflectance."""
    tile = prepared_tile(FULL_PX if case.size is None else case.size)
    with tempfile.TemporaryDirectory() as folder:
        for product in _PRODUCTS:
            yield measured(case, _trial(tile, product, Path(folder)))


def _trial(tile: xr.Dataset, product: _Product, folder: Path) -> Trial:
    ours, plain = folder / f"{product.band}-ours", folder / f"{product.band}-plain"
    plain.mkdir()
    return Trial(
        what=f"export of {product.band}",
        px=tile["extent"].size,
        ours=lambda: export_tile(tile, ours, [product.band], overwrite=True),
        baseline_name=product.baseline_name,
        baseline=lambda: product.baseline(tile, plain),
        agree=lambda *_: product.agree(ours, plain),
        goal=product.goal,
    )


def _write_probabilities(tile: xr.Dataset, folder: Path) -> None:
    baselines.write_raster(tile["probabilities"].values, tile.odc.geobox, folder / "probabilities.tif")


def _write_binarized(tile: xr.Dataset, folder: Path) -> None:
    baselines.write_raster(tile["binarized_segmentation"].values, tile.odc.geobox, folder / "binarized.tif")


def _write_red(tile: xr.Dataset, folder: Path) -> None:
    baselines.write_raster(tile["red"].values, tile.odc.geobox, folder / "red.tif")


def _write_segments(tile: xr.Dataset, folder: Path) -> None:
    objects, probs = tile["binarized_segmentation"].values, tile["probabilities"].values
    baselines.write_table(baselines.object_rows(objects, probs, tile.odc.geobox), folder / "prediction_segments")


def _write_extent(tile: xr.Dataset, folder: Path) -> None:
    baselines.write_table(baselines.outlines(tile["extent"].values, tile.odc.geobox), folder / "prediction_extent")


def _write_thumbnail(tile: xr.Dataset, folder: Path) -> None:
    baselines.write_thumbnail(tile, folder / "thumbnail.jpg")


def _same_probabilities(ours: Path, plain: Path) -> None:
    percent = _first_band(ours / "probabilities.tif").astype(np.float32)
    percent[percent == 255] = np.nan
    assert_close(percent / 100, _first_band(plain / "probabilities.tif"), tolerance=0.0051)


def _same_binarized(ours: Path, plain: Path) -> None:
    assert_same(_first_band(ours / "binarized.tif"), _first_band(plain / "binarized.tif"))


def _same_red(ours: Path, plain: Path) -> None:
    numbers = _first_band(ours / "red.tif").astype(np.float32)
    numbers[numbers == 0] = np.nan
    assert_close(numbers * 1e-4 - 0.1, _first_band(plain / "red.tif"), tolerance=6e-5)


def _same_segments(ours: Path, plain: Path) -> None:
    for read, suffix in ((gpd.read_file, "gpkg"), (gpd.read_parquet, "parquet")):
        assert_same_rows(*(read(folder / f"prediction_segments.{suffix}") for folder in (ours, plain)))


def _same_extent(ours: Path, plain: Path) -> None:
    for read, suffix in ((gpd.read_file, "gpkg"), (gpd.read_parquet, "parquet")):
        ours_read, plain_read = (read(folder / f"prediction_extent.{suffix}") for folder in (ours, plain))
        assert len(ours_read) == len(plain_read) > 0
        np.testing.assert_allclose(np.sort(ours_read.area), np.sort(plain_read.area))


def _both_show_something(ours: Path, plain: Path) -> None:
    """Check that both are pictures of some size with some contrast; ours has a caption and outlines besides."""
    widths = []
    for folder in (ours, plain):
        picture = cv2.imread(str(folder / "thumbnail.jpg"))
        assert picture is not None, f"{folder} has no picture"
        assert picture.std() > 5, f"the picture in {folder} shows nothing"
        widths.append(picture.shape[1])
    assert widths[0] >= widths[1] >= 1, f"{widths} pixels wide"


def _first_band(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        values: np.ndarray = raster.read(1)
        return values


_PRODUCTS = (
    _Product(
        band="probabilities", baseline_name=baselines.GTIFF, baseline=_write_probabilities, agree=_same_probabilities
    ),
    _Product(band="binarized", baseline_name=baselines.GTIFF, baseline=_write_binarized, agree=_same_binarized),
    _Product(band="red", baseline_name=baselines.GTIFF, baseline=_write_red, agree=_same_red),
    _Product(
        band="polygonized",
        baseline_name=f"{baselines.REGIONPROPS}, {baselines.GEOPANDAS}",
        baseline=_write_segments,
        agree=_same_segments,
    ),
    _Product(
        band="extent",
        baseline_name=f"shapes, {baselines.GEOPANDAS}",
        baseline=_write_extent,
        agree=_same_extent,
        goal=Goal(seconds=1),
    ),
    _Product(
        band="thumbnail",
        baseline_name=baselines.THUMBNAIL,
        baseline=_write_thumbnail,
        agree=_both_show_something,
        goal=Goal(seconds=1),
    ),
)

if __name__ == "__main__":
    run_case("writers", __doc__)
