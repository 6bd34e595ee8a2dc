"""A meandering river with bars in its inner bends and cut banks in its outer ones."""

from dataclasses import dataclass

import cv2
import numpy as np

from darts.demo.world.fields import Noise, distance_px
from darts_utils.rasters.arrays import Array


@dataclass(frozen=True, kw_only=True)
class River:
    """A river on the padded grid of a world."""

    water: Array
    """(y, x) bool."""
    bars: Array
    """(y, x) bool: bare sand and gravel in the inner bends."""
    cut_banks: Array
    """(n, 2) float: rows and columns where it undercuts its outer bank."""


def draw_river(noise: Noise, sea: Array, inland: tuple[float, float]) -> River:
    """Return a river from the inland edge to the sea.

    Args:
        noise: Random numbers.
        sea: (y, x) bool.
        inland: Direction away from the sea, (south, east).
    """
    rng = noise.rng("river")
    points, bend = _centreline(rng, noise.shape, inland)
    width_px = rng.uniform(4, 7)
    water = np.zeros(noise.shape, dtype=np.uint8)
    fixed = np.rint(points[:, ::-1] * 16).astype(np.int32)[:, None, :]
    cv2.polylines(water, [fixed], isClosed=False, color=1, thickness=round(width_px), shift=4)
    outward = _left(points) * -np.sign(bend)[:, None]
    bars = _bars(rng, points - outward * (0.5 * width_px + 1.5), bend, width_px, noise)
    wet = water.astype(bool) & ~sea
    banks = (points + outward * (0.5 * width_px + 2))[np.abs(bend) > np.quantile(np.abs(bend), 0.7)]
    banks = _inside(banks, noise.shape)
    banks = banks[distance_px(sea)[banks[:, 0].astype(int), banks[:, 1].astype(int)] > 30]
    return River(water=wet, bars=bars & ~wet & ~sea & (distance_px(wet) < 9), cut_banks=banks)


def _centreline(rng: np.random.Generator, shape: tuple[int, int], inland: tuple[float, float]) -> tuple[Array, Array]:
    """Return points (row, column), one pixel apart, from the sea inland, and the curvature there.

    The direction along the line is Kinoshita's skewed sine (Kinoshita 1961), which gives lifelike meanders, with an
    amplitude that comes and goes.
    """
    length = int(3.2 * max(shape))
    s = np.arange(length, dtype=np.float64)
    wavelength = rng.uniform(85, 130)
    wander = np.cumsum(_varying(s, 100, rng.normal(0, 1, length)))
    phase = 2 * np.pi * s / wavelength + 0.02 * wander + rng.uniform(0, 6.28)
    swing = _varying(s, 120, rng.uniform(0.75, 1.6, length))
    direction = swing * np.sin(phase) + swing**3 * (0.03 * np.cos(3 * phase) - 0.02 * np.sin(3 * phase))
    heading = direction + np.arctan2(inland[1], inland[0]) + 0.25 * np.sin(s / 500 + rng.uniform(0, 6.28))
    start = np.array(_mouth(rng, shape, inland))
    points = start + np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0)
    return points, np.gradient(heading)


def _varying(s: Array, step: int, values: Array) -> Array:
    """Return values, one every `step`, interpolated along the line."""
    nodes = np.arange(0, s[-1] + 2 * step, step)
    return np.interp(s, nodes, values[: len(nodes)])


def _mouth(rng: np.random.Generator, shape: tuple[int, int], inland: tuple[float, float]) -> tuple[float, float]:
    """Return a place far out at sea from which the middle of the grid lies roughly inland."""
    centre = np.array(shape) / 2
    aside = np.array([-inland[1], inland[0]]) * rng.uniform(-0.25, 0.25) * max(shape)
    row, column = centre - np.array(inland) * 0.62 * max(shape) + aside
    return float(row), float(column)


def _left(points: Array) -> Array:
    """Return the unit vector to the side towards which a positive curvature turns, (n, 2)."""
    step = np.gradient(points, axis=0)
    step /= np.linalg.norm(step, axis=1, keepdims=True)
    return np.stack([-step[:, 1], step[:, 0]], axis=1)


def _bars(rng: np.random.Generator, points: Array, bend: Array, width_px: float, noise: Noise) -> Array:
    """Return the bars: beads of sand along the inner side of the sharper bends."""
    bars = np.zeros(noise.shape, dtype=np.uint8)
    sharp = np.abs(bend) / np.quantile(np.abs(bend), 0.97)
    for (row, column), strength in zip(points[::2], sharp[::2], strict=True):
        radius = width_px * (strength - 0.45) * rng.uniform(0.8, 1.3)
        if radius > 0.6:
            cv2.circle(bars, (round(16 * column), round(16 * row)), round(16 * radius), 1, cv2.FILLED, shift=4)
    return bars.astype(bool)


def _inside(points: Array, shape: tuple[int, int]) -> Array:
    keep = np.all((points > 12) & (points < np.array(shape) - 12), axis=1)
    return points[keep]
