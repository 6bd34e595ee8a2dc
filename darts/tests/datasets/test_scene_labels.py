"""Slumps that were drawn on Sentinel-2 scenes themselves: the scene is known, nothing is searched for."""

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from darts.datasets.build.layers import Layer
from darts.datasets.build.pipelines import Sentinel2TrainingData
from darts.datasets.build.sentinel2 import Sentinel2Collector

SCENE = "S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418"


def layer(kind, image_id, datasource):
    rows = {"image_id": [image_id], "date": [pd.Timestamp("2024-07-20")], "datasource": [datasource], "dropped": [""]}
    return Layer(kind, gpd.GeoDataFrame(rows, geometry=[shapely.box(-135, 69, -134.9, 69.1)], crs="EPSG:4326"), 1)


@pytest.fixture
def collected(tmp_path, monkeypatch):
    """Collect one image; return the collection and the images that were searched for."""

    def collect(image_id, datasource):
        searched = []
        monkeypatch.setattr(
            Sentinel2Collector, "_matches", lambda self, images: searched.extend(i.image_id for i in images) or {}
        )
        data = Sentinel2TrainingData(labels_dir=tmp_path, train_data_dir=tmp_path / "set", offline=True).with_paths()
        labels, footprints = (layer(kind, image_id, datasource) for kind in ("labels", "footprints"))
        return Sentinel2Collector(data).collect(labels, footprints), searched

    return collect


@pytest.mark.parametrize("image_id", [SCENE, "S2B_8WNB_20240720_0_L2A", "20230701T194909_20230701T195350_T11XNA"])
def test_the_id_of_a_scene_is_that_scene(collected, image_id):
    collection, searched = collected(image_id, "whatever")
    assert searched == []
    ((ref, (sample,)),) = collection.samples.items()
    assert (ref.tile_id, sample.sample_id) == (image_id, image_id)
    assert sample.metadata == {"s2_id": image_id, "planet_id": ""}
    assert collection.source.parameters.scene_ids == [image_id]


@pytest.mark.parametrize("image_id", ["20240720_201112_93_2416", "my Sentinel image", "S2B_something"])
def test_any_other_image_is_searched_for_whatever_it_is_called(collected, image_id):
    collection, searched = collected(image_id, "Sentinel-2")
    assert searched == [image_id]
    assert not collection.samples
