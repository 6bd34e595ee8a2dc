import pytest

from darts.datasets.build.sentinel2 import is_scene_id
from darts_utils.names import date_in, year_in

SCENES = {
    "S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418": ("2024", "07", "20"),
    "S2B_8WNB_20240720_0_L2A": ("2024", "07", "20"),
    "20230701T194909_20230701T195350_T11XNA": ("2023", "07", "01"),
    "Sentinel-2_mosaic_2025_Q3_60WWS_0_0": ("2025", "07", "01"),
    "composite-08WNB-20240703-20240816-median": ("2024", "07", "03"),
}
OTHERS = {
    "20210728_201112_93_2416": ("2021", "07", "28"),
    "4653245_0862521_2021-07-28_2416": ("2021", "07", "28"),
    "S2B_nothing": None,
    "mosaic_2025_Q5": None,
}


@pytest.mark.parametrize("image_id", [*SCENES, *OTHERS])
def test_ids_tell_their_kind_and_date(image_id):
    assert is_scene_id(image_id) == (image_id in SCENES)
    date = (SCENES | OTHERS)[image_id]
    assert date_in(image_id) == date
    assert year_in(image_id) == (None if date is None else int(date[0]))
