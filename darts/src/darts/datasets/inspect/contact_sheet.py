"""A sheet of patches in natural colours with the outlines of their labels."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import geopandas as gpd
import numpy as np

from darts_segmentation.training.checking.reading import TrainingSet
from darts_segmentation.training.labels import IGNORED, SLUMP
from darts_utils.rasters.arrays import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 6
_PATCH_INCHES, _DPI = 1.9, 150
_LARGEST_PX = 512
"""Larger patches are drawn at half, a third ... of their size."""
_STRETCH_PERCENT = (1, 99)
_FLATTEST = 0.02
"""Least difference in model units that is stretched to the full range: noise of flat water stays dark."""
_OUTLINE, _DIM = "#ffd400", 0.45


def draw_contact_sheet(training_set: TrainingSet, table: gpd.GeoDataFrame, chosen: Sequence[int]) -> "Figure":
    """Return a sheet of patches; slumps are outlined, ignored pixels dimmed and hatched."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    n_columns = min(_COLUMNS, len(chosen))
    n_rows = -(-len(chosen) // n_columns)
    size = (_PATCH_INCHES * n_columns + 0.1, (_PATCH_INCHES + 0.28) * n_rows + 0.55)
    figure, axes = plt.subplots(n_rows, n_columns, figsize=size, dpi=_DPI, squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, index in zip(axes.flat, chosen, strict=False):
        x, label = training_set.patch(index)
        _draw_patch(axis, _colours(x, training_set.bands or (), label != IGNORED), label)
        axis.set_title(f"{index}  {table['region'][index]}"[:26], fontsize=7, pad=2)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def _colours(x: Array, bands: Sequence[str], known: Array) -> Array:
    """Return a patch as (s, s, 3) from 0 to 1, stretched; grey from the first band if there are no colours.

    The stretch is that of the known pixels: clouds and missing data would leave the others grey.
    """
    natural = [bands.index(name) for name in ("red", "green", "blue") if name in bands]
    picture = np.moveaxis(x[natural if len(natural) == 3 else [0, 0, 0]], 0, -1).astype(np.float32)
    low, high = np.percentile(picture[known] if known.any() else picture, _STRETCH_PERCENT)
    stretched: Array = np.clip((picture - low) / max(high - low, _FLATTEST), 0, 1)
    return stretched


def _draw_patch(axis: Any, picture: Array, label: Array) -> None:
    """Draw a patch; a slump of a few pixels is still outlined where the patch is drawn smaller."""
    smaller = -(-label.shape[0] // _LARGEST_PX)
    picture = cv2.resize(picture, None, fx=1 / smaller, fy=1 / smaller, interpolation=cv2.INTER_AREA)
    slump, ignored = (_shrunk(label == value, picture.shape[:2]) for value in (SLUMP, IGNORED))
    axis.imshow(np.where(ignored[..., None], picture * _DIM, picture), interpolation="nearest")
    if ignored.any():
        axis.contourf(ignored, levels=[0.5, 1.5], colors="none", hatches=["////"]).set_edgecolor((1, 1, 1, 0.5))
    if slump.any():
        around = np.pad(slump, 1).astype(float)  # so that an outline is closed at the border
        places = np.arange(-1, len(slump) + 1)
        axis.contour(places, places, around, levels=[0.5], colors=_OUTLINE, linewidths=0.9)
    axis.set(xlim=(-0.5, slump.shape[1] - 0.5), ylim=(slump.shape[0] - 0.5, -0.5))


def _shrunk(mask: Array, shape: tuple[int, ...]) -> Array:
    """Return a mask on fewer pixels, each set if any of those below it is."""
    share = cv2.resize(mask.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)
    set_anywhere: Array = share > 1e-3
    return set_anywhere


def _legend() -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [
        Line2D([], [], color=_OUTLINE, label="slump"),
        Patch(facecolor="0.35", edgecolor="0.8", hatch="////", label="ignored"),
    ]
