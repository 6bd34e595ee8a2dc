"""From optical bands and auxiliary layers to the features that models see."""

import logging
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_preprocessing.align import TCVIS_BANDS, align_dem, align_dem_mask, align_tcvis, trend_windows
from darts_preprocessing.indices import calculate_index
from darts_preprocessing.margin import warn_if_short
from darts_preprocessing.missing import elevation_holes, missing_features
from darts_preprocessing.terrain.dem_features import ALL_DEM_BANDS, DEM_BANDS, STENCIL_PX, WIDE_BANDS, DemFeatures
from darts_preprocessing.terrain.derivatives import TERRAIN_BANDS, DemWindow, Sun, band_attributes
from darts_preprocessing.terrain.ruggedness import ruggedness_attributes
from darts_preprocessing.terrain.tpi import check_radii, disk_kernel, radii_px
from darts_utils.bands import INDICES, RUGGEDNESS_BANDS, TRAINING_BANDS, manager
from darts_utils.errors import ConfigError
from darts_utils.grid import pixel_size_m
from darts_utils.machine.devices import DeviceSpec
from darts_utils.rasters.lazy import lazy_band
from darts_utils.tile import geobox_of, validate

logger = logging.getLogger(__name__)

_ATTRIBUTES = {
    "dem": {"long_name": "Elevation", "units": "m"},
    "arcticdem_data_mask": {"long_name": "ArcticDEM data mask, 1 = data"},
    "relative_elevation": {"long_name": "Topographic position index", "units": "m"},
    "tc_brightness": {"long_name": "Tasseled-cap brightness trend"},
    "tc_greenness": {"long_name": "Tasseled-cap greenness trend"},
    "tc_wetness": {"long_name": "Tasseled-cap wetness trend"},
}


def preprocess_v2(  # noqa: PLR0917  (the public signature)
    ds_optical: xr.Dataset,
    ds_arcticdem: xr.Dataset | None = None,
    ds_tcvis: xr.Dataset | None = None,
    tpi_outer_radius: float = 100,
    tpi_inner_radius: float = 0,
    device: DeviceSpec = None,
    *,
    bands: Collection[str] | None = None,
    lazy: bool = False,
    models: Mapping[str, Collection[str]] | None = None,
) -> xr.Dataset:
    """Return the optical tile with all features added on its own grid: NDVI, elevation, terrain and trends.

    Args:
        ds_optical: Tile with `red`, `nir` and whatever else it has, which is passed on untouched. Its attributes
            `azimuth` and `elevation` tell where the sun stood, in degrees.
        ds_arcticdem: `dem` (float32, metres, NaN where unknown) and `arcticdem_data_mask` (uint8) on their own grid,
            reaching beyond the tile by the outer radius and two pixels for resampling; a warning says by how much it
            does not. None leaves out all that is made from it.
        ds_tcvis: `tc_brightness`, `tc_greenness`, `tc_wetness` (uint8) on their own grid. None leaves them out.
        tpi_outer_radius: Radius in metres of the disk to whose mean a place is compared.
        tpi_inner_radius: Radius in metres of the disk that is left out of the mean.
        device: Where terrain is computed: compiled code in host memory, torch on a GPU.
        bands: Which features to make. None makes all of training data that the inputs allow, and elevation itself.
        lazy: Whether spectral indices and what is made of the DEM are only made where they are read, window by window,
            and then anew each time. A whole orthotile or scene of them takes gigabytes; `.load()` makes them ordinary
            bands.
        models: Bands that each model reads, by its name. If given, `features_missing` tells where some of them are
            missing: a hole in the elevation, or all three trends 0.

    Returns:
        A new tile with the attributes of the optical one. Features, all (y, x):
        `ndvi` and other indices float32 -1..1; `dem` float32 metres, clipped to -100..3000; `arcticdem_data_mask`
        uint8, 1 = data; `relative_elevation` float32 metres; `slope` float32 degrees 0..90; `aspect` float32 degrees
        0..360 from true north, -1 = flat; `hillshade` float32 0..1; `curvature` float32; `tc_*` uint8, 0 = no data; and
        only if named `terrain_ruggedness_index` float32 metres, `vector_ruggedness_measure` and `dissection_index` (of
        squares that reach as far as the outer radius) float32 0..1.
        Terrain is derived from the resampled DEM before that is clipped, on a grid padded by the outer radius.
        With models, also `features_missing` bool, and `features_missing-{model}` where models read different layers.

    Raises:
        ConfigError: If a radius is illegal, or a band is asked for that is unknown or whose source is not given.
        GridError: If an input has no georeference, or the tile is not on a metric grid with square pixels.
        DataError: If an input lacks a band that is needed.
    """
    check_radii(tpi_outer_radius, tpi_inner_radius)
    geobox = geobox_of(ds_optical)
    pixel_size_m(geobox)
    wanted = _features_to_make(bands, ds_optical, ds_arcticdem, ds_tcvis)
    made: dict[str, Any] = {}
    holes: dict[str, np.ndarray] = {}
    for name in sorted(wanted & INDICES.keys()):
        made[name] = calculate_index(ds_optical, name, lazy=lazy).variable
    if ds_tcvis is not None and wanted.intersection(TCVIS_BANDS):
        trends = trend_windows(ds_tcvis, geobox, TCVIS_BANDS if models else wanted)
        holes |= {"trends": trends.holes()} if models else {}
        if lazy:
            made |= _lazy_variables(trends.read, trends.shape, wanted.intersection(TCVIS_BANDS), "TCVIS")
        else:
            made |= _as_variables(align_tcvis(ds_tcvis, geobox, wanted), "TCVIS")
    if ds_arcticdem is not None and wanted & ALL_DEM_BANDS:
        radii = (tpi_outer_radius, tpi_inner_radius)
        features = _dem_features(ds_arcticdem, ds_optical, wanted & ALL_DEM_BANDS, radii, device)
        holes |= {"elevation": elevation_holes(features.dem_window)} if models else {}
        if lazy:
            made |= _lazy_variables(features.packed().read, features.shape, features.bands, "ArcticDEM")
        else:
            made |= _as_variables(features.whole(), "ArcticDEM")
    if models:
        made |= missing_features(models, holes, (geobox.shape[0], geobox.shape[1]))
    return validate(ds_optical.assign(made))


def align_arcticdem(
    ds_arcticdem: xr.Dataset,
    geobox: GeoBox,
    tpi_outer_radius: float = 100,
    tpi_inner_radius: float = 0,
    *,
    bands: Collection[str] | None = None,
) -> xr.Dataset:
    """Return elevation on the very grid on which `preprocess_v2` computes terrain.

    Given to `preprocess_v2` in place of the elevation that it was made from, it leads to the same features. The source
    can be freed before: at 2 m, around a tile that lies askew to its grid, it is four times as large.

    Args:
        ds_arcticdem: As for `preprocess_v2`.
        geobox: Grid of the tile.
        tpi_outer_radius: As for `preprocess_v2`.
        tpi_inner_radius: As for `preprocess_v2`.
        bands: Which features will be made; None means all.

    Returns:
        (y, x) on the tile's grid, padded by the outer radius if relative elevation is wanted: `dem` float32 in metres,
        NaN where unknown, not clipped; `arcticdem_data_mask` uint8, 1 = data, if it was given and is wanted.

    Raises:
        ConfigError: If a radius is illegal.
        GridError: If an input has no georeference, or the tile is not on a metric grid with square pixels.
        DataError: If `dem` is missing.
    """
    check_radii(tpi_outer_radius, tpi_inner_radius)
    wanted = DEM_BANDS if bands is None else ALL_DEM_BANDS.intersection(bands)
    halo = _halo_px(geobox, (tpi_outer_radius, tpi_inner_radius), wanted)
    warn_if_short(geobox_of(ds_arcticdem), geobox, halo, "the tile")
    grid = geobox.pad(halo)
    aligned = {"dem": wrap_xr(align_dem(ds_arcticdem, grid), grid)}
    if "arcticdem_data_mask" in wanted and "arcticdem_data_mask" in ds_arcticdem:
        aligned["arcticdem_data_mask"] = wrap_xr(align_dem_mask(ds_arcticdem, grid), grid)
    return xr.Dataset(aligned)


def _features_to_make(
    bands: Collection[str] | None, optical: xr.Dataset, arcticdem: xr.Dataset | None, tcvis: xr.Dataset | None
) -> frozenset[str]:
    """Return the features to make; refuse what nobody can make of these inputs."""
    indices = frozenset(name for name, index in INDICES.items() if {*index.inputs} <= {*optical.data_vars})
    layers = frozenset(() if arcticdem is None else ALL_DEM_BANDS) | frozenset(() if tcvis is None else TCVIS_BANDS)
    possible = indices | layers
    if bands is None:
        return possible.intersection({*TRAINING_BANDS, *DEM_BANDS})
    unknown = sorted(name for name in bands if name not in manager and name not in optical)
    if unknown:
        raise ConfigError(
            f"no band is called {', '.join(unknown)}; known bands: {', '.join(manager)}. Correct the name."
        )
    features = frozenset(bands) & ({*INDICES, *ALL_DEM_BANDS, *TCVIS_BANDS})
    impossible = sorted(features - possible - set(optical.data_vars))
    if impossible:
        needs = [f"{name} needs {' and '.join(INDICES[name].inputs)}" for name in impossible if name in INDICES]
        needs += ["terrain needs ArcticDEM, tc_* needs TCVIS"]
        raise ConfigError(
            f"cannot make {', '.join(impossible)}: {', '.join(needs)}. Give the missing data or leave the bands out."
        )
    return features & possible


def _dem_features(
    ds_arcticdem: xr.Dataset,
    optical: xr.Dataset,
    bands: frozenset[str],
    radii_m: tuple[float, float],
    device: DeviceSpec,
) -> DemFeatures:
    """Return what is made of the DEM, on a padded grid so that no edge effect reaches the tile."""
    geobox = geobox_of(optical)
    halo = _halo_px(geobox, radii_m, bands)
    warn_if_short(geobox_of(ds_arcticdem), geobox, halo, optical.attrs.get("tile_id", "the tile"))
    padded = geobox.pad(halo)
    sun = _sun_of(optical.attrs) if "hillshade" in bands else None
    with_mask = "arcticdem_data_mask" in bands and "arcticdem_data_mask" in ds_arcticdem
    return DemFeatures(
        dem_window=DemWindow.of(align_dem(ds_arcticdem, padded), padded, halo, sun),
        measured=align_dem_mask(ds_arcticdem, padded) if with_mask else None,
        kernel=_kernel(geobox, radii_m) if bands & WIDE_BANDS else None,
        bands=bands,
        device=device,
    )


def _kernel(geobox: GeoBox, radii_m: tuple[float, float]) -> np.ndarray:
    return disk_kernel(*radii_px(*radii_m, pixel_size_m(geobox)))


def _halo_px(geobox: GeoBox, radii_m: tuple[float, float], wanted: Collection[str]) -> int:
    """Return by how many pixels the grid that terrain is computed on reaches beyond the tile."""
    if not WIDE_BANDS.intersection(wanted):
        return STENCIL_PX
    return max(STENCIL_PX, radii_px(*radii_m, pixel_size_m(geobox))[0])


def _as_variables(arrays: Mapping[str, np.ndarray], source: str) -> dict[str, xr.Variable]:
    """Return arrays as variables on (y, x) that say what they are and where they come from."""
    return {name: xr.Variable(("y", "x"), values, _attributes(name, source)) for name, values in arrays.items()}


def _lazy_variables(
    read: Callable[[str, slice, slice], np.ndarray], shape: tuple[int, int], bands: Collection[str], source: str
) -> dict[str, xr.Variable]:
    """Return bands that are made where they are read."""
    return {
        name: lazy_band(partial(read, name), shape, manager[name].memory_dtype, _attributes(name, source))
        for name in sorted(bands)
    }


def _attributes(name: str, source: str) -> dict[str, str]:
    if name in RUGGEDNESS_BANDS:
        return ruggedness_attributes(name) | {"data_source": source}
    return (band_attributes(name) if name in TERRAIN_BANDS else _ATTRIBUTES[name]) | {"data_source": source}


def _sun_of(attributes: Mapping[Any, Any]) -> Sun:
    """Return where the sun stood; unknown angles get the customary ones, with one warning."""
    angles = {
        "azimuth_deg": _number(attributes.get("azimuth"), -360, 360),
        "elevation_deg": _number(attributes.get("elevation"), 0, 90),
    }
    known = {name: angle for name, angle in angles.items() if angle is not None}
    sun = Sun(**known)
    if len(known) < len(angles):
        logger.warning(
            "the sun angles of %s are unknown; hillshade is made with azimuth %g and elevation %g degrees",
            attributes.get("tile_id", "the tile"),
            sun.azimuth_deg,
            sun.elevation_deg,
        )
    return sun


def _number(value: object, lowest: float, highest: float) -> float | None:
    """Return a number within limits, or None for anything else, NaN too."""
    return float(value) if isinstance(value, int | float | np.number) and lowest <= value <= highest else None
