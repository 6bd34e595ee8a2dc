"""Selecting Sentinel-2 scenes."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import zarr
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts.pipelines.sources.scenes import SceneSource
from darts.pipelines.sources.selection import write_scene_ids
from darts_acquisition.optical.sentinel2.scene_store import SceneStore
from darts_utils.errors import ConfigError

A = "S2A_MSIL2A_20230701T194909_N0509_R128_T08WNB_20230702T014802"
B = "S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418"


def find(**selection):
    return Sentinel2Pipeline(**selection).source().find()


def test_ids_become_references_with_year_and_folder():
    refs = find(scene_ids=[A, B, A])
    assert [(ref.tile_id, ref.output_folder, ref.year) for ref in refs] == [(A, Path(A), 2023), (B, Path(B), 2024)]


def test_the_safe_of_a_product_folder_does_not_matter():
    assert find(scene_ids=[f"{A}.SAFE"]) == find(scene_ids=[A])


@pytest.mark.parametrize("text", [f'["{A}", "{B}"]', f"{A}\n\n  {B}\n", f'{{"{A}": 1, "{B}": 2}}'])
def test_ids_come_from_json_or_lines(tmp_path, text):
    (tmp_path / "ids").write_text(text)
    assert [ref.tile_id for ref in find(scene_id_file=tmp_path / "ids")] == [A, B]
    assert [ref.tile_id for ref in find(prep_data_scene_id_file=tmp_path / "ids", offline=True)] == [A, B]


FEATURES = [{"type": "Feature", "id": name, "properties": {}, "geometry": None} for name in (A, B)]


@pytest.mark.parametrize(
    "content",
    [
        {"type": "FeatureCollection", "features": FEATURES, "links": []},
        {"features": FEATURES, "numberMatched": 2, "type": "FeatureCollection", "stac_version": "1.0.0"},
        FEATURES,
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_saved_search_is_a_file_of_ids_whatever_wrote_it(tmp_path, content, encoding):
    (tmp_path / "found.json").write_bytes(json.dumps(content).encode(encoding))
    assert [ref.tile_id for ref in find(scene_id_file=str(tmp_path / "found.json"))] == [A, B]


def test_a_saved_item_is_one_id(tmp_path):
    (tmp_path / "item.json").write_text(json.dumps(FEATURES[0]))
    assert [ref.tile_id for ref in find(scene_id_file=tmp_path / "item.json")] == [A]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lines_of_ids_may_come_from_another_system(tmp_path, encoding):
    (tmp_path / "ids.txt").write_bytes(f"{A}\r\n{B}\r\n".encode(encoding))
    assert [ref.tile_id for ref in find(scene_id_file=tmp_path / "ids.txt")] == [A, B]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"type": "FeatureCollection", "features": null}', "holds no scene id. Name at least one scene."),
        ('{"type": "FeatureCollection"}', "holds no scene id. Name at least one scene."),
        (
            '[{"type": "Feature"}]',
            "holds None, which is no scene id. Use letters, digits, '_', '-', '.'.",
        ),
        (
            '["' + "x" * 300 + '"]',
            f"holds '{'x' * 59}..., which is no scene id. Use letters, digits, '_', '-', '.'.",
        ),
    ],
)
def test_a_saved_search_without_ids_is_one_line(tmp_path, text, message):
    (tmp_path / "found.json").write_text(text)
    with pytest.raises(ConfigError) as caught:
        find(scene_id_file=tmp_path / "found.json")
    assert str(caught.value) == f"scene_id_file {tmp_path / 'found.json'} {message}"


def test_json_that_is_nested_too_deeply_is_one_line(tmp_path):
    (tmp_path / "ids.json").write_text("[" * 100_000)
    with pytest.raises(ConfigError, match=r"ids\.json is not valid JSON \(.*\)\. Give a JSON list"):
        find(scene_id_file=tmp_path / "ids.json")


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (
            {},
            "no scenes are selected. Name them with --scene-ids or --scene-id-file, "
            "or search for them with --tile-ids or --aoi-file.",
        ),
        ({"scene_ids": []}, "scene_ids holds no scene id. Name at least one scene."),
        ({"scene_ids": "S2A"}, "scene_ids is 'S2A' but must be a list of ids. Write [...] around it."),
        (
            {"scene_ids": ["../../etc"]},
            "scene_ids holds '../../etc', which is no scene id. Use letters, digits, '_', '-', '.'.",
        ),
        (
            {"tile_ids": ["08WNB"], "offline": True},
            "tile_ids needs a search in the catalogue, which an offline run cannot do. Give --prep-data-scene-id-file "
            "as `darts prep-data` wrote it, or --scene-ids or --scene-id-file.",
        ),
        (
            {"aoi_file": Path("a.gpkg")},
            "aoi_file is given without dates, months or years, so all years would be searched and fetched. "
            "Give --start-date and --end-date, or --years and --months, or confirm with --yes.",
        ),
        (
            {"tile_ids": ["08WNB"], "scene_ids": [A]},
            "scene_ids and tile_ids both select scenes. Give one of them.",
        ),
        (
            {"tile_ids": ["08WNB"], "scene_ids": [A], "aoi_file": Path("a.gpkg")},
            "scene_ids, tile_ids, aoi_file all select scenes. Give one of them.",
        ),
    ],
)
def test_a_wrong_selection_is_one_clear_line(selection, message):
    with pytest.raises(ConfigError) as caught:
        find(**selection)
    assert str(caught.value) == message


def test_a_broken_file_of_ids_is_named(tmp_path):
    (tmp_path / "ids.json").write_text('["a",')
    with pytest.raises(ConfigError, match=r"scene_id_file .*ids\.json is not valid JSON \(.*\)\. Give a JSON list"):
        find(scene_id_file=tmp_path / "ids.json")
    with pytest.raises(ConfigError, match=r"scene_id_file .*none cannot be read"):
        find(scene_id_file=tmp_path / "none")


class FoundScenes:
    """A catalogue of two scenes, of which nothing can be fetched."""

    name = "cdse"
    asked = ()
    has_windows = False
    bands = ("B02_10m", "SCL_20m")

    def log_in(self, access):
        pass

    def search(self, query):
        return {A: "item a", B: "item b"}

    def take(self, item):
        return None

    def describe(self, scene_ids):
        self.asked = (*self.asked, *scene_ids)
        return {scene_id: f"item {scene_id}" for scene_id in scene_ids if scene_id != B}

    def size_bytes(self, item, bands):
        return 10 * len(bands)

    def grid(self, item):
        return GeoBox.from_bbox((500_000, 7_700_000, 501_000, 7_700_500), "EPSG:32608", resolution=10)


def found_source(**selection):
    source = SceneSource(Sentinel2Pipeline(**selection, no_raw_data_store=True))
    source.catalog = FoundScenes()
    return source


def test_what_a_search_found_is_not_asked_for_again():
    source = found_source(tile_ids=["08WNB"], years=[2024])
    refs = source.find()
    assert [ref.tile_id for ref in refs] == [A, B]
    assert source.to_fetch(refs) == {A: 20, B: 20}
    assert list(source.footprints(refs).tile_id) == [A, B]
    assert source.catalog.asked == ()


def test_a_source_for_other_processes_knows_only_the_scenes_that_they_are_to_fetch():
    source = found_source(tile_ids=["08WNB"], years=[2024])
    refs = source.find()
    assert source.fetching([B]).items == {B: "item b"}
    assert source.to_fetch(refs) == {A: 20, B: 20}
    assert source.catalog.asked == ()


def test_an_offline_run_takes_the_prepared_ids_instead_of_a_search(tmp_path):
    write_scene_ids(tmp_path / "ids.json", [B])
    refs = found_source(tile_ids=["08WNB"], offline=True, prep_data_scene_id_file=tmp_path / "ids.json").find()
    assert [ref.tile_id for ref in refs] == [B]


def test_a_scene_that_the_catalogue_no_longer_has_does_not_stop_the_others():
    source = found_source(scene_ids=[A, B])
    refs = source.find()
    assert source.to_fetch(refs) == {A: 20, B: 0}
    footprints = source.footprints(refs)
    assert list(footprints.tile_id) == [A]
    assert footprints.crs == "EPSG:3413"
    assert footprints.area.iloc[0] == pytest.approx(500_000, rel=0.1)


def test_an_unbounded_search_goes_on_when_it_is_confirmed(monkeypatch):
    assert len(found_source(tile_ids=["08WNB"], yes=True).find()) == 2
    monkeypatch.setattr("darts.utils.terminal.confirm", lambda question: "all years" in question)
    assert len(found_source(tile_ids=["08WNB"]).find()) == 2


OLDER = "S2B_MSIL2A_20240720T200909_N0400_R128_T08WNB_20240721T000000"


@pytest.fixture
def catalogue(monkeypatch):
    """A catalogue that has the take of B twice."""
    ground = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]}
    found = {name: SimpleNamespace(id=name, geometry=ground) for name in (A, OLDER, B)}
    monkeypatch.setattr("darts_acquisition.optical.cdse.catalog.CdseScenes.search", lambda *_: found)


def test_of_the_same_take_twice_a_search_maps_the_best_and_names_the_other(catalogue, caplog):
    caplog.set_level("WARNING")
    assert [ref.tile_id for ref in find(tile_ids=["08WNB"], years=[2024])] == [A, B]
    assert caplog.messages == [
        "1 older processings of takes that are mapped are left out (to map them, name them with --scene-ids): " + OLDER
    ]


def test_ids_given_by_hand_are_all_mapped(catalogue, caplog):
    caplog.set_level("WARNING")
    assert [ref.tile_id for ref in find(scene_ids=[B, OLDER])] == [B, OLDER]
    assert caplog.messages == []


def test_a_plan_goes_on_with_a_damaged_scene_and_one_in_a_local_crs(tmp_path, caplog):
    """They fail when they are loaded, each alone."""
    damaged, local, sound = A, OLDER, B
    store = SceneStore(tmp_path, "cdse")
    band = wrap_xr(
        np.ones((4, 5), np.uint16), GeoBox.from_bbox((5e5, 7.7e6, 5e5 + 50, 7.7e6 + 40), "EPSG:32608", shape=(4, 5))
    )
    for scene_id in (damaged, local, sound):
        store.write(scene_id, {"B02_10m": band, "SCL_20m": band.astype(np.uint8)}, {})
    (store.path(damaged) / "zarr.json").write_text("{")
    reference = zarr.open_group(store.path(local), mode="r+")["spatial_ref"]
    reference.attrs["crs_wkt"] = 'LOCAL_CS["unknown",UNIT["metre",1]]'
    source = Sentinel2Pipeline(scene_ids=[damaged, local, sound], raw_data_store=tmp_path, offline=True).source()
    refs = source.find()
    caplog.set_level("WARNING")
    assert list(source.footprints(refs).tile_id) == [sound]
    assert set(source.to_fetch(refs)) == {damaged, local, sound}
    said = " ".join(caplog.messages)
    assert f"the outline of scene {damaged} is unknown: the staged scene" in said
    assert f"the outline of scene {local} is unknown: the grid of the staged scene" in said
    assert "but a projected CRS in metres is needed." in said
