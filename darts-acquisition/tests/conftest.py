"""Small raw stores and datacubes in the real formats."""

import numpy as np
import pytest
import smart_geocubes
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from smart_geocubes.core.patches import PatchIndex

from darts_acquisition.optical.sentinel2.scene_store import SceneStore

SCENE_ID = "S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418"
OPTICAL = {"B02_10m": "blue", "B03_10m": "green", "B04_10m": "red", "B08_10m": "nir"}


def grid(crs="EPSG:32608", left=500_000, bottom=7_700_000, size=(40, 60), resolution=10):
    height, width = size
    bounds = (left, bottom, left + width * resolution, bottom + height * resolution)
    return GeoBox.from_bbox(bounds, crs, resolution=resolution)


@pytest.fixture
def geobox():
    return grid()


@pytest.fixture
def make_grid():
    return grid


@pytest.fixture
def scene_id():
    return SCENE_ID


@pytest.fixture
def raw_bands(geobox):
    """Digital numbers with a no-data wedge, and every scene class."""
    rng = np.random.default_rng(7)
    bands = {name: rng.integers(1, 6000, geobox.shape).astype(np.uint16) for name in OPTICAL}
    for values in bands.values():
        values[:5, :9] = 0
    bands["SCL_20m"] = (np.arange(geobox.shape[0] * geobox.shape[1]) % 14).astype(np.uint8).reshape(geobox.shape)
    bands["SCL_20m"][:5, :9] = 0
    return {name: wrap_xr(values, geobox) for name, values in bands.items()}


@pytest.fixture
def store(tmp_path):
    return SceneStore(tmp_path / "cdse-scenes", "cdse")


def _filled_cube(accessor, path, patch_id, fill, window, bounds=None):
    """Make a cube with the accessor's own code and fill one patch of it."""
    values = {name: fill(name, window) for name in accessor.channels}

    class Local(accessor):
        def post_init(self):
            """Fetch no index file."""

        def post_create(self):
            """Fetch no index file."""

        def adjacent_patches(self, roi, toi):
            return [PatchIndex(patch_id, window.extent, None, None)]

        def download_patch(self, idx):
            return xr.Dataset({name: wrap_xr(array, window) for name, array in values.items()})

    cube = Local(path, backend="simple")
    cube.create(exists_ok=True)
    cube.procedural_download(window, None)
    if bounds is not None:
        session = cube.repo.writable_session("main")
        import zarr

        zarr.open_group(session.store, mode="r+").attrs["patch_bounds"] = {patch_id: bounds}
        session.commit("bounds")
    return path


@pytest.fixture
def make_cube():
    return _filled_cube


def _window(cube_extent, geobox, margin):
    box = geobox.footprint(cube_extent.crs, npoints=100).boundingbox
    a, e = cube_extent.affine.a, cube_extent.affine.e
    columns = [int((x - cube_extent.affine.c) / a) for x in (box.left, box.right)]
    rows = [int((y - cube_extent.affine.f) / e) for y in (box.top, box.bottom)]
    return cube_extent[rows[0] - margin : rows[1] + margin + 1, columns[0] - margin : columns[1] + margin + 1]


@pytest.fixture
def dem_window(geobox):
    return _window(smart_geocubes.ArcticDEM10m.extent, geobox, margin=30)


@pytest.fixture
def tcvis_window(geobox):
    return _window(smart_geocubes.TCTrend.extent, geobox, margin=30)


def _ramp(window):
    rows, columns = np.mgrid[: window.shape[0], : window.shape[1]]
    return (100 + 0.5 * rows + 2 * columns).astype(np.float32)


@pytest.fixture
def ramp():
    return _ramp


@pytest.fixture
def dem_cube(tmp_path, make_cube, dem_window):
    """Elevation with a hole where the mask says no data, and -9999 beside it."""

    def fill(name, window):
        dem = _ramp(window)
        dem[40:44, 50:53] = -9999
        mask = np.ones(window.shape, dtype=bool)
        mask[20:25, 30:36] = False
        return dem if name == "dem" else mask

    bounds = list(dem_window.boundingbox)
    path = tmp_path / "aux" / "arcticdem_10m.icechunk"
    return make_cube(smart_geocubes.ArcticDEM10m, path, "demo-1", fill, dem_window, bounds)


@pytest.fixture
def tcvis_cube(tmp_path, make_cube, tcvis_window):
    codes = {"TCB_slope": 10, "TCG_slope": 20, "TCW_slope": 30}

    def fill(name, window):
        return np.full(window.shape, codes[name], dtype=np.uint8)

    bounds = list(tcvis_window.boundingbox)
    return make_cube(smart_geocubes.TCTrend, tmp_path / "aux" / "tcvis.icechunk", "demo-1", fill, tcvis_window, bounds)
