"""The plain way to do each step, with the libraries that one would reach for: what ratios are counted from.

Change nothing here without need: a ratio is to mean the same next year. What makes a scene of these steps is in
`plain_scene`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS
from rasterio.features import shapes
from rasterio.warp import Resampling, reproject

from darts_utils.bands import manager
from darts_utils.grid import crs_of
from darts_utils.rasters.arrays import Array

XARRAY_SPATIAL = "xarray-spatial"
CONVOLUTION = "xarray-spatial, convolution with the disk"
NUMPY = "NumPy over whole arrays"
XARRAY = "xarray, store read whole to float32"
GDAL = "GDAL, cubic, one thread"
FOOTPRINT = "scikit-image, erosion with a footprint"
SCIKIT_IMAGE = "scikit-image, step by step"
REGIONPROPS = "regionprops + shapes"
PATCH_LOOP = "patch loop that holds all patches"
GTIFF = "rasterio, GTiff with LZW, float32"
GEOPANDAS = "geopandas, row by row"
THUMBNAIL = "stretch at full size, then shrink"
NO_OVERLAP = "one stage after the other"
RECORDS = "pathlib and json, folder by folder"
COMPOSITION = "composition of the plain steps"


def relative_elevation(heights: Array, radius_px: int) -> Array:
    """Return (y, x) float32, heights minus the mean of the disk; NaN near the edge and near holes."""
    from xrspatial.convolution import circle_kernel, convolve_2d

    kernel = circle_kernel(1, 1, radius_px)
    mean: Array = convolve_2d(heights, kernel / kernel.sum())
    return heights - mean


def terrain(dem: xr.DataArray, band: str, sun: tuple[float, float] = (225.0, 25.0)) -> xr.DataArray:
    """Return a terrain band of xarray-spatial; directions count from grid north, `sun` is azimuth and elevation."""
    import xrspatial

    if band == "hillshade":  # its rows run from south to north
        return xrspatial.hillshade(dem[::-1], azimuth=sun[0], angle_altitude=sun[1])[::-1]
    made: xr.DataArray = getattr(xrspatial, band)(dem)
    return made


def ndvi(red: Array, nir: Array) -> Array:
    """Return the index of two reflectances, float32."""
    r, n = np.clip(red, 0, 1), np.clip(nir, 0, 1)
    with np.errstate(invalid="ignore"):
        index: Array = (n - r) / (n + r)
    return index


def normalized(values: Array, low: float, high: float) -> Array:
    """Return float32 from 0 to 1 over a range, NaN as 0."""
    model = (values.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    return np.nan_to_num(np.clip(model, 0, 1), copy=False, nan=0.0)


def read_scene(path: Path, bands: Mapping[str, str], classes: str) -> xr.Dataset:
    """Return a raw scene read whole: reflectance float32 with NaN for no data, classes, and quality uint8 0..2.

    Args:
        path: The zarr group.
        bands: What to call each band.
        classes: Name of the scene classification.
    """
    # not by the store's own fill value, which would make the classification float32 as well
    raw = xr.open_zarr(path, consolidated=False, mask_and_scale=False, chunks=None, decode_coords="all").load()
    seen = raw[classes] != 0
    tile = {}
    for band, name in bands.items():
        numbers = raw[band]
        scaled = numbers.astype(np.float32) * numbers.attrs["raster:scale"] + numbers.attrs["raster:offset"]
        tile[name] = scaled.where((numbers != 0) & seen).astype(np.float32)
    best = raw[classes].isin([2, 4, 5, 6, 7, 10])
    none = raw[classes].isin([0, 1])
    tile["quality_data_mask"] = xr.where(none, 0, xr.where(best, 2, 1)).astype(np.uint8)
    return xr.Dataset({**tile, "s2_scl": raw[classes]}, attrs=raw.attrs)


def warped(values: Array, source: GeoBox, target: GeoBox, nodata: float | None) -> Array:
    """Return (band, y, x) of the dtype of the (band, y, x) values, on another grid."""
    out = np.zeros((len(values), *target.shape), dtype=values.dtype)
    reproject(
        values,
        out,
        src_transform=source.affine,
        src_crs=_crs(source),
        src_nodata=nodata,
        dst_transform=target.affine,
        dst_crs=_crs(target),
        dst_nodata=nodata,
        resampling=Resampling.cubic,
        num_threads=1,
    )
    return out


def eroded(mask: Array, radius_px: int) -> Array:
    """Return a (y, x) bool mask without what lies near its False; beyond the image counts as True."""
    from skimage.morphology import disk, erosion

    left: Array = erosion(mask, disk(radius_px), mode="max")
    return left


def objects_inside(candidates: Array, valid: Array, min_size: int) -> Array:
    """Return the 8-connected objects on valid ground that are large enough, (y, x) bool."""
    from skimage.measure import label
    from skimage.morphology import remove_small_objects

    inside = label(candidates & valid, connectivity=2)
    kept: Array = remove_small_objects(inside, max_size=min_size - 1) > 0
    return kept


def whole_folders(folders: Sequence[Path], n_files: int) -> list[bool]:
    """Return which folders have so many files, none empty, and a record with a fingerprint."""
    return [
        sum(path.stat().st_size > 0 for path in folder.iterdir()) == n_files
        and "DARTS_fingerprint" in json.loads((folder / "darts_inference.json").read_text())
        for folder in folders
    ]


def object_rows(objects: Array, probabilities: Array, grid: GeoBox) -> gpd.GeoDataFrame:
    """Return a row an object with its outline and statistics in percent, made one by one."""
    from skimage.measure import label, regionprops

    labels = label(objects, connectivity=2).astype(np.int32)
    found = shapes(labels, mask=objects, connectivity=8, transform=grid.affine)
    outlines = {int(value): shapely.geometry.shape(outline) for outline, value in found}
    rows = [
        {
            "Region_ID": region.label,
            "min": region.intensity_min,
            "max": region.intensity_max,
            "mean": region.intensity_mean,
            "median": region.intensity_median,
            "std": region.intensity_std,
            "npixel": region.num_pixels,
            "geometry": outlines[region.label],
        }
        for region in regionprops(labels, probabilities * 100)
    ]
    return gpd.GeoDataFrame(pd.DataFrame(rows, columns=[*_COLUMNS, "geometry"]), geometry="geometry", crs=str(grid.crs))


_COLUMNS = ("Region_ID", "min", "max", "mean", "median", "std", "npixel")


def outlines(mask: Array, grid: GeoBox) -> gpd.GeoDataFrame:
    """Return a row a connected part of a (y, x) bool mask."""
    found = shapes(mask.astype(np.uint8), mask=mask, connectivity=4, transform=grid.affine)
    parts = [shapely.geometry.shape(outline) for outline, _ in found]
    return gpd.GeoDataFrame({"Region_ID": range(1, len(parts) + 1)}, geometry=parts, crs=str(grid.crs))


def model_input(tile: xr.Dataset, bands: Sequence[str]) -> Array:
    """Return (band, y, x) float32, what networks see of a whole tile."""
    return np.stack([normalized(tile[name].values, *manager[name].valid_range) for name in bands])


def segmented(bands: Array, models: Sequence[Any], patch: int, overlap: int, batch: int) -> Array:
    """Return the mean probabilities of some networks, (y, x) float32, from patches that are all held at once.

    Args:
        bands: (band, y, x) float32, what networks see.
        models: The networks.
        patch: Edge of a patch; at most that of the image.
        overlap: What neighbours share.
        batch: Patches that go through a network at once.
    """
    import torch

    height, width = bands.shape[1:]
    corners = [(y, x) for y in _starts(height, patch, overlap) for x in _starts(width, patch, overlap)]
    patches = torch.stack([torch.from_numpy(bands[:, y : y + patch, x : x + patch]) for y, x in corners])
    with torch.inference_mode():
        parts = [torch.stack([torch.sigmoid(model(some)[:, 0]) for model in models]) for some in patches.split(batch)]
    return _blended(corners, torch.cat(parts, dim=1).mean(dim=0).numpy(), (height, width))


def _starts(length: int, patch: int, overlap: int) -> list[int]:
    return [*range(0, length - patch, patch - overlap), length - patch]


def _blended(corners: Iterable[tuple[int, int]], parts: Array, shape: tuple[int, int]) -> Array:
    """Return patches put together, weighted with a map that is highest in their middle."""
    total, weight = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    patch = parts.shape[-1]
    ramp = np.sin(np.pi * (np.arange(patch) + 0.5) / patch) ** 2
    window = np.outer(ramp, ramp).astype(np.float32)
    for (y, x), part in zip(corners, parts, strict=True):
        total[y : y + patch, x : x + patch] += part * window
        weight[y : y + patch, x : x + patch] += window
    return total / weight


def write_raster(values: Array, grid: GeoBox, path: Path) -> None:
    """Write a (y, x) band as float32."""
    profile = {"height": values.shape[0], "width": values.shape[1], "transform": grid.affine, "crs": _crs(grid)}
    with rasterio.open(path, "w", driver="GTiff", count=1, dtype="float32", compress="LZW", **profile) as raster:
        raster.write(values.astype(np.float32), 1)


def write_table(frame: gpd.GeoDataFrame, path: Path) -> None:
    """Write a table as GeoPackage and as GeoParquet, from rows that are gone through one by one."""
    rows = [dict(row) for _, row in frame.iterrows()]
    again = gpd.GeoDataFrame(pd.DataFrame(rows, columns=frame.columns), geometry="geometry", crs=frame.crs)
    again.to_file(path.with_suffix(".gpkg"), driver="GPKG")
    again.to_parquet(path.with_suffix(".parquet"))


def write_thumbnail(tile: xr.Dataset, path: Path, longest_px: int = 1280) -> None:
    """Write true colour, stretched between percentiles, as JPEG."""
    colours = np.stack([tile[name].values for name in ("blue", "green", "red")], axis=-1)
    low, high = np.nanpercentile(colours, [1, 99])
    picture = (255 * np.clip(np.nan_to_num((colours - low) / (high - low)), 0, 1)).astype(np.uint8)
    scale = min(1.0, longest_px / max(picture.shape))
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    path.write_bytes(cv2.imencode(".jpg", small)[1].tobytes())


def one_after_the_other(stages: Sequence[Any], works: Iterable[Any]) -> None:
    """Bring tiles through all stages, each tile after the one before it is done."""
    for work in works:
        for stage in stages:
            work = stage.run(work)


def _crs(grid: GeoBox) -> CRS:
    return CRS.from_wkt(crs_of(grid).to_wkt())
