"""`darts search` asks real catalogues, without a model or a key, and its answer is what maps take."""

import json
from urllib.parse import urlsplit

import catalogue_items
import cv2
import earthengine_items
import geopandas as gpd
import pytest
import shapely
from faults import FaultProxy

from darts.cli import app, config_parser
from darts.pipelines.sources.selection import read_scene_ids
from darts.utils import terminal
from darts_acquisition.services.retry import Limiter, Service

ITEMS = {item["id"]: item for item in catalogue_items.items()}
ANY = ("--max-cloud-cover", "100", "--max-snow-cover", "100")


@pytest.fixture
def asked(catalogue, monkeypatch, tmp_path):
    """The catalogue behind a counter of requests, without limits; no key is anywhere."""
    proxy = FaultProxy(urlsplit(catalogue).port)
    monkeypatch.setenv("DARTS_CDSE_STAC_URL", proxy.url)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    service = Service(name="Copernicus catalogue", advice="Try later.", limiter=Limiter(connections=4))
    monkeypatch.setattr("darts_acquisition.optical.cdse.catalog.CdseScenes.service", service)
    yield proxy
    proxy.close()


@pytest.fixture
def search(capfd):
    def run(*words):
        for cached in (terminal.output_console, terminal.error_console):
            cached.cache_clear()
        config_parser.__init__()
        config_parser.root_app = app
        words = ["search", "sentinel2", *map(str, words)]
        code = app.meta(words, result_action="return_value", exit_on_error=False)
        out, err = capfd.readouterr()
        return code or 0, out, err

    return run


def tile_with_scenes():
    tiles = [item["properties"]["grid:code"][5:] for item in ITEMS.values()]
    return max(sorted(set(tiles)), key=tiles.count)


def test_scenes_are_told_with_what_one_chooses_by(asked, search, tmp_path):
    tile = tile_with_scenes()
    code, out, _ = search("--tile-ids", tile, "--start-date", "2015-01-01", *ANY)
    there = {scene_id for scene_id, item in ITEMS.items() if item["properties"]["grid:code"][5:] == tile}
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == f"Copernicus Data Space: tiles {tile}, 2015-01-01 to today"
    told = {line.split(": ")[0] for line in lines if line.startswith("S2")}
    assert told
    assert told <= there
    assert f"{len(told)} scenes of " in out
    assert {path.name for path in tmp_path.iterdir()} <= {"logs"}, "nothing was asked to be written"


def test_the_answer_is_geojson_that_a_map_takes(asked, search, tmp_path):
    area = tmp_path / "area.gpkg"
    tile = tile_with_scenes()
    shape = next(
        shapely.geometry.shape(i["geometry"]) for i in ITEMS.values() if i["properties"]["grid:code"][5:] == tile
    )
    gpd.GeoDataFrame(geometry=[shape.buffer(0.2)], crs=4326).to_file(area)
    words = ("--aoi-file", area, "--years", "2016-2024", "--months", "6-9", *ANY)
    code, out, _ = search(*words, "--out", "found.geojson", "--picture", "found.png")
    assert code == 0
    assert "months 6, 7, 8, 9 of years 2016, 2017" in out
    assert " % lie in at least one of them" in out
    answer = json.loads((tmp_path / "found.geojson").read_text())
    ids = [feature["id"] for feature in answer["features"]]
    assert read_scene_ids(tmp_path / "found.geojson", "scene_id_file") == ids
    for feature in answer["features"]:
        item = ITEMS[feature["id"]]
        assert feature["properties"]["cloud_cover"] == item["properties"].get("eo:cloud_cover")
        assert feature["properties"]["datetime"][:10] == item["properties"]["datetime"][:10]
        assert feature["properties"]["n_bytes"] > 0
        assert int(feature["properties"]["datetime"][5:7]) in range(6, 10)
    times = [feature["properties"]["datetime"] for feature in answer["features"]]
    assert times == sorted(times)
    picture = cv2.imread(str(tmp_path / "found.png"))
    assert picture.shape[0] > 500
    blue, red = picture[..., 0].astype(int), picture[..., 2].astype(int)
    assert (blue - red > 60).sum() > 300, "outlines of scenes"
    assert (red - blue > 100).sum() > 300, "the area"
    _, printed, _ = search(*words, "--json")
    assert json.loads(printed) == answer
    search(*words, "--out", "ids.txt")
    assert (tmp_path / "ids.txt").read_text().split() == ids


def test_scenes_of_ids_are_described(asked, search):
    chosen = sorted(ITEMS)[:2]
    _, out, _ = search("--scene-ids", *chosen, "--json")
    assert {feature["id"] for feature in json.loads(out)["features"]} == set(chosen)


def test_an_empty_answer_says_what_to_do(asked, search):
    code, out, _ = search("--tile-ids", "01CDE", "--years", "2024")
    assert code == 0
    assert "no scene. Widen dates, cloud or snow cover." in out
    _, out, _ = search("--scene-ids", "S2B_MSIL2A_20200101T000000_N0500_R001_T01CDE_20200101T000000")
    assert "none of them is in the catalogue. Check the ids." in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no scenes are selected"),
        (("--tile-ids", "99XXX"), "99XXX in tile_ids is no MGRS tile"),
        (("--tile-ids", "08WNB", "--months", "13"), "months contains 13"),
        (("--tile-ids", "08WNB", "--out", "found.shp"), "out is found.shp, but must end with .geojson, .json, .txt"),
        (("--tile-ids", "08WNB", "--picture", "found.jpg"), "picture is found.jpg, but must end with .png"),
        (("--tile-ids", "08WNB", "--model-files", "x.pt"), "`darts search sentinel2` has no option --model-files"),
    ],
)
def test_what_is_wrong_is_said_before_anybody_is_asked(asked, search, words, said):
    before = len(asked.requests)
    code, _, error = search(*words)
    assert code == 2
    assert said in " ".join(error.split())
    assert len(asked.requests) == before


def test_earth_engine_answers_alike(earthengine, search, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    there = earthengine_items.fill(earthengine)
    ids = sorted(there)[:3]
    code, out, _ = search("--raw-data-source", "gee", "--scene-ids", *ids, "--json")
    assert code == 0
    features = json.loads(out)["features"]
    assert {feature["id"] for feature in features} == set(ids)
    for feature in features:
        said = feature["properties"]
        assert said["source"] == "gee"
        properties = there[feature["id"]][1]
        assert said["cloud_cover"] == properties.get("CLOUDY_PIXEL_PERCENTAGE")
        assert said["datetime"][:4] in feature["id"]
        assert shapely.geometry.shape(feature["geometry"]).area > 0
