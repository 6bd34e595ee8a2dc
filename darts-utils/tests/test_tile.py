"""The tile contract in code."""

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_utils.errors import DataError, GridError
from darts_utils.tile import geobox_of, validate

GEOBOX = GeoBox.from_bbox((500_000, 7_700_000, 500_070, 7_700_040), "EPSG:32608", resolution=10)


def tile(**bands):
    return xr.Dataset({name: wrap_xr(np.zeros(GEOBOX.shape, dtype), GEOBOX) for name, dtype in bands.items()})


def test_a_good_tile_passes_unchanged():
    good = tile(red="float32", s2_scl="uint8", extent="bool")
    assert validate(good) is good
    assert geobox_of(good) == GEOBOX


def test_wrong_dtype_is_refused():
    with pytest.raises(DataError, match=r"^band red is float64 but must be float32 in memory\. Convert it\.$"):
        validate(tile(red="float64"))


def test_wrong_dims_are_refused():
    with pytest.raises(DataError, match=r"band red has the dims \('x', 'y'\) but must end with \('y', 'x'\)"):
        validate(tile(blue="float32").assign(red=tile(red="float32").red.T))


def test_a_tile_without_georeference_is_refused():
    with pytest.raises(GridError, match="the tile has no georeference"):
        validate(xr.Dataset({"red": (("y", "x"), np.zeros((3, 4), np.float32))}))
