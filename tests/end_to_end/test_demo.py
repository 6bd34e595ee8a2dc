"""The sample world through the command, offline: found slumps, whole products, no socket."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import rasterio
import shapely

FORBID_SOCKETS = """
import sys
from pathlib import Path
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.bind", "socket.sendto"):
        raise RuntimeError(f"a socket was used: {event} {arguments}")
sys.addaudithook(refuse)
from darts.cli import start_app
start_app()
"""


def run_without_sockets(folder, *arguments):
    command = [sys.executable, "-c", FORBID_SOCKETS, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=250, check=False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A demo of a quarter of the usual area; give its folder and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    result = run_without_sockets(folder, "demo", "--size", 512, "--seed", 3, "--log-plain")
    assert result.returncode == 0, result.stdout + result.stderr
    return folder, result.stdout


def test_sockets_are_really_forbidden(tmp_path):
    script = FORBID_SOCKETS.replace("from darts.cli import start_app\nstart_app()", "import socket\n")
    script += "socket.create_connection(('127.0.0.1', 9))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "a socket was used" in result.stderr


def test_the_demo_ends_with_figures_paths_and_the_line_that_repeats_it(demo):
    folder, out = demo
    for text in ("IoU", "found", "missed", "thumbnail.jpg", "prediction_segments.gpkg", "segment"):
        assert text in out
    (line,) = [line for line in out.splitlines() if line.strip().startswith("darts inference sentinel2-sequential")]
    again = run_without_sockets(folder, *line.split()[1:], "--log-plain")
    assert again.returncode == 0, again.stderr
    assert "1 done before" in again.stdout


def test_the_slumps_are_found(demo):
    folder, out = demo
    figures = dict(line.split(": ", 1) for line in out.splitlines() if line.count(": ") == 1)
    assert float(figures["IoU of the pixels"]) >= 0.70
    assert float(figures["recall of slumps"]) >= 0.85
    (file,) = (folder / "darts-demo" / "truth").glob("S2*.scores.json")
    assert f"{json.loads(file.read_text())['pixel_iou']:.2f}" == figures["IoU of the pixels"]


def test_the_line_gives_the_same_results_elsewhere(demo, tmp_path):
    folder, out = demo
    (line,) = [line for line in out.splitlines() if line.strip().startswith("darts inference sentinel2-sequential")]
    again = run_without_sockets(
        folder, *line.split()[1:], "--log-plain", "--no-inventory", "--output-data-dir", tmp_path / "again"
    )
    assert again.returncode == 0, again.stderr
    assert not (tmp_path / "again" / "inventory").exists()
    (first,) = (folder / "darts-demo" / "output" / "sentinel2-cdse").glob("S2*/probabilities.tif")
    (second,) = (tmp_path / "again").glob("S2*/probabilities.tif")
    with rasterio.open(first) as a, rasterio.open(second) as b:
        assert (a.read() == b.read()).all()
        assert a.transform == b.transform


def test_a_run_from_its_config_gives_the_same_and_does_not_go_without_its_ensemble_card(demo, tmp_path):
    folder, _ = demo
    home = folder / "darts-demo"
    results, models = home / "output" / "sentinel2-cdse", home / "models"
    shutil.copytree(models, tmp_path / "models", ignore=shutil.ignore_patterns("*.ensemble.json"))
    shutil.move(shutil.copy(models / "demo.ensemble.json", tmp_path), tmp_path / "elsewhere.ensemble.json")
    config = min(results.glob("*.config.toml")).read_text()
    config = config.replace(str(models / "demo.ensemble.json"), str(tmp_path / "elsewhere.ensemble.json"))
    config = config.replace(str(models), str(tmp_path / "models")).replace(str(results), str(tmp_path / "again"))
    (tmp_path / "config.toml").write_text(config)

    again = run_without_sockets(tmp_path, "inference", "sentinel2-sequential", "--log-plain")
    assert again.returncode == 0, again.stderr
    (first,), (second,) = (list(place.glob("S2*")) for place in (results, tmp_path / "again"))
    for name in ("probabilities.tif", "prediction_segments.parquet"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert json.loads((second / "darts_inference.json").read_text())["DARTS_calibrated"] is True

    (tmp_path / "elsewhere.ensemble.json").unlink()
    again = run_without_sockets(tmp_path, "inference", "sentinel2-sequential", "--log-plain")
    assert again.returncode == 2
    assert f"Error: the ensemble card {tmp_path / 'elsewhere.ensemble.json'} cannot be used" in again.stderr


def test_the_run_record_lies_beside_the_scene(demo):
    folder, _ = demo
    results = folder / "darts-demo" / "output" / "sentinel2-cdse"
    record = min(results.glob("*.results.parquet"))  # the first run; other tests started it again
    table = pd.read_parquet(record)
    assert table["status"].tolist() == ["success"]
    scene = results / table["tile_id"][0]
    segments = gpd.read_parquet(scene / "prediction_segments.parquet")
    assert list(segments.columns) == [
        "Region_ID", "min", "max", "mean", "median", "std", "npixel", "cut", "area_m2", "image_id", "sensor",
        "acquired", "features_missing", "area_m2_t30", "area_m2_t45", "area_m2_t65", "area_m2_t80", "core_probability",
        "nodata_fraction", "snow_fraction", "water_fraction", "geometry",
    ]  # fmt: skip
    assert segments["max"].between(50, 100).all()
    stages = pd.read_parquet(min(results.glob("*.timer.parquet")))["stage"].tolist()
    assert stages == ["optical", "arcticdem", "tcvis", "preprocess", "picture", "segment", "postprocess", "export"]


def test_a_scene_beside_the_filled_cubes_fails_with_what_is_missing(demo, make_scene):
    folder, _ = demo
    home = folder / "darts-demo"
    scene_id = "S2B_MSIL2A_20240722T200909_N0510_R128_T08WNB_20240722T234418"
    make_scene(home / "input" / "sentinel2" / "cdse-scenes", scene_id, left=400_000, bottom=7_600_000)
    command = ["inference", "sentinel2-sequential", "--offline", "--fast-dir", home, "--large-dir", home]
    result = run_without_sockets(folder, *command, "--scene-ids", scene_id, "--log-plain")
    assert result.returncode == 1
    (line,) = [line for line in result.stdout.splitlines() if line.startswith(f"failed {scene_id}: ")]
    reason = line.removeprefix(f"failed {scene_id}: ")
    cube = home / "aux" / "arcticdem_10m.icechunk"
    assert reason.startswith(f"arcticdem: the datacube {cube} lacks 100.0 % of the area that this tile needs")
    assert "bounds of what is missing in EPSG:3413: " in reason
    assert reason.endswith(
        f"Stage it with `darts prep-data sentinel2 --aux --raw-data-source cdse --scene-ids {scene_id}`."
    )


def test_its_slumps_become_an_inventory_that_can_be_evaluated(demo, darts, tmp_path):
    folder, _ = demo
    tiles = folder / "darts-demo" / "output" / "sentinel2-cdse"
    built = darts("inventory", "build", tiles, "--workers", 1, "--out", tmp_path / "inventory")
    assert built.returncode == 0, built.stderr
    (segments,) = map(gpd.read_parquet, tiles.glob("S2*/prediction_segments.parquet"))
    slumps = gpd.read_parquet(tmp_path / "inventory" / "slumps")
    assert len(gpd.read_parquet(tiles / "inventory" / "slumps")) == len(slumps), "the run ended with one"
    assert f"1 tile, {len(segments)} objects, {len(slumps)} slumps over all years" in built.stdout
    assert slumps["area_m2"].sum() == pytest.approx(segments["area_m2"].sum(), rel=1e-6)
    assert set(slumps["tier"].dropna()) <= {"low", "medium", "high"}
    assert slumps["tier"].notna().any(), "the demo's models are calibrated, and know their thresholds"
    (truth,) = (folder / "darts-demo" / "truth").glob("*.gpkg")
    found = darts("inventory", "evaluate", tmp_path / "inventory", truth, "--out", tmp_path / "evaluation")
    assert found.returncode == 0, found.stderr
    scores = pd.read_csv(tmp_path / "evaluation" / "scores.csv").query("group == 'all' and iou == 0.3")
    assert scores.set_index("score")["value"]["f1"] >= 0.85
    assert "<svg" in (tmp_path / "evaluation" / "report.html").read_text()
    again = darts("inventory", "track", tiles / "inventory", "--min-looks", 2, "--workers", 1)
    assert (again.returncode, "41 slumps" in again.stdout) == (0, False), again.stderr
    assert gpd.read_parquet(tiles / "inventory" / "slumps").empty, "one image is no two looks"
    _check_exchange(darts, tmp_path, slumps)
    _check_pictures(darts, tmp_path, slumps)


def _check_pictures(darts, folder, slumps):
    """Of the largest slump, of one by its id and of a place; something is drawn in each."""
    one = slumps.iloc[0]
    for number, given in enumerate(([], ["--slump-id", one.slump_id[:8]], ["--at", -140, 70])):
        out = folder / f"pictures {number}"
        shown = darts("inventory", "show", folder / "inventory", "--out", out, *given)
        assert shown.returncode == 0, shown.stderr
        for name in ("place", "sizes"):
            with rasterio.open(out / f"{name}.png") as picture:
                assert picture.read(1).std() > 3
    refused = darts("inventory", "show", folder / "inventory", "--slump-id", "x")
    assert (refused.returncode, "no slump has an id that begins with x" in refused.stderr) == (2, True)


def _check_exchange(darts, folder, slumps):
    """Other programs read what is exported, and what goes through ARTS comes back."""
    for form, file in (("geopackage", ""), ("shapefile", "slumps.shp"), ("geojson", "slumps.geojson")):
        target = folder / ("out.gpkg" if form == "geopackage" else form)
        made = darts("inventory", "export", folder / "inventory", "--format", form, "--out", target)
        assert made.returncode == 0, made.stderr
        given = {"layer": "slumps"} if form == "geopackage" else {}
        assert len(gpd.read_file(target / file if file else target, **given)) == len(slumps)
    assert darts("inventory", "export", folder / "inventory", "--format", "csv").returncode == 0
    table = pd.read_csv(folder / "inventory-csv" / "slumps.csv")
    assert {"centroid_lon", "centroid_lat", "slump_id"} <= set(table.columns)
    arts = ["inventory", "export", folder / "inventory", "--format", "arts", "--out", folder / "arts.gpkg"]
    refused = darts(*arts)
    assert (refused.returncode, "Give --region-name, --creator-lab, --base-map-source" in refused.stderr) == (2, True)
    who = ["--region-name", "Demo", "--creator-lab", "DARTS", "--base-map-source", "Sentinel-2"]
    assert darts(*arts, *who, "--base-map-resolution", 10).returncode == 0
    back = darts("inventory", "import", folder / "arts.gpkg", "--out", folder / "back.parquet")
    assert back.returncode == 0, back.stderr
    assert "not as ARTS has it" not in back.stdout
    found = gpd.read_parquet(folder / "back.parquet")
    assert found["area_m2"].sum() == pytest.approx(slumps["area_m2"].sum(), rel=1e-6)
    assert found["first_acquired"].unique().tolist() == slumps["first_acquired"].unique().tolist()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["build"], 2, "no tiles were named"),
        (["build", "none"], 2, "there is no folder"),
        (["build", ".", "--workers", 0], 2, "workers is 0 but must be at least 1"),
        (["build", "."], 1, "there is no tile in"),
        (["build", ".", "--season", "x"], 2, "season is x but must be as in"),
        (["build", ".", "--drop", "clouds"], 2, "--drop"),
        (["evaluate", "none", "none"], 2, "there is no layer"),
        (["evaluate", "table.csv", "table.csv"], 1, "is a table without outlines"),
        (["evaluate", "text.gpkg", "text.gpkg"], 1, "cannot be read as polygons"),
        (["track", "."], 2, "is no inventory. Make one with"),
        (["show", "."], 2, "is no inventory. Make one with"),
        (["export", "."], 2, "is no inventory. Make one with"),
        (["import", "table.csv", "--out", "x.gpkg"], 2, "must end in .parquet"),
        (["import", "none.gpkg", "--out", "x.parquet"], 2, "there is no layer"),
        (["agree", "table.csv"], 2, "agreement needs two layers or more"),
    ],
)
def test_mistakes_about_inventories_are_one_line(darts, arguments, status, message):
    Path("table.csv").write_text("a,b\n1,2\n")
    Path("text.gpkg").write_text("no")
    result = darts("inventory", *arguments)
    assert result.returncode == status, result.stderr
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("evaluation").exists()


def test_its_inventory_is_added_up_over_cells_regions_and_latitudes(demo, darts, tmp_path):
    folder, _ = demo
    tiles, inventory = folder / "darts-demo" / "output" / "sentinel2-cdse", tmp_path / "inventory"
    darts("inventory", "build", tiles, "--workers", 1, "--out", inventory)
    (segments,) = map(gpd.read_parquet, tiles.glob("S2*/prediction_segments.parquet"))
    (sums,) = map(pd.read_parquet, tiles.glob("S2*/prediction_density.parquet"))
    around = segments.to_crs(4326).total_bounds
    whole = gpd.GeoDataFrame({"name": ["Coast"]}, geometry=[shapely.box(*around).buffer(1)], crs=4326)
    whole.to_file(tmp_path / "regions.gpkg")
    asked = ("--regions", tmp_path / "regions.gpkg", "--region-column", "name", "--workers", 1)
    made = darts("inventory", "density", inventory, *asked, "--out", tmp_path / "density")
    assert made.returncode == 0, made.stderr
    year = int(segments["acquired"].iloc[0][:4])
    names = {"latitudes.csv", "regions.csv", *(f"{name}-{year}.tif" for name in ("looks-1km", "density-10km"))}
    assert {path.name for path in (tmp_path / "density").iterdir()} == {*names, f"density-half-degree-{year}.tif"}
    (region,) = pd.read_csv(tmp_path / "density/regions.csv").to_dict("records")
    assert (region["region"], region["year"], region["n_slumps"]) == ("Coast", year, len(segments))
    assert region["expected_m2"] == pytest.approx(sums["expected_m2"].sum(), rel=0.01)
    assert region["expected_m2"] == pytest.approx(segments["area_m2"].sum(), rel=0.2), "the models are calibrated"
    for kind in ("10km", "half-degree"):
        with rasterio.open(tmp_path / f"density/density-{kind}-{year}.tif") as raster:
            bands = dict(zip(raster.descriptions, raster.read(), strict=True))
            assert raster.profile["tiled"] or min(raster.shape) < 16
        assert bands["observed_m2"][bands["observed_m2"] > 0].sum() == pytest.approx(region["observed_m2"])
        assert bands["n_slumps"][bands["n_slumps"] > 0].sum() == len(segments)


@pytest.mark.parametrize(
    ("options", "status", "line"),
    [
        (["--year", 1999], 2, "has nothing of 1999, but of 2024."),
        (["--regions", "no.gpkg"], 2, "there are no regions no.gpkg. Give a file of polygons."),
        (["--offline"], 1, "there are no administrative boundaries at"),
        (["--workers", 0], 2, "workers is 0 but must be at least 1. Correct it."),
    ],
)
def test_what_cannot_be_added_up_is_one_line_and_nothing_is_written(demo, darts, options, status, line):
    folder, _ = demo
    inventory = folder / "darts-demo" / "output" / "sentinel2-cdse" / "inventory"
    made = darts("inventory", "density", inventory, *options, "--out", "density", "--log-plain")
    assert (made.returncode, line in made.stderr) == (status, True), made.stderr
    assert not Path("density").exists()
