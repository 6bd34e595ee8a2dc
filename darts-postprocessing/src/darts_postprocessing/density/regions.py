"""Administrative regions that ground and slumps are added up over."""

import geopandas as gpd
import numpy as np
import shapely

from darts_postprocessing.inventory.plane import PLANE_CRS, straightened, to_plane
from darts_utils.crs import checked_crs, transformed
from darts_utils.errors import DataError
from darts_utils.rasters.arrays import Array

NO_REGION = "No Region"


class Regions:
    """Named polygons, compared in the plane, which has no seam; borders that are straight in their own CRS stay there.

    Args:
        layer: Polygons in any CRS, with longitudes beyond 180 degrees too; several of one name are one region. One
            without rows, as is read of a file that lies elsewhere, has no region anywhere.
        column: With the names.
        where: What the layer is, for messages.

    Raises:
        DataError: If it has no such column, or rows but no polygon.
        GridError: If it has no CRS, or one that cannot be used.
    """

    def __init__(self, layer: gpd.GeoDataFrame, column: str, where: str) -> None:
        if column not in layer:
            known = ", ".join(str(name) for name in layer.columns if name != layer.geometry.name)
            raise DataError(f"{where} has no column {column}, but {known}. Name the one with the regions.")
        checked_crs(layer.crs, where)
        shapes = layer.geometry.to_numpy()
        drawn = layer[(shapely.get_dimensions(shapes) == 2) & ~shapely.is_empty(shapes)]
        drawn = drawn.set_geometry(gpd.GeoSeries(straightened(drawn.geometry.to_numpy(), layer.crs), drawn.index))
        moved = transformed(drawn.set_crs(layer.crs), str(PLANE_CRS), where)
        moved = moved[~shapely.is_missing(moved.geometry.to_numpy())]
        if moved.empty and len(layer):
            raise DataError(f"{where} has no polygons. Give a layer of regions.")
        self._shapes = to_plane(moved.geometry.to_numpy(), PLANE_CRS)
        self._names = moved[column].fillna(NO_REGION).astype(str).to_numpy(dtype=object)
        self._tree = shapely.STRtree(self._shapes)

    def groups(self, x: Array, y: Array) -> tuple[Array]:
        """Return the names of the regions in which places of the plane lie, (place,); on a border the first one."""
        points = shapely.points(x, y)
        names = np.full(len(points), NO_REGION, dtype=object)
        if not len(points):
            return (names,)
        near = np.sort(self._tree.query(shapely.box(*shapely.total_bounds(points))))
        of_region, of_point = shapely.STRtree(points).query(self._shapes[near], predicate="intersects")
        order = np.argsort(-of_region, kind="stable")  # the first region is written last
        names[of_point[order]] = self._names[near[of_region[order]]]
        return (names,)
