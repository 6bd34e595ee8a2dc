"""What one asks first of a mapped tile: how much ground was seen, how well, and how many slumps are on it."""

from dataclasses import asdict, dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
import xarray as xr

from darts_export.vector import HIGH_QUALITY, missing_masks
from darts_utils.objects.geodesy import ground_areas_m2
from darts_utils.rasters.row_blocks import for_each_row_block
from darts_utils.tile import geobox_of


@dataclass(frozen=True, kw_only=True)
class TileFacts:
    """Figures of a tile; None where it does not tell."""

    n_objects: int | None = None
    area_m2: float | None = None
    """Of all slumps, geodesic on WGS84."""
    observed_km2: float | None = None
    """Ground inside the extent that has a probability: what the map speaks for."""
    clear_km2: float | None = None
    """Of it, ground of high quality."""
    cloudy_km2: float | None = None
    """Of it, ground under cloud, shadow, haze or snow."""
    features_missing: float | None = None
    """Share of the ground inside the extent, 0 to 1, where a band that a model reads is missing, so that it judges
    without it or, if that is an optical one, not at all."""

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
    counts = _counts(tile)
    ground: dict[str, Any] = {"observed_km2": counts.observed * pixel_km2}
    if "quality_data_mask" in tile:
        cloudy = counts.observed - counts.clear
        ground |= {"clear_km2": counts.clear * pixel_km2, "cloudy_km2": cloudy * pixel_km2}
    if missing_masks(tile, ""):
        ground["features_missing"] = counts.missing / counts.inside if counts.inside else 0.0
    return TileFacts(**found, **ground)


@dataclass(frozen=True, kw_only=True)
class _Counts:
    """Numbers of pixels."""

    inside: int
    """In the extent."""
    observed: int
    """Of them, with a probability."""
    clear: int
    """Of these, of high quality."""
    missing: int
    """In the extent, without a probability or a band that a model reads."""


def _counts(tile: xr.Dataset) -> _Counts:
    """Count the pixels of a tile on all cores; what it does not have is nowhere."""
    extent = tile["extent"].values
    probabilities = tile["probabilities"].values if "probabilities" in tile else None
    quality = tile["quality_data_mask"].values if "quality_data_mask" in tile else None
    masks = [tile[name].variable for name in missing_masks(tile, "")]
    parts: list[tuple[int, ...]] = []

    def count(rows: slice) -> None:
        inside = extent[rows]
        known = inside if probabilities is None else inside & ~np.isnan(probabilities[rows])
        clear = known[:0] if quality is None else known & (quality[rows] == HIGH_QUALITY)
        lacking = inside & ~known
        for mask in masks:
            lacking |= mask[rows].values & inside
        parts.append(tuple(map(np.count_nonzero, (inside, known, clear, lacking))))

    for_each_row_block(count, len(extent))
    inside, observed, clear, missing = map(int, np.sum(parts, axis=0))
    return _Counts(inside=inside, observed=observed, clear=clear, missing=missing)


def _middle_pixel_m2(tile: xr.Dataset) -> float:
    grid = geobox_of(tile)
    (height, width), (a, _, left, _, e, top) = grid.shape, grid.affine[:6]
    x, y = left + a * (width // 2), top + e * (height // 2)
    return float(ground_areas_m2([shapely.box(x, y + e, x + a, y)], str(grid.crs))[0])
