"""Maps of hits, misses and false objects as inline SVG."""

from dataclasses import dataclass
from html import escape

import geopandas as gpd
import numpy as np
import shapely

from darts_postprocessing.evaluation.scores import Evaluation
from darts_utils.rasters.arrays import Array

COLOURS = {"hit": "#1a9641", "missed": "#f08c00", "false": "#d7191c"}
"""Of what is mapped; false objects are drawn first, hits last."""
_REFERENCE = "#14532d"
_SEARCHED = "#eef0ea"
_SMALLEST_PX = 4.0
"""Objects that are smaller on the map are drawn as dots of this size."""
_ROUND_LENGTHS = (1, 2, 5)
_MARGIN = 0.08
_NEAREST_M = 200.0
"""A map shows at least this much ground from side to side."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Turns the plane into pixels of a map, north up at its centre."""

    centre: Array
    """x and y in the plane."""
    width_px: int
    height_px: int
    metres_per_px: float

    def moved(self, shapes: Array) -> Array:
        """Return shapes in pixels, x to the right and y down."""
        turn = _turned(self.centre)
        middle = np.array([self.width_px, self.height_px]) / 2

        def move(points: Array) -> Array:
            moved: Array = (points - self.centre) @ turn.T / self.metres_per_px * (1, -1) + middle
            return moved

        result: Array = shapely.transform(shapes, move)
        return result


def frame_of(shapes: Array, width_px: int, height_px: int) -> Frame:
    """Return the frame that shows shapes of the plane as large as they fit.

    Args:
        shapes: (shape,) at least one that is not empty.
        width_px: Width of the map.
        height_px: Its height.
    """
    left, bottom, right, top = shapely.total_bounds(shapes)
    rough = np.array([left + right, bottom + top]) / 2
    turn = _turned(rough)
    corners = (shapely.get_coordinates(shapes) - rough) @ turn.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    spans = np.maximum(high - low, _NEAREST_M) * (1 + 2 * _MARGIN)
    centre = rough + (low + high) / 2 @ turn
    metres_per_px = float(max(spans / (width_px, height_px)))
    return Frame(centre=centre, width_px=width_px, height_px=height_px, metres_per_px=metres_per_px)


def closer(frame: Frame, shapes: Array, width_m: float) -> Frame:
    """Return a frame of the part of another where most things are.

    Args:
        frame: What is shown so far.
        shapes: (shape,) what matters, such as errors; at least one.
        width_m: How much ground is shown from side to side.

    Returns:
        The frame around the shape that has most others as near as the map reaches up and down; the frame as it was if
        it shows no more ground than that.
    """
    if frame.metres_per_px * frame.width_px <= width_m:
        return frame
    metres_per_px = width_m / frame.width_px
    points = shapely.centroid(shapes)
    here, _ = shapely.STRtree(points).query(points, "dwithin", frame.height_px / 2 * metres_per_px)
    centre = shapely.get_coordinates(points[np.argmax(np.bincount(here))])[0]
    return Frame(centre=centre, width_px=frame.width_px, height_px=frame.height_px, metres_per_px=metres_per_px)


def _turned(centre: Array) -> Array:
    """Return the rotation that brings north up at a place of the plane, whose pole is at 0, 0."""
    distance = np.hypot(*centre)
    if distance < 1:
        return np.eye(2)
    east, north = -centre / distance  # towards the pole
    return np.array([[north, -east], [east, north]])


def map_svg(evaluation: Evaluation, frame: Frame, title: str) -> str:
    """Return a map as an SVG element.

    Args:
        evaluation: Its objects that lie in the frame are drawn: false ones, missed ones, hits as they were predicted
            and the outlines of their references above them.
        frame: What the map shows.
        title: What it is called, for those who listen to it.

    Returns:
        The element, with a scale bar; legend and frame are those of the page.
    """
    predictions, references = evaluation.predictions, evaluation.references
    layers = [_searched(evaluation.searched, frame)]
    for outcome, table in (("false", predictions), ("missed", references), ("hit", predictions)):
        shapes = table.geometry.to_numpy()[(table["outcome"] == outcome).to_numpy()]
        layers.append(_objects(shapes, frame, COLOURS[outcome]))
    found = references.geometry.to_numpy()[(references["outcome"] == "hit").to_numpy()]
    layers.append(_drawn(_large(found, frame), f'fill="none" stroke="{_REFERENCE}" stroke-width="1.2"'))
    size = f'width="{frame.width_px}" height="{frame.height_px}" viewBox="0 0 {frame.width_px} {frame.height_px}"'
    return "\n".join(
        [f'<svg {size} role="img" aria-label="{escape(title)}">', *filter(None, layers), _scale_bar(frame), "</svg>"]
    )


def _searched(searched: gpd.GeoDataFrame | None, frame: Frame) -> str:
    if searched is None:
        return ""
    ground = shapely.union_all(_within(searched.geometry.to_numpy(), frame))
    return _drawn(
        shapely.simplify(frame.moved(np.array([ground])), 0.5),
        f'fill="{_SEARCHED}" stroke="#9aa08e" stroke-width="0.8"',
    )


def _objects(shapes: Array, frame: Frame, colour: str) -> str:
    """Return outlines of one colour; those too small to see as dots, one where several fall on the same place."""
    seen = frame.moved(_within(shapes, frame))
    small = _is_small(seen)
    dots = np.unique(np.round(shapely.get_coordinates(shapely.centroid(seen[small]))), axis=0)
    radius = _SMALLEST_PX / 2
    circles = "".join(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{radius}"/>' for x, y in dots)
    style = f'fill="{colour}" fill-opacity="0.55" stroke="{colour}" stroke-width="1"'
    outlines = _drawn(shapely.simplify(seen[~small], 0.3), style)
    return outlines + (f'<g fill="{colour}">{circles}</g>' if circles else "")


def _large(shapes: Array, frame: Frame) -> Array:
    seen = frame.moved(_within(shapes, frame))
    result: Array = shapely.simplify(seen[~_is_small(seen)], 0.3)
    return result


def _within(shapes: Array, frame: Frame) -> Array:
    """Return the shapes of which something may be on the map."""
    reach = np.hypot(frame.width_px, frame.height_px) / 2 * frame.metres_per_px
    left, bottom, right, top = shapely.bounds(shapes).T
    x, y = frame.centre
    near: Array = shapes[(right > x - reach) & (left < x + reach) & (top > y - reach) & (bottom < y + reach)]
    return near


def _is_small(shapes: Array) -> Array:
    left, top, right, bottom = shapely.bounds(shapes).T
    small: Array = np.maximum(right - left, bottom - top) < _SMALLEST_PX
    return small


def _drawn(shapes: Array, style: str) -> str:
    """Return polygons in pixels as a group of paths, nothing if there are none."""
    polygons = shapely.get_parts(shapes)
    rings, owners = shapely.get_rings(polygons, return_index=True)
    if not len(rings):
        return ""
    ways = [f"M{' '.join(f'{x:.1f},{y:.1f}' for x, y in shapely.get_coordinates(ring))}Z" for ring in rings]
    # a path for each polygon: where two overlap in one path, the rule of holes would leave the ground empty
    parts = np.split(np.array(ways, dtype=object), np.flatnonzero(np.diff(owners)) + 1)
    return f'<g fill-rule="evenodd" {style}>{"".join(f'<path d="{"".join(part)}"/>' for part in parts)}</g>'


def _scale_bar(frame: Frame) -> str:
    """Return a bar of a round length, of at most a quarter of the map."""
    longest = frame.width_px / 4 * frame.metres_per_px
    power = 10.0 ** np.floor(np.log10(longest))
    length_m = max(step * power for step in _ROUND_LENGTHS if step * power <= longest)
    label = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    right, y = 12 + length_m / frame.metres_per_px, frame.height_px - 12
    bar = f"M12,{y - 5}V{y}H{right:.1f}V{y - 5}"
    halo = f'<path d="{bar}" fill="none" stroke="#fff" stroke-width="5" stroke-opacity="0.8"/>'
    text = f'<text x="{right + 7:.1f}" y="{y + 1}" class="scale">{label}</text>'
    return f'{halo}<path d="{bar}" fill="none" stroke="#222" stroke-width="1.6"/>{text}'
