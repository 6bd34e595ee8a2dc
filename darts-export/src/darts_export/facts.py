"""What one asks first of a mapped tile: how much ground was seen, how well, and how many slumps are on it."""

from dataclasses import asdict, dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
import xarray as xr

from darts_export.vector import missing_masks
from darts_utils.geodesy import ground_areas_m2
from darts_utils.tile import geobox_of

_CLEAR = 2
"""Quality of ground that is neither under cloud, haze or shadow nor under snow."""


@dataclass(frozen=True, kw_only=True)
class TileFacts:
    """Figures of a tile; None where it does not tell."""

    n_objects: int | None = None
    area_m2: float | None = None
    """Of all slumps, geodesic on WGS84."""
    observed_km2: float | None = None
    """Ground inside the extent: what the map speaks for."""
    clear_km2: float | None = None
    """Of it, ground of high quality."""
    cloudy_km2: float | None = None
    """Of it, ground under cloud, shadow, haze or snow."""
    features_missing: float | None = None
    """Share of it, 0 to 1, where a band that a model reads is missing."""

    def to_dict(self) -> dict[str, Any]:
        """Return the figures by name."""
        return asdict(self)


def tile_facts(tile: xr.Dataset, slumps: gpd.GeoDataFrame | None = None) -> TileFacts:
    """Return the figures of a tile.

    Areas of ground are numbers of pixels times the area on the ground of the one in the middle.

    Args:
        tile: A tile from `prepare_export`.
        slumps: Its slumps, as `segment_table` gives them.
    """
    found: dict[str, Any] = (
        {} if slumps is None else {"n_objects": len(slumps), "area_m2": float(slumps["area_m2"].sum())}
    )
    if "extent" not in tile:
        return TileFacts(**found)
    pixel_km2 = _middle_pixel_m2(tile) / 1e6
    extent = tile["extent"].values
    n_observed = int(np.count_nonzero(extent))
    ground: dict[str, Any] = {"observed_km2": n_observed * pixel_km2}
    if "quality_data_mask" in tile:
        clear = _count(extent, tile["quality_data_mask"].values == _CLEAR)
        ground |= {"clear_km2": clear * pixel_km2, "cloudy_km2": (n_observed - clear) * pixel_km2}
    if masks := missing_masks(tile, ""):
        union = np.logical_or.reduce([tile[name].values for name in masks])
        ground["features_missing"] = _count(extent, union) / n_observed if n_observed else 0.0
    return TileFacts(**found, **ground)


def _count(extent: np.ndarray, mask: np.ndarray) -> int:
    return int(np.count_nonzero(extent & mask))


def _middle_pixel_m2(tile: xr.Dataset) -> float:
    grid = geobox_of(tile)
    (height, width), (a, _, left, _, e, top) = grid.shape, grid.affine[:6]
    x, y = left + a * (width // 2), top + e * (height // 2)
    return float(ground_areas_m2([shapely.box(x, y + e, x + a, y)], str(grid.crs))[0])
