import cv2
import numpy as np
import pytest
import xarray as xr

from darts_export.facts import TileFacts
from darts_export.pictures import map_furniture
from darts_export.pictures.thumbnail import LONGEST_SIDE_PX, caption_lines, count_slumps, draw_ground, draw_thumbnail

CAPTION_PX = 54 + 2 * 30


def test_picture_keeps_the_shape_of_the_tile_above_its_caption(make_tile):
    picture = draw_thumbnail(make_tile(1700, 1200))
    assert picture.dtype == np.uint8
    assert picture.shape == (LONGEST_SIDE_PX + CAPTION_PX, round(1200 * LONGEST_SIDE_PX / 1700), 3)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 300), (200, 1), (7, 5)])
def test_any_tile_size_makes_a_picture_with_room_for_the_caption(make_tile, rows, columns):
    height, width, _ = draw_thumbnail(make_tile(rows, columns)).shape
    assert min(height - CAPTION_PX, width) >= map_furniture.SMALLEST_SIDE_PX
    assert max(height - CAPTION_PX, width) <= LONGEST_SIDE_PX


@pytest.mark.parametrize("shape", [(93, 120), (2600, 1300)])
def test_ground_that_was_drawn_before_makes_the_same_picture_without_colours(make_tile, shape):
    tile = make_tile(*shape)
    ground = draw_ground(tile)
    later = tile.drop_vars(["red", "green", "blue"])
    np.testing.assert_array_equal(draw_thumbnail(later, ground=ground), draw_thumbnail(tile))
    np.testing.assert_array_equal(ground, draw_ground(tile))  # it may be needed again


def test_a_tile_without_colours_is_grey(make_tile):
    tile = make_tile()[["binarized_segmentation", "extent"]]
    assert (draw_thumbnail(tile)[600] == 120).any()


def test_slumps_are_outlined_in_their_colour(make_tile):
    tile = make_tile()
    tile["binarized_segmentation"][:] = False
    plain = draw_thumbnail(tile)
    tile["binarized_segmentation"][40:60, 20:50] = True
    scale = LONGEST_SIDE_PX / 93
    marked = draw_thumbnail(tile)
    changed = np.argwhere((plain[:LONGEST_SIDE_PX] != marked[:LONGEST_SIDE_PX]).any(axis=-1)) / scale
    np.testing.assert_allclose(changed.min(axis=0), (40, 20), atol=0.5)
    np.testing.assert_allclose(changed.max(axis=0), (60, 50), atol=0.5)
    assert (marked == (255, 214, 10)).all(axis=-1).sum() > 1000


def test_a_slump_too_small_to_be_seen_is_circled(make_tile):
    tile = make_tile(2600, 1300)
    tile["binarized_segmentation"][:] = False
    plain = draw_thumbnail(tile)
    tile["binarized_segmentation"][1000, 600] = True
    changed = (plain != draw_thumbnail(tile))[:LONGEST_SIDE_PX].any(axis=-1)
    assert changed.sum() > 50


def test_colours_are_stretched_on_the_best_pixels(make_tile):
    tile = make_tile()
    tile["quality_data_mask"][:] = 2
    clear = draw_thumbnail(tile)[900, 100:600].mean()
    for name in ("red", "green", "blue"):
        tile[name][:45] = 5.0
    tile["quality_data_mask"][:45] = 1
    assert draw_thumbnail(tile)[900, 100:600].mean() == pytest.approx(clear, rel=0.05)


def test_circles_are_those_of_opencv_also_at_the_edge():
    picture = np.random.default_rng(1).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    expected, centres = picture.copy(), [(20, 30), (60, 20), (89, 59)]
    for centre in centres:
        cv2.circle(expected, centre, 7, (255, 214, 10), 2, cv2.LINE_AA)
    map_furniture.draw_circles(picture, centres, 7, (255, 214, 10), 2)
    np.testing.assert_allclose(picture.astype(int), expected, atol=4)  # OpenCV blends some pixels twice


def test_objects_are_counted_where_nobody_has_told_their_number():
    mask = xr.DataArray(np.array([[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=bool), dims=("y", "x"))
    assert count_slumps(mask) == 2
    assert count_slumps(mask.assign_attrs(n_objects=7)) == 7


def test_facts_count_objects_and_their_area(make_tile):
    tile = make_tile()
    tile["binarized_segmentation"][:] = False
    tile["binarized_segmentation"][5:15, 5:15] = True
    assert caption_lines(tile, 1, TileFacts())[0] == "2024-07-20  ·  1 slump, 1.0 ha"
    assert caption_lines(tile, 0, TileFacts(area_m2=24_000.0))[0].endswith("0 slumps, 2.4 ha")


def test_facts_say_what_was_seen_and_where_models_knew_too_little(make_tile):
    facts = TileFacts(observed_km2=104.25, clear_km2=98.0, cloudy_km2=6.25, features_missing=0.27)
    assert caption_lines(make_tile(), None, facts)[1] == (
        "observed 104.2 km²  ·  clear 98.0 km²  ·  cloudy 6.2 km²  ·  features missing in 27 %"
    )
    assert "missing" not in caption_lines(make_tile(), None, TileFacts(observed_km2=1.0, features_missing=0.01))[1]


@pytest.mark.parametrize(
    ("longest", "length", "text"), [(137, 100, "100 m"), (999, 500, "500 m"), (2000, 2000, "2 km"), (7.3, 5, "5 m")]
)
def test_scale_bar_is_of_a_round_length(longest, length, text):
    assert map_furniture.round_length_m(longest) == length
    assert map_furniture.length_text(length) == text


def test_north_arrow_points_clockwise_for_a_positive_angle():
    def tip(angle: float) -> np.ndarray:
        picture = np.zeros((480, 480, 3), dtype=np.uint8)
        map_furniture.draw_north_arrow(picture, angle)
        arrow = np.argwhere(picture[:76, :, 0] > 128)
        centre = np.array([map_furniture.MARGIN_PX + 26, 480 - map_furniture.MARGIN_PX - 16])
        away = arrow - centre
        away = away[np.hypot(*away.T) < 24]  # not the letter below
        return away[np.hypot(*away.T).argmax()]

    assert tip(0)[0] < -18
    assert tip(90)[1] > 18
