"""Where slumps start: on slopes above the sea, lakes and the river, and on hillsides."""

import numpy as np

from darts.demo.world.fields import Noise, blurred, distance_px, gradient
from darts.demo.world.relief import Relief
from darts.demo.world.scars import ScarDesign
from darts_utils.rasters.arrays import Array

_KINDS = {"coastal": 9, "lakeshore": 11, "riverside": 8, "hillside": 9}
"""Slumps of each kind in a million pixels, where there is room."""
_OLD_PER_MPX = 9
_GAP_PX = 7.0

type Circle = tuple[float, float, float]


def design_slumps(noise: Noise, relief: Relief) -> tuple[list[ScarDesign], list[ScarDesign]]:
    """Return the active slumps and the overgrown scars of a world; none touches another."""
    rng = noise.rng("sites")
    smooth = blurred(relief.elevation, 4.0)
    south, east = gradient(smooth)
    steepness = np.hypot(south, east)
    places = _places(relief, steepness)
    millions = steepness.size / 1e6
    taken: list[Circle] = []
    active = []
    for kind, number in _KINDS.items():
        for _ in range(max(1, round(number * millions))):
            design = _try(rng, kind, places[kind], (south, east), taken, old=False)
            if design is not None:
                active.append(design)
    old = []
    for _ in range(round(_OLD_PER_MPX * millions)):
        kind = str(rng.choice(list(_KINDS)))
        design = _try(rng, kind, places[kind], (south, east), taken, old=True)
        if design is not None:
            old.append(design)
    return active, old


def _places(relief: Relief, steepness: Array) -> dict[str, Array]:
    """Return candidate pixels of each kind, (n, 2) rows and columns, the steeper third of what is near its water."""
    to_sea, to_lake, to_river = (distance_px(mask) for mask in (relief.sea, relief.lakes, relief.river.water))
    land = ~relief.water & (relief.basins < 0.05)
    far = np.minimum(np.minimum(to_sea, to_lake), to_river) > 22
    near = {
        "coastal": land & (to_sea < 5) & (to_river > 30),
        "lakeshore": land & (to_lake < 4),
        "riverside": land & (to_river > 4) & (to_river < 60) & (to_sea > 25) & (steepness > 0.5),
        "hillside": land & far & (steepness > 0.35),
    }
    return {kind: _steepest(mask, steepness) for kind, mask in near.items()}


def _steepest(mask: Array, steepness: Array) -> Array:
    places = np.argwhere(mask)
    if len(places) == 0:
        return places
    slope = steepness[mask]
    return places[slope >= np.quantile(slope, 0.6)]


def _try(
    rng: np.random.Generator, kind: str, places: Array, slope: tuple[Array, Array], taken: list[Circle], *, old: bool
) -> ScarDesign | None:
    """Return a design at a free place and enter it in `taken`, or None after thirty tries."""
    for _ in range(30 if len(places) else 0):
        row, column = places[rng.integers(len(places))]
        down = np.array([-slope[0][row, column], -slope[1][row, column]])
        steep = float(np.linalg.norm(down))
        if steep < 1e-3:
            continue
        design = _design(rng, kind, (float(row), float(column)), down / steep, old=old)
        y, x, r = design.circle
        if all(np.hypot(y - b, x - a) > r + s + _GAP_PX for b, a, s in taken):
            taken.append((y, x, r))
            return design
    return None


def _design(rng: np.random.Generator, kind: str, site: tuple[float, float], down: Array, *, old: bool) -> ScarDesign:
    """Return measures as they go with a kind of slump: broad and short at the coast, long on hillsides."""
    small = rng.random() < 0.025 and not old
    radius = float(rng.uniform(2.2, 3.2)) if small else float(np.clip(rng.lognormal(np.log(8.3), 0.32), 5.5, 17.0))
    shape = str(rng.choice(["horseshoe", "elongated", "amphitheatre"], p=[0.5, 0.2, 0.3]))
    head, body, neck, tongue = {
        "horseshoe": (rng.uniform(0.8, 1.1), rng.uniform(0.6, 1.3), rng.uniform(0.5, 0.8), rng.uniform(0.5, 1.4)),
        "elongated": (rng.uniform(1.0, 1.4), rng.uniform(2.0, 3.2), rng.uniform(0.55, 0.75), rng.uniform(0.8, 1.6)),
        "amphitheatre": (rng.uniform(0.6, 0.8), rng.uniform(0.5, 0.9), rng.uniform(0.7, 1.0), rng.uniform(0.4, 0.9)),
    }[shape]
    if shape == "elongated":
        radius *= 0.75
    if kind in ("coastal", "lakeshore"):
        tongue *= 0.5
    at_shore = kind in ("coastal", "lakeshore")
    back = radius * (body + 0.6 * tongue) if at_shore else 0.0
    lobes = (float(rng.uniform(-1.0, -0.7)), float(rng.uniform(0.7, 1.0)))
    return ScarDesign(
        kind=kind,
        centre=(site[0] - back * float(down[0]), site[1] - back * float(down[1])),
        downslope=(float(down[0]), float(down[1])),
        radius=radius,
        head=float(head),
        body=float(body) * radius,
        neck=float(neck) * radius,
        tongue=float(tongue) * radius,
        bend=float(rng.normal(0, 0.35)),
        lobes=lobes if shape == "amphitheatre" and not small else (),
        depth_m=float(np.clip(rng.normal(5.5, 1.8) * (radius / 8) ** 0.5 * (0.6 if old else 1.0), 2.0, 14.0)),
        activity=0.0 if old else float(rng.beta(4, 1.6)),
    )
