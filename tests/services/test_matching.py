"""Matching in a real catalogue finds what a plain loop over all its scenes finds, and asks it seldom."""

import datetime
import functools
import json
import logging
from urllib.parse import urlsplit

import catalogue_items
import geopandas as gpd
import numpy as np
import pandas as pd
import pystac
import pytest
import shapely
from faults import FaultProxy

from darts_acquisition import match_cdse_s2_sr_scene_ids_from_geodataframe as match
from darts_acquisition.services.retry import Limiter, RetryPolicy, Service
from darts_utils.errors import ConfigError, OutputError, ServiceError

ITEMS = {item["id"]: item for item in catalogue_items.items()}
NOW = datetime.datetime(2020, 7, 1, tzinfo=datetime.UTC)


@pytest.fixture
def asked(catalogue, monkeypatch):
    """A catalogue without limits behind a proxy that counts requests and may spoil them."""
    proxy = FaultProxy(urlsplit(catalogue).port)
    monkeypatch.setenv("DARTS_CDSE_STAC_URL", proxy.url)
    policy = RetryPolicy(attempts=6, first_wait_s=0.01, longest_wait_s=0.05, read_timeout_s=5)
    service = Service(name="Copernicus catalogue", advice="Try later.", limiter=Limiter(connections=4), policy=policy)
    monkeypatch.setattr("darts_acquisition.optical.cdse.catalog.CdseScenes.service", service)
    yield proxy
    proxy.close()


def footprints(seed, number=24):
    """Return squares of 5 to 30 km near the made-up scenes, some across the antimeridian, with dates of years."""
    rng = np.random.default_rng(seed)
    centres = np.array([(-134, 69.8), (-131, 69.5), (13.9, 48.3), (179.6, 68.2)])
    places = centres[rng.integers(0, 4, number)] + rng.normal(0, 0.5, (number, 2))
    squares = []
    for longitude, latitude in places:
        half = float(rng.uniform(2_500, 15_000))
        on_map = f"+proj=laea +lon_0={longitude} +lat_0={latitude}"
        square = gpd.GeoSeries([shapely.box(-half, -half, half, half)], crs=on_map).to_crs("EPSG:4326").iloc[0]
        squares.append(square)
    days = pd.Timestamp("2016-01-01", tz="UTC") + pd.to_timedelta(rng.uniform(0, 3200, number), unit="D")
    return gpd.GeoDataFrame({"date": days}, geometry=squares, crs="EPSG:4326", index=[f"f{n}" for n in range(number)])


def on_map(geometry):
    """Return a polygon on an equal-area map around the pole, from longitudes that may jump at the antimeridian."""
    if np.ptp(shapely.get_coordinates(geometry)[:, 0]) > 180:
        geometry = shapely.transform(geometry, lambda xy: np.column_stack([xy[:, 0] % 360, xy[:, 1]]))
    return gpd.GeoSeries([geometry], crs="EPSG:4326").segmentize(0.05).to_crs("+proj=laea +lat_0=90").iloc[0].buffer(0)


@functools.cache
def scene_on_map(scene_id):
    outline = shape(ITEMS[scene_id])
    return shapely.union_all([on_map(polygon) for polygon in getattr(outline, "geoms", [outline])])


@functools.cache
def is_worse(scene_id, max_cloud_cover):
    """Tell whether a higher baseline or a newer processing that a search finds covers the ground of a scene."""

    def parts(name):
        head, baseline, orbit, tile, made = name.rsplit("_", 4)
        return (head, orbit, tile), (baseline, made)

    take, rank = parts(scene_id)
    ground = shape(ITEMS[scene_id])
    return any(
        parts(other)[0] == take
        and parts(other)[1] > rank
        and ITEMS[other]["properties"]["eo:cloud_cover"] <= max_cloud_cover
        and shape(ITEMS[other]).intersection(ground).area > 0.9 * ground.area
        for other in ITEMS
    )


def plain(footprint, day, day_range, max_cloud_cover, min_intersects):
    """Return the scores of all candidates by a plain loop."""
    whole, scores = on_map(footprint), {}
    for scene_id, item in ITEMS.items():
        if is_worse(scene_id, max_cloud_cover):
            continue
        cloud = item["properties"]["eo:cloud_cover"]
        days = abs((datetime.datetime.fromisoformat(item["properties"]["datetime"]).date() - day.date()).days)
        if days > day_range or cloud > max_cloud_cover:
            continue
        covered = whole.intersection(scene_on_map(scene_id)).area / whole.area
        if covered >= min_intersects - 1e-6 and covered > 0:
            scores[scene_id] = (cloud / 5) ** 2 + ((100 - 100 * covered) / 5) ** 2 + (days / 2) ** 2
    return scores


def shape(item):
    return shapely.geometry.shape(item["geometry"])


@pytest.mark.parametrize(
    ("seed", "criteria"),
    [(1, (60, 20, 0.7)), (2, (200, 50, 0.3)), (3, (400, 100, 0.0)), (5, (500, 10, 1.0))],
)
def test_a_match_is_that_of_a_plain_loop(asked, tmp_path, seed, criteria):
    frame, (days, clouds, share) = footprints(seed), criteria
    found = match(frame, days, clouds, share, save_scores=tmp_path / "matching-scores.parquet")
    assert list(found) == list(frame.index)
    table = pd.read_parquet(tmp_path / "matching-scores.parquet")
    for row in frame.itertuples():
        expected = plain(row.geometry, row.date, days, clouds, share)
        item = found[row.Index]
        written = table[table.footprint == row.Index].set_index("scene_id")
        assert set(written.index) == set(expected)
        assert dict(written.score) == pytest.approx(expected, rel=1e-3, abs=0.05)
        assert (item is None) == (not expected)
        if item is not None:
            assert expected[item.id] == pytest.approx(min(expected.values()), rel=1e-3, abs=0.05)
            assert list(written.index[written.match]) == [item.id]
            assert item.assets["B04_10m"].href == ITEMS[item.id]["assets"]["B04_10m"]["href"]
        assert (item is None) == (row.Index in found.reasons)
    assert sum(item is not None for item in found.values()) > 5
    parts = table[["cloud_score", "coverage_score", "days_score"]].sum(axis=1)
    np.testing.assert_allclose(parts, table.score)


def test_footprints_in_metres_match_the_same_scenes(asked):
    frame = footprints(2).iloc[[n for n, row in enumerate(footprints(2).geometry) if row.bounds[2] < -125]]
    assert len(frame) > 8
    degrees, metres = match(frame, 300, 100, 0.5), match(frame.to_crs("EPSG:3413"), 300, 100, 0.5)
    assert {k: v and v.id for k, v in degrees.items()} == {k: v and v.id for k, v in metres.items()}


def test_the_frame_is_left_as_it_was(asked):
    frame = footprints(1, 6)
    before = frame.copy(deep=True)
    match(frame, simplify_geometry=0.01)
    pd.testing.assert_frame_equal(frame, before)
    assert frame.crs == before.crs


def test_neighbours_share_a_query(asked):
    """Sixty footprints of three places and two summers: as many queries as places and summers, not as footprints."""
    rng = np.random.default_rng(0)
    rows = [
        {"geometry": shapely.box(x + dx, y, x + dx + 0.1, y + 0.1), "date": pd.Timestamp(f"{year}-07-{day:02d}")}
        for x, y in ((-133.9, 69.6), (-131.9, 69.6), (14.0, 48.3))
        for year in (2019, 2023)
        for dx, day in zip(rng.uniform(0, 0.2, 10), rng.integers(1, 28, 10), strict=True)
    ]
    found = match(gpd.GeoDataFrame(rows, crs="EPSG:4326"), 366, 100, 0.1)
    assert all(item is not None for item in found.values())
    assert len(asked.requests) <= 12


def one(geometry, day="2020-07-01", index="a"):
    return gpd.GeoDataFrame({"date": [pd.Timestamp(day)]}, geometry=[geometry], crs="EPSG:4326", index=[index])


def item(scene_id, *, day=NOW, cloud=10.0, area=None):
    """Return a scene around (-100, 70)."""
    outline = shapely.box(-102, 69, -98, 71) if area is None else area
    properties = {
        "datetime": day.isoformat().replace("+00:00", "Z"),
        "grid:code": "MGRS-14WMA",
        "eo:cloud_cover": cloud,
    }
    if cloud is None:
        del properties["eo:cloud_cover"]
    return {
        "type": "Feature", "stac_version": "1.1.0", "id": scene_id, "collection": "sentinel-2-l2a", "links": [],
        "geometry": shapely.geometry.mapping(outline), "bbox": list(outline.bounds), "properties": properties,
        "assets": {},
    }  # fmt: skip


WHERE = shapely.box(-100.5, 69.9, -99.5, 70.1)
HALF, TWO_THIRDS = shapely.box(-100, 69, -98, 71), shapely.box(-100.2, 69, -98, 71)


def hours(number):
    return NOW + datetime.timedelta(hours=number)


CHOSEN = [
    item("S2A_MSIL2A_20200701T120000_N0209_R1_T14WMA_20200701T140000", day=hours(12)),
    item("S2A_MSIL2A_20200701T120000_N0500_R1_T14WMA_20230101T140000", day=hours(12)),
    item("S2B_MSIL2A_20200701T180000_N0500_R1_T14WMA_20230101T140000", day=hours(18)),
    item("S2C_UNKNOWN_CLOUDS", day=hours(3), cloud=None),
    item("S2D_HALF", day=hours(2), cloud=0.0, area=HALF),
    item("S2E_CLOUDY", day=hours(24 * 100), cloud=60.0),
    item("S2E_OVERCAST", day=hours(24 * 100), cloud=90.0),
    item("S2F_TWO_THIRDS", day=hours(24 * 200), area=TWO_THIRDS),
    item("S2G_CLOUDY", day=hours(24 * 200), cloud=60.0),
    item("S2H_HALF", day=hours(24 * 300), area=HALF),
    item("S2H_CLOUDY", day=hours(24 * 300), cloud=60.0, area=TWO_THIRDS),
]


@pytest.fixture(scope="module")
def chosen(serve, tmp_path_factory):
    with serve("matching", CHOSEN, tmp_path_factory.mktemp("matching")) as url:
        yield url


@pytest.fixture
def asked_chosen(asked, chosen):
    """The scenes above in place of the many."""
    asked.port = urlsplit(chosen).port
    return asked


def after(days):
    return (NOW + datetime.timedelta(days=days)).strftime("%Y-%m-%d")


def test_of_equal_scenes_the_nearest_and_then_the_newest_processing_wins(asked_chosen):
    """Half a day apart in both directions for a footprint at noon, not at midnight."""
    found = match(one(WHERE, "2020-07-01T14:00"), 10)
    assert found["a"].id == "S2A_MSIL2A_20200701T120000_N0500_R1_T14WMA_20230101T140000"
    assert match(one(WHERE, "2020-07-01T17:00"), 10)["a"].id.startswith("S2B_MSIL2A")
    assert match(one(WHERE, "2020-07-01T17:00"), 0)["a"].id.startswith("S2B_MSIL2A")


@pytest.mark.parametrize(
    ("day", "reason"),
    [
        (after(50), "there is no scene within 10 days"),
        (after(105), "no scene that covers it has at most 20 % clouds, the best one has 60 %"),
        (after(200), "no scene that covers it has at most 20 % clouds, the best one has 60 %"),
        (after(300), "no scene covers 70% of it, the best one covers 70%"),
    ],
)
def test_why_there_is_no_scene_is_said(asked_chosen, caplog, day, reason):
    share = 0.705 if "70%" in reason else 0.75
    found = match(one(WHERE, day), 10, 20, share)
    assert found == {"a": None}
    assert found.reasons == {"a": reason.replace("covers 70% of", f"covers {share:.0%} of")}
    said = [text for name, level, text in caplog.record_tuples if "matching" in name and level >= logging.WARNING]
    assert said == [f"1 of 1 footprints have no Sentinel-2 scene (a: {found.reasons['a']})"]


def test_a_scene_of_unknown_cloud_cover_counts_as_overcast(asked_chosen):
    assert not match(one(WHERE), 0, 20, 0.7)["a"].id.startswith("S2C")
    only = one(shapely.box(-101.9, 69.1, -101.8, 69.2))
    assert match(only, 0, 100)["a"] is not None


def test_footprints_without_a_date_or_an_area_have_no_scene_and_stop_nobody(asked_chosen, caplog):
    days = ["2020-07-01", "202-00-722", None, "2020-07-01", "2020-07-01", "2020-07-01"]
    crossed = shapely.Polygon([(-100.5, 69.9), (-99.5, 70.1), (-99.5, 69.9), (-100.5, 70.1)])
    shapes = [WHERE, WHERE, WHERE, None, shapely.Polygon(), crossed]
    frame = gpd.GeoDataFrame({"date": days}, geometry=shapes, crs="EPSG:4326")
    found = match(frame)
    assert [item is not None for item in found.values()] == [True, False, False, False, False, True]
    assert found.reasons == {1: "it has no date", 2: "it has no date", 3: "it has no area", 4: "it has no area"}
    said = [text for name, level, text in caplog.record_tuples if "matching" in name and level >= logging.WARNING]
    assert said == [
        "4 of 6 footprints have no Sentinel-2 scene (1: it has no date; 2: it has no date; 3: it has no area; "
        "4: it has no area)"
    ]


@pytest.mark.parametrize(
    ("change", "given", "message"),
    [
        (
            lambda f: f.drop(columns="date"),
            {},
            "the footprints have no column date; they have geometry. Add the dates.",
        ),
        (lambda f: f.set_crs(None, allow_override=True), {}, "the footprints have no coordinate reference system. Set"),
        (lambda f: pd.concat([f, f]), {}, "the footprints have an index twice, so matches cannot be told apart. Reset"),
        (
            lambda f: f.assign(date=20200701),
            {},
            "the column date of the footprints holds numbers but must hold datetime",
        ),
        (lambda f: f, {"day_range": -1}, "day_range is -1 but must not be negative. Use 0 or more."),
        (lambda f: f, {"min_intersects": 70}, "min_intersects is 70 but must be between 0 and 1. Correct it."),
        (
            lambda f: f,
            {"max_cloud_cover": 101},
            "max_cloud_cover is 101 but must be between 0 and 100 percent. Correct",
        ),
    ],
)
def test_mistakes_are_named_before_anything_is_asked(change, given, message):
    with pytest.raises(ConfigError) as caught:
        match(change(one(WHERE)), **given)
    assert str(caught.value).startswith(message)


def test_no_footprints_have_no_scenes(tmp_path):
    found = match(one(WHERE).iloc[:0], save_scores=tmp_path / "scores.parquet", cache=tmp_path / "cache.json")
    assert found == {}
    assert len(pd.read_parquet(tmp_path / "scores.parquet")) == 0


def known(found):
    return {index: item and item.to_dict() for index, item in found.items()}


def test_what_is_in_the_cache_is_not_asked_again(asked, tmp_path):
    frame, file, scores = footprints(1, 12), tmp_path / "matching-cache.json", tmp_path / "scores.parquet"
    first = match(frame, cache=file, save_scores=scores)
    table, first_requests = scores.read_bytes(), len(asked.requests)
    assert first_requests > 0
    assert None in first.values()
    again = match(frame, cache=file, save_scores=scores)
    assert len(asked.requests) == first_requests
    assert known(again) == known(first)
    assert again.reasons == first.reasons
    assert scores.read_bytes() == table
    assert known(match(frame)) == known(first)


@pytest.mark.parametrize("change", ["outline", "date"])
def test_a_footprint_that_has_changed_is_asked_again(asked, tmp_path, change):
    frame, file = footprints(2, 8), tmp_path / "cache.json"
    match(frame, 200, 50, 0.3, cache=file)
    other = frame.copy()
    if change == "outline":
        other.loc["f3", "geometry"] = shapely.affinity.translate(other.geometry["f3"], 0.01)
    else:
        other.loc["f3", "date"] += pd.Timedelta(days=1)
    asked.requests.clear()
    found = match(other, 200, 50, 0.3, cache=file)
    assert len(asked.requests) in (1, 2)
    assert known(found) == known(match(other, 200, 50, 0.3))


@pytest.mark.parametrize("criteria", [(100, 50, 0.3), (200, 40, 0.5, 0.001)])
def test_with_other_criteria_all_is_asked_again(asked, tmp_path, criteria):
    frame, file = footprints(2, 8), tmp_path / "cache.json"
    match(frame, 200, 50, 0.3, cache=file)
    asked.requests.clear()
    expected = known(match(frame, *criteria))
    n_requests = len(asked.requests)
    assert known(match(frame, *criteria, cache=file)) == expected
    assert len(asked.requests) == 2 * n_requests
    match(frame, 200, 50, 0.3, cache=file)
    assert len(asked.requests) == 2 * n_requests


def test_a_matching_that_broke_off_goes_on(asked, tmp_path):
    frame, file = footprints(1, 12), tmp_path / "cache.json"
    whole = known(match(frame))
    n_requests = len(asked.requests)
    asked.requests.clear()
    asked.fault = lambda method, path: 404 if len(asked.requests) > n_requests // 2 else None
    with pytest.raises(ServiceError, match=r"^Copernicus catalogue: POST .*/search was refused: 404"):
        match(frame, cache=file)
    asked.fault = lambda method, path: None
    asked.requests.clear()
    assert known(match(frame, cache=file)) == whole
    assert 0 < len(asked.requests) < n_requests


def test_a_damaged_cache_is_one_warning_and_made_anew(asked, tmp_path, caplog):
    frame, file = footprints(1, 10), tmp_path / "cache.json"
    file.write_text('{"verdicts": {"a"')
    caplog.set_level(logging.WARNING, "darts_acquisition.catalog.matching_cache")
    found = match(frame, cache=file)
    said = [record.getMessage() for record in caplog.records if record.name.endswith("matching_cache")]
    assert len(said) == 1
    assert said[0].startswith(f"the matching cache {file} is damaged (JSONDecodeError: ")
    assert len(json.loads(file.read_text())["verdicts"]) == len(found)


def test_faults_of_the_catalogue_change_nothing(asked):
    frame = footprints(2, 12)
    expected = known(match(frame, 200, 50, 0.3))
    asked.spoil(0.3, seed=3, kinds=(429, 500, 503, "cut", "reset", "truncated"))
    assert known(match(frame, 200, 50, 0.3)) == expected


def test_scores_that_cannot_be_written_are_one_clear_error(asked_chosen, tmp_path):
    with pytest.raises(OutputError, match=r"^cannot write the matching scores /.*\. Choose another file\.$"):
        match(one(WHERE), save_scores=tmp_path)


def test_an_older_processing_of_the_same_take_is_no_match_however_clear_it_is_said_to_be(monkeypatch):
    """The clouds of a take are counted anew by each processing, so the older one may seem clearer."""
    old, new = (f"S2B_MSIL2A_20200701T200909_{baseline}_R128_T08WNB_20230101T000000" for baseline in ("N0214", "N0500"))
    square = shapely.geometry.mapping(shapely.box(-135, 69, -134, 70))
    items = {
        name: pystac.Item(name, square, None, NOW, {"eo:cloud_cover": cloud}) for name, cloud in ((old, 0), (new, 3))
    }
    monkeypatch.setattr("darts_acquisition.optical.cdse.catalog.CdseScenes.search", lambda *_: items)
    frame = gpd.GeoDataFrame({"date": [NOW]}, geometry=[shapely.box(-134.6, 69.4, -134.4, 69.6)], crs="EPSG:4326")
    assert match(frame)[0].id == new
