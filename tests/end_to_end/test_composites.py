"""Composites of a summer: what is in them, and that they are mapped like scenes."""

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_acquisition.optical.composites import Composites
from darts_acquisition.optical.sentinel2.scene_store import SceneStore
from darts_acquisition.optical.sentinel2.scenes import load_scene
from darts_utils.errors import MissingDataError

N_SCENES, EDGE = 12, 150
GRID = GeoBox((EDGE, EDGE), Affine(10, 0, 500_000, 0, -10, 7_700_000), "EPSG:32608")
NAMES = ("B02_10m", "B03_10m", "B04_10m", "B08_10m")
CLOUD, GROUND = 9, 5
QUICK = ("--patch-size", "128", "--overlap", "32", "--device", "cpu", "--log-plain")


def scene_id(number):
    day = 3 + 4 * number
    month, day = (7, day) if day <= 31 else (8, day - 31)
    return f"S2B_MSIL2A_2024{month:02d}{day:02d}T200909_N0510_R128_T08WNB_2024{month:02d}{day:02d}T234418"


@pytest.fixture
def scenes(tmp_path):
    """A dozen scenes of the same ground with noise and clouds; gives reflectance times 10,000 and classes of each."""
    rng = np.random.default_rng(31)
    ground = rng.integers(300, 3000, (4, EDGE, EDGE))
    store = SceneStore(tmp_path / "input/sentinel2/cdse-scenes", "cdse")
    made = {}
    for number in range(N_SCENES):
        numbers = (ground + rng.normal(0, 150, ground.shape)).round().astype(int).clip(-900, 8000)
        classes = np.where(rng.random((EDGE, EDGE)) < 0.55, CLOUD, GROUND).astype(np.uint8)
        classes[:9, :9] = 0
        numbers[:, classes == CLOUD] += 4000
        stored = np.where(classes == 0, 0, numbers + 1000).astype(np.uint16)
        bands = {name: wrap_xr(layer, GRID) for name, layer in zip(NAMES, stored, strict=True)}
        store.write(scene_id(number), {**bands, "SCL_20m": wrap_xr(classes, GRID, nodata=None)}, {})
        made[scene_id(number)] = numbers, classes
    return made


@pytest.mark.parametrize("method", ["median", "medoid", "max-ndvi"])
def test_a_composite_of_a_dozen_scenes_is_what_brute_force_gives(scenes, method, darts, tmp_path, monkeypatch):
    monkeypatch.setattr("darts.composite.making._IN_MEMORY_BYTES", 1)
    select = ("--offline", "--scene-ids", *reversed(scenes))
    done = darts("composite", "sentinel2", *select, "--method", method, "--composite-id-file", "ids.json")
    assert done.returncode == 0, done.stdout + done.stderr
    (name,) = json.loads((tmp_path / "ids.json").read_text())
    assert name == f"composite-08WNB-20240703-20240816-{method}"
    assert f"{name}: of 12 scenes, 100 % seen, 5.4 clear looks on the mean" in done.stdout
    store = Composites().store(tmp_path / "input/sentinel2/composite-scenes")
    assert store.path(name).name == f"composite-{name}.zarr"
    tile = load_scene(Composites(), name, store=store.folder, offline=True)
    numbers = np.stack([numbers for numbers, _ in scenes.values()]).astype(float)
    is_clear = np.stack([classes == GROUND for _, classes in scenes.values()])
    numbers[np.broadcast_to(~is_clear[:, None], numbers.shape)] = np.nan
    found = np.stack([tile[band].values for band in ("blue", "green", "red", "nir")])
    np.testing.assert_allclose(found, by_brute_force(numbers, method) / 10_000, atol=2e-7)
    looks = is_clear.sum(axis=0)
    np.testing.assert_array_equal(tile.observations, looks)
    np.testing.assert_array_equal(tile.quality_data_mask, np.select([looks == 0, looks < 4], [0, 1], 2))
    assert tile.attrs["datetime"] == "2024-07-23T00:00:00Z"
    days = store.open(name).read("days").values
    first = (np.datetime64("2024-07-03") - np.datetime64("1970-01-01")).astype(int)
    assert set(np.unique(days)) == {0, *(first + 4 * np.arange(N_SCENES))}
    assert (days == 0).tolist() == (looks == 0).tolist()


def by_brute_force(numbers, method):
    values = np.full(numbers.shape[1:], np.nan)
    for row, column in np.ndindex(EDGE, EDGE):
        spectra = numbers[:, :, row, column]
        spectra = spectra[~np.isnan(spectra[:, 0])]
        if not len(spectra):
            continue
        if method == "median":
            values[:, row, column] = np.rint(np.median(spectra, axis=0))
        elif method == "medoid":
            distances = np.linalg.norm(spectra[:, None] - spectra, axis=2).sum(axis=1)
            values[:, row, column] = spectra[np.argmin(distances.round(6))]
        else:
            red, nir = np.maximum(spectra[:, 2:], 0).T
            values[:, row, column] = spectra[np.argmax((nir - red) / (nir + red))]
    return values


def test_a_composite_is_mapped_like_a_scene_and_made_once(scenes, darts, make_model, tmp_path):
    make = ("composite", "sentinel2", "--offline", "--scene-ids", *scenes, "--composite-id-file", "ids.json")
    assert darts(*make).returncode == 0
    again = darts(*make)
    assert (again.returncode, "of 12 scenes, as it was" in again.stdout) == (0, True)
    first, *_, last = scenes
    fewer = darts("composite", "sentinel2", "--offline", "--scene-ids", first, last)
    assert (fewer.returncode, "of other scenes than these 2 scenes; --overwrite" in fewer.stdout) == (1, True)
    name = "composite-08WNB-20240703-20240816-median"
    (tmp_path / "models").mkdir()
    make_model(tmp_path / "models" / "optical.pt", ["red", "green", "blue", "nir", "ndvi"])
    run = ("inference", "sentinel2-sequential", "--raw-data-source", "composite", *QUICK)
    done = darts(*run, "--offline", "--scene-id-file", "ids.json")
    assert done.returncode == 0, done.stdout + done.stderr
    results = tmp_path / "output/sentinel2-composite"
    with rasterio.open(results / name / "probabilities.tif") as raster:
        assert (raster.read(1) != 255).mean() > 0.5
    (looks,) = (results / "inventory/looks").rglob("*.parquet")
    assert gpd.read_parquet(looks)["year"].tolist() == [2024]
    search = darts(*run, "--tile-ids", "08WNB", "--years", "2024")
    assert search.returncode == 2
    assert "composites lie on disk, so they cannot be searched for. Make them with `darts composite" in search.stderr
    lacking = darts(*run, "--offline", "--scene-ids", "composite-08WNB-20230703-20230816-median")
    assert lacking.returncode == 1
    assert "is not staged in" in lacking.stdout + lacking.stderr
    with pytest.raises(MissingDataError, match="Make it with `darts composite sentinel2`"):
        load_scene(Composites(), "composite-08WNB-none", store=tmp_path / "input/sentinel2/composite-scenes")


def test_scenes_of_another_grid_or_without_a_date_are_left_out_and_named(scenes, darts, tmp_path):
    store = SceneStore(tmp_path / "input/sentinel2/cdse-scenes", "cdse")
    odd = scene_id(0).replace("R128", "R001")
    moved = GeoBox(GRID.shape, Affine.translation(10, 0) * GRID.affine, GRID.crs)
    layers = {name: wrap_xr(np.ones(GRID.shape, np.uint16), moved) for name in NAMES}
    store.write(odd, {**layers, "SCL_20m": wrap_xr(np.full(GRID.shape, 5, np.uint8), moved, nodata=None)}, {})
    done = darts("composite", "sentinel2", "--offline", "--scene-ids", *list(scenes)[:3], odd, "nameless", scene_id(20))
    assert done.returncode == 1, "what was asked for is not all of it"
    assert "1 scene of 08WNB lie on another grid, and are left out" in done.stdout
    assert "nameless is left out: its id tells no tile or no date" in done.stdout
    assert f"{scene_id(20)} is left out:" in done.stdout
    assert "of 3 scenes" in done.stdout
