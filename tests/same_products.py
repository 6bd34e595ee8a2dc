"""Results of two runs, compared as the promise to users says: equal but for the last digits of networks.

Those depend on how many threads a network has. So probabilities, and the spread of the models that is made of them, may
differ by a step of one percent at one pixel in ten thousand, and what is measured on objects by as little; masks and
polygons are the same.
"""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import xarray as xr

STEP, MOST = 1, 1e-4
OF_NETWORKS = ("probabilities", "uncertainty")
NODATA = 255


def assert_same_product(path, other):
    """Compare a file of one run with that of another."""
    if path.name == "prediction_density.parquet":
        return assert_same_sums(path, other)
    assert_same = {
        ".tif": assert_same_raster,
        ".nc": assert_same_tile,
        ".gpkg": assert_same_objects,
        ".parquet": assert_same_objects,
        ".json": assert_same_metadata,
    }
    return assert_same.get(path.suffix, assert_same_bytes)(path, other)


def assert_same_folder(folder, other):
    """Compare all files of a scene, or of the scenes of a Planet tile."""
    files = _files(folder)
    assert files == _files(other)
    assert files
    for file in files:
        assert_same_product(folder / file, other / file)


def _files(folder):
    """Return all files but what GDAL leaves beside a GeoPackage that it has read."""
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".xml")


def assert_same_raster(path, other):
    with rasterio.open(path) as ours, rasterio.open(other) as theirs:
        assert (ours.profile, ours.tags()) == (theirs.profile, theirs.tags())
        assert (ours.dataset_mask() == theirs.dataset_mask()).all(), path
        if path.name.startswith(OF_NETWORKS):
            assert_within_a_step(ours.read(), theirs.read(), path)
        else:
            np.testing.assert_array_equal(ours.read(), theirs.read(), str(path))


def assert_same_tile(path, other):
    ours, theirs = (xr.load_dataset(file, mask_and_scale=False) for file in (path, other))
    percents = [name for name in ours.data_vars if str(name).startswith(OF_NETWORKS)]
    xr.testing.assert_equal(ours.drop_vars(percents), theirs.drop_vars(percents))
    for name in percents:
        assert ((ours[name] == NODATA) == (theirs[name] == NODATA)).all()
        assert_within_a_step(ours[name].values, theirs[name].values, path)


def assert_within_a_step(ours, theirs, what):
    """Percent of two runs are those of the same networks."""
    difference = np.abs(ours.astype(float) - theirs.astype(float))
    assert difference.max() <= STEP, what
    assert (difference > 0).mean() <= MOST, what


def assert_same_objects(path, other):
    read = gpd.read_file if path.suffix == ".gpkg" else gpd.read_parquet
    ours, theirs = read(path), read(other)
    assert ours.crs == theirs.crs
    assert ours.geometry.geom_equals(theirs.geometry).all(), path
    pd.testing.assert_frame_equal(ours.drop(columns="geometry"), theirs.drop(columns="geometry"), rtol=1e-4)


def assert_same_sums(path, other):
    pd.testing.assert_frame_equal(pd.read_parquet(path), pd.read_parquet(other), rtol=1e-3)


def assert_same_metadata(path, other):
    ours, theirs = (json.loads(file.read_text()) for file in (path, other))
    for record in (ours, theirs):
        del record["DARTS_exportdate"], record["DARTS_device"]
        record["DARTS_cubes"] = sorted(record["DARTS_cubes"])  # a snapshot is that of one filling of a cube
        record["area_m2"] = round(record["area_m2"])
    assert ours == theirs


def assert_same_bytes(path, other):
    assert path.read_bytes() == other.read_bytes(), path
