"""Small training sets that can be learned within seconds: slumps are blotches that are red, steep and bare."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from darts_segmentation.training import PatchSet, TrainDatasetBuilder

BANDS = ("red", "nir", "ndvi", "slope", "aspect", "hillshade", "tc_wetness")
SIZE = 64
PLACE_M = 20_000


def make_set(folder: Path, regions: int = 4, samples: int = 2, tile_px: int = 128, seed: int = 1) -> PatchSet:
    """Write a training set: regions far from each other, in each some images of the same ground."""
    builder = TrainDatasetBuilder(
        folder, SIZE, 0, BANDS, exclude_nopositive=False, exclude_nan=True, settings={"kind": "sentinel2"}
    )
    for region in range(regions):
        for sample in range(samples):
            tile, labels = make_tile(seed * 1000 + region * 10 + sample, region, tile_px)
            builder.add_tile(tile, labels, f"Region {region}", f"image-{region}-{sample}")
    builder.finalize()
    return PatchSet(folder)


def make_tile(seed: int, region: int, size: int) -> tuple[xr.Dataset, gpd.GeoSeries]:
    """Return a tile with some slumps, and their outlines."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    slumps = [(rng.uniform(8, size - 8), rng.uniform(8, size - 8), rng.uniform(4, 9)) for _ in range(5)]
    inside = np.any([(y - cy) ** 2 + (x - cx) ** 2 < r**2 for cy, cx, r in slumps], axis=0)

    def band(background: float, in_slumps: float, noise: float) -> tuple[tuple[str, str], np.ndarray]:
        values = np.where(inside, in_slumps, background) + rng.normal(0, noise, inside.shape)
        return ("y", "x"), values.astype(np.float32)

    layers = {
        "red": band(0.06, 0.16, 0.02),
        "nir": band(0.3, 0.22, 0.03),
        "ndvi": band(0.6, 0.15, 0.1),
        "slope": band(6, 14, 2),
        "aspect": band(120, 200, 30),
        "hillshade": band(0.5, 0.6, 0.05),
        "tc_wetness": (("y", "x"), np.where(inside, 150, 120).astype(np.uint8)),
        "quality_data_mask": (("y", "x"), np.full(inside.shape, 2, np.uint8)),
    }
    left = 400_000 + region * PLACE_M
    geobox = GeoBox.from_bbox((left, 7_700_000, left + 10 * size, 7_700_000 + 10 * size), "EPSG:32608", resolution=10)
    tile = xr.Dataset(layers, coords=xr_coords(geobox), attrs={"azimuth": 170.0, "elevation": 35.0})
    points = [shapely.Point(*(geobox.affine * (cx + 0.5, cy + 0.5))).buffer(10 * r) for cy, cx, r in slumps]
    return tile, gpd.GeoSeries(points, crs="EPSG:32608")
