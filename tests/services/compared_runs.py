"""What two runs made and asked of the served worlds, compared: results, scenes, datacubes, requests."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import smart_geocubes
from odc.geo.geobox import GeoBox
from same_products import assert_same_folder

from darts_acquisition.auxiliary.cube import open_cube
from darts_acquisition.optical.sentinel2.scene_store import SceneStore

CUBES = {"arcticdem_10m": (smart_geocubes.ArcticDEM10m, ["dem", "datamask"], 160),
         "TCTrend2024": (smart_geocubes.TCTrend2024, ["TCB_slope", "TCG_slope", "TCW_slope"], 80)}  # fmt: skip
"""Accessor, layers, and edge of a chunk; real ones have 3600 x 3600 pixels, which would make the tests slow."""


def bands_asked(requests):
    """Return scene and band of each request for a file of the storage, in order."""
    found = [re.search(r"([^/]+)\.SAFE/(\w+)\.jp2", path) for method, path in requests if method == "GET"]
    return [(match[1], match[2]) for match in found if match is not None]


def pixels_asked(requests):
    return sum(path.split("?")[0].endswith("computePixels") for _, path in requests)


def results_of(home, results="sentinel2-cdse"):
    folder = home / "output" / results
    table = pd.read_parquet(max(folder.glob("*.results.parquet"))).sort_values("tile_id", ignore_index=True)
    table = table.drop(columns=["started", "seconds", "host"])
    return table.assign(output_path=[Path(path).name for path in table.output_path])


def assert_same_results(one, other, scene_ids, results="sentinel2-cdse"):
    pd.testing.assert_frame_equal(results_of(one, results), results_of(other, results))
    for scene_id in scene_ids:
        assert_same_folder(*(home / "output" / results / scene_id for home in (one, other)))
    assert not list((other / "output").rglob(".*part-*"))


def assert_same_scenes(one, other, scene_ids):
    stores = [SceneStore(home / "input/sentinel2/cdse-scenes", "cdse") for home in (one, other)]
    assert stores[0].scene_ids() == stores[1].scene_ids() == scene_ids
    for scene_id in scene_ids:
        scenes = [store.open(scene_id) for store in stores]
        assert scenes[0].bands == scenes[1].bands
        assert all(scenes[0].read(band).equals(scenes[1].read(band)) for band in scenes[0].bands)


def assert_same_cubes(one, other, world):
    for name, (accessor, layers, _) in CUBES.items():
        cubes = [open_cube(home / f"aux/{name}.icechunk", accessor.extent, "") for home in (one, other)]
        assert len(cubes[0].patches) > 3
        assert sorted(cubes[0].patches) == sorted(cubes[1].patches)
        around = world.place.geobox.pad(40).footprint(str(accessor.extent.crs), npoints=50).boundingbox
        part = GeoBox.from_bbox(around, around.crs, resolution=accessor.extent.resolution.x)
        windows = [
            cube.read(dict.fromkeys(layers, "fubi"), accessor.extent[accessor.extent.overlap_roi(part)])
            for cube in cubes
        ]
        assert windows[0].equals(windows[1])
        assert len(np.unique(windows[0][layers[0]])) > 20
