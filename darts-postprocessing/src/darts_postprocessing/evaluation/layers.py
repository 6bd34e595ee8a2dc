"""Layers of outlines as an evaluation takes them: in the plane, with what was searched and which region is where."""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from darts_postprocessing.inventory import robust
from darts_postprocessing.inventory.overlay import unions
from darts_postprocessing.inventory.plane import straightened, to_plane
from darts_utils.crs import EQUAL_AREA
from darts_utils.errors import DataError
from darts_utils.rasters.arrays import Array

BLOCK_M = 10_000
UNKNOWN = "unknown"
"""The name of a region or tier that nothing tells."""
_POLYGONS = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)


@dataclass(frozen=True, kw_only=True)
class Searched:
    """The ground that was searched for slumps."""

    polygons: Array | None = None
    """(polygon,) in the plane; None: everywhere was searched."""
    regions: Array | None = None
    """(polygon,) text, the region of each; None where the layer tells none."""

    def holds(self, points: Array) -> Array:
        """Return which points lie in it or on its border, (point,) bool."""
        if self.polygons is None:
            return np.ones(len(points), dtype=bool)
        found, _ = shapely.STRtree(self.polygons).query(points, predicate="intersects")
        return np.isin(np.arange(len(points)), found)

    def clipped(self, shapes: Array) -> Array:
        """Return the part of each shape that was searched, (shape,) polygons and multipolygons, some empty."""
        if self.polygons is None:
            return shapes
        ground = robust.union_all(self.polygons)
        shapely.prepare(ground)
        result: Array = shapes.copy()
        cut = np.flatnonzero(~shapely.covers(ground, shapes))
        parts, owners = shapely.get_parts(robust.intersection(shapes[cut], ground), return_index=True)
        areal = shapely.get_dimensions(parts) == 2
        result[cut] = unions(parts[areal], owners[areal], len(cut))
        return result


def outlines_in_plane(layer: gpd.GeoDataFrame, name: str) -> gpd.GeoDataFrame:
    """Return a layer in the plane.

    Args:
        layer: Polygons and multipolygons in any CRS. Rows without an outline are no objects.
        name: What the layer is, for messages: `predictions`, for example.

    Returns:
        Its rows with an outline, numbered from 0 on, with their columns; outlines valid, in `geometry`, in
        `EQUAL_AREA`; and `row` int64, the place of each row in the layer.

    Raises:
        DataError: If the layer has no outlines or CRS, or a row is no polygon or off the map.
    """
    if layer.active_geometry_name is None or layer.crs is None:
        raise DataError(f"the layer of {name} has no outlines or no CRS. Give a layer of polygons with a CRS.")
    shapes = layer.geometry.to_numpy()
    rows = np.flatnonzero(~(shapely.is_missing(shapes) | shapely.is_empty(shapes)))
    wrong = rows[~np.isin(shapely.get_type_id(shapes[rows]), _POLYGONS)]
    if len(wrong):
        kind = shapes[wrong[0]].geom_type
        raise DataError(f"row {wrong[0]} of the {name} is a {kind}, but must be a polygon. Leave such rows out.")
    columns = pd.DataFrame(layer.drop(columns=layer.active_geometry_name)).iloc[rows].reset_index(drop=True)
    try:
        outlines = to_plane(shapes[rows], layer.crs)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    return gpd.GeoDataFrame(columns.assign(row=rows), geometry=outlines, crs=EQUAL_AREA)


def searched_ground(layer: gpd.GeoDataFrame | None) -> Searched:
    """Return the ground that a layer says was searched; without a layer, everywhere.

    Its long edges are cut into short ones first, because a parallel is no straight line in the plane.

    Raises:
        DataError: If the layer has no outlines or CRS, or a row is no polygon.
    """
    if layer is None:
        return Searched()
    if layer.active_geometry_name is not None and layer.crs is not None:
        edges = straightened(layer.geometry.to_numpy(), layer.crs)
        layer = layer.set_geometry(gpd.GeoSeries(edges, index=layer.index, crs=layer.crs))
    table = outlines_in_plane(layer, "searched areas")
    regions = names_in(table, "region") if "region" in table else None
    return Searched(polygons=table.geometry.to_numpy(), regions=regions)


def names_in(table: pd.DataFrame, column: str) -> Array:
    """Return a column as names, (row,) text, `UNKNOWN` where it is null."""
    return np.array([UNKNOWN if pd.isna(value) else str(value) for value in table[column]], dtype=object)


def without_background(layer: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the rows that are slumps: not `Negative` in a column `TrainClass` (ARTS), where null is a slump too."""
    return layer if "TrainClass" not in layer else layer[names_in(layer, "TrainClass") != "Negative"]


def blocks_of(points: Array) -> Array:
    """Return the block of the plane, of `BLOCK_M` by `BLOCK_M`, in which each point lies.

    Returns:
        (point,) text: kilometres east and north of the pole of its lower left corner, such as `-2000 1010`.
    """
    corners = (shapely.get_coordinates(points) // BLOCK_M).astype(np.int64) * BLOCK_M // 1000
    return np.array([f"{x} {y}" for x, y in corners], dtype=object)


class RegionsOf:
    """Tells in which region points lie.

    The regions of the searched polygons count; where those tell none, that of the nearest reference, whatever its
    class.
    """

    def __init__(self, searched: Searched, references: gpd.GeoDataFrame) -> None:
        self.of_searched = searched.regions is not None
        """Whether the searched polygons tell regions."""
        self.are_told = self.of_searched or "region" in references
        """Whether any layer tells regions."""
        self._shapes = np.empty(0, dtype=object)
        self._names = np.empty(0, dtype=object)
        if searched.polygons is not None and searched.regions is not None:
            self._shapes, self._names = searched.polygons, searched.regions
        elif self.are_told:
            self._shapes, self._names = references.geometry.to_numpy(), names_in(references, "region")

    def at(self, points: Array) -> Array:
        """Return the region in which each point of the plane lies, (point,) text; of several the first one."""
        found = np.full(len(points), UNKNOWN, dtype=object)
        tree = shapely.STRtree(self._shapes)
        if self.of_searched:
            of_point, near = tree.query(points, predicate="intersects")
        else:
            of_point, near = tree.query_nearest(points)
        order = np.lexsort((-near, of_point))  # of several the first is written last
        found[of_point[order]] = self._names[near[order]]
        return found
