"""Raster files of users: opened with clear errors, and read on a grid that DARTS can work on."""

import glob
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import reproject
from rasterio.windows import Window

from darts_utils.crs import LONGLAT, checked_crs, outline_on
from darts_utils.errors import DataError, GridError
from darts_utils.grid import pixel_size_m

_STRIP_ROWS = 512
_MOST_PX = 1_000_000_000
"""An orthotile has 64 million; a file of some kB can claim any number, and memory is taken by it."""
_CACHE_MB = 64
"""What GDAL may keep of decoded blocks; strips go through once, and its default is a twentieth of the memory."""
_STRETCH = 0.06
"""Largest share by which lengths on the map may differ from those on the ground: polar grids do by up to 4 % north of
60 degrees, UTM by less than 0.1 %; the Mercator projection of web maps doubles them."""
_NO_NETWORK = {"CPL_VSIL_CURL_ALLOWED_FILENAME": "-"}
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_LEADS_ELSEWHERE = "Only the image itself is read: delete that file, or copy or download the image again."


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Give an opened GeoTIFF; whatever goes wrong with it in the block is an error that names it.

    Other formats are not opened, whatever the file is called: they may name further files, or addresses on the network.

    Raises:
        DataError: If the file is none or cannot be read, or a file beside it leads elsewhere.
    """
    try:
        _check_side_files(Path(path))
        with rasterio.Env(GDAL_CACHEMAX=_CACHE_MB, **_NO_NETWORK), rasterio.open(path, driver="GTiff") as source:
            if source.tags(ns="OVERVIEWS"):
                raise DataError(f"{path} names another file for its overviews. {_LEADS_ELSEWHERE}")
            yield source
    except DataError:
        raise
    except (RasterioError, CPLE_BaseError, OSError) as error:
        # rasterio's own message of a failed read only says where to look
        reason = " ".join(str(error.__cause__ or error).split())
        raise DataError(f"{path} cannot be read ({reason}). Copy or download it again.") from error


def _check_side_files(path: Path) -> None:
    """Do nothing if the files that GDAL opens along with an image, for masks and overviews, hold them themselves.

    Raises:
        DataError: If one is no GeoTIFF, so that it may lead elsewhere, or says that overviews are in another file.
    """
    for side in path.parent.glob(f"{glob.escape(path.stem)}*"):
        kind = side.suffix.lower()
        if kind in (".ovr", ".msk") and not _beginning(side).startswith(_TIFF):
            raise DataError(f"{side} is no GeoTIFF, but GDAL would open it with {path.name}. {_LEADS_ELSEWHERE}")
        if kind == ".xml" and b"OVERVIEW_FILE" in side.read_bytes():
            raise DataError(f"{side} names another file for the overviews of {path.name}. {_LEADS_ELSEWHERE}")


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def grid_of(source: Any) -> GeoBox:
    """Return the grid of an opened file.

    Raises:
        GridError: If it has no coordinate reference system or no transform, or lies nowhere on Earth by those it has.
        DataError: If it claims more pixels than can be worked on.
    """
    if source.width * source.height > _MOST_PX:
        raise DataError(
            f"{source.name} has {source.width} x {source.height} pixels, more than the {_MOST_PX:,} that an image may "
            "have. Cut it into tiles."
        )
    crs = checked_crs(source.crs, source.name)
    if source.transform.is_identity:  # what GDAL gives a file that has none
        raise GridError(f"{source.name} has no place on the map: its transform is missing. Download it again.")
    grid = GeoBox(source.shape, source.transform, crs)
    outline_on(grid, LONGLAT, source.name, npoints=4)
    return grid


def working_grid(grid: GeoBox) -> GeoBox:
    """Return the grid itself if it is in metres, square and true to scale, else one of as many pixels in UTM."""
    edge_m = math.sqrt(grid.center_pixel.footprint("utm").geom.area)
    try:
        is_true_to_scale = abs(edge_m / pixel_size_m(grid) - 1) <= _STRETCH
    except GridError:
        is_true_to_scale = False
    if is_true_to_scale:
        return grid
    return grid.to_crs("utm", resolution=round(edge_m, 2))  # type: ignore[arg-type]  # it takes numbers, too


def strips(source: Any, indexes: tuple[int, ...], grid: GeoBox) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield rows of a grid with the values of some bands there, (band, y, x), so that a file is decoded only once.

    Values that are missing, or beyond the file, are the file's no-data value, or 0. Onto another grid than its own they
    are resampled bilinearly.
    """
    if grid == grid_of(source):
        yield from _strips(source, indexes, *grid.shape)
        return
    nodata = 0 if source.nodata is None else source.nodata
    options = {"crs": str(grid.crs), "transform": grid.affine, "height": grid.shape[0], "width": grid.shape[1]}
    with WarpedVRT(source, resampling=Resampling.bilinear, src_nodata=nodata, nodata=nodata, **options) as warped:
        yield from _strips(warped, indexes, *grid.shape)


def _strips(source: Any, indexes: tuple[int, ...], height: int, width: int) -> Iterator[tuple[slice, np.ndarray]]:
    for start in range(0, height, _STRIP_ROWS):
        stop = min(start + _STRIP_ROWS, height)
        yield slice(start, stop), source.read(list(indexes), window=Window(0, start, width, stop - start))


def classes_on(source: Any, grid: GeoBox, beyond: tuple[int, ...]) -> np.ndarray:
    """Return the bands of a mask on a grid by nearest neighbour, (band, y, x) uint8.

    Args:
        source: The opened mask.
        grid: The grid wanted; masks often differ from their images by a pixel or two.
        beyond: Value of each band where the mask has no pixel.

    Raises:
        DataError: If its values are no classes.
        GridError: If it has no place on the map.
    """
    classes = _classes(source, len(beyond))
    if grid == grid_of(source):
        return classes
    out = np.empty((len(beyond), *grid.shape), dtype=np.uint8)
    out[:] = np.array(beyond, dtype=np.uint8)[:, None, None]
    reproject(
        classes,
        out,
        src_transform=source.transform,
        src_crs=source.crs,
        dst_transform=grid.affine,
        dst_crs=str(grid.crs),
        resampling=Resampling.nearest,
        init_dest_nodata=False,
    )
    return out


def _classes(source: Any, n_bands: int) -> np.ndarray:
    """Return the first bands of a mask, (band, y, x) uint8, whatever whole numbers it stores."""
    values = source.read(list(range(1, n_bands + 1)))
    if values.dtype == np.uint8:
        return values
    with np.errstate(invalid="ignore"):
        classes = values.astype(np.uint8)
    if not np.array_equal(classes, values):
        raise DataError(
            f"{source.name} holds {values.dtype} values that are no classes from 0 to 255. Download it again."
        )
    return classes
