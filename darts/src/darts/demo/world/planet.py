"""A world as PlanetScope sees it: finer, and in the layout of deliveries, as an orthotile and as a scene."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from darts.demo.world.cubes import write_arcticdem, write_tcvis
from darts.demo.world.fields import Noise
from darts.demo.world.make import World
from darts.demo.world.write import install_models, told_of, write_truth
from darts_utils.errors import ConfigError
from darts_utils.files import atomic_file
from darts_utils.rasters.arrays import Array

ORTHOTILE_PIXEL_M, SCENE_PIXEL_M = 3.125, 3.0
LARGEST_PX = 2560
"""Largest world: its elevation at 2 m is resampled as one array, whose sides OpenCV limits."""
_BANDS = ("blue", "green", "red", "nir")
_UDM2 = ("clear", "snow", "shadow", "haze_light", "haze_heavy", "cloud", "confidence", "unusable")
_UDM2_CLASSES: dict[str, Sequence[int]] = {"snow": (11,), "shadow": (3,), "cloud": (8, 9), "haze_light": (10,)}
"""Sentinel-2 scene classes of the world for bands of a UDM2."""
_CONFIDENCE_PERCENT = 90
_TEXTURE = 0.025
"""Relative roughness of the ground that 10 m pixels do not show."""
_SCENE_ROWS = (0.2, 1.0)
"""Part of the world from north to south that the scene covers."""
_SCENE_SLANT = 0.12
"""How far the edges of the scene lean, as a share of its height: Planet's strips are not aligned with the map."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image of a world on its grid."""

    folder: str
    """Below the folder of orthotiles or of scenes."""
    stem: str
    """What its files begin with."""
    grid: GeoBox
    slant: float = 0.0
    """How far its left and right edges lean."""

    @property
    def image_id(self) -> str:
        """Id of the image, the name of its folder."""
        return Path(self.folder).name


@dataclass(frozen=True, kw_only=True)
class WrittenPlanetWorld:
    """Where the parts of a world lie."""

    root: Path
    orthotile: Path
    """Folder of the orthotile, in `{orthotiles}/{tile_id}/`."""
    scene: Path
    """Folder of the scene."""
    aux_dir: Path
    """Folder of the datacubes."""
    truth: Path
    """GeoPackage with the true outlines."""
    models_dir: Path
    """Folder of the checkpoints for 3 m pixels."""


def write_planet_world(world: World, root: Path) -> WrittenPlanetWorld:
    """Write a world as Planet data under a folder, which then serves as a data folder of DARTS.

    It may be the folder of a demo with Sentinel-2 data. Elevation is written at 2 m.

    Args:
        world: The world.
        root: Folder for `input`, `aux`, `truth` and `models`.

    Raises:
        ConfigError: If the world is too large, or another one lies at the same place in the datacubes.
        OutputError: If the folder cannot be written.
    """
    if world.size > LARGEST_PX:
        raise ConfigError(f"size is {world.size} px but must be at most {LARGEST_PX} for Planet data.")
    root = Path(root)
    aux_dir, models_dir = root / "aux", root / "models" / "planet"
    install_models(models_dir, "planet")
    write_arcticdem(world, aux_dir, resolution_m=2)
    write_tcvis(world, aux_dir)
    orthotile, scene = orthotile_of(world), scene_of(world)
    truth = write_truth(world, root / "truth", orthotile.image_id)
    tiles, scenes = root / "input" / "planet" / "tiles", root / "input" / "planet" / "scenes"
    return WrittenPlanetWorld(
        root=root,
        orthotile=_write_image(world, orthotile, tiles / orthotile.folder),
        scene=_write_image(world, scene, scenes / scene.folder),
        aux_dir=aux_dir,
        truth=truth,
        models_dir=models_dir,
    )


def orthotile_of(world: World) -> Image:
    """Return the orthotile: all of the world, on pixels of 3.125 m."""
    strip, tile_id = 5_000_000 + world.seed, 1_000_000 + 10 * (world.seed % 90_000) + world.size % 7
    satellite = f"{0x1000 + world.seed % 0xE000:04x}"
    image_id = f"{strip:07d}_{tile_id:07d}_{world.place.time:%Y-%m-%d}_{satellite}"
    return Image(
        folder=f"{tile_id:07d}/{image_id}",
        stem=f"{image_id}_BGRN",
        grid=_finer(world.place.geobox, ORTHOTILE_PIXEL_M, (0.0, 1.0)),
    )


def scene_of(world: World) -> Image:
    """Return the scene: most of the world between slanting edges, on pixels of 3 m."""
    satellite = f"{0x1000 + world.seed % 0xE000:04x}"
    image_id = f"{world.place.time:%Y%m%d_%H%M%S}_{world.seed % 100:02d}_{satellite}"
    return Image(
        folder=image_id,
        stem=f"{image_id}_3B_AnalyticMS",
        grid=_finer(world.place.geobox, SCENE_PIXEL_M, _SCENE_ROWS),
        slant=_SCENE_SLANT,
    )


def _finer(grid: GeoBox, pixel_m: float, rows: tuple[float, float]) -> GeoBox:
    """Return a finer grid within some rows of another."""
    coarse_m = grid.resolution.x
    height_m, width_m = (length * coarse_m for length in grid.shape)
    top = grid.affine.f - rows[0] * height_m
    shape = int((rows[1] - rows[0]) * height_m / pixel_m), int(width_m / pixel_m)
    return GeoBox(shape, Affine(pixel_m, 0, grid.affine.c, 0, -pixel_m, top), grid.crs)


def image_on(world: World, image: Image) -> tuple[Array, Array]:
    """Return what is seen of a world on a finer grid.

    Returns:
        Reflectance (blue green red nir, y, x) float32, NaN = no data, and Sentinel-2 scene classes (y, x) uint8.
    """
    columns, rows = _source_positions(world.place.geobox, image.grid)
    unseen = np.isnan(world.reflectance).any(axis=0)
    # anything between the nodes of a seen and an unseen pixel is unseen
    seen = cv2.remap((~unseen).astype(np.float32), columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    beyond = (seen < 0.999) | ~_within_strip(image)
    noise = Noise(world.seed, image.grid.shape.yx)
    bands = np.empty((len(_BANDS), *image.grid.shape), dtype=np.float32)
    for band, values, name in zip(bands, world.reflectance, _BANDS, strict=True):
        filled = np.where(unseen, np.nanmean(values), values).astype(np.float32)
        band[:] = cv2.remap(filled, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        band *= 1 + _TEXTURE * noise.field(f"planet texture {name}", 8, 2, 0.6)
    bands[:, beyond] = np.nan
    classes = cv2.remap(world.classes, columns, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return bands, np.where(beyond, 0, classes).astype(np.uint8)


def _source_positions(coarse: GeoBox, fine: GeoBox) -> tuple[Array, Array]:
    """Return column and row in a coarse grid of each pixel centre of a fine one, float32; same CRS, north up."""
    to_coarse = ~coarse.affine * fine.affine
    height, width = fine.shape
    columns = to_coarse.a * (np.arange(width) + 0.5) + to_coarse.c - 0.5
    rows = to_coarse.e * (np.arange(height) + 0.5) + to_coarse.f - 0.5
    x, y = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
    return x, y


def _within_strip(image: Image) -> Array:
    """Return (y, x) bool, where the image lies between its leaning edges."""
    height, width = image.grid.shape
    y, x = np.ogrid[0:height, 0:width]
    lean = image.slant * y
    within: Array = (x >= image.slant * height - lean) & (x < width - lean)
    return within


def _write_image(world: World, image: Image, folder: Path) -> Path:
    """Write reflectance, mask and metadata of an image into its folder; return it. The image itself comes last."""
    bands, classes = image_on(world, image)
    mask_stem = image.stem.removesuffix("_AnalyticMS").removesuffix("_BGRN")
    _write_tiff(folder / f"{mask_stem}_udm2.tif", udm2_of(classes), image.grid, _UDM2)
    with atomic_file(folder / f"{image.image_id}_metadata.json") as part:
        part.write_text(json.dumps(_metadata(world, image), indent=1) + "\n")
    numbers = np.where(np.isnan(bands), 0, np.clip(np.rint(np.nan_to_num(bands) * 10_000), 1, 65_535))
    _write_tiff(folder / f"{image.stem}_SR.tif", numbers.astype(np.uint16), image.grid, _BANDS, nodata=0)
    return folder


def udm2_of(classes: Array) -> Array:
    """Return the usable data mask of scene classes, (8, y, x) uint8."""
    layers = {name: np.isin(classes, codes) for name, codes in _UDM2_CLASSES.items()}
    unusable = classes == 0
    clouded = np.any(list(layers.values()), axis=0)
    layers |= {"unusable": unusable, "clear": ~clouded & ~unusable}
    layers["confidence"] = np.where(unusable, 0, _CONFIDENCE_PERCENT)
    nothing = np.zeros(classes.shape, dtype=np.uint8)
    return np.stack([layers.get(name, nothing).astype(np.uint8) for name in _UDM2])


def _metadata(world: World, image: Image) -> Mapping[str, Any]:
    """Return metadata as Planet delivers it, a GeoJSON feature."""
    outline = image.grid.extent.to_crs("EPSG:4326").json
    properties = {
        "acquired": world.place.time.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "pixel_resolution": image.grid.resolution.x,
        "sun_azimuth": world.place.sun_azimuth,
        "sun_elevation": world.place.sun_elevation,
        "description": told_of(world.seed, world.size),
    }
    return {"type": "Feature", "id": image.image_id, "geometry": outline, "properties": properties}


def _write_tiff(path: Path, bands: Array, grid: GeoBox, names: Sequence[str], nodata: int | None = None) -> None:
    with _tiff(path, bands, grid, nodata) as file:
        file.write(bands)
        for index, name in enumerate(names, start=1):
            file.set_band_description(index, name)


@contextmanager
def _tiff(path: Path, bands: Array, grid: GeoBox, nodata: int | None) -> Iterator[Any]:
    count, height, width = bands.shape
    options = {"driver": "GTiff", "compress": "deflate", "tiled": True, "blockxsize": 256, "blockysize": 256}
    profile = {"count": count, "height": height, "width": width, "dtype": bands.dtype, "nodata": nodata}
    with (
        atomic_file(path) as part,
        rasterio.open(part, "w", crs=str(grid.crs), transform=grid.affine, **options, **profile) as file,
    ):
        yield file
