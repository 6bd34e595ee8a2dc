"""Training data of the sample world: the features of inference, labels on their pixels, the same set again."""

import math
import shutil
import tomllib
from pathlib import Path
from types import SimpleNamespace

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from training_worlds import read_set, same_sets, write_labelled_worlds

from darts.demo.labels import outline_of, write_labels
from darts.demo.world.make import make_world
from darts.demo.world.planet import orthotile_of, write_planet_world
from darts.demo.world.write import write_world
from darts.pipelines.planet import PlanetPipeline
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts.pipelines.stages import feature_stages
from darts.pipelines.tiles import Work
from darts.training import (
    preprocess_planet_train_data,
    preprocess_planet_train_data_pingo,
    preprocess_s2_train_data,
)
from darts_utils.bands import TRAINING_BANDS, manager
from darts_utils.errors import ConfigError, MissingDataError, OutputError
from darts_utils.files import exclusive_lock
from darts_utils.paths import DefaultPaths

SHIFT_PX = (1.3, -2.6)
SEED = 3


@pytest.fixture(scope="module")
def planet(tmp_path_factory):
    """A world as Planet images with labels, and the data set made of it with all patches."""
    root = tmp_path_factory.mktemp("planet")
    (world,), given = write_labelled_worlds(root, [SEED])
    given |= {"data_dir": root / "input" / "planet", "patch_size": 96}
    report = preprocess_planet_train_data(**given, exclude_nan=False)
    assert report.exit_code == 0
    return SimpleNamespace(root=root, world=world, given=given, folder=root / "training" / "planet_96")


@pytest.fixture(scope="module")
def shifted(tmp_path_factory):
    """The same world as a Sentinel-2 scene that is off by a known shift, beside its Planet images."""
    root = tmp_path_factory.mktemp("sentinel2")
    world = make_world(SEED, 160)
    write_planet_world(world, root)
    layers = write_labels(world, root)
    written = write_world(world, root, SHIFT_PX)
    given = {
        "default_dirs": DefaultPaths(fast_dir=root, large_dir=root),
        "labels_dir": layers.labels_dir,
        "planet_data_dir": root / "input" / "planet",
        "patch_size": 64,
        "overlap": 8,
        "exclude_nan": False,
        "offline": True,
        "device": "cpu",
    }
    return SimpleNamespace(root=root, world=world, scene_id=written.scene_id, given=given)


@pytest.fixture
def matched(monkeypatch, shifted):
    """Match every footprint with the one scene; give what the matching was asked."""
    asked = []

    def match(_, aoi, *, day_range, max_cloud_cover, min_intersects, save_scores, cache):
        asked.append((aoi, day_range, max_cloud_cover, min_intersects, save_scores, cache))
        return dict.fromkeys(aoi.index, SimpleNamespace(id=shifted.scene_id))

    monkeypatch.setattr("darts_acquisition.optical.cdse.catalog.CdseScenes.match", match)
    return asked


def found_shift(reliable=True):
    """Return what a perfect alignment would say of the shifted scene."""
    x_px, y_px = SHIFT_PX
    return SimpleNamespace(
        x_m=10 * x_px, y_m=-10 * y_px, x_px=x_px, y_px=y_px, reliability=0.9, ssim_improvement=0.1, reliable=reliable
    )


def inference_tile(pipeline, tile_id):
    """Return the tile as a mapping run hands it to the networks."""
    run = pipeline.with_paths()
    source = run.source()
    (ref,) = [ref for ref in source.find() if ref.tile_id == tile_id]
    work = Work(ref=ref)
    for stage in feature_stages(run, source, frozenset(TRAINING_BANDS)):
        work = stage.run(work)
    return work.tile


def shown(tile, band):
    """Return what networks see of a band in a map: nothing where the image has no data."""
    seen = tile["quality_data_mask"].values != 0
    for name in ("red", "green", "blue", "nir"):
        seen = seen & ~np.isnan(tile[name].values)
    return manager[band].normalize(tile[band].values) * seen


def sun_of(world):
    return world.place.sun_azimuth, world.place.sun_elevation


def centres(tile, window):
    """Return x and y on the map of the pixel centres in a window."""
    return np.meshgrid(tile.x.values[window[1]], tile.y.values[window[0]])


def expected_labels(tile, window, slumps, footprint):
    """Return the labels by asking for each pixel's centre whether it lies inside, without any raster library."""
    x, y = centres(tile, window)
    expected = shapely.contains_xy(slumps, x, y).astype(np.uint8)
    expected[~shapely.contains_xy(footprint, x, y)] = 2
    expected[tile.quality_data_mask.values[window] != 2] = 2
    return expected


def test_planet_patches_are_the_features_of_inference_and_labels_lie_on_their_pixels(planet):
    x, y, metadata = read_set(planet.folder)
    assert len(metadata.sample_id.unique()) == 2
    positives = 0
    for sample_id, rows in metadata.groupby("sample_id"):
        pipeline = PlanetPipeline(default_dirs=planet.given["default_dirs"], offline=True, device="cpu")
        tile = inference_tile(pipeline, sample_id)
        slumps, footprint = layers_of(planet, sample_id, tile.odc.crs)
        for row in rows.itertuples():
            window = (slice(row.y, row.y + 96), slice(row.x, row.x + 96))
            for index, band in enumerate(TRAINING_BANDS):
                np.testing.assert_array_equal(x[row.z_idx, index], shown(tile, band)[window])
            np.testing.assert_array_equal(y[row.z_idx], expected_labels(tile, window, slumps, footprint))
            positives += np.count_nonzero(y[row.z_idx] == 1)
        assert set(rows.planet_id) == {sample_id}
        assert set(rows.region) == {f"Demo Coast {SEED}"}
        assert set(zip(rows.sun_azimuth, rows.sun_elevation, strict=True)) == {sun_of(planet.world)}
    assert positives > 100
    assert 0 < (y == 2).sum() < y.size


def layers_of(planet, sample_id, crs):
    """Return slumps and footprint of an image as one area each, as the files have them."""
    (iteration,) = planet.given["labels_dir"].iterdir()
    labels, footprints = (gpd.read_file(path) for path in sorted(iteration.glob("*.gpkg"), reverse=True))
    slumps = labels[labels.image_id == sample_id].to_crs(str(crs)).union_all()
    return slumps, footprints[footprints.image_id == sample_id].to_crs(str(crs)).union_all()


def test_labels_are_moved_to_where_sentinel2_has_the_slumps(shifted, matched, monkeypatch, tmp_path):
    monkeypatch.setattr("darts.datasets.build.sentinel2.align_offset", lambda *images, **masks: found_shift())
    report = preprocess_s2_train_data(**shifted.given, train_data_dir=tmp_path, save_matching_scores=True)
    assert report.exit_code == 0
    x, y, metadata = read_set(tmp_path)
    pipeline = Sentinel2Pipeline(
        scene_ids=[shifted.scene_id], default_dirs=shifted.given["default_dirs"], offline=True, device="cpu"
    )
    tile = inference_tile(pipeline, shifted.scene_id)
    orthotile = orthotile_of(shifted.world)
    rows = metadata[metadata.planet_id == orthotile.image_id]
    east, north = 13.0, 26.0
    slumps = shapely.affinity.translate(shifted.world.truth.union_all(), east, north)
    footprint = shapely.affinity.translate(outline_of(orthotile), east, north)
    part = under(tile, footprint)
    for row in rows.itertuples():
        window = (slice(row.y, row.y + 64), slice(row.x, row.x + 64))
        for index, band in enumerate(TRAINING_BANDS):
            np.testing.assert_array_equal(x[row.z_idx, index], shown(part, band)[window])
        wrong = y[row.z_idx] != expected_labels(part, window, slumps, footprint)
        assert wrong.mean() < 1e-3, "a pixel centre may lie on an edge, to the last bits of a projection"
    assert (y == 1).sum() > 20
    assert set(rows.sample_id) == {f"{shifted.scene_id}_{orthotile.image_id}"}
    assert set(rows.s2_id) == {shifted.scene_id}
    assert set(zip(rows.sun_azimuth, rows.sun_elevation, strict=True)) == {sun_of(shifted.world)}
    recorded = rows[["x_offset", "y_offset", "reliability", "ssim_improvement"]].drop_duplicates()
    assert recorded.to_numpy().tolist() == [[13.0, 26.0, 0.9, 0.1]]
    ((aoi, *options),) = matched
    assert options == [7, 10, 0.7, tmp_path / "matching-scores.parquet", tmp_path / "matching-cache.json"]
    assert aoi["date"].dtype.kind == "M"
    assert aoi.crs == "EPSG:4326"


def test_offline_the_best_scenes_are_not_searched_for(shifted, tmp_path, monkeypatch):
    monkeypatch.setenv("DARTS_CDSE_STAC_URL", "http://127.0.0.1:9/")
    with pytest.raises(MissingDataError) as caught:
        preprocess_s2_train_data(**shifted.given, train_data_dir=tmp_path)
    assert str(caught.value) == (
        "this would ask the Copernicus catalogue, which an offline run does not. Run once without --offline and "
        f"without --no-matching-cache: its answers are kept ({tmp_path}/matching-cache.json, or what --matching-cache "
        "names)."
    )


def test_the_shift_of_the_scene_is_found(shifted, matched, tmp_path):
    assert preprocess_s2_train_data(**shifted.given, train_data_dir=tmp_path).exit_code == 0
    _, _, metadata = read_set(tmp_path)
    (found,) = metadata.loc[metadata.planet_id == orthotile_of(shifted.world).image_id, "aligned"].unique()
    assert found == "moved"
    moved = metadata[metadata.aligned == "moved"]
    np.testing.assert_allclose(moved[["x_offset", "y_offset"]].drop_duplicates(), [[13.0, 26.0]] * 2, atol=1.5)


def under(tile, footprint):
    """Return the part of a tile that whole pixels under an outline make up."""
    west, south, east, north = footprint.bounds
    columns = np.flatnonzero((tile.x.values + 5 > west + 1e-3) & (tile.x.values - 5 < east - 1e-3))
    rows = np.flatnonzero((tile.y.values + 5 > south + 1e-3) & (tile.y.values - 5 < north - 1e-3))
    return tile.isel(y=slice(rows[0], rows[-1] + 1), x=slice(columns[0], columns[-1] + 1))


@pytest.mark.parametrize("how", ["unreliable", "no image", "not wanted"])
def test_labels_stay_where_the_shift_is_not_known(shifted, matched, monkeypatch, tmp_path, how, capsys):
    monkeypatch.setattr(
        "darts.datasets.build.sentinel2.align_offset",
        lambda *images, **masks: found_shift(reliable=False),
        raising=False,
    )
    (tmp_path / "none").mkdir()
    folder = {"unreliable": shifted.given["planet_data_dir"], "no image": tmp_path / "none", "not wanted": None}[how]
    given = {**shifted.given, "planet_data_dir": folder, "train_data_dir": tmp_path / "set", "no_matching_cache": True}
    assert preprocess_s2_train_data(**given).exit_code == 0
    _, y, metadata = read_set(tmp_path / "set")
    assert (y == 1).sum() > 20
    assert matched[0][-1] is None
    if how == "not wanted":
        assert "x_offset" not in metadata
        return
    assert set(metadata.x_offset) == set(metadata.y_offset) == {0.0}
    reliability = metadata.reliability.iloc[0]
    assert reliability == 0.9 if how == "unreliable" else math.isnan(reliability)
    reason = {"unreliable": "the shift is not reliable", "no image": "no Planet image"}[how]
    assert f"samples with labels left: {reason}: 2" in capsys.readouterr().out


def test_a_set_is_made_from_the_config_file_alone_and_again_from_what_was_kept(planet, darts, tmp_path):
    content = "\n".join(
        f"{name} = {str(value)!r}" if isinstance(value, Path) else f"{name} = {str(value).lower()}"
        for name, value in planet.given.items()
        if name not in ("default_dirs", "device")
    )
    folders = f"fast_dir = '{tmp_path / 'first'}'\nlarge_dir = '{planet.root}'\ndevice = 'cpu'\nexclude_nan = false"
    (tmp_path / "config.toml").write_text(f"[darts]\n{content}\n[darts.more]\n{folders}\n")
    result = darts("training", "create-dataset", "planet")
    assert result.returncode == 0, result.stdout + result.stderr
    first = tmp_path / "first" / "training" / "planet_96"
    assert same_sets(first, planet.folder)
    (kept,) = first.glob("*.cli.toml")
    (tmp_path / "config.toml").unlink()
    for number, config in enumerate([kept, first / "config.toml"]):
        again = tmp_path / f"again {number}"
        arguments = ("--config-file", config, "--train-data-dir", again)
        result = darts("training", "create-dataset", "planet", *arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "no darts command knows" not in result.stderr
        assert same_sets(again, planet.folder)
    assert tomllib.loads((first / "config.toml").read_text())["dataset"]["bands"] == list(TRAINING_BANDS)


def test_one_table_says_what_became_of_everything(planet, darts, tmp_path):
    arguments = ["--data-dir", planet.given["data_dir"], "--labels-dir", planet.given["labels_dir"], "--offline"]
    arguments += ["--fast-dir", tmp_path, "--large-dir", planet.root, "--patch-size", 96, "--exclude-nopositive"]
    result = darts("training", "create-dataset", "planet", *arguments)
    figures = dict(line.rsplit(": ", 1) for line in result.stdout.splitlines() if ": " in line)
    made = int(figures["patches"])
    left_out = sum(int(n) for what, n in figures.items() if what.startswith("patches left out"))
    assert made == int(figures["patches with a slump"]) > 0
    assert made + left_out == len(read_set(planet.folder)[2])  # nothing is left out there
    assert figures["footprints used"] == "2"


def test_an_archive_of_any_depth_gives_the_same_patches(planet, tmp_path):
    archive = tmp_path / "archive" / "a" / "b" / "c" / "d"
    archive.parent.mkdir(parents=True)
    shutil.copytree(planet.given["data_dir"], archive)
    given = {**planet.given, "data_dir": tmp_path / "archive", "exclude_nan": False}
    preprocess_planet_train_data_pingo(**given, train_data_dir=tmp_path / "set")
    assert same_sets(tmp_path / "set", planet.folder)
    with pytest.raises(MissingDataError, match=r"^no image goes with the footprints in .*, so there is nothing to mak"):
        preprocess_planet_train_data(**given, train_data_dir=tmp_path / "too deep")


def test_patches_do_not_depend_on_what_the_cache_held(planet, tmp_path):
    (scene,) = planet.given["data_dir"].glob("scenes/*")
    given = {**planet.given, "data_dir": scene.parent, "preprocess_cache": tmp_path / "cache", "exclude_nan": False}
    preprocess_planet_train_data(**given, train_data_dir=tmp_path / "cold")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    assert len(kept) == 1
    preprocess_planet_train_data(**given, train_data_dir=tmp_path / "warm")
    assert same_sets(tmp_path / "warm", tmp_path / "cold")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    x, _, cold = read_set(tmp_path / "cold")
    assert set(zip(cold.sun_azimuth, cold.sun_elevation, strict=True)) == {sun_of(planet.world)}
    exact, _, metadata = read_set(planet.folder)
    exact = exact[metadata.sample_id == scene.name]
    np.testing.assert_allclose(x, exact, atol=2e-3)
    preprocess_planet_train_data(**given, train_data_dir=tmp_path / "forced", force_preprocess=True)
    assert all(path.stat().st_mtime_ns > time for path, time in kept.items())


def test_another_image_of_the_same_name_or_other_radii_are_not_taken_from_the_cache(planet, tmp_path):
    (scene,) = planet.given["data_dir"].glob("scenes/*")
    given = {key: value for key, value in planet.given.items() if key != "data_dir"}
    given |= {"preprocess_cache": tmp_path / "cache", "exclude_nan": False}
    shutil.copytree(scene, tmp_path / "scenes" / scene.name)
    for number, more in enumerate(({}, {"tpi_outer_radius": 60}, {})):
        if number == 2:
            (image,) = (tmp_path / "scenes" / scene.name).glob("*_SR.tif")
            with rasterio.open(image, "r+") as raster:
                raster.write(raster.read() // 2)
        preprocess_planet_train_data(
            **given, **more, data_dir=tmp_path / "scenes", train_data_dir=tmp_path / f"set{number}"
        )
        assert len(list((tmp_path / "cache").iterdir())) == number + 1
    (first, _, _), (halved, _, _) = read_set(tmp_path / "set0"), read_set(tmp_path / "set2")
    assert (halved[:, 0] < first[:, 0]).mean() > 0.9


def test_patches_say_which_trends_they_have(planet, darts, tmp_path):
    """A cube for all images says nothing, as before; a set may go on with others, and no cache confuses them."""
    for year in (2022, 2024):
        shutil.copytree(planet.root / "aux/tcvis.icechunk", tmp_path / f"cubes/TCTrend{year}.icechunk")
    (scene,) = planet.given["data_dir"].glob("scenes/*")
    given = {**planet.given, "exclude_nan": False, "preprocess_cache": tmp_path / "cache"}
    given |= {"train_data_dir": tmp_path / "set"}
    preprocess_planet_train_data(**{**given, "data_dir": scene.parent})
    assert "tcvis_year" not in read_set(tmp_path / "set")[2]
    preprocess_planet_train_data(**given, tcvis_dir=tmp_path / "cubes")
    metadata = read_set(tmp_path / "set")[2]
    years = metadata.groupby("sample_id")["tcvis_year"].unique()
    assert str(metadata.tcvis_year.dtype) == "Int64"
    assert {name: list(found.dropna()) for name, found in years.items()} == {
        name: [] if name == scene.name else [2024] for name in years.index
    }
    assert tomllib.loads((tmp_path / "set/config.toml").read_text())["darts"]["tcvis_dir"] == str(tmp_path / "cubes")
    assert darts("training", "validate-dataset", tmp_path / "set").returncode == 0

    n_cached = len(list((tmp_path / "cache").iterdir()))
    given |= {"train_data_dir": tmp_path / "other"}
    preprocess_planet_train_data(**given, tcvis_dir=tmp_path / "cubes", tcvis_year=2022)
    assert set(read_set(tmp_path / "other")[2].tcvis_year) == {2022}
    assert len(list((tmp_path / "cache").iterdir())) == n_cached + 2
    assert tomllib.loads((tmp_path / "other/config.toml").read_text())["darts"]["tcvis_year"] == 2022


def test_an_image_that_fails_is_tried_again_and_the_others_are_kept(planet, tmp_path, capsys):
    archive = tmp_path / "archive"
    shutil.copytree(planet.given["data_dir"], archive)
    (broken,) = archive.glob("scenes/*/*_SR.tif")
    whole = broken.read_bytes()
    broken.write_bytes(whole[:1000])
    given = {**planet.given, "data_dir": archive, "exclude_nan": False, "train_data_dir": tmp_path / "set"}
    report = preprocess_planet_train_data(**given)
    assert (report.exit_code, report.count("done"), report.count("failed")) == (1, 1, 1)
    assert f"failed {broken.parent.name}: optical: " in capsys.readouterr().out
    broken.write_bytes(whole)
    report = preprocess_planet_train_data(**given)
    assert (report.exit_code, report.count("done"), report.count("skipped")) == (0, 1, 1)
    assert len(read_set(tmp_path / "set")[2]) == len(read_set(planet.folder)[2])


def test_mistakes_are_one_line(planet, tmp_path):
    given = {**planet.given, "train_data_dir": tmp_path / "set"}
    with pytest.raises(ConfigError, match=r"nowhere is no folder\. Name one with --data-dir\.$"):
        preprocess_planet_train_data(**given | {"data_dir": tmp_path / "nowhere"})
    with pytest.raises(MissingDataError, match=r"^there are no administrative boundaries at .*ADM2\.shp\. Fetch them"):
        preprocess_planet_train_data(**given, admin_dir=tmp_path)
    with (
        exclusive_lock(tmp_path / "set" / ".lock"),
        pytest.raises(OutputError, match=r"is still locked by another process after 0 s\. Wait for it\.$"),
    ):
        preprocess_planet_train_data(**given)
    shutil.rmtree(tmp_path / "set")
    shutil.copytree(planet.folder, tmp_path / "set")
    given |= {"exclude_nan": False}
    with pytest.raises(ConfigError, match=r"was made with tpi_outer_radius 100 and not 50\. Use the same, choose"):
        preprocess_planet_train_data(**given, tpi_outer_radius=50)
    with pytest.raises(ConfigError, match=r"nowhere is no folder\. Name one with --planet-data-dir"):
        preprocess_s2_train_data(
            labels_dir=planet.given["labels_dir"], planet_data_dir=tmp_path / "nowhere", train_data_dir=tmp_path / "s2"
        )


def test_the_known_shift_is_to_the_right_and_up(shifted):
    """The scene's grid lies by the shift beside the truth's: what the other tests build on."""
    pipeline = Sentinel2Pipeline(scene_ids=[shifted.scene_id], default_dirs=shifted.given["default_dirs"], offline=True)
    run = pipeline.with_paths()
    source = run.source()
    grid = source.load(source.find()[0]).odc.geobox
    assert grid.affine.almost_equals(shifted.world.place.geobox.affine * Affine.translation(*SHIFT_PX))
