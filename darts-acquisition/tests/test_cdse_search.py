"""What is wrong with a search is said before anything is asked."""

import pytest

from darts_acquisition import get_cdse_s2_sr_scene_ids_from_tile_ids, search_cdse_s2_sr
from darts_acquisition.catalog.query import SceneQuery
from darts_acquisition.optical.cdse.catalog import CdseScenes
from darts_utils.errors import ConfigError


def test_tiles_may_be_written_in_several_ways():
    query = SceneQuery(tiles=["T08WNB", "8wnb", " 33UVP "], max_cloud_cover=None, max_snow_cover=100)
    (only,) = CdseScenes().conditions(query)[0]["where"]
    assert only == {"op": "in", "args": [{"property": "grid:code"}, ["MGRS-08WNB", "MGRS-08WNB", "MGRS-33UVP"]]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"tiles": ["33UVP", "TX08", "61UVP", "33IVP"]},
            "TX08, 61UVP, 33IVP in tile_ids is no MGRS tile such as 08WNB or T08WNB. Correct it.",
        ),
        ({"tiles": []}, "tile_ids is [] but must be a list of MGRS tiles such as 08WNB. Give at least one."),
        ({"tiles": "33UVP"}, "tile_ids is '33UVP' but must be a list of MGRS tiles such as 08WNB. Give at least one."),
        ({}, "neither an area nor tiles are given, so the whole world would be searched. Give one of them."),
        (
            {"tiles": ["33UVP"], "max_cloud_cover": 101},
            "max_cloud_cover is 101 but must be between 0 and 100 percent. Correct it, or leave it out.",
        ),
        (
            {"tiles": ["33UVP"], "max_snow_cover": float("nan")},
            "max_snow_cover is nan but must be between 0 and 100 percent. Correct it, or leave it out.",
        ),
    ],
)
def test_a_wrong_search_is_refused(given, message):
    with pytest.raises(ConfigError) as caught:
        search_cdse_s2_sr(**given)
    assert str(caught.value) == message


def test_a_dead_catalogue_is_one_line(monkeypatch):
    from darts_acquisition.services import copernicus
    from darts_acquisition.services.retry import RetryPolicy
    from darts_utils.errors import ServiceError

    monkeypatch.setenv("DARTS_CDSE_STAC_URL", "http://127.0.0.1:9/v1")
    policy = RetryPolicy(attempts=2, first_wait_s=0.01)
    monkeypatch.setitem(copernicus.CATALOGUE.__dict__, "policy", policy)
    with pytest.raises(ServiceError) as caught:
        get_cdse_s2_sr_scene_ids_from_tile_ids(["33UVP"])
    assert str(caught.value).startswith("Copernicus catalogue: POST http://127.0.0.1:9/v1/search failed 2 times in 0 s")
    assert str(caught.value).endswith(
        "Check your connection, or try again later; DARTS_CDSE_STAC_URL names another catalogue."
    )
