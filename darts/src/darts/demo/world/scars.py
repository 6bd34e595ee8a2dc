"""The shape of one thaw slump, or of what an old one left: a scar under a headwall, and the mud that ran out of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from contourpy import contour_generator

from darts.demo.world.fields import mix, smoothstep
from darts_utils.rasters.arrays import Array

_FINER = 4
"""Shapes are drawn on a grid this much finer, so that their edges are not made of pixels."""
_SCARP_PX = 2.2


@dataclass(frozen=True, kw_only=True)
class ScarDesign:
    """Place and measures of a scar; lengths in pixels of the world."""

    kind: str
    """coastal, lakeshore, riverside or hillside."""
    centre: tuple[float, float]
    """Row and column of the middle of the head."""
    downslope: tuple[float, float]
    """Unit vector to the outlet, (south, east)."""
    radius: float
    """Half the width of the head."""
    head: float
    """Length of the head over its radius: below 1 flat like an amphitheatre, above 1 pointed."""
    body: float
    """Length of the scar below the head."""
    neck: float
    """Half the width of the outlet."""
    tongue: float
    """Length of the mud tongue below the outlet."""
    bend: float
    """How far the lower end bows to one side, in radii."""
    lobes: tuple[float, ...]
    """Where along the headwall, in radii to the side, further heads bite into the slope."""
    depth_m: float
    """Height of the headwall."""
    activity: float
    """From 0, overgrown, to 1, raw."""
    retreat: float = 0.0
    """How far the headwall has gone back up the slope."""
    room: float = 0.0
    """How far it goes back at most: scars of one design and room are drawn alike, whatever their retreat."""

    @property
    def circle(self) -> tuple[float, float, float]:
        """Row, column and radius of a circle around all of it."""
        length, head = self.body + self.tongue, self.radius * self.head + self.room
        middle = (length - head) / 2
        row, column = (c + d * middle for c, d in zip(self.centre, self.downslope, strict=True))
        spread = self.radius * (0.85 + max(map(abs, self.lobes), default=0.15))
        reach = max((length + head) / 2, spread) + 0.5 * abs(self.bend) * self.radius
        return row, column, reach + 1


@dataclass(frozen=True, kw_only=True)
class Scar:
    """A drawn scar; layers are (y, x) float32 from 0 to 1 within its window."""

    design: ScarDesign
    window: tuple[slice, slice]
    """Rows and columns of the world."""
    cover: Array
    """Share of each pixel inside the outline."""
    headwall: Array
    """The steep, raw scarp."""
    tongue: Array
    """Mud that ran out."""
    lowering_m: Array
    """How much lower the ground is than before, in metres; negative on the tongue."""
    outline: shapely.Polygon
    """Outline in pixels, x = column and y = row, pixel corners at whole numbers."""


def draw_scar(rng: np.random.Generator, design: ScarDesign, to_water: Array) -> Scar | None:
    """Return a scar, clipped at the water; None if too little is left of it on the grid.

    Args:
        rng: Random numbers for its irregular edge.
        design: Place and measures.
        to_water: (y, x) distance to the nearest water in pixels.
    """
    window = _window(design, to_water.shape)
    if window is None:
        return None
    along, across = _coordinates(rng, design, window)
    level = _signed_distance(_inside(design, along, across))
    coarse = [_coarsened(layer) for layer in (level, along)]
    inside = _largest_part(np.minimum(coarse[0], to_water[window] - 0.5))
    outline = _outline(inside, window)
    if outline is None:
        return None
    return Scar(design=design, window=window, outline=outline, **_zones(design, inside, coarse[1]))


def united(scars: Sequence[Scar]) -> Scar:
    """Return scars that have become one, without the headwalls that were between them."""
    if len(scars) == 1:
        return scars[0]
    window = tuple(
        slice(min(scar.window[axis].start for scar in scars), max(scar.window[axis].stop for scar in scars))
        for axis in (0, 1)
    )
    layers = {name: _highest(scars, name, window) for name in ("cover", "headwall", "tongue", "lowering_m")}
    within = cv2.distanceTransform((layers["cover"] > 0.5).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    layers["headwall"] *= np.exp(-((np.maximum(within - 1.4, 0) / 1.3) ** 2))
    outline = shapely.union_all([scar.outline for scar in scars])
    return Scar(design=scars[0].design, window=(window[0], window[1]), outline=outline, **layers)


def _highest(scars: Sequence[Scar], name: str, window: tuple[slice, ...]) -> Array:
    """Return the highest value of a layer of several scars, (y, x) float32 in a window around all of them."""
    highest = np.zeros([part.stop - part.start for part in window], dtype=np.float32)
    for scar in scars:
        rows, columns = (
            slice(own.start - part.start, own.stop - part.start) for own, part in zip(scar.window, window, strict=True)
        )
        np.maximum(highest[rows, columns], getattr(scar, name), out=highest[rows, columns])
    return highest


def _window(design: ScarDesign, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    row, column, radius = design.circle
    reach = radius + 0.4 * design.radius + 4
    rows = slice(max(int(row - reach), 0), min(int(row + reach) + 1, shape[0]))
    columns = slice(max(int(column - reach), 0), min(int(column + reach) + 1, shape[1]))
    return (rows, columns) if min(rows.stop - rows.start, columns.stop - columns.start) > 4 else None


def _coordinates(rng: np.random.Generator, design: ScarDesign, window: tuple[slice, slice]) -> tuple[Array, Array]:
    """Return, on the finer grid, how far upslope of the centre and how far aside each point is, both a bit warped."""
    rows, columns = window
    y = rows.start + (np.arange((rows.stop - rows.start) * _FINER) + 0.5) / _FINER - design.centre[0]
    x = columns.start + (np.arange((columns.stop - columns.start) * _FINER) + 0.5) / _FINER - design.centre[1]
    south, east = design.downslope
    along = -(y[:, None] * south + x[None, :] * east)
    across = x[None, :] * south - y[:, None] * east
    warp = [_ripple(rng, along.shape, design.radius * _FINER) for _ in range(2)]
    along = along + 0.13 * design.radius * warp[0]
    bow = design.bend * design.radius * (np.minimum(along, 0) / (design.body + design.tongue)) ** 2
    across = across + 0.13 * design.radius * warp[1] - bow
    return along.astype(np.float32), across.astype(np.float32)


def _ripple(rng: np.random.Generator, shape: tuple[int, ...], wavelength: float) -> Array:
    """Return smooth noise of about unit size, two octaves."""
    total = np.zeros(shape, dtype=np.float32)
    for octave, strength in ((0.9, 1.0), (0.35, 0.45)):
        nodes = [max(4, round(length / (octave * wavelength)) + 3) for length in shape]
        coarse = rng.standard_normal(nodes).astype(np.float32)
        total += strength * cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return total


def _inside(design: ScarDesign, along: Array, across: Array) -> Array:
    """Return where the scar is, bool on the finer grid."""
    aside = np.abs(across)
    inside = np.zeros(along.shape, dtype=bool)
    # all that the head has been through: what is gone stays gone
    for back in np.linspace(0, design.retreat, 1 + int(np.ceil(design.retreat * _FINER))):
        inside |= _inside_head(design, along - back, across)
    down = -along / design.body
    inside |= (down >= 0) & (down <= 1) & (aside < design.radius + (design.neck - design.radius) * smoothstep(down))
    if design.tongue > 0:
        out = (-along - design.body) / design.tongue
        end = np.sqrt(np.clip(1 - (np.maximum(out - 0.5, 0) / 0.5) ** 2, 0, 1))
        inside |= (out >= 0) & (out <= 1) & (aside < design.neck * (1 + 0.5 * np.sin(np.pi * np.clip(out, 0, 1))) * end)
    return inside


def _inside_head(design: ScarDesign, along: Array, across: Array) -> Array:
    length = design.radius * design.head
    inside: Array = (along >= 0) & ((along / length) ** 2 + (across / design.radius) ** 2 < 1)
    for lobe in design.lobes:
        bite = ((along - 0.3 * length) / length) ** 2 + (
            (across - lobe * design.radius) / (0.8 * design.radius)
        ) ** 2 < 1
        inside |= bite
    return inside


def _signed_distance(inside: Array) -> Array:
    """Return the distance to the edge in pixels of the world, positive inside, on the finer grid."""
    within = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    beyond = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return (within - beyond) / _FINER


def _coarsened(layer: Array) -> Array:
    height, width = layer.shape
    return cv2.resize(layer, (width // _FINER, height // _FINER), interpolation=cv2.INTER_AREA)


def _largest_part(inside: Array) -> Array:
    """Return the distances with all but the largest connected part put outside: a river cuts nothing off."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((inside > -0.5).astype(np.uint8), connectivity=4)
    if count < 2:
        return inside
    kept = labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return np.where(kept, inside, np.minimum(inside, -0.6))


def _outline(inside: Array, window: tuple[slice, slice]) -> shapely.Polygon | None:
    """Return the largest outline at level 0; it runs between pixel centres."""
    y = np.arange(window[0].start, window[0].stop) + 0.5
    x = np.arange(window[1].start, window[1].stop) + 0.5
    framed = np.pad(inside, 1, constant_values=-1.0)  # so that an outline at the grid's edge is closed too
    y, x = (np.concatenate([axis[:1] - 1, axis, axis[-1:] + 1]) for axis in (y, x))
    rings = [ring for ring in contour_generator(x, y, framed).lines(0.0) if len(ring) >= 4]
    polygons = [shapely.make_valid(shapely.Polygon(ring)) for ring in rings]
    parts = [part for polygon in polygons for part in shapely.get_parts(polygon) if part.geom_type == "Polygon"]
    largest = max(parts, key=shapely.area, default=None)
    return largest if largest is not None and largest.area > 4 else None


def _zones(design: ScarDesign, inside: Array, along: Array) -> dict[str, Array]:
    """Return cover, headwall, tongue and lowering from the distance to the edge and the position along the slope."""
    cover = np.clip(inside + 0.5, 0, 1)
    tongue = cover * smoothstep((-along - 0.85 * design.body) / (0.3 * design.body + 1))
    upper = smoothstep((along + 0.5 * design.body) / (0.5 * design.body + 0.5 * design.radius))
    headwall = cover * np.exp(-((np.maximum(inside - 0.4, 0) / 1.3) ** 2)) * upper
    towards_outlet = np.clip(-along / (design.body + 0.5 * design.radius), 0, 1)
    depth = design.depth_m * mix(np.ones_like(along), np.full_like(along, 0.15), smoothstep(towards_outlet))
    lowering = depth * smoothstep((inside + 0.3) / _SCARP_PX) * (1 - tongue)
    lowering -= 0.12 * design.depth_m * tongue * smoothstep(inside / 2.5)
    return {
        name: layer.astype(np.float32)
        for name, layer in (("cover", cover), ("headwall", headwall), ("tongue", tongue), ("lowering_m", lowering))
    }
