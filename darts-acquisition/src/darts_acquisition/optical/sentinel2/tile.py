"""Tiles from raw scenes: what is the same for every source of Sentinel-2 scenes."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from darts_acquisition.optical.quality import OBSERVATIONS_TABLE, OPTICAL, SCL_TABLE, with_quality
from darts_acquisition.optical.reflectance import reflectance
from darts_acquisition.optical.sentinel2.scene_store import NO_DATA, RawScene
from darts_utils.rasters.lazy import lazy_band
from darts_utils.rasters.packed import Packed
from darts_utils.rasters.row_blocks import for_each_row_block, row_blocks

logger = logging.getLogger(__name__)

type BandsMapping = Mapping[str, str] | Literal["all"]


@dataclass(frozen=True, kw_only=True)
class MaskBand:
    """The band of a scene that tells how each pixel was seen; where it is 0, nothing was."""

    name: str
    """As the source calls it."""
    variable: str
    """As tiles call it."""
    words: str
    """What it is."""
    dtype: Literal["uint8", "uint16"]
    quality: np.ndarray
    """(256,) uint8, quality of each of its values."""


def classes_in(band: str) -> MaskBand:
    """Return the scene classification of Sentinel-2, 0 to 11, that a source has in a band."""
    return MaskBand(name=band, variable="s2_scl", words="scene classification", dtype="uint8", quality=SCL_TABLE)


def observations_in(band: str) -> MaskBand:
    """Return the numbers of clear looks that the pixels of a mosaic are made of, that a source has in a band."""
    words = "number of clear observations"
    return MaskBand(name=band, variable="observations", words=words, dtype="uint16", quality=OBSERVATIONS_TABLE)


@dataclass(frozen=True, kw_only=True)
class SceneFormat:
    """How a source of Sentinel-2 scenes names and encodes what its scenes hold."""

    data_source: str
    """For the metadata of variables."""
    bands: Mapping[str, str]
    """Tile variables by the source's names of the bands that have a common name."""
    mask: MaskBand
    scale: Callable[[RawScene, str], tuple[float, float]]
    """Gives scale and offset of a band."""
    attributes: Callable[[RawScene], Mapping[str, Any]]
    """Gives `azimuth`, `elevation` and `datetime` in whatever form; what is not there is unknown."""
    check: Callable[[RawScene, Mapping[str, np.ndarray], np.ndarray, float], None] | None = None
    """Refuses a scene by its digital numbers, classification and offset, if they contradict each other."""
    dtype: Literal["uint16", "int16"] = "uint16"
    """Of digital numbers."""
    others: tuple[str, ...] = ()
    """Names of bands that are no reflectance, beside the mask."""

    @property
    def nodata(self) -> int:
        """Digital number of no data: with negative numbers 0 is data."""
        return int(NO_DATA[self.dtype])


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
        (y, x): reflectance float32, NaN = no data; `s2_scl` uint8, 0 to 11, or `observations` uint16 of a mosaic;
        `quality_data_mask` uint8, 0 to 2.
        Attributes: `azimuth`, `elevation` (sun, degrees, NaN when unknown), `tile_id`, `s2_tile_id`, `datetime`.

    Raises:
        MissingDataError: If a band is not staged.
        DataError: If staged data is damaged.
    """
    mapping = _all_bands(scene, form) if bands_mapping == "all" else dict(bands_mapping)
    mask, classes = form.mask.variable, _mask_band(scene, form)
    unseen = np.zeros(classes.shape, dtype=bool)
    bands = dict(_reflectances(scene, form, mapping, classes, unseen=unseen, lazy=lazy))
    _warn_of_gaps(scene, [*mapping, form.mask.name])
    tile = xr.Dataset({**bands, mask: classes}, classes.coords, _tile_attributes(scene, form))
    if output_dir_for_debug_geotiff is not None:
        _write_debug_geotiffs(scene, [*mapping, form.mask.name], output_dir_for_debug_geotiff)
    seen = with_quality(tile, mask, form.mask.quality, lambda rows: unseen[rows])
    return seen.assign({mask: _packed(seen[mask].variable)}) if lazy else seen


def _packed(band: xr.Variable) -> xr.Variable:
    """Return a band that is kept compressed, and unpacked where it is read."""
    packed = Packed(band.values)
    return lazy_band(packed.window, packed.shape, packed.dtype.name, band.attrs, takes_steps=True)


def _warn_of_gaps(scene: RawScene, bands: Sequence[str]) -> None:
    gaps = scene.gaps(bands)
    if gaps:
        logger.warning(
            "%s: %.0f %% of the chunks of %s are not there. It was staged by an earlier release, which left out chunks "
            "without data; if that is too many for this scene, some were lost: delete it and stage it again.",
            scene.scene_id,
            100 * gaps,
            scene.path,
        )


def _all_bands(scene: RawScene, form: SceneFormat) -> dict[str, str]:
    return {band: form.bands.get(band, band) for band in scene.bands if band not in {form.mask.name, *form.others}}


def _reflectances(
    scene: RawScene,
    form: SceneFormat,
    mapping: Mapping[str, str],
    classes: xr.DataArray,
    *,
    unseen: np.ndarray,
    lazy: bool,
) -> Iterator[tuple[str, xr.Variable]]:
    """Yield tile variables with the reflectance of their bands, NaN where there is no data.

    In the end `unseen`, (y, x) bool, is True where an optical band has none: told from the numbers, for reflectance may
    only be made where it is read.

    There is none where the mask is 0 or no band has any. Where 0 stands for no data and the offset was applied already,
    or never was, a 0 in some bands is what dark water came out as; where it still is in the numbers, 0 stands for
    nothing else.
    """
    numbers = {name: _numbers(scene, form, name) for name in mapping}
    scales = {name: form.scale(scene, name) for name in mapping}  # after it is known that they are there
    if form.check is not None:
        optical = {name: values for name, values in numbers.items() if name in form.bands}
        form.check(scene, optical, classes.values, min((offset for _, offset in scales.values()), default=0))
    missing = _missing(scene, form, numbers, classes.values)
    np.copyto(unseen, missing)
    for name, variable in mapping.items():  # one by one: each is freed as it becomes reflectance
        values, (scale, offset) = numbers.pop(name), scales[name]
        zeros_count = form.nodata == 0 and offset == 0 and _has_seen_zero(values, missing)
        if not zeros_count:
            _blank(values, missing, unseen if variable in OPTICAL else None, form.nodata)
        attributes = {"long_name": f"Sentinel-2 {name}", "data_source": form.data_source}
        mask = missing if zeros_count else None  # a lazy band keeps it
        yield variable, reflectance(values, scale, offset, attributes, lazy=lazy, missing=mask, nodata=form.nodata)


def _numbers(scene: RawScene, form: SceneFormat, name: str) -> np.ndarray:
    return scene.read(name, form.dtype if name in form.bands else None).values


def _missing(scene: RawScene, form: SceneFormat, numbers: Mapping[str, np.ndarray], classes: np.ndarray) -> np.ndarray:
    """Return (y, x) bool: the mask is 0, or all bands are no data, those included that are not asked for."""
    empty = np.ones(classes.shape, dtype=bool)
    _keep_missing(empty, form.nodata, *numbers.values())
    for name in form.bands:
        if name in scene.bands and name not in numbers and (empty & (classes != 0)).any():
            _keep_missing(empty, form.nodata, _numbers(scene, form, name))
    empty |= classes == 0
    return empty


def _keep_missing(empty: np.ndarray, nodata: int, *bands: np.ndarray) -> None:
    """Set a mask to False, in place, where a band has data."""

    def keep(rows: slice) -> None:
        for band in bands:
            empty[rows] &= band[rows] == nodata

    for_each_row_block(keep, len(empty))


def _blank(values: np.ndarray, missing: np.ndarray, unseen: np.ndarray | None, nodata: int) -> None:
    """Set a band to no data, in place, where something is missing, and a mask, if given, to True where it is then."""

    def blank(rows: slice) -> None:
        np.copyto(values[rows], nodata, where=missing[rows])  # just read, so nobody else sees it change
        if unseen is not None:
            unseen[rows] |= values[rows] == nodata

    for_each_row_block(blank, len(values))


def _has_seen_zero(values: np.ndarray, missing: np.ndarray) -> bool:
    return any(bool(((values[rows] == 0) & ~missing[rows]).any()) for rows in row_blocks(len(values)))


def _mask_band(scene: RawScene, form: SceneFormat) -> xr.DataArray:
    """Return the band that tells how pixels were seen, (y, x)."""
    found = scene.read(form.mask.name, form.mask.dtype)
    found.attrs = {"long_name": f"Sentinel-2 {form.mask.words}", "data_source": form.data_source}
    return found


def _tile_attributes(scene: RawScene, form: SceneFormat) -> dict[str, Any]:
    """Return the tile attributes of the contract: sun angles in degrees (NaN when unknown), ids, time, origin."""
    given = form.attributes(scene)
    told = {name: str(given[name]) for name in ("processing_baseline", "collection") if given.get(name)}
    return {
        **told,
        "azimuth": _angle(given.get("azimuth")),
        "elevation": _angle(given.get("elevation")),
        "tile_id": scene.scene_id,
        "s2_tile_id": scene.scene_id,
        "datetime": str(given.get("datetime", "")),
    }


def _angle(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _write_debug_geotiffs(scene: RawScene, bands: list[str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for band in bands:
        scene.read(band).odc.write_cog(folder / f"{scene.scene_id}_{band}.tif", overwrite=True)
    logger.debug("wrote %d raw bands of %s to %s", len(bands), scene.scene_id, folder)
