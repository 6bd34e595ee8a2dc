"""Planet data through the commands: the sample world, offline from a staged cube, and what users get wrong."""

import json
import subprocess
import sys

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts.pipelines.planet import PlanetPipeline
from darts_utils.errors import ConfigError

SCENE, OTHER, S2_SCENE = (
    "20210728_201112_93_2416", "20210729_201112_93_2416", "20230701T194909_20230701T195350_T11XNA",
)  # fmt: skip
OPTICAL = ["red", "green", "blue", "nir", "ndvi"]
SMALL = ("--patch-size", "96", "--overlap", "32", "--device", "cpu")
FORBID_SOCKETS = """
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.bind", "socket.sendto"):
        raise RuntimeError(f"a socket was used: {event} {arguments}")
sys.addaudithook(refuse)
from darts.cli import start_app
start_app()
"""


def run_without_sockets(folder, *arguments):
    command = [sys.executable, "-c", FORBID_SOCKETS, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=280, check=False)


def write_tiff(path, layers, grid, nodata=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = layers.shape
    options = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": layers.dtype}
    with rasterio.open(path, "w", **options, crs=str(grid.crs), transform=grid.affine, nodata=nodata) as file:
        file.write(layers)


def utm_grid(shape=(110, 130)):
    return GeoBox(shape, Affine(3, 0, 500_000, 0, -3, 7_700_000), "EPSG:32608")


@pytest.fixture
def make_image(tmp_path):
    """Put a scene of smooth random ground where the command looks for it."""

    def make(name=SCENE, grid=None, metadata=True):
        import cv2

        grid = utm_grid() if grid is None else grid
        rng = np.random.default_rng(len(name))
        layers = [cv2.GaussianBlur(rng.normal(0, 1, grid.shape).astype(np.float32), (0, 0), 4) for _ in range(4)]
        folder = tmp_path / "input" / "planet" / "scenes" / name
        numbers = np.clip(2000 + 3000 * np.stack(layers), 1, 9000).astype(np.uint16)
        write_tiff(folder / f"{name}_3B_AnalyticMS_SR.tif", numbers, grid, nodata=0)
        udm2 = np.zeros((8, *grid.shape), dtype=np.uint8)
        udm2[0] = 1
        write_tiff(folder / f"{name}_3B_udm2.tif", udm2, grid)
        if metadata:
            sun = {"properties": {"sun_azimuth": 170.0, "sun_elevation": 33.0}}
            (folder / f"{name}_metadata.json").write_text(json.dumps(sun))
        return folder

    return make


@pytest.fixture
def model(make_model, tmp_path):
    (tmp_path / "models").mkdir()
    return make_model(tmp_path / "models" / "optical.pt", OPTICAL)


@pytest.fixture
def map_images(darts):
    return lambda *arguments: darts("inference", "planet-sequential", "--offline", *SMALL, *arguments)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    result = run_without_sockets(folder, "demo", "--sensor", "planet", "--size", 320, "--seed", 5, "--log-plain")
    assert result.returncode == 0, result.stdout + result.stderr
    return folder, result.stdout


def figures(out, name):
    return [float(line.split(": ")[1]) for line in out.splitlines() if line.startswith(f"{name}: ")]


def test_the_slumps_of_the_sample_world_are_found_in_both_images(demo):
    _, out = demo
    ious, recalls = figures(out, "IoU of the pixels"), figures(out, "recall of slumps")
    assert len(ious) == len(recalls) == 2
    assert min(ious) >= 0.70
    assert min(recalls) >= 0.85


def test_results_lie_where_the_contract_says(demo):
    folder, _ = demo
    results = folder / "darts-demo" / "output" / "planet"
    folders = sorted(str(path.parent.relative_to(results)) for path in results.rglob("probabilities.tif"))
    scene, orthotile = folders if "/" in folders[1] else folders[::-1]
    tile_id, image_id = orthotile.split("/")
    assert image_id.split("_")[1] == tile_id
    assert scene.split("_")[0].isdigit()
    (record,) = results.glob("*.results.parquet")
    assert set(pd.read_parquet(record).tile_id) == {image_id, scene}
    with rasterio.open(results / orthotile / "probabilities.tif") as file:
        assert file.res == (3.125, 3.125)
        assert file.tags()["planet_orthotile_id"] == tile_id
    assert len(gpd.read_parquet(results / scene / "prediction_segments.parquet")) > 0


def test_the_line_that_repeats_the_demo_works(demo):
    folder, out = demo
    (line,) = [line for line in out.splitlines() if line.strip().startswith("darts inference planet-sequential")]
    again = run_without_sockets(folder, *line.split()[1:], "--log-plain")
    assert again.returncode == 0, again.stderr
    assert "2 done before" in again.stdout


def test_both_demos_share_a_folder(demo):
    """The Sentinel-2 demo in the same folder takes its own models, scene and cube."""
    folder, _ = demo
    models = folder / "darts-demo" / "models"
    assert sorted(path.name for path in models.glob("*.safetensors")) == []
    assert len(list((models / "planet").glob("*.safetensors"))) == 2


def test_a_dry_run_lists_images_sizes_and_what_is_missing(darts, make_image, make_model, tmp_path):
    (tmp_path / "models").mkdir()
    make_model(tmp_path / "models" / "terrain.pt", ["red", "slope"])
    make_image()
    (make_image(OTHER) / f"{OTHER}_3B_AnalyticMS_SR.tif").write_bytes(b"no")
    result = darts("inference", "planet-sequential", "--dry-run", "--log-plain")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert f"{SCENE}: 130 x 110 px, 0.2 MB: ArcticDEM (1 chunk)" in lines
    assert f"{OTHER}: unreadable: unknown, for the image cannot be read" in lines
    assert "plan: 2 found, 2 to do" in lines
    assert "  images: 2 staged, 0 to fetch" in lines
    assert "  ArcticDEM: 1 chunk to fetch, unknown for 1 tile, of which no image can be read" in lines
    assert f"the outline of {OTHER} is unknown: " in result.stderr + result.stdout
    assert not (tmp_path / "output").exists()


def test_an_offline_dry_run_says_what_is_missing_and_ends_as_its_run(map_images, make_image, make_model, tmp_path):
    (tmp_path / "models").mkdir()
    make_model(tmp_path / "models" / "terrain.pt", ["red", "slope"])
    make_image()
    result = map_images("--dry-run", "--log-plain")
    assert result.returncode == 1, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    assert f"{SCENE}: 130 x 110 px, 0.2 MB: ArcticDEM" in lines
    assert lines[-5:-2] == [
        "  images: 1 staged, 0 missing",
        "  ArcticDEM: missing for 1 tile",
        "  what is missing is not fetched offline: stage it with `darts prep-data`",
    ]
    make_model(tmp_path / "models" / "terrain.pt", ["red", "nir"])
    result = map_images("--dry-run", "--log-plain")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "missing is" not in result.stdout
    assert not (tmp_path / "output").exists()


def test_a_corrupt_image_fails_alone_and_is_named(map_images, make_image, model, tmp_path):
    make_image()
    image = make_image(OTHER) / f"{OTHER}_3B_AnalyticMS_SR.tif"
    image.write_bytes(image.read_bytes()[:20_000])
    result = map_images("--log-plain")
    assert result.returncode == 1, result.stderr
    (line,) = [line for line in result.stdout.splitlines() if line.startswith(f"failed {OTHER}: ")]
    assert line.startswith(f"failed {OTHER}: optical: {image} cannot be read (")
    assert line.endswith("). Copy or download it again.")
    assert (tmp_path / "output" / "planet" / SCENE / "probabilities.tif").exists()
    assert not (tmp_path / "output" / "planet" / OTHER).exists()


def test_terrain_that_is_not_staged_names_the_command(map_images, make_image, make_model, tmp_path):
    (tmp_path / "models").mkdir()
    make_model(tmp_path / "models" / "terrain.pt", ["red", "slope"])
    make_image()
    result = map_images("--log-plain")
    assert (
        f"failed {SCENE}: arcticdem: there is no datacube at {tmp_path / 'aux' / 'arcticdem_2m.icechunk'}. "
        f"Stage it with `darts prep-data planet --aux --image-ids {SCENE}`."
    ) in result.stdout.splitlines()


def test_a_sentinel2_scene_laid_out_like_planet_runs_through_the_same_command(map_images, model, tmp_path):
    folder = tmp_path / "input" / "planet" / "scenes" / S2_SCENE
    grid = GeoBox((120, 130), Affine(10, 0, 500_000, 0, -10, 7_700_000), "EPSG:32608")
    rng = np.random.default_rng(0)
    write_tiff(folder / f"{S2_SCENE}_SR_clip.tif", rng.uniform(0.05, 0.4, (4, *grid.shape)).astype(np.float32), grid)
    classes = np.full((1, *grid.shape), 4, dtype=np.uint8)
    classes[0, :10] = 0
    write_tiff(folder / f"{S2_SCENE}_SCL_clip.tif", classes, grid)
    result = map_images("--edge-erosion-size", "0", "--mask-erosion-size", "2")
    assert result.returncode == 0, result.stdout + result.stderr
    with rasterio.open(tmp_path / "output" / "planet" / S2_SCENE / "probabilities.tif") as file:
        values = file.read(1)
        assert file.res == (10, 10)
    assert (values[:10] == 255).all()
    assert (values[14:] <= 100).all()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"optical": True}, "optical is set, but Planet images cannot be fetched. Put them on disk, and use aux."),
        ({}, "nothing is to be prepared. Add --aux, or --force for all layers whatever models need."),
    ],
)
def test_what_cannot_be_prepared_is_refused(options, line):
    with pytest.raises(ConfigError) as caught:
        PlanetPipeline().prepare_data(**options)
    assert str(caught.value) == line


def test_images_cannot_be_prepared_by_a_flag(darts):
    result = darts("prep-data", "planet", "--optical")
    assert result.returncode == 2
    assert "--optical" in result.stderr


def polar_grid(distance_m, shape=(110, 130)):
    """Return a grid whose western edge is some metres east of where a chunk of the cube begins, far from other ones."""
    from smart_geocubes import ArcticDEM2m

    from darts_acquisition.auxiliary.filling import chunk_geobox

    box = chunk_geobox(ArcticDEM2m, 500, 400).boundingbox
    top = box.top - 3000
    return GeoBox(shape, Affine(3, 0, box.left + distance_m, 0, -3, top), "EPSG:3413")


def staged_chunks(pipeline):
    """Return the chunks that data preparation fetches for all images of a pipeline."""
    from darts.pipelines.auxiliary import LAYERS, Request

    run = pipeline.with_paths()
    source = run.source()
    return LAYERS["arcticdem"].missing(Request(run, run.resolution_m), source.footprints(source.find()))


def test_chunks_beyond_the_radius_are_not_staged(make_image, tmp_path):
    make_image(grid=polar_grid(1000))
    assert len(staged_chunks(PlanetPipeline())) == 1


def test_offline_from_a_staged_cube_of_2_m(make_image, make_model, tmp_path):
    """Fetched is what the tile and the radius around it touch; that is enough, without any socket."""
    from smart_geocubes import ArcticDEM2m

    from darts_acquisition.auxiliary.filling import fill

    (tmp_path / "models").mkdir()
    make_model(tmp_path / "models" / "terrain.pt", ["red", "relative_elevation", "slope", "hillshade"])
    make_image(grid=polar_grid(90))
    chunks = staged_chunks(PlanetPipeline())
    assert len(chunks) == 2

    def ground(geobox):
        import xarray as xr

        height, width = geobox.shape
        y, x = np.ogrid[:height, :width]
        heights = (100 + 20 * np.sin(x / 40) + 0.01 * y).astype(np.float32)
        layers = {"dem": heights, "datamask": np.ones(geobox.shape, dtype=bool)}
        return xr.Dataset({name: wrap_xr(values, geobox) for name, values in layers.items()})

    command = [
        "inference",
        "planet-sequential",
        "--offline",
        *SMALL,
        "--log-plain",
        "--export-bands",
        "relative_elevation",
    ]
    path = tmp_path / "aux" / "arcticdem_2m.icechunk"
    fill(path, ArcticDEM2m, chunks[1:], ground)
    lacking = run_without_sockets(tmp_path, *command)
    assert lacking.returncode == 1
    assert "lacks" in lacking.stdout
    fill(path, ArcticDEM2m, chunks, ground)
    result = run_without_sockets(tmp_path, *command)
    assert result.returncode == 0, result.stdout + result.stderr
    with rasterio.open(tmp_path / "output" / "planet" / SCENE / "relative_elevation.tif") as file:
        values = file.read(1, masked=True)
    assert not values.mask.any(), "the radius around the tile was there"


def test_little_more_is_staged_than_an_orthotile_and_the_radius_touch(tmp_path):
    """Counted in chunks of 7.2 km, for an orthotile of 25 km that lies askew to them."""
    from smart_geocubes import ArcticDEM2m

    from darts_acquisition.auxiliary.filling import _touched

    tile = tmp_path / "input" / "planet" / "tiles" / "1154318" / "5937317_1154318_2021-07-28_2459"
    tile.mkdir(parents=True)
    with rasterio.open(
        tile / "x_SR.tif", "w", driver="GTiff", count=4, height=8000, width=8000, dtype="uint16", sparse_ok=True,
        crs="EPSG:32610", transform=Affine(3.125, 0, 512_000, 0, -3.125, 7_700_000), tiled=True,
    ):  # fmt: skip
        pass
    run = PlanetPipeline().with_paths()
    source = run.source()
    outline = source.footprints(source.find()).geometry.iloc[0]
    needed = shapely.buffer(outline, run.tpi_outer_radius)
    exact = len(_touched(ArcticDEM2m, needed)[0])
    assert exact <= len(staged_chunks(PlanetPipeline())) <= exact + 3


def test_unknown_sun_angles_are_told_in_one_line(map_images, make_image, make_model, tmp_path):
    from smart_geocubes import ArcticDEM2m

    from darts_acquisition.auxiliary.filling import fill

    (tmp_path / "models").mkdir()
    make_model(tmp_path / "models" / "terrain.pt", ["red", "hillshade"])
    make_image(grid=polar_grid(1000), metadata=False)
    fill(tmp_path / "aux" / "arcticdem_2m.icechunk", ArcticDEM2m, staged_chunks(PlanetPipeline()), lambda geobox: None)
    result = map_images("--log-plain")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr.splitlines() == [
        f"WARNING: the sun angles of {SCENE} are unknown; hillshade is made with azimuth 225 and elevation 25 degrees",
        f"WARNING: {SCENE}: features are missing on 100.0 % of the mapped ground",
    ]
    record = json.loads((tmp_path / "output" / "planet" / SCENE / "darts_inference.json").read_text())
    assert record["features_missing"] == 1.0
    assert record["observed_km2"] == pytest.approx(record["clear_km2"] + record["cloudy_km2"])


def test_a_hole_in_the_elevation_is_a_column_of_the_slumps_and_a_raster_on_request(
    map_images, make_image, make_model, tmp_path
):
    from smart_geocubes import ArcticDEM2m

    from darts_acquisition.auxiliary.filling import fill

    (tmp_path / "models").mkdir()
    make_model(tmp_path / "models" / "terrain.pt", ["red", "green", "slope"])
    make_model(tmp_path / "models" / "colours.pt", ["red", "green"])
    make_image(grid=polar_grid(1000))
    fill(tmp_path / "aux" / "arcticdem_2m.icechunk", ArcticDEM2m, staged_chunks(PlanetPipeline()), lambda geobox: None)
    result = map_images("--export-bands", "polygonized", "features_missing", "--write-model-outputs", "--log-plain")
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "output" / "planet" / SCENE
    shares = {
        name: set(
            pd.read_parquet(folder / f"prediction_segments{name}.parquet", columns=["features_missing"]).iloc[:, 0]
        )
        for name in ("", "-terrain", "-colours")
    }
    assert shares == {"": {1.0}, "-terrain": {1.0}, "-colours": {0.0}}
    with rasterio.open(folder / "features_missing.tif") as raster:
        assert raster.read(1).all()
