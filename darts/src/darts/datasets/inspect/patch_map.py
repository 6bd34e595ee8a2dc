"""A map of where the patches of a training set lie."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pyproj

from darts_utils.crs import transformed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STEPS_DEGREES = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30)
_LINES = 5
_LEAST_M = 2_000
"""Half the least width of a map."""
_SLUMP, _EMPTY, _CHOSEN = "#c1121f", "#457b9d", "black"


def draw_map(table: gpd.GeoDataFrame, chosen: Sequence[int]) -> "Figure":
    """Return a map of all patches around their middle, north up there; those drawn on the sheet are ringed.

    Args:
        table: Metadata of the patches in EPSG:4326, with `empty`; they may lie on both sides of the antimeridian.
        chosen: Numbers of the patches that are ringed.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    longitude, latitude = _middle(table)
    crs = f"+proj=laea +lon_0={longitude:.5f} +lat_0={latitude:.5f} +datum=WGS84 +units=m"
    patches = transformed(table[["empty", "geometry"]], crs, "the table of patches")
    figure, axis = plt.subplots(figsize=(7, 7.2), dpi=150)
    figure.subplots_adjust(left=0.02, right=0.98, bottom=0.02, top=0.95)
    _draw_patches(axis, patches, list(chosen))
    _frame(axis, patches.total_bounds)
    _draw_graticule(axis, crs)
    n_slumps = int((~table["empty"].to_numpy(dtype=bool)).sum())
    axis.set_title(f"{len(table)} patches, {n_slumps} with slumps", fontsize=10)
    axis.legend(loc="upper left", fontsize=8)
    return figure


def _middle(table: gpd.GeoDataFrame) -> tuple[float, float]:
    """Return longitude and latitude in the midst of the patches, whatever meridian they cross."""
    corners = np.radians(table.geometry.bounds.to_numpy())
    longitudes, latitudes = corners[:, [0, 2]].ravel(), corners[:, [1, 3]].ravel()
    vectors = np.array(
        [np.cos(latitudes) * np.cos(longitudes), np.cos(latitudes) * np.sin(longitudes), np.sin(latitudes)]
    )
    x, y, z = vectors.mean(axis=1)
    return float(np.degrees(np.arctan2(y, x))), float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def _draw_patches(axis: Any, patches: gpd.GeoDataFrame, chosen: list[int]) -> None:
    """Draw each patch as its outline and as a dot, which shows where an outline is too small to see."""
    centres = patches.geometry.centroid
    empty = patches["empty"].to_numpy(dtype=bool)
    for wanted, colour, label in ((empty, _EMPTY, "without slump"), (~empty, _SLUMP, "with slumps")):
        if wanted.any():
            patches[wanted].plot(ax=axis, facecolor=colour, edgecolor=colour, alpha=0.25, linewidth=0.6, aspect=None)
            axis.plot(centres[wanted].x, centres[wanted].y, "o", color=colour, markersize=4, label=label)
    ring = {"markersize": 9, "markerfacecolor": "none", "color": _CHOSEN, "markeredgewidth": 0.8}
    axis.plot(centres.iloc[chosen].x, centres.iloc[chosen].y, "o", label="on the sheet", **ring)


def _frame(axis: Any, bounds: np.ndarray) -> None:
    left, bottom, right, top = bounds
    half = max(right - left, top - bottom, 2 * _LEAST_M) * 0.56
    x, y = (left + right) / 2, (bottom + top) / 2
    axis.set(
        xlim=(x - half, x + half), ylim=(y - half, y + half), aspect="equal", xticks=[], yticks=[], xlabel="", ylabel=""
    )


def _draw_graticule(axis: Any, crs: str) -> None:
    """Draw meridians and parallels at round degrees, named at the left and the lower border."""
    to_map = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    borders = np.linspace(0, 1, 25)
    (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
    xs, ys = np.meshgrid(left + borders * (right - left), bottom + borders * (top - bottom))
    longitudes, latitudes = to_map.transform(xs, ys, direction="INVERSE")
    middle = to_map.transform((left + right) / 2, (bottom + top) / 2, direction="INVERSE")
    around = (longitudes - middle[0] + 180) % 360 - 180 + middle[0]
    all_around = np.linspace(around.min(), around.max(), 400)
    all_up = np.linspace(latitudes.min(), latitudes.max(), 400)
    for degree in _round_degrees(around.min(), around.max()):
        _draw_line(axis, to_map, np.full(400, degree), all_up, _east(degree))
    for degree in _round_degrees(latitudes.min(), latitudes.max()):
        _draw_line(axis, to_map, all_around, np.full(400, degree), f"{abs(degree):g}°{'N' if degree >= 0 else 'S'}")


def _round_degrees(low: float, high: float) -> np.ndarray:
    step = next((step for step in _STEPS_DEGREES if (high - low) / step <= _LINES), _STEPS_DEGREES[-1])
    return np.round(np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step, 2)


def _east(degree: float) -> str:
    wrapped = (degree + 180) % 360 - 180
    return f"{abs(wrapped):g}°{'W' if wrapped < 0 else 'E'}"


def _draw_line(axis: Any, to_map: pyproj.Transformer, longitudes: np.ndarray, latitudes: np.ndarray, name: str) -> None:
    """Draw a line of the graticule, named where it enters the map."""
    x, y = to_map.transform(longitudes, latitudes)
    axis.plot(x, y, color="0.75", linewidth=0.6, zorder=0, scalex=False, scaley=False)
    (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
    inside = np.flatnonzero((x > left) & (x < right) & (y > bottom) & (y < top))
    if len(inside):
        at = inside[0]
        text = {"fontsize": 7, "color": "0.45", "clip_on": True, "ha": "left", "va": "bottom"}
        axis.annotate(name, (x[at], y[at]), xytext=(2, 2), textcoords="offset points", **text)
