import json
import re
import socket
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import zarr

from darts.demo.world.make import make_world
from darts.demo.world.place import MARGIN_PX, place_of
from darts.demo.world.write import install_models, write_world
from darts_acquisition import load_arcticdem, load_cdse_s2_sr_scene, load_tcvis
from darts_acquisition.optical.sentinel2.scene_store import SceneStore
from darts_preprocessing import preprocess_v2
from darts_segmentation.models.card import read_card
from darts_segmentation.models.checkpoint import read_bands
from darts_segmentation.models.ensemble_card import find_ensemble_card
from darts_utils.bands import TRAINING_BANDS
from darts_utils.errors import ConfigError, CoverageError
from darts_utils.tile import geobox_of, validate

INNER = (slice(MARGIN_PX, -MARGIN_PX),) * 2


@pytest.fixture(scope="module")
def written(world, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:  # writing must not need the network
        patch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a socket was opened"))
        return write_world(world, tmp_path_factory.mktemp("data"))


def features(written):
    """Return the tile of a written world with all features."""
    tile = load_cdse_s2_sr_scene(written.scene_id, store=written.store, offline=True)
    geobox = geobox_of(tile)
    elevation = load_arcticdem(geobox, written.aux_dir, 10, buffer=16, offline=True)
    return preprocess_v2(tile, elevation, load_tcvis(geobox, written.aux_dir, offline=True), device="cpu")


def test_the_scene_comes_back_from_the_raw_store(world, written):
    tile = validate(load_cdse_s2_sr_scene(written.scene_id, store=written.store, offline=True))
    assert tile.odc.geobox == world.place.geobox
    for band, reflectance in zip(("blue", "green", "red", "nir"), world.reflectance, strict=True):
        seen = ~np.isnan(tile[band].values)
        np.testing.assert_array_equal(seen, ~np.isnan(reflectance) & (world.classes > 0))
        np.testing.assert_allclose(tile[band].values[seen], reflectance[seen], atol=6e-5)
    np.testing.assert_array_equal(tile["s2_scl"], world.classes)
    assert tile.attrs["azimuth"] == world.place.sun_azimuth
    assert tile.attrs["elevation"] == world.place.sun_elevation


def test_the_store_has_the_layout_of_the_contract(world, written):
    path = written.store / f"cdse-s2-sr-scene-{world.scene_id}.zarr"
    group = zarr.open_group(path, mode="r")
    assert sorted(n for n, a in group.arrays() if a.ndim == 2) == [
        "B02_10m",
        "B03_10m",
        "B04_10m",
        "B08_10m",
        "SCL_20m",
    ]
    assert group["B02_10m"].dtype == np.uint16
    assert group["SCL_20m"].dtype == np.uint8
    assert group["B02_10m"].chunks == (world.size, world.size)
    assert group.metadata.zarr_format == 3
    attributes = SceneStore(written.store, "cdse").open(world.scene_id).attributes
    assert attributes["grid:code"].startswith("MGRS-08W")
    assert 0 < attributes["eo:cloud_cover"] < 40


def test_elevation_and_trends_line_up_with_the_world(world, written):
    tile = features(written)
    dem, truth = tile["dem"].values, np.clip(world.elevation[INNER], -100, 3000)
    assert np.nanmean(np.abs(dem - truth)) < 0.1
    shifted = np.nanmean(np.abs(dem[:, 1:] - truth[:, :-1]))  # a wrong half pixel would show here
    assert np.nanmean(np.abs(dem - truth)) < 0.3 * shifted
    for name, layer in zip(("tc_brightness", "tc_greenness", "tc_wetness"), world.trends, strict=True):
        difference = np.abs(tile[name].values.astype(int) - layer[INNER])
        assert difference.mean() < 0.7
        assert np.percentile(difference, 99) <= 4
    assert set(TRAINING_BANDS) <= set(tile.data_vars)


def test_holes_of_the_elevation_come_back_as_holes(world, written):
    geobox = world.place.geobox
    dem = load_arcticdem(geobox, written.aux_dir, 10, buffer=16, offline=True)
    assert np.isnan(dem["dem"].values).any()
    np.testing.assert_array_equal(np.isnan(dem["dem"].values), dem["arcticdem_data_mask"].values == 0)


def test_ground_beside_the_world_is_not_covered(world, written):
    beside = world.place.geobox.translate_pix(200, 0)
    with pytest.raises(CoverageError, match="lacks"):
        load_arcticdem(beside, written.aux_dir, 10, buffer=16, offline=True)
    with pytest.raises(CoverageError, match="lacks"):
        load_tcvis(beside, written.aux_dir, offline=True)


def test_the_truth_is_a_geopackage(world, written):
    truth = gpd.read_file(written.truth)
    assert list(truth.columns) == ["id", "kind", "activity", "area_m2", "geometry"]
    assert len(truth) == len(world.truth)
    assert truth.crs.to_epsg() == 32608
    ground = world.place.geobox.extent.geom.area
    assert 0.002 < truth.area.sum() / ground < 0.2


def test_further_worlds_join_the_same_folder(world, tmp_path):
    other = make_world(world.seed + 1, world.size)
    first, second = write_world(world, tmp_path), write_world(other, tmp_path)
    again = write_world(world, tmp_path)
    assert again == first
    for written in (first, second):
        features(written)
    assert len(SceneStore(first.store, "cdse").scene_ids()) == 2


def test_worlds_on_top_of_each_other_are_refused(world, tmp_path):
    larger = make_world(0, 2 * world.size)
    same_corner = replace(world, place=place_of(0, world.size), seed=0)
    write_world(same_corner, tmp_path)
    message = (
        f"the world demo-{larger.seed}-{larger.size} lies where {tmp_path / 'aux' / 'arcticdem_10m.icechunk'} already"
        f" holds demo-0-{world.size}. Choose another seed or an empty folder."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        write_world(larger, tmp_path)
    assert (
        len(SceneStore(tmp_path / "input" / "sentinel2" / "cdse-scenes", "cdse").scene_ids()) == 1
    )  # and nothing half-written


@pytest.mark.parametrize(("sensor", "prefix"), [("sentinel2", "demo"), ("planet", "planet")])
def test_the_two_models_are_small_and_ask_for_their_bands(tmp_path, sensor, prefix):
    models = install_models(tmp_path / "models", sensor)
    assert [model.stem for model in models] == [f"{prefix}_with_tcvis", f"{prefix}_without_tcvis"]
    assert [read_bands(model) for model in models] == [TRAINING_BANDS, TRAINING_BANDS[:10]]
    assert all(model.stat().st_size < 1_500_000 for model in models)


@pytest.mark.parametrize("sensor", ["sentinel2", "planet"])
def test_the_models_are_calibrated_and_were_made_of_other_worlds(tmp_path, sensor):
    models = {model.stem: read_card(model) for model in install_models(tmp_path, sensor)}
    for card in models.values():
        assert (card.is_calibrated, card.sensors) == (True, {sensor})
        assert "/" not in json.dumps(card.to_json()), "it names a place on somebody's disk"
        learned_from = [name for names in card.training["split"].values() for name in names]
        assert sorted(learned_from) == [f"Demo Coast {seed}" for seed in range(1000, 1024)]
    assert find_ensemble_card([tmp_path], [card.model_id for card in models.values()]) is not None
