"""Catalogues that say nonsense: it costs the scene that it is said of, never the search."""

import copy
import json

import geopandas as gpd
import pystac
import pytest
import shapely

from darts_acquisition import (
    get_aoi_from_cdse_s2_sr_scene_ids,
    get_cdse_s2_sr_scene_ids_from_tile_ids,
    search_gee_s2_sr,
)
from darts_acquisition.catalog.fields import footprint_of
from darts_acquisition.catalog.nesting import read_json
from darts_acquisition.optical.cdse.catalog import CdseScenes
from darts_utils.errors import DataError, ServiceError

GOOD = "S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418"
SQUARE = {"type": "Polygon", "coordinates": [[[-135, 69], [-134, 69], [-134, 70], [-135, 70], [-135, 69]]]}


def feature(**changes):
    """Return an item of the catalogue; a change to None is said as null."""
    projection = {"proj:shape": [10, 20], "proj:transform": [10, 0, 5e5, 0, -10, 7.8e6], "proj:code": "EPSG:32608"}
    given = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": GOOD,
        "collection": "sentinel-2-l2a",
        "geometry": SQUARE,
        "bbox": [-135, 69, -134, 70],
        "properties": {"datetime": "2024-07-20T20:09:09Z", "eo:cloud_cover": 1, "eo:snow_cover": 2},
        "links": [],
        "assets": {"B02_10m": {"href": "s3://eodata/B02.jp2", "file:size": 5, **projection}},
    }
    return {**copy.deepcopy(given), **changes}


@pytest.fixture
def answer(monkeypatch):
    """Let the catalogue answer with something."""

    def give(content):
        text = content if isinstance(content, str) else json.dumps(content)
        monkeypatch.setattr("darts_acquisition.catalog.stac.fetch_text", lambda *_, **__: text)

    return give


def page(*features):
    return {"type": "FeatureCollection", "features": list(features), "links": []}


def search():
    return get_cdse_s2_sr_scene_ids_from_tile_ids(["08WNB"], max_cloud_cover=50)


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


DEEP = "[" * 50_000 + "]" * 50_000
NONSENSE = {
    "null": None,
    "a number": 7,
    "a text": "x",
    "a list": [1],
    "no words": {},
    "id null": feature(id=None),
    "id number": feature(id=5),
    "id list": feature(id=["a"]),
    "id leads out": feature(id="../../x"),
    "id long": feature(id="x" * 300),
    "id empty": feature(id=""),
    "id surrogate": feature(id="S2\ud800"),
    "properties null": feature(properties=None),
    "properties list": feature(properties=[1]),
    "assets null": feature(assets=None),
    "assets list": feature(assets=[{"href": "x"}]),
    "datetime junk": feature(properties={"datetime": "the day before"}),
    "datetime number": feature(properties={"datetime": 5}),
    "datetime missing": feature(properties={}),
    "version junk": feature(stac_version=["1"]),
    "type junk": feature(type="Catalog"),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_an_item_of_nonsense_is_left_out_and_named_and_the_others_are_found(answer, caplog, name):
    answer(page(NONSENSE[name], feature(), NONSENSE[name]))
    assert list(search()) == [GOOD]
    (message,) = caplog.messages
    assert message.startswith("Copernicus catalogue: 2 scenes cannot be used as it describes them and are left out: ")
    assert len(message) < 500


@pytest.mark.parametrize(
    "changes",
    [
        {"links": None},
        {"links": [5, {"href": 7, "rel": "self"}, {"rel": "root"}]},
        {"bbox": "everywhere"},
        {"stac_extensions": [None, 5]},
        {"collection": 5},
        {"geometry": None},
        {"assets": {"B02_10m": None, "B03_10m": {"href": 7}, "B04_10m": {"href": "s3://eodata/B04.jp2"}}},
    ],
)
def test_what_a_map_does_not_need_costs_nothing(answer, caplog, changes):
    answer(page(feature(**changes)))
    found = search()
    assert list(found) == [GOOD]
    assert all(isinstance(asset.href, str) for asset in found[GOOD].assets.values())
    assert caplog.messages == []


@pytest.mark.parametrize("cover", ["12", [], {}, True, float("nan"), float("inf")])
def test_a_cover_that_is_no_number_is_unknown(answer, caplog, cover):
    answer(page(feature(properties={"datetime": "2024-07-20T20:09:09Z", "eo:cloud_cover": cover, "eo:snow_cover": 0})))
    assert search()[GOOD].properties["eo:cloud_cover"] is None
    assert caplog.messages == [f"1 scenes without eo:cloud_cover in the catalogue are kept: {GOOD}"]


@pytest.mark.parametrize(
    "content",
    [
        "[]", "7", "null", '"x"', "<html>", "{}", '{"code": "NotFound"}', '{"features": 5}', '{"features": null}',
        json.dumps({"features": {"a": 1}}), "[" * 100_000, '{"features": [' + "[" * 100_000,
        json.dumps({**page(feature()), "links": [{"rel": "next", "href": 5}]}),
        json.dumps({**page(feature()), "links": [{"rel": "next"}]}),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_page_of_items_is_one_line_and_never_nothing_found(answer, content):
    answer(content)
    with pytest.raises(ServiceError, match=r"^Copernicus catalogue: .*/search did not answer with STAC items \("):
        search()


def test_links_of_nonsense_end_a_search_like_none(answer):
    answer({**page(feature()), "links": [5, None, {"href": "x"}]})
    assert list(search()) == [GOOD]


def test_an_item_that_is_nested_too_deeply_is_left_out(answer, monkeypatch):
    deep = feature(id="S2B_DEEP")
    deep["properties"]["deep"] = nested(100_000)
    monkeypatch.setattr("darts_acquisition.catalog.stac._with_features", lambda _: page(deep, feature()))
    answer("{}")
    assert list(search()) == [GOOD]


def test_depths_of_one_item_do_not_cost_the_page(answer):
    deep = json.dumps(page(feature(id="S2B_DEEP"), feature())).replace('"datetime"', f'"deep": {DEEP}, "datetime"', 1)
    answer(deep)
    found = search()
    assert list(found) == ["S2B_DEEP", GOOD]
    assert found["S2B_DEEP"].properties["eo:cloud_cover"] == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f'{{"a": {DEEP}, "b": "[{{\\"]"}}', {"b": '[{"]'}),
        (f'[{DEEP}, {{"x": {DEEP}}}, 5]', [{}, 5]),
        ('{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}),
    ],
)
def test_json_is_read_whatever_its_depth(text, value):
    def without_depths(found):
        if isinstance(found, dict):
            return {key: without_depths(item) for key, item in found.items() if not is_deep(item)}
        return [without_depths(item) for item in found if not is_deep(item)] if isinstance(found, list) else found

    def is_deep(found, depth=0):
        return depth > 50 or (isinstance(found, list) and len(found) == 1 and is_deep(found[0], depth + 1))

    assert without_depths(read_json(text)) == value


def test_what_breaks_off_in_the_depths_is_no_json():
    with pytest.raises(json.JSONDecodeError):
        read_json("[" * 100_000)


@pytest.mark.parametrize(
    "fields",
    [
        {"proj:shape": "10x20"},
        {"proj:shape": [10]},
        {"proj:shape": [10, -20]},
        {"proj:shape": [1e300, 1e300]},
        {"proj:shape": None},
        {"proj:transform": [10, 0, 5e5]},
        {"proj:transform": "identity"},
        {"proj:transform": [10, 0, None, 0, -10, 7.8e6]},
        {"proj:transform": [10, 0, float("nan"), 0, -10, 7.8e6]},
        {"proj:transform": [10, 0, 0, 10, 0, 0]},
        {"proj:code": "EPSG:999999"},
        {"proj:code": ["EPSG:32608"]},
        {"proj:code": 'LOCAL_CS["x",UNIT["metre",1]]'},
        {"proj:code": None, "proj:epsg": None},
        {"proj:code": "EPSG:4978"},
    ],
)
def test_a_wrong_projection_is_one_line(answer, fields):
    asset = {**feature()["assets"]["B02_10m"], **fields}
    answer(page(feature(assets={"B02_10m": asset})))
    item = search()[GOOD]
    with pytest.raises(DataError) as caught:
        CdseScenes().grid(item)
    assert GOOD in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_grid_of_a_sound_item_is_known(answer):
    answer(page(feature()))
    assert CdseScenes().grid(search()[GOOD]).shape == (10, 20)


@pytest.mark.parametrize("size", ["5 MB", -5, None, [], float("nan"), 1e30, True, 0])
def test_a_size_that_is_none_counts_as_usual(answer, size):
    asset = {"href": "s3://eodata/B02.jp2", "file:size": size}
    answer(page(feature(assets={"B02_10m": asset, "B03_10m": {**asset, "file:size": 7}})))
    assert CdseScenes().size_bytes(search()[GOOD], ["B02_10m", "B03_10m", "B08_10m"]) == 100_000_007


JUMPING = {"type": "Polygon", "coordinates": [[[179, 66], [-179, 66], [-179, 67], [179, 67], [179, 66]]]}


@pytest.mark.parametrize(
    ("geometry", "area"),
    [
        (SQUARE, 1),
        ({"type": "Polygon", "coordinates": [SQUARE["coordinates"][0][:4]]}, 1),
        ({"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]}, 2),
        (JUMPING, 2),
        ({"type": "LinearRing", "coordinates": JUMPING["coordinates"][0]}, 2),
        ({"type": "Polygon", "coordinates": [[[-135, 69, 5], [-134, 69, 5], [-134, 70, 5], [-135, 69, 5]]]}, 0.5),
        (None, None),
        ({}, None),
        ("everywhere", None),
        ({"type": "Polygon", "coordinates": []}, None),
        ({"type": "Polygon", "coordinates": "x"}, None),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, float("nan")], [1, 1], [0, 0]]]}, None),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1e30, 0], [1, 1], [0, 0]]]}, None),
        ({"type": "Point", "coordinates": [1, 1]}, None),
        ({"type": "Nonsense", "coordinates": [1, 1]}, None),
    ],
)
def test_footprints_are_mended_or_unknown(geometry, area):
    footprint = footprint_of(geometry)
    assert (footprint is None) == (area is None)
    if footprint is not None:
        assert footprint.is_valid
        assert footprint.area == pytest.approx(area)
        assert all(part.bounds[2] - part.bounds[0] < 180 for part in shapely.get_parts(footprint))


def test_both_catalogues_give_the_footprint_at_the_antimeridian_in_parts(answer, caplog):
    """Catalogues that others run have rings whose longitudes jump; they must not go once around the Earth."""
    from odc.geo.geobox import GeoBox

    from darts_acquisition.optical.gee.search import _footprint

    answer(page(feature(geometry=JUMPING), feature(id="S2B_NOWHERE", geometry=None)))
    footprints = get_aoi_from_cdse_s2_sr_scene_ids([GOOD, "S2B_NOWHERE"])
    assert list(footprints.scene_id) == [GOOD]
    of_earth_engine = _footprint(JUMPING, GeoBox.from_bbox((0, 0, 1, 1), "EPSG:4326", shape=(2, 2)))
    assert footprints.geometry[0].geom_type == "MultiPolygon"
    assert footprints.geometry[0].equals(of_earth_engine)
    assert caplog.messages == ["the Copernicus catalogue does not tell what scene S2B_NOWHERE covers; the others go on"]


BAND = {"id": "B2", "dimensions": [20, 10], "crs": "EPSG:32608", "crs_transform": [10, 0, 5e5, 0, -10, 7.8e6]}
GEE_ID = "20240720T200909_20240720T200911_T08WNB"


def image(**changes):
    return {
        "type": "Image", "id": f"COPERNICUS/S2_SR_HARMONIZED/{GEE_ID}", "bands": [BAND], "properties": {}, **changes
    }  # fmt: skip


@pytest.fixture
def earthengine_says(monkeypatch):
    """Let Earth Engine answer with something, whatever it is asked."""

    class Anything:
        def __getattr__(self, _):
            return lambda *_, **__: self

    def give(content):
        for name in ("_collection", "_between", "_with_tiles", "_at_most"):
            monkeypatch.setattr(f"darts_acquisition.optical.gee.search.{name}", lambda *_, **__: Anything())
        monkeypatch.setattr("darts_acquisition.optical.gee.search.ensure_earthengine", lambda: None)
        monkeypatch.setattr("darts_acquisition.optical.gee.search._value", lambda *_: content)

    return give


@pytest.mark.parametrize(
    "bad",
    [
        None, 5, "x", [], {}, image(id=None), image(id="COPERNICUS/../..", properties={}), image(bands=None),
        image(bands=[]), image(bands=[{}]), image(bands=[{**BAND, "dimensions": None}]),
        image(bands=[{**BAND, "dimensions": ["a", 1]}]), image(bands=[{**BAND, "crs": "nonsense"}]),
        image(bands=[{**BAND, "crs_transform": [1]}]), image(properties=None),
    ],
)  # fmt: skip
def test_a_listing_of_earth_engine_loses_only_what_is_nonsense(earthengine_says, caplog, bad):
    earthengine_says([bad, image()])
    assert list(search_gee_s2_sr(tiles=["08WNB"], max_cloud_cover=None, max_snow_cover=None)) == [GEE_ID]
    (message,) = caplog.messages
    assert message.startswith("Earth Engine: 1 scenes cannot be used as it describes them and are left out: ")


def test_numbers_of_earth_engine_that_are_none_are_unknown(earthengine_says):
    from darts_acquisition.optical.gee.catalog import scene_attributes

    junk = {"MEAN_SOLAR_ZENITH_ANGLE": "low", "system:time_start": 1e300, "CLOUDY_PIXEL_PERCENTAGE": [1]}
    earthengine_says([image(properties={**junk, "system:footprint": {"type": "Polygon", "coordinates": 5}})])
    scene = search_gee_s2_sr(tiles=["08WNB"], max_cloud_cover=None, max_snow_cover=None)[GEE_ID]
    assert scene_attributes(scene) == {
        "collection": "COPERNICUS/S2_SR_HARMONIZED",
        "system:footprint": {"type": "Polygon", "coordinates": 5},
    }
    assert not scene.footprint.is_empty


@pytest.mark.parametrize("content", [None, 5, {}, "x"])
def test_a_listing_of_earth_engine_that_is_none_is_one_line(earthengine_says, content):
    earthengine_says(content)
    with pytest.raises(ServiceError, match=r"^Earth Engine: .* did not answer with a list of scenes but with "):
        search_gee_s2_sr(tiles=["08WNB"], max_cloud_cover=None, max_snow_cover=None)


def test_an_item_of_a_user_is_as_safe(tmp_path):
    item = pystac.Item.from_dict(feature())
    item.assets["B02_10m"].extra_fields["proj:transform"] = "north"
    with pytest.raises(DataError, match="does not give the 10 m grid"):
        CdseScenes().grid(item)


@pytest.mark.parametrize(
    "content",
    ["null", "[]", "5", "[" * 100_000, json.dumps(feature(assets={"dem": {"href": 5}, "datamask": {"href": "x"}}))],
)
def test_an_item_of_the_arcticdem_service_that_is_none_is_one_line(monkeypatch, content):
    from darts_acquisition.services.arcticdem import fetch_mosaic

    monkeypatch.setattr("darts_acquisition.services.arcticdem.fetch_text", lambda *_, **__: content)
    with pytest.raises(DataError, match=r"^ArcticDEM service: .*/items/1_1 is no STAC item \(") as caught:
        fetch_mosaic("1_1", 10)
    assert "\n" not in str(caught.value)


def test_rows_of_the_arcticdem_index_without_a_name_or_an_outline_are_left_out(tmp_path, caplog):
    from darts_acquisition.auxiliary.arcticdem_mosaics import read_index

    square = shapely.box(0, 0, 1e5, 1e5)
    gpd.GeoDataFrame(
        {"dem_id": ["1_1", "../../x", "2_2", "3_3"]}, geometry=[square, square, None, shapely.Polygon()], crs=3413
    ).to_parquet(tmp_path / "ArcticDEM_Mosaic_Index_v4_1_10m.parquet")
    assert list(read_index(tmp_path, 10).dem_id) == ["1_1"]
    assert caplog.messages == [
        f"3 rows of the tile index {tmp_path}/ArcticDEM_Mosaic_Index_v4_1_10m.parquet have no usable id or outline"
    ]


def pages(monkeypatch, link):
    """Let the catalogue lead from page to page; return the addresses that are asked."""
    asked = []

    def fetch(_service, url, **_):
        asked.append(url)
        number = len(asked)
        item = feature(id=f"{GOOD}_{number}" if number != 3 or link != "same items" else f"{GOOD}_2")
        href = {
            "itself": url,
            "same items": f"http://127.0.0.1:1/search?page={number}",
            "on and on": f"http://127.0.0.1:1/search?page={number}",
            "another host": "http://127.0.0.1:2/search",
        }[link]
        return json.dumps({**page(item), "links": [{"rel": "next", "href": href, "method": "GET"}]})

    monkeypatch.setattr("darts_acquisition.catalog.stac.fetch_text", fetch)
    monkeypatch.setattr("darts_acquisition.catalog.stac.MOST_PAGES", 5)
    monkeypatch.setenv("DARTS_CDSE_STAC_URL", "http://127.0.0.1:1")
    return asked


@pytest.mark.parametrize(
    ("link", "said", "n_asked"),
    [
        ("itself", "http://127.0.0.1:1/search leads to itself as the next page", 2),
        ("same items", "it gives the same page of items again", 3),
        ("on and on", "the search has more than 5 pages", 5),
        ("another host", "its next page is http://127.0.0.1:2/search, but only 127.0.0.1 is asked", 1),
    ],
)
def test_a_search_that_leads_nowhere_ends(monkeypatch, link, said, n_asked):
    asked = pages(monkeypatch, link)
    with pytest.raises(ServiceError) as caught:
        search()
    assert str(caught.value).startswith(f"Copernicus catalogue: {said}. ")
    assert len(asked) == n_asked
