"""Outlines of masks and objects, with statistics of each, and what a reader needs when the table travels alone."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import xarray as xr

from darts_export import image
from darts_export.polygonize import polygonize
from darts_export.surroundings import THRESHOLDS, Objects, core_probabilities, ground_shares, sizes_above
from darts_utils.objects.geodesy import ground_areas_m2
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.row_blocks import for_each_row_block
from darts_utils.rasters.run_length import RunLengthEncoding, connected_components, run_length_encode
from darts_utils.tile import geobox_of

HIGH_QUALITY = 2
"""Quality of ground that is neither under cloud, haze or shadow nor under snow."""
STATISTICS = ("min", "max", "mean", "median", "std")


def segment_table(tile: xr.Dataset, suffix: str = "") -> gpd.GeoDataFrame:
    """Return the slumps of a tile, one row each, as `prediction_segments` holds them.

    Args:
        tile: A tile from `prepare_export`.
        suffix: Appended to the names of its bands, for the results of one model.

    Returns:
        The columns of `segments`; then `cut` bool, whether the extent or the edge of the tile cuts the slump (null
        where the tile does not tell), `area_m2` float64, geodesic on WGS84, `image_id` and `sensor` text, `acquired`
        text, the day of the image as YYYY-MM-DD (null if unknown), and `features_missing` float64, the share from 0 to
        1 of its pixels where a band that a model reads is missing (NaN where the tile does not tell), of several models
        the largest; `area_m2_t30 area_m2_t45 area_m2_t65 area_m2_t80` float64, its area at other thresholds (see
        `darts_export.surroundings.sizes_above`), `core_probability` float64 from 0 to 1, and `nodata_fraction
        snow_fraction water_fraction` (see `darts_export.surroundings.ground_shares`); and the geometry.
    """
    objects = tile[f"binarized_segmentation{suffix}"]
    found = _Found.of(objects)
    frame = _rows(found, objects, tile[f"probabilities{suffix}"])
    shapes = frame.pop("geometry")
    cut = tile.get(f"cut_segmentation{suffix}")
    frame["cut"] = pd.array([None] * found.number if cut is None else found.share(cut) > 0, dtype="boolean")
    missing = [found.share(tile[name]) for name in missing_masks(tile, suffix)]
    largest = np.max(missing, axis=0) if missing else np.full(found.number, np.nan)
    table = _with_origin(frame, shapes, tile, features_missing=largest)
    around = _surroundings(found.objects(), table, tile, suffix)
    return table.assign(**around)[[*table.columns.drop("geometry"), *around, "geometry"]]


def _surroundings(objects: Objects, table: gpd.GeoDataFrame, tile: xr.Dataset, suffix: str) -> dict[str, Array]:
    """Return the columns that say how far objects would reach, how sure they are and what is around them."""
    probabilities = tile[f"probabilities{suffix}"].values
    values = probabilities.ravel()[objects.pixels]
    pixel_m2 = table["area_m2"].to_numpy() / table["npixel"].to_numpy()
    areas = {name: sizes_above(objects, probabilities, values, t) * pixel_m2 for name, t in THRESHOLDS.items()}
    core = core_probabilities(objects, values)
    return {**areas, "core_probability": core, **ground_shares(objects, tile)}


def region_table(tile: xr.Dataset, name: str) -> gpd.GeoDataFrame:
    """Return the components of a bool band of a tile, one a row: `regions` with `area_m2 image_id sensor acquired`."""
    frame = regions(tile[name])
    return _with_origin(frame, frame.pop("geometry"), tile)


def observed_table(tile: xr.Dataset) -> gpd.GeoDataFrame:
    """Return the ground that was really seen, one row a component, with the columns of `region_table`.

    Args:
        tile: A tile from `prepare_export`. Ground was seen where it is in the `extent`, has a probability, and is of
            high quality (`quality_data_mask` 2): not under cloud, shadow, haze or snow. Of a tile without that mask
            nobody knows the quality, and its extent counts.
    """
    seen = tile["extent"].copy(data=np.empty(tile["extent"].shape, dtype=bool))
    into, of_rows = seen.values, seen_rows(tile)

    def look(rows: slice) -> None:
        into[rows] = of_rows(rows)

    for_each_row_block(look, len(into))
    return region_table(tile.assign(observed=seen), "observed")


def seen_rows(tile: xr.Dataset) -> Callable[[slice], Array]:
    """Return what tells where ground was really seen, (y, x) bool of some rows, see `observed_table`."""
    extent, probabilities = tile["extent"].values, tile["probabilities"].values
    quality = tile["quality_data_mask"].values if "quality_data_mask" in tile else None

    def look(rows: slice) -> Array:
        seen: Array = extent[rows] & ~np.isnan(probabilities[rows])
        if quality is not None:
            seen &= quality[rows] == HIGH_QUALITY
        return seen

    return look


def missing_masks(tile: xr.Dataset, suffix: str) -> list[str]:
    """Return the bands that say where the models behind a result lack a feature, one a model if they differ."""
    if f"features_missing{suffix}" in tile:
        own = [f"features_missing{suffix}"]
        return own if suffix else _of_models(tile) or own
    return ["features_missing"] if "features_missing" in tile else []


def _of_models(tile: xr.Dataset) -> list[str]:
    return [str(name) for name in tile.data_vars if str(name).startswith("features_missing-")]


def _with_origin(frame: pd.DataFrame, shapes: gpd.GeoSeries, tile: xr.Dataset, **columns: Array) -> gpd.GeoDataFrame:
    """Return rows with their areas, the image that they were seen in, further columns, and last their outlines."""
    frame["area_m2"] = ground_areas_m2(shapes.values, shapes.crs)
    told = {"image_id": image.image_id(tile), "sensor": image.sensor(tile), "acquired": image.acquired(tile)}
    for name, text in told.items():
        frame[name] = pd.array([text] * len(frame), dtype="string")
    return gpd.GeoDataFrame(frame.assign(**columns), geometry=shapes.values, crs=shapes.crs)


def segments(objects: xr.DataArray, probabilities: xr.DataArray) -> gpd.GeoDataFrame:
    """Return one row for each object of a mask, with its outline and statistics of the probabilities in it.

    Args:
        objects: (y, x) bool, True = slump.
        probabilities: (y, x) float32 from 0 to 1; NaN is left out of the statistics.

    Returns:
        `Region_ID` int32 from 1 on, `min`, `max`, `mean`, `median` and `std` (of all pixels, not of a sample) float64
        in percent, `npixel` int64 and the geometry, in the CRS of the tile. Pixels that touch at edges or corners are
        one object; its outline is valid, as a MultiPolygon where components touch at corners only.
    """
    return _rows(_Found.of(objects), objects, probabilities)


@dataclass(frozen=True)
class _Found:
    """The objects of a mask."""

    stretches: RunLengthEncoding
    labels: Array
    """(stretch,) which object each stretch belongs to, from 0 on."""
    number: int

    @classmethod
    def of(cls, objects: xr.DataArray) -> "_Found":
        stretches = run_length_encode(objects.values)
        return cls(stretches, *numbered(stretches))

    @cached_property
    def pixels(self) -> Array:
        """(pixel,) where their pixels are in the raveled mask."""
        return self.stretches.pixels()

    @cached_property
    def owners(self) -> Array:
        """(pixel,) the object that each pixel belongs to."""
        return np.repeat(self.labels, self.stretches.lengths)

    def objects(self) -> Objects:
        """Return what their surroundings are found from."""
        return Objects(self.pixels, self.owners, self.number, self.stretches.stride - 1)

    def share(self, mask: xr.DataArray) -> Array:
        """Return the share of the pixels of each object that a bool mask has, (object,) float64."""
        values = mask.values
        if not any(values.strides):  # the same everywhere, and a flat copy would take as much as a band
            return np.full(self.number, float(values.flat[0]))
        marked = values.ravel()[self.pixels]
        return np.bincount(self.owners[marked], minlength=self.number) / np.bincount(self.owners, minlength=self.number)


def _rows(found: _Found, objects: xr.DataArray, probabilities: xr.DataArray) -> gpd.GeoDataFrame:
    """Return outlines and statistics of objects, one row each."""
    grid, stretches = geobox_of(objects), found.stretches
    components, _ = connected_components(stretches, diagonal=False)
    values = probabilities.values.ravel()[found.pixels]
    columns: dict[str, Array] = {"Region_ID": np.arange(1, found.number + 1, dtype=np.int32)}
    columns |= object_statistics(found.owners, values, found.number)
    columns["npixel"] = np.bincount(found.labels, stretches.lengths, found.number).astype(np.int64)
    owners = found.labels[np.unique(components, return_index=True)[1]]
    shapes = _collected(polygonize(stretches, components, grid), owners, found.number)
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=str(grid.crs))


def regions(mask: xr.DataArray) -> gpd.GeoDataFrame:
    """Return one row for each component of a (y, x) bool mask that is connected by edges of pixels.

    Returns:
        `Region_ID` int32 from 1 on, numbered by the first pixel of each component in reading order, and the outline
        as a valid Polygon.
    """
    grid = geobox_of(mask)
    stretches = run_length_encode(mask.values)
    components, n_components = connected_components(stretches, diagonal=False)
    columns = {"Region_ID": np.arange(1, n_components + 1, dtype=np.int32)}
    return gpd.GeoDataFrame(columns, geometry=polygonize(stretches, components, grid), crs=str(grid.crs))


def object_statistics(labels: Array, probabilities: Array, n_objects: int) -> dict[str, Array]:
    """Return min, max, mean, median and std of the probabilities of each object, in percent.

    One sort puts the values of each object side by side in rising order; there is no loop over objects.

    Args:
        labels: (pixel,) number of the object that each value belongs to, from 0 on.
        probabilities: (pixel,) float32 from 0 on; NaN is left out.
        n_objects: How many objects there are.

    Returns:
        (n_objects,) float64 each; NaN for an object without a value.
    """
    objects, values = _sorted(labels, probabilities)
    count = np.bincount(objects, minlength=n_objects)
    first = np.cumsum(count) - count
    filled = count > 0
    result = {name: np.full(n_objects, np.nan) for name in STATISTICS}
    start, number = first[filled], count[filled]
    result["min"][filled], result["max"][filled] = values[start], values[start + number - 1]
    result["median"][filled] = (values[start + (number - 1) // 2] + values[start + number // 2]) / 2
    result["mean"][filled] = np.bincount(objects, values, n_objects)[filled] / number
    deviation = values - result["mean"][objects]  # in a second pass: a difference of squares would lose digits
    result["std"][filled] = np.sqrt(np.bincount(objects, deviation**2, n_objects)[filled] / number)
    return result


def _sorted(labels: Array, probabilities: Array) -> tuple[Array, Array]:
    """Return labels and known values in percent, float64, by label and then by value.

    Both are packed into one number, because numpy sorts whole numbers ten times as fast as pairs. The bits of numbers
    from 0 on rise with them.
    """
    known = np.isfinite(probabilities)
    bits = (probabilities[known].astype(np.float32) + np.float32(0)).view(np.uint32)  # adding 0 makes -0 to 0
    packed = np.sort((labels[known].astype(np.uint64) << 32) | bits)
    values = packed.astype(np.uint32).view(np.float32)
    return (packed >> 32).astype(np.intp), values.astype(np.float64) * 100


def numbered(stretches: RunLengthEncoding) -> tuple[Array, int]:
    """Return which object each stretch belongs to, from 0 on, and how many there are.

    They are numbered by their first block of 2 x 2 pixels row by row, as OpenCV does: earlier releases used it.
    """
    labels, n_objects = connected_components(stretches, diagonal=True)
    rows, columns = np.divmod(stretches.starts, stretches.stride)
    first_blocks = np.full(n_objects, np.iinfo(np.int64).max)
    np.minimum.at(first_blocks, labels, (rows // 2).astype(np.int64) * stretches.stride + columns // 2)
    numbers = np.empty(n_objects, dtype=np.intp)
    numbers[np.argsort(first_blocks)] = np.arange(n_objects)
    return numbers[labels], n_objects


def _collected(areas: Array, owners: Array, n_objects: int) -> Array:
    """Return the outline of each object from those of its components, which belong to `owners`."""
    order = np.argsort(owners, kind="stable")
    areas, owners = areas[order], owners[order]
    alone = np.bincount(owners, minlength=n_objects)[owners] == 1
    shapes = np.empty(n_objects, dtype=object)
    shapes[owners[alone]] = areas[alone]
    joined, index = np.unique(owners[~alone], return_inverse=True)
    if len(joined):
        shapes[joined] = shapely.multipolygons(areas[~alone], indices=index)
    return shapes
