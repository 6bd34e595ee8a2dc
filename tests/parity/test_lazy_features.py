"""Bands that are made where they are read are those that are made at once."""

import pickle

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts.demo.world.make import make_world
from darts.demo.world.planet import write_planet_world
from darts.demo.world.write import write_world
from darts_acquisition import load_cdse_s2_sr_scene, load_planet_tile
from darts_preprocessing import DEM_BANDS, preprocess_v2
from darts_preprocessing.terrain.dem_features import DemFeatures

WINDOWS = [(slice(0, 40), slice(0, 90)), (slice(33, 97), slice(50, 114)), (slice(129, 130), slice(0, 1))]
TOLERANCE = {"relative_elevation": 5e-5, "aspect": 2e-3, "slope": 1e-4, "hillshade": 1e-6, "curvature": 1e-3}
"""Heights are taken relative to the mean of a window, so the last bits of float32 depend on it."""


@pytest.fixture(scope="module")
def inputs():
    """Rough ground at 5 m with a hole, two optical bands on a grid askew to it."""
    grid = GeoBox.from_bbox((500_000, 7_700_000, 500_570, 7_700_650), "EPSG:32608", resolution=5)
    rng = np.random.default_rng(4)
    bands = {name: wrap_xr(rng.uniform(-0.1, 0.6, grid.shape).astype(np.float32), grid) for name in ("red", "nir")}
    around = GeoBox.from_bbox(grid.pad(30).footprint("EPSG:3413").boundingbox, "EPSG:3413", resolution=5)
    dem = (800 + np.cumsum(rng.normal(0, 1, around.shape), axis=1)).astype(np.float32)
    dem[90:110, 100:120] = np.nan
    tile = xr.Dataset(bands, attrs={"azimuth": 170.0, "elevation": 33.0, "tile_id": "x"})
    return tile, xr.Dataset({"dem": wrap_xr(dem, around)})


@pytest.fixture(scope="module")
def eager(inputs):
    return preprocess_v2(*inputs, device="cpu")


@pytest.fixture
def lazy(inputs):
    return preprocess_v2(*inputs, device="cpu", lazy=True)


def test_the_whole_is_the_same(eager, lazy):
    assert {"ndvi", *DEM_BANDS} <= set(lazy.data_vars)
    xr.testing.assert_identical(lazy.load(), eager)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_windows_are_the_same(eager, lazy, window):
    for name in ("ndvi", *sorted(DEM_BANDS)):
        part = lazy[name].variable[window].values
        np.testing.assert_allclose(part, eager[name].values[window], rtol=0, atol=TOLERANCE.get(name, 0), err_msg=name)


def test_reading_a_patch_band_by_band_makes_its_bands_once(lazy, monkeypatch):
    made = []
    make = DemFeatures._make
    monkeypatch.setattr(DemFeatures, "_make", lambda self, *args: made.append(args) or make(self, *args))
    for window in WINDOWS:
        for name in sorted(DEM_BANDS):
            lazy[name].variable[window].load()
    assert len(made) == len(WINDOWS)


def test_it_can_be_sent_to_another_process(eager, lazy):
    lazy["slope"][:4].load()
    again = pickle.loads(pickle.dumps(lazy))
    xr.testing.assert_identical(again.load(), eager)


def test_reflectance_of_sentinel2(tmp_path):
    written = write_world(make_world(5, 128), tmp_path)
    at_once, later = (
        load_cdse_s2_sr_scene(written.scene_id, store=written.store, offline=True, lazy=lazy) for lazy in (False, True)
    )
    assert np.isnan(at_once.red.values).any()
    xr.testing.assert_identical(later.load(), at_once)


def test_reflectance_of_planet(tmp_path):
    written = write_planet_world(make_world(5, 128), tmp_path)
    at_once, later = (load_planet_tile(written.orthotile, lazy=lazy) for lazy in (False, True))
    assert at_once.red.dtype == np.float32
    xr.testing.assert_identical(later.load(), at_once)
