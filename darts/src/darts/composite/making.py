"""One composite: read block by block, written as a scene."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts.pipelines.sources.scenes import catalog_of
from darts_acquisition.optical.composites import BANDS, DAYS, OBSERVATIONS, Composites
from darts_acquisition.optical.quality import HIGH_QUALITY
from darts_acquisition.optical.sentinel2.raw_scene import RawScene
from darts_acquisition.optical.sentinel2.scene_store import CHUNK_PX
from darts_acquisition.optical.sentinel2.tile import SceneFormat, scene_tile
from darts_preprocessing.compositing import NO_DATA, Method, composite
from darts_utils.names import date_in
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.window import Window
from darts_utils.text import counted

_IN_MEMORY_BYTES = 400e6
"""Of what all scenes show of a block."""
_LEAST_ROWS = 64
_SCALE = 10_000
_HIGHEST = 32_767


@dataclass(frozen=True, kw_only=True)
class Ingredients:
    """What a composite is made of."""

    composite_id: str
    source: str
    """Name of the catalogue of its scenes."""
    store: Path
    """Where they are staged."""
    scene_ids: tuple[str, ...]
    """In the order of time; all on one grid."""
    overwrite: bool


@dataclass(frozen=True, kw_only=True)
class Made:
    """What became of a composite."""

    words: str
    is_right: bool
    """Whether the store has it as it was asked for."""


def make_composite(of: Ingredients, method: Method, folder: Path) -> Made:
    """Write a composite into a raw scene store; one that is there stays.

    Memory holds the composite, 1.5 GB of a whole tile, and a part of each scene.

    Args:
        of: What it is made of.
        method: How.
        folder: Of the store.

    Raises:
        DataError: If a scene is damaged.
        OutputError: If the store cannot be written to.
    """
    made_of, target = counted(len(of.scene_ids), "scene"), Composites().store(folder)
    if of.composite_id in target and not of.overwrite:
        there = target.open(of.composite_id).attributes
        if (there.get("source"), there.get("scenes")) == (of.source, list(of.scene_ids)):
            return Made(words=f"of {made_of}, as it was", is_right=True)
        return Made(words=f"is there of other scenes than these {made_of}; --overwrite makes it again", is_right=False)
    catalog = catalog_of(of.source)
    scenes = [catalog.store(of.store).open(scene_id) for scene_id in of.scene_ids]
    grid = scenes[0].geobox
    layers = _layers(scenes, catalog.form, grid, method)
    target.write(
        of.composite_id, {name: wrap_xr(layer, grid, nodata=None) for name, layer in layers.items()}, _told(of, method)
    )
    seen = layers[OBSERVATIONS] > 0
    looks = float(layers[OBSERVATIONS][seen].mean()) if seen.any() else 0.0
    words = f"of {made_of}, {100 * seen.mean():.0f} % seen, {looks:.1f} clear looks on the mean"
    return Made(words=words, is_right=True)


def _layers(scenes: Sequence[RawScene], form: SceneFormat, grid: GeoBox, method: Method) -> dict[str, Array]:
    """Return bands, observations and days of a composite by name, (y, x) each."""
    height, width = grid.shape
    layers: dict[str, Array] = {name: np.empty((height, width), dtype=np.int16) for name in BANDS}
    layers |= {name: np.empty((height, width), dtype=np.uint16) for name in (OBSERVATIONS, DAYS)}
    days = np.array([*(_day(scene.scene_id) for scene in scenes), 0], dtype=np.uint16)  # the last for no look
    for window in _windows((height, width), len(scenes)):
        place = (window.rows, window.columns)
        found = composite(_looks(scenes, form, window), method)
        for name, values in zip(BANDS, found.values, strict=True):
            layers[name][place] = values
        layers[OBSERVATIONS][place] = found.observations
        layers[DAYS][place] = days[found.look]
    return layers


def _windows(shape: tuple[int, int], n_scenes: int) -> Iterator[Window]:
    """Yield parts of a scene in the columns of the chunks that it is kept in, as high as memory allows."""
    rows = int(_IN_MEMORY_BYTES / (n_scenes * len(BANDS) * 2 * CHUNK_PX))
    rows = min(max(rows, _LEAST_ROWS), CHUNK_PX)
    while CHUNK_PX % rows:  # so that no block lies in two rows of chunks
        rows -= 1
    for top in range(0, shape[0], rows):
        for left in range(0, shape[1], CHUNK_PX):
            yield Window(top, left, min(rows, shape[0] - top), min(CHUNK_PX, shape[1] - left))


def _looks(scenes: Sequence[RawScene], form: SceneFormat, window: Window) -> Array:
    """Return what scenes show of a part where they are clear: (scene, band, y, x) int16, -32768 elsewhere."""
    looks = np.empty((len(scenes), len(BANDS), window.height, window.width), dtype=np.int16)
    for look, scene in zip(looks, scenes, strict=True):
        tile = scene_tile(scene.cut(window), form, form.bands, None)
        is_clear = tile["quality_data_mask"].values == HIGH_QUALITY
        for numbers, name in zip(look, BANDS, strict=True):
            scaled = np.rint(np.nan_to_num(tile[name].values) * _SCALE).clip(-_HIGHEST, _HIGHEST)
            np.copyto(numbers, np.where(is_clear, scaled, NO_DATA), casting="unsafe")
    return looks


def _date(scene_id: str) -> datetime:
    year, month, day = date_in(scene_id) or ("1970", "1", "1")
    return datetime(int(year), int(month), int(day), tzinfo=UTC)


def _day(scene_id: str) -> int:
    return int(_date(scene_id).timestamp()) // 86_400


def _told(of: Ingredients, method: Method) -> dict[str, Any]:
    """Return what a composite says of itself; its time is that of the scene in the middle."""
    dates = [_date(scene_id).strftime("%Y-%m-%dT%H:%M:%SZ") for scene_id in of.scene_ids]
    return {
        "datetime": dates[(len(dates) - 1) // 2],
        "start_datetime": dates[0],
        "end_datetime": dates[-1],
        "method": method,
        "source": of.source,
        "scenes": list(of.scene_ids),
    }
