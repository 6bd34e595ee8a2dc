"""A world as people digitise it: label and footprint layers over its Planet images, and a region to lie in."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely

from darts.demo.world.make import World
from darts.demo.world.planet import Image, orthotile_of, scene_of
from darts_utils.files import atomic_file, make_folder

REGION = "Demo Coast"
_BOUNDARIES = "geoBoundariesCGAZ_ADM2.shp"
_DEGREES = "EPSG:4326"


@dataclass(frozen=True, kw_only=True)
class WrittenLabels:
    """Where layers lie."""

    labels_dir: Path
    """Folder of all iterations."""
    labels: Path
    footprints: Path


def write_labels(world: World, root: Path, images: Iterable[Image] | None = None) -> WrittenLabels:
    """Write the true outlines as if they had been digitised on images of a world, with the images' footprints.

    Layers of further worlds can be written under the same folder: each is an iteration of its own.

    Args:
        world: The world.
        root: Folder of the world, for `labels` and, if there are none, made-up boundaries in `aux/admin_boundaries`.
        images: The images; the orthotile and the scene that `write_planet_world` writes, if not given.
    """
    images = [orthotile_of(world), scene_of(world)] if images is None else list(images)
    labels_dir, name = Path(root) / "labels", f"seed_{world.seed}"
    written = WrittenLabels(
        labels_dir=labels_dir,
        labels=labels_dir / name / f"TrainingLabels_{name}.gpkg",
        footprints=labels_dir / name / f"ImageFootprints_{name}.gpkg",
    )
    _write_layer(_footprints(world, images), written.footprints)
    _write_layer(_labels(world, images), written.labels)
    _write_boundaries(Path(root) / "aux" / "admin_boundaries")
    return written


def outline_of(image: Image) -> shapely.Polygon:
    """Return what an image shows, in its CRS."""
    height, width = image.grid.shape
    lean = image.slant * height
    corners = [(lean, 0), (width, 0), (width - lean, height), (0, height)]
    return shapely.Polygon(np.array([image.grid.affine * corner for corner in corners]))


def _footprints(world: World, images: list[Image]) -> gpd.GeoDataFrame:
    rows = {"image_id": [image.image_id for image in images], "image_date": f"{world.place.time:%Y-%m-%d}"}
    outlines = gpd.GeoSeries([outline_of(image) for image in images], crs=str(world.place.geobox.crs))
    kind = ["PlanetScope OrthoTile" if image.slant == 0 else "PlanetScope Scene" for image in images]
    return gpd.GeoDataFrame({**rows, "datasource": kind}, geometry=outlines.to_crs(_DEGREES))


def _labels(world: World, images: list[Image]) -> gpd.GeoDataFrame:
    """Return the slumps that each image shows, whole."""
    found = [
        {"image_id": image.image_id, "image_date": f"{world.place.time:%Y-%m-%d}", "region": REGION, "label": 1,
         "id": slump.id, "geometry": slump.geometry}
        for image in images
        for slump in world.truth.itertuples()
        if slump.geometry.intersects(outline_of(image))
    ]  # fmt: skip
    columns = ["image_id", "image_date", "region", "label", "id", "geometry"]
    frame = gpd.GeoDataFrame(found, columns=columns, geometry="geometry", crs=world.truth.crs)
    return frame.to_crs(_DEGREES)


def _write_layer(frame: gpd.GeoDataFrame, path: Path) -> None:
    with atomic_file(path) as part:
        frame.to_file(part, driver="GPKG", layer=path.stem)


def _write_boundaries(admin_dir: Path) -> None:
    """Write a district around all worlds, unless there are boundaries."""
    if not (admin_dir / _BOUNDARIES).exists():
        make_folder(admin_dir)
        district = gpd.GeoDataFrame({"shapeName": [REGION]}, geometry=[shapely.box(-141, 66, -129, 72)], crs=_DEGREES)
        district.to_file(admin_dir / _BOUNDARIES)
