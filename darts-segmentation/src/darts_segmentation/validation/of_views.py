"""Whether test-time augmentation is what its page says: the mean of views, which is the same for turned ground.

Turned ground is made here a second time, in the units of a tile and in plain NumPy, so that a slip in
`darts_segmentation.symmetry` cannot hide.
"""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import xarray as xr

from darts_segmentation.inference import sun_of
from darts_segmentation.patches import Patching
from darts_segmentation.symmetry import VIEWS, View
from darts_segmentation.validation.findings import Finding, passed_if
from darts_segmentation.validation.measures import Differences, differences
from darts_segmentation.validation.subject import OneModel, Subject
from darts_utils.parameters import FLOAT32, TTA_VIEWS, Tta
from darts_utils.rasters.arrays import Array

FORMULA_LIMIT = 1e-5
"""Of the mean difference from views that are taken one by one: they are summed up in another order."""
TURNED_LIMIT = 0.0006
"""Of that from turned ground, of which hillshade is made anew: what was made of elevation is a little other."""
HALF_LIMIT = 0.002
"""Of both, where networks compute in half precision."""


def check_views(subject: Subject) -> Finding:
    """Check test-time augmentation on a square that is one patch: its formula, and that it turns with the ground."""
    tta: Tta = "full" if subject.tta == "none" else subject.tta
    square = _one_patch(subject)
    seen = square.engine(square.tile, square.patching, tta=tta)
    by_formula = differences(seen, _mean_of_views(square, VIEWS[: TTA_VIEWS[tta]]), square.valid)
    turn = VIEWS[TTA_VIEWS[tta] - 1]
    on_turned = square.engine(turned(square.tile, turn, square.bands), square.patching, tta=tta)
    by_turning = differences(_undone(on_turned, turn), seen, square.valid)
    limits = (FORMULA_LIMIT, TURNED_LIMIT) if subject.precision == FLOAT32 else (HALF_LIMIT, HALF_LIMIT)
    return Finding(
        check="tta",
        status=passed_if(by_formula.mean <= limits[0] and by_turning.mean <= limits[1]),
        measured=f"{tta}: {_short(by_formula)} from the mean of {TTA_VIEWS[tta]} views taken one by one,"
        f" {_short(by_turning)} from that of turned ground",
        limit=f"mean |dp| {limits[0]:g} and {limits[1]:g}",
        meaning="Test-time augmentation is the mean of the views, with directions turned, and has no favourite one.",
        figures={
            "views": TTA_VIEWS[tta], "formula_mean": by_formula.mean, "formula_largest": by_formula.largest,
            "turned_mean": by_turning.mean, "turned_largest": by_turning.largest,
        },
    )  # fmt: skip


def turned(tile: xr.Dataset, view: View, bands: Collection[str]) -> xr.Dataset:
    """Return a tile as a view shows it, without coordinates; a tile in memory representation.

    Args:
        tile: Its bands, and `quality_data_mask`; azimuth and elevation of the sun as attributes.
        view: Mirrored first, left to right, then turned to the left.
        bands: What is kept beside the mask. Hillshade is made anew if slope and aspect are among them.
    """
    moved = {name: np.rot90(_mirrored(tile[name].values, view), view.turns) for name in (*bands, "quality_data_mask")}
    if not view.is_identity and "aspect" in moved:
        aspect = moved["aspect"]
        is_flat = (aspect < 0) | (moved["slope"] == 0) if "slope" in moved else aspect <= 0
        sign = -1 if view.mirrored else 1
        moved["aspect"] = np.where(is_flat, aspect, (sign * aspect - 90 * view.turns) % 360).astype(np.float32)
    if not view.is_identity and {"slope", "aspect", "hillshade"} <= moved.keys():
        moved["hillshade"] = _relit(moved, *np.radians(sun_of(tile)))
    layers = {name: (("y", "x"), np.ascontiguousarray(values)) for name, values in moved.items()}
    return xr.Dataset(layers, attrs=tile.attrs)


def _mirrored(values: Array, view: View) -> Array:
    return values[:, ::-1] if view.mirrored else values


def _relit(bands: dict[str, Array], azimuth: float, elevation: float) -> Array:
    """Return the hillshade of sloping ground, as it was where the sun is unknown or there is no slope."""
    slope, aspect = np.radians(bands["slope"]), np.radians(bands["aspect"])
    lit = np.sin(elevation) * np.cos(slope) + np.cos(elevation) * np.sin(slope) * np.cos(azimuth - aspect)
    known = np.isfinite(azimuth + elevation) & (bands["slope"] != 0) & (bands["aspect"] >= 0)
    shade: Array = np.where(known, np.maximum(lit, 0), bands["hillshade"]).astype(np.float32)
    return shade


def _undone(values: Array, view: View) -> Array:
    """Return probabilities of turned ground where they belong."""
    return _mirrored(np.rot90(values, -view.turns), view)


def _mean_of_views(square: Subject, views: Collection[View]) -> Array:
    """Return the mean of all networks, each that of the logits of its views, every view in a run of its own."""
    each = [_of_views(model, square, views) for model in square.models]
    mean = np.mean(each, axis=0, dtype=np.float64)
    if len(each) > 1 and square.temperature != 1:
        mean = _sigmoid(_logit(mean) / square.temperature)
    found: Array = mean.astype(np.float32)
    return found


def _of_views(model: OneModel, square: Subject, views: Collection[View]) -> Array:
    logits = [
        _undone(_logit(model.engine(turned(square.tile, view, model.bands), square.patching)), view) for view in views
    ]
    found: Array = _sigmoid(np.mean(logits, axis=0, dtype=np.float64))
    return found


def _one_patch(subject: Subject) -> Subject:
    """Return a part of the tile as one patch, which turns into itself: square, and without a place on the map."""
    largest = min(*subject.shape, subject.patching.patch_size, _LARGEST_PX)
    edge = max(1, largest // subject.multiple) * subject.multiple
    square = subject.part(edge)
    patching = Patching(patch_size=edge, overlap=0, batch_size=1)
    return replace(square, tile=square.tile.drop_vars(list(square.tile.coords)), patching=patching)


_LARGEST_PX = 512
"""Two dozen views of it are made, which is enough of a megapixel."""


def _logit(probabilities: Array) -> Array:
    """Return logits; probabilities that float32 rounds to 0 or 1 count as those next to them."""
    p = np.clip(probabilities.astype(np.float64), 1e-30, 1 - 2**-25)
    found: Array = np.log(p / (1 - p))
    return found


def _sigmoid(logits: Array) -> Array:
    found: Array = 1 / (1 + np.exp(-logits))
    return found


def _short(found: Differences) -> str:
    return f"mean |dp| {found.mean:.2g} (largest {found.largest:.2g})"
