"""Searches on Earth Engine find exactly what a plain filter over all its scenes finds."""

import datetime
import json
import logging
import pickle

import earthengine_items
import geopandas as gpd
import numpy as np
import pytest
import shapely
from test_search import ANY, random_degrees, random_limits, turned

from darts_acquisition import (
    get_aoi_from_gee_scene_ids,
    get_gee_s2_sr_scene_ids_from_geodataframe,
    get_gee_s2_sr_scene_ids_from_tile_ids,
    get_gee_s2_sr_scenes,
    search_gee_s2_sr,
)
from darts_utils.errors import ConfigError, MissingDataError


@pytest.fixture
def scenes(earthengine, monkeypatch):
    """Footprint and properties of all scenes by id; pages are small, so that there are many."""
    monkeypatch.setattr("darts_acquisition.optical.gee.search._PAGE_SCENES", 60)
    return earthengine_items.fill(earthengine)


def matches(properties, *, tiles=None, start_date=None, end_date=None, max_cloud_cover=10, max_snow_cover=10):
    """The plain filter that a search is compared with, area apart."""
    moment = datetime.datetime.fromtimestamp(properties["system:time_start"] / 1000, datetime.UTC)
    for limit, key in ((max_cloud_cover, "CLOUDY_PIXEL_PERCENTAGE"), (max_snow_cover, "SNOW_ICE_PERCENTAGE")):
        if limit is not None and properties.get(key) is not None and properties[key] > limit:
            return False
    if tiles is not None and properties["MGRS_TILE"] not in {tile.removeprefix("T") for tile in tiles}:
        return False
    return (start_date or "0") <= moment.date().isoformat() <= (end_date or "9")


def random_days(rng):
    days = sorted(str(datetime.date(2016, 1, 1) + datetime.timedelta(days=int(n))) for n in rng.integers(0, 3200, 2))
    if rng.random() < 0.3:  # the end of a month, where scenes lie in the last moment of the day
        days[1] = str(datetime.date.fromisoformat(days[1]).replace(day=1) - datetime.timedelta(days=1))
    return (
        {},
        {"start_date": days[0]},
        {"end_date": days[1]},
        dict(zip(("start_date", "end_date"), days, strict=True)),
    )[0 if days[1] < days[0] else rng.integers(0, 4)]


@pytest.mark.parametrize("seed", range(3))
def test_random_areas_days_and_limits(scenes, seed):
    rng, sizes = np.random.default_rng(seed), []
    for _ in range(20):
        area, given = random_degrees(rng), random_days(rng) | random_limits(rng)
        found = get_gee_s2_sr_scene_ids_from_geodataframe(gpd.GeoDataFrame(geometry=[area], crs="EPSG:4326"), **given)
        copies = [area, turned(area, 360), turned(area, -360)]
        expected = {
            scene_id
            for scene_id, (footprint, properties) in scenes.items()
            if matches(properties, **given) and any(footprint.intersects(copy) for copy in copies)
        }
        assert set(found) == expected, given
        assert list(found) == sorted(found)
        sizes.append(len(expected))
    assert max(sizes) > 5


def test_random_tiles_days_and_limits(scenes):
    rng, sizes = np.random.default_rng(9), []
    for _ in range(20):
        tiles = [str(tile) for tile in rng.choice(["08WNB", "T08WPB", "33UVP", "T60WWV", "01WCS"], 2, replace=False)]
        given = random_days(rng) | random_limits(rng)
        found = get_gee_s2_sr_scene_ids_from_tile_ids(tiles, **given)
        assert set(found) == {name for name, (_, p) in scenes.items() if matches(p, tiles=tiles, **given)}
        sizes.append(len(found))
    assert max(sizes) > 60, "no search took more than a page"


def test_both_sides_of_the_antimeridian_are_searched(scenes):
    area = shapely.MultiPolygon([shapely.box(179.9, 67, 180, 69), shapely.box(-180, 67, -179.9, 69)])
    found = search_gee_s2_sr(intersects=area, **ANY)
    tiles = {scene_id[-5:] for scene_id in found}
    assert tiles == {"60WWV", "01WCS"}
    crossing = [scene.footprint for scene in found.values() if scene.footprint.geom_type == "MultiPolygon"]
    assert crossing
    assert all(footprint.bounds[2] - footprint.bounds[0] > 359 for footprint in crossing)
    assert all(part.bounds[2] - part.bounds[0] < 10 for footprint in crossing for part in footprint.geoms)


def test_a_scene_knows_its_grid_and_can_be_pickled(scenes, earthengine):
    tile = "08WNB"
    found = get_gee_s2_sr_scene_ids_from_tile_ids([tile], **ANY)
    assert len(found) == 60
    for scene_id, scene in found.items():
        footprint, properties = scenes[scene_id]
        assert (scene.scene_id, scene.collection) == (scene_id, "COPERNICUS/S2_SR_HARMONIZED")
        assert properties.items() <= scene.properties.items()
        assert scene.footprint.symmetric_difference(footprint).area < 1e-12
        assert scene.geobox.shape == (10980, 10980)
        assert scene.geobox.crs.epsg == 32608
        assert tuple(scene.geobox.affine)[:6] == (10, 0, 499_980, 0, -10, 7_800_000)
        json.dumps(scene.properties)
    assert pickle.loads(pickle.dumps(found)) == found
    assert earthengine.asked("value:compute") == 2


def test_what_is_not_known_is_kept_and_counted(scenes, caplog):
    with caplog.at_level(logging.WARNING):
        found = search_gee_s2_sr(tiles=["08WNB"], max_cloud_cover=None, max_snow_cover=0)
    unknown = [name for name, scene in found.items() if "SNOW_ICE_PERCENTAGE" not in scene.properties]
    assert len(unknown) == 9
    assert [record.getMessage() for record in caplog.records] == [
        f"9 scenes without SNOW_ICE_PERCENTAGE on Earth Engine are kept: {', '.join(unknown)}"
    ]


@pytest.mark.parametrize("given", [{"months": [7]}, {"years": [2020]}, {"months": [7], "start_date": "2020-01-01"}])
def test_months_and_years_are_refused(earthengine, given):
    with pytest.raises(ConfigError) as caught:
        search_gee_s2_sr(tiles=["08WNB"], **given)
    assert str(caught.value) == (
        "month and year filters are not implemented for Earth Engine. "
        "Give start_date and end_date instead (--start-date, --end-date), or another raw_data_source."
    )
    assert earthengine.requests == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "neither an area nor tiles are given, so the whole world would be searched. Give one of them."),
        ({"tiles": ["8XYZ9"]}, "8XYZ9 in tile_ids is no MGRS tile such as 08WNB or T08WNB. Correct it."),
        (
            {"tiles": ["08WNB"], "max_cloud_cover": 101},
            "max_cloud_cover is 101 but must be between 0 and 100 percent. Correct it, or leave it out.",
        ),
        (
            {"tiles": ["08WNB"], "start_date": "2020"},
            "start_date is '2020' but must be a day such as 2024-07-31. Correct it.",
        ),
    ],
)
def test_wrong_values_are_refused_before_anything_is_asked(earthengine, given, message):
    with pytest.raises(ConfigError) as caught:
        search_gee_s2_sr(**given)
    assert str(caught.value) == message
    assert earthengine.requests == []


def test_scenes_by_id(scenes, caplog):
    ids = sorted(scenes)[:25]
    with caplog.at_level(logging.WARNING):
        found = get_gee_s2_sr_scenes([*ids, "20000101T000000_20000101T000000_T08WNB", ids[0]])
    assert list(found) == ids
    assert [record.getMessage() for record in caplog.records] == [
        "Earth Engine has no scene 20000101T000000_20000101T000000_T08WNB in COPERNICUS/S2_SR_HARMONIZED; "
        "the others go on"
    ]
    frame = get_aoi_from_gee_scene_ids(ids)
    assert frame.crs.to_epsg() == 4326
    assert list(frame.scene_id) == ids
    assert all(a.symmetric_difference(scenes[i][0]).area < 1e-9 for i, a in zip(ids, frame.geometry, strict=True))
    with pytest.raises(MissingDataError) as caught:
        get_gee_s2_sr_scenes(["no", "neither"])
    assert str(caught.value) == ("Earth Engine: COPERNICUS/S2_SR_HARMONIZED has no scene no, neither. Check the ids.")


def test_an_unknown_collection_is_missing_data(earthengine):
    with pytest.raises(MissingDataError) as caught:
        search_gee_s2_sr(tiles=["08WNB"], collection="COPERNICUS/S3")
    assert str(caught.value) == (
        "Earth Engine: searching COPERNICUS/S3: ImageCollection.load: ImageCollection asset 'COPERNICUS/S3' not found "
        "(does not exist or caller does not have access). Check the id, and that your account may read it."
    )


def test_the_last_moment_of_a_day_belongs_to_it(scenes):
    late = {name: p for name, (_, p) in scenes.items() if p["MGRS_TILE"] == "08WNB" and name[9:15] == "235959"}
    assert len(late) >= 5
    for name, properties in late.items():
        assert properties["system:time_start"] % 1000 == 999
        day = str(datetime.date.fromisoformat(name[:8]))
        assert name in get_gee_s2_sr_scene_ids_from_tile_ids(["08WNB"], start_date=day, end_date=day, **ANY)
        after = str(datetime.date.fromisoformat(day) + datetime.timedelta(days=1))
        assert name not in get_gee_s2_sr_scene_ids_from_tile_ids(["08WNB"], start_date=after, end_date=after, **ANY)
