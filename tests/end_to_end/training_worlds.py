"""What the tests of training data share: small worlds with label layers on disk, and how a data set is read."""

import json

import geopandas as gpd
import numpy as np
import pyarrow.parquet
import zarr

from darts.demo.labels import write_labels
from darts.demo.world.make import make_world
from darts.demo.world.planet import write_planet_world
from darts_utils.paths import DefaultPaths


def write_labelled_worlds(root, seeds, size=128):
    """Write worlds as Planet images with labels; return what the commands need to find them."""
    worlds = [make_world(seed, size) for seed in seeds]
    for world in worlds:
        write_planet_world(world, root)
        layers = write_labels(world, root)
    return worlds, {
        "default_dirs": DefaultPaths(fast_dir=root, large_dir=root),
        "labels_dir": layers.labels_dir,
        "offline": True,
        "device": "cpu",
    }


def read_set(folder):
    data = zarr.open_group(folder / "data.zarr", mode="r")
    return data["x"][:], data["y"][:], gpd.read_parquet(folder / "metadata.parquet")


def same_sets(one, other):
    (x, y, metadata), (other_x, other_y, other_metadata) = read_set(one), read_set(other)
    return np.array_equal(x, other_x) and np.array_equal(y, other_y) and metadata.equals(other_metadata)


def lengths(folder):
    """Return the lengths of x, y and metadata as their files say, 0 for one that is not there."""
    arrays = [folder / "data.zarr" / name / "zarr.json" for name in "xy"]
    table = folder / "metadata.parquet"
    return [
        *(json.loads(file.read_text())["shape"][0] if file.exists() else 0 for file in arrays),
        pyarrow.parquet.read_metadata(table).num_rows if table.exists() else 0,
    ]
