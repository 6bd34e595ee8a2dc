"""Scene classifications as one mask: 0 invalid, 1 low quality, 2 high quality."""

from collections.abc import Callable

import numpy as np
import xarray as xr

from darts_utils.errors import DataError
from darts_utils.rasters.row_blocks import for_each_row_block, row_blocks

INVALID, LOW_QUALITY, HIGH_QUALITY = 0, 1, 2
OPTICAL = ("blue", "green", "red", "nir")
"""Bands without one of which a pixel of Sentinel-2 was not seen."""

SCL_QUALITY = {0: INVALID, 1: INVALID, **dict.fromkeys((2, 4, 5, 6, 7, 10), HIGH_QUALITY)}
"""Quality of each Sentinel-2 scene class (0 no data, 1 defective, 2 dark, 4 vegetation, 5 bare, 6 water,
7 unclassified, 10 thin cirrus); every other code (3 shadow, 8 and 9 cloud, 11 snow, unknown) is of low quality."""


def _lookup_table(quality_of_code: dict[int, int], default: int) -> np.ndarray:
    table = np.full(256, default, dtype=np.uint8)
    for code, quality in quality_of_code.items():
        table[code] = quality
    return table


SCL_TABLE = _lookup_table(SCL_QUALITY, default=LOW_QUALITY)
OBSERVATIONS_TABLE = _lookup_table({0: INVALID, **dict.fromkeys((1, 2, 3), LOW_QUALITY)}, default=HIGH_QUALITY)
"""Quality by the number of clear looks that a pixel of a mosaic is made of."""

UDM2_CLEAR, UDM2_CLOUD, UDM2_UNUSABLE = 0, 5, 7
"""Positions of bands of a UDM2, from 0."""
_UDM2_LOW = slice(1, 6)
"""Snow, shadow, light haze, heavy haze, cloud."""
UDM2_MISSING = (0, 0, 0, 0, 0, 0, 0, 1)
"""A UDM2 pixel that says that nothing was seen."""
_UDM_CLOUD = 0b10
UDM_MISSING = (1,)


def udm2_of_udm(udm: np.ndarray) -> np.ndarray:
    """Return a UDM2 of the older unusable data mask, as far as that tells.

    Args:
        udm: (y, x) uint8, bits: 0 nothing imaged, 1 cloud, 2 and up suspect or missing values in a band.

    Returns:
        (8, y, x) uint8: clear and cloud are set, unusable has all bits as in Planet's own UDM2, the others are 0.
    """
    udm2 = np.zeros((8, *udm.shape), dtype=np.uint8)
    udm2[UDM2_CLEAR] = udm == 0
    udm2[UDM2_CLOUD] = (udm & _UDM_CLOUD) > 0
    udm2[UDM2_UNUSABLE] = udm
    return udm2


def udm2_quality(udm2: np.ndarray) -> np.ndarray:
    """Return the quality of pixels by their UDM2.

    Args:
        udm2: (8, y, x) uint8: clear, snow, shadow, light haze, heavy haze, cloud, confidence, unusable. The last has
            the bits of the older mask, of which that of cloud (1) says what the sixth band does: low quality.

    Returns:
        (y, x) uint8: 0 where unusable is set for more than a cloud, 1 where any of snow to cloud is, else 2.
    """
    quality = np.empty(udm2.shape[1:], dtype=np.uint8)
    for rows in row_blocks(len(quality)):
        unusable = udm2[UDM2_UNUSABLE, rows]
        low = udm2[_UDM2_LOW, rows].any(axis=0) | (unusable == _UDM_CLOUD)
        quality[rows] = np.where(low, LOW_QUALITY, HIGH_QUALITY)
        quality[rows][(unusable & ~np.uint8(_UDM_CLOUD)) != 0] = INVALID
    return quality


def convert_masks(ds_s2: xr.Dataset) -> xr.Dataset:
    """Return the scene with a `quality_data_mask` made from its scene classification `s2_scl`.

    Args:
        ds_s2: Scene with `s2_scl`, (y, x) uint8, classes 0 to 11, and optionally `blue green red nir`, whose NaN count
            as no data.

    Returns:
        The scene with `quality_data_mask`, (y, x) uint8: 0 invalid, 1 low quality, 2 high quality.

    Raises:
        DataError: If there is no scene classification, or it is not uint8.
    """
    if "s2_scl" not in ds_s2:
        raise DataError(f"the scene has no s2_scl band, only {', '.join(map(str, ds_s2.data_vars))}. Load SCL with it.")
    if ds_s2.s2_scl.dtype != np.uint8:
        raise DataError(f"s2_scl is {ds_s2.s2_scl.dtype} but must be uint8. Convert it, missing as 0.")
    bands = [ds_s2[band].variable for band in OPTICAL if band in ds_s2]

    def unseen(rows: slice) -> np.ndarray | np.bool:
        return np.logical_or.reduce([np.isnan(band[rows].values) for band in bands]) if bands else np.False_

    return with_quality(ds_s2, "s2_scl", SCL_TABLE, unseen)


def with_quality(
    scene: xr.Dataset, name: str, table: np.ndarray, unseen: Callable[[slice], np.ndarray | np.bool]
) -> xr.Dataset:
    """Return the scene with a `quality_data_mask` as `convert_masks` makes it, by any band of small whole numbers.

    Args:
        scene: Has the band.
        name: Of the band, (y, x), unsigned.
        table: (256,) uint8, quality of each number; larger ones count as 255.
        unseen: Returns where an optical band has no data in some rows, bool; called from several threads.
    """
    numbers = scene[name].values
    quality = np.empty(numbers.shape, dtype=np.uint8)

    def convert(rows: slice) -> None:
        np.take(table, numbers[rows], out=quality[rows], mode="clip")
        np.copyto(quality[rows], INVALID, where=unseen(rows))

    for_each_row_block(convert, len(quality))
    mask = scene[name].copy(data=quality)
    mask.attrs = quality_attributes(scene[name].attrs.get("data_source", "Sentinel-2 L2A SCL"))
    return scene.assign(quality_data_mask=mask)


def quality_attributes(data_source: str) -> dict[str, str]:
    """Return what a quality mask says of itself."""
    return {
        "long_name": "Quality data mask",
        "description": "0 = invalid, 1 = low quality, 2 = high quality",
        "data_source": data_source,
    }
