"""Datacubes: the right window, holes as no data, unfilled ground refused, and no network ever."""

import socket
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import smart_geocubes
import xarray as xr
import zarr
from odc.geo.geobox import GeoBox

from darts_acquisition import load_arcticdem, load_tcvis
from darts_acquisition.auxiliary.arcticdem import _mosaic_tiles, arcticdem_staged, arcticdem_to_fetch
from darts_acquisition.auxiliary.filling import from_memory
from darts_acquisition.auxiliary.tcvis import tcvis_staged, tcvis_to_fetch
from darts_utils.errors import ConfigError, CoverageError, DataError, MissingDataError


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_elevation_is_read_where_it_lies(dem_cube, dem_window, geobox, ramp):
    ds = load_arcticdem(geobox, dem_cube, 10, buffer=10, offline=True)
    assert ds.odc.geobox.crs.epsg == 3413
    needed = geobox.footprint("EPSG:3413", npoints=100).boundingbox
    have = ds.odc.geobox.boundingbox
    assert have.left <= needed.left - 100
    assert have.top >= needed.top + 100
    column, row = ~dem_window.affine @ (ds.odc.geobox.affine.c, ds.odc.geobox.affine.f)
    rows, columns = (
        slice(round(start), round(start) + n) for start, n in zip((row, column), ds.dem.shape, strict=True)
    )
    dem, mask = ds.dem.values, ds.arcticdem_data_mask.values
    np.testing.assert_array_equal(dem[mask == 1], ramp(dem_window)[rows, columns][mask == 1])
    np.testing.assert_array_equal(np.isnan(dem), mask == 0)
    assert 30 <= (mask == 0).sum() <= 42
    assert (dem.dtype, mask.dtype, ds.datamask.dtype) == (np.float32, np.uint8, np.uint8)


def test_a_mask_of_truth_values_may_be_written_as_int8(dem_cube, dem_window, tmp_path, make_cube, geobox, ramp):
    """So did all releases of xarray before the summer of 2026, hence most cubes that people have."""

    class Older(smart_geocubes.ArcticDEM10m):
        pass

    encoding = "_channels_encoding"  # as it is spelled there
    setattr(Older, encoding, {**getattr(smart_geocubes.ArcticDEM10m, encoding), "datamask": {"dtype": "int8"}})

    def fill(name, window):
        mask, dem = np.ones(window.shape, dtype=np.int8), ramp(window)
        mask[20:25, 30:36], dem[40:44, 50:53] = 0, -9999
        return dem if name == "dem" else mask

    path = tmp_path / "older" / "arcticdem_10m.icechunk"
    make_cube(Older, path, "demo-1", fill, dem_window, list(dem_window.boundingbox))
    older, newer = load_arcticdem(geobox, path, 10), load_arcticdem(geobox, dem_cube, 10)
    xr.testing.assert_identical(older.arcticdem_data_mask, newer.arcticdem_data_mask)
    assert (older.arcticdem_data_mask == 0).any()


def test_the_folder_of_the_cube_will_do(dem_cube, tcvis_cube, geobox):
    assert load_arcticdem(geobox, dem_cube.parent, 10).dem.size > 0
    assert load_tcvis(geobox, tcvis_cube.parent).tc_wetness.size > 0


def test_trends_are_read(tcvis_cube, geobox):
    ds = load_tcvis(geobox, tcvis_cube, offline=True)
    assert ds.odc.geobox.crs.epsg == 4326
    values = {name: (str(ds[name].dtype), np.unique(ds[name]).tolist()) for name in ds.data_vars}
    assert values == {
        "tc_brightness": ("uint8", [10]),
        "tc_greenness": ("uint8", [20]),
        "tc_wetness": ("uint8", [30]),
    }


def test_ground_outside_the_filled_part_is_refused(dem_cube, tcvis_cube, make_grid):
    beside = make_grid(left=500_400)
    with pytest.raises(CoverageError) as caught:
        load_arcticdem(beside, dem_cube, 10, buffer=10, offline=True, stage_with="darts prep-data sentinel2 --aux")
    message = str(caught.value)
    assert message.startswith(f"the datacube {dem_cube} lacks ")
    assert " % of the area that this tile needs (bounds of what is missing in EPSG:3413: " in message
    assert message.endswith("Stage it with `darts prep-data sentinel2 --aux`.")
    with pytest.raises(CoverageError, match=r"tcvis\.icechunk lacks 100\.0 % of the area"):
        load_tcvis(make_grid(left=540_000), tcvis_cube, offline=True)


def test_a_larger_margin_than_was_filled_is_refused(dem_cube, geobox):
    load_arcticdem(geobox, dem_cube, 10, buffer=25, offline=True)
    with pytest.raises(CoverageError):
        load_arcticdem(geobox, dem_cube, 10, buffer=60, offline=True)


def test_a_missing_cube_is_named_with_the_call_that_fetches_it(tmp_path, geobox):
    with pytest.raises(MissingDataError) as caught:
        load_arcticdem(geobox, tmp_path / "none.icechunk", 10, offline=True)
    assert str(caught.value) == (
        f"there is no datacube at {tmp_path / 'none.icechunk'}. Stage it with `darts prep-data sentinel2 --aux`."
    )


def test_a_broken_cube_is_an_error(tmp_path, geobox):
    (tmp_path / "tcvis.icechunk").mkdir()
    (tmp_path / "tcvis.icechunk" / "junk").write_text("junk")
    with pytest.raises(DataError, match=r"the datacube .*tcvis\.icechunk cannot be opened"):
        load_tcvis(geobox, tmp_path, offline=True)


def _emptied(path):
    path.write_bytes(b"")


def _garbled(path):
    path.write_bytes(b"damaged")


def _halved(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [Path.unlink, _emptied, _garbled, _halved])
@pytest.mark.parametrize("part", ["chunks", "manifests", "snapshots"])
def test_a_lost_or_damaged_part_of_a_cube_is_an_error_in_a_line_and_not_no_data(dem_cube, geobox, part, damage):
    files = list((dem_cube / part).iterdir())
    assert files
    for file in files:
        damage(file)
    with pytest.raises(DataError, match=rf"^(dem of )?the datacube {dem_cube} cannot be (read|opened) \(") as caught:
        load_arcticdem(geobox, dem_cube, 10, offline=True)
    assert "\n" not in str(caught.value)


def test_a_lost_chunk_of_the_trends_is_an_error(tcvis_cube, geobox):
    for chunk in (tcvis_cube / "chunks").iterdir():
        chunk.unlink()
    with pytest.raises(DataError, match=r"^TCB_slope of the datacube .* cannot be read \(.*\)\. Delete the cube"):
        load_tcvis(geobox, tcvis_cube, offline=True)


def test_a_cube_of_another_resolution_or_thing_is_not_read_as_this_one(dem_cube, tcvis_cube, geobox):
    path = dem_cube.rename(dem_cube.with_name("arcticdem_32m.icechunk"))
    with pytest.raises(DataError) as caught:
        load_arcticdem(geobox, path, 32, offline=True)
    assert str(caught.value) == (
        f"dem of the datacube {path} has the shape (750020, 740020), but that of the data set in this resolution is"
        " (234381, 231256). Choose another folder."
    )
    with pytest.raises(DataError) as caught:
        load_tcvis(geobox, path, offline=True)
    assert str(caught.value) == (
        f"the datacube {path} has no TCB_slope, so it holds something else. Choose another folder."
    )


@pytest.mark.parametrize("bounds", [{"demo-1": None}, {"demo-1": ["a", 1, 2, 3]}, {"demo-1": [3, 3, 2, 2]}, [1], "x"])
def test_a_record_of_nonsense_is_an_error_in_a_line(dem_cube, geobox, bounds):
    cube = from_memory(smart_geocubes.ArcticDEM10m)(dem_cube, create_icechunk_storage=False, backend="simple")
    session = cube.repo.writable_session("main")
    zarr.open_group(session.store, mode="r+").attrs["patch_bounds"] = bounds
    session.commit("nonsense")
    with pytest.raises(
        DataError, match=rf"^the record of what is filled in the datacube {dem_cube} is damaged \(.*\)\."
    ):
        load_arcticdem(geobox, dem_cube, 10, offline=True)


def test_other_resolutions_are_refused(tmp_path, geobox):
    with pytest.raises(ConfigError, match=r"^ArcticDEM resolution is 5 m but must be 2, 10 or 32\.$"):
        load_arcticdem(geobox, tmp_path, 5)


def test_reading_changes_nothing_in_the_cube(dem_cube, geobox):
    before = {path: path.stat().st_mtime_ns for path in dem_cube.rglob("*")}
    load_arcticdem(geobox, dem_cube, 10, offline=True)
    assert {path: path.stat().st_mtime_ns for path in dem_cube.rglob("*")} == before


def test_mosaic_tiles_are_found_by_their_ids():
    whole = _mosaic_tiles(["36_24_10m_v4.1", "nonsense", "demo-1"])
    assert [tile.bounds for tile in whole] == [(-1_700_000, -500_000, -1_600_000, -400_000)]


def test_quarters_count_when_all_four_are_there():
    quarters = [f"36_24_{quarter}_2m_v4.1" for quarter in ("1_1", "1_2", "2_1")]
    assert _mosaic_tiles(quarters) == []
    assert len(_mosaic_tiles([*quarters, "36_24_2_2_2m_v4.1"])) == 1


def test_chunks_of_the_trends_are_found_by_their_ids(tmp_path, make_cube, geobox, tcvis_window):
    """Without recorded bounds a patch is the chunk that its id names."""
    extent = smart_geocubes.TCTrend.extent
    column, row = ~extent.affine @ (tcvis_window.affine.c, tcvis_window.affine.f)
    chunk = f"{int(row) // 3600}-{int(column) // 3600}"

    def fill(name, window):
        return np.ones(window.shape, dtype=np.uint8)

    cube = make_cube(smart_geocubes.TCTrend, tmp_path / "tcvis.icechunk", chunk, fill, tcvis_window)
    assert load_tcvis(geobox, cube, offline=True).tc_wetness.values.any()


def test_a_tile_across_the_antimeridian_is_in_one_piece(tmp_path, make_cube, make_grid):
    tile = make_grid("EPSG:32601", left=366_000, bottom=7_500_000, size=(20, 40), resolution=500)
    extent = smart_geocubes.TCTrend.extent
    longitudes = tile.footprint("+proj=longlat +pm=180", npoints=50).boundingbox
    assert longitudes.left < 0 < longitudes.right
    top, bottom = longitudes.top + 0.01, longitudes.bottom - 0.01
    rows = slice(int((top - extent.affine.f) / extent.affine.e), int((bottom - extent.affine.f) / extent.affine.e))
    n = int((abs(longitudes.left) + abs(longitudes.right)) / extent.affine.a) + 50
    west, east = extent[rows, extent.shape[1] - n :], extent[rows, :n]

    def fill(name, window):
        return np.full(window.shape, 7 if window is west else 9, dtype=np.uint8)

    path = tmp_path / "tcvis.icechunk"
    make_cube(smart_geocubes.TCTrend, path, "west", fill, west)
    make_cube(smart_geocubes.TCTrend, path, "east", fill, east)
    session = smart_geocubes.TCTrend(path, backend="simple").repo.writable_session("main")
    bounds = {"west": list(west.boundingbox), "east": list(east.boundingbox)}
    zarr.open_group(session.store, mode="r+").attrs["patch_bounds"] = bounds
    session.commit("bounds")
    ds = load_tcvis(tile, path, offline=True)
    box = ds.odc.geobox
    assert isinstance(box, GeoBox)
    at_meridian = round(-box.affine.c / box.affine.a)
    assert np.unique(ds.tc_wetness.values[:, :at_meridian]).tolist() == [7]
    assert np.unique(ds.tc_wetness.values[:, at_meridian:]).tolist() == [9]


def outlines(*grids):
    shapes = [grid.footprint("EPSG:3413", npoints=100).geom for grid in grids]
    return gpd.GeoDataFrame(geometry=shapes, crs="EPSG:3413")


def is_loaded(load, *arguments, **options):
    try:
        load(*arguments, offline=True, **options)
    except CoverageError:
        return False
    return True


def test_a_plan_and_an_offline_load_agree_on_what_lacks(dem_cube, tcvis_cube, make_grid):
    lefts = [500_000 + step * 37 for step in range(-8, 12)]
    grids = [make_grid(left=left) for left in lefts]
    for buffer in (0, 10, 25, 30):
        loaded = [is_loaded(load_arcticdem, grid, dem_cube, 10, buffer=buffer) for grid in grids]
        assert arcticdem_staged(outlines(*grids), dem_cube, 10, buffer) == loaded
    assert set(loaded) == {True, False}
    grids += [make_grid(left=left) for left in range(500_000, 540_000, 2_000)]
    loaded = [is_loaded(load_tcvis, grid, tcvis_cube) for grid in grids]
    assert tcvis_staged(outlines(*grids), tcvis_cube) == loaded
    assert set(loaded) == {True, False}


def test_a_plan_and_an_online_load_agree_on_what_lacks(dem_cube, tcvis_cube, make_grid, monkeypatch):
    """Each load tells what it would fetch, and breaks off."""
    told = []

    def tell(chunks):
        told.append([chunk.patch_id for chunk in chunks])
        raise InterruptedError

    monkeypatch.setattr("darts_acquisition.auxiliary.arcticdem._fill", lambda _path, _resolution, chunks: tell(chunks))
    monkeypatch.setattr("darts_acquisition.auxiliary.tcvis.fill_tcvis", lambda _path, chunks, *, year: tell(chunks))
    for grid in (make_grid(left=left) for left in (500_000, 500_400, 540_000)):
        plans = [arcticdem_to_fetch(outlines(grid), dem_cube, 10, 25), tcvis_to_fetch(outlines(grid), tcvis_cube)]
        told.clear()
        with pytest.raises(InterruptedError):
            load_arcticdem(grid, dem_cube, 10, buffer=25)
        with pytest.raises(InterruptedError):
            load_tcvis(grid, tcvis_cube)
        assert [[chunk.patch_id for chunk in plan] for plan in plans] == told
    assert arcticdem_to_fetch(outlines(make_grid()), dem_cube, 10, 25) == []


def test_without_a_cube_a_plan_lacks_all(tmp_path, geobox):
    assert arcticdem_staged(outlines(geobox, geobox), tmp_path / "none.icechunk", 10, 5) == [False, False]
    assert tcvis_staged(outlines(geobox), tmp_path / "none.icechunk") == [False]
