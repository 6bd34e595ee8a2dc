"""What STAC tells of a raster, read from the file itself: grid, data type, and statistics of each band."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from pyproj import CRS
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError
from shapely.geometry.base import BaseGeometry

from darts_export.publish.stac.facts import Band
from darts_utils.crs import LONGLAT, checked_grid, transformer
from darts_utils.errors import DataError, one_line
from darts_utils.objects.antimeridian import polygons, wrapped
from darts_utils.objects.geodesy import ground_areas_m2

_PIECES = 8
"""An edge of a tile is cut into so many, because it bends in longitude and latitude."""
_DECIMALS = 7
"""Of degrees: a centimetre, as RFC 7946 advises."""
_STATISTICS_DECIMALS = 6
_PLAIN = {MaskFlags.nodata, MaskFlags.all_valid}
_TYPES = frozenset(
    {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"}
)


@dataclass(frozen=True)
class Described:
    """What is told of a raster."""

    fields: dict[str, Any]
    """Those of its asset: of `projection`, `raster` and of data values."""
    outline: BaseGeometry
    """In longitude and latitude, cut at the antimeridian."""


def describe_raster(file: Path, bands: Sequence[Band]) -> Described:
    """Return what STAC tells of a raster; its pixels are read in blocks.

    Args:
        file: A GeoTIFF.
        bands: What its bands hold, in order.

    Raises:
        DataError: If it cannot be read, has another number of bands, or does not say where on Earth it lies.
    """
    try:
        with rasterio.open(file, driver="GTiff") as raster:
            if raster.count != len(bands):
                raise DataError(f"{file} has {raster.count} bands, but {len(bands)} are described. Describe each.")
            grid = checked_grid(raster.shape, raster.transform[:6], raster.crs, str(file))
            outline = outline_of(raster.bounds, raster.crs.to_wkt())
            fields = {
                **_projection(raster, CRS.from_wkt(raster.crs.to_wkt())),
                **_values(raster),
                "bands": [_band(raster, index, band) for index, band in enumerate(bands, start=1)],
                "raster:sampling": "point" if raster.tags().get("AREA_OR_POINT") == "Point" else "area",
                "raster:spatial_resolution": _resolution_m(grid, outline),
            }
    except RasterioError as error:
        raise DataError(f"{file} cannot be read ({one_line(error)}). Write it again.") from error
    return Described(fields, outline)


def outline_of(bounds: Sequence[float], crs: str) -> BaseGeometry:
    """Return a box of a CRS as polygons in longitude and latitude, cut at the antimeridian, anticlockwise.

    Args:
        bounds: West, south, east and north.
        crs: What pyproj takes as a CRS.
    """
    west, south, east, north = bounds
    box = shapely.segmentize(shapely.box(west, south, east, north), max(east - west, north - south) / _PIECES)
    bent = shapely.transform(box, lambda points: np.column_stack(transformer(crs, LONGLAT).transform(*points.T)))
    shape = shapely.transform(wrapped(bent, projected=True), lambda points: np.round(points, _DECIMALS))
    return shapely.orient_polygons(shapely.union_all(polygons(shape)), exterior_cw=False)


def _projection(raster: Any, crs: CRS) -> dict[str, Any]:
    authority = crs.to_authority()
    code = {"proj:code": ":".join(authority)} if authority else {"proj:code": None, "proj:wkt2": crs.to_wkt()}
    return {
        **code,
        "proj:shape": list(raster.shape),
        "proj:transform": list(raster.transform[:6]),
        "proj:bbox": list(raster.bounds),
    }


def _values(raster: Any) -> dict[str, Any]:
    kinds = set(raster.dtypes)
    fields: dict[str, Any] = {"data_type": kinds.pop() if len(kinds) == 1 and kinds <= _TYPES else "other"}
    if raster.nodata is not None:
        fields["nodata"] = raster.nodata if math.isfinite(raster.nodata) else str(raster.nodata)
    return fields


def _band(raster: Any, index: int, band: Band) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": band.name, "description": band.description}
    if band.unit is not None:
        fields["unit"] = band.unit
    scale, offset = raster.scales[index - 1], raster.offsets[index - 1]
    if (scale, offset) != (1.0, 0.0):
        fields |= {"raster:scale": scale, "raster:offset": offset}
    return {**fields, "statistics": _statistics(raster, index)}


def _statistics(raster: Any, index: int) -> dict[str, Any]:
    """Return statistics of the stored values of a band, its pixels without data left out."""
    if raster.dtypes[index - 1] == "uint8" and set(raster.mask_flag_enums[index - 1]) <= _PLAIN:
        return _of_bytes(raster, index)
    n, mean, squares, low, high = 0, 0.0, 0.0, math.inf, -math.inf
    for _, window in raster.block_windows(index):
        block = raster.read(index, window=window, masked=True).compressed().astype(np.float64)
        block = block[np.isfinite(block)]
        if block.size:  # combined as in Chan, Golub and LeVeque (1983), doi:10.1080/00031305.1983.10483115
            apart, total = block.mean() - mean, n + block.size
            squares += ((block - block.mean()) ** 2).sum() + apart**2 * n * block.size / total
            mean, n = mean + apart * block.size / total, total
            low, high = min(low, block.min()), max(high, block.max())
    found = {"minimum": low, "maximum": high, "mean": mean, "stddev": math.sqrt(squares / max(n, 1))}
    return _rounded(n, found, raster.width * raster.height)


def _of_bytes(raster: Any, index: int) -> dict[str, Any]:
    """Return statistics of a band of whole numbers up to 255, from how often each is there: a tenth of the time."""
    counts = np.zeros(256, dtype=np.int64)
    for _, window in raster.block_windows(index):
        counts += np.bincount(raster.read(index, window=window).ravel(), minlength=256)
    if raster.nodata is not None:
        counts[int(raster.nodata)] = 0
    values, n = np.flatnonzero(counts), int(counts.sum())
    if not n:
        return _rounded(0, {}, raster.width * raster.height)
    mean = float((values * counts[values]).sum() / n)
    squares = float((counts[values] * (values - mean) ** 2).sum())
    found = {"minimum": values[0], "maximum": values[-1], "mean": mean, "stddev": math.sqrt(squares / n)}
    return _rounded(n, found, raster.width * raster.height)


def _rounded(n: int, found: Mapping[str, float], n_pixels: int) -> dict[str, Any]:
    shares = {"count": n, "valid_percent": round(100 * n / n_pixels, _STATISTICS_DECIMALS)}
    if not n:
        return shares
    return {**shares, **{name: round(float(value), _STATISTICS_DECIMALS) for name, value in found.items()}}


def _resolution_m(grid: Any, outline: BaseGeometry) -> float:
    """Return the edge of a pixel in metres, of a grid in degrees as it is on the ground on average."""
    if grid.crs.projected:
        unit = CRS.from_wkt(grid.crs.to_wkt()).axis_info[0].unit_conversion_factor
        return round(math.sqrt(abs(grid.affine.determinant)) * unit, _STATISTICS_DECIMALS)
    pixels = grid.shape[0] * grid.shape[1]
    return round(math.sqrt(float(ground_areas_m2([outline], LONGLAT)[0]) / pixels), _STATISTICS_DECIMALS)
