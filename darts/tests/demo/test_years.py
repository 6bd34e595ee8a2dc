"""The sample world over years: what becomes of its slumps is true in its tables and seen in its images."""

import re
from itertools import pairwise

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from rasterio.features import geometry_mask

from darts.demo.run import demo
from darts.demo.years.compare import compare_years
from darts.demo.years.places import first_place, grids_of, takes_of
from darts.demo.years.world import elevation_of, make_world_over_years, trends_in
from darts.demo.years.write import WrittenYears, write_world_over_years
from darts_acquisition import load_arcticdem, load_cdse_s2_sr_scene, load_tcvis
from darts_utils.errors import ConfigError
from darts_utils.objects.geodesy import ground_areas_m2
from darts_utils.tile import geobox_of, validate

SEED, SIZE, YEARS = 1, 560, (2022, 2023, 2024)
HOME = "EPSG:32608"


@pytest.fixture(scope="module")
def world():
    return make_world_over_years(SEED, len(YEARS), SIZE)


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    return WrittenYears(tmp_path_factory.mktemp("years"))


@pytest.fixture(scope="module")
def images(world, there):
    return list(write_world_over_years(world, there.root))


def outlines_of(world, slump):
    """Return the outlines of a slump by year, in the zone of the world."""
    rows = world.outlines[world.outlines["slump"] == slump].to_crs(HOME)
    return dict(zip(rows["year"], rows.geometry, strict=True))


def test_the_tables_say_the_same_of_each_slump(world):
    years = world.outlines.groupby("slump")["year"]
    tracks = world.tracks.set_index("slump")
    assert list(tracks.index) == sorted(world.outlines["slump"].unique())
    pd.testing.assert_series_equal(years.min(), tracks["first_year"], check_names=False)
    pd.testing.assert_series_equal(years.max(), tracks["last_year"], check_names=False)
    pd.testing.assert_series_equal(years.size(), tracks["n_years"], check_names=False)
    assert set(world.outlines["year"]) == set(YEARS)
    assert set(world.outlines.geom_type) == {"Polygon"}
    areas = ground_areas_m2(world.outlines.geometry.to_numpy(), world.outlines.crs)
    np.testing.assert_allclose(world.outlines["area_m2"], areas, rtol=1e-4)


def test_all_that_can_become_of_slumps_happens(world):
    tracks = world.tracks
    assert tracks["merged_into"].notna().any()
    assert tracks["split_from"].notna().any()
    alone = tracks[tracks["retreat_m_per_year"].notna()]
    assert {2022, 2023, 2024} == set(alone["first_year"]), "slumps appear"
    assert {2022, 2023, 2024} == set(alone["last_year"]), "slumps end"
    assert alone["retreat_m_per_year"].between(0, 12).all()
    assert (alone["retreat_m_per_year"] == 0).any()
    assert (alone["retreat_m_per_year"] > 4).any()


def test_slumps_grow_as_they_retreat_and_lose_nothing(world):
    for track in world.tracks[world.tracks["retreat_m_per_year"].notna()].itertuples():
        outlines = outlines_of(world, track.slump)
        years = list(outlines)
        assert years == list(range(track.first_year, track.last_year + 1))
        for before, after in pairwise(outlines.values()):
            assert shapely.area(shapely.difference(before, after)) < 1
            assert (after.area > before.area + 1) == (track.retreat_m_per_year > 0)
        if len(years) > 1:
            grown = outlines[years[-1]].area - outlines[years[0]].area
            assert track.growth_m2_per_year == pytest.approx(grown / (len(years) - 1), rel=0.01, abs=1)


def test_what_merges_was_apart_and_what_splits_was_one(world):
    for track in world.tracks.itertuples():
        for other, is_merging in ((track.merged_into, True), (track.split_from, False)):
            if pd.isna(other):
                continue
            own, others = outlines_of(world, track.slump), outlines_of(world, other)
            together = set(others) - set(own)
            assert together == set(YEARS) - set(own)
            assert (min(together) > max(own)) is is_merging
            assert all(others[year].distance(own[year]) >= 30 for year in own)
            for year in together:
                assert shapely.area(shapely.difference(next(iter(own.values())), others[year])) < 1


@pytest.mark.parametrize(("seed", "n_years", "size"), [(0, 10, 2000), (5, 5, 512)])
def test_three_to_six_images_a_year_from_two_zones(seed, n_years, size):
    years = range(2025 - n_years, 2025)
    takes = takes_of(seed, first_place(seed, size).geobox, years)
    tiles = [(take.year, tile) for take in takes for tile in take.tiles]
    counts = pd.Series([year for year, _ in tiles]).value_counts()
    assert list(counts.sort_index().index) == list(years)
    assert counts.between(3, 6).all()
    assert len({tile.scene_id for _, tile in tiles}) == len(tiles)
    for year, tile in tiles:
        assert (tile.time.year, tile.time.month in {7, 8}) == (year, True)
        assert f"_{tile.time:%Y%m%dT%H%M%S}_" in tile.scene_id
        assert {"T08WPB": 32608, "T09WUS": 32609}[tile.scene_id[38:44]] == tile.geobox.crs.epsg
        assert 20 < tile.sun_elevation < 50


@pytest.mark.parametrize("size", [512, 560, 3000])
def test_images_overlap_and_lie_within_the_world(size):
    world = first_place(0, size).geobox
    west, east = (grid.footprint(HOME, npoints=50).geom for grid in grids_of(world))
    inner = shapely.buffer(world.extent.geom, 1)
    assert inner.contains(west)
    assert inner.contains(east)
    assert shapely.intersection(west, east).area > 0.1 * world.extent.geom.area
    assert shapely.union(west, east).area > 0.9 * world.extent.geom.area


def ndvi_within(image, outline):
    """Return the mean NDVI of the clear pixels in an outline of the zone of the world; NaN if half of it is hidden."""
    grid = image.place.geobox
    shape = gpd.GeoSeries([outline], crs=HOME).to_crs(str(grid.crs)).iloc[0]
    inside = geometry_mask([shape], grid.shape, grid.affine, invert=True)
    clear = inside & np.isin(image.classes, (4, 5, 7))
    red, nir = image.reflectance[2][clear], image.reflectance[3][clear]
    return ((nir - red) / (nir + red)).mean() if clear.sum() > max(0.5 * shape.area / 100, 30) else np.nan


def test_images_show_slumps_where_and_when_they_are(world, images):
    seen = {(zone, is_there): [] for zone in (32608, 32609) for is_there in (True, False)}
    for track in world.tracks[world.tracks["n_years"] < len(YEARS)].itertuples():
        outlines = outlines_of(world, track.slump)
        inner = shapely.buffer(next(iter(outlines.values())), -15)
        if pd.isna(track.retreat_m_per_year) or inner.area < 2000:
            continue
        for image in images:
            value = ndvi_within(image, inner)
            seen[image.place.geobox.crs.epsg, image.year in outlines].append(value)
    for zone in (32608, 32609):
        there, gone = np.array(seen[zone, True]), np.array(seen[zone, False])
        assert np.nanmax(there) < 0.45, "raw ground"
        assert np.nanmin(gone) > np.nanmax(there) - 0.1, "tundra, or overgrown"
        assert np.nanmedian(gone) > np.nanmedian(there) + 0.2


def test_clouds_are_elsewhere_in_each_pass(images):
    western = [image for image in images if image.place.geobox.crs.epsg == 32608]
    hidden = [np.isin(image.classes, (3, 8, 9)) for image in western]
    assert sum(one.any() for one in hidden) > len(hidden) / 2
    for one, other in pairwise(hidden):
        assert (one & other).sum() < 0.5 * max(one.sum(), other.sum(), 1)


def test_what_is_written_is_the_world(world, images, there):
    scenes = [(image.year, image.place.scene_id) for image in images]
    assert_geodataframe_equal(gpd.read_parquet(there.outlines), world.outlines)
    pd.testing.assert_frame_equal(pd.read_parquet(there.tracks), world.tracks)
    for year in YEARS:
        assert there.scene_id_file(year).read_text().split() == [scene_id for of, scene_id in scenes if of == year]
    for year, scene_id in (scenes[0], scenes[-1]):
        home = there.data_dir(year)
        tile = validate(load_cdse_s2_sr_scene(scene_id, store=home / "input/sentinel2/cdse-scenes", offline=True))
        load_arcticdem(geobox_of(tile), home / "aux", 10, buffer=16, offline=True)
        load_tcvis(geobox_of(tile), home / "aux", offline=True)


def test_trends_are_those_of_the_year_and_elevation_is_the_mean_of_all(world):
    new = world.tracks[(world.tracks["first_year"] == YEARS[-1]) & world.tracks["split_from"].isna()]["slump"]
    grid = world.place.padded_geobox
    inner = [shapely.buffer(outlines_of(world, slump)[YEARS[-1]], -20) for slump in new]
    inside = geometry_mask(inner, grid.shape, grid.affine, invert=True)
    before, after = (ground.relief.elevation for ground in (world.grounds[0], world.grounds[-1]))
    lower = (before - after)[inside].mean()
    assert lower > 0.5
    assert np.nanmean((before - elevation_of(world))[inside]) == pytest.approx(lower / 3, rel=0.1)
    green = [trends_in(world, years)[1][inside].astype(float).mean() for years in (YEARS[:1], YEARS[-1:], YEARS)]
    assert green[0] - green[1] > 10
    assert green[0] - green[2] == pytest.approx((green[0] - green[1]) / 3, abs=1)


@pytest.mark.usefixtures("images")
def test_a_perfect_inventory_has_perfect_scores_and_each_fault_its_own(world, there, tmp_path):
    slumps = world.outlines.assign(slump_id=world.outlines["slump"].map("slump {}".format))
    tracks = gpd.GeoDataFrame({"slump_id": slumps["slump_id"].unique(), "growth_low": 0.0, "growth_high": 1.0})
    for name, table in (("slumps", slumps), ("tracks", tracks.set_geometry([None] * len(tracks), crs=4326))):
        (tmp_path / name).mkdir()
        table.to_parquet(tmp_path / name / "all.parquet")
    score = compare_years(tmp_path, there)
    assert list(score.by_year["recall"]) == [1, 1, 1]
    assert (score.by_year["n_false"].sum(), score.ids_kept, len(score.growth)) == (0, 1, 0)
    lost = slumps["year"].eq(2023) & slumps["slump"].eq(slumps["slump"].mode()[0])
    other = slumps["slump_id"].where(~lost, "another")
    slumps.assign(slump_id=other).to_parquet(tmp_path / "slumps" / "all.parquet")
    assert compare_years(tmp_path, there).ids_kept == pytest.approx(1 - 1 / len(score.ids))
    slumps[~lost].to_parquet(tmp_path / "slumps" / "all.parquet")
    recall = compare_years(tmp_path, there).by_year.set_index("year")
    assert (recall["n_true"] - recall["n_found"]).to_dict() == {2022: 0, 2023: 1, 2024: 0}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_years": 1}, "n_years is 1 but must be from 2 to 10. Leave it out for a world of one."),
        ({"n_years": 3, "size": 511}, "size is 511 px but must be from 512 to 3000 for a world over years."),
        ({"n_years": 3, "sensor": "planet"}, "worlds over years are Sentinel-2 scenes without labels."),
        ({"n_years": 3, "write_labels": True}, "worlds over years are Sentinel-2 scenes without labels."),
    ],
)
def test_what_cannot_be_made_is_refused(tmp_path, given, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        demo(folder=tmp_path / "none", **given)
    assert not (tmp_path / "none").exists()
