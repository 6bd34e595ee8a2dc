"""Filling cubes: which chunks are missing, what is written, and that a cube is whole at any moment."""

import threading
import time
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import shapely
import smart_geocubes
import xarray as xr
import zarr
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_acquisition.auxiliary import filling
from darts_acquisition.auxiliary.arcticdem import _chunk_id, filled_area
from darts_acquisition.auxiliary.cube import cube_path, open_cube
from darts_acquisition.auxiliary.filling import Chunk, chunk_geobox, fill, missing_chunks
from darts_acquisition.services.retry import TransientError
from darts_utils.errors import DataError, OutputError

STEP = 12


class Small(smart_geocubes.ArcticDEM10m):
    """The accessor's own code on a small grid, whose last chunks are cut."""

    extent = GeoBox.from_bbox((0, 0, 500, 400), "EPSG:3413", resolution=10)
    chunk_size = STEP


def chunks_in(path, area, filled=lambda cube: shapely.Polygon()):
    return missing_chunks(path, Small, area, filled, _chunk_id)


def layers(geobox, value=7.0):
    dem = np.full(geobox.shape, value, np.float32)
    return xr.Dataset({"dem": wrap_xr(dem, geobox), "datamask": wrap_xr(dem > 0, geobox)})


def whole():
    return Small.extent.extent.geom


def test_chunks_are_those_that_the_area_touches(tmp_path):
    """Edges alone do not count; ground outside of the grid is in no chunk."""
    step_m = 10 * STEP
    one = chunks_in(tmp_path / "none", shapely.box(step_m, 400 - 2 * step_m, 2 * step_m, 400 - step_m))
    assert [chunk.patch_id for chunk in one] == ["chunk-1-1"]
    assert one[0].geobox == Small.extent[STEP : 2 * STEP, STEP : 2 * STEP]
    beyond = chunks_in(tmp_path / "none", shapely.box(470, -900, 900, 50))
    shapes = {chunk.patch_id: chunk.geobox.shape for chunk in beyond}
    assert shapes == {"chunk-2-3": (12, 12), "chunk-2-4": (12, 2), "chunk-3-3": (4, 12), "chunk-3-4": (4, 2)}
    assert chunks_in(tmp_path / "none", shapely.box(600, 0, 900, 50)) == []
    assert chunks_in(tmp_path / "none", shapely.Polygon()) == []


def test_the_chunks_of_a_grid_cover_it_without_overlap(tmp_path):
    found = chunks_in(tmp_path / "none", whole())
    boxes = [chunk.geobox.extent.geom for chunk in found]
    assert shapely.union_all(boxes).equals(whole())
    assert sum(box.area for box in boxes) == whole().area


def test_what_is_filled_by_other_patches_is_not_missing(tmp_path):
    path = tmp_path / "small.icechunk"
    fill(path, Small, [], layers)
    fill(path, Small, chunks_in(path, whole())[:1], layers)
    other = shapely.box(120, 0, 500, 400)
    ids = [chunk.patch_id for chunk in chunks_in(path, whole(), lambda cube: other)]
    assert ids == ["chunk-1-0", "chunk-2-0", "chunk-3-0"]


def test_a_cube_holds_what_was_fetched_and_nothing_elsewhere(tmp_path):
    path = tmp_path / "small.icechunk"
    path.mkdir()  # an empty folder will do
    first, sea, *_ = chunks = chunks_in(path, whole())
    told = []
    fill(path, Small, chunks[:3], lambda geobox: None if geobox == sea.geobox else layers(geobox), told.append)
    cube = open_cube(path, Small.extent, "")
    assert cube.patches == [chunk.patch_id for chunk in chunks[:3]]
    dem = cube.group["dem"][:]
    expected = np.zeros(Small.extent.shape, bool)
    expected[:STEP, :STEP] = expected[:STEP, 2 * STEP : 3 * STEP] = True
    np.testing.assert_array_equal(dem == 7, expected)
    np.testing.assert_array_equal(cube.group["datamask"][:], expected)
    assert told == [STEP * STEP * 5] * 2
    assert first not in chunks_in(path, whole())
    assert sea not in chunks_in(path, whole())


def test_what_another_has_filled_meanwhile_is_not_fetched(tmp_path):
    path = tmp_path / "small.icechunk"
    chunks = chunks_in(path, whole())[:3]
    fill(path, Small, chunks[:2], layers)
    asked = []
    fill(path, Small, chunks, lambda geobox: asked.append(geobox) or layers(geobox, 9))
    assert asked == [chunks[2].geobox]


def test_threads_that_fill_the_same_chunks_fetch_them_once(tmp_path):
    path = tmp_path / "small.icechunk"
    chunks, asked = chunks_in(path, whole())[:6], []

    def fetch(geobox):
        asked.append(geobox)
        time.sleep(0.02)
        return layers(geobox)

    threads = [threading.Thread(target=fill, args=(path, Small, chunks, fetch)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 6
    assert len(open_cube(path, Small.extent, "").patches) == 6


def test_few_chunks_are_fetched_at_a_time_while_one_is_written(tmp_path, monkeypatch):
    under_way, most, fetched_during_write, lock = 0, 0, [], threading.Lock()
    finished = []
    write = filling._write

    def slow_write(*arguments):
        before = len(finished)
        time.sleep(0.1)
        write(*arguments)
        fetched_during_write.append(len(finished) - before)

    def fetch(geobox):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.05)
        with lock:
            under_way -= 1
        finished.append(geobox)
        return layers(geobox)

    monkeypatch.setattr(filling, "_write", slow_write)
    path = tmp_path / "small.icechunk"
    fill(path, Small, chunks_in(path, whole())[:10], fetch)
    assert most == 4
    assert sum(count > 0 for count in fetched_during_write) >= 3
    assert all(count <= 4 for count in fetched_during_write)


def test_an_error_keeps_the_chunks_before_it(tmp_path):
    path = tmp_path / "small.icechunk"
    chunks = chunks_in(path, whole())

    def fetch(geobox):
        if geobox == chunks[2].geobox:
            raise DataError("no use")
        return layers(geobox)

    with pytest.raises(DataError, match="no use"):
        fill(path, Small, chunks, fetch)
    assert open_cube(path, Small.extent, "").patches == [chunk.patch_id for chunk in chunks[:2]]
    fill(path, Small, chunks_in(path, whole()), layers)
    assert chunks_in(path, whole()) == []


def test_a_cube_without_a_grid_is_made_whole(tmp_path):
    """As it is left by a writer that was killed while it made the cube in place."""
    path = tmp_path / "small.icechunk"
    filling.from_memory(Small)(path, backend="simple")
    assert len(chunks_in(path, whole())) == 20
    fill(path, Small, chunks_in(path, whole())[:1], layers)
    assert open_cube(path, Small.extent, "").patches == ["chunk-0-0"]


def test_a_cube_that_is_not_finished_is_not_there(tmp_path, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Small, "create", interrupted)
    path = tmp_path / "small.icechunk"
    with pytest.raises(KeyboardInterrupt):
        fill(path, Small, [Chunk("chunk-0-0", chunk_geobox(Small, 0, 0))], layers)
    assert not path.exists()


def test_elevations_that_cannot_be_are_taken_for_damage():
    from darts_acquisition.services.arcticdem import _plausible

    values = np.array([[-9999.0, 5971.0]], np.float32)
    assert _plausible(values) is values
    with pytest.raises(TransientError, match=r"^it is damaged: it holds elevations beyond 100000 m$"):
        _plausible(np.array([[3.0, -np.inf]], np.float32))


def test_a_damaged_cube_is_an_error(tmp_path):
    path = tmp_path / "small.icechunk"
    path.mkdir()
    (path / "junk").write_text("junk")
    with pytest.raises(DataError, match=r"the datacube .*small\.icechunk cannot be opened"):
        chunks_in(path, whole())
    with pytest.raises(DataError, match=r"the datacube .* cannot be opened \(.*\)\. Delete it and stage it again\.$"):
        fill(path, Small, [Chunk("chunk-0-0", chunk_geobox(Small, 0, 0))], layers)


def test_a_cube_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        fill(tmp_path / "file" / "a.icechunk", Small, [Chunk("chunk-0-0", chunk_geobox(Small, 0, 0))], layers)


def test_reading_and_writing_agree_where_a_cube_is(tmp_path):
    name = "arcticdem_10m.icechunk"
    assert cube_path(tmp_path, name) == tmp_path / name
    assert cube_path(tmp_path / name, name) == tmp_path / name
    assert cube_path(tmp_path / "mine.icechunk", name) == tmp_path / "mine.icechunk"
    (tmp_path / name).mkdir()
    assert cube_path(tmp_path, name) == tmp_path / name
    (tmp_path / "cube" / "snapshots").mkdir(parents=True)
    assert cube_path(tmp_path / "cube", name) == tmp_path / "cube"


def test_chunks_of_the_elevation_are_found_by_their_ids(tmp_path):
    """They lie where smart-geocubes would write them, beside mosaic tiles and recorded bounds of older cubes."""
    path = tmp_path / "arcticdem_10m.icechunk"
    accessor = smart_geocubes.ArcticDEM10m
    chunks = [Chunk(_chunk_id(row, 100), chunk_geobox(accessor, row, 100)) for row in (100, 101)]
    fill(path, accessor, chunks, lambda geobox: None)
    session = filling.from_memory(accessor)(path, backend="simple").repo.writable_session("main")
    group = zarr.open_group(session.store, mode="r+")
    group.attrs["loaded_patches"] = [*group.attrs["loaded_patches"], "36_24_10m_v4.1", "demo-1"]
    group.attrs["patch_bounds"] = {"demo-1": [0, 0, 10, 10]}
    session.commit("older patches")
    area = filled_area(open_cube(path, accessor.extent, ""))
    tile = shapely.box(-1_700_000, -500_000, -1_600_000, -400_000)
    boxes = [chunk.geobox.extent.geom for chunk in chunks]
    assert area.equals(shapely.union_all([*boxes, tile, shapely.box(0, 0, 10, 10)]))
    inside = missing_chunks(path, accessor, shapely.buffer(tile, -100), filled_area, _chunk_id)
    assert inside == []


def test_another_lock_can_be_held_around_each_write(tmp_path):
    held = []

    @contextmanager
    def outer(path):
        held.append(path)
        yield
        held.append("free")

    filling.set_outer_lock(outer)
    try:
        fill(tmp_path / "cube", Small, chunks_in(tmp_path / "cube", whole())[:1], layers)
        with filling.cube_lock(tmp_path / "cube"):
            assert held == [tmp_path / "cube", "free", tmp_path / "cube"]
    finally:
        filling.set_outer_lock(lambda _: nullcontext())
