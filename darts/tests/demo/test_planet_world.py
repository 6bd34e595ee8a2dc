import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio

from darts.demo.world.make import make_world
from darts.demo.world.place import MARGIN_PX
from darts.demo.world.planet import orthotile_of, scene_of, udm2_of, write_planet_world
from darts_acquisition import load_arcticdem, load_planet_tile, load_tcvis, parse_planet_type
from darts_acquisition.optical.quality import SCL_QUALITY
from darts_preprocessing import preprocess_v2
from darts_utils.bands import TRAINING_BANDS
from darts_utils.errors import ConfigError
from darts_utils.tile import geobox_of, validate


@pytest.fixture(scope="module")
def small_world():
    return make_world(4, 160)


@pytest.fixture(scope="module")
def written(small_world, tmp_path_factory):
    return write_planet_world(small_world, tmp_path_factory.mktemp("data"))


def at_pixels_of(world, grid):
    """Return rows and columns of the world's pixels on which the centres of a finer grid lie."""
    height, width = grid.shape
    x = grid.affine.c + grid.affine.a * (np.arange(width) + 0.5)
    y = grid.affine.f + grid.affine.e * (np.arange(height) + 0.5)
    place = world.place.geobox.affine
    return ((y - place.f) / place.e).astype(int), ((x - place.c) / place.a).astype(int)


@pytest.mark.parametrize("kind", ["orthotile", "scene"])
def test_the_images_show_the_world_on_finer_pixels(small_world, written, kind):
    tile = validate(load_planet_tile(getattr(written, kind)))
    image = {"orthotile": orthotile_of, "scene": scene_of}[kind](small_world)
    assert tile.odc.geobox == image.grid
    assert parse_planet_type(getattr(written, kind)) == kind
    rows, columns = at_pixels_of(small_world, image.grid)
    for band, coarse in zip(("blue", "green", "red", "nir"), small_world.reflectance, strict=True):
        fine, expected = tile[band].values, coarse[rows][:, columns]
        seen = np.isfinite(fine) & np.isfinite(expected)
        assert seen.mean() > 0.5
        assert np.median(np.abs(fine - expected)[seen]) < 0.01
        assert np.corrcoef(fine[seen], expected[seen])[0, 1] > 0.95
    assert tile.attrs["azimuth"] == small_world.place.sun_azimuth


def test_the_scene_leans_and_has_corners_without_data(small_world, written):
    tile = load_planet_tile(written.scene)
    rows, columns = at_pixels_of(small_world, tile.odc.geobox)
    known = np.isfinite(small_world.reflectance[0])[rows][:, columns]
    cut = known & (tile.quality_data_mask.values == 0)
    height, width = cut.shape
    top_left, bottom_right = cut[: height // 3, : width // 8], cut[-height // 3 :, -width // 8 :]
    assert top_left[:, 0].all()
    assert bottom_right[:, -1].all() or not known[-height // 3 :, -1].all()
    assert cut.sum() > 0.05 * cut.size
    first_pixel = (~cut & known).argmax(axis=1)
    assert first_pixel[height // 10] > first_pixel[-height // 10] + 3, "the left edge leans"


def test_the_mask_says_what_the_classes_say():
    classes = np.arange(12, dtype=np.uint8)[None]
    layers = dict(zip(("clear", "snow", "shadow", "light", "heavy", "cloud"), udm2_of(classes), strict=False))
    assert np.flatnonzero(layers["cloud"]).tolist() == [8, 9]
    assert np.flatnonzero(layers["shadow"]).tolist() == [3]
    assert np.flatnonzero(layers["snow"]).tolist() == [11]
    assert np.flatnonzero(udm2_of(classes)[7]).tolist() == [0]
    high = [code for code, quality in SCL_QUALITY.items() if quality == 2 and code != 10]
    assert set(high) <= set(np.flatnonzero(layers["clear"]).tolist())


def test_elevation_of_2_m_lines_up_with_the_world(small_world, written):
    tile = load_planet_tile(written.orthotile)
    geobox = geobox_of(tile)
    elevation = load_arcticdem(geobox, written.aux_dir, 2, buffer=80, offline=True)
    tile = preprocess_v2(tile, elevation, load_tcvis(geobox, written.aux_dir, offline=True), device="cpu")
    assert set(TRAINING_BANDS) <= set(tile.data_vars)
    rows, columns = at_pixels_of(small_world, tile.odc.geobox)
    truth = small_world.elevation[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX][rows][:, columns]
    off = np.nanmedian(np.abs(tile.dem.values - truth))
    assert off < 0.4
    shifted = np.nanmedian(np.abs(tile.dem.values[:, 8:] - truth[:, :-8]))
    assert off < 0.5 * shifted


def test_the_files_are_those_of_a_delivery(written):
    names = {path.name.removeprefix(written.scene.name) for path in written.scene.iterdir()}
    assert names == {"_3B_AnalyticMS_SR.tif", "_3B_udm2.tif", "_metadata.json"}
    with rasterio.open(next(written.scene.glob("*_SR.tif"))) as file:
        assert (file.descriptions, file.nodata, file.dtypes[0]) == (("blue", "green", "red", "nir"), 0, "uint16")
    metadata = json.loads(next(written.scene.glob("*.json")).read_text())
    assert metadata["type"] == "Feature"
    assert metadata["geometry"]["type"] == "Polygon"


def test_too_large_a_world_is_refused(small_world, tmp_path):
    with pytest.raises(ConfigError, match=r"^size is 2561 px but must be at most 2560 for Planet data\.$"):
        write_planet_world(replace(small_world, size=2561), tmp_path)
