"""Masks of valid ground, shrunk by a disk and at the edge of the image."""

import cv2
import numpy as np
import xarray as xr

from darts_utils.errors import ConfigError
from darts_utils.machine.devices import DeviceSpec
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.row_blocks import row_blocks

_NOT_WORTH_A_LOOK = 0.1
_LARGEST_FOOTPRINT_PX = 15
"""Up to this radius OpenCV's erosion by a footprint is faster than its exact distance transform."""


def erode_mask(
    mask: xr.DataArray,
    size: int,
    device: DeviceSpec = None,  # noqa: ARG001  (part of the public signature of every step)
    edge_size: int | None = None,
) -> xr.DataArray:
    """Return a mask without the pixels near invalid ones, and without the outermost rows and columns.

    Args:
        mask: (y, x) bool or uint8, nonzero = valid. Cells outside of the image count as valid.
        size: Radius in pixels of the disk (dx^2 + dy^2 <= size^2) that must be valid all around; 0 erodes nothing.
        device: Accepted for all steps to be called alike. Erosion runs in host memory by OpenCV, which takes less
            time than the transfer to a GPU and back.
        edge_size: Rows and columns to cut at each edge; None cuts as many as `size`, 0 cuts none.

    Returns:
        (y, x), 1 or True = valid, in the dtype of the mask. Erosion by a disk as in Serra (1982), ISBN 0-12-637240-3.

    Raises:
        ConfigError: If a size is negative.
    """
    edge_px = size if edge_size is None else edge_size
    check_sizes(size=size, edge_size=edge_px)
    valid = (mask.values != 0).view(np.uint8)
    eroded = cut_edges(erode_by_disk(valid, size), edge_px)
    return mask.copy(data=eroded.astype(mask.dtype))


def check_sizes(**sizes: int) -> None:
    """Refuse negative sizes.

    Raises:
        ConfigError: If one of them is negative; the message names it.
    """
    for name, size in sizes.items():
        if size < 0:
            raise ConfigError(f"{name} is {size} px but must not be negative. Set 0 for none.")


def is_out_of_extent(quality: Array, rows: slice, columns: slice, *, level: int, radius: int, edge_px: int) -> bool:
    """Tell whether neither some rows and columns of a tile nor the pixels around them lie in the trusted extent.

    It may say False where all of it is out, but with a tenth of valid ground: to look closer is not worth it.

    Args:
        quality: (y, x) uint8, 0 invalid, 1 low, 2 high.
        rows: Which rows.
        columns: Which columns.
        level: Lowest quality of valid ground.
        radius: Of the disk by which valid ground is eroded, in pixels.
        edge_px: Rows and columns that are cut at each edge.
    """
    inside = tuple(
        slice(max(part.start - 1, edge_px), min(part.stop + 1, length - edge_px))
        for part, length in zip((rows, columns), quality.shape, strict=True)
    )
    if any(part.stop <= part.start for part in inside):
        return True
    share = float(np.mean(quality[inside] >= level))
    if share == 0 or share > _NOT_WORTH_A_LOOK:
        return share == 0
    above, left = (max(part.start - radius, 0) for part in inside)
    around = quality[above : inside[0].stop + radius, left : inside[1].stop + radius] >= level
    eroded = erode_by_disk(around.view(np.uint8), radius)
    return not eroded[tuple(slice(p.start - s, p.stop - s) for p, s in zip(inside, (above, left), strict=True))].any()


def erode_by_disk(valid: Array, radius: int) -> Array:
    """Return (y, x) uint8, 1 where no cell of the image within the radius is 0.

    Block by block, because most blocks of most scenes have nothing to erode.
    """
    if radius == 0:
        return valid
    eroded = valid.copy()
    height, width = valid.shape
    for rows in row_blocks(height):
        for columns in row_blocks(width):
            above, left = max(rows.start - radius, 0), max(columns.start - radius, 0)
            window = valid[above : rows.stop + radius, left : columns.stop + radius]
            if not window.all():
                inner = _erode_window(window, radius)[rows.start - above :, columns.start - left :]
                eroded[rows, columns] = inner[: rows.stop - rows.start, : columns.stop - columns.start]
    return eroded


def _erode_window(valid: Array, radius: int) -> Array:
    """Return a window with at least one 0, eroded by a disk."""
    if radius <= _LARGEST_FOOTPRINT_PX:
        y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
        return cv2.erode(valid, (y * y + x * x <= radius * radius).astype(np.uint8))
    distance = cv2.distanceTransform(np.ascontiguousarray(valid), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # squared distances are whole numbers, so half a step between them absorbs the rounding of float32
    return (distance > np.sqrt(radius * radius + 0.5)).view(np.uint8)


def cut_edges(valid: Array, edge_px: int) -> Array:
    """Return a (y, x) array with its outermost rows and columns set to 0; the input stays as it is."""
    cut = np.zeros_like(valid)
    inner = (slice(edge_px, max(valid.shape[0] - edge_px, 0)), slice(edge_px, max(valid.shape[1] - edge_px, 0)))
    cut[inner] = valid[inner]
    return cut
