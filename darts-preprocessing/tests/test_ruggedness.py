import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_preprocessing import (
    calculate_dissection_index,
    calculate_terrain_ruggedness_index,
    calculate_vector_ruggedness_measure,
    preprocess_v2,
)
from darts_preprocessing.terrain.ruggedness import dissection, ruggedness_index, vector_ruggedness
from darts_utils.bands import RUGGEDNESS_BANDS, manager
from darts_utils.errors import ConfigError, DataError

SHAPE = (40, 52)
PIXEL_M = 10.0


def tile(heights, size=PIXEL_M):
    grid = GeoBox(heights.shape, Affine(size, 0, 500_000, 0, -size, 7_700_000), "EPSG:32608")
    return xr.Dataset({"dem": wrap_xr(heights.astype(np.float32), grid, nodata=None)})


@pytest.fixture
def heights():
    rng = np.random.default_rng(5)
    values = 30 + np.cumsum(np.cumsum(rng.normal(0, 0.3, SHAPE), 0), 1)
    values[7, 9] = values[30:33, 40] = np.nan
    return values.astype(np.float32)


def around(values, row, column, reach):
    """Return a square, NaN beyond the edge."""
    padded = np.pad(values.astype(np.float64), reach, constant_values=np.nan)
    return padded[row : row + 2 * reach + 1, column : column + 2 * reach + 1]


def by_definition(values, name, radius_px=4):
    out = np.empty(values.shape)
    for row, column in np.ndindex(values.shape):
        z = float(values[row, column])
        if name == "terrain_ruggedness_index":
            out[row, column] = np.sqrt(((around(values, row, column, 1) - z) ** 2).sum())
        elif name == "dissection_index":
            square = around(values, row, column, radius_px)
            out[row, column] = (z - np.nanmin(square)) / np.ptp(square[~np.isnan(square)])
        else:
            out[row, column] = spread(around(values, row, column, 2))
    return out


def spread(square):
    normals = []
    for row, column in np.ndindex(3, 3):
        (a, b, c), (d, _, f), (g, h, i) = square[row : row + 3, column : column + 3]
        x = ((c + 2 * f + i) - (a + 2 * d + g)) / (8 * PIXEL_M)
        y = ((g + 2 * h + i) - (a + 2 * b + c)) / (8 * PIXEL_M)
        normals.append(np.array([-x, -y, 1]) / np.sqrt(1 + x * x + y * y))
    return 1 - np.linalg.norm(np.sum(normals, axis=0)) / 9


CALCULATED = {
    "terrain_ruggedness_index": calculate_terrain_ruggedness_index,
    "vector_ruggedness_measure": calculate_vector_ruggedness_measure,
    "dissection_index": lambda tile: calculate_dissection_index(tile, 35),
}


@pytest.mark.parametrize("name", RUGGEDNESS_BANDS)
def test_each_is_what_its_definition_says(heights, name, monkeypatch):
    monkeypatch.setattr("darts_preprocessing.terrain.ruggedness.HOST_BLOCK_PX", 16)
    made = CALCULATED[name](tile(heights))[name]
    np.testing.assert_allclose(made.values, by_definition(heights, name), atol=2e-5)
    assert (made.dtype, made.dims) == (np.float32, ("y", "x"))
    assert {"long_name", "units"} <= set(made.attrs)
    low, high = manager[name].valid_range
    assert low <= float(made.min()) < float(made.max()) <= high


def test_a_steep_plane_is_not_rugged_and_a_ridge_is():
    column = np.arange(SHAPE[1], dtype=np.float32)
    plane, ridge = (np.broadcast_to(values, SHAPE) for values in (7 * column, 9 * np.abs(column - 20)))
    assert np.nanmax(vector_ruggedness(plane, PIXEL_M, 0)) < 1e-6
    ridged = vector_ruggedness(ridge, PIXEL_M, 0)
    assert np.nanargmax(ridged[5]) in (19, 20, 21)
    assert np.isnan(dissection(np.full((9, 9), 5, np.float32), 2, 0)).all()


def test_a_halo_is_read_and_not_written(heights):
    inner = (slice(6, -6), slice(6, -6))
    for whole, part in (
        (ruggedness_index(heights, 0), ruggedness_index(heights, 6)),
        (vector_ruggedness(heights, PIXEL_M, 0), vector_ruggedness(heights, PIXEL_M, 6)),
        (dissection(heights, 4, 0), dissection(heights, 4, 6)),
    ):
        np.testing.assert_array_equal(whole[inner], part)


@pytest.mark.parametrize("lazy", [False, True])
def test_tiles_have_them_if_they_are_named_without_an_edge(heights, lazy):
    elevation = tile(heights)
    elevation["arcticdem_data_mask"] = elevation.dem.notnull().astype(np.uint8)
    grid = elevation.odc.geobox[10:-10, 10:-10]
    optical = xr.Dataset({name: wrap_xr(np.full(grid.shape, 0.1, np.float32), grid) for name in ("red", "nir")})
    given = {"tpi_outer_radius": 40, "tpi_inner_radius": 0, "lazy": lazy}
    made = preprocess_v2(optical, elevation, bands=RUGGEDNESS_BANDS, **given)
    assert set(RUGGEDNESS_BANDS) <= set(made.data_vars)
    assert "slope" not in made
    for name in RUGGEDNESS_BANDS:
        expected = by_definition(heights, name)[10:-10, 10:-10]
        np.testing.assert_allclose(made[name].load().values, expected, atol=5e-4)
    assert not set(RUGGEDNESS_BANDS) & set(preprocess_v2(optical, elevation, **given).data_vars)


def test_what_cannot_be_made_is_said(heights):
    with pytest.raises(ConfigError, match="the radius of the dissection index is 0 m but must be above 0 m"):
        calculate_dissection_index(tile(heights), 0)
    with pytest.raises(DataError, match="the tile lacks dem"):
        calculate_terrain_ruggedness_index(xr.Dataset())
