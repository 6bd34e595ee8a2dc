import math

import numpy as np
import pytest
import torch
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from darts_preprocessing import Sun, aspect, curvature, derive_terrain, hillshade, slope
from darts_preprocessing.blocks import Block, whole
from darts_preprocessing.terrain import derivatives as terrain_module
from darts_preprocessing.terrain.derivatives import TERRAIN_BANDS, DemWindow
from darts_preprocessing.terrain.derivatives_kernel import _direction_deg
from darts_preprocessing.terrain.meridian_convergence import MeridianConvergence
from darts_utils.grid import grid_convergence
from darts_utils.machine.jit import compiled

INNER = (slice(1, -1), slice(1, -1))


def as_dem(heights: np.ndarray, grid: GeoBox) -> xr.DataArray:
    return xr.DataArray(heights.astype(np.float32), dims=("y", "x"), coords=xr_coords(grid))


def plane(grid: GeoBox, east: float, north: float, height: float = 500) -> xr.DataArray:
    x, y = np.meshgrid(grid.coords["x"].values, grid.coords["y"].values)
    return as_dem(height + east * (x - x.mean()) + north * (y - y.mean()), grid)


def test_slope_of_a_plane_is_its_angle(grid):
    result = slope(plane(grid, 0.3, -0.4), device="cpu")
    np.testing.assert_allclose(result.values[INNER], math.degrees(math.atan(0.5)), atol=2e-3)
    assert result.attrs["units"] == "degrees"
    assert result.dtype == np.float32


@pytest.mark.parametrize(
    ("east", "north", "expected"), [(0, -1, 0), (-1, 0, 90), (0, 1, 180), (1, 0, 270), (-1, -1, 45), (1, -1, 315)]
)
def test_aspect_is_where_the_ground_faces_from_true_north(grid, east, north, expected):
    turned = aspect(plane(grid, 0.1 * east, 0.1 * north), device="cpu").values
    difference = (turned + grid_convergence(grid) - expected + 180) % 360 - 180
    np.testing.assert_allclose(difference[INNER], 0, atol=0.02)
    assert np.nanmin(turned) >= 0
    assert np.nanmax(turned) < 360


def test_flat_ground_has_no_aspect_and_no_slope(grid):
    flat = as_dem(np.full(grid.shape, 812.3), grid)
    assert np.all(aspect(flat, device="cpu").values[INNER] == -1)
    assert np.all(slope(flat, device="cpu").values[INNER] == 0)


def test_a_resampled_lake_is_flat(grid):
    ripples = np.random.default_rng(0).choice([-1, 0, 1], grid.shape) * np.spacing(np.float32(200))
    lake = as_dem(200 + ripples, grid)
    assert np.mean(aspect(lake, device="cpu").values[INNER] == -1) > 0.99


def test_hillshade_is_the_cosine_between_the_normal_and_the_sun(grid):
    east, north, azimuth, elevation = 0.3, -0.2, 140.0, 35.0
    shade = hillshade(plane(grid, east, north), azimuth, elevation, device="cpu").values
    on_grid = np.radians(azimuth + grid_convergence(grid))
    up = math.radians(elevation)
    sun = np.stack([np.sin(on_grid) * math.cos(up), np.cos(on_grid) * math.cos(up), np.full(grid.shape, math.sin(up))])
    normal = np.array([-east, -north, 1]) / math.sqrt(east**2 + north**2 + 1)
    np.testing.assert_allclose(shade[INNER], np.tensordot(normal, sun, 1)[INNER], atol=2e-5)


def test_ground_that_faces_the_sun_is_brightest_and_ground_turned_away_is_dark(grid):
    towards = hillshade(plane(grid, 1, 0), 270, 45, device="cpu").values[INNER]
    away = hillshade(plane(grid, -1.2, 0), 270, 45, device="cpu").values[INNER]
    assert towards.min() > 0.999
    assert np.all(away == 0)


def test_curvature_of_a_paraboloid_is_constant_and_positive_on_a_dome(grid):
    x, y = np.meshgrid(grid.coords["x"].values, grid.coords["y"].values)
    dome = as_dem(-0.002 * (x - x.mean()) ** 2 - 0.001 * (y - y.mean()) ** 2, grid)
    np.testing.assert_allclose(curvature(dome, device="cpu").values[INNER], 0.6, atol=2e-3)


@pytest.mark.parametrize("band", TERRAIN_BANDS)
def test_a_hole_spoils_one_pixel_around_it(grid, band):
    dem = plane(grid, 0.1, 0.2)
    dem.values[20, 10] = np.nan
    lost = np.isnan(derive_terrain(dem, (band,), device="cpu")[band].values[INNER])
    expected = np.zeros(grid.shape, dtype=bool)
    expected[19:22, 9:12] = True
    np.testing.assert_array_equal(lost, expected[INNER])


@pytest.fixture
def rough(make_grid, hills) -> tuple[np.ndarray, GeoBox]:
    grid = make_grid(300, 530)
    xs, ys = np.meshgrid(grid.coords["x"].values, grid.coords["y"].values)
    heights = (hills(xs, ys) + 2500 + np.random.default_rng(4).normal(0, 2, grid.shape)).astype(np.float32)
    heights[40:60, 100:103] = np.nan
    heights[:, -1] = np.nan
    return heights, grid


def test_device_engine_agrees_with_host_engine(rough, monkeypatch):
    heights, grid = rough
    sun, halo = Sun(azimuth_deg=100, elevation_deg=20), 3
    dem_window = DemWindow.of(heights, grid, halo, sun)
    host = dem_window.terrain(TERRAIN_BANDS, whole(dem_window.shape), "cpu")
    monkeypatch.setattr(terrain_module, "DEVICE_BLOCK_PX", 200)
    monkeypatch.setattr(terrain_module, "decide_device", lambda _: _PretendGpu())
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, *_: tensor)
    device = dem_window.terrain(TERRAIN_BANDS, whole(dem_window.shape), "cuda")
    for band, tolerance in {"slope": 1e-3, "hillshade": 1e-5, "curvature": 1e-3}.items():
        np.testing.assert_allclose(device[band], host[band], atol=tolerance, err_msg=band)
    np.testing.assert_array_equal(np.isnan(device["aspect"]), np.isnan(host["aspect"]))
    turn = (device["aspect"] - host["aspect"] + 180) % 360 - 180
    assert np.nanpercentile(np.abs(turn), 99.9) < 0.02


class _PretendGpu:
    type = "cuda"


def test_blocks_and_windows_give_what_the_whole_gives(rough, monkeypatch):
    heights, grid = rough
    dem_window = DemWindow.of(heights, grid, 0)
    whole_tile = dem_window.terrain(TERRAIN_BANDS, whole(dem_window.shape), "cpu")
    window = Block(rows=slice(30, 299), columns=slice(80, 530))
    part = dem_window.terrain(TERRAIN_BANDS, window, "cpu")
    monkeypatch.setattr(terrain_module, "ROW_BLOCK_ROWS", 64)
    blocks = dem_window.terrain(TERRAIN_BANDS, whole(dem_window.shape), "cpu")
    for band in TERRAIN_BANDS:
        np.testing.assert_array_equal(blocks[band], whole_tile[band], err_msg=band)
        np.testing.assert_array_equal(part[band], whole_tile[band][window.rows, window.columns], err_msg=band)


@pytest.mark.parametrize("band", TERRAIN_BANDS)
def test_a_band_is_the_same_alone_and_among_others(rough, band):
    heights, grid = rough
    dem_window = DemWindow.of(heights, grid, 1)
    alone = dem_window.terrain((band,), whole(dem_window.shape), "cpu")[band]
    np.testing.assert_array_equal(alone, dem_window.terrain(TERRAIN_BANDS, whole(dem_window.shape), "cpu")[band])


def test_high_ground_is_as_exact_as_low_ground(grid):
    bumps = np.round(np.random.default_rng(2).normal(0, 20, grid.shape) * 256) / 256
    low, high = (derive_terrain(as_dem(bumps + height, grid), device="cpu") for height in (0, 8192))
    for band in TERRAIN_BANDS:
        np.testing.assert_array_equal(high[band].values, low[band].values, err_msg=band)


@compiled()
def directions(east: np.ndarray, north: np.ndarray, out: np.ndarray) -> None:
    for index in range(len(out)):
        out[index] = _direction_deg(east[index], north[index])


def test_the_fast_direction_is_as_good_as_the_exact_one():
    rng = np.random.default_rng(3)
    angles = np.concatenate([rng.uniform(0, 2 * np.pi, 100_000), np.arange(0, 2 * np.pi, np.pi / 4)])
    length = 10 ** rng.uniform(-12, 3, len(angles))
    east, north = (length * part(angles) for part in (np.sin, np.cos))
    east, north = east.astype(np.float32), north.astype(np.float32)
    directions(east, north, result := np.empty_like(east))
    exact = np.degrees(np.arctan2(east.astype(np.float64), north.astype(np.float64)))
    assert np.abs((result - exact + 180) % 360 - 180).max() < 5e-5
    assert result.min() >= 0
    assert result.max() < 360


@pytest.mark.parametrize(
    ("crs", "left", "top"),
    [("EPSG:32608", 300_000, 7_900_000), ("EPSG:3413", -2_000_000, 1_000), ("EPSG:3413", -1_500_000, 1_500_000)],
)
def test_true_north_between_nodes_is_that_of_every_pixel(crs, left, top):
    grid = GeoBox.from_bbox((left, top - 6_010, left + 7_770, top), crs, resolution=10)
    cosine, sine = MeridianConvergence(grid).of(Block(rows=slice(17, 600), columns=slice(250, 777)))
    expected = np.radians(grid_convergence(grid, step_px=1)[17:600, 250:777])
    np.testing.assert_allclose(cosine, np.cos(expected), atol=2e-6)
    np.testing.assert_allclose(sine, np.sin(expected), atol=2e-6)
