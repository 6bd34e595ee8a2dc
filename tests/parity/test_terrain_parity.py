"""Terrain against xarray-spatial, gdaldem and geometry, on a real and a synthetic DEM.

The DEMs are put on a Mercator grid, where grid north is true north everywhere, because the oracles know no other.
"""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from pyproj import Geod, Transformer
from rasterio import Affine
from xrspatial import aspect as oracle_aspect
from xrspatial import curvature as oracle_curvature
from xrspatial import hillshade as oracle_hillshade
from xrspatial import slope as oracle_slope
from xrspatial.convolution import convolve_2d

from darts_preprocessing import align_dem, aspect, curvature, hillshade, slope, topographic_position_index
from darts_preprocessing.terrain.tpi import disk_kernel, position_index, radii_px

TOLERANCE = 1e-3
PIXELS_M = (2, 3, 10)
SUN = (225.0, 25.0)


def grid_of(rows: int, columns: int, pixel_m: float, crs: str = "EPSG:3395") -> GeoBox:
    return GeoBox((rows, columns), Affine(pixel_m, 0, 502_810, 0, -pixel_m, 8_674_030), crs)


def synthetic_dem(pixel_m: float) -> np.ndarray:
    """Mountains, moraines, boulders, a lake and a fjord wall: asymmetric, with nodata in the middle and at the edge."""
    y, x = np.mgrid[:331, :287] * float(pixel_m)
    rng = np.random.default_rng(5)
    z = (
        900
        + 200 * np.sin(x / 800) * np.cos(y / 500)
        + 12 * np.sin((x + 2 * y) / 60)
        + rng.normal(0, 0.05 * pixel_m, x.shape)
    )
    z[200:240, 100:150] = 812.34
    z[:, 250:] += 40
    return z.astype(np.float32)


def real_dem(pixel_m: float, folder: Path) -> np.ndarray:
    """A piece of the mountains around Longyearbyen, resampled to the pixel asked for."""
    with rasterio.open(folder / "dem" / "longyearbyen_1995.tif") as raster:
        heights, transform = raster.read(1), raster.transform
    source = GeoBox(heights.shape, transform, "EPSG:25833")
    cube = xr.Dataset({"dem": (("y", "x"), heights)}, xr_coords(source))
    left, top = transform * (600, 400)
    return align_dem(cube, GeoBox((331, 287), Affine(pixel_m, 0, left, 0, -pixel_m, top), "EPSG:25833"))


@pytest.fixture(params=[(kind, pixel_m) for kind in ("real", "synthetic") for pixel_m in PIXELS_M], ids=str)
def dem(request) -> xr.DataArray:
    kind, pixel_m = request.param
    heights = (
        synthetic_dem(pixel_m) if kind == "synthetic" else real_dem(pixel_m, request.getfixturevalue("shared_data"))
    )
    heights[50:58, 60:75] = np.nan
    heights[-4:, 30:90] = np.nan
    return xr.DataArray(heights, xr_coords(grid_of(*heights.shape, pixel_m)), ("y", "x"))


def pixel_of(dem: xr.DataArray) -> float:
    return float(dem.odc.geobox.resolution.x)


def away_from_nan(dem: xr.DataArray, radius: int) -> np.ndarray:
    """Where no cell within a radius is unknown or beyond the edge."""
    known = np.pad(np.isfinite(dem.values), radius)
    windows = np.lib.stride_tricks.sliding_window_view(known, (2 * radius + 1, 2 * radius + 1))
    return windows.all(axis=(2, 3))


def assert_close(ours: np.ndarray, oracle: np.ndarray, where: np.ndarray, tolerance: float = TOLERANCE) -> None:
    """The largest difference is below a share of the range that the oracle takes."""
    assert where.mean() > 0.3
    difference = np.abs(np.float64(ours) - oracle)[where]
    assert difference.max() <= tolerance * np.ptp(oracle[where])


def gdaldem(mode: str, dem: xr.DataArray, folder: Path, *options: str) -> np.ndarray:
    """Return what the gdaldem program makes of a DEM."""
    if shutil.which("gdaldem") is None:
        pytest.skip("the program gdaldem is not installed")
    source, target = folder / "dem.tif", folder / f"{mode}.tif"
    grid = dem.odc.geobox
    profile = {"height": grid.shape[0], "width": grid.shape[1], "transform": grid.affine, "crs": str(grid.crs)}
    with rasterio.open(source, "w", driver="GTiff", count=1, dtype="float32", nodata=-9999, **profile) as raster:
        raster.write(np.nan_to_num(dem.values, nan=-9999), 1)
    subprocess.run(["gdaldem", mode, str(source), str(target), "-q", *options], check=True, capture_output=True)
    with rasterio.open(target) as raster:
        return raster.read(1)


def test_slope_agrees_with_xarray_spatial(dem):
    assert_close(slope(dem, device="cpu").values, oracle_slope(dem).values, away_from_nan(dem, 1))


def test_slope_agrees_with_gdaldem(dem, tmp_path):
    assert_close(slope(dem, device="cpu").values, gdaldem("slope", dem, tmp_path), away_from_nan(dem, 1))


def test_slope_is_unknown_where_gdaldem_says_so(dem, tmp_path):
    np.testing.assert_array_equal(np.isnan(slope(dem, device="cpu")), gdaldem("slope", dem, tmp_path) == -9999)


def test_curvature_agrees_with_xarray_spatial(dem):
    assert_close(curvature(dem, device="cpu").values, oracle_curvature(dem).values, away_from_nan(dem, 1))


@pytest.mark.parametrize("sun", [SUN, (40.0, 60.0)])
def test_hillshade_agrees_with_gdaldem(dem, tmp_path, sun):
    """Only as finely as gdaldem's 254 grey levels tell; its Zevenbergen-Thorne variant takes central differences."""
    azimuth, elevation = sun
    options = ("-alg", "ZevenbergenThorne", "-az", str(azimuth), "-alt", str(elevation))
    levels = gdaldem("hillshade", dem, tmp_path, *options)
    ours = hillshade(dem, azimuth, elevation, device="cpu").values
    where = away_from_nan(dem, 1)
    assert np.abs(1 + 254 * ours - levels)[where].max() <= 0.5 + 254 * TOLERANCE


@pytest.mark.parametrize("pixel_m", PIXELS_M)
@pytest.mark.parametrize("sun", [SUN, (40.0, 60.0)])
def test_hillshade_agrees_with_xarray_spatial_where_both_take_the_same_differences(pixel_m, sun):
    """Xarray-spatial takes Horn's differences, ours are plain; on f(x) + g(y) they are the same."""
    y, x = np.mgrid[:120, :150] * float(pixel_m)
    heights = (300 + 60 * np.sin(x / 170) + 45 * np.cos(y / 110) + 0.1 * x).astype(np.float32)
    dem = xr.DataArray(heights, xr_coords(grid_of(120, 150, pixel_m)), ("y", "x"))
    # its rows run from south to north
    oracle = oracle_hillshade(dem[::-1], azimuth=sun[0], angle_altitude=sun[1]).values[::-1]
    assert_close(hillshade(dem, *sun, device="cpu").values, oracle, away_from_nan(dem, 1))


@pytest.mark.parametrize("radii_m", [(100, 0), (100, 50), (30, 0)])
def test_relative_elevation_agrees_with_xarray_spatial(dem, radii_m):
    outer_px, inner_px = radii_px(*radii_m, pixel_of(dem))
    kernel = disk_kernel(outer_px, inner_px).astype(np.float64)
    # about its mean height, because the oracle adds up in float32
    centred = dem.values - np.float32(np.nanmean(dem.values))
    oracle = centred - convolve_2d(centred, kernel / kernel.sum())
    ours = topographic_position_index(dem, *radii_m, device="cpu").values
    assert_close(ours, oracle, away_from_nan(dem, outer_px))


def test_relative_elevation_agrees_with_gdaldem(dem, tmp_path):
    """gdaldem's TPI takes the eight neighbours."""
    neighbours = np.ones((3, 3), dtype=bool)
    neighbours[1, 1] = False
    ours = position_index(dem.values, neighbours, 0, "cpu")
    assert_close(ours, gdaldem("TPI", dem, tmp_path), away_from_nan(dem, 1))


def test_aspect_agrees_with_xarray_spatial_and_gdaldem(dem, tmp_path):
    ours = aspect(dem, device="cpu").values
    steep = slope(dem, device="cpu").values > 0.05  # on flatter ground the last bit of float32 decides
    for oracle, flat in ((oracle_aspect(dem).values, -1), (gdaldem("aspect", dem, tmp_path), -9999)):
        where = away_from_nan(dem, 1) & steep
        turn = (ours - oracle + 180) % 360 - 180
        assert np.abs(turn[where]).max() < 0.36
        np.testing.assert_array_equal((ours == -1)[away_from_nan(dem, 1)], (oracle == flat)[away_from_nan(dem, 1)])


UTM_CORNERS = [("EPSG:32608", lon, lat) for lon in (-138, -132) for lat in (70.0, 71.9)]
POLAR = [("EPSG:3413", lon, 70.0) for lon in (-45, 45, 135, -135)]


@pytest.mark.parametrize(("crs", "lon", "lat"), [*UTM_CORNERS, *POLAR, ("EPSG:3413", 179.99, 72.0)])
@pytest.mark.parametrize("facing", [0, 37, 123, 200, 305])
def test_aspect_of_a_plane_tilted_on_the_globe_is_its_true_azimuth(crs, lon, lat, facing):
    """The plane is linear in longitude and latitude, so that its true azimuth is known without any projection."""
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    grid = GeoBox((31, 43), Affine(10, 0, x - 215, 0, -10, y + 155), crs)
    xs, ys = np.meshgrid(grid.coords["x"].values, grid.coords["y"].values)
    lons, lats = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(xs, ys)
    geod = Geod(ellps="WGS84")
    _, _, metres_east = geod.inv(lon, lat, lon + 1e-3, lat)
    _, _, metres_north = geod.inv(lon, lat - 5e-4, lon, lat + 5e-4)
    east = ((lons - lon + 180) % 360 - 180) * metres_east / 1e-3
    north = (lats - lat) * metres_north / 1e-3
    down = np.radians(facing)
    heights = 500 - 0.3 * (east * np.sin(down) + north * np.cos(down))
    dem = xr.DataArray(heights.astype(np.float32), xr_coords(grid), ("y", "x"))
    turn = (aspect(dem, device="cpu").values[1:-1, 1:-1] - facing + 180) % 360 - 180
    assert np.abs(turn).max() < 0.5
