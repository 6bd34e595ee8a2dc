"""A result knows how it was made, and never mixes: runs with other parameters, models and images over one folder."""

import json
import os
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darts.pipelines.results.finished import DOCUMENT
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts.pipelines.tiles import TileRef
from darts_export.record import FINGERPRINT, fingerprints, read_record
from darts_utils.errors import ConfigError
from darts_utils.parameters import FLOAT32

OTHERWISE = {"binarization_threshold": 0.9}
MOST_FILES = ["probabilities", "binarized", "polygonized", "extent"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory, make_model):
    """Two models, of which one may take the place of the other."""
    folder = tmp_path_factory.mktemp("kept")
    return [make_model(folder / f"{seed}.pt", ["red", "green", "nir"], seed=seed) for seed in (0, 1)]


@pytest.fixture(autouse=True, scope="module")
def _networks_are_built_once():
    from darts_segmentation import ensemble

    load = ensemble.load_member
    once = cache(lambda name, path, _written, device: load(name, path, device))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ensemble, "load_member", lambda name, path, device: once(name, path, path.read_bytes(), device))
        yield


@pytest.fixture
def scene(make_scene, scene_ids):
    make_scene(Path("store"), scene_ids[0], size=(64, 70))
    return scene_ids[0]


@pytest.fixture
def pipeline(kept, scene):
    shutil.copy(kept[0], "small.pt")
    return Sentinel2Pipeline(
        model_files=[Path("small.pt")], raw_data_store=Path("store"), output_data_dir=Path("results"),
        scene_ids=[scene], export_bands=MOST_FILES, offline=True, mask_erosion_size=2, min_object_size=1,
        patch_size=64, overlap=16, device="cpu",
    )  # fmt: skip


@pytest.fixture
def tile(scene):
    return Path("results") / scene


def rows(report):
    newest = max(report.folder.glob("*.results.parquet"), key=lambda path: path.stat().st_mtime_ns)
    return pq.read_table(newest).to_pylist()


def test_every_file_bears_the_fingerprint_and_the_record_says_all_that_decides(pipeline, tile, scene):
    report = pipeline.run()
    assert report.exit_code == 0
    record = read_record(tile)
    assert fingerprints(tile) == {record[FINGERPRINT]}
    assert rows(report)[0]["fingerprint"] == record[FINGERPRINT]
    assert rows(report)[0]["n_objects"] == len(pq.read_table(tile / "prediction_segments.parquet"))
    document = record[DOCUMENT]
    assert document["image"] == {"source": "cdse", "id": scene, "processing_baseline": "05.10", "window": "whole"}
    assert list(document["models"]) == ["small"]
    assert document["parameters"]["edge_erosion_size"] == 2
    assert record["DARTS_software"].keys() >= {"darts", "torch", "gdal"}
    assert record["acquired"] == "2024-07-20"


def test_a_run_that_was_made_before_is_skipped_and_one_with_other_parameters_stops(pipeline, tile):
    pipeline.run()
    before = {path.name: path.read_bytes() for path in tile.iterdir()}
    assert pipeline.run().count("skipped") == 1
    message = (
        "1 tile was made with binarization_threshold 0.5 (now 0.9) (in results). Use --overwrite, another "
        "--output-data-dir, or --keep-old, which leaves them as they are."
    )
    for run in (replace(pipeline, **OTHERWISE), replace(pipeline, **OTHERWISE, dry_run=True)):
        with pytest.raises(ConfigError) as caught:
            run.run()
        assert str(caught.value) == message
    assert {path.name: path.read_bytes() for path in tile.iterdir()} == before


def test_a_model_that_was_replaced_under_its_name_stops_the_run(pipeline, kept):
    pipeline.run()
    was = read_record(Path("results") / pipeline.scene_ids[0])[DOCUMENT]["models"]["small"]
    shutil.copy(kept[1], "small.pt")
    made = rf"^1 tile was made with model small {was[:8]}\.\.\. \(now [0-9a-f]{{8}}\.\.\.\) "
    with pytest.raises(ConfigError, match=made):
        pipeline.run()


def test_old_results_are_kept_if_asked_for_and_the_record_says_so(pipeline, tile):
    pipeline.run()
    was = read_record(tile)[FINGERPRINT]
    report = replace(pipeline, **OTHERWISE, keep_old=True).run()
    assert (report.exit_code, report.count("skipped")) == (0, 1)
    row = rows(report)[0]
    assert row["error"] == "left as it was made with binarization_threshold 0.5 (now 0.9)"
    assert row["fingerprint"] == was == read_record(tile)[FINGERPRINT]


def test_overwriting_makes_them_anew(pipeline, tile):
    pipeline.run()
    assert replace(pipeline, **OTHERWISE, overwrite=True).run().count("success") == 1
    assert read_record(tile)[DOCUMENT]["parameters"]["binarization_threshold"] == 0.9
    assert len(fingerprints(tile)) == 1


def test_the_record_of_a_run_lies_where_it_is_asked_for(pipeline):
    replace(pipeline, metadata_dir=Path("records")).run()
    assert not list(Path("results").glob("*.parquet"))
    assert len(list(Path("records").glob("*.results.parquet"))) == 1


def test_what_does_not_decide_results_does_not_matter(pipeline, tile):
    pipeline.run()
    other = replace(pipeline, batch_size=1, max_memory_gb=3, write_model_outputs=True, edge_erosion_size=2)
    assert other.run().count("skipped") == 1
    assert replace(pipeline, export_bands=[*MOST_FILES, "optical", "thumbnail"]).run().count("success") == 1
    assert (tile / "optical.tif").exists()
    assert len(fingerprints(tile)) == 1


def test_an_empty_file_is_made_again(pipeline, tile):
    pipeline.run()
    whole = (tile / "binarized.tif").read_bytes()
    (tile / "binarized.tif").write_bytes(b"")
    assert pipeline.run().count("success") == 1
    assert (tile / "binarized.tif").read_bytes() == whole


def test_a_finished_tile_of_an_earlier_release_is_kept_with_one_line(pipeline, tile, caplog):
    pipeline.run()  # its inventory is there then, and is not made again of tiles without a word
    as_of_an_earlier_release(tile)
    report = pipeline.run()
    assert report.count("skipped") == 1
    assert rows(report)[0]["error"] == "left as it is, though it does not say how it was made"
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "1 tile is kept in results, finished by an earlier release that does not say how. "
        "`darts upgrade-results results` finds it out where it can; --overwrite makes them again."
    ]


def as_of_an_earlier_release(tile):
    """Take away what earlier releases did not write: the record, fingerprints, ids of models, newer parameters."""
    import rasterio

    (tile / "darts_inference.json").unlink()
    for config in tile.parent.glob("*.config.toml"):
        lines = config.read_text().splitlines(keepends=True)
        config.write_text("".join(line for line in lines if not line.startswith("drop_cut_objects")))
    for path in (*tile.glob("*.gpkg"), *tile.glob("*.parquet")):
        path.write_bytes(b"without a word of how it was made")
    for name in ("probabilities.tif", "binarized.tif"):
        with rasterio.open(tile / name) as raster:
            values, profile, tags = raster.read(), raster.profile, raster.tags()
        (tile / name).unlink()
        older = {key: text for key, text in tags.items() if key not in (FINGERPRINT, "DARTS_drop_cut_objects")}
        with rasterio.open(tile / name, "w", **{**profile, "driver": "GTiff"}) as raster:
            raster.write(values)
            raster.update_tags(**{**older, "DARTS_models": "small"})


def test_results_of_an_earlier_release_are_told_how_they_were_made(pipeline, tile, darts, scene):
    report = replace(pipeline, min_object_size=7).run()
    as_of_an_earlier_release(tile)
    kept_files = {path.name: path.read_bytes() for path in tile.iterdir()}
    finished = darts("upgrade-results", report.folder)
    assert finished.returncode == 0
    last = finished.stdout.splitlines()[-1]
    assert last == "tiles that say now how they were made: 1; for which nothing proves it: 0"
    record = read_record(tile)
    assert record[DOCUMENT]["result_version"] == 1
    assert record[DOCUMENT]["parameters"] == read_parameters(pipeline, min_object_size=7, drop_cut_objects=True)
    assert kept_files == {
        path.name: path.read_bytes() for path in tile.iterdir() if path.name != "darts_inference.json"
    }
    message = (
        r"^1 tile was made with result version 1 \(now 3\), min_object_size 7 \(now 1\), "
        r"drop_cut_objects True \(now False\) \(in results\)\. "
    )
    with pytest.raises(ConfigError, match=message):
        pipeline.run()


def test_trends_of_an_earlier_release_were_those_for_all_images(pipeline, tile, darts, monkeypatch):
    """Whatever cubes there are now: there were no others then."""
    pipeline.run()
    as_of_an_earlier_release(tile)
    monkeypatch.setattr("darts_segmentation.models.checkpoint.read_bands", lambda _: ("red", "tc_wetness"))
    assert darts("upgrade-results", "results").returncode == 0
    document = read_record(tile)[DOCUMENT]
    assert document["parameters"]["tcvis_year"] is None
    assert document["auxiliary"] == {"tcvis": {"name": "TCTrend", "version": "2005-2024", "resolution_m": 30}}


def read_parameters(pipeline, **others):
    from darts.pipelines.results.fingerprint import Models, recipe_of

    models, ref = Models(ids={}, bands={}, precision=FLOAT32), TileRef(tile_id="any", output_folder=Path("any"))
    return recipe_of(replace(pipeline, **others), models, 10).document(ref, {})["parameters"]


def test_what_is_not_proven_is_not_said(pipeline, tile, darts, kept):
    report = pipeline.run()
    as_of_an_earlier_release(tile)
    shutil.copyfile(kept[1], "small.pt")
    finished = darts("upgrade-results", report.folder)
    assert finished.returncode == 1
    assert finished.stdout.splitlines()[-2:] == [
        f"{tile.name}: {Path.cwd() / 'small.pt'} was written after the results",
        "tiles that say now how they were made: 0; for which nothing proves it: 1",
    ]
    assert read_record(tile) is None


def test_an_unfinished_tile_that_does_not_say_how_it_was_made_stops_the_run(pipeline, tile):
    tile.mkdir(parents=True)
    (tile / "thumbnail.jpg").write_bytes(b"a picture")
    with pytest.raises(ConfigError, match=r"^1 tile was left unfinished without a word of how \(in results\)"):
        pipeline.run()
    assert [path.name for path in tile.iterdir()] == ["thumbnail.jpg"]


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", "{}", '{"n_objects": 3}', '{"DARTS_fingerprint": 7}', "[" * 100_000, '{"DARTS_fingerprint": "ab"}'],
)
def test_a_damaged_record_never_counts_as_done(pipeline, tile, content):
    pipeline.run()
    (tile / "darts_inference.json").write_text(content)
    if not content:  # as good as lost: the other files tell that they are of this run, so it is written again
        assert pipeline.run().count("success") == 1
        assert fingerprints(tile) == {read_record(tile)[FINGERPRINT]}
        return
    with pytest.raises(ConfigError, match=r"^1 tile was left with a damaged record \(in results\)"):
        pipeline.run()


def test_another_image_of_the_same_name_is_another_image(kept, make_planet_scene):
    from darts.pipelines.planet import PlanetPipeline

    folder = make_planet_scene(Path("scenes"), seed=1)
    run = PlanetPipeline(
        model_files=[kept[0]], scenes_dir=Path("scenes"), orthotiles_dir=Path("none"), output_data_dir=Path("results"),
        export_bands=["binarized"], offline=True, mask_erosion_size=1, patch_size=64, overlap=16, device="cpu",
    )  # fmt: skip
    assert run.run().count("success") == 1
    image = next(folder.glob("*_SR.tif"))
    content = image.read_bytes()
    image.write_bytes(content)  # touched, and the same
    assert run.run().count("skipped") == 1
    make_planet_scene(Path("scenes"), seed=2)
    with pytest.raises(ConfigError, match=rf"^1 tile was made with another file {image.name} \(in results\)"):
        run.run()


def test_an_image_that_became_unreadable_fails_alone_beside_its_older_results(kept, make_planet_scene):
    from darts.pipelines.planet import PlanetPipeline

    good, bad = "20240812_203954_07_1007", "20240813_203954_07_1007"
    for name in (good, bad):
        make_planet_scene(Path("scenes"), name)
    run = PlanetPipeline(
        model_files=[kept[0]], scenes_dir=Path("scenes"), orthotiles_dir=Path("none"), output_data_dir=Path("results"),
        export_bands=["binarized"], offline=True, mask_erosion_size=1, patch_size=64, overlap=16, device="cpu",
    )  # fmt: skip
    assert run.run().count("success") == 2
    image = next((Path("scenes") / bad).glob("*_SR.tif"))
    shutil.copy(image, image.with_name(f"{bad}_again_SR.tif"))
    report = run.run()
    assert (report.exit_code, report.count("skipped"), report.count("failed")) == (1, 1, 1)
    assert report.failures[0].ref.tile_id == bad


@settings(
    max_examples=int(os.environ.get("DARTS_TEST_FOLDERS", "8")),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_no_folder_ever_has_two_fingerprints(pipeline, tile, data):
    """Runs with one of two sets of parameters and exports, in any mode, between which any files are lost."""
    shutil.rmtree("results", ignore_errors=True)
    exports = {"few": ["binarized", "thumbnail"], "more": ["binarized", "polygonized", "extent", "ndvi"]}
    for _ in range(data.draw(st.integers(2, 4), "runs")):
        given_now = OTHERWISE if data.draw(st.booleans(), "otherwise") else {}
        mode = data.draw(st.sampled_from([{}, {"keep_old": True}, {"overwrite": True}]), "mode")
        asked = exports[data.draw(st.sampled_from(sorted(exports)), "exports")]
        run = replace(pipeline, export_bands=asked, **given_now)
        try:
            report = replace(run, **mode).run()
        except ConfigError:
            report = None
        check_one_way(tile, run, report)
        for path in sorted(tile.iterdir()) if tile.is_dir() else []:
            if data.draw(st.booleans(), f"lose {path.name}"):
                path.unlink()


def check_one_way(tile, run, report):
    """All files of the tile are of one way of making it; if it was made now, it is this one, and it is whole."""
    there = fingerprints(tile) if tile.is_dir() else frozenset()
    assert len(there) <= 1
    if report is not None and report.count("success"):
        record = json.loads((tile / "darts_inference.json").read_text())
        assert there == {record[FINGERPRINT]}
        assert record[DOCUMENT]["parameters"]["binarization_threshold"] == run.binarization_threshold
