"""Parameters of the pipelines on Ray: those of the sequential ones, some more, and older names."""

from dataclasses import fields
from pathlib import Path

import pytest

from darts.pipelines.planet import PlanetPipeline
from darts.pipelines.ray.pipelines import PlanetRayPipeline, Sentinel2RayPipeline
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts_utils.errors import ConfigError

NEW = {"num_cpus", "devices", "ray_address"}
OLDER = {"aoi_shapefile", "input_cache"}


@pytest.mark.parametrize(
    ("on_ray", "plain", "more"),
    [(Sentinel2RayPipeline, Sentinel2Pipeline, NEW | OLDER), (PlanetRayPipeline, PlanetPipeline, NEW)],
)
def test_the_parameters_are_those_of_the_sequential_pipeline_and_a_few_more(on_ray, plain, more):
    assert {field.name for field in fields(on_ray)} == {field.name for field in fields(plain)} | more
    assert on_ray().pipeline_name == plain().pipeline_name, "each goes on where the other stopped"


def test_older_names_mean_those_of_today(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Sentinel2RayPipeline(aoi_shapefile=Path("area.shp"), input_cache=Path("scenes")).with_paths()
    assert (run.aoi_file, run.raw_data_store) == (tmp_path / "area.shp", tmp_path / "scenes")
    assert (run.aoi_shapefile, run.input_cache) == (None, None)
    assert run.selector == "aoi_file"
    assert run.with_paths() == run
    with pytest.raises(ConfigError, match=r"^scene_ids and aoi_file both select scenes\. Give one of them\.$"):
        Sentinel2RayPipeline(aoi_shapefile=Path("area.shp"), scene_ids=["S2B_x"]).with_paths()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"aoi_file": Path("a"), "aoi_shapefile": Path("b")},
         "aoi_shapefile is the older name of aoi_file, and both are given. Give one of them."),
        ({"num_cpus": 0}, "num_cpus is 0 but must be positive. Use 1 or more."),
        ({"devices": []}, "devices is empty. Name at least one GPU, or leave it out to use all."),
        ({"devices": [0, -1]}, "devices is -1 but must not be negative. Use 0 or more."),
    ],
)  # fmt: skip
def test_wrong_parameters_are_told(given, message):
    with pytest.raises(ConfigError) as caught:
        Sentinel2RayPipeline(**given)
    assert str(caught.value) == message


def test_locations_mean_the_same_on_every_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = PlanetRayPipeline(output_data_dir=Path("out"), model_files=[Path("m.pt")]).with_paths()
    assert run.output_data_dir == tmp_path / "out"
    assert run.model_files == [tmp_path / "m.pt"]
    assert run.scenes_dir.is_absolute()
