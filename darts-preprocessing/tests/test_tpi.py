import re

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.xr import xr_coords

from darts_preprocessing import topographic_position_index
from darts_preprocessing.terrain.tpi import check_radii, device_position_index, disk_kernel, position_index, radii_px
from darts_utils.errors import ConfigError


def slow_position_index(dem: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The definition, shift by shift, in float64."""
    radius = kernel.shape[0] // 2
    padded = np.pad(dem.astype(np.float64), radius, constant_values=np.nan)
    rows, columns = dem.shape
    shifted = np.array([padded[dy : dy + rows, dx : dx + columns] for dy, dx in np.argwhere(kernel)])
    count = np.isfinite(shifted).sum(0)
    mean = np.nansum(shifted, axis=0) / np.maximum(count, 1)
    return np.where(np.isnan(dem) | (len(shifted) - count > len(shifted) / 2), np.nan, dem - mean)


@pytest.fixture
def dem() -> np.ndarray:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:61, :83]
    heights = (2900 + 40 * np.sin(x / 9) * np.cos(y / 7) + rng.normal(0, 1, x.shape)).astype(np.float32)
    heights[20:29, 30:41] = np.nan
    heights[50, 5] = np.nan
    return heights


RADII = [(1, 0), (3, 0), (3, 1), (12, 0), (12, 5)]


@pytest.mark.parametrize(("outer", "inner"), RADII)
def test_index_is_the_height_above_the_mean_of_the_known_cells_around(dem, outer, inner):
    kernel = disk_kernel(outer, inner)
    expected = slow_position_index(dem, kernel)
    np.testing.assert_allclose(position_index(dem, kernel, 0, "cpu"), expected, atol=1e-3)


def test_index_is_as_precise_on_a_plateau_as_at_sea_level():
    ripples = np.random.default_rng(6).normal(0, 0.5, (70, 64)).astype(np.float32)
    plateau = np.float32(3000) + ripples
    kernel = disk_kernel(12)
    result = position_index(plateau, kernel, 12, "cpu")
    np.testing.assert_allclose(result, slow_position_index(plateau, kernel)[12:-12, 12:-12], atol=2e-5)


@pytest.mark.parametrize(("outer", "inner"), RADII)
def test_device_engine_agrees_with_host_engine(dem, outer, inner, monkeypatch):
    monkeypatch.setattr("darts_preprocessing.terrain.tpi.DEVICE_BLOCK_PX", 20)
    kernel, halo = disk_kernel(outer, inner), 6
    host = position_index(dem, kernel, halo, "cpu")
    device = np.empty_like(host)
    device_position_index(dem, kernel, halo, device, torch.device("cpu"))
    np.testing.assert_allclose(device, host, atol=1e-3)


def test_blocks_give_what_the_whole_gives(dem, monkeypatch):
    kernel = disk_kernel(4)
    whole = position_index(dem, kernel, 2, "cpu")
    monkeypatch.setattr("darts_preprocessing.terrain.tpi.HOST_BLOCK_PX", 1)
    np.testing.assert_allclose(position_index(dem, kernel, 2, "cpu"), whole, atol=1e-3)


def test_index_needs_the_centre_and_half_of_the_kernel():
    kernel = disk_kernel(1, 0)  # five cells
    dem = np.full((3, 3), 10, dtype=np.float32)
    dem[0, 1] = dem[1, 0] = np.nan
    assert position_index(dem, kernel, 1, "cpu")[0, 0] == 0  # two of five are missing
    dem[1, 2] = np.nan
    assert np.isnan(position_index(dem, kernel, 1, "cpu")[0, 0])  # three of five are missing
    dem = np.full((3, 3), 10, dtype=np.float32)
    dem[1, 1] = np.nan
    assert np.isnan(position_index(dem, kernel, 1, "cpu")[0, 0])
    ring = disk_kernel(2, 1)  # eight cells
    dem = np.full((5, 5), 10, dtype=np.float32)
    dem[0, 2] = dem[1, 1] = dem[1, 3] = dem[2, 0] = np.nan  # exactly half of them
    assert position_index(dem, ring, 2, "cpu")[0, 0] == 0


def test_ring_is_the_outer_disk_without_the_inner_one():
    expected = disk_kernel(5) & ~np.pad(disk_kernel(2), 3)
    np.testing.assert_array_equal(disk_kernel(5, 2), expected)
    assert not disk_kernel(5, 2)[5, 5]
    assert disk_kernel(5)[5, 5]


def test_disk_holds_every_cell_within_the_radius():
    assert disk_kernel(5)[1, 2]  # 3-4-5: exactly on the circle
    assert disk_kernel(5).sum() == 81


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(-100, 3000), st.integers(1, 4))
def test_index_of_a_plane_is_zero(rise_x, rise_y, height, radius):
    y, x = np.mgrid[:16, :13]
    plane = (height + 10 * (rise_x * x + rise_y * y)).astype(np.float32)
    result = position_index(plane, disk_kernel(radius), radius, "cpu")
    np.testing.assert_allclose(result, 0, atol=2e-3)


def test_radius_is_in_metres_and_rounded_up(grid):
    assert radii_px(100, 0, 10) == (10, 0)
    assert radii_px(100, 25, 3) == (34, 9)
    peak = np.zeros(grid.shape, dtype=np.float32)
    peak[20, 20] = 5
    dem = xr.DataArray(peak, dims=("y", "x"), coords=xr_coords(grid))
    index = topographic_position_index(dem, 25, device="cpu")
    assert index.name == "relative_elevation"
    assert index.dtype == np.float32
    reach = np.flatnonzero(np.abs(index.values[20]) > 1e-3)
    assert (reach.min(), reach.max()) == (17, 23)
    assert index.values[20, 20] == pytest.approx(5 - 5 / 29)


@pytest.mark.parametrize(
    ("outer", "inner", "message"),
    [
        (0, 0, "tpi_outer_radius is 0 m but must be above 0 m. Set it to e.g. 100."),
        (-10, 0, "tpi_outer_radius is -10 m but must be above 0 m. Set it to e.g. 100."),
        (float("nan"), 0, "tpi_outer_radius is nan m but must be above 0 m. Set it to e.g. 100."),
        (100, -1, "tpi_inner_radius is -1 m but must not be negative. Set 0 for a full disk."),
        (
            100,
            100,
            "tpi_inner_radius is 100 m but must be below tpi_outer_radius (100 m). Lower the inner or raise the outer "
            "radius.",
        ),
    ],
)
def test_illegal_radii_are_refused(outer, inner, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        check_radii(outer, inner)


def test_radii_of_the_same_number_of_pixels_are_refused():
    message = (
        "tpi_inner_radius (95 m) and tpi_outer_radius (100 m) are both 10 px of 10 m, so no pixel lies between them. "
        "Lower the inner or raise the outer radius."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        radii_px(100, 95, 10)
