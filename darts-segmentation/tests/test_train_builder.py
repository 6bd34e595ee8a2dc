"""The builder of training data: features and labels on their pixels, what is left out, and going on with a set."""

import hashlib
import json
import struct

import geopandas as gpd
import numpy as np
import pytest
import shapely
import xarray as xr
import zarr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_segmentation.training import Counts, PatchSet, TrainDatasetBuilder, burn_labels
from darts_utils.bands import manager
from darts_utils.errors import ConfigError, DataError

BANDS = ("red", "slope", "tc_wetness")
GRID = GeoBox((70, 101), Affine(10, 0, 500_000, 0, -10, 7_700_000), "EPSG:32608")


def make_tile(seed=0, grid=GRID, hole=None):
    rng = np.random.default_rng(seed)
    values = {
        "red": rng.uniform(-0.2, 0.6, grid.shape).astype(np.float32),
        "slope": rng.uniform(0, 90, grid.shape).astype(np.float32),
        "tc_wetness": rng.integers(0, 256, grid.shape).astype(np.uint8),
        "quality_data_mask": np.full(grid.shape, 2, dtype=np.uint8),
    }
    if hole is not None:
        values["slope"][hole] = np.nan
    return xr.Dataset({name: wrap_xr(array, grid) for name, array in values.items()})


def slumps(*pixel_boxes, grid=GRID, crs="EPSG:4326"):
    """Return boxes given as (column, row, column, row) on the grid."""
    outlines = [shapely.box(*(grid.affine * box[:2]), *(grid.affine * box[2:])) for box in pixel_boxes]
    return gpd.GeoDataFrame(geometry=gpd.GeoSeries(outlines, crs=str(grid.crs)).to_crs(crs))


def builder(folder, *, patch_size=32, overlap=8, nopositive=False, nan=False, **more):
    return TrainDatasetBuilder(folder, patch_size, overlap, BANDS, nopositive, nan, "cpu", **more)


def read(folder):
    data = zarr.open_group(folder / "data.zarr", mode="r")
    return data["x"][:], data["y"][:], gpd.read_parquet(folder / "metadata.parquet")


def test_where_an_image_has_no_data_a_patch_shows_nothing_at_all(tmp_path):
    """As in a map: a network that learned from terrain without an image would meet none there."""
    tile = make_tile()
    tile["red"].values[3, 4] = np.nan
    tile["quality_data_mask"].values[5, 6] = 0
    made = builder(tmp_path)
    made.add_tile(tile, slumps((10, 10, 30, 30)), "Land", "image")
    made.finalize()
    x, _, metadata = read(tmp_path)
    (first,) = metadata.query("x == 0 and y == 0")["z_idx"]
    assert not x[first, :, 3, 4].any()
    assert not x[first, :, 5, 6].any()
    assert (x[first, 1, :8, :8] == 0).sum() == 2


def test_every_patch_holds_the_normalised_bands_and_labels_of_its_pixels(tmp_path):
    tile, labels = make_tile(), slumps((10.2, 5.3, 40.1, 33.7))
    with_extent = slumps((0, 0, 60.4, 70))
    made = builder(tmp_path)
    counts = made.add_tile(tile, labels, "Land", "image", with_extent, {"planet_id": "image"})
    made.finalize({"darts": {"patch_size": 32}})
    x, y, metadata = read(tmp_path)
    assert len(made) == len(x) == len(y) == len(metadata) == counts.patches > 5
    assert (x.dtype, y.dtype) == (np.float32, np.uint8)
    burned = burn_labels(GRID, labels, with_extent, tile.quality_data_mask.values)
    for row in metadata.itertuples():
        window = (slice(row.y, row.y + 32), slice(row.x, row.x + 32))
        for index, band in enumerate(BANDS):
            np.testing.assert_array_equal(x[row.z_idx, index], manager[band].normalize(tile[band].values[window]))
        np.testing.assert_array_equal(y[row.z_idx], burned[window])
        assert row.empty == (not (burned[window] == 1).any())
        assert row.patch_id == f"image_{row.patch_idx_y}_{row.patch_idx_x}"
        corner = gpd.GeoSeries([row.geometry], crs=metadata.crs).to_crs("EPSG:32608").total_bounds
        left, top = GRID.affine * (row.x, row.y)
        np.testing.assert_allclose(corner, [left, top - 320, left + 320, top], atol=1e-3)
    assert metadata.crs == "EPSG:4326"
    assert list(metadata.columns) == [
        "z_idx", "patch_id", "region", "sample_id", "empty", "x", "y", "patch_idx_x", "patch_idx_y", "sun_azimuth",
        "sun_elevation", "planet_id", "geometry",
    ]  # fmt: skip


def test_labels_follow_the_centres_of_pixels_the_extent_and_the_quality():
    rng = np.random.default_rng(3)
    triangles = [shapely.Polygon(rng.uniform((0, 0), (101, 70), (3, 2))) for _ in range(6)]
    on_map = [shapely.transform(t, lambda xy: np.column_stack(GRID.affine * xy.T)) for t in triangles]
    labels = gpd.GeoDataFrame(geometry=on_map, crs="EPSG:32608").to_crs("EPSG:3413")
    extent = slumps((7.5, 3.5, 90.5, 65.5), crs="EPSG:32608")
    quality = rng.integers(0, 3, GRID.shape).astype(np.uint8)
    columns, rows = np.meshgrid(np.arange(101) + 0.5, np.arange(70) + 0.5)
    expected = shapely.contains_xy(shapely.union_all(triangles), columns, rows).astype(np.uint8)
    beyond = ~((columns > 7.5) & (columns < 90.5) & (rows > 3.5) & (rows < 65.5))
    burned = burn_labels(GRID, labels, extent)
    sure = ~((columns == 7.5) | (columns == 90.5) | (rows == 3.5) | (rows == 65.5))
    np.testing.assert_array_equal(burned[sure], np.where(beyond, 2, expected)[sure])
    assert 100 < (expected == 1).sum() < expected.size / 1.2
    with_quality = burn_labels(GRID, labels, None, quality)
    np.testing.assert_array_equal(with_quality, np.where(quality != 2, 2, expected))


def test_empty_labels_are_background():
    nothing = gpd.GeoDataFrame(geometry=[], crs="EPSG:4326")
    assert not burn_labels(GRID, nothing).any()
    with pytest.raises(DataError, match=r"the labels have no CRS, so where they lie is unknown\. Set it with set_crs"):
        burn_labels(GRID, gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)]))


def test_patches_cover_all_pixels_and_a_small_tile_is_padded_with_pixels_not_to_learn_from(tmp_path):
    made = builder(tmp_path / "whole")
    made.add_tile(make_tile(), slumps(), "Land", "image")
    _, _, metadata = read(tmp_path / "whole")
    seen = np.zeros(GRID.shape, dtype=bool)
    for row in metadata.itertuples():
        seen[row.y : row.y + 32, row.x : row.x + 32] = True
    assert seen.all()
    small = GRID[:20, :30]
    made = builder(tmp_path / "small", nan=True)
    made.add_tile(make_tile(grid=small), slumps(), "Land", "image")
    x, y, _ = read(tmp_path / "small")
    assert len(y) == 1
    assert (y[0, :20, :30] == 0).all()
    assert (np.delete(y[0].ravel(), np.ravel_multi_index(np.mgrid[:20, :30].reshape(2, -1), (32, 32))) == 2).all()
    assert not x[0, :, 20:].any()
    assert not x[0, :, :, 30:].any()


@pytest.mark.parametrize(
    ("how", "reason"), [({"nopositive": True}, "no_positive"), ({"nan": True}, "with_nan"), ({}, "few_labelled")]
)
def test_what_is_left_out_is_counted_with_the_reason(tmp_path, how, reason):
    tile, labels = make_tile(hole=(slice(0, 20), slice(0, 20))), slumps((50, 50, 60, 60))
    extent = None if how else slumps((0, 0, 34, 70), crs="EPSG:32608")
    everything = builder(tmp_path / "all")
    everything.add_tile(tile, labels, "Land", "image")
    some = builder(tmp_path / "some", **how)
    counts = some.add_tile(tile, labels, "Land", "image", extent)
    left_out = getattr(counts, reason)
    assert 0 < left_out < len(everything)
    assert counts.patches == len(some) == len(everything) - left_out
    _, y, metadata = read(tmp_path / "some")
    if reason == "no_positive":
        assert (y == 1).any(axis=(1, 2)).all()
        assert not metadata["empty"].any()
    if reason == "with_nan":
        assert ((metadata.y >= 20) | (metadata.x >= 20)).all()
    if reason == "few_labelled":
        assert (np.mean(y != 2, axis=(1, 2)) >= 0.1).all()


def test_a_patch_with_a_tenth_of_its_pixels_labelled_is_taken(tmp_path):
    made = builder(tmp_path, patch_size=20, overlap=0)
    made.add_tile(make_tile(grid=GRID[:20, :20]), slumps(), "Land", "just", slumps((0, 0, 2, 20), crs="EPSG:32608"))
    made.add_tile(make_tile(grid=GRID[:20, :20]), slumps(), "Land", "under", slumps((0, 0, 1, 20), crs="EPSG:32608"))
    assert [counts.patches for counts in made.samples.values()] == [1, 0]


def test_a_set_goes_on_where_it_stopped(tmp_path):
    whole, parts = builder(tmp_path / "whole"), tmp_path / "parts"
    for seed in range(3):
        whole.add_tile(make_tile(seed), slumps((5, 5, 20, 20)), "Land", f"image {seed}", metadata={"n": seed})
        part = builder(parts, append=True)
        for again in range(seed + 1):  # what is there is not added twice
            part.add_tile(make_tile(again), slumps((5, 5, 20, 20)), "Land", f"image {again}", metadata={"n": again})
        if seed == 1:
            part.finalize()
    whole.finalize()
    part.finalize()
    for one, other in zip(read(tmp_path / "whole"), read(parts), strict=True):
        assert one.equals(other) if isinstance(one, gpd.GeoDataFrame) else np.array_equal(one, other)
    assert json.loads((parts / "samples.json").read_text())["image 2"]["patches"] == 15 or len(part) % 3 == 0
    assert not [path for path in parts.rglob("*") if path.is_symlink() or ".commit" in path.name]


def test_without_append_a_set_is_replaced(tmp_path):
    builder(tmp_path).add_tile(make_tile(), slumps(), "Land", "old")
    made = builder(tmp_path, patch_size=16, overlap=0)
    assert len(made) == 0
    made.add_tile(make_tile(1), slumps(), "Land", "new")
    x, _, metadata = read(tmp_path)
    assert x.shape[2:] == (16, 16)
    assert set(metadata.sample_id) == {"new"}


def test_a_tile_without_patches_counts_as_done(tmp_path):
    made = builder(tmp_path, nopositive=True)
    made.add_tile(make_tile(), slumps(), "Land", "empty")
    assert len(made) == 0
    assert "empty" in builder(tmp_path, nopositive=True, append=True)


@pytest.mark.parametrize("shard_size", [1, 4, 100])
def test_shards_hold_the_same_patches_in_fewer_files(tmp_path, shard_size):
    plain, sharded = builder(tmp_path / "plain"), builder(tmp_path / "sharded", shard_size=shard_size)
    for seed in range(3):
        for made in (plain, sharded):
            made.add_tile(make_tile(seed), slumps((5, 5, 20, 20)), "Land", f"image {seed}")
    sharded.finalize()
    for one, other in zip(read(tmp_path / "plain"), read(tmp_path / "sharded"), strict=True):
        assert one.equals(other) if isinstance(one, gpd.GeoDataFrame) else np.array_equal(one, other)
    files = [path for path in (tmp_path / "sharded" / "data.zarr" / "x" / "c").rglob("*") if path.is_file()]
    assert len(files) == -(-len(sharded) // shard_size)


@pytest.mark.parametrize("shard_size", [None, 4])
def test_a_patch_that_is_read_as_it_is_equals_what_zarr_reads(tmp_path, shard_size):
    made = builder(tmp_path, shard_size=shard_size)
    made.add_tile(make_tile(), slumps((5, 5, 20, 20)), "Land", "image")
    x, y, _ = read(tmp_path)
    patches = PatchSet(tmp_path)
    for index in range(len(made)):
        one, label = patches.read(index)
        np.testing.assert_array_equal(one, x[index])
        np.testing.assert_array_equal(label, y[index])
        assert (one.dtype, label.dtype) == (x.dtype, y.dtype)
    with pytest.raises(IndexError, match=f"^there is no patch {len(made)}, only 0 to {len(made) - 1}$"):
        patches.read(len(made))


@pytest.mark.parametrize("shard_size", [None, 4])
@pytest.mark.parametrize("name", ["x", "y"])
@pytest.mark.parametrize("damage", ["lost", "emptied", "cut short", "garbled"])
def test_a_patch_whose_file_is_not_what_it_was_is_damage_and_not_zeros(tmp_path, shard_size, name, damage):
    made = builder(tmp_path, shard_size=shard_size)
    made.add_tile(make_tile(), slumps((5, 5, 20, 20)), "Land", "image")
    index = len(made) - 1
    number = index if shard_size is None else index // shard_size
    file = tmp_path.joinpath("data.zarr", name, "c", str(number), *["0"] * (3 if name == "x" else 2))
    whole = file.read_bytes()
    if damage == "lost":
        file.unlink()
    else:
        file.write_bytes({"emptied": b"", "cut short": whole[: len(whole) // 3], "garbled": b"garbage"}[damage])
    with pytest.raises(
        DataError, match=rf"^patch {index} in {tmp_path} is damaged: .*\. Make the data anew\.$"
    ) as caught:
        PatchSet(tmp_path).read(index)
    assert "\n" not in str(caught.value)


def test_one_chunk_a_patch(tmp_path):
    builder(tmp_path).add_tile(make_tile(), slumps(), "Land", "image")
    data = zarr.open_group(tmp_path / "data.zarr", mode="r")
    assert data["x"].chunks == (1, 3, 32, 32)
    assert data["y"].chunks == (1, 32, 32)
    for name in "xy":  # patches without any slump have their file too
        assert len(list((tmp_path / "data.zarr" / name / "c").iterdir())) == data[name].shape[0]


def test_a_set_made_with_something_else_is_not_mixed(tmp_path):
    builder(tmp_path, settings={"tpi_outer_radius": 100}).add_tile(make_tile(), slumps(), "Land", "image")
    with pytest.raises(ConfigError) as caught:
        builder(tmp_path, overlap=0, append=True, settings={"tpi_outer_radius": 50})
    assert str(caught.value) == (
        f"the training data in {tmp_path} was made with overlap 8 and not 0, tpi_outer_radius 100 and not 50. Use the "
        "same, choose another folder, or replace it with --no-append."
    )


def test_parts_that_differ_in_length_are_cut_to_whole_samples(tmp_path, caplog):
    made = builder(tmp_path)
    for seed in range(3):
        made.add_tile(make_tile(seed), slumps(), "Land", f"image {seed}")
    made.finalize()
    total, array = len(made), tmp_path / "data.zarr" / "y" / "zarr.json"
    described = json.loads(array.read_text())
    described["shape"][0] = total - 1
    array.write_text(json.dumps(described))
    again = builder(tmp_path, append=True)
    assert list(again.samples) == ["image 0", "image 1"]
    x, y, metadata = read(tmp_path)
    assert len(x) == len(y) == len(metadata) == total * 2 // 3
    assert f"{total * 2 // 3} patches are kept" in caplog.text


def test_a_damaged_set_and_illegal_parameters_are_named(tmp_path):
    made = builder(tmp_path)
    made.add_tile(make_tile(), slumps(), "Land", "image")
    made.finalize()
    (tmp_path / "metadata.parquet").write_text("nonsense")
    with pytest.raises(DataError, match=f"the training data in {tmp_path} is damaged .* Make it anew with --no-append"):
        PatchSet(tmp_path)
    with pytest.raises(ConfigError, match=r"^overlap is 32 px but must be below patch_size \(32 px\)"):
        builder(tmp_path / "new", overlap=32)
    with pytest.raises(ConfigError, match=r"^shard_size is 0 but must be at least 1\.$"):
        builder(tmp_path / "new", shard_size=0)
    with pytest.raises(DataError, match=r"^the tile lacks slope\. Add the bands"):
        builder(tmp_path / "new").add_tile(make_tile().drop_vars("slope"), slumps(), "Land", "image")


def test_inputs_are_not_altered(tmp_path):
    tile, labels = make_tile(), slumps((5, 5, 20, 20))
    before, labels_before = tile.copy(deep=True), labels.copy()
    builder(tmp_path).add_tile(tile, labels, "Land", "image", labels)
    xr.testing.assert_identical(tile, before)
    assert labels.equals(labels_before)


def with_sun(tile, azimuth, elevation):
    return tile.assign_attrs(azimuth=azimuth, elevation=elevation)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ((171.5, 33.25), (171.5, 33.25)), ((np.float32(171.5), 0), (171.5, 0)), ((None, None), (np.nan, np.nan)),
        ((np.nan, 33.0), (np.nan, 33)), ((400.0, -3.0), (np.nan, np.nan)), (("south", 20.0), (np.nan, 20)),
    ],
)  # fmt: skip
def test_each_patch_knows_where_the_sun_stood_if_the_tile_does(tmp_path, given, kept):
    made = builder(tmp_path)
    made.add_tile(with_sun(make_tile(), *given), slumps(), "Land", "image")
    _, _, metadata = read(tmp_path)
    assert (metadata.sun_azimuth.dtype, metadata.sun_elevation.dtype) == (np.float64, np.float64)
    np.testing.assert_array_equal(metadata[["sun_azimuth", "sun_elevation"]], np.tile(kept, (len(metadata), 1)))


def test_a_set_of_an_earlier_release_is_read_and_gets_the_sun_with_what_is_added(tmp_path):
    made = builder(tmp_path)
    made.add_tile(make_tile(), slumps((5, 5, 20, 20)), "Land", "old", metadata={"n": 1})
    made.finalize()
    path = tmp_path / "metadata.parquet"
    gpd.read_parquet(path).drop(columns=["sun_azimuth", "sun_elevation"]).to_parquet(path)
    before, n_old = PatchSet(tmp_path).id, len(PatchSet(tmp_path))
    assert PatchSet(tmp_path).read(0)[0].shape == (3, 32, 32)
    more = builder(tmp_path, append=True)
    more.add_tile(with_sun(make_tile(1), 170.0, 30.0), slumps(), "Land", "new", metadata={"n": 2})
    more.finalize()
    _, _, metadata = read(tmp_path)
    assert metadata.sun_azimuth[:n_old].isna().all()
    assert (metadata.sun_azimuth[n_old:] == 170).all()
    assert (metadata.sun_elevation[n_old:] == 30).all()
    assert metadata.crs == "EPSG:4326"
    assert list(metadata.n) == [1] * n_old + [2] * (len(metadata) - n_old)
    assert PatchSet(tmp_path).id != before


def id_by_the_page(folder):
    """Return the id of a set as the documentation has it, from what zarr and geopandas read."""
    _, y, metadata = read(folder)
    hashed = b"y" + struct.pack("<QQ", *y.shape[1:])
    for row in metadata.sort_values("patch_id", key=lambda names: names.str.encode("utf-8")).itertuples():
        name = row.patch_id.encode()
        hashed += struct.pack("<Q", len(name)) + name + y[row.z_idx].tobytes()
    return hashlib.sha256(hashed).hexdigest()


def images(numbers):
    return {f"image {n}é": (make_tile(n), slumps((5 + n, 5, 20 + n, 20))) for n in numbers}


def test_the_id_of_a_set_is_the_hash_of_names_and_labels_in_whatever_order_and_files(tmp_path):
    ids = set()
    for name, numbers, shard_size in (("a", (0, 1, 10), None), ("b", (10, 0, 1), None), ("c", (1, 10, 0), 4)):
        made = builder(tmp_path / name, shard_size=shard_size)
        for sample, (tile, labels) in images(numbers).items():
            made.add_tile(tile, labels, "Land", sample)
        made.finalize()
        ids |= {PatchSet(tmp_path / name).id, id_by_the_page(tmp_path / name)}
    assert len(ids) == 1
    assert len(ids.pop()) == 64


def test_the_id_of_a_set_changes_with_names_and_labels_and_not_with_features(tmp_path):
    def id_of(name, sample="image", tile=None, box=(5, 5, 20, 20), **more):
        made = builder(tmp_path / name, **more)
        made.add_tile(make_tile() if tile is None else tile, slumps(box), "Land", sample)
        return PatchSet(tmp_path / name).id

    first = id_of("first")
    assert id_of("other features", tile=make_tile(5)) == first
    assert (
        len({first, id_of("name", "image 2"), id_of("label", box=(5, 5, 20, 21)), id_of("none", nopositive=True)}) == 4
    )


def test_a_set_whose_patches_cannot_be_told_apart_or_read_has_no_id(tmp_path):
    made = builder(tmp_path)
    made.add_tile(make_tile(), slumps(), "Land", "image")
    made.finalize()
    old = gpd.read_parquet(tmp_path / "metadata.parquet")
    old.assign(patch_id="same").to_parquet(tmp_path / "metadata.parquet")
    with pytest.raises(DataError, match=r"have the same patch_id as others\. Make the data anew\.$"):
        PatchSet(tmp_path).id
    old.to_parquet(tmp_path / "metadata.parquet")
    (tmp_path / "data.zarr" / "y" / "c" / "2" / "0" / "0").unlink()
    with pytest.raises(DataError, match=r"^patch 2 in .* is damaged"):
        PatchSet(tmp_path).id


def test_the_id_follows_what_is_added(tmp_path):
    opened = PatchSet.create(tmp_path, 3, 32, {})
    opened.open()
    source = tmp_path / "source"
    builder(source).add_tile(make_tile(), slumps(), "Land", "image")
    x, y, metadata = read(source)
    empty = opened.id
    opened.write(0, x, y)
    opened.commit(metadata, "image", Counts(patches=len(x)))
    assert empty != opened.id == PatchSet(tmp_path).id == PatchSet(source).id
