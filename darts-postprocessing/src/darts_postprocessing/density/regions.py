"""Administrative regions that ground and slumps are added up over."""

import geopandas as gpd
import numpy as np
import shapely

from darts_postprocessing.inventory.plane import LONGLAT_CRS, PLANE_CRS
from darts_utils.crs import transformed, transformer
from darts_utils.errors import DataError
from darts_utils.rasters.arrays import Array

NO_REGION = "No Region"


class Regions:
    """Named polygons, compared in longitude and latitude, where borders along parallels are straight.

    Args:
        layer: Polygons in any CRS; several of one name are one region.
        column: With the names.
        where: What the layer is, for messages.

    Raises:
        DataError: If it has no such column, no polygon, or no CRS.
    """

    def __init__(self, layer: gpd.GeoDataFrame, column: str, where: str) -> None:
        if column not in layer:
            known = ", ".join(str(name) for name in layer.columns if name != layer.geometry.name)
            raise DataError(f"{where} has no column {column}, but {known}. Name the one with the regions.")
        moved = transformed(layer[layer.geometry.notna()], str(LONGLAT_CRS), where)
        if moved.empty:
            raise DataError(f"{where} has no polygons. Give a layer of regions.")
        self._shapes = shapely.make_valid(moved.geometry.to_numpy())
        self._names = moved[column].fillna(NO_REGION).astype(str).to_numpy(dtype=object)
        self._tree = shapely.STRtree(self._shapes)

    def groups(self, x: Array, y: Array) -> tuple[Array]:
        """Return the names of the regions in which places of the plane lie, (place,); on a border the first one."""
        longitudes, latitudes = transformer(PLANE_CRS, LONGLAT_CRS).transform(x, y)
        points = shapely.points(longitudes, latitudes)
        names = np.full(len(points), NO_REGION, dtype=object)
        if not len(points):
            return (names,)
        near = np.sort(self._tree.query(shapely.box(*shapely.total_bounds(points))))
        of_region, of_point = shapely.STRtree(points).query(self._shapes[near], predicate="intersects")
        order = np.argsort(-of_region, kind="stable")  # the first region is written last
        names[of_point[order]] = self._names[near[of_region[order]]]
        return (names,)
