"""Mosaics of the years, beside a slow version that transforms the middle of every pixel."""

import errno
import json
import os
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from rasterio import Affine

from darts_export.publish import cells, mosaics, sampling
from darts_export.publish.grids import mercator_grid, polar_grid
from darts_export.publish.looks import Look, finest_pixel_m
from darts_export.publish.mosaics import write_mosaics
from darts_utils.errors import DataError, GridError, MissingDataError, OutputError

POLAR = polar_grid(400)
HOLE = np.s_[20:28, 10:50]


def grid_at(longitude: float, latitude: float, crs: str, shape=(150, 110), size=700.0, turned=0.0) -> GeoBox:
    """Return pixels around a place, whose corner is no whole number."""
    x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(longitude, latitude)
    middle = Affine.translation(x + 0.313, y - 0.277) @ Affine.rotation(turned) @ Affine.scale(size, -size)
    return GeoBox(shape, middle @ Affine.translation(-shape[1] / 2, -shape[0] / 2), crs)


def write(file: Path, pixels: GeoBox, values: np.ndarray, **profile) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    height, width = values.shape
    told = {"driver": "GTiff", "count": 1, "dtype": values.dtype, "height": height, "width": width, "nodata": 255}
    told |= {"crs": str(pixels.crs), "transform": pixels.affine, **profile}
    with rasterio.open(file, "w", **told) as raster:
        raster.write(values, 1)
    return file


@pytest.fixture
def make_look(tmp_path):
    """Map an image to noise with holes."""
    numbers = iter(range(1000))

    def make(pixels: GeoBox, image_id: str = "", year: int = 2021, values: np.ndarray | None = None) -> Look:
        number = next(numbers)
        if values is None:
            rng = np.random.default_rng(number)
            values = rng.integers(0, 101, pixels.shape, dtype=np.uint8)
            values[rng.random(pixels.shape) < 0.1] = 255
            values[HOLE] = 255
        file = write(tmp_path / "tiles" / f"{number:03d}" / "probabilities.tif", pixels, values)
        return Look(image_id or f"image-{number:03d}", year, file)

    return make


def by_definition(looks, pixels: GeoBox) -> tuple[np.ndarray, np.ndarray]:
    """Return probability and number of looks of pixels: each middle is moved by PROJ and looked up.

    One that is within a ten-millionth of a pixel of an edge lies in the pixel beyond it.
    """
    columns, rows = np.meshgrid(np.arange(pixels.shape[1]) + 0.5, np.arange(pixels.shape[0]) + 0.5)
    x, y = pixels.affine @ (columns, rows)
    of_image: dict[str, np.ndarray] = {}
    for look in sorted(looks, key=lambda one: one.file):
        with rasterio.open(look.file) as raster:
            move = pyproj.Transformer.from_crs(str(pixels.crs), raster.crs.to_wkt(), always_xy=True)
            moved = move.transform(x, y)
            found = np.full(pixels.shape, 255, dtype=np.uint8)
            for around in (-360, 0, 360) if raster.crs.is_geographic else (0,):
                column, row = (place + 1e-7 for place in ~raster.transform @ (moved[0] + around, moved[1]))
                inside = (column >= 0) & (column < raster.width) & (row >= 0) & (row < raster.height)
                found[inside] = raster.read(1)[row[inside].astype(int), column[inside].astype(int)]
        values = of_image.setdefault(look.image_id, found)
        values[values == 255] = found[values == 255]
    each = np.stack(list(of_image.values())).astype(float)
    each[each == 255] = np.nan
    number = (~np.isnan(each)).sum(axis=0)
    mean = np.divide(np.nansum(each, axis=0), number, where=number > 0, out=np.full(number.shape, 255.0))
    return np.rint(mean).astype(np.uint8), np.minimum(number, 254).astype(np.uint8)


def read(file: Path, window=None) -> np.ndarray:
    with rasterio.open(file) as raster:
        values: np.ndarray = raster.read(1, window=window)
        return values


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def assert_as_defined(tiles, looks) -> list[str]:
    for tile in tiles:
        pixels = GeoBox(tile.shape, Affine(*tile.transform), tile.crs)
        probability, number = by_definition(looks, pixels)
        np.testing.assert_array_equal(read(tile.probability), probability)
        np.testing.assert_array_equal(read(tile.looks), number)
    return [tile.cell for tile in tiles]


@pytest.fixture
def overlapping(make_look):
    """Looks of three zones and of an odd projection that overlap, two of them of one image, and one of another year."""
    places = [
        (grid_at(-135.0, 69.5, "EPSG:32608"), "a"),
        (grid_at(-134.2, 69.8, "EPSG:32608"), "b"),
        (grid_at(-134.6, 69.6, "EPSG:32609"), "c"),
        (grid_at(-136.1, 69.4, "EPSG:32607", size=533.0), "b"),
        (grid_at(-135.3, 69.9, "EPSG:3413", turned=20.0), "d"),
    ]
    return [*(make_look(pixels, image_id) for pixels, image_id in places), make_look(places[0][0], "a", 2022)]


def test_the_finest_pixels_of_looks_are_those_of_the_ground_however_an_image_is_turned(overlapping, make_look):
    assert finest_pixel_m(overlapping) == pytest.approx(533)
    turned = make_look(grid_at(-135.0, 69.5, "EPSG:3413", size=300.0, turned=45.0))
    assert finest_pixel_m([*overlapping, turned]) == pytest.approx(300)


def test_each_pixel_is_what_its_middle_shows_on_each_image(overlapping, tmp_path):
    tiles = write_mosaics(overlapping, tmp_path / "out", POLAR)
    of_2021 = [tile for tile in tiles if tile.year == 2021]
    assert len(assert_as_defined(of_2021, overlapping[:5])) > 3
    assert_as_defined([tile for tile in tiles if tile.year == 2022], overlapping[5:])
    assert max(tile.looks_statistics.maximum for tile in of_2021) == 4


def test_cells_around_the_pole_are_as_any_others(make_look, tmp_path):
    looks = [make_look(grid_at(20, 89.99, "EPSG:32633")), make_look(grid_at(-170, 89.9, "EPSG:3413"))]
    cells = assert_as_defined(write_mosaics(looks, tmp_path / "out", POLAR), looks)
    assert cells == ["x-001y-001", "x-001y0000", "x0000y-001", "x0000y0000"]


def around_data(tile):
    """Return the pixels of a cell around what was seen, and rows and columns of them, after a look at all others."""
    values = read(tile.looks)
    rows, columns = (np.flatnonzero(values.any(axis=axis)) for axis in (1, 0))
    part = tuple(slice(max(at[0] - 5, 0), min(at[-1] + 6, values.shape[0])) for at in (rows, columns))
    elsewhere = read(tile.probability) != 255
    elsewhere[part] = False
    assert not elsewhere.any()
    return GeoBox(tile.shape, Affine(*tile.transform), tile.crs)[part], part


def test_a_tile_at_the_antimeridian_falls_on_both_sides_of_a_mercator_map_and_nowhere_else(make_look, tmp_path):
    places = [(179.9, 69, "EPSG:32601"), (180, 69.1, "EPSG:32660")]
    looks = [make_look(grid_at(*place, size=150.0)) for place in places]
    west, east = write_mosaics(looks, tmp_path / "out", mercator_grid(9))
    assert (west.cell, east.cell) == ("z04x000000y000003", "z04x000015y000003")
    for tile in (west, east):
        pixels, part = around_data(tile)
        assert max(pixels.shape) < 400
        probability, number = by_definition(looks, pixels)
        np.testing.assert_array_equal(read(tile.probability)[part], probability)
        np.testing.assert_array_equal(read(tile.looks)[part], number)
        assert number.max() == 2
    assert around_data(west)[0].extent.boundingbox.left == pytest.approx(-20037508.342789244)
    assert around_data(east)[0].extent.boundingbox.right == pytest.approx(20037508.342789244)


@pytest.mark.parametrize(
    "pixels",
    [
        GeoBox((80, 130), Affine(0.02, 0, 178.907, 0, -0.01, 70.103), "EPSG:4326"),
        GeoBox((150, 360), Affine(1, 0, -180, 0, -0.02, 90), "EPSG:4326"),
        GeoBox((90, 110), Affine(2000, 0, 20037508.3 - 220_000, 0, -2000, 11_000_000), "EPSG:3857"),
        GeoBox((60, 50), Affine(500, 0, -20037508.3 + 3000, 0, -500, 11_000_000), "EPSG:3857"),
    ],
    ids=["longitudes beyond 180", "around the pole", "to the edge of the world", "small beside the edge"],
)
def test_a_tile_with_a_seam_has_all_its_pixels(make_look, tmp_path, pixels):
    """Where longitudes jump, nothing can be interpolated between pixels."""
    look = make_look(pixels)
    tiles = write_mosaics([look], tmp_path / "out", POLAR)
    assert_as_defined(tiles, [look])
    seen_m2 = sum(tile.probability_statistics.count for tile in tiles) * POLAR.pixel_size_m**2
    assert seen_m2 == pytest.approx(ground_m2(pixels, read(look.file) != 255), rel=0.03)


def ground_m2(pixels: GeoBox, is_seen: np.ndarray) -> float:
    """Return the area of pixels on the plane of the mosaic, which is equal-area."""
    columns, rows = np.meshgrid(np.arange(pixels.shape[1] + 1), np.arange(pixels.shape[0] + 1))
    move = pyproj.Transformer.from_crs(str(pixels.crs), "EPSG:6931", always_xy=True)
    x, y = move.transform(*(pixels.affine @ (columns, rows)))
    first, second = (one[1:, 1:] - one[:-1, :-1] for one in (x, y))
    third, fourth = (one[:-1, 1:] - one[1:, :-1] for one in (x, y))
    return float((np.abs(first * fourth - second * third) / 2)[is_seen].sum())


def test_a_part_under_which_much_of_an_image_lies_is_divided(overlapping, tmp_path, monkeypatch):
    whole = write_mosaics(overlapping, tmp_path / "whole", POLAR)
    monkeypatch.setattr(sampling, "_WINDOW_PX", 2000)
    divided = write_mosaics(overlapping, tmp_path / "divided", POLAR)
    assert len(divided) == len(whole)
    assert contents(tmp_path / "divided") == contents(tmp_path / "whole")


def test_squares_that_are_summed_up_by_themselves_give_what_a_whole_cell_gives(overlapping, tmp_path, monkeypatch):
    write_mosaics(overlapping, tmp_path / "whole", POLAR)
    monkeypatch.setattr(cells, "_SQUARE_PX", 100)
    write_mosaics(overlapping, tmp_path / "squares", POLAR)
    assert contents(tmp_path / "squares") == contents(tmp_path / "whole")


FEW = GeoBox((30, 24), Affine(400, 0, -1_700_000, 0, -400, 1_600_000), "EPSG:6931")
"""Twelve kilometres on the pixels of the mosaic, in one cell."""


def flat(value: int) -> np.ndarray:
    return np.full(FEW.shape, value, dtype=np.uint8)


def only_pixel(tiles) -> tuple[int, int]:
    """Return probability and number of looks of the only pixels that have any."""
    (tile,) = tiles
    probability, number = read(tile.probability), read(tile.looks)
    (both,) = np.unique(np.stack([probability, number])[:, number > 0], axis=1).T
    return int(both[0]), int(both[1])


@pytest.mark.parametrize(
    ("values", "mean"),
    [((0,), 0), ((100, 100), 100), ((1, 2), 2), ((2, 3), 2), ((1, 1, 2), 1), ((1, 2, 2), 2), ((0, 0, 0, 0, 3), 1)],
)
def test_a_mean_is_rounded_to_whole_percent_half_to_even(make_look, tmp_path, values, mean):
    looks = [make_look(FEW, values=flat(value)) for value in values]
    assert only_pixel(write_mosaics(looks, tmp_path / "out", POLAR)) == (mean, len(values))


def test_tiles_of_one_image_are_one_look_and_the_first_by_path_that_has_something_counts(make_look, tmp_path):
    first, second, third = flat(255), flat(20), flat(40)
    first[:10] = 10
    looks = [make_look(FEW, "one", values=values) for values in (first, second, third)]
    (tile,) = write_mosaics(list(reversed(looks)), tmp_path / "out", POLAR)
    seen = read(tile.looks) == 1
    assert seen.sum() == FEW.shape[0] * FEW.shape[1]
    values, numbers = np.unique(read(tile.probability)[seen], return_counts=True)
    assert dict(zip(values.tolist(), numbers.tolist(), strict=True)) == {10: 10 * 24, 20: 20 * 24}


def test_more_looks_than_a_byte_holds_are_told_as_254(make_look, tmp_path):
    looks = [make_look(FEW, values=flat(value)) for value in [7] * 200 + [9] * 60]
    tiles = write_mosaics(looks, tmp_path / "out", POLAR)
    assert only_pixel(tiles) == (round((200 * 7 + 60 * 9) / 260), 254)
    assert (tiles[0].n_images, tiles[0].image_ids) == (260, None)


def test_a_middle_on_the_edge_of_pixels_is_in_the_one_to_the_right_and_below(make_look, tmp_path):
    shifted = GeoBox(FEW.shape, Affine.translation(200, -200) @ FEW.affine, FEW.crs)
    look = make_look(shifted, values=np.random.default_rng(1).integers(0, 101, FEW.shape, dtype=np.uint8))
    (tile,) = write_mosaics([look], tmp_path / "out", POLAR)
    values = read(tile.probability)
    rows, columns = np.nonzero(values != 255)
    np.testing.assert_array_equal(
        values[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1], read(look.file)
    )
    corner = Affine(*tile.transform) @ (columns.min(), rows.min())
    assert corner == (shifted.affine.c - 200, shifted.affine.f + 200)


def test_a_pixel_has_a_probability_if_and_only_if_it_has_looks_in_overviews_too(make_look, tmp_path):
    rng = np.random.default_rng(3)
    pixels = grid_at(-135, 69.5, "EPSG:32608", shape=(700, 900), size=100.0)
    sparse = np.where(rng.random(pixels.shape) < 0.03, rng.integers(0, 101, pixels.shape), 255).astype(np.uint8)
    looks = [make_look(pixels, values=sparse), make_look(pixels, values=np.roll(sparse, 5, axis=1))]
    tile = max(write_mosaics(looks, tmp_path / "out", polar_grid(50)), key=lambda one: one.looks_statistics.count)
    for level in (None, 0, 1):
        options = {} if level is None else {"overview_level": level}
        with rasterio.open(tile.probability, **options) as one, rasterio.open(tile.looks, **options) as other:
            has_probability, has_looks = one.read(1) != 255, other.read(1) != 0
        np.testing.assert_array_equal(has_probability, has_looks)
        assert 0.001 < has_looks.mean() < 0.9


def test_a_cell_without_looks_is_not_written_nor_looked_at_again(make_look, tmp_path, monkeypatch):
    values = flat(255)
    values[:3, :3] = 50
    tiles_over_four = GeoBox(FEW.shape, Affine(400, 0, -12 * 400, 0, -400, 15 * 400), FEW.crs)
    look = make_look(tiles_over_four, values=values)
    written = []

    def watched(function, given):
        for one in given:
            yield function(*one)
            written.append(len(stamps(tmp_path / "out")))

    tiles = write_mosaics([look], tmp_path / "out", POLAR, spread=watched)
    assert (written[0], max(written)) == (0, 2)  # nor written and removed again
    assert [tile.cell for tile in tiles] == ["x-001y0000"]
    files = set(contents(tmp_path / "out"))
    assert files == {".without-looks.json", *(f"2021/{what}-2021-x-001y0000.tif" for what in ("looks", "probability"))}
    looked_at = []
    monkeypatch.setattr(mosaics, "make", lambda place, *_: looked_at.append(place.name))
    write_mosaics([look], tmp_path / "out", POLAR)
    assert looked_at == ["2021/x-001y0000"]


class InProcesses:
    """Calls functions in two other processes, the last first."""

    def __init__(self, pool):
        self.pool = pool

    def __call__(self, function, given):
        waited = [self.pool.submit(function, *one) for one in reversed(given)]
        return [one.result() for one in reversed(waited)]


def test_equal_looks_give_equal_bytes_whatever_their_order_and_the_processes(overlapping, tmp_path):
    tiles = write_mosaics(overlapping, tmp_path / "one", POLAR)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        others = write_mosaics(overlapping[::-1], tmp_path / "other", POLAR, spread=InProcesses(pool))
    assert contents(tmp_path / "one") == contents(tmp_path / "other")
    assert [(one.year, one.cell, one.inputs) for one in tiles] == [(one.year, one.cell, one.inputs) for one in others]


def stamps(folder: Path) -> dict[str, int]:
    return {file.relative_to(folder).as_posix(): file.stat().st_mtime_ns for file in folder.rglob("*.tif")}


def test_a_publication_with_one_more_year_writes_only_the_files_of_that_year(overlapping, make_look, tmp_path):
    out = tmp_path / "out"
    before_tiles, before = write_mosaics(overlapping, out, POLAR), stamps(out)
    more = make_look(grid_at(-135, 69.5, "EPSG:32608"), year=2023)
    tiles, after = write_mosaics([*overlapping, more], out, POLAR), stamps(out)
    assert {name: after[name] for name in before} == before
    assert {name[:4] for name in set(after) - set(before)} == {"2023"}
    assert [tile for tile in tiles if tile.year < 2023] == before_tiles
    fresh = write_mosaics([*overlapping, more], tmp_path / "fresh", POLAR)
    assert contents(tmp_path / "fresh") == contents(out)
    assert len(fresh) == len(tiles)


def test_a_cell_of_which_an_image_changed_is_made_again_and_one_without_looks_is_removed(make_look, tmp_path):
    out = tmp_path / "out"
    far = GeoBox(FEW.shape, Affine.translation(300_000, 0) @ FEW.affine, FEW.crs)
    looks = [make_look(FEW), make_look(far), make_look(far, year=2022)]
    write_mosaics(looks, out, POLAR)
    (out / "2022" / "notes.txt").write_text("of somebody else")
    before = stamps(out)
    write(looks[0].file, FEW, flat(33))
    (tile,) = write_mosaics(looks[:1], out, POLAR)
    assert only_pixel([tile]) == (33, 1)
    assert set(stamps(out)) == {"2021/looks-2021-x-018y0016.tif", "2021/probability-2021-x-018y0016.tif"}
    assert all(stamps(out)[name] != before[name] for name in stamps(out))
    assert [file.name for file in (out / "2022").iterdir()] == ["notes.txt"]
    assert write_mosaics([], out, POLAR) == []
    assert sorted(file.name for file in out.iterdir()) == ["2022"]


def test_another_grid_takes_the_place_of_the_one_before(make_look, tmp_path):
    look = make_look(FEW)
    write_mosaics([look], tmp_path / "out", POLAR)
    tiles = write_mosaics([look], tmp_path / "out", polar_grid(500))
    write_mosaics([look], tmp_path / "fresh", polar_grid(500))
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")
    assert tiles[0].shape == (192, 192)


def test_a_run_that_was_killed_goes_on(overlapping, tmp_path):
    out, started = tmp_path / "out", []

    def killed(function, given):
        for number, one in enumerate(given):
            if function is mosaics.make and number == 2:
                raise KeyboardInterrupt
            started.append(one)
            yield function(*one)

    with pytest.raises(KeyboardInterrupt):
        write_mosaics(overlapping, out, POLAR, spread=killed)
    there = stamps(out)
    assert len(there) == 4
    (out / "2021" / ".looks-2021-x-018y0015.part-000000000000-1-0-00.tif").write_bytes(b"half")
    os.utime(out / "2021" / ".looks-2021-x-018y0015.part-000000000000-1-0-00.tif", (0, 0))
    write_mosaics(overlapping, out, POLAR)
    assert {name: stamps(out)[name] for name in there} == there
    write_mosaics(overlapping, tmp_path / "unbroken", POLAR)
    assert contents(out) == contents(tmp_path / "unbroken")


@pytest.mark.parametrize("harm", [lambda file: file.unlink(), lambda file: os.truncate(file, file.stat().st_size - 50)])
@pytest.mark.parametrize("what", ["looks", "probability"])
def test_a_raster_that_is_lost_or_cut_short_is_made_again(make_look, tmp_path, what, harm):
    look = make_look(FEW)
    (tile,) = write_mosaics([look], tmp_path / "out", POLAR)
    whole = contents(tmp_path / "out")
    harm(getattr(tile, what))
    assert write_mosaics([look], tmp_path / "out", POLAR) == [tile]
    assert contents(tmp_path / "out") == whole


def test_rasters_tell_what_they_are_and_what_they_are_made_of(make_look, tmp_path):
    looks = [make_look(FEW, "b", 2024), make_look(FEW, "a, with a comma", 2024)]
    (tile,) = write_mosaics(looks, tmp_path / "out", POLAR)
    with rasterio.open(tile.probability) as raster:
        assert raster.tags() == {
            "AREA_OR_POINT": "Area",
            "DARTS_cell": "x-018y0016",
            "DARTS_grid": "polar-400m",
            "DARTS_image_ids": '["a, with a comma", "b"]',
            "DARTS_images": "2",
            "DARTS_inputs": tile.inputs,
            "DARTS_unit": "percent",
            "DARTS_version": version("darts-export"),
            "DARTS_what": "probability that the ground is slump, mean over the images of a year",
            "DARTS_year": "2024",
        }
        assert (raster.descriptions, raster.units, raster.nodata) == (("probability",), ("percent",), 255)
        assert (raster.crs.to_epsg(), raster.shape, raster.transform) == (6931, tile.shape, Affine(*tile.transform))
    with rasterio.open(tile.looks) as raster:
        assert raster.tags()["DARTS_what"] == "number of images of a year that saw the ground, at most 254"
        assert (raster.descriptions, raster.units, raster.nodata) == (("looks",), ("images",), 0)
    assert (tile.n_images, tile.image_ids) == (2, ("a, with a comma", "b"))


def test_images_are_told_that_saw_something_in_the_cell(make_look, tmp_path):
    looks = [make_look(FEW, "clear"), make_look(FEW, "clouds", values=flat(255))]
    (tile,) = write_mosaics(looks, tmp_path / "out", POLAR)
    assert tile.image_ids == ("clear",)


def test_an_image_that_saw_only_ground_beyond_the_edge_of_a_cell_saw_nothing_of_it(make_look, tmp_path):
    over_two = GeoBox(FEW.shape, Affine(400, 0, -12 * 400, 0, -400, 100 * 400), FEW.crs)
    values = flat(255)
    values[:, 12] = 50
    tiles = write_mosaics([make_look(over_two, values=values)], tmp_path / "out", POLAR)
    assert [(tile.cell, tile.n_images) for tile in tiles] == [("x0000y0000", 1)]


def test_statistics_are_those_of_the_values(overlapping, tmp_path):
    tiles = write_mosaics(overlapping, tmp_path / "out", POLAR)
    assert tiles == write_mosaics(overlapping, tmp_path / "out", POLAR)  # these are read
    for tile in tiles:
        for file, nodata, said in (
            (tile.probability, 255, tile.probability_statistics),
            (tile.looks, 0, tile.looks_statistics),
        ):
            values = read(file)
            known = values[values != nodata].astype(float)
            assert (said.count, said.minimum, said.maximum) == (known.size, known.min(), known.max())
            assert said.valid_share == known.size / values.size
            assert (said.mean, said.stddev) == pytest.approx((known.mean(), known.std()))
        json.dumps(tile.geometry)


def test_what_cannot_be_used_is_told_with_its_file(make_look, tmp_path):
    def refused(look, error):
        with pytest.raises(error) as raised:
            write_mosaics([look], tmp_path / "out", POLAR)
        assert not list((tmp_path / "out").rglob("*.tif"))
        return str(raised.value).replace(str(look.file), "FILE")

    gone = Look("S2A", 2021, tmp_path / "no.tif")
    assert refused(gone, MissingDataError) == "FILE is not there. Map the image S2A again, or leave it out."
    look = make_look(FEW, values=flat(137))
    assert refused(look, DataError) == (
        "FILE has the value 137, where whole percent (0 to 100) or 255 for no data were expected. Give the "
        "probabilities as they were exported."
    )
    write(look.file, FEW, flat(1).astype(np.float32), nodata=-1)
    assert refused(look, DataError) == (
        "FILE has 1 band of float32 with -1.0 for no data, where one of uint8 with 255 was expected. Give the "
        "probabilities as they were exported."
    )
    write(look.file, FEW, flat(1), crs=None)
    assert refused(look, GridError) == "FILE has no coordinate reference system. Download it again, or assign one."
    look.file.write_bytes(b"II*\0" + bytes(100))
    assert refused(look, DataError).startswith("FILE cannot be read: ")
    rng = np.random.default_rng(0)
    write(look.file, FEW, rng.integers(0, 101, FEW.shape, dtype=np.uint8), compress="deflate")
    os.truncate(look.file, look.file.stat().st_size - 300)
    assert refused(look, DataError).startswith("FILE cannot be read: ")


def test_a_full_disk_leaves_nothing_half(make_look, tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"^cannot write .*out: No space left on device\. Free some space, or choose"):
        write_mosaics([make_look(FEW)], tmp_path / "out", POLAR)
    assert contents(tmp_path / "out") == {}
