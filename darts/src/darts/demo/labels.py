"""A world as people annotate it: label and footprint layers over its images, and a district to lie in."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from darts.demo.world.make import World
from darts.demo.world.planet import Image, orthotile_of, scene_of
from darts_utils.files import atomic_file, make_folder

DISTRICT = "Demo Coast"
"""What the districts are called, before the seed of their world."""
_BOUNDARIES = "geoBoundariesCGAZ_ADM2.shp"
_DEGREES = "EPSG:4326"
_AROUND_M = 1_000
"""How far a district reaches around its world."""


@dataclass(frozen=True, kw_only=True)
class AnnotatedImage:
    """An image that slumps are drawn on."""

    image_id: str
    outline: shapely.Polygon
    """What it shows, in the CRS of its world."""
    datasource: str


@dataclass(frozen=True, kw_only=True)
class WrittenLabels:
    """Where layers lie."""

    labels_dir: Path
    """Folder of all iterations."""
    labels: Path
    footprints: Path


def district_of(world: World) -> str:
    """Return the name of the district of a world: each has its own, so that worlds can be held out by region."""
    return f"{DISTRICT} {world.seed}"


def planet_images(world: World) -> list[AnnotatedImage]:
    """Return the orthotile and the scene that `write_planet_world` writes."""
    return [
        AnnotatedImage(
            image_id=image.image_id,
            outline=outline_of(image),
            datasource="PlanetScope OrthoTile" if image.slant == 0 else "PlanetScope Scene",
        )
        for image in (orthotile_of(world), scene_of(world))
    ]


def sentinel2_image(world: World) -> list[AnnotatedImage]:
    """Return the scene that `write_world` writes."""
    outline = world.place.geobox.extent.geom
    return [AnnotatedImage(image_id=world.place.scene_id, outline=outline, datasource="Sentinel-2")]


def write_labels(world: World, root: Path, images: Iterable[AnnotatedImage] | None = None) -> WrittenLabels:
    """Write the true outlines as if they had been drawn on images of a world, with the images' footprints.

    Layers of further worlds can be written under the same folder: each is an iteration of its own.

    Args:
        world: The world.
        root: Folder of the world, for `labels`, and for the world's district in `aux/admin_boundaries`.
        images: The images; those of PlanetScope if not given.
    """
    annotated = planet_images(world) if images is None else list(images)
    labels_dir, name = Path(root) / "labels", f"seed_{world.seed}"
    written = WrittenLabels(
        labels_dir=labels_dir,
        labels=labels_dir / name / f"TrainingLabels_{name}.gpkg",
        footprints=labels_dir / name / f"ImageFootprints_{name}.gpkg",
    )
    _write_layer(_footprints(world, annotated), written.footprints)
    _write_layer(_labels(world, annotated), written.labels)
    _write_district(world, Path(root) / "aux" / "admin_boundaries")
    return written


def outline_of(image: Image) -> shapely.Polygon:
    """Return what an image shows, in its CRS."""
    height, width = image.grid.shape
    lean = image.slant * height
    corners = [(lean, 0), (width, 0), (width - lean, height), (0, height)]
    return shapely.Polygon(np.array([image.grid.affine * corner for corner in corners]))


def _footprints(world: World, images: list[AnnotatedImage]) -> gpd.GeoDataFrame:
    rows = {"image_id": [image.image_id for image in images], "image_date": f"{world.place.time:%Y-%m-%d}"}
    outlines = gpd.GeoSeries([image.outline for image in images], crs=str(world.place.geobox.crs))
    kinds = [image.datasource for image in images]
    return gpd.GeoDataFrame({**rows, "datasource": kinds}, geometry=outlines.to_crs(_DEGREES))


def _labels(world: World, images: list[AnnotatedImage]) -> gpd.GeoDataFrame:
    """Return the slumps that each image shows, whole."""
    found = [
        {"image_id": image.image_id, "image_date": f"{world.place.time:%Y-%m-%d}", "region": district_of(world),
         "label": 1, "id": slump.id, "geometry": slump.geometry}
        for image in images
        for slump in world.truth.itertuples()
        if slump.geometry.intersects(image.outline)
    ]  # fmt: skip
    columns = ["image_id", "image_date", "region", "label", "id", "geometry"]
    frame = gpd.GeoDataFrame(found, columns=columns, geometry="geometry", crs=world.truth.crs)
    return frame.to_crs(_DEGREES)


def _write_layer(frame: gpd.GeoDataFrame, path: Path) -> None:
    with atomic_file(path) as part:
        frame.to_file(part, driver="GPKG", layer=path.stem)


def _write_district(world: World, admin_dir: Path) -> None:
    """Add the district of a world to those of the demo; real boundaries, if such are there, stay as they are."""
    file, name = admin_dir / _BOUNDARIES, district_of(world)
    there = gpd.read_file(file) if file.exists() else None
    if there is not None and (name in set(there["shapeName"]) or not there["shapeName"].str.startswith(DISTRICT).all()):
        return
    make_folder(admin_dir)
    ground = gpd.GeoSeries([world.place.geobox.extent.geom.buffer(_AROUND_M).envelope], crs=str(world.place.geobox.crs))
    district = gpd.GeoDataFrame({"shapeName": [name]}, geometry=ground.to_crs(_DEGREES))
    all_of_them = (
        district if there is None else pd.concat([there[["shapeName", "geometry"]], district], ignore_index=True)
    )
    all_of_them.to_file(file)
