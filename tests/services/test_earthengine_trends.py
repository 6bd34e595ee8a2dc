"""TCVIS from Earth Engine into its cube: exact in each chunk, only what is lacking, through faults and failures."""

import itertools
import socket

import geopandas as gpd
import numpy as np
import pytest
import shapely
import smart_geocubes
from affine import Affine
from odc.geo.geobox import GeoBox

from darts_acquisition import download_tcvis, load_tcvis, missing_tcvis
from darts_acquisition.auxiliary.cube import open_cube
from darts_utils.errors import ConfigError, CoverageError, MissingDataError, ServiceError

EXTENT = smart_geocubes.TCTrend.extent
LAYERS = ("TCB_slope", "TCG_slope", "TCW_slope")
GRID = GeoBox((60, 80), Affine(10, 0, 500_000, 0, -10, 7_700_000), "EPSG:32608")


def trends(name, longitudes, latitudes):
    """Values that differ from pixel to pixel and layer to layer; a fifth is masked."""
    columns = np.floor((longitudes - EXTENT.affine.c) / EXTENT.affine.a).astype(int)
    rows = np.floor((latitudes - EXTENT.affine.f) / EXTENT.affine.e).astype(int)
    mixed = (columns * (7 + LAYERS.index(name)) + rows * 13) % 250
    return np.where(mixed % 5 == 0, 0, mixed).astype(np.uint8)


def expected(name, rows, columns):
    """The same by index, so that a grid that is off by a pixel is seen."""
    mixed = (columns * (7 + LAYERS.index(name)) + rows * 13) % 250
    return np.where(mixed % 5 == 0, 0, mixed).astype(np.uint8)


@pytest.fixture
def small_chunks(earthengine, monkeypatch):
    monkeypatch.setattr(smart_geocubes.TCTrend, "chunk_size", 100)
    monkeypatch.setattr("darts_acquisition.services.earthengine_pixels.BLOCK_BYTES", 3 * 64**2)
    monkeypatch.setattr("darts_acquisition.services.earthengine_pixels._STEP_PX", 32)
    earthengine.set_trends(trends)
    return earthengine


def check(path, chunks, size):
    """Compare chunks of the cube with the function."""
    cube = open_cube(path, EXTENT, "")
    for chunk in chunks:
        row, column = map(int, chunk.patch_id.split("-"))
        rows, columns = np.mgrid[row * size : (row + 1) * size, column * size : (column + 1) * size]
        got = cube.read(dict.fromkeys(LAYERS, "u"), chunk.geobox)
        for name in LAYERS:
            assert got[name].dtype == np.uint8
            np.testing.assert_array_equal(got[name].values, expected(name, rows, columns))


def area(*boxes, crs="EPSG:4326"):
    return gpd.GeoDataFrame(geometry=[shapely.box(*box) for box in boxes], crs=crs)


def test_a_chunk_of_the_real_size(earthengine, tmp_path):
    earthengine.set_trends(trends)
    aoi, sizes = area((-136.5, 69.5, -136.4, 69.55)), []
    chunks = missing_tcvis(aoi, tmp_path)
    assert len(chunks) == 1
    assert earthengine.requests == []
    download_tcvis(aoi, tmp_path, on_bytes=sizes.append)
    check(tmp_path / "tcvis.icechunk", chunks, 3600)
    assert sizes == [3600 * 3600 * 3]
    assert 2 < earthengine.asked("computePixels") < 20
    assert missing_tcvis(aoi, tmp_path) == []


def test_what_is_there_is_not_asked_for_again(small_chunks, tmp_path, monkeypatch):
    aoi = gpd.GeoDataFrame(geometry=[GRID.extent.geom], crs=GRID.crs)
    chunks = missing_tcvis(aoi, tmp_path)
    assert len(chunks) > 4
    download_tcvis(aoi, tmp_path)
    check(tmp_path / "tcvis.icechunk", chunks, 100)
    small_chunks.clear_log()
    before = sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*"))
    monkeypatch.setattr("darts_acquisition.auxiliary.tcvis_download.ensure_earthengine", None)
    download_tcvis(aoi, tmp_path)
    load_tcvis(GRID, tmp_path)
    assert small_chunks.requests == []
    assert before == sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*"))
    wider = gpd.GeoDataFrame(geometry=[shapely.buffer(GRID.extent.geom, 3000)], crs=GRID.crs)
    more = missing_tcvis(wider, tmp_path)
    assert more
    assert not {c.patch_id for c in more} & {c.patch_id for c in chunks}


def test_a_tile_is_loaded_online_and_then_offline(small_chunks, tmp_path, monkeypatch):
    with pytest.raises(MissingDataError, match="there is no datacube at"):
        load_tcvis(GRID, tmp_path, offline=True)
    assert small_chunks.requests == []
    online = load_tcvis(GRID, tmp_path)
    column, row = ~EXTENT.affine @ (online.odc.geobox.affine.c, online.odc.geobox.affine.f)
    rows, columns = np.indices(online.tc_wetness.shape)
    for name, layer in zip(("tc_brightness", "tc_greenness", "tc_wetness"), LAYERS, strict=True):
        np.testing.assert_array_equal(online[name].values, expected(layer, rows + round(row), columns + round(column)))
    monkeypatch.setattr(socket.socket, "connect", None)
    monkeypatch.setattr("darts_acquisition.auxiliary.tcvis_download.ensure_earthengine", None)
    assert load_tcvis(GRID, tmp_path, offline=True).identical(online)
    with pytest.raises(CoverageError):
        load_tcvis(GeoBox(GRID.shape, GRID.affine * Affine.translation(4000, 0), GRID.crs), tmp_path, offline=True)


def test_both_sides_of_the_antimeridian(small_chunks, tmp_path):
    grid = GeoBox((60, 80), Affine(10, 0, 627_250, 0, -10, 7_500_000), "EPSG:32660")
    left, _, right, _ = grid.footprint("EPSG:4326", npoints=100).geom.bounds
    assert right - left > 300, "the tile does not cross"
    online = load_tcvis(grid, tmp_path)
    columns = {int(patch.split("-")[1]) for patch in open_cube(tmp_path / "tcvis.icechunk", EXTENT, "").patches}
    last = (EXTENT.shape[1] - 1) // 100  # narrower than the others
    assert columns == {0, last - 1, last}
    assert (online.tc_wetness.values > 0).mean() > 0.7
    aoi = gpd.GeoDataFrame(geometry=[grid.extent.geom], crs=grid.crs)
    download_tcvis(aoi, tmp_path)
    assert load_tcvis(grid, tmp_path, offline=True).identical(online)


@pytest.mark.parametrize("seed", range(2))
def test_a_fifth_of_all_requests_may_fail(small_chunks, tmp_path, seed):
    numbers = itertools.count(seed)
    kinds = itertools.cycle([503, "cut", (429, {"Retry-After": "0"}), "garbage", "reset", "shape"])
    small_chunks.fault = lambda method, path: next(kinds) if next(numbers) % 5 == 4 else None
    aoi = area((-135.1, 69.5, -135.05, 69.52))
    chunks = missing_tcvis(aoi, tmp_path)
    download_tcvis(aoi, tmp_path)
    check(tmp_path / "tcvis.icechunk", chunks, 100)


def test_what_came_before_a_failure_stays(small_chunks, tmp_path):
    numbers = itertools.count()
    small_chunks.fault = lambda method, path: 503 if "computePixels" in path and next(numbers) > 20 else None
    aoi = area((-135.1, 69.5, -135.05, 69.52))
    chunks = missing_tcvis(aoi, tmp_path)
    with pytest.raises(ServiceError, match=r"computePixels failed 6 times in \d s \(last: 503 "):
        download_tcvis(aoi, tmp_path)
    lacking = missing_tcvis(aoi, tmp_path)
    assert 0 < len(lacking) < len(chunks)
    small_chunks.fault = lambda method, path: None
    small_chunks.clear_log()
    download_tcvis(aoi, tmp_path)
    assert sum(small_chunks.pixel_bytes) == len(lacking) * 100 * 100 * 3
    check(tmp_path / "tcvis.icechunk", chunks, 100)


def test_trends_that_may_not_be_read_are_named(earthengine, tmp_path):
    with pytest.raises(MissingDataError, match=r"ImageCollection asset 'projects/ee-ingmarnitze/.*' not found"):
        download_tcvis(area((-135.1, 69.5, -135.05, 69.52)), tmp_path)


@pytest.mark.parametrize("year", [2019, 2020, 2022, 2024])
def test_the_trends_of_a_year_are_those_of_its_collection_in_a_cube_of_their_own(earthengine, tmp_path, year):
    first = year - 19
    owner = "projects/ee-ingmarnitze/assets" if year == 2024 else "users/ingmarnitze"
    accessor = getattr(smart_geocubes, f"TCTrend{year}")
    earthengine.set_trends(trends, f"{owner}/TCTrend_SR_{first}-{year}_TCVIS")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accessor, "chunk_size", 100, raising=False)
        online = load_tcvis(GRID, tmp_path, year=year)
        aoi = gpd.GeoDataFrame(geometry=[GRID.extent.geom], crs=GRID.crs)
        chunks = missing_tcvis(aoi, tmp_path, year=year)
        download_tcvis(aoi, tmp_path, year=year)
        assert missing_tcvis(aoi, tmp_path, year=year) == []
        assert [path.name for path in tmp_path.iterdir() if path.suffix == ".icechunk"] == [f"TCTrend{year}.icechunk"]
        check(tmp_path / f"TCTrend{year}.icechunk", chunks, 100)
        earthengine.clear_log()
        offline = load_tcvis(GRID, tmp_path / f"TCTrend{year}.icechunk", offline=True, year=year)
        assert offline.identical(online)
        assert earthengine.requests == []
        assert online.tc_wetness.attrs["data_source"] == f"TCVIS, Landsat of {first}-{year}"
        with pytest.raises(MissingDataError, match=r"there is no datacube at .*tcvis\.icechunk"):
            load_tcvis(GRID, tmp_path, offline=True)


def test_a_year_without_trends_is_refused_before_anything_is_asked(earthengine, tmp_path):
    for call in (
        lambda: load_tcvis(GRID, tmp_path, year=2021),
        lambda: missing_tcvis(area((0, 0, 1, 1)), tmp_path, year=2021),
    ):
        with pytest.raises(ConfigError, match=r"^tcvis_year is 2021 but must be 2019, 2020, 2022 or 2024: "):
            call()
    assert earthengine.requests == []


def test_trends_given_as_arrays(earthengine, tmp_path, monkeypatch):
    monkeypatch.setattr(smart_geocubes.TCTrend, "chunk_size", 100)
    window = EXTENT[75_000:75_200, 166_000:166_200]
    rng = np.random.default_rng(5)
    arrays = {name: rng.integers(0, 255, window.shape).astype(np.uint8) for name in LAYERS}
    earthengine.set_trends({**arrays, "geobox": window})
    box = window[110:190, 110:190].extent.geom
    monkeypatch.setattr("darts_acquisition.auxiliary.tcvis_download._SPARE_DEGREES", 0.0001)
    download_tcvis(gpd.GeoDataFrame(geometry=[box], crs="EPSG:4326"), tmp_path)
    got = open_cube(tmp_path / "tcvis.icechunk", EXTENT, "").read(dict.fromkeys(LAYERS, "u"), window[100:200, 100:200])
    for name in LAYERS:
        np.testing.assert_array_equal(got[name].values, arrays[name][100:, 100:])
