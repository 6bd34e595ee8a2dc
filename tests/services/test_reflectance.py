"""Reflectance is right for every processing baseline, with and without the scale that a catalogue gives."""

import numpy as np
import pytest
import served_world
from affine import Affine
from odc.geo.geobox import GeoBox

from darts_acquisition import load_cdse_s2_sr_scene
from darts_acquisition.services.endpoints import set_endpoints

GRID = GeoBox((64, 64), Affine(10, 0, 500_000, 0, -10, 7_700_000), "EPSG:32608")
BANDS = {"B02_10m": "blue", "B03_10m": "green", "B04_10m": "red", "B08_10m": "nir"}


@pytest.fixture
def storage_address(s3_server, aws_keys):
    set_endpoints(cdse_s3_endpoint=f"http://127.0.0.1:{s3_server[0]}")
    yield
    set_endpoints(cdse_s3_endpoint=None)


def numbers():
    """Every digital number between 0 and 20,000 is in one of the bands."""
    rng = np.random.default_rng(4)
    shuffled = rng.permutation(np.arange(4 * 64 * 64)).astype(np.uint16).reshape(4, 64, 64)
    bands = dict(zip(BANDS, shuffled, strict=True))
    return bands | {"SCL_20m": rng.integers(1, 12, (32, 32)).astype(np.uint8)}


@pytest.mark.parametrize("scale", [None, (0.0001, -0.1), (0.0001, 0.0), (0.0002, -0.3)])
@pytest.mark.parametrize(
    ("baseline", "day", "offset"),
    [
        ("N0208", "20180720", 0.0),
        ("N0214", "20200219", 0.0),
        ("N0301", "20220124", 0.0),
        ("N0400", "20220125", -0.1),
        ("N0500", "20180720", -0.1),  # processed again: the date would say 0
        ("N0509", "20230720", -0.1),
        ("N0511", "20240720", -0.1),
    ],
)
def test_the_scale_of_the_catalogue_or_else_the_baseline_decides(
    storage_address, s3_server, tmp_path, baseline, day, offset, scale
):
    scene_id = f"S2B_MSIL2A_{day}T200909_{baseline}_R128_T08WNB_20240720T234418"
    bands = numbers()
    properties = {"datetime": f"{day[:4]}-{day[4:6]}-{day[6:]}T20:09:09Z", "grid:code": "MGRS-08WNB"}
    item = served_world.as_item(served_world.serve_scene(scene_id, GRID, bands, properties, s3_server[1], scale))
    tile = load_cdse_s2_sr_scene(item, store=tmp_path)
    factor, shift = (1e-4, offset) if scale is None else scale
    for name, variable in BANDS.items():
        expected = bands[name].astype(np.float64) * factor + shift
        expected[(bands[name] == 0) & (shift != 0)] = np.nan  # without an offset, dark water may be 0 in a band
        np.testing.assert_allclose(tile[variable].values, expected, rtol=0, atol=1e-6)
        assert tile[variable].dtype == np.float32
