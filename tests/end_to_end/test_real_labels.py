"""Real slumps, digitised by people, go the whole way of labels; every row is accounted for."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from darts.datasets.build.layers import read_layers
from darts.datasets.build.matching import match
from darts_segmentation.training import burn_labels


def write_iteration(folder, name, labels, footprints):
    (folder / name).mkdir(parents=True)
    labels.to_file(folder / name / f"TrainingLabels_{name}.gpkg", driver="GPKG")
    footprints.to_file(folder / name / f"ImageFootprints_{name}.gpkg", driver="GPKG")


def footprints_of(labels):
    """Return a footprint around the labels of each image; the real ones are not public."""
    boxes = labels.assign(geometry=labels.geometry.make_valid()).dissolve("image_id").geometry.envelope
    return gpd.GeoDataFrame({"image_id": boxes.index}, geometry=boxes.values, crs=labels.crs)


@pytest.fixture
def nitze(shared_data):
    return gpd.read_file(shared_data / "labels" / "nitze2021" / "GT_Set_Nitze_etal_2021_TrainingSet_RTS.shp")


@pytest.fixture
def nicu(shared_data, tmp_path):
    import zipfile

    with zipfile.ZipFile(shared_data / "labels" / "nicu2021_svalbard.zip") as archive:
        for part in archive.namelist():
            (tmp_path / part.rsplit("/", 1)[-1]).write_bytes(archive.read(part))
    slumps = gpd.read_file(tmp_path / "thaw_slides.shp")
    return gpd.GeoDataFrame({"image_id": "20110801_120000_svalbard"}, index=slumps.index, geometry=slumps.geometry)


def accounted(layer):
    return sum(n for what, n in layer.tally() if f"{layer.kind} used" in what or "dropped" in what)


def test_all_rows_of_two_real_collections_are_accounted_for(nitze, nicu, tmp_path):
    labels_dir = tmp_path / "labels"
    write_iteration(labels_dir, "iteration001", nitze, footprints_of(nitze))
    write_iteration(labels_dir, "svalbard", nicu, footprints_of(nicu))
    labels, footprints = read_layers(labels_dir)
    result = match(labels, footprints)
    account = dict(result.labels.tally())
    assert len(result.labels.rows) == 2182 + len(nicu) == accounted(result.labels) == 2182 + 562
    assert accounted(result.footprints) == len(footprints.rows) == 143
    assert account["labels repaired: invalid outline"] >= 4
    assert len(result.images) == 143
    assert sum(len(image.labels) for image in result.images) == account["labels used"]
    assert account["labels used"] > 2700
    for image in result.images:
        assert image.labels.is_valid.all()
        assert image.date.year in range(2011, 2020)


def test_real_slumps_lie_on_the_pixels_whose_centres_they_hold(nitze, tmp_path):
    image_id = nitze.image_id.value_counts().index[0]
    labels_dir = tmp_path / "labels"
    write_iteration(labels_dir, "iteration001", nitze, footprints_of(nitze))
    images = {image.image_id: image for image in match(*read_layers(labels_dir)).images}
    image = images[image_id]
    crs = image.labels.estimate_utm_crs()
    west, south, east, north = image.labels.to_crs(crs).iloc[:20].total_bounds
    grid = GeoBox((400, 400), Affine((east - west) / 400, 0, west, 0, (south - north) / 400, north), str(crs))
    x, y = np.meshgrid(*(grid.coordinates[axis].values for axis in ("x", "y")))
    expected = shapely.contains_xy(image.labels.to_crs(crs).union_all(), x, y)
    burned = burn_labels(grid, image.labels)
    assert expected.sum() > 50
    assert np.mean(burned.astype(bool) != expected) < 1e-4
