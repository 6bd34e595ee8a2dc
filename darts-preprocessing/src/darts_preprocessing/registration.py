"""How far one image lies beside another of the same ground, on whatever grids the two are."""

from dataclasses import dataclass

import cv2
import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.warp import reproject

from darts_preprocessing.correlation import agreement, find_peak
from darts_preprocessing.resampling.warp import TOLERANCE_PX, gdal_crs
from darts_utils.errors import ConfigError, DataError
from darts_utils.grid import crs_of, pixel_size_m
from darts_utils.machine.cpu import usable_cores
from darts_utils.rasters.arrays import Array
from darts_utils.tile import geobox_of

_PASSES = 5
_SETTLED_PX = 0.05
_REACH = 0.25
"""Largest shift as a share of the window: further off, too little of two windows shows the same ground."""
_LEAST_RELIABILITY = 0.65
"""Of 340 pairs of unrelated images none came near it in all passes (0.54 at most); good pairs have 0.8 and more."""
_LEAST_AGREEMENT = 0.15
_LARGEST_SSIM_LOSS = 0.01
_SMALLEST_WINDOW = 32
_SSIM_SIGMA_PX, _SSIM_REACH_PX = 1.5, 5


@dataclass(frozen=True, kw_only=True)
class Shift:
    """How content of an image lies relative to the same content in a reference; no shift unless `reliable`."""

    x_m: float = 0.0
    """By how many metres it lies further east, in the CRS of the image."""
    y_m: float = 0.0
    """By how many metres it lies further north."""
    x_px: float = 0.0
    """The same in pixels of the image, to the right."""
    y_px: float = 0.0
    """The same in pixels of the image, downwards."""
    reliability: float = 0.0
    """0..1: how far the best agreement stands out from the second best, in the worst pass."""
    ssim_improvement: float = 0.0
    """Structural similarity of the two with the shift undone, minus that of the two as they are."""
    reliable: bool = False
    """Whether the shift may be used."""
    reason: str = ""
    """Why not."""


@dataclass(frozen=True, kw_only=True)
class _Image:
    values: Array
    """(y, x) float32, 0 where not valid."""
    valid: Array
    """(y, x) bool."""
    grid: GeoBox


def align_offset(
    moving: xr.DataArray,
    reference: xr.DataArray,
    *,
    moving_mask: xr.DataArray | Array | None = None,
    reference_mask: xr.DataArray | Array | None = None,
    window: int = 128,
) -> Shift:
    """Return by how much the content of `moving` lies beside that of `reference`, to a fraction of a pixel.

    The reference is averaged onto the pixels of `moving`, shifted by what was found so far, and the two are compared by
    masked phase correlation in windows, until nothing is left to find. Gain and offset between the two do not matter,
    colours should: compare the same band. To undo the shift, move `moving`, or what was drawn on it, by (-x_m, -y_m).

    Args:
        moving: (y, x) numbers on a metric north-up grid, NaN = no data, such as a Sentinel-2 band.
        reference: (y, x) numbers on any grid of about the same pixel size or a finer one, NaN = no data.
        moving_mask: (y, x) on the grid of `moving`, true or non-zero where a pixel counts: no cloud, no shadow.
        reference_mask: The same on the grid of `reference`.
        window: Edge of the windows in pixels of `moving`. Shifts up to a quarter of it are found.

    Returns:
        The shift. Where the two do not show the same ground clearly, it is zero, not `reliable`, and has a `reason`.

    Raises:
        GridError: If an image has no georeference, or that of `moving` is not metric and north up.
        DataError: If an image is not two-dimensional, or a mask has another shape.
        ConfigError: If the window is too small.
    """
    if window < _SMALLEST_WINDOW:
        raise ConfigError(f"window is {window} px but must be at least {_SMALLEST_WINDOW}. Make it larger.")
    still, target = _image("moving", moving, moving_mask), _image("reference", reference, reference_mask)
    pixel_m = pixel_size_m(still.grid)
    still = _near(still, target, window)
    found = _search(still, target, window)
    if isinstance(found, str):
        return Shift(reason=found)
    x, y, reliability = found
    correlation, improvement = _compare(still, target, x, y)
    reason = _doubt(x, y, reliability=reliability, correlation=correlation, improvement=improvement, window=window)
    if reason:
        return Shift(reliability=reliability, reason=reason)
    return Shift(
        x_m=x * pixel_m,
        y_m=0.0 - y * pixel_m,  # and not -y, which may be -0.0
        x_px=x,
        y_px=y,
        reliability=reliability,
        ssim_improvement=improvement,
        reliable=True,
    )


def _image(name: str, image: xr.DataArray, mask: xr.DataArray | Array | None) -> _Image:
    grid = geobox_of(image)
    if image.ndim != 2:
        raise DataError(f"the {name} image has the dims {image.dims} but must be one band with (y, x). Choose a band.")
    values = image.transpose(*image.odc.spatial_dims).values.astype(np.float32)
    valid = np.isfinite(values)
    if mask is not None:
        given = np.asarray(mask)
        if given.shape != values.shape:
            raise DataError(f"the {name} mask is {given.shape} but its image {values.shape}. Give one on its grid.")
        valid &= given.astype(bool)
    return _Image(values=np.where(valid, values, 0), valid=valid, grid=grid)


def _near(image: _Image, other: _Image, margin: int) -> _Image:
    """Return the part of an image that lies on another or near it; a scene is much larger than a Planet image."""
    box = other.grid.footprint(crs_of(image.grid)).boundingbox.transform(~image.grid.affine)
    height, width = image.grid.shape
    rows, columns = _within(box.range_y, margin, height), _within(box.range_x, margin, width)
    part = image.grid[rows, columns]
    return _Image(values=image.values[rows, columns], valid=image.valid[rows, columns], grid=part)


def _within(span: tuple[float, float], margin: int, length: int) -> slice:
    """Return a span and a margin around it as a slice of an axis; one pixel where it lies beyond the axis."""
    low, high = np.clip(np.nan_to_num(np.asarray(span), posinf=np.inf, neginf=-np.inf), -margin, length + margin)
    start = min(max(int(low) - margin, 0), length - 1)
    return slice(start, max(min(int(high) + margin, length), start + 1))


def _search(still: _Image, target: _Image, window: int) -> tuple[float, float, float] | str:
    """Return the shift in pixels with its reliability, or why there is none.

    The shift found is undone on the reference before it is looked for again, because windows and masks that cut both
    images at the same place pull an estimate towards zero; at zero they no longer do.
    """
    x = y = 0.0
    reliability = 1.0
    for _ in range(_PASSES):
        moved = _moved_onto(target, still.grid, x, y)
        peak = find_peak(still.values, moved.values, still.valid & moved.valid, window)
        if peak is None:
            return "too little of both images is valid at the same place, or there is nothing on it to compare"
        x, y, reliability = x + peak.x, y + peak.y, min(reliability, peak.prominence)
        if np.hypot(peak.x, peak.y) < _SETTLED_PX:
            return x, y, reliability
        if np.hypot(x, y) > window:
            break
    return "no shift holds when it is looked for again with the shift undone"


def _moved_onto(image: _Image, grid: GeoBox, x: float, y: float) -> _Image:
    """Return an image averaged onto another grid, its content moved by (x, y) pixels of that grid."""
    source = np.stack([image.values, image.valid.astype(np.float32)])
    wanted = grid.translate_pix(-x, -y)
    target = np.zeros((2, *grid.shape), dtype=np.float32)
    reproject(
        source,
        target,
        src_transform=image.grid.affine,
        src_crs=gdal_crs(image.grid),
        dst_transform=wanted.affine,
        dst_crs=gdal_crs(wanted),
        resampling=Resampling.average,
        num_threads=usable_cores(),
        tolerance=TOLERANCE_PX,
    )
    return _Image(values=target[0], valid=target[1] > 0.99, grid=grid)


def _compare(still: _Image, target: _Image, x: float, y: float) -> tuple[float, float]:
    """Return how well the two agree with the shift undone (correlation) and how much better than before (SSIM)."""
    before, after = _moved_onto(target, still.grid, 0, 0), _moved_onto(target, still.grid, x, y)
    correlation = agreement(still.values, after.values, still.valid & after.valid)
    valid = still.valid & before.valid & after.valid
    reach = 2 * _SSIM_REACH_PX + 1
    inner = cv2.erode(valid.astype(np.uint8), np.ones((reach, reach), np.uint8), borderValue=0).astype(bool)
    if not inner.any():
        return correlation, 0.0
    ssim = [_ssim(still.values, other.values, valid, inner) for other in (after, before)]
    return correlation, ssim[0] - ssim[1]


def _ssim(image: Array, other: Array, valid: Array, inner: Array) -> float:
    """Return the mean structural similarity (Wang et al. 2004, doi:10.1109/TIP.2003.819861), gain and offset fitted."""
    from skimage.metrics import structural_similarity  # here, because it takes a second that few commands need

    first, second = image[valid].astype(np.float64), other[valid].astype(np.float64)
    gain = np.cov(first, second)[0, 1] / max(float(second.var()), 1e-12)
    fitted = np.where(valid, (other - second.mean()) * gain, 0)
    centred = np.where(valid, image - first.mean(), 0)
    low, high = np.percentile(first, (0.5, 99.5))
    options = {"gaussian_weights": True, "sigma": _SSIM_SIGMA_PX, "use_sample_covariance": False}
    _, similar = structural_similarity(centred, fitted, data_range=max(high - low, 1e-6), full=True, **options)
    return float(similar[inner].mean())


def _doubt(x: float, y: float, *, reliability: float, correlation: float, improvement: float, window: int) -> str:
    """Return why a shift should not be trusted, nothing if it may be."""
    length, reach = float(np.hypot(x, y)), window * _REACH
    if reliability < _LEAST_RELIABILITY:
        return f"no shift stands out (reliability {reliability:.2f} of at least {_LEAST_RELIABILITY})"
    if length > reach:
        return f"the shift of {length:.1f} px is beyond the reach of {reach:g} px of a window of {window} px"
    if correlation < _LEAST_AGREEMENT:
        return f"the images do not agree at the best shift (correlation {correlation:.2f} of {_LEAST_AGREEMENT})"
    if improvement < -_LARGEST_SSIM_LOSS:
        return f"the images are less alike with the shift undone (SSIM {improvement:+.3f})"
    return ""
