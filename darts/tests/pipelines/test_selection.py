"""Selecting Sentinel-2 scenes."""

from pathlib import Path

import pytest

from darts.pipelines.sentinel2 import Sentinel2Pipeline
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


def test_ids_on_the_command_line_come_before_the_file(tmp_path):
    assert [ref.tile_id for ref in find(scene_ids=[A], scene_id_file=tmp_path / "none")] == [A]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({}, "no scenes are selected. Name them with --scene-ids or --scene-id-file."),
        ({"scene_ids": []}, "scene_ids holds no scene id. Name at least one scene."),
        (
            {"scene_ids": ["../../etc"]},
            "scene_ids holds '../../etc', which is no scene id. Use letters, digits, '_', '-', '.'.",
        ),
        (
            {"tile_ids": ["08WNB"]},
            "tile_ids needs a search in the catalogue, which is in the network half of DARTS, not yet in this release. "
            "Name the scenes with --scene-ids or --scene-id-file.",
        ),
        (
            {"aoi_file": Path("a.gpkg")},
            "aoi_file needs a search in the catalogue, which is in the network half of DARTS, not yet in this release. "
            "Name the scenes with --scene-ids or --scene-id-file.",
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


def test_earth_engine_says_that_it_needs_the_network_half():
    with pytest.raises(ConfigError, match="raw_data_source is 'gee', which needs the network half of DARTS"):
        find(raw_data_source="gee", scene_ids=[A])
