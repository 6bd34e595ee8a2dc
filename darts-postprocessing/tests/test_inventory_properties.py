"""What is so of the inventory of any tiles."""

import shutil
from collections import namedtuple
from pathlib import Path
from tempfile import TemporaryDirectory

import geopandas as gpd
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import Phase, given, settings
from mapped_tiles import UTM, box, write_tile
from scipy import ndimage

from darts_postprocessing.inventory.build import build
from darts_postprocessing.inventory.plane import to_plane
from darts_postprocessing.inventory.rules import Rules
from darts_utils.objects.geodesy import ground_areas_m2

ROWS, COLUMNS, PIXEL_M = 18, 26, 10.0
BORDER = 12
"""Column in which a tile is split in two."""
AREAS = ["area_m2", "area_majority_m2"]
FEW = settings(deadline=None, max_examples=6, derandomize=True, phases=[Phase.explicit, Phase.generate])

Image = namedtuple("Image", "year mask")
corners = st.tuples(st.integers(0, ROWS - 1), st.integers(0, COLUMNS - 1), st.integers(1, 8), st.integers(1, 10))
images = st.lists(st.tuples(st.integers(2020, 2022), st.lists(corners, max_size=5)), min_size=1, max_size=4).filter(
    lambda drawn: any(rectangles for _, rectangles in drawn)
)
"""Years, and rectangles as row, column, height and width; there is one at least."""


def _masks(drawn):
    found = []
    for year, rectangles in drawn:
        mask = np.zeros((ROWS, COLUMNS), dtype=bool)
        for row, column, height, width in rectangles:
            mask[row : row + height, column : column + width] = True
        found.append(Image(year, mask))
    return found


def _objects(mask, first=0):
    """Return the outlines of a mask whose first column is that of a number; pixels that touch at corners are one."""
    labels, n = ndimage.label(mask, structure=np.ones((3, 3)))
    return [shapely.union_all([_pixel(row, first + column) for row, column in np.argwhere(labels == number)])
            for number in range(1, n + 1)]  # fmt: skip


def _pixel(row, column):
    return box(column * PIXEL_M, row * PIXEL_M, (column + 1) * PIXEL_M, (row + 1) * PIXEL_M)


def _write(folder, drawn):
    for number, (year, mask) in enumerate(drawn):
        write_tile(folder, f"image {number}", f"{year}-08-0{number + 1}", _objects(mask))


def _halves(folder, name, day, mask):
    """Write an image as two tiles; what goes on beyond their border is cut."""
    at = BORDER * PIXEL_M
    extents = box(-10_000, -10_000, at, 10_000), box(at, -10_000, 10_000, 10_000)
    for half, first, part in (("left", 0, mask[:, :BORDER]), ("right", BORDER, mask[:, BORDER:])):
        shapes = _objects(part, first)
        other = shapely.union_all(_objects(mask[:, BORDER:], BORDER) if first == 0 else _objects(mask[:, :BORDER]))
        write_tile(folder, f"{name} {half}", day, shapes, extent=extents[first > 0],
                   cut=[bool(shapely.touches(shape, other)) for shape in shapes])  # fmt: skip


def _contents(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*"))
            if file.is_file() and ".parts" not in file.parts and file.name != ".lock"}  # fmt: skip


def _table(folder, kind):
    files = [gpd.read_parquet(file) for file in sorted((folder / kind).rglob("*.parquet"))]
    table = pd.concat([one for one in files if len(one)], ignore_index=True)
    return table.assign(shape=to_plane(table.geometry.to_numpy(), "EPSG:4326"))


@FEW
@given(images, st.randoms(use_true_random=False))
def test_the_order_of_tiles_and_images_that_are_there_twice_change_no_byte(drawn, random):
    with TemporaryDirectory() as name:
        root = Path(name)
        _write(root / "tiles", _masks(drawn))
        first = _contents(build([root / "tiles"], root / "one").folder)
        tiles = sorted((root / "tiles").iterdir())
        again = random.choice(tiles)
        random.shuffle(tiles)
        for number, tile in enumerate(tiles):
            shutil.copytree(tile, root / "moved" / f"{number}" / tile.name)
        shutil.copytree(again, root / "again" / again.name)
        roots = [*sorted((root / "moved").iterdir(), reverse=True), root / "again"]
        assert _contents(build(roots, root / "two").folder) == first


@FEW
@given(images)
def test_a_tile_without_objects_changes_only_looks(drawn):
    with TemporaryDirectory() as name:
        root = Path(name)
        _write(root / "tiles", _masks(drawn))
        before = _contents(build([root / "tiles"], root / "one").folder)
        write_tile(root / "tiles", "empty", f"{drawn[0][0]}-08-20", [], observed=box(5000, 5000, 6000, 6000))
        after = _contents(build([root / "tiles"], root / "one").folder)
        changed = {file for file in before.keys() | after.keys() if before.get(file) != after.get(file)}
        kinds = {file.split("/")[0] for file in changed}
        assert {"looks", "inventory.json"} <= kinds
        for kind in kinds - {"looks", "inventory.json"}:  # a cell without rows may begin
            assert all(not len(gpd.read_parquet(root / "one" / file)) for file in changed if file.startswith(kind))


@FEW
@given(st.lists(corners, min_size=1, max_size=6), st.lists(corners, max_size=4))
def test_a_tile_that_is_split_in_two_gives_slumps_of_the_same_areas(halved, beside):
    """With any shared ground enough: a share of the smaller one is another where one is cut."""
    (first, second), rules = _masks([(2021, halved), (2021, beside)]), Rules(min_overlap=1e-6)
    with TemporaryDirectory() as name:
        root = Path(name)
        for kind in ("whole", "halves"):
            write_tile(root / kind, "beside", "2021-08-02", _objects(second.mask))
        write_tile(root / "whole", "image", "2021-08-01", _objects(first.mask))
        _halves(root / "halves", "image", "2021-08-01", first.mask)
        one, two = (_areas(build([root / kind], root / f"of {kind}", rules).folder) for kind in ("whole", "halves"))
        np.testing.assert_allclose(two, one, rtol=1e-6)


def _areas(folder):
    return gpd.read_parquet(folder / "slumps")[AREAS].sort_values(AREAS).to_numpy()


@FEW
@given(images)
def test_all_ground_is_of_slumps_and_each_object_of_one(drawn):
    with TemporaryDirectory() as name:
        root = Path(name)
        _write(root / "tiles", _masks(drawn))
        folder = build([root / "tiles"], root / "one").folder
        objects, slumps = (_table(folder, kind) for kind in ("objects", "slumps"))
        for year in {year for year, _ in drawn}:
            own, of_year = objects[objects["year"] == year], slumps[slumps["year"] == year]
            ground = [shapely.union_all(table["shape"].to_numpy()) for table in (own, of_year)]
            assert shapely.area(shapely.symmetric_difference(*ground)) < 1e-3
            shared = shapely.area(shapely.intersection(own["shape"].to_numpy()[:, None], of_year["shape"].to_numpy()))
            inside = shared > 0.999 * shapely.area(own["shape"].to_numpy())[:, None]
            assert (inside.sum(axis=1) == 1).all()


@pytest.mark.parametrize(
    ("whole", "left", "right"),
    [
        ((-50, 0, 170, 70), (-63, 0, 0, 90), (0, 0, 174, 90)),
        ((-40, 0, 110, 30), (-141, -9, 0, 30), (0, -9, 147, 30)),
        ((-120, 0, 90, 180), (-123, 12, 0, 180), (0, 12, 99, 180)),
    ],
)
def test_the_border_of_two_tiles_takes_no_majority_ground(tmp_path, whole, left, right):
    """Of two looks at each place one calls it slump at least: majority ground is all ground."""
    where = (618_300.0, 7_691_000.0)
    extents = box(-7000, -7000, 7000, 7000, where), box(-4002, -3000, 0, 3000, where), box(0, -3000, 4002, 3000, where)
    write_tile(tmp_path / "tiles", "coarse", "2021-07-01", [box(*whole, where)], extent=extents[0])
    for name, part, extent in (("left", left, extents[1]), ("right", right, extents[2])):
        write_tile(tmp_path / "tiles", name, "2021-08-01", [box(*part, where)], extent=extent, px=3.0, cut=[True])
    (row,) = gpd.read_parquet(build([tmp_path / "tiles"], tmp_path / "one").folder / "slumps").itertuples()
    assert row.area_majority_m2 == pytest.approx(row.area_m2, rel=1e-5)


def test_ground_that_nobody_looked_at_is_not_lost(tmp_path):
    """A slump that does not change, and of which clouds hide all but a half in the last year."""
    seen = box(-10_000, -10_000, 100, 10_000)
    for year in (2020, 2021):
        write_tile(tmp_path / "tiles", f"{year}", f"{year}-08-01", [box(0, 0, 200, 200)])
    write_tile(tmp_path / "tiles", "2022", "2022-08-01", [box(0, 0, 100, 200)], observed=seen, cut=[True])
    folder = build([tmp_path / "tiles"], tmp_path / "one").folder
    (track,) = gpd.read_parquet(folder / "tracks").itertuples()
    assert gpd.read_parquet(folder / "changes").empty
    assert track.status == "stable"
    assert track.area_last_m2 == pytest.approx(ground_areas_m2([box(0, 0, 200, 200)], UTM)[0], rel=1e-6)


def test_a_tile_with_clouds_all_over_is_no_look_and_stops_nothing(tmp_path):
    for day in (1, 2):
        write_tile(tmp_path / "tiles", f"{day}", f"2021-08-0{day}", [box(0, 0, 100, 100)] if day == 1 else [])
    nothing = gpd.GeoDataFrame({"Region_ID": np.empty(0, np.int32)}, geometry=[], crs=UTM)
    nothing.to_parquet(tmp_path / "tiles" / "2" / "prediction_observed.parquet")
    folder = build([tmp_path / "tiles"], tmp_path / "one").folder
    (row,) = gpd.read_parquet(folder / "slumps").itertuples()
    assert (row.n_looks, row.n_hits) == (1, 1)


def test_an_inventory_without_slumps_can_be_read(tmp_path):
    write_tile(tmp_path / "tiles", "1", "2021-08-01", [])
    folder = build([tmp_path / "tiles"], tmp_path / "one").folder
    assert all(gpd.read_parquet(folder / kind).empty for kind in ("objects", "slumps", "tracks", "changes"))


def test_a_year_without_objects_leaves_the_objects_one_table(tmp_path):
    write_tile(tmp_path / "tiles", "1", "2021-08-01", [])
    write_tile(tmp_path / "tiles", "2", "2022-08-01", [box(0, 0, 100, 100)])
    folder = build([tmp_path / "tiles"], tmp_path / "one").folder
    assert gpd.read_parquet(folder / "objects")["year"].tolist() == [2022]
