"""A report over results folders: what it reads again, what it says, and what it survives."""

import json
import os
import shutil
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import rasterio
import shapely

from benchmarks.lib.made_results import make_results
from darts.maps.shapes import compact
from darts.pipelines.results.journal import Journal
from darts.pipelines.results.records import read_runs
from darts.pipelines.tiles import Outcome, RunReport, StageTime, TileRef
from darts.report import layers as layers_module
from darts.report.build import build_report, end_with_report
from darts.report.layers import layers_of, read_layers
from darts.report.timeline import stage_rows, timeline_of

N = 26


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_results(tmp_path_factory.mktemp("made") / "output", N)


@pytest.fixture
def results(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "output"))


def tiles_in(folder):
    return sorted(path.parent for path in folder.glob("*/darts_inference.json"))


def test_layers_hold_what_the_tiles_say(results):
    found = build_report([results], results)
    scenes, slumps = (gpd.read_file(results / "darts_layers.gpkg", layer=name) for name in ("scenes", "slumps"))
    written = [gpd.read_parquet(tile / "prediction_segments.parquet") for tile in tiles_in(results)]
    assert len(scenes) == len(written) == N - 1
    assert len(slumps) == sum(map(len, written)) == len(found.layers.slumps)
    assert slumps["area_m2"].sum() == pytest.approx(sum(table["area_m2"].sum() for table in written))
    assert str(scenes.crs) == str(slumps.crs) == "EPSG:3413"
    first = gpd.read_parquet(results / scenes["folder"][0] / "prediction_extent.parquet").to_crs(3413)
    assert shapely.symmetric_difference(first.geometry[0], scenes.geometry[0]).area < 1


def test_only_tiles_that_changed_are_read_again(results, monkeypatch):
    build_report([results], results)
    read, seen = layers_module._read, []  # noqa: SLF001
    monkeypatch.setattr(layers_module, "_read", lambda *given: seen.append(given[1]) or read(*given))
    changed, gone = tiles_in(results)[:2]
    os.utime(changed / "darts_inference.json", ns=(1, 2))
    shutil.rmtree(gone)
    found = build_report([results], results)
    assert seen == [changed.name]
    assert gone.name not in set(found.layers.scenes["folder"]) | set(found.layers.slumps["folder"])
    assert len(found.layers.scenes) == N - 2
    assert found.layers.slumps["folder"].value_counts()[changed.name] == len(
        gpd.read_parquet(changed / "prediction_segments.parquet")
    )


def test_a_damaged_tile_costs_only_itself(results, caplog):
    broken = tiles_in(results)[0]
    (broken / "prediction_segments.parquet").write_bytes(b"no table")
    found = build_report([results], results)
    assert len(found.layers.scenes) == N - 2
    assert f"{broken} is not in the report" in caplog.text


def test_damaged_layers_are_written_anew(results):
    (results / "darts_layers.gpkg").write_bytes(b"no database")
    assert read_layers(results / "darts_layers.gpkg") is None
    assert len(build_report([results], results).layers.scenes) == N - 1


def test_a_tile_without_polygons_is_in_the_table(results):
    bare = tiles_in(results)[0]
    for name in ("prediction_segments.parquet", "prediction_extent.parquet", "thumbnail.jpg"):
        (bare / name).unlink()
    found = build_report([results], results)
    (row,) = found.layers.scenes[found.layers.scenes["folder"] == bare.name].to_dict("records")
    assert row["geometry"] is None
    assert pd.isna(row["thumbnail"])
    assert row["n_objects"] > 0


def test_a_folder_that_was_moved_is_read_where_it_is(results, tmp_path):
    moved = results.rename(tmp_path / "elsewhere")
    found = build_report([moved], moved)
    assert len(found.layers.scenes) == N - 1
    assert set(found.layers.scenes["folder"]) == {tile.name for tile in tiles_in(moved)}


def test_several_folders_make_one_report(results, tmp_path, darts):
    other = make_results(tmp_path / "other" / "output", 3, seed=8)
    code, out, _ = darts("report", results, other, "--out", tmp_path / "report")
    assert code == 0
    assert f"Report over {N - 1 + 3} tiles" in out
    scenes = gpd.read_file(tmp_path / "report" / "darts_layers.gpkg", layer="scenes")
    assert "../other/output/" in " ".join(scenes["folder"])
    assert all((tmp_path / "report" / picture).is_file() for picture in scenes["thumbnail"])


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ([], 2, "no results folder is given"),
        (["a", "b"], 2, "2 folders are given"),
        (["nowhere"], 1, "the folder nowhere is not there"),
        (["."], 1, "holds no record of a run"),
    ],
)
def test_wrong_folders_are_refused(darts, given, code, said):
    ended, _, error = darts("report", *given)
    assert (ended, said in error) == (code, True), error


def test_the_project_names_what_is_there_by_relative_paths(results):
    tile = tiles_in(results)[0]
    for folder in tiles_in(results):
        with rasterio.open(folder / "probabilities.tif", "w", "GTiff", 4, 4, 1, "EPSG:32610", dtype="uint8") as raster:
            raster.write(np.zeros((1, 4, 4), np.uint8))
    build_report([results], results)
    with zipfile.ZipFile(results / "darts.qgz") as archive:
        root = ET.fromstring(archive.read("darts.qgs"))
    assert root.findtext("properties/Measure/Ellipsoid") == "EPSG:7030"
    sources = [node.findtext("datasource") for node in root.iter("maplayer")]
    assert len(sources) == 2 + N - 1
    assert f"./{tile.name}/probabilities.tif" in sources
    for source in sources:
        assert (results / source.split("|")[0]).is_file()
    ids = [node.findtext("id") for node in root.iter("maplayer")]
    assert ids == [node.get("id") for node in root.iter("layer-tree-layer")]
    assert min(map(len, ids)) > 10, "QGIS would make up others"
    assert root.findtext("projectCrs/spatialrefsys/authid") == "EPSG:3413"


def test_shapes_keep_within_a_budget():
    circles = [shapely.Point(1000 * number, 0).buffer(200, quad_segs=64) for number in range(50)]
    fine = compact(circles, 10**6)
    coarse = compact(circles, 1500)
    points = compact(circles, 150)
    assert 50 * 4 < sum(len(rings[0]) for rings in coarse) <= 1500 < sum(len(rings[0]) for rings in fine)
    assert points[3][0] == pytest.approx([3000, 0], abs=5)
    x, y = np.cumsum(np.array(fine[2][0]).reshape(-1, 2), axis=0).T
    assert shapely.Polygon(np.column_stack([x, y])).symmetric_difference(circles[2]).area < 0.05 * circles[2].area


def test_holes_parts_and_nothing_are_kept():
    ring = shapely.box(0, 0, 1000, 1000).difference(shapely.box(400, 400, 600, 600))
    both = shapely.MultiPolygon([ring, shapely.box(2000, 0, 2100, 100)])
    assert [len(rings) for rings in compact([both, None, shapely.Polygon()], 10**6)] == [3, 0, 0]


def report_of(results):
    ids = [tile.name for tile in tiles_in(results)]
    outcomes = [Outcome(ref=TileRef(tile_id=name, output_folder=Path(name)), status="success") for name in ids]
    return RunReport(tuple(outcomes), results, record_folder=results)


def test_a_report_in_python_gives_tables_and_a_picture(results):
    report = report_of(results)
    frame, slumps = report.to_frame(), report.slumps()
    assert list(frame["status"].unique()) == ["success"]
    assert str(frame["started"].dtype).startswith("datetime64")
    assert len(frame) == N - 1
    assert len(slumps) == sum(len(gpd.read_parquet(t / "prediction_segments.parquet")) for t in tiles_in(results))
    assert set(slumps["tile_id"]) == set(frame["tile_id"])
    report.plot().savefig(results / "picture.png")


def test_a_report_is_one_line_however_many_tiles_there_are(results):
    outcome = Outcome(ref=TileRef(tile_id="a", output_folder=Path("a")), status="success")
    report = RunReport((outcome,) * 5000, Path("out"), interrupted=True)
    assert repr(report) == "RunReport(5000 success, 0 skipped, 0 failed, interrupted, folder='out')"


def test_a_picture_is_a_png_of_itself_and_shows_slumps(results):
    picture = cv2.imdecode(np.frombuffer(report_of(results).plot()._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
    red = (picture[..., 2] > 150) & (picture[..., :2] < 80).all(axis=-1)
    assert red.sum() > 10


def test_in_a_notebook_the_page_is_in_the_cell_with_its_pictures(results):
    html = report_of(results)._repr_html_()
    assert html.startswith("<iframe srcdoc=")
    assert html.count("data:image/jpeg;base64,") == 24
    assert "file:///" not in html
    assert RunReport((), results)._repr_html_() is None


def test_a_report_that_fails_does_not_fail_the_run(tmp_path, caplog):
    end_with_report(tmp_path, 1, tmp_path)
    assert "no report of" in caplog.text
    assert "`darts report` writes it later" in caplog.text


def test_a_run_that_did_nothing_leaves_the_page_as_it_is(results):
    end_with_report(results, 0, results)
    page = results / "index.html"
    before = page.stat().st_mtime_ns
    end_with_report(results, 0, results)
    assert page.stat().st_mtime_ns == before
    assert len(read_runs(results)) == 1


def test_nothing_that_was_not_exported_is_read(tmp_path):
    assert layers_of({"a": tmp_path / "a"}).scenes.empty


@pytest.mark.parametrize(
    ("longitude", "latitude", "is_land"),
    [
        (-121, 73, True), (-122, 70.8, False), (-156, 72.5, False), (-156, 69, True), (-179.5, 71.2, True),
        (-172, 69, False), (178, 68, True), (175, 72, False), (126, 72.5, True), (125, 75, False), (70, 75, False),
        (70, 68, True), (-40, 72, True), (-85, 59, False), (0, 89.9, False), (-165, 58, False), (15, 67, True),
    ],
)  # fmt: skip
def test_the_land_of_maps_is_where_land_is(longitude, latitude, is_land):
    from darts.search.picture import land

    place = shapely.Point(pyproj.Transformer.from_crs(4326, 3413, always_xy=True).transform(longitude, latitude))
    assert any(polygon.contains(place) for polygon in land()) == is_land


def test_an_image_that_is_there_as_a_scene_and_in_an_orthotile_is_two_tiles(tmp_path):
    for place in ("image", "42/image"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "darts_inference.json").write_text(json.dumps({"DARTS_tile_id": place, "n_objects": 1}))
    refs = [TileRef(tile_id=place, output_folder=Path(place)) for place in ("image", "42/image")]
    Journal(tmp_path, {}).add(*(Outcome(ref=ref, status="success") for ref in refs))
    found = build_report([tmp_path], tmp_path)
    assert sorted(found.layers.scenes["folder"]) == ["42/image", "image"]


def test_links_lead_to_folders_of_any_name(results, tmp_path):
    odd = results.rename(tmp_path / "50 % # ready")
    build_report([odd], tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    assert "../50%20%25%20%23%20ready/S2B_" in page


def test_times_are_summed_by_stage_and_the_last_run_is_the_timeline(tmp_path):
    for seconds in (1.0, 3.0):
        times = (StageTime("load", 10.0, 10.0 + seconds), StageTime("segment", 11.0, 12.5))
        ref = TileRef(tile_id="a", output_folder=Path("a"))
        Journal(tmp_path, {}).add(Outcome(ref=ref, status="success", times=times))
    runs = read_runs(tmp_path)
    load, segment = stage_rows(runs)
    assert (load["name"], load["n"], load["mean"], load["longest"], load["total"]) == (
        "load",
        "2",
        "2.00",
        "3.00",
        "4.0",
    )
    assert load["percent"] + segment["percent"] == 100
    assert timeline_of(runs) == {"stages": ["load", "segment"], "spans": [[0, 0.0, 3.0], [1, 1.0, 1.5]], "seconds": 3.0}
    assert (stage_rows([]), timeline_of([])["spans"]) == ([], [])
