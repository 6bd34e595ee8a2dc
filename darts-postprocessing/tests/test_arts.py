"""The schema of ARTS: what is written, what is found wrong, and that nothing is lost on the way there and back."""

import geopandas as gpd
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from inventory_cases import rectangle, square

from darts_postprocessing.exchange import places
from darts_postprocessing.exchange.arts import check_arts, from_arts, to_arts
from darts_postprocessing.exchange.arts_check import is_near
from darts_postprocessing.exchange.arts_schema import COLUMNS, degrees_text, uid_of
from darts_postprocessing.exchange.contribution import Contribution
from darts_postprocessing.exchange.places import centroids
from darts_postprocessing.inventory.plane import to_plane
from darts_utils.crs import EQUAL_AREA
from darts_utils.errors import ConfigError, DataError
from darts_utils.objects.geodesy import ground_areas_m2

GIVEN = {
    "region_name": "Peel Plateau",
    "creator_lab": "DARTS",
    "base_map_source": "Sentinel-2",
    "base_map_resolution": 10,
    "contribution_date": "2026-11-27",
}
VALUES = ("69.1", "-135.5", "Peel", "AWI", "2021-07-01,2021-08-02", "Sentinel-2", 10.0, "Positive", "Polygon")
UID = "84dc710e-8d1b-5bab-b868-403243957bdf"
"""Of the text 69.1-135.5PeelAWI2021-07-01,2021-08-02Sentinel-210PositivePolygon: see test_the_uid_is_that_of_..."""


def slumps_of(shapes, crs=EQUAL_AREA, **columns):
    days = {"first_acquired": "2021-07-01", "last_acquired": "2021-08-02"}
    ids = [f"slump {number}" for number in range(len(shapes))]
    return gpd.GeoDataFrame({"slump_id": ids, "year": 2021, **days, **columns}, geometry=list(shapes), crs=crs)


TWO = (square(0, 0, 100), rectangle(500, 0, 700, 100))


@pytest.fixture
def layer():
    return to_arts(slumps_of(TWO), Contribution(**GIVEN))


def test_the_uid_is_that_of_the_required_values_in_their_order_without_a_separator():
    """SHA-1 over the namespace and the text, version and variant set: RFC 9562, 5.5, without Python's own uuid5."""
    import hashlib

    namespace = bytes.fromhex("6ba7b8109dad11d180b400c04fd430c8")
    text = "69.1-135.5PeelAWI2021-07-01,2021-08-02Sentinel-210PositivePolygon"
    digest = bytearray(hashlib.sha1(namespace + text.encode()).digest()[:16])
    digest[6], digest[8] = digest[6] & 0x0F | 0x50, digest[8] & 0x3F | 0x80
    digits = digest.hex()
    by_hand = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    assert uid_of(VALUES) == by_hand == UID


def test_a_resolution_counts_as_an_integer_only_where_it_is_whole():
    assert uid_of((*VALUES[:6], "10", *VALUES[7:])) == uid_of((*VALUES[:6], 10, *VALUES[7:])) == UID
    assert uid_of((*VALUES[:6], 0.5, *VALUES[7:])) == uid_of((*VALUES[:6], "0.50", *VALUES[7:])) != UID


def test_coordinates_count_with_five_decimals_however_they_are_given():
    assert uid_of((69.1, -135.5, *VALUES[2:])) == uid_of(("69.10000312", -135.50000499, *VALUES[2:])) == UID
    assert uid_of((69.10001, *VALUES[1:])) != UID


@given(st.floats(-180, 180))
def test_degrees_are_text_as_python_rounds(degrees):
    text = degrees_text(np.float64(degrees))
    assert text == str(round(degrees, 5))
    assert degrees_text(float(text)) == text
    assert abs(float(text) - degrees) <= 5.0001e-6


def test_slumps_of_a_year_become_a_layer_without_fault(layer):
    slumps = slumps_of(TWO)
    lon, lat = centroids(slumps.geometry, EQUAL_AREA).T.tolist()
    assert tuple(layer.columns) == (*COLUMNS, "geometry")
    assert layer["CentroidLat"].tolist() == [str(round(value, 5)) for value in lat]
    assert layer["CentroidLon"].tolist() == [str(round(value, 5)) for value in lon]
    first = layer.iloc[0]
    told = [first[name] for name in COLUMNS[2:9]]
    assert told == ["Peel Plateau", "DARTS", "2021-07-01,2021-08-02", "Sentinel-2", 10.0, "Positive", "Polygon"]
    assert first["UID"] == uid_of([first[name] for name in COLUMNS[:9]])
    assert (layer[["MergedRTS", "SplitRTS", "NewRTS", "StabilizedRTS", "UnknownRelationship"]] == "").all(axis=None)
    assert (first["ContributionDate"], first["BaseMapID"], first["Notes"]) == ("2026-11-27", "", "slump_id=slump 0")
    assert layer["Area"].tolist() == pytest.approx([0.01, 0.02], rel=1e-3)
    assert layer.crs == "EPSG:4326"
    assert check_arts(layer) == []


def test_one_day_is_no_range():
    slumps = slumps_of(TWO[:1], last_acquired="2021-07-01")
    assert to_arts(slumps, Contribution(**GIVEN))["BaseMapDate"].tolist() == ["2021-07-01"]


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3413"])
def test_layers_are_in_either_crs_with_the_same_values(crs, layer):
    other = to_arts(slumps_of(TWO), Contribution(**GIVEN), crs=crs)
    assert other.crs == crs
    assert check_arts(other) == []
    pd.testing.assert_frame_equal(other.drop(columns="geometry"), layer.drop(columns="geometry"))
    assert ground_areas_m2(other.geometry, crs) == pytest.approx(ground_areas_m2(layer.geometry, "EPSG:4326"), rel=1e-6)


def test_a_slump_on_the_antimeridian_has_its_centroid_there_and_is_cut():
    across = shapely.box(179.998, 70, 180.002, 70.001)  # in degrees past 180, as drawn by hand
    (whole,) = to_plane([across], "EPSG:4326")
    for slumps in (slumps_of([across], "EPSG:4326"), slumps_of([whole])):
        made = to_arts(slumps, Contribution(**GIVEN))
        assert abs(float(made["CentroidLon"].iloc[0])) == pytest.approx(180, abs=2e-5)
        assert float(made["CentroidLat"].iloc[0]) == pytest.approx(70.0005, abs=2e-5)
        west, _, east, _ = made.total_bounds
        assert (west, east) == (-180, 180)
        assert shapely.get_num_geometries(made.geometry.iloc[0]) == 2
        assert check_arts(made) == []
        assert from_arts(made)["area_m2"].iloc[0] == pytest.approx(ground_areas_m2([whole], EQUAL_AREA)[0], rel=1e-6)


@pytest.mark.parametrize("side", [-1, 1])
def test_what_is_near_is_near_also_on_the_other_side_of_the_antimeridian(side):
    beside, shoe = shapely.box(179.99, 70, 180, 70.01), shapely.Polygon(
        [(179.9, 70), (179.9999, 70), (179.9999, 70.001), (179.901, 70.001), (179.901, 70.1), (179.9, 70.1)]
    )  # fmt: skip
    mirror = np.array([side, 1])
    shapes = shapely.transform([beside, beside, beside, shoe, shoe], lambda points: points * mirror)
    points = mirror * [(-179.9995, 70.005), (-179.998, 70.005), (180, 70.0105), (179.9, 70.09), (179.95, 70.05)]
    assert is_near(points, shapes, "EPSG:4326").tolist() == [True, False, True, True, False]


def test_the_centroid_of_a_horseshoe_on_the_antimeridian_is_near():
    shoe = shapely.difference(shapely.box(179.9, 70, 180.1, 70.1), shapely.box(179.91, 70.005, 180.09, 70.1))
    ((lon, lat),) = centroids([shoe], "EPSG:4326")
    other = -np.sign(lon) * 180  # the same place, or as good as, under its other name
    assert is_near(np.array([[other, lat]]), [shoe], "EPSG:4326").tolist() == [True]
    assert is_near(np.array([[lon, lat + 0.002]]), [shoe], "EPSG:4326").tolist() == [False]


def test_the_centroid_far_north_is_that_of_the_ground():
    """Of a sector from 80 to 88 degrees most ground is in the south; in degrees its centroid would be at 84."""
    sector = shapely.segmentize(shapely.box(10, 80, 12, 88), 0.01)
    south, north = np.radians(2), np.radians(10)  # colatitudes; of a sphere the area between them is cos - cos
    weights = np.linspace(south, north, 10_001)
    expected = 90 - np.degrees(np.average(weights, weights=np.sin(weights)))
    found = centroids([sector], "EPSG:4326")[0]
    assert found[0] == pytest.approx(11, abs=1e-6)
    assert found[1] == pytest.approx(expected, abs=0.05)


def test_nothing_is_a_layer_too():
    nothing = to_arts(slumps_of(TWO).iloc[:0], Contribution(**GIVEN))
    assert tuple(nothing.columns) == (*COLUMNS, "geometry")
    assert check_arts(nothing) == []
    assert len(from_arts(nothing)) == len(to_arts(from_arts(nothing), Contribution(**GIVEN))) == 0


@pytest.mark.parametrize("last_day", ["2021-07-01", "2021-08-02"])
@pytest.mark.parametrize("suffix", ["geojson", "gpkg", "parquet"])
def test_there_and_back_nothing_is_lost(tmp_path, suffix, last_day):
    """GDAL makes moments of text that looks like days, which is one way to lose a UID."""
    path = tmp_path / f"arts.{suffix}"
    layer = to_arts(slumps_of(TWO, last_acquired=last_day), Contribution(**GIVEN))
    layer["BaseMapID"] = ["S2A_1,S2B_2", "S2A_1"]
    if suffix == "parquet":
        layer.to_parquet(path)
        read = gpd.read_parquet(path)
    else:
        layer.to_file(path, **({"COORDINATE_PRECISION": 15} if suffix == "geojson" else {}))
        read = gpd.read_file(path)
    again = to_arts(
        from_arts(read), Contribution(**{**GIVEN, "region_name": "elsewhere", "contribution_date": "2030-01-01"})
    )
    plain, same = (frame.drop(columns="geometry") for frame in (layer, again))
    pd.testing.assert_frame_equal(same, plain)
    assert shapely.equals_exact(again.geometry, layer.geometry, tolerance=1e-12).all()


def test_a_published_layer_is_read(layer):
    """In EPSG:3413, its coordinates numbers with 8 decimals or text of them, nulls for no relation."""
    points = centroids(slumps_of(TWO).geometry, EQUAL_AREA).round(8)
    for as_text in (False, True):
        published = layer.to_crs("EPSG:3413")
        for name, values in zip(("CentroidLon", "CentroidLat"), points.T, strict=True):
            published[name] = values.astype(str) if as_text else values
        published[["MergedRTS", "Notes"]] = None
        published = published.drop(columns="SplitRTS")
        slumps = from_arts(published)
        assert slumps.crs == "EPSG:4326"
        assert slumps["arts_uid"].tolist() == layer["UID"].tolist()
        assert slumps["CentroidLat"].tolist() == published["CentroidLat"].tolist()
        assert (slumps[["MergedRTS", "SplitRTS"]] == "").all(axis=None)
        assert slumps["first_acquired"].tolist() == ["2021-07-01"] * 2
        assert slumps["last_acquired"].tolist() == ["2021-08-02"] * 2
        assert slumps["resolution_m"].tolist() == [10.0, 10.0]
        assert slumps["area_m2"].tolist() == pytest.approx([10_000, 20_000], rel=1e-3)
        row = slumps[["train_class", "region", "creator", "source"]].iloc[0].tolist()
        assert row == ["Positive", "Peel Plateau", "DARTS", "Sentinel-2"]
        found = check_arts(published)
        assert [line.split(" in 2 of 2 rows")[0] for line in found] == [
            "the column SplitRTS is missing",
            "CentroidLat is not written as str(round(x, 5))",
            "CentroidLon is not written as str(round(x, 5))",
        ]
        assert to_arts(slumps, Contribution(**GIVEN))["UID"].tolist() == layer["UID"].tolist()


def test_the_tables_given_stay_as_they_are(layer):
    slumps = slumps_of(TWO)
    before, frame = slumps.copy(deep=True), layer.copy(deep=True)
    to_arts(slumps, Contribution(**GIVEN))
    from_arts(frame)
    check_arts(frame)
    pd.testing.assert_frame_equal(slumps, before)
    pd.testing.assert_frame_equal(frame, layer)


def test_own_columns_of_a_name_that_arts_knows_do_not_count_for_slumps_from_here():
    slumps = slumps_of(TWO, region="not this", Notes="nor this")
    made = to_arts(slumps, Contribution(**GIVEN))
    assert made["RegionName"].tolist() == ["Peel Plateau"] * 2
    assert made["Notes"].tolist() == ["slump_id=slump 0", "slump_id=slump 1"]


def test_an_outline_that_was_moved_gets_another_centroid_and_relations_follow_its_uid(layer):
    layer.loc[1, "SplitRTS"] = layer.loc[0, "UID"]
    slumps = from_arts(layer)
    slumps.loc[[0], "geometry"] = slumps.geometry.iloc[[0]].translate(0.5)
    made = to_arts(slumps, Contribution(**GIVEN))
    assert made.loc[0, "UID"] != layer.loc[0, "UID"]
    assert made.loc[1, "SplitRTS"] == made.loc[0, "UID"]
    assert float(made.loc[0, "CentroidLon"]) == pytest.approx(float(layer.loc[0, "CentroidLon"]) + 0.5, abs=1e-4)


def test_merges_and_splits_name_the_rows_of_earlier_years():
    earlier = pd.DataFrame(
        {"slump_id": ["a", "a", "b", "c"], "UID": [str(number) * 8 + UID[8:] for number in range(4)],
         "merged_into": [None, None, "slump 0", None]}
    )  # fmt: skip
    slumps = slumps_of(TWO, split_from=pd.Series([None, "a"], dtype="string"), merged_into=["later", None])
    made = to_arts(slumps, Contribution(**GIVEN), earlier=earlier)
    assert made["MergedRTS"].tolist() == ["22222222" + UID[8:], ""]
    assert made["SplitRTS"].tolist() == ["", "11111111" + UID[8:]]  # the later one of a
    assert made["Notes"].tolist() == ["slump_id=slump 0; merged_into=later", "slump_id=slump 1"]
    untold = to_arts(slumps, Contribution(**GIVEN))
    assert (untold["SplitRTS"] == "").all()
    assert untold["Notes"].iloc[1] == "slump_id=slump 1; split_from=a"


@pytest.mark.parametrize(
    ("statuses", "first", "second"),
    [
        (("active", "unknown"), "UnknownRelationship", "UnknownRelationship"),
        (("stabilised", "active"), "NewRTS", "StabilizedRTS"),
        (("active", "stabilised"), "StabilizedRTS", "NewRTS"),
    ],
)
def test_slumps_that_share_ground_say_how(statuses, first, second):
    shapes = [rectangle(0, 0, 200, 100), rectangle(190, 0, 400, 100), rectangle(400, 0, 500, 100)]  # touching is not it
    made = to_arts(slumps_of(shapes, status=[*statuses, "active"]), Contribution(**GIVEN))
    uids = made["UID"].tolist()
    relations = made[["MergedRTS", "SplitRTS", "NewRTS", "StabilizedRTS", "UnknownRelationship"]]
    told = relations.stack()
    assert told[told != ""].to_dict() == {(0, first): uids[1], (1, second): uids[0]}


def test_slumps_from_arts_that_share_ground_have_said_how():
    layer = to_arts(slumps_of([rectangle(0, 0, 200, 100), rectangle(100, 0, 400, 100)]), Contribution(**GIVEN))
    layer["UnknownRelationship"] = ""
    assert (to_arts(from_arts(layer), Contribution(**GIVEN))["UnknownRelationship"] == "").all()


def test_a_centroid_that_others_found_stays_if_it_is_near(layer):
    near, far = layer.copy(), layer.copy()
    near["CentroidLat"] = [degrees_text(float(value) + 0.0001) for value in layer["CentroidLat"]]
    far["CentroidLat"] = [degrees_text(float(value) + 0.01) for value in layer["CentroidLat"]]
    assert to_arts(from_arts(near), Contribution(**GIVEN))["CentroidLat"].tolist() == near["CentroidLat"].tolist()
    assert to_arts(from_arts(far), Contribution(**GIVEN))["CentroidLat"].tolist() == layer["CentroidLat"].tolist()


def test_parts_of_a_split_that_share_ground_with_it_are_not_unknown():
    shapes = [rectangle(0, 0, 200, 100), rectangle(190, 0, 400, 100)]
    made = to_arts(slumps_of(shapes, split_from=[None, "slump 0"]), Contribution(**GIVEN))
    assert made["SplitRTS"].tolist() == ["", made["UID"].iloc[0]]
    assert (made["UnknownRelationship"] == "").all()


def test_outlines_that_moving_made_invalid_are_repaired(monkeypatch):
    monkeypatch.setattr(places, "to_degrees", lambda shapes: np.array([BOW] * len(shapes), dtype=object))
    (found,) = places.outlines_in("EPSG:4326", [TWO[0]], EQUAL_AREA)
    assert found.is_valid
    assert shapely.get_num_geometries(found) == 2


BOW = shapely.Polygon([(0, 0), (0.001, 0.001), (0.001, 0), (0, 0.001)])
FAULTS = {
    "RegionName": [(" ", "RegionName is missing"), (None, "RegionName is missing")],
    "CentroidLat": [
        ("north", "CentroidLat is no number from -90 to 90"),
        ("91.0", "CentroidLat is no number from -90 to 90"),
        ("69.123456", "CentroidLat is not written as str(round(x, 5))"),
        ("69.10", "CentroidLat is not written as str(round(x, 5))"),
        ("69.1", "the centroid is further than 0.001 degrees from the outline"),
    ],
    "CentroidLon": [("-181.0", "CentroidLon is no number from -180 to 180"), ("nan", "CentroidLon is no number from")],
    "BaseMapDate": [
        ("2021-13-01", "BaseMapDate is no YYYY-MM-DD and no two in their order with a comma"),
        ("2021-7-1", "BaseMapDate is no YYYY-MM-DD"),
        ("2021-08-02,2021-07-01", "BaseMapDate is no YYYY-MM-DD"),
        ("2021-07-01,2021-07-02,2021-07-03", "BaseMapDate is no YYYY-MM-DD"),
        ("2021-07-01, 2021-08-02", "BaseMapDate is a range with blanks, or of one day,"),
        ("2021-07-01,2021-07-01", "BaseMapDate is a range with blanks, or of one day,"),
    ],
    "BaseMapResolution": [(0.0, "BaseMapResolution is no number of metres above 0"), (-3.0, "BaseMapResolution is no")],
    "TrainClass": [("positive", "TrainClass is neither Positive nor Negative")],
    "ContributionDate": [("20261127", "ContributionDate is no YYYY-MM-DD"), (None, "ContributionDate is no")],
    "UID": [(UID, "UID is not that of the required values"), (UID.upper(), "UID is not that")],
    "MergedRTS": [("yes", "MergedRTS is no text of UIDs"), (f"{UID};{UID}", "MergedRTS is no text of UIDs")],
    "UnknownRelationship": [("7", "UnknownRelationship is no text of UIDs with commas between them")],
}


@pytest.mark.parametrize(("name", "value", "line"), [(name, *case) for name, cases in FAULTS.items() for case in cases])
def test_each_fault_of_a_value_is_found(layer, name, value, line):
    layer[name] = layer[name].astype(object)
    layer.loc[1, name] = value
    (found,) = [one for one in check_arts(layer) if one.startswith(line)]
    assert " in 1 of 2 rows, first in row 1" in found
    assert "\n" not in found


@pytest.mark.parametrize("name", COLUMNS[:-3])
def test_each_column_that_is_missing_is_found(layer, name):
    assert f"the column {name} is missing" in check_arts(layer.drop(columns=name))


def test_faults_of_rows_and_layers_are_found(layer):
    twice = pd.concat([layer, layer.iloc[:1]], ignore_index=True)
    assert check_arts(twice) == [
        f"UID is there more than once, in 1 of 3 rows, first in row 2: '{layer['UID'].iloc[0]}'",
        "the outline is there more than once for its BaseMapDate, in 1 of 3 rows, first in row 2",
    ]
    itself = layer.assign(NewRTS=["", layer["UID"].iloc[1]])
    assert check_arts(itself) == [
        f"NewRTS names the row itself in 1 of 2 rows, first in row 1: '{layer['UID'].iloc[1]}'"
    ]
    assert check_arts(layer.to_crs("EPSG:6931")) == [
        "the layer is in WGS 84 / NSIDC EASE-Grid 2.0 North, not in EPSG:4326 or EPSG:3413"
    ]
    assert check_arts(layer.set_crs(None, allow_override=True)) == ["the layer has no CRS"]
    assert check_arts(gpd.GeoDataFrame(layer.drop(columns="geometry"))) == ["the layer has no outlines"]


@pytest.mark.parametrize("shape", [None, shapely.Polygon(), shapely.Point(0, 0), shapely.LineString([(0, 0), (1, 1)])])
def test_rows_without_a_polygon_are_found_and_refused(layer, shape):
    layer.loc[[1], "geometry"] = gpd.GeoSeries([shape], index=[1], crs="EPSG:4326")
    assert check_arts(layer) == ["the outline is no polygon in 1 of 2 rows, first in row 1"]
    with pytest.raises(DataError, match=r"^this is no layer of ARTS: the outline is no polygon in 1 of 2 rows, first"):
        from_arts(layer)
    with pytest.raises(
        DataError, match=r"^these slumps make no layer of ARTS: CentroidLat is .* \(and \d more\)\. Corr"
    ):
        to_arts(slumps_of([TWO[0], shape]), Contribution(**GIVEN))


def test_an_invalid_outline_is_found_and_repaired_when_read(layer):
    layer.loc[[1], "geometry"] = gpd.GeoSeries(
        [shapely.transform(BOW, lambda points: points + np.array([-135, 69]))], [1], crs="EPSG:4326"
    )
    layer.loc[1, ["CentroidLat", "CentroidLon"]] = ["69.0005", "-134.9995"]
    layer.loc[1, "UID"] = uid_of(layer.loc[1, list(COLUMNS[:9])].tolist())
    assert check_arts(layer) == ["the outline is invalid in 1 of 2 rows, first in row 1"]
    read = from_arts(layer)
    assert read.is_valid.all()
    assert check_arts(to_arts(read, Contribution(**GIVEN))) == []


def test_a_horseshoe_may_have_its_centroid_outside():
    shoe = shapely.difference(rectangle(0, 0, 2000, 2000), rectangle(200, 200, 1800, 2000))
    made = to_arts(slumps_of([shoe]), Contribution(**GIVEN))
    assert check_arts(made) == []
    far = made.assign(CentroidLat=str(round(float(made["CentroidLat"].iloc[0]) + 0.002, 5)))
    assert any(line.startswith("the centroid is further than") for line in check_arts(far))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"region_name": " "}, "RegionName is empty, but ARTS asks for it. Give it."),
        ({"base_map_resolution": 0}, "BaseMapResolution is 0, but must be a number above 0. Give metres."),
        ({"base_map_resolution": True}, "BaseMapResolution is True, but must be a number above 0. Give metres."),
        ({"base_map_resolution": np.nan}, "BaseMapResolution is nan, but must be a number above 0. Give metres."),
        ({"train_class": "RTS"}, "TrainClass is 'RTS', but ARTS knows Positive and Negative. Use one."),
        ({"contribution_date": "today"}, "ContributionDate is 'today', but must be a day. Give YYYY-MM-DD."),
        (
            {"region_name": None, "base_map_resolution": None},
            "ARTS asks for who made what of which images. Give --region-name, --base-map-resolution too.",
        ),
        (
            {"crs": "EPSG:3995"},
            "the CRS is 'EPSG:3995', but ARTS layers are in EPSG:4326 or EPSG:3413. Use one of them.",
        ),
    ],
)
def test_arguments_that_are_wrong_are_told(change, message):
    crs = {"crs": change["crs"]} if "crs" in change else {}
    own = {name: value for name, value in change.items() if name != "crs"}
    with pytest.raises(ConfigError) as caught:
        to_arts(slumps_of(TWO), Contribution(**{**GIVEN, **own}), **crs)
    assert str(caught.value) == message


def test_slumps_that_cannot_be_exported_are_told():
    slumps = slumps_of(TWO)
    cases = [
        (slumps.drop(columns=["first_acquired", "last_acquired"]),
         "the slumps have no column first_acquired and no last_acquired. Give level 2 of an inventory."),
        (slumps.set_crs(None, allow_override=True),
         "the slumps have no outlines, or no CRS. Give level 2 of an inventory."),
        (slumps.assign(year=[2021, 2022]),
         "the slumps are of several years (2021, 2022). Export one year at a time."),
        (slumps.assign(first_acquired=[None, "2021-07-01"]),
         "these slumps make no layer of ARTS: BaseMapDate is no YYYY-MM-DD and no two in their order with a comma in 1"
         " of 2 rows, first in row 0: ',2021-08-02'. Correct these rows, or leave them out."),
    ]  # fmt: skip
    for frame, message in cases:
        with pytest.raises(DataError) as caught:
            to_arts(frame, Contribution(**GIVEN))
        assert str(caught.value) == message
    with pytest.raises(DataError, match=r"^what was exported earlier has no column UID\. Give both\.$"):
        to_arts(slumps, Contribution(**GIVEN), earlier=pd.DataFrame({"slump_id": []}))
