"""Exact pixels of Earth Engine images on a given grid, block by block."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Any

import numpy as np
from odc.geo.geobox import GeoBox

from darts_acquisition.services.earthengine import EARTH_ENGINE, ask
from darts_utils.errors import ConfigError, DartsError, ServiceError
from darts_utils.machine.threads import inherited

if TYPE_CHECKING:
    import ee

MAX_REQUEST_BYTES = 50_331_648
"""Uncompressed size of the largest answer that Earth Engine gives to one request."""
MAX_EDGE_PX = 32_768
"""Longest edge of the largest grid that Earth Engine takes in one request."""

BLOCK_BYTES = 16 << 20
"""What is asked for at once: below the limit, so that a lost answer costs little and few of them fit into memory."""
_STEP_PX = 256
"""Earth Engine computes in squares of this edge, so blocks are made of whole ones."""
AT_ONCE = 6
_TRIES = 3
_CASTS = {"uint8": "toUint8", "uint16": "toUint16", "int16": "toInt16", "float32": "toFloat"}


def fetch_pixels(
    image: "ee.Image",
    bands: Sequence[str],
    geobox: GeoBox,
    on_bytes: Callable[[int], None] | None = None,
    *,
    dtype: str = "uint16",
) -> dict[str, np.ndarray]:
    """Return bands of an image on a grid, by name, (y, x); masked pixels are 0.

    Pixels are the nearest ones of the image: those of the image itself where the grid is its own. At most a handful of
    blocks are under way at once, each is written into the result as it comes.

    Args:
        image: Image of an initialised client.
        bands: Names of its bands.
        geobox: Grid in any CRS.
        on_bytes: Called with the size of each block as it comes, in bytes without compression.
        dtype: What Earth Engine casts the bands to: uint8, uint16, int16 or float32.

    Raises:
        MissingDataError: If the image, or a collection that it is made of, does not exist.
        CredentialsError: If Earth Engine refuses the credentials.
        ServiceError: If it refuses, does not answer, or answers with something else.
    """
    if dtype not in _CASTS:
        raise ConfigError(f"dtype is {dtype} but must be one of {', '.join(_CASTS)}.")
    # Without a footprint that grows, pixels outside of the image would stay masked and get no defined value.
    plain = getattr(image.select(list(bands)).unmask(0, sameFootprint=False), _CASTS[dtype])()
    pixels = {band: np.zeros(tuple(geobox.shape), dtype) for band in bands}
    pixel_bytes = len(bands) * np.dtype(dtype).itemsize
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="earthengine") as pool:
        fetch = inherited(_block)
        jobs = {pool.submit(fetch, plain, pixels, part, geobox[part]) for part in blocks(geobox, pixel_bytes)}
        try:
            for job in as_completed(jobs):
                size = job.result()
                if on_bytes is not None:
                    on_bytes(size)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return pixels


def blocks(geobox: GeoBox, pixel_bytes: int) -> Iterator[tuple[slice, slice]]:
    """Yield rows and columns of the blocks that a grid is fetched in."""
    steps = max(1, int((BLOCK_BYTES / pixel_bytes) ** 0.5) // _STEP_PX)
    edge = min(steps * _STEP_PX, MAX_EDGE_PX)
    height, width = geobox.shape
    for row in range(0, height, edge):
        for column in range(0, width, edge):
            yield slice(row, min(row + edge, height)), slice(column, min(column + edge, width))


def _block(plain: "ee.Image", pixels: dict[str, np.ndarray], part: tuple[slice, slice], geobox: GeoBox) -> int:
    """Fetch a block into its place and return its size in bytes."""
    params = {"expression": plain, "fileFormat": "NUMPY_NDARRAY", "grid": grid_of(geobox), "bandIds": list(pixels)}
    what, problem = f"fetching {', '.join(pixels)}", ""
    for _ in range(_TRIES):  # what was lost on the way is asked for again below; this is about whole answers that lie
        answer = ask(what, lambda: _computed(params))
        problem = _problem(answer, pixels, tuple(geobox.shape))
        if not problem:
            for band, values in pixels.items():
                values[part] = answer[band]
            return int(answer.nbytes)
    raise ServiceError(
        f"{EARTH_ENGINE.name}: {what} gave a wrong answer {_TRIES} times ({problem}). {EARTH_ENGINE.advice}"
    )


def _computed(params: dict[str, Any]) -> np.ndarray:
    """Return what Earth Engine computes, an empty array of no bands for bytes that are no array."""
    import ee

    try:
        return ee.data.computePixels(params)
    except (ValueError, EOFError) as error:
        if isinstance(error, DartsError):  # some of ours are of that kind, too
            raise
        return np.empty(0)


def _problem(answer: Any, pixels: dict[str, np.ndarray], shape: tuple[int, ...]) -> str:
    """Say what is wrong with an answer, nothing if it is as asked."""
    expected = {band: values.dtype for band, values in pixels.items()}
    fields = getattr(answer.dtype, "fields", None) or {}
    got = {band: field[0] for band, field in fields.items()}
    if answer.shape != shape:
        return f"its shape is {answer.shape} instead of {shape}"
    return "" if got == expected else f"its bands are {got} instead of {expected}"


def grid_of(geobox: GeoBox) -> dict[str, Any]:
    """Return a grid as Earth Engine takes it."""
    affine, crs = geobox.affine, geobox.crs
    if crs is None:
        raise ConfigError("the grid to fetch pixels on has no coordinate reference system. Set one.")
    code = {"crsCode": f"EPSG:{crs.epsg}"} if crs.epsg is not None else {"crsWkt": crs.to_wkt()}
    return {
        "dimensions": {"width": geobox.shape[1], "height": geobox.shape[0]},
        "affineTransform": {
            "scaleX": affine.a,
            "shearX": affine.b,
            "translateX": affine.c,
            "shearY": affine.d,
            "scaleY": affine.e,
            "translateY": affine.f,
        },
        **code,
    }
