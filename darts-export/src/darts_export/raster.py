"""Cloud-optimised GeoTIFFs of bands, in their compact representation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from rasterio.crs import CRS
from rasterio.dtypes import check_dtype
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile
from rasterio.windows import Window

from darts_export.cog import laid_out, making, opened
from darts_utils.bands import BandCodec, manager
from darts_utils.errors import DataError
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.row_blocks import row_blocks
from darts_utils.tile import geobox_of

_CODEC_ROWS = 16
"""The codec works in float64: row blocks that fit into the cache of a core take a third of the time of larger ones."""
_COLOURS = {"red": ColorInterp.red, "green": ColorInterp.green, "blue": ColorInterp.blue}


@dataclass(frozen=True, kw_only=True)
class _RasterBand:
    """One band of a raster file."""

    name: str
    values: xr.Variable
    """(y, x) in memory representation; read block by block, since some bands are made where they are read."""
    dtype: np.dtype[Any]
    """On disk."""
    codec: BandCodec | None = None
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None
    unit: str = ""

    def encoded(self, rows: slice) -> Array:
        """Return some rows in disk representation."""
        values = self.values[rows].values
        encoded = np.empty(values.shape, dtype=self.dtype)
        for block in row_blocks(len(values), _CODEC_ROWS):
            encoded[block] = values[block] if self.codec is None else self.codec.encode(values[block])
        return encoded


def raster_bytes(tile: xr.Dataset, names: Sequence[str], tags: Mapping[str, Any] | None = None) -> bytes:
    """Return a cloud-optimised GeoTIFF of some bands: LZW, tiled, with overviews.

    Args:
        tile: Holds the bands, (y, x) or (band, y, x), in memory representation.
        names: The bands, in their order in the file; all must have the same dtype on disk.
        tags: Metadata of the file; values become text.

    Returns:
        The file. Bands are in the disk representation of their codec, with scale, offset and no-data value set:
        reflectance uint16, continuous features int16, trends and masks uint8; probabilities, and their
        uncertainty, are plain percent (uint8, 255 = no data). A band without a codec keeps its dtype.

    Raises:
        GridError: If the tile has no georeference.
        DataError: If a band has a dtype that no raster can hold.
        OutputError: If GDAL fails.
    """
    bands = [band for name in names for band in _raster_bands(tile[name], name)]
    with making(f"a raster of {', '.join(names)}", "Leave it out of the export."), MemoryFile() as held:
        with opened(held, **_profile(tile, bands)) as raster:
            raster.update_tags(**{key: str(value) for key, value in (tags or {}).items()})
            for index, band in enumerate(bands, 1):
                _write_band(raster, index, band)
            if set(_COLOURS) <= {band.name for band in bands}:
                raster.colorinterp = [_COLOURS.get(band.name, ColorInterp.undefined) for band in bands]
        with laid_out(held, **_layout(bands[0])) as content:
            return bytes(content)


def _profile(tile: xr.Dataset, bands: Sequence[_RasterBand]) -> dict[str, Any]:
    """Return what the file holds."""
    grid = geobox_of(tile)
    height, width = grid.shape
    first = bands[0]
    return {
        "count": len(bands),
        "dtype": first.dtype,
        "height": height,
        "width": width,
        "transform": grid.affine,
        "crs": CRS.from_wkt(grid.crs.to_wkt()) if grid.crs is not None else None,
        "nodata": first.nodata,
    }


def _layout(first: _RasterBand) -> dict[str, Any]:
    """Return how the file is laid out."""
    is_class = np.issubdtype(first.dtype, np.integer) and first.scale == 1 and first.nodata is None
    return {
        # differences of neighbours compress continuous values better, and stretches of equal classes worse
        "predictor": "NO" if is_class else "YES",
        "overview_resampling": "NEAREST" if is_class else "AVERAGE",
        # no GDAL threads: with two, making overviews takes twice the time, and other products are written meanwhile
        "blocksize": 512,
    }


def _write_band(raster: Any, index: int, band: _RasterBand) -> None:
    height, width = band.values.shape
    for rows in row_blocks(height):
        raster.write(band.encoded(rows), index, window=Window(0, rows.start, width, rows.stop - rows.start))
    raster.set_band_description(index, band.name)
    raster.set_band_unit(index, band.unit)
    if (band.scale, band.offset) != (1, 0):
        scales, offsets = list(raster.scales), list(raster.offsets)
        scales[index - 1], offsets[index - 1] = band.scale, band.offset
        raster.scales, raster.offsets = scales, offsets


def _raster_bands(band: xr.DataArray, name: str) -> list[_RasterBand]:
    """Return what a band is in a raster: one band, or several if it has more dimensions than (y, x)."""
    if band.ndim == 2:
        return [_raster_band(band.variable, name, str(band.attrs.get("units", "")))]
    return [_raster_band(band.variable[index], f"{name} {index + 1}", "") for index in range(len(band))]


def _raster_band(values: xr.Variable, name: str, unit: str) -> _RasterBand:
    """Return a band with what it takes to write it, and what a reader needs to undo that."""
    if name not in manager:
        if not check_dtype(values.dtype.name) and values.dtype != bool:
            raise DataError(f"band {name} is {values.dtype}, which no raster can hold. Convert it, e.g. to float32.")
        nodata = float("nan") if np.issubdtype(values.dtype, np.floating) else None
        return _RasterBand(name=name, values=values, dtype=_on_disk(values.dtype), nodata=nodata, unit=unit)
    codec = manager[name]
    dtype = _on_disk(np.dtype(codec.disk_dtype))
    if name.split("-")[0] in (
        "probabilities",
        "uncertainty",
    ):  # percent as it stands, without a scale that viewers would apply
        return _RasterBand(name=name, values=values, dtype=dtype, codec=codec, nodata=codec.fill_value, unit="percent")
    return _RasterBand(
        name=name,
        values=values,
        dtype=dtype,
        codec=codec,
        scale=1.0 if codec.scale is None else codec.scale,
        offset=codec.offset,
        nodata=codec.fill_value,
        unit=unit,
    )


def _on_disk(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of a raster that holds values of a dtype: there is none of truth values."""
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype
