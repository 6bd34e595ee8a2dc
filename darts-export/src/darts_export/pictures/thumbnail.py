"""A picture of a tile: true colour, outlines of the slumps and of the mapped extent, and what one asks first."""

from concurrent.futures import ThreadPoolExecutor
from itertools import compress

import cv2
import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from darts_export import image
from darts_export.facts import TileFacts, tile_facts
from darts_export.pictures import map_furniture
from darts_export.pictures.map_furniture import Picture
from darts_export.pictures.resize import resize_band, resize_mask
from darts_export.products import COLOURS
from darts_utils.grid import convergence_at_centre, pixel_size_m
from darts_utils.machine.cpu import usable_cores
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.run_length import connected_components, run_length_encode
from darts_utils.tile import geobox_of

LONGEST_SIDE_PX = 1280
LARGEST_MAGNIFICATION = 16

_SLUMP = (255, 214, 10)
_EXTENT = (120, 220, 255)
_NO_DATA = (46, 49, 55)
_GREY = 120
_SMALL_OBJECT_PX = 9
_WORTH_SAYING = 0.01
"""Share of the ground from which on the picture says that features are missing there."""


def draw_ground(tile: xr.Dataset) -> Picture:
    """Return the ground of the picture of a tile, (row, column, RGB) uint8: in true colour, or grey without colours.

    Args:
        tile: May hold `red`, `green`, `blue` (reflectance), and `quality_data_mask`: the colours are stretched on its
            best pixels.
    """
    return _ground(tile, _shape(geobox_of(tile)))


def draw_thumbnail(tile: xr.Dataset, facts: TileFacts | None = None, ground: Picture | None = None) -> Picture:
    """Return a picture of a tile, as wide as the longest side asks for and with a caption below.

    Args:
        tile: May hold what `draw_ground` asks for, `binarized_segmentation` and `extent`.
        facts: Figures of the tile, if they are known already.
        ground: The ground, if it was drawn already, when there was no more of the tile than its bands.

    Returns:
        (row, column, RGB) uint8.
    """
    grid = geobox_of(tile)
    shape = _shape(grid)
    picture = _ground(tile, shape) if ground is None else ground.copy()
    _draw_extent(picture, tile, shape)
    n_slumps = _draw_slumps(picture, tile, shape)
    picture = map_furniture.on_a_plate(picture, _NO_DATA)
    map_furniture.draw_scale_bar(picture, pixel_size_m(grid) / _scale(grid))
    map_furniture.draw_north_arrow(picture, convergence_at_centre(grid))
    legend = [("slump outline", _SLUMP)] if n_slumps is not None else []
    legend += [("mapped extent", _EXTENT)] if "extent" in tile else []
    facts = tile_facts(tile) if facts is None else facts
    return map_furniture.with_caption(picture, image.image_id(tile), caption_lines(tile, n_slumps, facts), legend)


def _scale(grid: GeoBox) -> float:
    """Return the pixels of the picture to one of a tile."""
    return min(LONGEST_SIDE_PX / max(grid.shape), LARGEST_MAGNIFICATION)


def _shape(grid: GeoBox) -> tuple[int, int]:
    """Return the rows and columns of the picture of a tile."""
    height, width = (max(1, round(length * _scale(grid))) for length in grid.shape)
    return height, width


def jpeg_bytes(picture: Picture) -> bytes:
    """Return an RGB picture as JPEG."""
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
    return bytes(encoded.tobytes())


def caption_lines(tile: xr.Dataset, n_slumps: int | None, facts: TileFacts) -> list[str]:
    """Return the lines below the title: date and slumps, and how much ground was seen, how well."""
    first = [date] if (date := image.acquired(tile)) is not None else []
    if n_slumps is not None:
        area_m2 = _masked_area_m2(tile) if facts.area_m2 is None else facts.area_m2
        first.append(f"{n_slumps:,} slump{'' if n_slumps == 1 else 's'}, {area_m2 / 1e4:,.1f} ha")
    return ["  ·  ".join(first), "  ·  ".join(_ground_lines(facts))]


def _ground_lines(facts: TileFacts) -> list[str]:
    """Return how much ground was seen and how well, and what of it models knew too little of."""
    named = {"observed": facts.observed_km2, "clear": facts.clear_km2, "cloudy": facts.cloudy_km2}
    said = [f"{name} {km2:,.1f} km²" for name, km2 in named.items() if km2 is not None]
    if facts.features_missing is not None and facts.features_missing > _WORTH_SAYING:
        said.append(f"features missing in {100 * facts.features_missing:.0f} %")
    return said


def _masked_area_m2(tile: xr.Dataset) -> float:
    return float(np.count_nonzero(tile["binarized_segmentation"].values) * pixel_size_m(geobox_of(tile)) ** 2)


def _ground(tile: xr.Dataset, shape: tuple[int, int]) -> Picture:
    """Return the ground in true colour, or in grey where the tile has no colours."""
    if not {*COLOURS} <= {*tile.data_vars}:
        return np.full((*shape, 3), _GREY, dtype=np.uint8)
    with ThreadPoolExecutor(usable_cores()) as pool:
        colours = pool.map(lambda name: resize_band(tile[name].variable, shape), COLOURS)
        reflectance = np.stack(list(colours), axis=-1)
    valid = np.isfinite(reflectance).all(axis=-1)
    picture = np.empty((*shape, 3), dtype=np.uint8)
    picture[:] = _NO_DATA
    if valid.any():
        picture[valid] = stretched(reflectance[valid], _best(tile, shape)[valid])
    return picture


def _best(tile: xr.Dataset, shape: tuple[int, int]) -> Array:
    """Return where the ground is seen best, (row, column) bool; everywhere if that is hardly anywhere."""
    if "quality_data_mask" in tile:
        best = cv2.resize(tile["quality_data_mask"].values, shape[::-1], interpolation=cv2.INTER_NEAREST) == 2
        if best.mean() > 0.01:
            return best
    return np.ones(shape, dtype=bool)


def stretched(reflectance: Array, best: Array) -> Array:
    """Return (pixel, RGB) uint8, stretched between percentiles of the best pixels.

    All colours share one range, so that hues stay true: surface reflectance has no haze to take away. The curve lifts
    the tundra, which is dark beside snow and cloud.

    Args:
        reflectance: (pixel, RGB) float.
        best: (pixel,) bool.
    """
    return brightened(reflectance, *brightness_range(reflectance[best] if best.any() else reflectance))


def brightness_range(sample: Array) -> tuple[float, float]:
    """Return the reflectance that is shown dark, and how much more is shown bright, of (pixel, RGB) reflectance."""
    low = float(np.percentile(sample, 1, axis=0).min())
    return low, max(float(np.percentile(sample, 99, axis=0).max()) - low, 0.02)


def brightened(reflectance: Array, low: float, span: float) -> Array:
    """Return reflectance as numbers of a picture, (..., RGB) uint8, with a range that `brightness_range` gave."""
    bright = np.clip((reflectance - low) / span + 0.04, 0, 1)  # open water is dark, but not black
    return np.rint(255 * bright**0.7).astype(np.uint8)


def _draw_extent(picture: Picture, tile: xr.Dataset, shape: tuple[int, int]) -> None:
    """Dim what lies outside of the extent, and outline that."""
    if "extent" not in tile:
        return
    extent = resize_mask(tile["extent"], shape)
    outside = extent == 0
    picture[outside] = (0.45 * picture[outside] + 0.3 * np.array(_NO_DATA)).astype(np.uint8)
    contours, _ = cv2.findContours(extent, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(picture, contours, -1, _EXTENT, 1, cv2.LINE_AA)


def _draw_slumps(picture: Picture, tile: xr.Dataset, shape: tuple[int, int]) -> int | None:
    """Outline the slumps, circle those too small to be seen, and return how many objects there are."""
    if "binarized_segmentation" not in tile:
        return None
    mask = resize_mask(tile["binarized_segmentation"], shape)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    boxes = [cv2.boundingRect(contour) for contour in contours]
    is_small = [max(width, height) < _SMALL_OBJECT_PX for _, _, width, height in boxes]
    centres = [(x + width // 2, y + height // 2) for x, y, width, height in compress(boxes, is_small)]
    large = [contour for contour, small in zip(contours, is_small, strict=True) if not small]
    # a dark rim first, so that the outline shows on snow as well
    for colour, thickness in (((20, 20, 20), 4), (_SLUMP, 2)):
        cv2.drawContours(picture, large, -1, colour, thickness, cv2.LINE_AA)
        map_furniture.draw_circles(picture, centres, _SMALL_OBJECT_PX - 2, colour, thickness)
    return count_slumps(tile["binarized_segmentation"])


def count_slumps(objects: xr.DataArray) -> int:
    """Return how many objects a mask has, as whoever made it has counted them."""
    if "n_objects" in objects.attrs:
        return int(objects.attrs["n_objects"])
    return connected_components(run_length_encode(objects.values), diagonal=True)[1]
