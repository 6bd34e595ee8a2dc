"""A world on disk, in the formats of the real thing."""

import shutil
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts.demo.world.cubes import write_arcticdem, write_tcvis
from darts.demo.world.make import World
from darts.demo.world.place import Place
from darts_acquisition.optical.sentinel2.scene_store import SceneStore
from darts_utils.files import atomic_file
from darts_utils.rasters.arrays import Array

_BANDS = ("B02_10m", "B03_10m", "B04_10m", "B08_10m")
_SCL = "SCL_20m"
_SCALE, _OFFSET = 0.0001, -0.1
_CLOUD_CLASSES = (8, 9, 10)


@dataclass(frozen=True, kw_only=True)
class WrittenWorld:
    """Where the parts of a world lie."""

    scene_id: str
    root: Path
    store: Path
    """Raw scene store with the Sentinel-2 scene."""
    aux_dir: Path
    """Folder of the datacubes."""
    truth: Path
    """GeoPackage with the true outlines."""
    models_dir: Path
    """Folder of the checkpoints."""


def write_world(world: World, root: Path, shift_px: tuple[float, float] = (0.0, 0.0)) -> WrittenWorld:
    """Write a world under a folder, which then serves as a data folder of DARTS; return where things are.

    Further worlds can be written under the same folder. The scene comes last: where there is one, all else is there.

    Args:
        world: The world.
        root: Folder for `input`, `aux`, `truth` and `models`.
        shift_px: By how many pixels to the right and down the scene has everything, compared with the truth, the
            elevation, the trends and Planet images of the world.

    Raises:
        ConfigError: If another world lies at the same place in the datacubes.
        OutputError: If the folder cannot be written.
    """
    root = Path(root)
    store, aux_dir = root / "input" / "sentinel2" / "cdse-scenes", root / "aux"
    install_models(root / "models")
    write_arcticdem(world, aux_dir)
    write_tcvis(world, aux_dir)
    truth = write_truth(world, root / "truth", world.scene_id)
    write_scene(
        store,
        world.place,
        reflectance=world.reflectance,
        classes=world.classes,
        description=told_of(world.seed, world.size),
        shift_px=shift_px,
    )
    return WrittenWorld(
        scene_id=world.scene_id, root=root, store=store, aux_dir=aux_dir, truth=truth, models_dir=root / "models"
    )


def install_models(folder: Path, sensor: Literal["sentinel2", "planet"] = "sentinel2") -> list[Path]:
    """Copy the two models that come with the demo, and the card of their mean, into a folder.

    Args:
        folder: Where they go.
        sensor: Whose pixels they are for.

    Returns:
        Paths of the models.
    """
    with as_file(files("darts.demo") / "models") as source:
        there = source / sensor
        for file in sorted((*there.glob("*.safetensors"), *there.glob("*.ensemble.json"))):
            with atomic_file(Path(folder) / file.name) as part:
                shutil.copyfile(file, part)
    return sorted(Path(folder).glob("*.safetensors"))


def write_truth(world: World, folder: Path, image_id: str) -> Path:
    """Write the outlines as a GeoPackage, called like an image; return its path."""
    path = folder / f"{image_id}.gpkg"
    with atomic_file(path) as part:
        world.truth.to_file(part, driver="GPKG", layer="slumps")
    return path


def told_of(seed: int, size: int) -> str:
    """Return what images of a world say that they are."""
    return f"DARTS sample world, seed {seed}, {size} px: generated, not observed"


def write_scene(
    store: Path,
    place: Place,
    *,
    reflectance: Array,
    classes: Array,
    description: str,
    shift_px: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Write a Sentinel-2 scene into a raw scene store.

    Args:
        store: Folder of the store.
        place: Where and when it was taken.
        reflectance: (blue green red nir, y, x) float32, NaN = no data.
        classes: (y, x) uint8, Sentinel-2 scene classification.
        description: What it is.
        shift_px: By how many pixels to the right and down it has everything.
    """
    attributes = _scene_attributes(place, classes) | {"description": description}
    SceneStore(store, "cdse").write(place.scene_id, _raw_bands(place, reflectance, classes, shift_px), attributes)


def _raw_bands(
    place: Place, reflectance: Array, classes: Array, shift_px: tuple[float, float]
) -> dict[str, xr.DataArray]:
    """Return the digital numbers as products since baseline 04.00 have them: 0 is no data."""
    truth = place.geobox
    grid = GeoBox(truth.shape, truth.affine * Affine.translation(*shift_px), truth.crs)
    bands = {}
    for name, values in zip(_BANDS, reflectance, strict=True):
        bands[name] = wrap_xr(digital_numbers(values), grid)
        bands[name].attrs.update({"raster:scale": _SCALE, "raster:offset": _OFFSET})
    bands[_SCL] = wrap_xr(classes, grid)
    return bands


def digital_numbers(reflectance: Array) -> Array:
    """Return reflectance as products since baseline 04.00 hold it, uint16, 0 = no data."""
    numbers = np.clip(np.rint((np.nan_to_num(reflectance) - _OFFSET) / _SCALE), 1, 65535)
    return np.where(np.isnan(reflectance), 0, numbers).astype(np.uint16)


def _scene_attributes(place: Place, classes: Array) -> dict[str, Any]:
    """Return metadata as the catalogue has it."""
    seen = classes[classes > 0]
    return {
        "id": place.scene_id,
        "datetime": place.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "platform": {"S2A": "sentinel-2a", "S2B": "sentinel-2b"}[place.scene_id[:3]],
        "grid:code": place.grid_code,
        "processing:version": "05.10",
        "eo:cloud_cover": round(100 * float(np.isin(seen, _CLOUD_CLASSES).mean()), 2),
        "eo:snow_cover": 0.0,
        "view:sun_azimuth": place.sun_azimuth,
        "view:sun_elevation": place.sun_elevation,
    }
