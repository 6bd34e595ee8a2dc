"""Cloud-optimised GeoTIFFs of bands, in their compact representation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import rasterio
import xarray as xr
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.dtypes import check_dtype
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from darts_utils.bands import BandCodec, manager
from darts_utils.errors import DataError, OutputError
from darts_utils.strips import row_strips
from darts_utils.tile import geobox_of

type Array = np.ndarray[Any, np.dtype[Any]]

_STRIP_ROWS = 64
_COLOURS = {"red": ColorInterp.red, "green": ColorInterp.green, "blue": ColorInterp.blue}


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """One layer of a raster file."""

    name: str
    values: Array
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None
    unit: str = ""


def raster_bytes(tile: xr.Dataset, names: Sequence[str], tags: Mapping[str, Any] | None = None) -> bytes:
    """Return a cloud-optimised GeoTIFF of some bands: LZW, tiled, with overviews.

    It is made in memory, compressed, and written by the caller, because GDAL does not reliably report a full disk.

    Args:
        tile: Holds the bands, (y, x) or (band, y, x), in memory representation.
        names: The bands, in the order of the layers; all must have the same dtype on disk.
        tags: Metadata of the file; values become text.

    Returns:
        The file. Layers are in the disk representation of their codec, with scale, offset and no-data value set:
        reflectance uint16, continuous features int16, trends and masks uint8; probabilities are plain percent
        (uint8, 255 = no data). A band without a codec keeps its dtype.

    Raises:
        GridError: If the tile has no georeference.
        DataError: If a band has a dtype that no raster can hold.
        OutputError: If GDAL fails.
    """
    layers = [layer for name in names for layer in _layers(tile[name], name)]
    try:
        # GDAL's cache of blocks would take a share of the machine's memory, whatever that is
        with rasterio.Env(GDAL_CACHEMAX=256 * 2**20), MemoryFile() as memory:
            with memory.open(**_profile(tile, layers)) as raster:
                raster.update_tags(**{key: str(value) for key, value in (tags or {}).items()})
                for index, layer in enumerate(layers, 1):
                    _write_layer(raster, index, layer)
                if set(_COLOURS) <= {layer.name for layer in layers}:
                    raster.colorinterp = [_COLOURS.get(layer.name, ColorInterp.undefined) for layer in layers]
            return bytes(memory.getbuffer())
    except (RasterioError, CPLE_BaseError) as error:  # the latter are GDAL's own, which rasterio lets through
        raise OutputError(
            f"cannot make a raster of {', '.join(names)}: {error}. Leave it out of the export."
        ) from error


def _profile(tile: xr.Dataset, layers: Sequence[_Layer]) -> dict[str, Any]:
    """Return how the file is laid out."""
    grid = geobox_of(tile)
    height, width = grid.shape
    first = layers[0]
    is_class = np.issubdtype(first.values.dtype, np.integer) and first.scale == 1 and first.nodata is None
    return {
        "driver": "COG",
        "count": len(layers),
        "dtype": first.values.dtype,
        "height": height,
        "width": width,
        "transform": grid.affine,
        "crs": CRS.from_wkt(grid.crs.to_wkt()) if grid.crs is not None else None,
        "nodata": first.nodata,
        "compress": "LZW",
        # differences of neighbours compress continuous values better, and runs of equal classes worse
        "predictor": "NO" if is_class else "YES",
        "overview_resampling": "NEAREST" if is_class else "AVERAGE",
        "num_threads": cv2.getNumberOfCPUs(),  # which knows the limits of a container
        "blocksize": 512,
    }


def _write_layer(raster: Any, index: int, layer: _Layer) -> None:
    raster.write(layer.values, index)
    raster.set_band_description(index, layer.name)
    raster.set_band_unit(index, layer.unit)
    if (layer.scale, layer.offset) != (1, 0):
        scales, offsets = list(raster.scales), list(raster.offsets)
        scales[index - 1], offsets[index - 1] = layer.scale, layer.offset
        raster.scales, raster.offsets = scales, offsets


def _layers(band: xr.DataArray, name: str) -> list[_Layer]:
    """Return the layers of a band: one, or several for a band with more dimensions than (y, x)."""
    if band.ndim == 2:
        return [_layer(band.values, name, str(band.attrs.get("units", "")))]
    return [_layer(values, f"{name} {index}", "") for index, values in enumerate(band.values, 1)]


def _layer(values: Array, name: str, unit: str) -> _Layer:
    """Return a band in its disk representation, with what a reader needs to undo it."""
    if name not in manager:
        if not check_dtype(values.dtype.name) and values.dtype != bool:
            raise DataError(f"band {name} is {values.dtype}, which no raster can hold. Convert it, e.g. to float32.")
        nodata = float("nan") if np.issubdtype(values.dtype, np.floating) else None
        return _Layer(name=name, values=values.astype(np.uint8) if values.dtype == bool else values, nodata=nodata)
    codec = manager[name]
    encoded = encode(values, codec)
    if name.split("-")[0] == "probabilities":  # percent as it stands, without a scale that viewers would apply
        return _Layer(name=name, values=encoded, nodata=codec.fill_value, unit="percent")
    return _Layer(
        name=name,
        values=encoded,
        scale=1.0 if codec.scale is None else codec.scale,
        offset=codec.offset,
        nodata=codec.fill_value,
        unit=unit,
    )


def encode(values: Array, codec: BandCodec) -> Array:
    """Return (y, x) values in disk representation; in strips, because the codec works in float64."""
    dtype = np.uint8 if codec.disk_dtype == "bool" else np.dtype(codec.disk_dtype)
    encoded = np.empty(values.shape, dtype=dtype)
    for rows in row_strips(values.shape[0], _STRIP_ROWS):
        encoded[rows] = codec.encode(values[rows])
    return encoded
