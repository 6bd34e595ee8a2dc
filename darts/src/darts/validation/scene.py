"""Which scene is meant, and which part of it is tried."""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from darts.pipelines.base import Pipeline
from darts.pipelines.planet import PlanetPipeline
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts.pipelines.sources.registry import SCENE_CATALOGS
from darts.pipelines.sources.scenes import catalog_of
from darts.pipelines.tiles import Source, TileRef
from darts.validation.command import ValidationParameters
from darts_acquisition.optical.local_files.image_folder import image_folder
from darts_utils.errors import ConfigError
from darts_utils.names import is_id, shown
from darts_utils.paths import PathManager, user_path
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.window import Window

_CLEAR = 2
_BLOCK_PX = 32
_MOST_CANDIDATES = 12
_LEAST_CLEAR = 0.8
"""Of the ground of the clearest window: others must have as much to be candidates."""


def pipeline_for(scene: str, models: Sequence[Path], parameters: ValidationParameters, results: Path) -> Pipeline:
    """Return the offline run that maps just one scene.

    Args:
        scene: Its folder, or its id if it lies in its usual place.
        models: The models.
        parameters: How they see it.
        results: A folder that may be written to.

    Raises:
        ConfigError: If there is no such scene.
        DataError: If there is no image in the folder, or several.
    """
    shared = {field.name: getattr(parameters, field.name) for field in fields(parameters)}
    shared |= {"model_files": list(models), "output_data_dir": results, "offline": True, "inventory": False}
    folder = user_path(scene)
    if folder.is_dir():
        return _of_folder(folder.absolute(), shared)
    paths = PathManager(parameters.default_dirs)
    for name in SCENE_CATALOGS if is_id(scene) else ():
        store = paths.sentinel2_raw_data(name)
        if catalog_of(name).store(store).path(scene).is_dir():
            return Sentinel2Pipeline(raw_data_source=name, raw_data_store=store, scene_ids=[scene], **shared)
    for place in (paths.planet_scenes, *_folders(paths.planet_orthotiles)):
        if is_id(scene) and (place / scene).is_dir():
            return _of_folder(place / scene, shared)
    raise ConfigError(
        f"there is no scene {shown(scene)}: neither a folder, nor an id below {paths.input}. Name its folder: that of "
        "a raw scene store ({source}-s2-sr-scene-{id}.zarr), or one with a PlanetScope image."
    )


def _of_folder(folder: Path, shared: dict[str, Any]) -> Pipeline:
    for name in SCENE_CATALOGS:
        scene_id = catalog_of(name).store(folder.parent).id_of(folder)
        if scene_id is not None:
            return Sentinel2Pipeline(raw_data_source=name, raw_data_store=folder.parent, scene_ids=[scene_id], **shared)
    image_folder(folder)  # says what is missing there
    images = folder.parent
    return PlanetPipeline(orthotiles_dir=images, scenes_dir=images, image_ids=[folder.name], **shared)


def _folders(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir()) if place.is_dir() else []


def only_window[S: Source](source: S, window: Window) -> S:
    """Return a source whose images are cut to a window."""

    def load(ref: TileRef) -> xr.Dataset:
        return source.load(ref).isel(y=window.rows, x=window.columns)

    cut = copy(source)
    cut.load = load  # type: ignore[method-assign]  # of this object only
    return cut


def candidates(quality: Array, edge_px: int) -> list[Window]:
    """Return the windows with most clear ground, spread over the scene; the whole scene if it is no larger.

    Args:
        quality: `quality_data_mask` of the scene, (y, x).
        edge_px: Edge of a window.
    """
    height, width = (min(edge_px, length) for length in quality.shape)
    if (height, width) == quality.shape:
        return [Window(0, 0, height, width)]
    counts = _counts(quality == _CLEAR)
    clear = {
        Window(top, left, height, width): _in_window(counts, top, left, height, width)
        for top in _starts(quality.shape[0], height)
        for left in _starts(quality.shape[1], width)
    }
    enough = [window for window, n in clear.items() if n >= _LEAST_CLEAR * max(clear.values())]
    picked = np.unique(np.linspace(0, len(enough) - 1, _MOST_CANDIDATES).round().astype(int))
    return [enough[index] for index in picked]


def choose_window(quality: Array, edge_px: int, slumps: Callable[[Window], float]) -> Window:
    """Return the part of a scene that is tried: of the windows with most clear ground that with most slumps.

    Args:
        quality: `quality_data_mask` of the scene, (y, x).
        edge_px: Edge of the window.
        slumps: Returns how much of a window looks like slumps; asked only if there is a choice.
    """
    found = candidates(quality, edge_px)
    return found[0] if len(found) == 1 else max(found, key=slumps)


def _starts(length: int, edge: int) -> Iterator[int]:
    """Yield where windows may begin along an axis: at half their length, in whole blocks, and at the end."""
    step = max(_BLOCK_PX, edge // 2 // _BLOCK_PX * _BLOCK_PX)
    yield from range(0, length - edge, step)
    yield length - edge


def _counts(is_clear: Array) -> Array:
    """Return sums of clear pixels over all blocks above and left of a corner, (y, x) int64."""
    by_row = np.add.reduceat(is_clear, np.arange(0, is_clear.shape[0], _BLOCK_PX), axis=0, dtype=np.int64)
    blocks = np.add.reduceat(by_row, np.arange(0, is_clear.shape[1], _BLOCK_PX), axis=1)
    return np.pad(blocks, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)


def _in_window(sums: Array, top: int, left: int, height: int, width: int) -> int:
    """Return the clear pixels of a window, to within a block at its edges."""
    (y0, y1), (x0, x1) = (
        (start // _BLOCK_PX, (start + length) // _BLOCK_PX) for start, length in ((top, height), (left, width))
    )
    return int(sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0])
