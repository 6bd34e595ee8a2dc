"""Ground that was seen in each year, as the map shows it."""

from collections.abc import Iterator
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from darts.maps.ground import CRS
from darts.maps.shapes import compact

_MOST_NUMBERS = 250_000
"""Of a year: some 1 MB."""
_FIRST_M = 25.0


def look_files(looks: gpd.GeoDataFrame) -> Iterator[tuple[str, list[Any]]]:
    """Yield for each year the name of its file and the ground that any image saw, as `compact` returns shapes.

    Args:
        looks: `year` and geometry.
    """
    plane = looks.to_crs(CRS)
    for year in sorted({int(year) for year in plane["year"]}):
        shapes = plane.geometry[(plane["year"] == year).to_numpy()].dropna().to_numpy()
        coarse = shapely.make_valid(shapely.simplify(shapes, _FIRST_M))  # all in full would be too many points to join
        ground = np.array([one for one in coarse if not one.is_empty], dtype=object)
        parts = list(shapely.get_parts(shapely.union_all(ground)))
        areal = [part for part in parts if part.geom_type == "Polygon"]
        yield f"looks-{year}", compact(_largest(areal), _MOST_NUMBERS)


def _largest(parts: list[Any]) -> list[Any]:
    """Return parts, and where they are very many only the largest: each has some eight numbers at least."""
    return sorted(parts, key=lambda part: (-part.area, part.bounds))[: _MOST_NUMBERS // 10]
