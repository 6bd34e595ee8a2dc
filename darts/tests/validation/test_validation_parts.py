"""Which ground is tried, and where a planted object comes out."""

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from darts.pipelines.parameters import PostprocessingParameters
from darts.validation import planted
from darts.validation.planted import check_georeference, plant
from darts.validation.scene import candidates, choose_window
from darts_segmentation.patches import Patching
from darts_utils.rasters.window import Window

PATCHING = Patching(patch_size=96, overlap=32)


def grid_of(height, width):
    left, bottom = 500_000, 7_700_000
    return GeoBox.from_bbox((left, bottom, left + 10 * width, bottom + 10 * height), "EPSG:32608", resolution=10)


@pytest.fixture
def tile():
    return xr.Dataset(coords=xr_coords(grid_of(160, 210)), attrs={"s2_tile_id": "S2B_MSIL2A_20240720T200909_X"})


def test_a_small_scene_is_tried_whole():
    assert candidates(np.zeros((200, 130), np.uint8), 256) == [Window(0, 0, 200, 130)]


def test_of_a_large_scene_only_the_clearest_windows_are_candidates():
    quality = np.zeros((600, 700), np.uint8)
    quality[320:600, 384:700] = 2
    quality[:200, :250] = 2
    quality[:40, :] = 1
    assert candidates(quality, 256) == [Window(344, 384, 256, 256), Window(344, 444, 256, 256)]


def test_of_many_clear_windows_some_are_taken_from_all_over_the_scene():
    found = candidates(np.full((2000, 2000), 2, np.uint8), 256)
    assert len(found) == len(set(found)) == 12
    assert (found[0], found[-1]) == (Window(0, 0, 256, 256), Window(1744, 1744, 256, 256))
    assert len({window.top for window in found}) > 6


def test_a_scene_longer_than_wide_is_cut_along_one_axis():
    quality = np.full((100, 900), 2, np.uint8)
    quality[:, :300] = 0
    found = candidates(quality, 256)
    assert {(window.top, window.height, window.width) for window in found} == {(0, 100, 256)}
    assert [window.left for window in found] == [256, 384, 512, 640, 644]


def test_the_window_with_most_slumps_is_taken_and_asked_for_only_where_there_is_a_choice():
    quality = np.full((256, 1024), 2, np.uint8)
    assert choose_window(quality, 256, lambda window: window.left).left == 768
    assert choose_window(quality[:, :200], 256, lambda window: 1 / 0) == Window(0, 0, 256, 200)


def test_a_planted_object_is_exported_where_it_lies(tile, tmp_path):
    finding = check_georeference(tile, PATCHING, PostprocessingParameters(), tmp_path)
    assert finding.status == "passed", finding.measured
    assert finding.figures["n_objects"] == 1
    assert finding.figures["polygon_px"] < 1e-3
    assert finding.figures["raster_px"] < 1e-3


def test_the_planted_object_is_not_symmetric(tile):
    outline = plant(tile).outline
    assert outline.area == pytest.approx(24 * 40 * 0.75 * 100)
    west, south, east, north = outline.bounds
    assert ((east - west) / 10, (north - south) / 10) == pytest.approx((40, 24))


@pytest.mark.parametrize("shift_m", [6, 10])
def test_a_georeference_that_is_shifted_fails(tile, tmp_path, monkeypatch, shift_m):
    def shifted(mapped, *arguments):
        moved = mapped.assign_coords(x=mapped.x + shift_m)
        return export(moved.odc.assign_crs("EPSG:32608"), *arguments)

    export = planted.export_tile
    monkeypatch.setattr(planted, "export_tile", shifted)
    finding = check_georeference(tile, PATCHING, PostprocessingParameters(), tmp_path)
    assert finding.status == "failed"
    assert finding.figures["polygon_px"] == pytest.approx(shift_m / 10, abs=1e-3)


def test_a_raster_upside_down_and_an_object_lost_fail(tile, tmp_path, monkeypatch):
    export = planted.export_tile
    flipped = lambda mapped, *arguments: export(  # noqa: E731
        mapped.assign({name: (("y", "x"), mapped[name].values[::-1]) for name in mapped.data_vars}), *arguments
    )
    monkeypatch.setattr(planted, "export_tile", flipped)
    assert check_georeference(tile, PATCHING, PostprocessingParameters(), tmp_path / "a").status == "failed"
    monkeypatch.undo()
    too_small = PostprocessingParameters(min_object_size=1000)
    finding = check_georeference(tile, PATCHING, too_small, tmp_path / "b")
    assert (finding.status, finding.figures["n_objects"]) == ("failed", 0)
