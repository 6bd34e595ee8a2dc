"""A picture of where scenes lie."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from darts.maps.ground import land as land_rings
from darts.search.found import Found, in_plane
from darts_utils.files import atomic_file
from darts_utils.text import counted

_ROOM = 0.35
_SMALLEST_M = 60_000.0


def draw(found: Found, file: Path) -> None:
    """Write a picture of the scenes and the area of interest, over land, in EPSG:3413."""
    grounds = [in_plane(scene.footprint) for scene in found.scenes if scene.footprint is not None]
    area = [] if found.area is None else [in_plane(found.area)]
    figure = Figure(figsize=(7.5, 6.5), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor("#e9f0f5")
    _plot(axes, list(land()), facecolor="#f7f5ee", edgecolor="#b9c2ba", linewidth=0.6)
    blue = (0.12, 0.37, 0.55, min(0.3, 2 / max(len(grounds), 1)))
    _plot(axes, grounds, facecolor=blue, edgecolor="#1f5f8b", linewidth=0.5)
    _plot(axes, area, facecolor="none", edgecolor="#b2182b", linewidth=1.6)
    _frame(axes, [*grounds, *area])
    days = found.days
    when = f", {days[0]} to {days[-1]}" if days else ""
    axes.set_title(f"{counted(len(found.scenes), 'scene')} of {found.label}{when}", fontsize=10)
    with atomic_file(file) as part:
        figure.savefig(part, format="png", dpi=120)


def land() -> Iterator[shapely.Polygon]:
    """Yield land north of 45 degrees in metres of EPSG:3413, as pages have it."""
    for rings in land_rings():
        outer, *holes = (1000 * np.cumsum(np.array(ring).reshape(-1, 2), axis=0) for ring in rings)
        yield shapely.Polygon(outer, holes)


def _plot(axes: Axes, shapes: Sequence[Any], **style: Any) -> None:
    if shapes:
        gpd.GeoSeries(list(shapes)).plot(ax=axes, aspect=None, **style)


def _frame(axes: Axes, shapes: list[Any]) -> None:
    left, bottom, right, top = shapely.total_bounds(shapes) if shapes else (-3.5e6, -3.5e6, 3.5e6, 3.5e6)
    half = max(right - left, top - bottom, _SMALLEST_M) * (0.5 + _ROOM)
    x, y = (left + right) / 2, (bottom + top) / 2
    limits = {"xlim": (x - half, x + half), "ylim": (y - half, y + half)}
    axes.set(**limits, aspect="equal", xticks=[], yticks=[], xlabel="", ylabel="")
