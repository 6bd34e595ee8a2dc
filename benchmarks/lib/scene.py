"""A made-up Sentinel-2 scene of any size with its datacubes, made in seconds: as busy as a real one, though no slumps.

The sample world of `darts demo` is truer but holds all of itself in memory; here everything comes from tiles of noise.
"""

from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_acquisition.optical.sentinel2.scene_store import SceneStore

SCENE_ID = "S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418"
FULL_PX = 10_980
_LEFT_M, _TOP_M, _CRS = 499_980, 7_700_040, "EPSG:32608"
_NOISE_PX = 2048
COLOURS = {"B02_10m": "blue", "B03_10m": "green", "B04_10m": "red", "B08_10m": "nir"}
CLASSES = "SCL_20m"
"""The bands of the raw scene, with their names in a tile."""
_SCALE, _OFFSET = 0.0001, -0.1
_AUX_MARGIN_M = 500


def scene_grid(size: int) -> GeoBox:
    """Return the grid of a scene of so many pixels a side."""
    return GeoBox((size, size), Affine(10, 0, _LEFT_M, 0, -10, _TOP_M), _CRS)


def scene_store(folder: Path) -> SceneStore:
    """Return the raw store below a folder."""
    return SceneStore(folder / "input" / "sentinel2" / "cdse-scenes", "cdse")


def made_scene(folder: Path, size: int) -> Path:
    """Return where a scene of so many pixels a side lies with its cubes, below a folder for scenes of all sizes."""
    return make_scene(folder / str(size), size)


def make_scene(folder: Path, size: int) -> Path:
    """Write the scene and its cubes below a folder, unless they are there; return the folder."""
    from darts.demo.world.write import install_models

    install_models(folder / "models")
    store = scene_store(folder)
    if store.path(SCENE_ID).exists():
        return folder
    _fill_cubes(folder / "aux", size)
    attributes = {"processing:version": "05.10", "view:sun_azimuth": 178.0, "view:sun_elevation": 35.0}
    store.write(SCENE_ID, raw_bands(size), attributes)
    return folder


def noise(seed: int, step_px: int, size: int = _NOISE_PX) -> np.ndarray:
    """Return smooth noise of mean 0 and deviation 1, (y, x) float32, whose waves are some `step_px` pixels long.

    It is a tile to be repeated where a size above its own is asked for.
    """
    edge = min(size, _NOISE_PX)
    n_waves = edge // step_px + 2
    coarse = np.random.default_rng(seed).normal(size=(n_waves, n_waves)).astype(np.float32)
    fine = cv2.resize(coarse, (edge, edge), interpolation=cv2.INTER_CUBIC)
    return (fine - fine.mean()) / fine.std()


def repeated(layer: np.ndarray, size: int) -> np.ndarray:
    """Return a tile of noise repeated over the scene."""
    repeats = -(-size // len(layer))
    return np.tile(layer, (repeats, repeats))[:size, :size]


def raw_bands(size: int) -> dict[str, xr.DataArray]:
    """Return digital numbers with a swath's edge along one side, and classes with some clouds."""
    grid, bands = scene_grid(size), {}
    swath = np.add.outer(np.arange(size) * 0.2, np.arange(size)) < 0.12 * size
    for index, name in enumerate(COLOURS):
        layer = 1800 + 250 * noise(1, 25, size) + 60 * noise(2 + index, 3, size) + 400 * (index == 3)
        numbers = repeated(np.clip(layer, 1, 65535).astype(np.uint16), size)
        numbers[swath] = 0
        bands[name] = wrap_xr(numbers, grid)
        bands[name].attrs.update({"raster:scale": _SCALE, "raster:offset": _OFFSET})
    classes = np.where(noise(8, 300, size) > 1.5, 9, np.where(noise(9, 80, size) > 1.8, 3, 4)).astype(np.uint8)
    scl = repeated(classes, size)
    scl[swath] = 0
    bands[CLASSES] = wrap_xr(scl, grid)
    return bands


def _fill_cubes(aux_dir: Path, size: int) -> None:
    """Fill elevation and trends of the area chunk by chunk, as downloads do."""
    import smart_geocubes

    from darts_acquisition.auxiliary.arcticdem import missing_arcticdem
    from darts_acquisition.auxiliary.filling import fill
    from darts_acquisition.auxiliary.tcvis_download import missing_tcvis

    outline = scene_grid(size).pad(_AUX_MARGIN_M // 10).extent.geom
    area = gpd.GeoDataFrame(geometry=[outline], crs=_CRS)
    elevation, trends = heights(size), _trends(size)
    arcticdem, tcvis = aux_dir / "arcticdem_10m.icechunk", aux_dir / "tcvis.icechunk"
    dem_chunks, trend_chunks = missing_arcticdem(area, arcticdem, 10), missing_tcvis(area, tcvis)
    fill(arcticdem, smart_geocubes.ArcticDEM10m, dem_chunks, lambda grid: _window(elevation, grid))
    fill(tcvis, smart_geocubes.TCTrend, trend_chunks, lambda grid: _window(trends, grid))


def heights(size: int) -> dict[str, np.ndarray]:
    """Return mountains with a few holes in the mosaic."""
    waves = ((300, 400), (40, 60), (3, 8), (0.1, 2))
    dem = np.float32(700) + sum(height * noise(21 + index, px, size) for index, (height, px) in enumerate(waves))
    has_data = noise(25, 30, size) < 4
    return {"dem": np.where(has_data, dem, np.float32(-9999)), "datamask": has_data}


def _trends(size: int) -> dict[str, np.ndarray]:
    names = ("TCB_slope", "TCG_slope", "TCW_slope")
    return {
        name: np.clip(128 + 30 * noise(31 + index, 20, size), 1, 255).astype(np.uint8)
        for index, name in enumerate(names)
    }


def _window(layers: dict[str, np.ndarray], grid: GeoBox) -> xr.Dataset:
    """Return layers on the grid of a chunk."""
    height, width = grid.shape
    edge = len(next(iter(layers.values())))
    repeats = (-(-height // edge), -(-width // edge))
    return xr.Dataset({name: wrap_xr(np.tile(layer, repeats)[:height, :width], grid) for name, layer in layers.items()})
