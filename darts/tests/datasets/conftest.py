"""A small training set by the contract, made by hand."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
import tomli_w
import zarr

BANDS = [
    *("red", "green", "blue", "nir", "ndvi", "relative_elevation", "slope", "aspect", "hillshade", "curvature"),
    *("tc_brightness", "tc_greenness", "tc_wetness"),
]
N, SIZE = 7, 24
REGIONS = ["Inuvik", "Inuvik", "Inuvik", "Yukon", "Yukon", "No Region", "No Region"]


def patches(seed=0):
    """Return x and y: slumps in patches 1, 3 and 4, cloud in 4 and 5, nothing but background in 0, 2 and 6."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.1, 0.9, (N, len(BANDS), SIZE, SIZE)).astype(np.float32)
    y = np.zeros((N, SIZE, SIZE), np.uint8)
    y[1, 3:9, 4:12] = 1
    y[3, 10:20, 2:6] = 1
    y[4, 0:5, 0:5] = 1
    y[4:6, 12:] = 2
    return x, y


def table(y):
    """Return the metadata of patches along 70 degrees north, across the antimeridian."""
    west = [178.6 + 0.4 * n for n in range(N)]
    west = [degrees if degrees < 180 else degrees - 360 for degrees in west]
    rows = {
        "z_idx": range(N), "patch_id": [f"scene_{n}" for n in range(N)], "region": REGIONS, "sample_id": "scene",
        "empty": [not (label == 1).any() for label in y], "x": 0.0, "y": 0.0, "patch_idx_x": range(N),
        "patch_idx_y": 0, "planet_id": "scene",
    }  # fmt: skip
    return gpd.GeoDataFrame(rows, geometry=[shapely.box(d, 70, d + 0.1, 70.05) for d in west], crs="EPSG:4326")


def write(folder, x, y, metadata, *, config=None, shards=False, write_empty_chunks=True):
    folder.mkdir(parents=True, exist_ok=True)
    group = zarr.open_group(folder / "data.zarr", mode="w")
    for name, values in (("x", x), ("y", y)):
        whole = (1, *values.shape[1:])
        half = (*whole[:-1], max(whole[-1] // 2, 1))
        sizes = {"chunks": half, "shards": whole} if shards else {"chunks": whole}
        options = {"config": {"write_empty_chunks": write_empty_chunks}}
        group.create_array(name, shape=values.shape, dtype=values.dtype, **sizes, **options)[:] = values
    metadata.to_parquet(folder / "metadata.parquet")
    given = {"darts": {"create": {"bands": BANDS}}} if config is None else config
    (folder / "config.toml").write_text(tomli_w.dumps(given))
    return folder


@pytest.fixture
def make_set(tmp_path):
    """Function that writes a set; what is given replaces its sound parts."""

    def make(name="set", *, x=None, y=None, metadata=None, **options):
        good_x, good_y = patches()
        y = good_y if y is None else y
        return write(
            tmp_path / name, good_x if x is None else x, y, table(good_y) if metadata is None else metadata, **options
        )

    return make
