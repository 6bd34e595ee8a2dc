import json
import shutil
from itertools import pairwise

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.dataset
import pyproj
import pytest
import shapely
from mapped_tiles import MODELS, UTM, WHERE, box, write_tile

from darts_postprocessing.exchange.shapefile_names import SHAPEFILE_NAMES
from darts_postprocessing.inventory import work
from darts_postprocessing.inventory.build import build, retrack, spread_over
from darts_postprocessing.inventory.plane import to_plane
from darts_postprocessing.inventory.published import published_of, whole_years
from darts_postprocessing.inventory.rules import Rules
from darts_postprocessing.inventory.said import read_said, rules_of
from darts_postprocessing.inventory.tracks import Published
from darts_utils.crs import EQUAL_AREA
from darts_utils.errors import ConfigError, DataError, MissingDataError
from darts_utils.objects.geodesy import ground_areas_m2

KINDS = ("objects", "looks", "slumps", "tracks", "changes")


def tables(folder):
    return {kind: gpd.read_parquet(folder / kind) for kind in KINDS}


def contents(folder):
    """Return all files of an inventory but its notes, whole."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and ".parts" not in file.parts and file.name != ".lock"
    }


@pytest.fixture
def five_years(tmp_path):
    """A slump that grows by 20 m a year, one that ends after 2021, one that is there once; two images a year."""
    for year in range(2020, 2025):
        for image in (1, 2):
            shapes = [box(0, 0, 200, 200 + 20 * (year - 2020))]
            shapes += [box(1000, 0, 1200, 200)] if year < 2022 else []
            shapes += [box(3000, 0, 3100, 100)] if year == 2022 else []
            write_tile(tmp_path / "tiles", f"{year}-{image}", f"{year}-08-0{image}", shapes)
    return tmp_path / "tiles"


def test_slumps_are_found_once_a_year_and_followed(five_years, tmp_path):
    built = build([five_years], tmp_path / "inventory")
    found = tables(built.folder)
    assert built.slumps == {2020: 2, 2021: 2, 2022: 2, 2023: 1, 2024: 1}
    assert (built.n_tiles, built.n_objects, built.n_tracks, built.n_without_looks) == (10, 16, 3, 0)
    assert len(found["objects"]) == 16
    assert found["slumps"]["n_looks"].eq(2).all()
    assert found["slumps"]["agreement"].eq(1).all()
    tracks = found["tracks"].sort_values("n_years", ascending=False).reset_index(drop=True)
    assert tracks["n_years"].tolist() == [5, 2, 1]
    assert tracks["status"].tolist() == ["active", "stabilised", "stabilised"]
    slope = ground_areas_m2([box(0, 0, 200, 20)], UTM)[0]
    assert tracks["growth_m2_per_year"][0] == pytest.approx(slope, rel=1e-3)
    assert tracks["growth_low"][0] == pytest.approx(slope, rel=1e-3)
    assert tracks["growth_low"].isna().tolist() == [False, True, True]
    assert tracks["area_last_m2"][0] == pytest.approx(ground_areas_m2([box(0, 0, 200, 280)], UTM)[0], rel=1e-6)
    changes = found["changes"]
    assert changes["kind"].eq("gained").all()
    assert changes["area_m2"].to_numpy() == pytest.approx(slope, rel=1e-3)
    assert list(zip(changes["from_year"], changes["to_year"], strict=True)) == list(pairwise(range(2020, 2025)))


def test_the_tables_are_one_table_each_with_the_columns_that_are_documented(five_years, tmp_path):
    built = build([five_years], tmp_path / "inventory")
    for kind in KINDS:
        table = pyarrow.dataset.dataset(built.folder / kind).to_table()
        assert table.num_rows == len(tables(built.folder)[kind])
    found = tables(built.folder)
    assert found["objects"].crs == "EPSG:4326"
    assert " ".join(found["objects"].columns) == (
        "object_id image_id sensor acquired year model_ids area_m2 perimeter_m centroid_lon centroid_lat"
        " mean_probability max_probability core_probability area_m2_t30 area_m2_t45 area_m2_t65 area_m2_t80 tier cut"
        " features_missing nodata_fraction snow_fraction water_fraction npixel geometry"
    )
    assert " ".join(found["looks"].columns) == "image_id acquired year sensor is_observed geometry"
    assert " ".join(found["slumps"].columns) == (
        "slump_id year seen_fraction n_looks n_hits agreement first_acquired last_acquired area_m2 area_majority_m2"
        " area_low_m2 area_high_m2 perimeter_m mean_probability max_probability tier geometry_majority geometry"
    )
    assert " ".join(found["tracks"].columns) == (
        "slump_id first_year last_year n_years area_first_m2 area_last_m2 growth_m2_per_year growth_low growth_high"
        " status split_from merged_into geometry"
    )
    for table in found.values():
        assert set(table.columns) - {"geometry", "geometry_majority"} <= set(SHAPEFILE_NAMES)
    assert set(found["objects"]["tier"]) == {"medium"}
    row = found["objects"].iloc[0]
    assert row.centroid_lon == pytest.approx(row.geometry.centroid.x, abs=1e-4)


def test_areas_are_those_of_the_outlines_on_the_ground(five_years, tmp_path):
    slumps = tables(build([five_years], tmp_path / "inventory").folder)["slumps"]
    largest = slumps.sort_values("area_m2").iloc[-1]
    truth = ground_areas_m2([box(0, 0, 200, 280)], UTM)[0]
    assert largest["area_m2"] == pytest.approx(truth, rel=1e-6)
    assert largest["area_majority_m2"] == pytest.approx(truth, rel=1e-6)
    assert largest["area_low_m2"] == pytest.approx(0.9 * truth, rel=1e-4)
    assert largest["area_high_m2"] == pytest.approx(1.2 * truth, rel=1e-4)


def test_where_the_tiles_lie_and_in_how_many_processes_it_is_done_changes_no_byte(five_years, tmp_path):
    first = contents(build([five_years], tmp_path / "one").folder)
    moved = tmp_path / "moved"
    for number, tile in enumerate(sorted(five_years.iterdir())):
        shutil.copytree(tile, moved / str(number % 3) / tile.name)
    assert contents(build([moved / "2", moved / "0", moved / "1"], tmp_path / "two").folder) == first
    with spread_over(2) as spread:
        assert contents(build([five_years], tmp_path / "three", spread=spread).folder) == first
    assert len(first) > len(KINDS)


def test_an_image_that_is_there_twice_counts_once(five_years, tmp_path):
    first = contents(build([five_years], tmp_path / "one").folder)
    shutil.copytree(five_years / "2022-1", tmp_path / "again" / "2022-1")
    assert contents(build([five_years, tmp_path / "again"], tmp_path / "two").folder) == first


def test_a_tile_that_is_gone_takes_with_it_what_it_alone_saw(five_years, tmp_path):
    build([five_years], tmp_path / "one")
    for image in (1, 2):
        shutil.rmtree(five_years / f"2022-{image}")
    updated = contents(build([five_years], tmp_path / "one").folder)
    assert updated == contents(build([five_years], tmp_path / "two").folder)
    assert not any("2022" in name for name in updated)


def test_a_tile_that_is_added_makes_the_inventory_that_it_would_have_been(five_years, tmp_path):
    shutil.move(five_years / "2021-2", tmp_path / "late")
    build([five_years], tmp_path / "one")
    shutil.move(tmp_path / "late", five_years / "2021-2")
    updated = contents(build([five_years], tmp_path / "one").folder)
    assert updated == contents(build([five_years], tmp_path / "two").folder)


def test_an_empty_tile_is_a_look_and_nothing_else(five_years, tmp_path):
    before = tables(build([five_years], tmp_path / "one").folder)
    write_tile(five_years, "2023-3", "2023-08-20", [], observed=box(5000, 5000, 6000, 6000))
    after = tables(build([five_years], tmp_path / "one").folder)
    assert len(after["looks"]) == len(before["looks"]) + 1
    for kind in ("objects", "slumps", "tracks", "changes"):
        pd.testing.assert_frame_equal(pd.DataFrame(after[kind]), pd.DataFrame(before[kind]))


def test_a_build_that_was_killed_goes_on(five_years, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("darts_postprocessing.inventory.build.track", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build([five_years], tmp_path / "one")
    monkeypatch.setattr(work, "slumps_of", lambda *_: pytest.fail("slumps that are there are not made again"))
    monkeypatch.setattr(work, "read_objects", lambda *_: pytest.fail("tiles are not read again"))
    found = contents(build([five_years], tmp_path / "one").folder)
    monkeypatch.undo()
    assert found == contents(build([five_years], tmp_path / "two").folder)


def test_a_part_that_was_cut_short_is_made_again(five_years, tmp_path):
    first = contents(build([five_years], tmp_path / "one").folder)
    (victim,) = (tmp_path / "one" / "slumps" / "2021").glob("*.parquet")
    victim.write_bytes(victim.read_bytes()[:100])
    assert contents(build([five_years], tmp_path / "one").folder) == first


def test_ids_of_a_published_inventory_are_kept(five_years, tmp_path):
    first = build([five_years], tmp_path / "one").folder
    ids = set(tables(first)["tracks"]["slump_id"])
    write_tile(five_years, "2019-1", "2019-08-01", [box(0, 0, 200, 190), box(5000, 0, 5100, 100)])
    anew = set(tables(build([five_years], tmp_path / "two").folder)["tracks"]["slump_id"])
    assert len(ids - anew) == 1, "an earlier year would give the growing slump another id"
    known = published_of(tables(first)["slumps"], "one")
    kept = tables(build([five_years], tmp_path / "three", published=known).folder)["tracks"]
    assert ids < set(kept["slump_id"])
    assert len(kept) == len(ids) + 1
    assert kept.set_index("slump_id")["first_year"].loc[sorted(ids)].min() == 2019


def test_slumps_and_tracks_are_made_again_without_the_tiles(five_years, tmp_path):
    """With other rules, and back: each time as a build would have made them, but for ids that are kept."""
    wanted = contents(build([five_years], tmp_path / "one", Rules(min_agreement=1.0, min_looks=2)).folder)
    folder = build([five_years], tmp_path / "two").folder
    before = contents(folder)
    shutil.rmtree(five_years)
    assert retrack(folder, {"min_agreement": 1.0, "min_looks": 2}).slumps[2020] == 2
    assert contents(folder) == wanted
    assert retrack(folder, {"min_agreement": 0.0, "min_looks": 0}).n_tiles == 10
    assert contents(folder) == before
    known = published_of(tables(tmp_path / "one")["slumps"], "one")
    renamed = Published(ids=np.array([f"x{one}" for one in known.ids], dtype=object), years=known.years,
                        outlines=known.outlines)  # fmt: skip
    retrack(folder, {}, published=renamed)
    assert tables(folder)["tracks"]["slump_id"].str.startswith("x").all()


def test_what_is_no_inventory_is_not_tracked_again(five_years, tmp_path):
    with pytest.raises(ConfigError, match=r"is no inventory\. Make one with"):
        retrack(tmp_path, {})
    folder = build([five_years], tmp_path / "one").folder
    with pytest.raises(ConfigError, match="min_overlap is 2 but must be"):
        retrack(folder, {"min_overlap": 2})
    (folder / "inventory.json").write_text("{}")
    with pytest.raises(DataError, match=r"inventory.json is damaged .* Build the inventory again"):
        retrack(folder, {})


def test_slumps_that_the_border_of_two_images_cuts_are_one(tmp_path):
    tiles = tmp_path / "tiles"
    left, right = box(-10_000, -10_000, 0, 10_000), box(0, -10_000, 10_000, 10_000)
    write_tile(tiles, "left", "2021-08-01", [box(-100, 0, 0, 100)], extent=left, cut=[True])
    write_tile(tiles, "right", "2021-08-01", [box(0, 0, 150, 100)], extent=right, cut=[True])
    slumps = tables(build([tiles], tmp_path / "one").folder)["slumps"]
    assert slumps["area_m2"].tolist() == pytest.approx(ground_areas_m2([box(-100, 0, 150, 100)], UTM), rel=1e-6)


def test_cut_objects_of_one_image_give_what_whole_ones_give(tmp_path):
    """A tile that is split in two halves: the same slumps, but for their probabilities."""
    whole = [box(-100, 0, 150, 100), box(2000, 0, 2100, 100), box(-3000, 0, -2900, 100)]
    write_tile(tmp_path / "whole", "a", "2021-08-01", whole)
    left, right = box(-10_000, -10_000, 0, 10_000), box(0, -10_000, 10_000, 10_000)
    write_tile(tmp_path / "halves", "a", "2021-08-01", [box(-100, 0, 0, 100), whole[2]], extent=left, cut=[True, False])
    write_tile(tmp_path / "halves", "b", "2021-08-01", [box(0, 0, 150, 100), whole[1]], extent=right, cut=[True, False])
    one, two = (
        tables(build([tmp_path / name], tmp_path / f"of {name}").folder)["slumps"] for name in ("whole", "halves")
    )
    columns = ["area_m2", "area_majority_m2", "area_low_m2", "area_high_m2", "perimeter_m"]
    pd.testing.assert_frame_equal(
        pd.DataFrame(one[columns].sort_values(columns, ignore_index=True)),
        pd.DataFrame(two[columns].sort_values(columns, ignore_index=True)),
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    ("zones", "longitude", "latitude"),
    [
        (("EPSG:32608", "EPSG:32609"), -132.0, 69.3),
        (("EPSG:32601", "EPSG:32660"), 180.0, 70.5),
        (("EPSG:32608", "EPSG:32609"), -132.0, 79.5),
    ],
)
def test_images_of_two_zones_show_one_slump(tmp_path, zones, longitude, latitude):
    """On their border, the antimeridian among them, and far north: seen in both images it is one, of its own size."""
    for number, zone in enumerate(zones):
        middle = pyproj.Transformer.from_crs("EPSG:4326", zone, always_xy=True).transform(longitude, latitude)
        where = tuple(round(value, -1) for value in middle)
        shape = box(-200, -200, 200, 200, where)
        extent = box(-10_000, -10_000, 10_000, 10_000, where)
        write_tile(tmp_path / "tiles", f"image {number}", f"2021-08-0{number + 1}", [shape], extent=extent, crs=zone)
    built = build([tmp_path / "tiles"], tmp_path / "one")
    (row,) = tables(built.folder)["slumps"].itertuples()
    assert (row.n_looks, row.n_hits) == (2, 2)
    assert row.area_m2 == pytest.approx(160_000, rel=0.06)
    assert -180 <= row.geometry.bounds[0] <= row.geometry.bounds[2] <= 180
    if longitude == 180:
        assert row.geometry.geom_type == "MultiPolygon"
        assert shapely.get_num_geometries(row.geometry) == 2


def test_slumps_on_the_border_of_cells_are_one(tmp_path):
    """Two images whose middles lie in different cells, with slumps on the border: none twice, none lost."""
    corner = np.array([-1_900_000.0, 1_000_000.0])  # of four cells
    shapes = [
        shapely.box(*(corner - 60), *(corner + 60)),
        shapely.transform(shapely.box(-3000, 500, -2900, 600), lambda points: points + corner),
    ]
    for number, middle in enumerate(((-9_000, 0), (9_000, 0), (0, -9_000), (0, 9_000))):
        extent = shapely.box(*(corner + middle - 15_000), *(corner + middle + 15_000))
        write_tile(tmp_path / "tiles", f"image {number}", "2021-08-01", shapes, extent=extent, crs=EQUAL_AREA)
    found = tables(build([tmp_path / "tiles"], tmp_path / "one").folder)
    assert len(list((tmp_path / "one" / "objects" / "2021").iterdir())) > 1
    assert len(found["objects"]) == 8
    assert sorted(found["slumps"]["area_m2"]) == pytest.approx(sorted(ground_areas_m2(shapes, EQUAL_AREA)), rel=1e-6)
    assert found["slumps"]["n_hits"].tolist() == [4, 4]


def test_the_ground_of_all_slumps_is_that_of_all_objects(tmp_path):
    rng = np.random.default_rng(5)
    for image in range(6):
        corners = rng.integers(0, 200, (30, 2)) * 10
        sizes = rng.integers(1, 30, (30, 2)) * 10
        shapes = [box(x, y, x + w, y + h) for (x, y), (w, h) in zip(corners, sizes, strict=True)]
        parts = shapely.get_parts(shapely.union_all(shapes))
        write_tile(tmp_path / "tiles", f"i{image}", f"2021-08-0{image + 1}", list(parts))
    found = tables(build([tmp_path / "tiles"], tmp_path / "one").folder)
    ground = [shapely.union_all(to_plane(found[kind].geometry, "EPSG:4326")) for kind in ("objects", "slumps")]
    assert shapely.area(shapely.symmetric_difference(*ground)) < 1e-3
    at, _ = shapely.STRtree(found["slumps"].geometry).query(
        shapely.point_on_surface(found["objects"].geometry), "within"
    )
    assert len(np.unique(at)) == len(found["objects"])


def test_an_object_keeps_its_id_when_its_tile_is_made_again(tmp_path):
    for name, shapes in (("one", [box(0, 0, 100, 100), box(500, 0, 600, 100)]), ("two", [box(500, 0, 600, 100)])):
        write_tile(tmp_path / name, "a", "2021-08-01", shapes)
    one, two = (set(tables(build([tmp_path / name], tmp_path / f"of {name}").folder)["objects"]["object_id"])
                for name in ("one", "two"))  # fmt: skip
    assert len(one) == 2
    assert two < one


def test_tiles_that_do_not_tell_what_was_seen_count_by_their_extent_and_stabilise_nothing(five_years, tmp_path):
    for file in five_years.rglob("prediction_observed.parquet"):
        file.unlink()
    built = build([five_years], tmp_path / "one")
    found = tables(built.folder)
    assert built.n_without_looks == 10
    assert not found["looks"]["is_observed"].any()
    assert "stabilised" not in set(found["tracks"]["status"])
    assert found["slumps"]["n_looks"].eq(2).all()


def test_ground_under_clouds_is_no_look_and_no_end(tmp_path):
    for year, observed in ((2020, None), (2021, None), (2022, box(5000, 5000, 6000, 6000)), (2023, None)):
        shapes = [box(0, 0, 100, 100)] if year < 2022 else []
        write_tile(tmp_path / "tiles", str(year), f"{year}-08-01", shapes, observed=observed)
    (row,) = tables(build([tmp_path / "tiles"], tmp_path / "one").folder)["tracks"].itertuples()
    assert row.status == "stable", "in one of the last two years nobody saw where it was"


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"min_agreement": 0.6}, [2]),
        ({"min_looks": 3}, []),
        ({"season": "08-02/09-01"}, [1]),
        ({"drop": ("water",)}, [2]),
        ({"drop": ("snow", "nodata", "missing", "cut")}, [2, 1]),
    ],
)
def test_rules_leave_out_what_they_say(tmp_path, given, left):
    write_tile(tmp_path / "tiles", "a", "2021-08-01", [box(0, 0, 100, 100), box(500, 0, 600, 100)],
               water_fraction=[0.0, 0.9])  # fmt: skip
    write_tile(tmp_path / "tiles", "b", "2021-08-02", [box(0, 0, 100, 100)])
    slumps = tables(build([tmp_path / "tiles"], tmp_path / "one", Rules(**given)).folder)["slumps"] if left else None
    if slumps is not None:
        assert sorted(slumps["n_hits"]) == sorted(left)
    else:
        assert build([tmp_path / "tiles"], tmp_path / "one", Rules(**given)).slumps == {2021: 0}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"min_overlap": 0}, "min_overlap is 0 but must be above 0"),
        ({"min_looks": -1}, "min_looks is -1 but must be at least 0"),
        ({"min_agreement": 1.5}, "min_agreement is 1.5 but must be from 0 to 1"),
        ({"season": "7-9"}, "season is 7-9 but must be as in 07-01/09-15"),
        ({"season": "13-01/09-15"}, "season is 13-01/09-15 but must be as in"),
        ({"drop": ("clouds",)}, "drop names clouds, but there are cut, missing, nodata, snow, water"),
    ],
)
def test_rules_that_cannot_be_are_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        Rules(**given)


def test_a_season_may_go_over_the_turn_of_the_year():
    rules = Rules(season="11-01/02-15")
    assert [rules.counts_day(day) for day in ("2021-12-24", "2022-02-15", "2022-02-16", "2022-07-01")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_tiles_that_are_not_made_alike_are_one_line(five_years, tmp_path):
    write_tile(five_years, "other", "2023-08-05", [], models="hills " + "cd" * 32)
    with pytest.raises(ConfigError, match=r"not made alike: 10 of the models abababab.* use --mixed"):
        build([five_years], tmp_path / "one")
    assert not (tmp_path / "one").exists()
    assert build([five_years], tmp_path / "one", Rules(mixed=True)).n_tiles == 11


def _no_day(tile):
    record = json.loads((tile / "darts_inference.json").read_text())
    (tile / "darts_inference.json").write_text(json.dumps({**record, "acquired": None}))


def _no_crs(tile):
    frame = gpd.read_parquet(tile / "prediction_segments.parquet")
    frame.set_crs(None, allow_override=True).to_parquet(tile / "prediction_segments.parquet")


def _lacks(tile):
    gpd.read_parquet(tile / "prediction_segments.parquet").drop(columns="npixel").to_parquet(
        tile / "prediction_segments.parquet"
    )


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (_no_day, DataError, r"the tile .*2021-1 does not say when its image was acquired"),
        (_no_crs, DataError, r"prediction_segments.parquet does not say in which coordinates it is"),
        (_lacks, DataError, r"prediction_segments.parquet lacks npixel: an earlier release wrote it"),
        (lambda tile: (tile / "prediction_segments.parquet").write_bytes(b"no"), DataError, r"cannot be read \("),
        (lambda tile: (tile / "darts_inference.json").write_text("{"), DataError, r"json cannot be read"),
        (lambda tile: [(tile / f"prediction_{name}.parquet").unlink() for name in ("observed", "extent")],
         MissingDataError, r"there is no .*prediction_extent.parquet. Export the tile again"),
        (lambda tile: (tile / "prediction_segments.parquet").unlink(), MissingDataError,
         r"1 tiles such as .*2021-1 have no prediction_segments.parquet"),
    ],
)  # fmt: skip
def test_a_tile_that_cannot_be_read_is_one_line_and_leaves_nothing_half(five_years, tmp_path, spoil, error, message):
    spoil(five_years / "2021-1")
    with pytest.raises(error, match=message) as caught:
        build([five_years], tmp_path / "one")
    assert "\n" not in str(caught.value)
    if (tmp_path / "one" / "inventory.json").exists():
        with pytest.raises(DataError, match=r"is half changed: `darts inventory build` was stopped or failed"):
            read_said(tmp_path / "one")


def test_no_tiles_are_one_line(tmp_path):
    with pytest.raises(ConfigError, match="there is no folder"):
        build([tmp_path / "none"], tmp_path / "one")
    with pytest.raises(MissingDataError, match="there is no tile in"):
        build([tmp_path], tmp_path / "one")
    write_tile(tmp_path, "a", "2021-08-01", [])
    with pytest.raises(MissingDataError, match="none of the 1 tiles is of the season 09-01/09-30"):
        build([tmp_path], tmp_path / "one", Rules(season="09-01/09-30"))


def test_an_inventory_without_slumps_has_its_tables(tmp_path):
    """Two images without an object, of which one saw nothing at all."""
    write_tile(tmp_path / "tiles", "a", "2021-08-01", [])
    write_tile(tmp_path / "tiles", "b", "2022-08-01", [], observed=shapely.Polygon())
    built = build([tmp_path / "tiles"], tmp_path / "one")
    found = tables(built.folder)
    assert built.slumps == {2021: 0, 2022: 0}
    assert [len(found[kind]) for kind in KINDS] == [0, 2, 0, 0, 0]
    write_tile(tmp_path / "tiles", "c", "2022-08-02", [box(0, 0, 100, 100)])
    again = tables(build([tmp_path / "tiles"], tmp_path / "one").folder)
    for kind in KINDS:
        assert list(again[kind].columns) == list(found[kind].columns)
        assert len(again[kind]) == {"looks": 3, "changes": 0}.get(kind, 1)


def test_outlines_that_are_broken_are_mended(tmp_path):
    bow = shapely.Polygon([(0, 0), (200, 200), (200, 0), (0, 200)])
    bow = shapely.transform(bow, lambda points: points + WHERE)
    write_tile(tmp_path / "tiles", "a", "2021-08-01", [bow], npixel=[200], area_m2=[20_000.0])
    (row,) = tables(build([tmp_path / "tiles"], tmp_path / "one").folder)["slumps"].itertuples()
    assert row.geometry.is_valid
    assert row.area_m2 == pytest.approx(20_000, rel=0.01)


def test_a_layer_without_ids_and_years_cannot_be_continued(five_years, tmp_path):
    slumps = tables(build([five_years], tmp_path / "one").folder)["slumps"]
    assert sorted(published_of(slumps, "it").ids) == sorted(slumps["slump_id"])
    for wrong, words in (
        (slumps.drop(columns="year"), "year"),
        (slumps.assign(slump_id=[None, *slumps["slump_id"][1:]]), "slump_id"),
        (slumps.set_crs(None, allow_override=True), "a CRS"),
    ):
        with pytest.raises(DataError, match=rf"^it lacks {words}\. Give an inventory"):
            published_of(wrong, "it")


@pytest.mark.parametrize("year", ["x", "2024-07-01", 2024.5, np.inf, "1e300", pd.Timestamp("2024-07-01")])
def test_years_that_are_none_are_named(year):
    with pytest.raises(DataError) as refused:
        whole_years(pd.DataFrame({"year": pd.Series([2023, None, year], dtype=object)}), "my.gpkg")
    assert str(refused.value) == (
        f"my.gpkg has the year {year}, but years must be whole numbers, such as 2024. Correct the column."
    )


@pytest.mark.parametrize("years", [["2023", None], [2023.0, np.nan], [np.int32(2023), pd.NA]])
def test_years_may_be_written_in_any_way(years):
    first, second = whole_years(pd.DataFrame({"year": years}), "my.gpkg")
    assert (first, second is pd.NA) == (2023, True)


def test_a_published_id_is_given_once_wherever_the_slumps_on_its_outline_lie(tmp_path):
    """One large published slump; now two small ones on it, whose tiles lie in different cells, too far to be linked."""
    corner = np.array([-1_900_000.0, 1_000_000.0])
    for number, x in enumerate((-20_000, 20_000)):
        shape = shapely.transform(shapely.box(x, 0, x + 100, 100), lambda points: points + corner)
        extent = shapely.buffer(shape, 5_000).envelope
        write_tile(tmp_path / "tiles", f"image {number}", "2021-08-01", [shape], extent=extent, crs=EQUAL_AREA)
    outline = shapely.transform(shapely.box(-20_000, 0, 20_100, 100), lambda points: points + corner)
    known = Published(ids=np.array(["old"], object), years=np.array([2020]), outlines=np.array([outline], object))
    found = tables(build([tmp_path / "tiles"], tmp_path / "one", published=known).folder)
    assert len(list((tmp_path / "one" / "objects" / "2021").iterdir())) == 2
    assert len(found["slumps"]) == len(set(found["slumps"]["slump_id"])) == len(found["tracks"]) == 2
    assert "old" in set(found["slumps"]["slump_id"])


def test_a_folder_with_other_things_is_no_place_for_an_inventory(five_years, tmp_path):
    (tmp_path / "mine" / "slumps").mkdir(parents=True)
    (tmp_path / "mine" / "slumps" / "years of work.parquet").write_text("mine")
    for folder in (tmp_path / "mine", five_years):
        with pytest.raises(ConfigError, match=r"has other things in it than an inventory\. Give a folder of its own"):
            build([five_years], folder)
    assert (tmp_path / "mine" / "slumps" / "years of work.parquet").read_text() == "mine"


def test_a_copy_without_notes_as_published_ones_are_tells_of_itself(five_years, tmp_path):
    folder = build([five_years], tmp_path / "one").folder
    shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns(".parts"))
    before = tables(folder)
    retrack(tmp_path / "copy", {})
    for name, table in tables(tmp_path / "copy").items():
        assert table.equals(before[name]), name
    retrack(tmp_path / "copy", {"min_looks": 2})
    fewer = tables(tmp_path / "copy")["slumps"]
    assert 0 < len(fewer) <= len(before["slumps"])
    assert set(fewer["slump_id"]) <= set(before["slumps"]["slump_id"]), "ids are kept"


def test_a_damaged_copy_without_notes_is_not_taken_for_whole(five_years, tmp_path):
    folder = build([five_years], tmp_path / "one").folder
    shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns(".parts"))
    some = next((tmp_path / "copy" / "objects" / "2020").iterdir())
    some.write_bytes(some.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"is not whole: objects/2020/"):
        retrack(tmp_path / "copy", {})
    assert not (tmp_path / "copy" / ".parts").exists()


def test_an_inventory_that_is_being_changed_does_not_say_that_it_is_whole(five_years, tmp_path, monkeypatch):
    folder = build([five_years], tmp_path / "one").folder
    monkeypatch.setattr("darts_postprocessing.inventory.build.track", lambda *_: 1 / 0)
    for command, again in {
        "track": lambda: retrack(folder, {"min_looks": 2}),
        "build": lambda: build([five_years], folder, Rules(min_looks=2)),
    }.items():
        with pytest.raises(ZeroDivisionError):
            again()
        with pytest.raises(DataError, match=f"is half changed: `darts inventory {command}` was stopped"):
            read_said(folder)
    with pytest.raises(DataError, match="is half changed: `darts inventory build` was stopped"):
        retrack(folder, {})


def test_a_command_that_was_stopped_can_be_given_again(five_years, tmp_path, monkeypatch):
    folder = build([five_years], tmp_path / "one").folder
    whole = contents(folder)
    with monkeypatch.context() as patch:
        patch.setattr("darts_postprocessing.inventory.build.track", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            retrack(folder, {"min_looks": 2})
    shutil.rmtree(five_years)
    retrack(folder, {"min_looks": 0})
    assert contents(folder) == whole


def test_models_of_one_tile_count_in_any_order(tmp_path):
    two = f"{MODELS}, hills {'cd' * 32}"
    other = f"hills {'cd' * 32}, {MODELS}"
    write_tile(tmp_path / "tiles", "a", "2021-08-01", [box(0, 0, 100, 100)], models=two)
    write_tile(tmp_path / "tiles", "b", "2021-08-02", [box(0, 0, 100, 100)], models=other)
    found = tables(build([tmp_path / "tiles"], tmp_path / "one").folder)
    assert set(found["objects"]["model_ids"]) == {f"{'ab' * 32},{'cd' * 32}"}


@pytest.mark.parametrize(
    ("rules", "of_last_years"),
    [
        (Rules(min_looks=2), [{"cut": [False]}]),
        (Rules(min_agreement=0.6), [{"cut": [False]}, None]),
        (Rules(drop=("cut",)), [{"cut": [True]}, {"cut": [True]}]),
    ],
)
def test_a_slump_that_a_rule_leaves_out_has_not_ended(tmp_path, rules, of_last_years):
    """Too few images of the last two years saw it, too few of them call it a slump, or a border cuts it in all."""
    for year in range(2019, 2025):
        images = of_last_years if year > 2022 else [{"cut": [False]}] * 2
        for number, columns in enumerate(images):
            shapes = [] if columns is None else [box(0, 0, 200, 200)]
            write_tile(tmp_path / "tiles", f"{year}-{number}", f"{year}-08-01", shapes, **(columns or {}))
    built = build([tmp_path / "tiles"], tmp_path / "one", rules)
    assert [built.slumps[year] for year in (2022, 2023, 2024)] == [1, 0, 0]
    assert tables(built.folder)["tracks"]["status"].tolist() == ["stable"]


def test_parts_of_one_image_are_one_look_and_copies_count_once(tmp_path):
    """As two runs over two areas of one scene leave them, in folders of any name, and one of them copied."""
    west, east = box(-5000, -5000, 500, 5000), box(500, -5000, 5000, 5000)
    write_tile(tmp_path / "b", "image", "2021-08-01", [box(0, 0, 100, 100), box(450, 0, 500, 100)], extent=west)
    write_tile(tmp_path / "a", "image", "2021-08-01", [box(500, 0, 560, 100), box(900, 0, 990, 100)], extent=east)
    write_tile(tmp_path / "a", "other", "2021-08-02", [box(0, 0, 100, 100)])
    shutil.copytree(tmp_path / "a" / "image", tmp_path / "c" / "image")
    one = tables(build([tmp_path / "a", tmp_path / "b", tmp_path / "c"], tmp_path / "one").folder)
    two = build([tmp_path / "b", tmp_path / "a"], tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert (two.n_tiles, two.n_objects, len(one["looks"])) == (2, 5, 2)
    assert one["slumps"]["n_looks"].eq(2).all()
    assert sorted(one["slumps"]["n_hits"]) == [1, 1, 1, 2]


def test_an_image_by_two_models_is_one_look(tmp_path):
    saw_not = box(-9000, -9000, -8000, -8000)
    write_tile(tmp_path / "1", "a", "2021-08-01", [])
    write_tile(tmp_path / "2", "a", "2021-08-01", [], models=f"other {'cd' * 32}", observed=saw_not)
    write_tile(tmp_path / "3", "b", "2021-08-02", [box(0, 0, 100, 100)])
    roots = [tmp_path / name for name in "123"]
    (slump,) = tables(build(roots, tmp_path / "one", Rules(mixed=True)).folder)["slumps"].to_dict("records")
    assert (slump["n_looks"], slump["n_hits"]) == (2, 1)


def test_tiles_of_one_image_at_two_thresholds_are_refused(tmp_path):
    for root, threshold in (("a", 0.5), ("b", 0.65)):
        tile = write_tile(tmp_path / root, "image", "2021-08-01", [box(0, 0, 100, 100)])
        record = json.loads((tile / "darts_inference.json").read_text())
        record["DARTS_binarization_threshold"] = threshold
        (tile / "darts_inference.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match="the tiles are not made alike"):
        build([tmp_path / "a", tmp_path / "b"], tmp_path / "one")


def test_tiles_behind_links_count_once_and_loops_end(five_years, tmp_path):
    (tmp_path / "links").mkdir()
    for tile in five_years.iterdir():
        (tmp_path / "links" / tile.name).symlink_to(tile)
    (tmp_path / "links" / "loop").symlink_to(tmp_path / "links")
    (tmp_path / "links" / "all").symlink_to(five_years)
    assert build([tmp_path / "links"], tmp_path / "one").n_tiles == 10


def test_a_tile_that_is_not_finished_is_left_out_with_a_line(five_years, tmp_path, caplog):
    (five_years / "2021-1" / "darts_inference.json").unlink()
    assert build([five_years], tmp_path / "one").n_tiles == 9
    assert "1 tiles such as" in caplog.text
    assert "have no darts_inference.json, so are not finished: left out" in caplog.text


def test_without_ground_that_most_agree_on_all_areas_are_zero(tmp_path):
    for day in range(1, 5):
        write_tile(tmp_path / "tiles", f"{day}", f"2021-08-0{day}", [box(0, 0, 100, 100)] if day == 1 else [])
    (slump,) = tables(build([tmp_path / "tiles"], tmp_path / "one").folder)["slumps"].to_dict("records")
    assert [slump[f"area_{name}_m2"] for name in ("majority", "low", "high")] == [0, 0, 0]


def test_ground_that_changes_hands_is_neither_gained_nor_lost(tmp_path):
    apart, together = [box(0, 0, 100, 100), box(120, 0, 200, 100)], [box(0, 0, 200, 100)]
    for year, shapes in ((2020, apart), (2021, together), (2022, apart)):
        write_tile(tmp_path / "tiles", f"{year}", f"{year}-08-01", shapes)
    changes = tables(build([tmp_path / "tiles"], tmp_path / "one").folder)["changes"]
    bridge = ground_areas_m2([box(100, 0, 120, 100)], UTM)[0]
    assert changes.groupby("kind")["area_m2"].sum().to_dict() == pytest.approx(
        {"gained": bridge, "lost": bridge}, rel=1e-5
    )


def test_ids_and_rules_stay_when_slumps_are_made_again(five_years, tmp_path):
    first = build([five_years], tmp_path / "first").folder
    known = published_of(gpd.read_parquet(first / "slumps").assign(slump_id="published"), "first")
    one = build([five_years], tmp_path / "one", Rules(min_looks=1), published=known)
    before = contents(one.folder)
    assert "published" in set(tables(one.folder)["slumps"]["slump_id"])
    retrack(one.folder, {"min_looks": 2})
    retrack(one.folder, {"min_looks": 1})
    assert contents(one.folder) == before
    assert rules_of(one.folder) == Rules(min_looks=1)


@pytest.mark.parametrize("kind", ["objects", "looks"])
def test_parts_that_are_lost_are_noticed(five_years, tmp_path, kind):
    folder = build([five_years], tmp_path / "one").folder
    shutil.rmtree(folder / kind / "2020")
    with pytest.raises(DataError, match=f"is not whole: {kind}/2020/"):
        retrack(folder, {})


def test_a_copy_without_what_is_hidden_can_be_built_again(five_years, tmp_path):
    folder = build([five_years], tmp_path / "one").folder
    shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns(".*"))
    build([five_years], tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(folder)


@pytest.mark.parametrize(
    ("column", "value", "line"),
    [
        ("mean", ["much"], "cannot be read"),
        ("cut", ["perhaps"], "cannot be read"),
        ("npixel", [0], "npixel of an object is not above 0"),
        ("npixel", [None], "cannot be read"),
        ("geometry", [None], "1 rows have no polygon"),
        ("geometry", [shapely.Point(500_000, 7_700_000)], "1 rows have no polygon"),
        ("geometry", [shapely.Polygon()], "1 rows have no polygon"),
        ("geometry", [shapely.box(5e8, 7e8, 6e8, 8e8)], "do not lie on the northern half of the Earth"),
    ],
)
def test_a_table_of_nonsense_is_one_line(tmp_path, column, value, line):
    tile = write_tile(tmp_path / "tiles", "a", "2021-08-01", [box(0, 0, 100, 100)])
    table = gpd.read_parquet(tile / "prediction_segments.parquet")
    table[column] = gpd.GeoSeries(value, crs=UTM) if column == "geometry" else value
    table.to_parquet(tile / "prediction_segments.parquet")
    with pytest.raises(DataError, match=line):
        build([tmp_path / "tiles"], tmp_path / "one")


@pytest.mark.parametrize("change", [{"DARTS_thresholds": [1]}, {"DARTS_thresholds": {"low": "x"}}, {"acquired": [1]}])
def test_a_record_of_nonsense_is_one_line(tmp_path, change):
    tile = write_tile(tmp_path / "tiles", "a", "2021-08-01", [box(0, 0, 100, 100)])
    record = json.loads((tile / "darts_inference.json").read_text())
    (tile / "darts_inference.json").write_text(json.dumps({**record, **change}))
    with pytest.raises(DataError, match=r"Map the tile again with --overwrite"):
        build([tmp_path / "tiles"], tmp_path / "one")


def test_a_slump_that_took_in_another_one_grows_from_then_on(tmp_path):
    """Until 2021 there are two; joined they grow by 10 m a year at their edge."""
    for year in range(2019, 2025):
        wide = 10 * (year - 2019)
        shapes = [box(0, 0, 200 + wide, 100)] if year >= 2021 else [box(0, 0, 100, 100), box(120, 0, 200 + wide, 100)]
        write_tile(tmp_path / "tiles", f"{year}", f"{year}-08-01", shapes)
    tracks = tables(build([tmp_path / "tiles"], tmp_path / "one").folder)["tracks"].set_index("merged_into")
    (whole,) = tracks[tracks.index.isna()].to_dict("records")
    assert whole["growth_m2_per_year"] == pytest.approx(1000, rel=1e-2)
    assert whole["n_years"] == 6
    assert np.isnan(whole["growth_low"]), "only four years are comparable"


def test_a_slump_that_gave_a_part_away_shrinks_from_then_on(tmp_path):
    for year in range(2019, 2025):
        small = 10 * (year - 2019)
        shapes = [box(0, 0, 300, 100)] if year < 2022 else [box(0, 0, 200 - small, 100), box(220, 0, 300, 100)]
        write_tile(tmp_path / "tiles", f"{year}", f"{year}-08-01", shapes)
    tracks = tables(build([tmp_path / "tiles"], tmp_path / "one").folder)["tracks"]
    (whole,) = tracks[tracks["split_from"].isna()].to_dict("records")
    assert whole["growth_m2_per_year"] == pytest.approx(-1000, rel=1e-2)
