"""Searches in a real catalogue find exactly what a plain filter over all its items finds."""

import datetime
import logging

import catalogue_items
import geopandas as gpd
import numpy as np
import pytest
import shapely

from darts_acquisition import (
    get_aoi_from_cdse_s2_sr_scene_ids,
    get_cdse_s2_sr_scene_ids_from_geodataframe,
    get_cdse_s2_sr_scene_ids_from_tile_ids,
    search_cdse_s2_sr,
)
from darts_acquisition.services.retry import Limiter, Service
from darts_utils.errors import MissingDataError, ServiceError

ITEMS = {item["id"]: item for item in catalogue_items.items()}
SHAPES = {scene_id: shapely.geometry.shape(item["geometry"]) for scene_id, item in ITEMS.items()}
ANY = {"max_cloud_cover": None, "max_snow_cover": 100}


@pytest.fixture(autouse=True)
def unhurried(catalogue, monkeypatch):
    """The local catalogue has no limits, so it is asked without waiting."""
    monkeypatch.setenv("DARTS_CDSE_STAC_URL", catalogue)
    service = Service(name="Copernicus catalogue", advice="Try later.", limiter=Limiter(connections=4))
    monkeypatch.setattr("darts_acquisition.optical.cdse.catalog.CdseScenes.service", service)


def matches(item, *, tiles=None, start_date=None, end_date=None, months=None, years=None, **limits):
    """The plain filter that a search is compared with, area apart."""
    properties = item["properties"]
    day = datetime.datetime.fromisoformat(properties["datetime"]).date()
    for name, key in (("max_cloud_cover", "eo:cloud_cover"), ("max_snow_cover", "eo:snow_cover")):
        limit, cover = limits.get(name, 10), properties.get(key)
        if limit is not None and cover is not None and cover > limit:
            return False
    if tiles is not None and properties["grid:code"][5:] not in {tile.removeprefix("T") for tile in tiles}:
        return False
    if start_date is not None or end_date is not None:
        return (start_date or "0") <= day.isoformat() <= (end_date or "9")
    return (months is None or day.month in months) and (years is None or day.year in years)


def random_time(rng):
    """Return a date range (open or closed), months, years, both, or nothing."""
    kind = rng.integers(0, 6)
    days = sorted(str(datetime.date(2016, 1, 1) + datetime.timedelta(days=int(n))) for n in rng.integers(0, 3200, 2))
    if kind == 0:
        return {"start_date": days[0], "end_date": days[1]}
    if kind == 1:
        return {"start_date": days[0]} if rng.random() < 0.5 else {"end_date": days[0]}
    months = [int(month) for month in rng.integers(1, 13, rng.integers(1, 4))]
    years = [int(year) for year in rng.integers(2016, 2025, rng.integers(1, 3))]
    return ({"months": months[:1]}, {"years": years[:1]}, {"months": months, "years": years}, {})[kind - 2]


def random_limits(rng):
    choices = [0, 10, 20, 50, 99.5, 100, None]
    given = {name: choices[rng.integers(0, len(choices))] for name in ("max_cloud_cover", "max_snow_cover")}
    return {name: limit for name, limit in given.items() if rng.random() < 0.8}


def random_degrees(rng):
    """Return polygons with a hole, or of two parts, near the made-up scenes."""
    x, y = [(-134, 70), (-130, 69.5), (14, 48), (179.5, 68), (-179, 68)][rng.integers(0, 5)] + rng.normal(0, 1.5, 2)
    outer = shapely.Point(float(x), float(y)).buffer(float(rng.uniform(0.05, 3)), quad_segs=3)
    if rng.random() < 0.5:
        outer = outer.difference(shapely.affinity.scale(outer, 0.6, 0.6))
    if rng.random() < 0.5:
        outer = shapely.MultiPolygon([outer, shapely.box(14, 47, 14 + float(rng.uniform(0.1, 1)), 47.5)])
    return outer


def turned(area, degrees):
    return shapely.transform(area, lambda xy: xy + np.array([degrees, 0]))


@pytest.mark.parametrize("seed", range(4))
def test_random_areas_times_and_limits_in_degrees(seed):
    rng, sizes = np.random.default_rng(seed), []
    for _ in range(25):
        area, given = random_degrees(rng), random_time(rng) | random_limits(rng)
        found = get_cdse_s2_sr_scene_ids_from_geodataframe(gpd.GeoDataFrame(geometry=[area], crs="EPSG:4326"), **given)
        copies = [area, turned(area, 360), turned(area, -360)]
        expected = {
            scene_id
            for scene_id, item in ITEMS.items()
            if matches(item, **given) and any(SHAPES[scene_id].intersects(copy) for copy in copies)
        }
        assert set(found) == expected, given
        sizes.append(len(expected))
    assert max(sizes) > 5


@pytest.mark.parametrize(
    ("crs", "centres"),
    [
        ("EPSG:3413", [(-2_100_000, 400_000), (-1_700_000, 1_600_000)]),
        ("EPSG:32608", [(560_000, 7_745_000), (600_000, 7_850_000)]),
        ("EPSG:32660", [(700_000, 7_545_000), (790_000, 7_560_000)]),
    ],
)
def test_random_areas_in_metres(crs, centres):
    """The oracle projects the scenes with finely cut edges, not the area."""
    rng, sizes = np.random.default_rng(5), []
    dense = gpd.GeoSeries(SHAPES, crs="EPSG:4326").segmentize(0.001).to_crs(crs)
    dense = dense[np.isfinite(dense.bounds).all(axis=1)]
    for _ in range(25):
        x, y = centres[rng.integers(0, 2)] + rng.normal(0, 60_000, 2)
        area = shapely.Point(float(x), float(y)).buffer(float(rng.uniform(10_000, 150_000)), quad_segs=4)
        given = random_time(rng) | random_limits(rng)
        found = set(get_cdse_s2_sr_scene_ids_from_geodataframe(gpd.GeoDataFrame(geometry=[area], crs=crs), **given))
        touched = set(dense.index[dense.intersects(area)])
        expected = {scene_id for scene_id in touched if matches(ITEMS[scene_id], **given)}
        assert found == expected, given
        sizes.append(len(expected))
    assert max(sizes) > 5


@pytest.mark.parametrize("seed", range(2))
def test_random_tiles(seed):
    rng = np.random.default_rng(seed)
    names = ["T08WNB", "08WPB", "09WVS", "T33UVP", "60WWV", "31TCJ"]
    for _ in range(13):
        tiles, given = list(rng.choice(names, rng.integers(1, 4))), random_time(rng) | random_limits(rng)
        found = get_cdse_s2_sr_scene_ids_from_tile_ids(tiles, **given)
        assert set(found) == {i for i, item in ITEMS.items() if matches(item, tiles=tiles, **given)}, given


def test_the_last_moment_of_the_last_day_counts():
    scene_id, item = next(x for x in ITEMS.items() if "T23:59:59.999Z" in x[1]["properties"]["datetime"])
    tile, day = item["properties"]["grid:code"][5:], item["properties"]["datetime"][:10]
    year, month = int(day[:4]), int(day[5:7])
    assert scene_id in search_cdse_s2_sr(tiles=[tile], start_date=day, end_date=day, **ANY)
    assert scene_id in search_cdse_s2_sr(tiles=[tile], months=[month], years=[year], **ANY)
    assert scene_id not in search_cdse_s2_sr(tiles=[tile], months=[month % 12 + 1], years=[year], **ANY)


def test_tiles_and_an_area_must_both_match():
    area = SHAPES[next(scene_id for scene_id in ITEMS if "T08WPB" in scene_id)]
    found = search_cdse_s2_sr(area, ["08WNB"], **ANY)
    expected = {i for i, item in ITEMS.items() if matches(item, tiles=["08WNB"], **ANY) and SHAPES[i].intersects(area)}
    assert set(found) == expected
    assert list(found) == list(search_cdse_s2_sr(shapely.geometry.mapping(area), ["T08WNB"], **ANY))


def test_many_pages_are_read_to_the_end_in_order():
    found = search_cdse_s2_sr(shapely.box(-180, -90, 180, 90), **ANY)
    assert list(found) == sorted(ITEMS)
    item = found[min(ITEMS)]
    assert item.assets["B04_10m"].href == ITEMS[item.id]["assets"]["B04_10m"]["href"]
    assert item.properties["grid:code"] == ITEMS[item.id]["properties"]["grid:code"]


def test_scenes_of_unknown_snow_cover_are_kept_and_named(caplog):
    found = get_cdse_s2_sr_scene_ids_from_tile_ids(["33UVP"], max_cloud_cover=100, max_snow_cover=0)
    unknown = [scene_id for scene_id in found if "eo:snow_cover" not in ITEMS[scene_id]["properties"]]
    assert len(unknown) == 9
    assert caplog.record_tuples == [
        (
            "darts_acquisition.catalog.query",
            logging.WARNING,
            f"9 scenes without eo:snow_cover in the catalogue are kept: {', '.join(sorted(unknown))}",
        )
    ]


def test_footprints_of_scenes(caplog):
    wanted = [*list(ITEMS)[::3], "S2A_GONE"]
    footprints = get_aoi_from_cdse_s2_sr_scene_ids(wanted)
    assert footprints.crs == "EPSG:4326"
    assert list(footprints.scene_id) == wanted[:-1]
    assert all(row.geometry.equals_exact(SHAPES[row.scene_id], 1e-9) for row in footprints.itertuples())
    assert caplog.messages == ["the Copernicus catalogue has no scene S2A_GONE; the others go on"]
    with pytest.raises(MissingDataError) as caught:
        get_aoi_from_cdse_s2_sr_scene_ids(["S2A_GONE", "S2B_GONE"])
    assert str(caught.value) == (
        "Copernicus catalogue: it has no scene S2A_GONE, S2B_GONE. Check the ids; a scene that was processed again has "
        "a new one."
    )


def test_an_address_without_a_catalogue_is_named(catalogue, monkeypatch):
    monkeypatch.setenv("DARTS_CDSE_STAC_URL", f"{catalogue}/wrong")
    with pytest.raises(
        ServiceError, match=rf"Copernicus catalogue: POST {catalogue}/wrong/search was refused: 404 Not F"
    ):
        search_cdse_s2_sr(tiles=["33UVP"])
