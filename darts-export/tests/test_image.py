from datetime import UTC, datetime

import pytest

from darts_export.image import acquired, image_id, image_time, sensor


@pytest.mark.parametrize(
    ("name", "day", "moment"),
    [
        ("S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418", "2024-07-20", (2024, 7, 20, 20, 9, 9)),
        ("20230701T194909_20230701T195350_T11XNA", "2023-07-01", (2023, 7, 1, 19, 49, 9)),
        ("4372514_0974017_2020-08-01_2212", "2020-08-01", (2020, 8, 1)),
        ("20170831_172754_101c", "2017-08-31", (2017, 8, 31, 17, 27, 54)),
        ("a scene", None, (1970, 1, 1)),
        ("x_20239931_y", None, (1970, 1, 1)),
        ("20240720_996161_1", "2024-07-20", (2024, 7, 20)),
    ],
)
def test_day_and_time_are_read_from_the_name(make_tile, name, day, moment):
    tile = make_tile().assign_attrs(tile_id=name)
    assert acquired(tile) == day
    assert image_time(tile) == datetime(*moment, tzinfo=UTC)


def test_attributes_tell_name_and_date_first(make_tile):
    tile = make_tile().assign_attrs(s2_tile_id="S2A_x", date="2021-06-05T12:00:00+02:00")
    assert (image_id(tile), acquired(tile)) == ("S2A_x", "2021-06-05")
    assert image_time(tile) == datetime(2021, 6, 5, 10, tzinfo=UTC)
    del tile.attrs["tile_id"], tile.attrs["s2_tile_id"]
    assert image_id(tile) == "unnamed tile"


@pytest.mark.parametrize("name", ["s2_tile_id", "planet_scene_id"])
def test_the_kind_of_id_tells_the_sensor(make_tile, name):
    tile = make_tile()
    assert sensor(tile) is None
    assert sensor(tile.assign_attrs({name: "x"})) == {"s2_tile_id": "sentinel2", "planet_scene_id": "planet"}[name]
