"""Elevation that was brought onto the tile's grid before leads to the same features as elevation on its own grid."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_preprocessing import DEM_BANDS, align_arcticdem, preprocess_v2


@pytest.fixture
def tile():
    grid = GeoBox.from_bbox((500_000, 7_700_000, 500_390, 7_700_270), "EPSG:32608", resolution=3)
    bands = {name: wrap_xr(np.full(grid.shape, 0.2, np.float32), grid) for name in ("red", "nir")}
    return xr.Dataset(bands, attrs={"azimuth": 170.0, "elevation": 33.0, "tile_id": "x"})


@pytest.fixture
def arcticdem(tile):
    """Rough ground at 2 m with a hole, askew to the tile."""
    footprint = tile.odc.geobox.pad(45).footprint("EPSG:3413").boundingbox
    grid = GeoBox.from_bbox(footprint.buffered(8), "EPSG:3413", resolution=2)
    rng = np.random.default_rng(3)
    dem = rng.normal(100, 5, grid.shape).astype(np.float32)
    dem[60:75, 70:100] = np.nan
    mask = np.isfinite(dem).astype(np.uint8)
    return xr.Dataset({"dem": wrap_xr(dem, grid), "arcticdem_data_mask": wrap_xr(mask, grid)})


@pytest.mark.parametrize("bands", [None, {"slope", "dem"}, {"relative_elevation"}, {"arcticdem_data_mask", "aspect"}])
@pytest.mark.parametrize("inner_radius", [0, 40])
def test_aligning_before_changes_nothing(tile, arcticdem, bands, inner_radius):
    plain = preprocess_v2(tile, arcticdem, None, 100, inner_radius, "cpu", bands=bands)
    aligned = align_arcticdem(arcticdem, tile.odc.geobox, 100, inner_radius, bands=bands)
    assert aligned.odc.geobox.crs == tile.odc.geobox.crs
    fast = preprocess_v2(tile, aligned, None, 100, inner_radius, "cpu", bands=bands)
    assert fast.identical(plain)
    assert {name for name in fast.data_vars if name in DEM_BANDS} == (DEM_BANDS if bands is None else bands)


def test_the_grid_reaches_as_far_as_the_features_need(tile, arcticdem):
    grid = tile.odc.geobox
    assert align_arcticdem(arcticdem, grid).odc.geobox == grid.pad(34)
    assert align_arcticdem(arcticdem, grid, bands={"slope"}).odc.geobox == grid.pad(2)
    assert list(align_arcticdem(arcticdem, grid, bands={"slope"}).data_vars) == ["dem"]


def test_runs_make_terrain_on_the_host_whatever_their_device(tile, arcticdem):
    from darts.pipelines.planet import PlanetPipeline
    from darts.pipelines.stages import feature_stages
    from darts.pipelines.tiles import Loaded, TileRef

    bands = frozenset({"slope", "relative_elevation"})
    run = PlanetPipeline(device=99)  # a GPU that no machine has
    *_, preprocess = feature_stages(run, run.with_paths().source(), bands)
    work = Loaded(ref=TileRef(tile_id="x", output_folder=Path("x")), tile=tile, auxiliary={"arcticdem": arcticdem})
    made = preprocess.run(work).tile
    plain = preprocess_v2(tile, arcticdem, device="cpu", bands=bands)
    np.testing.assert_array_equal(made["slope"], plain["slope"])
    np.testing.assert_array_equal(made["relative_elevation"], plain["relative_elevation"])
