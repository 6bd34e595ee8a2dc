"""Tiles from raw scenes: what is the same for every source of Sentinel-2 scenes."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from darts_acquisition.optical.quality import convert_masks
from darts_acquisition.optical.reflectance import reflectance
from darts_acquisition.optical.scene_store import RawScene

logger = logging.getLogger(__name__.replace("darts_", "darts."))

DN_SCALE = 1e-4
OFFSET_SINCE_BASELINE_4 = -0.1
_READERS = 2
"""Bands read at once; each takes memory for its decoded chunks beside what it becomes."""

type BandsMapping = Mapping[str, str] | Literal["all"]


@dataclass(frozen=True, kw_only=True)
class SceneFormat:
    """How a source of Sentinel-2 scenes names and encodes what its scenes hold."""

    data_source: str
    """For the metadata of variables."""
    bands: Mapping[str, str]
    """Tile variables by the source's names of the bands that have a common name."""
    scl_band: str
    scale: Callable[[RawScene, str], tuple[float, float]]
    """Gives scale and offset of a band."""
    attributes: Callable[[RawScene], Mapping[str, Any]]
    """Gives `azimuth`, `elevation` and `datetime` in whatever form; what is not there is unknown."""


def scene_tile(
    scene: RawScene,
    form: SceneFormat,
    bands_mapping: BandsMapping,
    output_dir_for_debug_geotiff: Path | None,
    *,
    lazy: bool = False,
) -> xr.Dataset:
    """Return a staged scene as a tile.

    Args:
        scene: The scene.
        form: Names and encodings of its source.
        bands_mapping: Tile variable for each band of the source; "all" takes every staged band, those without a common
            name under their own.
        output_dir_for_debug_geotiff: Folder to also write the digital numbers to, a GeoTIFF a band.
        lazy: Whether digital numbers are kept and become reflectance where they are read.

    Returns:
        (y, x): reflectance float32, NaN = no data; `s2_scl` uint8, 0 to 11; `quality_data_mask` uint8, 0 to 2.
        Attributes: `azimuth`, `elevation` (sun, degrees, NaN when unknown), `tile_id`, `s2_tile_id`, `datetime`.

    Raises:
        MissingDataError: If a band is not staged.
        DataError: If staged data is damaged.
    """
    mapping = _all_bands(scene, form) if bands_mapping == "all" else dict(bands_mapping)
    classes = _scene_classes(scene, form)
    seen = classes.values != 0
    with ThreadPoolExecutor(_READERS) as pool:
        read = partial(_reflectance, scene, form, seen=seen, lazy=lazy)
        bands = dict(zip(mapping.values(), pool.map(read, mapping), strict=True))
    tile = xr.Dataset({**bands, "s2_scl": classes}, classes.coords, _tile_attributes(scene, form))
    if output_dir_for_debug_geotiff is not None:
        _write_debug_geotiffs(scene, [*mapping, form.scl_band], output_dir_for_debug_geotiff)
    return convert_masks(tile)


def _all_bands(scene: RawScene, form: SceneFormat) -> dict[str, str]:
    return {band: form.bands.get(band, band) for band in scene.bands if band != form.scl_band}


def _reflectance(scene: RawScene, form: SceneFormat, band: str, *, seen: np.ndarray, lazy: bool) -> xr.Variable:
    """Return a band, NaN where its digital number is 0, or the classification says that there is no data."""
    numbers = scene.read(band).values
    np.multiply(numbers, seen, out=numbers)  # just read, so nobody else sees it change; faster than by index
    attributes = {"long_name": f"Sentinel-2 {band}", "data_source": form.data_source}
    return reflectance(numbers, *form.scale(scene, band), attributes, lazy=lazy)


def _scene_classes(scene: RawScene, form: SceneFormat) -> xr.DataArray:
    """Return the scene classification, (y, x) uint8, 0 to 11."""
    classes = scene.read(form.scl_band).astype(np.uint8, copy=False)
    classes.attrs = {"long_name": "Sentinel-2 scene classification", "data_source": form.data_source}
    return classes


def _tile_attributes(scene: RawScene, form: SceneFormat) -> dict[str, Any]:
    """Return the tile attributes of the contract: sun angles in degrees (NaN when unknown), ids and time."""
    given = form.attributes(scene)
    return {
        "azimuth": _angle(given.get("azimuth")),
        "elevation": _angle(given.get("elevation")),
        "tile_id": scene.scene_id,
        "s2_tile_id": scene.scene_id,
        "datetime": str(given.get("datetime", "")),
    }


def _angle(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _write_debug_geotiffs(scene: RawScene, bands: list[str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for band in bands:
        scene.read(band).odc.write_cog(folder / f"{scene.scene_id}_{band}.tif", overwrite=True)
    logger.debug("wrote %d raw bands of %s to %s", len(bands), scene.scene_id, folder)
