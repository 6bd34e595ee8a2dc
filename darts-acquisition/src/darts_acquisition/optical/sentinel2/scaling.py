"""From digital numbers of Sentinel-2 to reflectance: what decides scale and offset, or that they are not known."""

import math
import re
from collections.abc import Iterable
from typing import Any

from darts_acquisition.optical.sentinel2.scene_store import RawScene
from darts_utils.errors import DataError

DN_SCALE = 1e-4
OFFSET_SINCE_BASELINE_4 = -0.1
_FIRST_WITH_OFFSET = (4, 0)
_KEYS = (("raster:scale", "raster:offset"), ("scale_factor", "add_offset"))

SMALLEST_SCALE = 1e-6
"""Below it, all that 16 bits can hold is the same reflectance to within what is measured."""
_LARGEST = 10.0
"""Of scales and offsets: reflectance is from 0 to 1, so beyond it they are damaged."""

type Baseline = tuple[int, int]
"""A processing baseline, such as (5, 10) for 05.10."""


def baseline_offset(baseline: Baseline) -> float:
    """Return the offset of the products of a processing baseline.

    Since 04.00 they carry -1000 digital numbers (ESA, Sentinel-2 Products Specification Document, issue 14.9). The date
    of a scene says nothing about it: earlier takes were processed again, and late ones of the old baseline exist.
    """
    return OFFSET_SINCE_BASELINE_4 if baseline >= _FIRST_WITH_OFFSET else 0.0


def known_baseline(texts: Iterable[object]) -> Baseline | None:
    """Return the processing baseline that the first of some texts names, None if it is none or none is one.

    Args:
        texts: Such as `05.10` or `N0510`, or anything else that a source may give. 99.99 stands for products of
            somebody's own processor, and says nothing.
    """
    for text in texts:
        found = re.fullmatch(r"N?(\d{2})(\d{2})|(\d{1,2})\.(\d{1,2})", str(text).strip())
        if found is not None:
            major, minor = (int(number) for number in found.groups() if number is not None)
            return (major, minor) if 1 <= major < 99 else None
    return None


def given_scale(scene: RawScene, band: str) -> tuple[float, float | None] | None:
    """Return the scale and offset that the catalogue gave for a band, None if it gave none; the offset may be unknown.

    Raises:
        DataError: If they are no numbers to scale with.
    """
    attributes = scene.band_attributes(band)
    for scale_key, offset_key in _KEYS:
        if scale_key in attributes:
            scale, offset = attributes[scale_key], attributes.get(offset_key)
            return _number(scene, band, scale_key, scale), (
                None if offset is None else _number(scene, band, offset_key, offset)
            )
    return None


def _number(scene: RawScene, band: str, key: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    is_scale = key in (scale for scale, _ in _KEYS)
    lowest = SMALLEST_SCALE if is_scale else -_LARGEST
    if not lowest <= number <= _LARGEST:  # nor is NaN
        wanted = f"a number {'above 0' if is_scale else f'from -{_LARGEST:g}'} to {_LARGEST:g}"
        raise DataError(
            f"band {band} of {scene.path} has the {key} {value!r}, but {wanted} is needed."
            " Delete the scene and stage it again."
        )
    return number
