"""Scenes of Earth Search: found, fetched whole or in parts, scaled by what is true, mapped without any account."""

import json
import logging
import shutil

import earthsearch_items
import geopandas as gpd
import numpy as np
import pytest
import rasterio
import served_world
import trustme
from cog_server import CogServer
from earthsearch_items import C1
from same_products import assert_same_folder
from test_online_runs import QUICK, SUMMER, forbid_sockets

from darts.demo.world.cubes import write_arcticdem
from darts.demo.world.write import install_models
from darts_acquisition.catalog.query import SceneQuery
from darts_acquisition.catalog.takes import superseded
from darts_acquisition.optical.earthsearch import EarthSearchScenes
from darts_acquisition.optical.sentinel2.scene_store import SceneStore
from darts_acquisition.optical.sentinel2.scenes import download_scene, load_scene
from darts_acquisition.services.retry import Limiter, RetryPolicy, Service
from darts_utils.errors import ConfigError, DataError, MissingDataError, ServiceError
from darts_utils.rasters.window import Window

CATALOG = EarthSearchScenes()
SOURCE = ("--raw-data-source", "earthsearch")
ONE, OTHER, LYING, BARE = (served_world.world(seed) for seed in (3001, 3002, 3003, 3004))
ID = earthsearch_items.scene_id(ONE.place)
WINDOW = Window(40, 100, 61, 83)
"""Its corner is none of a block, nor of a pixel of 20 m."""


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def cogs(authority):
    server = CogServer(authority)
    yield server
    server.close()


@pytest.fixture(scope="module")
def items(cogs):
    older = {"s2:processing_baseline": "02.14"}
    return {
        "plain": earthsearch_items.serve(ONE, cogs),
        "again": earthsearch_items.serve(ONE, cogs, sequence=1),
        "c1": earthsearch_items.serve(OTHER, cogs, collection=C1, applied=False),
        "both": earthsearch_items.serve(OTHER, cogs, sequence=3),
        "lying": earthsearch_items.serve(LYING, cogs, **{"earthsearch:boa_offset_applied": False}),
        "silent": earthsearch_items.serve(LYING, cogs, sequence=1, **older, **{"earthsearch:boa_offset_applied": None}),
        "unknown": earthsearch_items.serve(BARE, cogs, **{
            "earthsearch:boa_offset_applied": None, "s2:processing_baseline": None, "eo:cloud_cover": 80}),
    }  # fmt: skip


@pytest.fixture(scope="module")
def served(items, serve, tmp_path_factory):
    with serve("earthsearch", list(items.values()), tmp_path_factory.mktemp("earthsearch")) as url:
        yield url


@pytest.fixture(autouse=True)
def online(served, cogs, authority, monkeypatch, tmp_path_factory):
    """The catalogue and the storage, with quick retries; nobody has an account."""
    bundle = tmp_path_factory.mktemp("trust") / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    monkeypatch.setenv("DARTS_EARTHSEARCH_STAC_URL", served)
    monkeypatch.setenv("DARTS_EARTHSEARCH_ASSET_HOSTS", "localhost")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/none")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/none")
    policy = RetryPolicy(attempts=4, first_wait_s=0.01, longest_wait_s=0.02, read_timeout_s=5)
    place = "darts_acquisition.optical.earthsearch"
    for name in ("Earth Search", "Earth Search storage"):
        service = Service(name=name, advice="Try later.", limiter=Limiter(connections=8), policy=policy)
        target = f"{place}.STORAGE" if name.endswith("storage") else f"{place}.EarthSearchScenes.service"
        monkeypatch.setattr(target, service)
    cogs.requests.clear()
    cogs.fault = lambda path, asked: None


def found(**query):
    return CATALOG.search(SceneQuery(**{"max_cloud_cover": None, "max_snow_cover": None, **query}))


def tile_of(world):
    return world.place.grid_code.removeprefix("MGRS-")


def test_tiles_are_found_however_their_zone_is_written(items):
    tiles = {tile_of(ONE), tile_of(OTHER), tile_of(LYING), tile_of(BARE)}
    assert sorted(found(tiles=sorted(tiles))) == sorted({item["id"] for item in items.values()})
    assert ID in found(tiles=[f"T{tile_of(ONE)}"])
    assert ID not in found(tiles=["33UVP"])


def test_covers_and_times_limit_a_search(items):
    area = ONE.place.geobox.footprint("EPSG:4326").geom
    assert ID in found(area=area, max_cloud_cover=5, max_snow_cover=1)
    assert ID not in found(area=area, max_cloud_cover=4)
    assert ID not in found(area=area, max_snow_cover=0.4)
    assert ID in found(area=area, years=[ONE.place.time.year], months=[ONE.place.time.month])
    assert ID not in found(area=area, years=[2023])


def test_of_a_take_in_both_collections_that_of_the_first_counts_and_a_sequence_is_a_duplicate(items):
    wanted = {items[kind]["id"] for kind in ("plain", "again", "c1", "both")}
    scenes = {name: scene for name, scene in found(tiles=[tile_of(ONE), tile_of(OTHER)]).items() if name in wanted}
    assert superseded(scenes, CATALOG.take) == {
        items["both"]["id"]: items["c1"]["id"],
        items["plain"]["id"]: items["again"]["id"],
    }


def test_takes_of_two_orbits_of_a_day_are_two(items):
    scene = CATALOG.describe([ID])[ID]
    later = scene.clone()
    later.properties["s2:product_uri"] = None
    first = CATALOG.take(later).seen
    later.datetime = later.datetime.replace(hour=(later.datetime.hour + 2) % 24)
    assert CATALOG.take(later).seen != first


@pytest.mark.parametrize("kind", ["plain", "c1"])
def test_whole_scenes_arrive_as_they_are(items, kind, tmp_path):
    world, applied = (ONE, True) if kind == "plain" else (OTHER, False)
    scene_id = items[kind]["id"]
    arrived = []
    download_scene(CATALOG, scene_id, tmp_path, on_bytes=arrived.append)
    store = SceneStore(tmp_path, "earthsearch")
    for band, values in earthsearch_items.numbers(world, applied).items():
        times = 2 if band == "scl" else 1
        np.testing.assert_array_equal(store.open(scene_id).read(band).values, values.repeat(times, 0).repeat(times, 1))
    tile = load_scene(CATALOG, scene_id, store=tmp_path, offline=True)
    good = (tile.quality_data_mask.values > 0) & (world.reflectance[2] > 0)
    np.testing.assert_allclose(tile.red.values[good], world.reflectance[2][good], atol=6e-5)
    assert tile.attrs["azimuth"] == world.place.sun_azimuth
    assert tile.attrs["collection"] == items[kind]["collection"]
    assert sum(arrived) > 10_000


def test_a_value_of_0_after_the_offset_is_dark_water_and_no_gap(items, tmp_path):
    dark = (earthsearch_items.numbers(ONE, applied=True)["red"] == 0) & (ONE.classes > 0)
    tile = load_scene(CATALOG, ID, store=tmp_path)
    seen = dark & ~np.isnan(tile.nir.values)
    assert not np.isnan(tile.red.values[seen]).any()


def test_before_baseline_4_there_is_no_offset_and_nobody_applied_one(items, tmp_path):
    tile = load_scene(CATALOG, items["silent"]["id"], store=tmp_path)
    good = tile.quality_data_mask.values == 2
    numbers = earthsearch_items.numbers(LYING, applied=True)["nir"]
    np.testing.assert_allclose(tile.nir.values[good], numbers[good] * 1e-4, atol=1e-6)


def test_a_scene_whose_flag_lies_is_refused_in_one_line(items, tmp_path):
    with pytest.raises(DataError) as caught:
        load_scene(CATALOG, items["lying"]["id"], store=tmp_path)
    assert str(caught.value).startswith(f"scene {items['lying']['id']} says that the offset is not applied")
    assert str(caught.value).endswith("Take it from another source.")


def test_a_scene_that_says_nothing_of_its_offset_is_not_guessed(items, tmp_path):
    with pytest.raises(DataError, match="tells neither whether its offset was applied"):
        load_scene(CATALOG, items["unknown"]["id"], store=tmp_path)


def test_a_window_is_read_by_ranges_and_is_the_part_of_the_whole(items, cogs, tmp_path):
    load_scene(CATALOG, ID, store=tmp_path / "whole")
    cogs.requests.clear()
    part = load_scene(CATALOG, ID, store=tmp_path / "part", window=WINDOW)
    assert all(asked is not None for _, asked in cogs.requests)
    whole = load_scene(CATALOG, ID, store=tmp_path / "whole", offline=True)
    assert part.odc.geobox == WINDOW.crop(whole.odc.geobox)
    assert part.equals(whole.isel(y=WINDOW.rows, x=WINDOW.columns))
    cogs.requests.clear()
    again = load_scene(CATALOG, ID, store=tmp_path / "part", window=WINDOW)
    assert again.equals(part)
    assert cogs.requests == []
    cut = load_scene(CATALOG, ID, store=tmp_path / "whole", window=WINDOW)  # the whole scene has it
    assert cut.equals(part)
    assert cogs.requests == []


def test_what_was_not_asked_for_is_no_damage(items, tmp_path, caplog):
    download_scene(CATALOG, ID, tmp_path, window=WINDOW)
    store = SceneStore(tmp_path, "earthsearch")
    staged = store.open(f"{ID}_{WINDOW.name}")
    assert staged.attributes["darts:window"] == WINDOW.as_list
    assert staged.attributes["darts:whole_shape"] == [256, 256]
    assert len(staged.whole_bands) == 5
    assert store.grid(ID) == ONE.place.geobox
    with pytest.raises(MissingDataError, match="Stage it with `darts prep-data sentinel2 --optical "):
        load_scene(CATALOG, ID, store=tmp_path, offline=True)
    caplog.set_level(logging.WARNING)
    load_scene(CATALOG, ID, store=tmp_path, offline=True, window=WINDOW)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("kind", [503, 429, "truncated"])
def test_faults_that_pass_are_tried_again(items, cogs, tmp_path, kind):
    spoiled = set()

    def fault(path, asked):
        if (path, asked) in spoiled:
            return None
        spoiled.add((path, asked))
        return kind

    cogs.fault = fault
    part = load_scene(CATALOG, ID, store=tmp_path, window=WINDOW)
    cogs.fault = lambda path, asked: None
    assert part.equals(load_scene(CATALOG, ID, store=tmp_path / "sound", window=WINDOW))


@pytest.mark.parametrize(
    ("kind", "error", "said"),
    [
        ("whole", ServiceError, "is not read by ranges of bytes (it answered 200 without Content-Range). Fetch whole"),
        (404, MissingDataError, "Earth Search storage: there is no https://localhost"),
        (403, ServiceError, "was refused: 403"),
        ("https://elsewhere.example/a.tif", ServiceError, "leads to https://elsewhere.example/a.tif, which is not ask"),
        (500, ServiceError, "failed 4 times"),
    ],
)  # fmt: skip
def test_faults_that_stay_are_one_line(items, cogs, tmp_path, kind, error, said):
    cogs.fault = lambda path, asked: kind
    with pytest.raises(error) as caught:
        download_scene(CATALOG, ID, tmp_path, window=WINDOW)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert SceneStore(tmp_path, "earthsearch").scene_ids() == []


def test_a_file_that_is_replaced_while_it_is_read_is_no_mixture(items, cogs, tmp_path):
    cogs.fault = lambda path, asked: "replaced" if len(cogs.requests) > 3 else None
    with pytest.raises(ServiceError, match="it was replaced while it was read"):
        download_scene(CATALOG, ID, tmp_path, window=WINDOW)


def test_other_hosts_and_files_of_this_machine_are_not_asked(items, cogs, tmp_path):
    scene = CATALOG.describe([ID])[ID]
    for address in ("https://elsewhere.example/a.tif", "/etc/passwd", "http://localhost/a.tif"):
        for asset in scene.assets.values():
            asset.href = address
        for window in (None, WINDOW):
            with pytest.raises(DataError, match=r"but rasters are read by https from 127\.0\.0\.1, localhost only"):
                download_scene(CATALOG, scene, tmp_path, window=window)
    assert cogs.requests == []


def test_a_file_that_arrives_damaged_is_told_by_its_checksum(items, cogs, tmp_path):
    path = f"/{C1}/{items['c1']['id']}/red.tif"
    sound, damaged = cogs.files[path], bytearray(cogs.files[path])
    damaged[-1000] ^= 255
    cogs.files[path] = bytes(damaged)
    try:
        with pytest.raises(ServiceError, match="its checksum is not that of the catalogue"):
            download_scene(CATALOG, items["c1"]["id"], tmp_path)
    finally:
        cogs.files[path] = sound


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A working folder with elevation on disk and the model that needs no trends."""
    install_models(tmp_path / "models")
    (tmp_path / "models/demo_with_tcvis.safetensors").unlink()
    for world in (ONE, OTHER):
        write_arcticdem(world, tmp_path / "aux")
    outlines = [world.place.geobox.extent.geom.buffer(-900) for world in (ONE, OTHER)]
    gpd.GeoDataFrame(geometry=outlines, crs=str(ONE.place.geobox.crs)).to_file(tmp_path / "area.gpkg")
    return tmp_path


def test_an_area_is_mapped_without_an_account_and_then_prepared_and_offline(home, darts, items, monkeypatch):
    select, keep = ("--aoi-file", "area.gpkg", *SUMMER, *SOURCE), ("--prep-data-scene-id-file", "ids.json")
    done = darts("inference", "sentinel2-sequential", *select, *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    results = home / "output/sentinel2-earthsearch"
    ids = sorted([items["again"]["id"], items["c1"]["id"]])
    assert sorted(path.parent.name for path in results.glob("*/probabilities.tif")) == ids
    results.rename(home / "online")
    shutil.rmtree(home / "input")
    done = darts("prep-data", "sentinel2", "--optical", *select, *keep, "--log-plain")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(json.loads((home / "ids.json").read_text())) == ids
    forbid_sockets(monkeypatch)
    done = darts("inference", "sentinel2-sequential", "--offline", *select, *keep, *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    for scene_id in ids:
        assert_same_folder(home / "online" / scene_id, results / scene_id)


def test_parts_of_scenes_are_mapped_beside_whole_ones(home, darts, cogs, monkeypatch):
    small = ONE.place.geobox.extent.geom.centroid.buffer(200)
    gpd.GeoDataFrame(geometry=[small], crs=str(ONE.place.geobox.crs)).to_file(home / "small.gpkg")
    monkeypatch.setattr("darts.pipelines.sources.scenes.MARGIN_PX", 32)
    select, keep = ("--aoi-file", "small.gpkg", *SUMMER, *SOURCE), ("--prep-data-scene-id-file", "ids.json")
    done = darts("prep-data", "sentinel2", "--optical", "--clip-to-aoi", *select, *keep, "--log-plain")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(asked is not None for _, asked in cogs.requests)
    forbid_sockets(monkeypatch)
    clipped = ("--clip-to-aoi", "--offline", *select, *keep, *QUICK)
    done = darts("inference", "sentinel2-sequential", *clipped)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (home / "output/sentinel2-earthsearch").glob("*/probabilities.tif")
    assert "_window-" in folder.parent.name
    document = json.loads((folder.parent / "darts_inference.json").read_text())["DARTS_fingerprint_document"]
    assert folder.parent.name.endswith(Window(*document["image"]["window"]).name)
    assert document["parameters"]["clip_to_aoi"] is True
    with rasterio.open(folder) as raster:
        assert list(raster.shape) == document["image"]["window"][2:]
        west, south, east, north = small.bounds
        assert raster.bounds.left < west - 100
        assert raster.bounds.top > north + 100
        assert raster.bounds.right > east + 100
        assert raster.bounds.bottom < south - 100
    done = darts("inference", "sentinel2-sequential", *clipped)
    assert "1 done before" in done.stdout or "1 skipped" in done.stdout, done.stdout


def test_only_sources_of_which_parts_can_be_read_are_clipped(home, darts):
    done = darts("inference", "sentinel2-sequential", "--aoi-file", "area.gpkg", *SUMMER, "--clip-to-aoi", *QUICK)
    assert done.returncode == 2
    assert done.stderr.strip().endswith(
        "clip_to_aoi reads parts of scenes, which Copernicus Data Space does not offer. Leave it out, or choose "
        "composite or earthsearch as raw_data_source."
    )
    with pytest.raises(ConfigError, match="clip_to_aoi reads the part of scenes that lies in an area of interest"):
        raise ConfigError(darts("inference", "sentinel2-sequential", "--tile-ids", "08WNB", "--clip-to-aoi").stderr)


def test_scenes_match_footprints_of_other_satellites(items):
    outline, day = ONE.place.geobox.footprint("EPSG:4326").geom.buffer(-0.002), ONE.place.time
    frame = gpd.GeoDataFrame({"date": [day, day]}, geometry=[outline, outline.buffer(-0.001)], crs="EPSG:4326")
    matches = CATALOG.match(frame, day_range=3, max_cloud_cover=10, min_intersects=0.7)
    assert [item.id for item in matches.values()] == [items["again"]["id"]] * 2
