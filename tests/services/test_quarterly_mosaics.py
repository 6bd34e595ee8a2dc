"""Quarterly mosaics of Sentinel-2, from a catalogue and a storage to mapped tiles."""

import json
import shutil
import socket
from urllib.parse import urlsplit

import numpy as np
import pytest
import rasterio
import served_world
from affine import Affine
from faults import FaultProxy
from rasterio.io import MemoryFile
from same_products import assert_same_folder

from darts.demo.world.cubes import write_arcticdem
from darts.demo.world.write import install_models
from darts_acquisition.catalog.query import SceneQuery
from darts_acquisition.optical.cdse.mosaics import CdseMosaics
from darts_acquisition.optical.sentinel2.scenes import download_scene, load_scene
from darts_acquisition.services.retry import Limiter, RetryPolicy, Service
from darts_utils.errors import ConfigError, DataError, MissingDataError

CATALOG = CdseMosaics()
WORLD = served_world.world(2001)
TILE = WORLD.place.grid_code.removeprefix("MGRS-")
STEM = f"Sentinel-2_mosaic_2024_Q3_{TILE}"
ID = f"{STEM}_0_0"
BANDS = ("B02", "B03", "B04", "B08")
SOURCE = ("--raw-data-source", "cdse-mosaic")
SELECT = ("--tile-ids", TILE, "--years", "2024", "--quarters", "3")
QUICK = ("--patch-size", "256", "--overlap", "64", "--device", "cpu", "--log-plain")
NO_DATA = -32768


def mosaic_numbers():
    """Return what a mosaic of the world holds, with what only mosaics have: numbers of 0 and below that are data."""
    bands = {
        name: np.where(np.isnan(layer), NO_DATA, np.rint(np.nan_to_num(layer) * 10_000)).astype(np.int16)
        for name, layer in zip(BANDS, WORLD.reflectance, strict=True)
    }
    looks = np.where(np.isin(WORLD.classes, (8, 9)), 2, 9).astype(np.uint16)
    looks[WORLD.classes == 0] = 0
    looks[:4, :40] = np.repeat([0, 1, 3, 300], 10)
    for values in bands.values():
        values[looks == 0] = NO_DATA
    bands["B02"][10, :3] = 0, -25, NO_DATA
    return bands, looks


def geotiff(values, transform):
    with MemoryFile() as file:
        height, width = values.shape
        profile = {"driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": values.dtype}
        with file.open(**profile, crs=str(WORLD.place.geobox.crs), transform=transform, tiled=True) as raster:
            raster.write(values, 1)
        return file.read()


def granule(place, rows, columns, layers, upload, quarter=3):
    """Serve a part of the world as the catalogue does: corners have lost some digits, and there is no transform."""
    stem = STEM.replace("_Q3_", f"_Q{quarter}_")
    granule_id, grid = f"{stem}_{place}", WORLD.place.geobox[rows, columns]
    shifted = Affine.translation(-3e-7, 8e-5) * grid.affine
    assets = {}
    for name, values in layers.items():
        key = f"Global-Mosaics/Sentinel-2/S2MSI_L3__MCQ/2024/07/01/{granule_id}/{name}.tif"
        upload(key, body := geotiff(values[rows, columns], shifted))
        left, top, right, bottom = *(shifted * (0, 0)), *(shifted * grid.shape[::-1])
        assets[name] = {
            "href": f"s3://eodata/{key}",
            "roles": ["data"],
            "file:size": len(body),
            "proj:bbox": [left, bottom, right, top],
            "proj:code": str(grid.crs),
            "proj:shape": list(grid.shape),
        }
    outline = grid.footprint("EPSG:4326", npoints=20)
    start = f"2024-{3 * quarter - 2:02d}-01T00:00:00Z"
    times = {"datetime": start, "start_datetime": start, "end_datetime": f"2024-{3 * quarter:02d}-30T23:59:59Z"}
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": granule_id,
        "collection": "sentinel-2-global-mosaics",
        "geometry": outline.json,
        "bbox": list(outline.boundingbox),
        "properties": {"grid:code": WORLD.place.grid_code, **times},
        "links": [],
        "assets": assets,
    }


@pytest.fixture(scope="module")
def layers():
    bands, looks = mosaic_numbers()
    return {**bands, "observations": looks}


@pytest.fixture(scope="module")
def served(layers, s3_server, serve, tmp_path_factory):
    """Two granules that overlap, and a mosaic of another quarter; gives both ports."""
    height, width = WORLD.place.geobox.shape
    upload, whole = s3_server[1], slice(0, height)
    items = [
        granule("0_0", whole, slice(0, 160), layers, upload),
        granule("0_1", whole, slice(120, width), layers, upload),
        granule("0_0", whole, slice(0, 160), layers, upload, quarter=2),
    ]
    with serve("mosaics", items, tmp_path_factory.mktemp("mosaics")) as url:
        yield urlsplit(url).port, s3_server[0]


@pytest.fixture
def online(served, aws_keys, monkeypatch):
    """Both services and quick retries; gives the proxies before them."""
    proxies = [FaultProxy(port) for port in served]
    monkeypatch.setenv("DARTS_CDSE_STAC_URL", proxies[0].url)
    monkeypatch.setenv("DARTS_CDSE_S3_ENDPOINT", proxies[1].url)
    policy = RetryPolicy(attempts=6, first_wait_s=0.01, longest_wait_s=0.02, read_timeout_s=5)
    for name, place in (("catalogue", "optical.cdse.mosaics.CATALOGUE"), ("storage", "services.rasters.s3.STORAGE")):
        service = Service(name=name, advice="Try later.", limiter=Limiter(connections=4), policy=policy)
        monkeypatch.setattr(f"darts_acquisition.{place}", service)
    yield proxies
    for proxy in proxies:
        proxy.close()


def found(**query):
    return CATALOG.search(SceneQuery(tiles=[TILE], **query))


def test_quarters_are_found_by_their_first_months_and_their_granules_are_one_scene(online):
    (scene_id,) = mosaics = found(years=[2024], quarters=[3])
    assert scene_id == ID
    assert [item.id for item in mosaics[ID]] == [ID, f"{STEM}_0_1"]
    assert CATALOG.grid(mosaics[ID]) == WORLD.place.geobox
    assert sorted(found(years=[2024], quarters=[2, 3, 4])) == [ID.replace("Q3", "Q2"), ID]
    assert found(years=[2023], quarters=[3]) == {}
    assert list(found(start_date="2024-07-01", end_date="2024-08-31", max_cloud_cover=0)) == [ID]
    assert [item.id for item in CATALOG.describe([ID])[ID]] == [ID, f"{STEM}_0_1"]
    with pytest.raises(MissingDataError, match="it has no scene nowhere_0_0"):
        CATALOG.describe(["nowhere_0_0"])
    with pytest.raises(ConfigError, match="quarters are given beside months or dates"):
        found(years=[2024], quarters=[3], months=[7])


def test_a_mosaic_is_staged_as_it_is_and_becomes_reflectance_and_quality(online, layers, tmp_path):
    path = download_scene(CATALOG, ID, tmp_path)
    assert path.name == f"cdse-s2-mosaic-{ID}.zarr"
    staged = CATALOG.store(tmp_path).open(ID)
    for name, values in layers.items():
        assert np.array_equal(staged.read(name, values.dtype.name).values, values)
    for lazy in (False, True):
        tile = load_scene(CATALOG, ID, store=tmp_path, offline=True, lazy=lazy).load()
        for name, band in zip(("blue", "green", "red", "nir"), BANDS, strict=True):
            expected = np.where(layers[band] == NO_DATA, np.nan, layers[band] * np.float32(1e-4)).astype(np.float32)
            np.testing.assert_allclose(tile[name].values, expected, atol=1e-7)
        assert tile.blue.values[10, :2] == pytest.approx([0, -0.0025])
        quality = np.select([layers["observations"] == 0, layers["observations"] <= 3], [0, 1], 2)
        quality[np.any([layers[band] == NO_DATA for band in BANDS], axis=0)] = 0
        assert np.array_equal(tile.quality_data_mask.values, quality)
        assert np.array_equal(tile.observations.values, layers["observations"])
        assert "s2_scl" not in tile
        assert np.isnan([tile.attrs["azimuth"], tile.attrs["elevation"]]).all()
        assert tile.attrs["datetime"] == "2024-07-01T00:00:00Z"


def test_files_that_are_not_as_the_catalogue_says_are_refused(online, tmp_path):
    mosaic = CATALOG.describe([ID])[ID]
    mosaic[0].assets["B02"].href = mosaic[1].assets["B02"].href
    with pytest.raises(DataError, match="is not int16, or not where the catalogue has it"):
        download_scene(CATALOG, mosaic, tmp_path)
    for key, value in (("proj:bbox", [0, 1]), ("proj:bbox", ["a", 1, 2, 3]), ("proj:shape", [0, 0])):
        mosaic = CATALOG.describe([ID])[ID]
        for asset in mosaic[1].assets.values():
            asset.extra_fields[key] = value
        with pytest.raises(DataError, match="does not give the grid"):
            CATALOG.grid(mosaic)
    mosaic = CATALOG.describe([ID])[ID]
    for asset in mosaic[1].assets.values():
        asset.extra_fields["proj:bbox"][0] += 3
    with pytest.raises(DataError, match="do not fit a 10 m grid"):
        CATALOG.grid(mosaic)


@pytest.fixture
def home(tmp_path):
    """A working folder with elevation on disk and the model that needs no trends."""
    install_models(tmp_path / "models")
    (tmp_path / "models/demo_with_tcvis.safetensors").unlink()
    write_arcticdem(WORLD, tmp_path / "aux")
    return tmp_path


def test_quarters_are_mapped_then_staged_through_faults_and_mapped_offline(home, darts, online, monkeypatch):
    keep = ("--prep-data-scene-id-file", "ids.json")
    done = darts("inference", "sentinel2-sequential", *SELECT, *SOURCE, *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    results = home / "output/sentinel2-cdse-mosaic"
    with rasterio.open(results / ID / "probabilities.tif") as raster:
        assert (raster.shape, raster.read(1).max() <= 255) == (WORLD.place.geobox.shape, True)
    results.rename(home / "online")
    shutil.rmtree(home / "input")
    for seed, proxy in enumerate(online):
        proxy.spoil(0.2, seed)
    done = darts("prep-data", "sentinel2", "--optical", *SELECT, *SOURCE, *keep, "--log-plain")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((home / "ids.json").read_text()) == [ID]

    def refuse(*_args, **_kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    done = darts("inference", "sentinel2-sequential", "--offline", *SELECT, *SOURCE, *keep, *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same_folder(home / "online" / ID, results / ID)
    assert "hillshade is made with azimuth 225 and elevation 25 degrees" in done.stdout + done.stderr


def test_a_search_for_quarters_says_what_was_asked(darts, online):
    found = darts("search", "sentinel2", *SELECT, *SOURCE)
    assert found.returncode == 0, found.stderr
    assert f"tiles {TILE}, quarters 3 of years 2024\n" in found.stdout
    assert ID in found.stdout


def test_only_mosaics_have_quarters(home, darts):
    done = darts("inference", "sentinel2-sequential", "--tile-ids", TILE, "--years", "2024", "--quarters", "3", *QUICK)
    assert done.returncode == 2
    assert "quarters are those of mosaics, which Copernicus Data Space does not offer" in done.stderr
