"""Polygons from probabilities, as a user asks for them."""

import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely

SCENE = "S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418"


@pytest.fixture
def tile(tmp_path) -> Path:
    """A tile with two slumps, of 30 and 4 pixels of 100 m2, the larger with a hole of one."""
    folder = tmp_path / "run" / SCENE
    folder.mkdir(parents=True)
    percents = np.full((30, 40), 5, dtype=np.uint8)
    percents[4:9, 10:16] = 80
    percents[6, 12] = 20
    percents[20:22, 30:32] = 60
    profile = {"height": 30, "width": 40, "count": 1, "dtype": "uint8", "nodata": 255, "crs": "EPSG:32608"}
    place = rasterio.Affine(10, 0, 412_340, 0, -10, 7_774_560)
    with rasterio.open(folder / "probabilities.tif", "w", driver="GTiff", transform=place, **profile) as file:
        file.write(percents, 1)
    ground = gpd.GeoDataFrame(
        {"a": [1]}, geometry=[shapely.box(412_340, 7_774_260, 412_740, 7_774_560)], crs="EPSG:32608"
    )
    ground.to_parquet(folder / "prediction_extent.parquet")
    return folder


def test_polygons_at_another_threshold_become_an_inventory(darts, tile):
    options = ("--threshold", 0.55, "--min-area-m2", 1000, "--close-holes-m2", 200, "--simplify-m", 1, "--out", "new")
    code, out, err = darts("inventory", "polygonize", "run", *options)
    assert (code, err) == (0, "")
    assert "1 tile, 1 object at threshold 0.55, min_area_m2 1000, close_holes_m2 200, simplify_m 1" in " ".join(
        out.split()
    )
    (row,) = gpd.read_parquet(Path("new") / SCENE / "prediction_segments.parquet").itertuples()
    assert (row.npixel, row.min, row.mean, row.cut) == (30, 80, 80, False)
    assert (row.image_id, row.acquired) == (SCENE, "2024-07-20")
    assert row.area_m2 == pytest.approx(3000, rel=0.01)
    assert {path.name for path in tile.iterdir()} == {"probabilities.tif", "prediction_extent.parquet"}
    code, out, err = darts("inventory", "build", "new", "--workers", 1)
    assert (code, err) == (0, "")
    assert "1 tile, 1 object, 1 slump over all years" in out


def test_a_tile_without_polygons_gets_them_and_keeps_them(darts, tile):
    assert darts("inventory", "polygonize", tile)[0] == 0
    written = (tile / "prediction_segments.parquet").read_bytes()
    code, out, err = darts("inventory", "polygonize", tile, "--threshold", 0.9)
    assert (code, err) == (0, "")
    assert "1 of 1 tiles have polygons, and were left as they are." in out
    assert (tile / "prediction_segments.parquet").read_bytes() == written
    assert darts("inventory", "build", "run", "--workers", 1)[0] == 0


@pytest.mark.parametrize(
    ("tokens", "status", "message"),
    [
        ((), 2, "no tiles were named. Name at least one results folder of a run."),
        (("run", "--threshold", 50), 2, "threshold is 50.0 but must be from 0 to 1. Set it to e.g. 0.5."),
        (("rum",), 2, "there is no rum. Name the results folder of a run, a tile, or a probabilities.tif."),
        (("empty",), 1, "there is no probabilities.tif in empty. Export tiles with `--export-bands probabilities`."),
    ],
)
def test_what_cannot_be_done_is_one_line(darts, tile, tokens, status, message):
    Path("empty").mkdir()
    assert darts("inventory", "polygonize", *tokens) == (status, "", f"Error: {message}\n")


def test_a_damaged_raster_is_one_line_and_leaves_nothing(darts, tile):
    raster = tile / "probabilities.tif"
    raster.write_bytes(raster.read_bytes()[:600])
    code, out, err = darts("inventory", "polygonize", "run", "--out", "new")
    assert (code, out) == (1, "")
    assert err.startswith(f"Error: run/{SCENE}/probabilities.tif cannot be read (")
    assert err.endswith("). Map the tile again, or copy it again.\n")
    assert err.count("\n") == 1
    assert not Path("new").exists()


def test_a_mask_is_no_percents(darts, tile):
    raster = tile / "binarized.tif"
    with rasterio.open(tile / "probabilities.tif") as source:
        mask, profile = (source.read(1) > 50).astype(np.uint8), source.profile
    with rasterio.open(raster, "w", **{**profile, "nodata": None}) as file:
        file.write(mask, 1)
        file.set_band_description(1, "binarized_segmentation")
    assert darts("inventory", "polygonize", raster, "--out", "new") == (
        1,
        "",
        f"Error: {raster} has the band binarized_segmentation, which is no whole percent. Name the probabilities.tif"
        " of a tile.\n",
    )
    assert not Path("new").exists()


def test_help_says_that_percents_are_whole_and_loads_nothing():
    script = (
        "import sys; from darts.cli import app;"
        "app(['inventory', 'polygonize', '--help'], result_action='return_value');"
        "print(sorted({'xarray', 'rasterio', 'geopandas', 'torch'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.endswith("[]\n")
    assert "half a percent" in " ".join(found.stdout.replace("│", " ").split())
    for flag in ("--threshold", "--min-area-m2", "--close-holes-m2", "--simplify-m", "--out"):
        assert flag in found.stdout
