"""What goes around a picture of the ground: plate, scale bar, north arrow, caption."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np

type Picture = np.ndarray[Any, np.dtype[np.uint8]]
type Colour = tuple[int, int, int]

SMALLEST_SIDE_PX = 480
"""Narrower pictures stand on a plate of this size, so that caption and scale bar have room."""

_TITLE_PX = 54
_LINE_PX = 30
_PAPER: Colour = (24, 26, 30)
_INK: Colour = (240, 240, 240)
_PALE: Colour = (176, 182, 190)
MARGIN_PX = 22


def on_a_plate(picture: Picture, colour: Colour) -> Picture:
    """Return a picture in the middle of a plate that is at least `SMALLEST_SIDE_PX` wide and high."""
    height, width = picture.shape[:2]
    plate = np.empty((max(height, SMALLEST_SIDE_PX), max(width, SMALLEST_SIDE_PX), 3), dtype=np.uint8)
    plate[:] = colour
    top, left = (plate.shape[0] - height) // 2, (plate.shape[1] - width) // 2
    plate[top : top + height, left : left + width] = picture
    return plate


def round_length_m(longest_m: float) -> float:
    """Return the largest 1, 2 or 5 times a power of ten that is not above a length."""
    power = 10.0 ** math.floor(math.log10(longest_m))
    return max(step * power for step in (1, 2, 5) if step * power <= longest_m * (1 + 1e-9))


def length_text(length_m: float) -> str:
    """Return a length as a person writes it."""
    return f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"


def draw_scale_bar(picture: Picture, pixel_m: float) -> None:
    """Draw a bar of a round length into the lower left corner; `pixel_m` is metres to a pixel of the picture."""
    height, width = picture.shape[:2]
    length_m = round_length_m(width * pixel_m / 4)
    right = MARGIN_PX + max(1, round(length_m / pixel_m))
    base = height - MARGIN_PX
    label = length_text(length_m)
    _shade(picture, (base - 36, base + 12), (MARGIN_PX - 12, max(right, MARGIN_PX + _text_width(label, 18)) + 12))
    corners = np.array([(MARGIN_PX, base - 7), (MARGIN_PX, base), (right, base), (right, base - 7)], dtype=np.int32)
    cv2.polylines(picture, [corners], isClosed=False, color=_INK, thickness=2)
    _write(picture, label, (MARGIN_PX, base - 14), _INK, 18)


def draw_north_arrow(picture: Picture, convergence_deg: float) -> None:
    """Draw an arrow to true north into the upper right corner, turned clockwise from the top of the picture."""
    centre = np.array([picture.shape[1] - MARGIN_PX - 16, MARGIN_PX + 26.0])
    _shade(picture, (MARGIN_PX - 12, MARGIN_PX + 64), (picture.shape[1] - MARGIN_PX - 48, picture.shape[1] - 6))
    angle = math.radians(convergence_deg)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    outline = np.array([(0, -22), (11, 16), (0, 8), (-11, 16)], dtype=float) @ turn + centre
    cv2.fillPoly(picture, [np.rint(outline * 16).astype(np.int32)], _INK, cv2.LINE_AA, shift=4)
    _write(picture, "N", (round(centre[0] - _text_width("N", 15) / 2), round(centre[1] + 36)), _INK, 15)


def with_caption(picture: Picture, title: str, lines: Sequence[str], legend: Sequence[tuple[str, Colour]]) -> Picture:
    """Return the picture with a title, lines of facts and a legend below; empty lines are left out."""
    height, width = picture.shape[:2]
    lines = [line for line in lines if line]
    whole = np.empty((height + _TITLE_PX + _LINE_PX * max(len(lines), 1), width, 3), dtype=np.uint8)
    whole[:height], whole[height:] = picture, _PAPER
    room = width - 2 * MARGIN_PX
    _write(whole, title, (MARGIN_PX, height + 34), _INK, _fitting_size(title, 24, room))
    for number, line in enumerate(lines):
        _write(whole, line, (MARGIN_PX, height + 66 + number * _LINE_PX), _PALE, _fitting_size(line, 19, room))
    if legend:
        _draw_legend_beside(whole, lines, legend, height + 66)
    return whole


def draw_circles(
    picture: Picture, centres: Sequence[tuple[int, int]], radius: int, colour: Colour, thickness: int
) -> None:
    """Draw circles of one size at (x, y) centres, all in one pass: there may be tens of thousands."""
    if not centres:
        return
    middle = radius + thickness
    stamp = np.zeros((2 * middle + 1, 2 * middle + 1), dtype=np.uint8)
    cv2.circle(stamp, (middle, middle), radius, 255, thickness, cv2.LINE_AA)
    points = np.zeros(picture.shape[:2], dtype=np.float32)
    x, y = np.transpose(centres)
    points[y, x] = 1 / 255
    turned = stamp[::-1, ::-1].astype(np.float32)  # a filter turns what it puts at a point by half a circle
    cover = cv2.filter2D(points, -1, turned, borderType=cv2.BORDER_CONSTANT)
    cover = np.minimum(cover, 1)[..., np.newaxis]
    picture[:] = np.rint(picture + cover * (np.array(colour, dtype=np.float32) - picture))


def _draw_legend_beside(
    picture: Picture, lines: Sequence[str], legend: Sequence[tuple[str, Colour]], base: int
) -> None:
    """Draw the legend at the right of the first line that leaves room for it; none if there is no such line."""
    left = picture.shape[1] - MARGIN_PX - _legend_width(legend)
    room = picture.shape[1] - 2 * MARGIN_PX
    for number, line in enumerate(lines or [""]):
        if left > MARGIN_PX + _text_width(line, _fitting_size(line, 19, room)) + 24:
            _draw_legend(picture, legend, left, base + number * _LINE_PX)
            return


def _draw_legend(picture: Picture, legend: Sequence[tuple[str, Colour]], left: int, base: int) -> None:
    for label, colour in legend:
        cv2.rectangle(picture, (left, base - 12), (left + 18, base), colour, 2, cv2.LINE_AA)
        _write(picture, label, (left + 27, base), _PALE, 17)
        left += _entry_width(label)


def _legend_width(legend: Sequence[tuple[str, Colour]]) -> int:
    return sum(_entry_width(label) for label, _ in legend) - (24 if legend else 0)


def _entry_width(label: str) -> int:
    return 27 + _text_width(label, 17) + 24


def _shade(picture: Picture, rows: tuple[int, int], columns: tuple[int, int]) -> None:
    """Darken a rectangle of the picture, so that what is drawn on it can be read on snow."""
    window = picture[max(rows[0], 0) : rows[1], max(columns[0], 0) : columns[1]]
    window[:] = (window * 0.45).astype(np.uint8)


@cache
def _font() -> cv2.FontFace:
    return cv2.FontFace("sans")


def _write(picture: Picture, text: str, origin: tuple[int, int], colour: Colour, size_px: int) -> None:
    cv2.putText(picture, text, origin, colour, _font(), size_px)


def _text_width(text: str, size_px: int) -> int:
    _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), _font(), size_px)
    return int(width)


def _fitting_size(text: str, size_px: int, room_px: int) -> int:
    """Return the largest letter size up to `size_px` at which a text fits."""
    while size_px > 9 and _text_width(text, size_px) > room_px:
        size_px -= 1
    return size_px
