"""Outlines and statistics of the objects that were found in a raster of percents."""

import geopandas as gpd
import numpy as np
import shapely
from odc.geo.geobox import GeoBox

from darts_export.polygonize import polygonize
from darts_export.repolygonize.histograms import Histograms
from darts_export.repolygonize.holes import without_small_holes
from darts_export.repolygonize.rules import Outlining
from darts_export.repolygonize.scan import Scan
from darts_export.surroundings import THRESHOLDS, WITHIN_FROM
from darts_export.vector import numbered
from darts_utils.errors import GridError
from darts_utils.grid import pixel_size_m
from darts_utils.objects.geodesy import ground_areas_m2
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.run_length import RunLengthEncoding, connected_components


def outlined(found: Scan, grid: GeoBox, rules: Outlining) -> gpd.GeoDataFrame:
    """Return one row for each object of a raster of percents.

    Holes are closed first; then objects that are too small go; then outlines are simplified.

    Args:
        found: What was found in the raster, at the threshold of the rules.
        grid: Where the raster lies.
        rules: What is kept, and how it is drawn.

    Returns:
        `Region_ID` int32 from 1 on; `min max mean median std` float64 in percent, of the pixels above the threshold;
        `npixel` int64, with those of closed holes; `cut` bool, whether the object touches the border of the raster or,
        at an edge or corner, a pixel without data; `area_m2` float64, geodesic on WGS84, of the outline as it is drawn;
        `area_m2_t65 area_m2_t80` float64, the part of it above 65 and 80 percent; `core_probability` float64 from 0
        to 1; the geometry, valid, in the CRS of the raster. All from whole percents.

    Raises:
        GridError: If outlines are to be simplified, and the grid is not in metres.
    """
    stretches = without_small_holes(found.stretches, grid, rules.close_holes_m2)
    labels, number = numbered(stretches)
    shapes = _shapes(stretches, labels, grid)
    areas_m2 = ground_areas_m2(shapes, str(grid.crs))
    kept = areas_m2 >= rules.min_area_m2
    frame = gpd.GeoDataFrame(_columns(found, stretches, labels, number), geometry=shapes, crs=str(grid.crs))
    pixel_m2 = areas_m2 / frame["npixel"].to_numpy()
    for name in (name for name, threshold in THRESHOLDS.items() if threshold > WITHIN_FROM):
        frame[name] *= pixel_m2
    frame = frame[kept].reset_index(drop=True)
    frame.insert(0, "Region_ID", np.arange(1, len(frame) + 1, dtype=np.int32))
    drawn = simplified(shapes[kept], grid, rules.simplify_m)
    frame.insert(frame.columns.get_loc("cut") + 1, "area_m2", ground_areas_m2(drawn, str(grid.crs)))
    moved: gpd.GeoDataFrame = frame.set_geometry(gpd.GeoSeries(drawn, crs=str(grid.crs)))
    return moved[[*moved.columns.drop("geometry"), "geometry"]]


def _columns(found: Scan, stretches: RunLengthEncoding, labels: Array, number: int) -> dict[str, Array]:
    """Return statistics of objects; areas at other thresholds are numbers of pixels."""
    histograms = Histograms.of(found.counts, labels[stretches.at(found.counts.places)], number)
    cut = np.zeros(number, dtype=bool)
    cut[labels[stretches.at(found.cut)]] = True
    columns = histograms.statistics()
    columns["npixel"] = np.bincount(labels, stretches.lengths, number).astype(np.int64)
    columns["cut"] = cut
    for name, threshold in THRESHOLDS.items():
        if threshold > WITHIN_FROM:  # below, also ground counts that is no candidate
            columns[name] = histograms.sizes_above(100 * threshold).astype(np.float64)
    columns["core_probability"] = histograms.core_probabilities()
    return columns


def _shapes(stretches: RunLengthEncoding, labels: Array, grid: GeoBox) -> Array:
    """Return the outline of each object, a MultiPolygon where its components touch at corners only."""
    components, number = connected_components(stretches, diagonal=False)
    if not number:
        return np.empty(0, dtype=object)
    owners = labels[np.unique(components, return_index=True)[1]]
    order = np.argsort(owners, kind="stable")
    shapes = shapely.multipolygons(polygonize(stretches, components, grid)[order], indices=owners[order])
    return np.asarray(np.where(np.bincount(owners) == 1, shapely.get_geometry(shapes, 0), shapes))


def simplified(shapes: Array, grid: GeoBox, simplify_m: float) -> Array:
    """Return outlines with fewer corners, moved by no more than a distance (twice it where rings begin); all valid.

    Each is simplified for itself, so that neighbours may come to overlap a little. Where none but a broken outline is
    found, as of parts that touch at corners, the outline stays as it was.

    Raises:
        GridError: If the grid is not in metres.
    """
    if simplify_m == 0:
        return shapes
    try:
        pixel_size_m(grid)
    except GridError as error:
        raise GridError(f"outlines are simplified in metres, but {error}") from error
    simpler = shapely.simplify(shapes, simplify_m, preserve_topology=True)
    is_sound = shapely.is_valid(simpler) & ~shapely.is_empty(simpler)
    return np.where(is_sound, simpler, shapes)
