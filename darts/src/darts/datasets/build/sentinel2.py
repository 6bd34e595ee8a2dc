"""Which Sentinel-2 scenes stand in for the images that slumps were annotated on, and where those lie in them."""

import math
import re
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import xarray as xr

from darts.datasets.build.images import LabelledImages, anywhere_below
from darts.datasets.build.layers import Layer
from darts.datasets.build.matching import AnnotatedImage, match
from darts.datasets.build.pipelines import Sentinel2TrainingData
from darts.datasets.build.samples import Collection, Collector, Cut, Sample
from darts.pipelines.config import or_default
from darts.pipelines.sources.parameters import SceneParameters
from darts.pipelines.sources.scenes import SceneSource, catalog_of
from darts.pipelines.sources.selection import tile_ref
from darts.pipelines.tiles import require
from darts_acquisition import load_planet_tile
from darts_acquisition.services.settings import refusing
from darts_preprocessing import align_offset
from darts_utils.tile import geobox_of

_ALIGNED_ON = "red"
"""The band in which the two sensors are compared: bare slumps stand out in it, and both see it alike."""

_SCENE_ID = re.compile(
    r"S2[A-D]_(MSIL2A_\d{8}T\d{6}_|\d{1,2}[A-Z]{3}_\d{8}_)|\d{8}T\d{6}_\d{8}T\d{6}_T\d{2}[A-Z]{3}$"
    r"|Sentinel-2_mosaic_\d{4}_Q[1-4]_|composite-\w{5}-\d{8}-\d{8}-"
)
"""Ids of scenes of the catalogues."""

_ROUNDING_PX = 1e-3
"""An outline that reaches over a pixel's edge by less, as projections leave it, does not reach into the pixel."""


class Sentinel2Collector(Collector):
    """Takes for each footprint the best scene of about the same day.

    Args:
        parameters: The resolved parameters.
    """

    def __init__(self, parameters: Sentinel2TrainingData) -> None:
        self.parameters = parameters

    def collect(self, labels: Layer, footprints: Layer) -> Collection:
        """Return a sample for each footprint that a scene matches; those of a scene follow one another.

        A footprint of a Sentinel-2 scene stands for that scene, and nothing is searched for it.

        Args:
            labels: The label layers.
            footprints: The footprint layers.
        """
        if self.parameters.planet_data_dir is not None:
            _ = self._planet_images  # a wrong folder is told before hours of work
        footprints = footprints.drop(footprints.rows["date"].isna(), "no date, neither in the id nor beside it")
        matched_rows = match(labels, footprints)
        items = self._matches(image for image in matched_rows.images if not _is_scene(image))
        scene_of = {image.image_id: image.image_id for image in matched_rows.images if _is_scene(image)}
        scene_of |= {image_id: str(item.id) for image_id, item in items.items() if item is not None}
        refs = {scene_id: tile_ref(scene_id) for scene_id in sorted(set(scene_of.values()))}
        by_scene: dict[str, list[Sample]] = {scene_id: [] for scene_id in refs}
        matched = [image for image in matched_rows.images if image.image_id in scene_of]
        for image in matched:
            by_scene[scene_of[image.image_id]].append(_sample(image, scene_of[image.image_id]))
        return Collection(
            source=self._source(refs, {str(item.id): item for item in items.values() if item is not None}),
            matched=matched_rows,
            samples={refs[scene_id]: samples for scene_id, samples in by_scene.items()},
            tally=[("footprints that no scene matches", len(matched_rows.images) - len(matched))],
        )

    def _matches(self, images: Iterable[AnnotatedImage]) -> Mapping[str, Any]:
        """Return the STAC item of the best scene for each image, None where there is none."""
        images = list(images)
        if not images:
            return {}
        ids = [image.image_id for image in images]
        outlines = pd.concat([image.footprint for image in images], ignore_index=True)
        area = gpd.GeoDataFrame(
            {"image_id": ids, "date": [image.date for image in images]}, geometry=outlines.values, crs=outlines.crs
        ).set_index("image_id", drop=False)
        scores = or_default(self.parameters.train_data_dir, Path()) / "matching-scores.parquet"
        cache = None if self.parameters.no_matching_cache else self.parameters.matching_cache
        kept = f" ({cache}, or what --matching-cache names)" if cache else ""
        advice = f"Run once without --offline and without --no-matching-cache: its answers are kept{kept}."
        with refusing(advice) if self.parameters.offline else nullcontext():
            found = catalog_of(self.parameters.raw_data_source).match(
                area,
                day_range=self.parameters.matching_day_range,
                max_cloud_cover=self.parameters.matching_max_cloud_cover,
                min_intersects=self.parameters.matching_min_intersects,
                save_scores=scores if self.parameters.save_matching_scores else None,
                cache=cache,
            )
        return {str(image_id): item for image_id, item in found.items()}

    def _source(self, scenes: Iterable[str], items: Mapping[str, Any]) -> SceneSource:
        source = SceneSource(
            SceneParameters(
                scene_ids=list(scenes),
                raw_data_source=self.parameters.raw_data_source,
                raw_data_store=self.parameters.raw_data_store,
                no_raw_data_store=self.parameters.no_raw_data_store,
                offline=self.parameters.offline,
            )
        )
        source.items = dict(items)
        return source

    def cut(self, tile: xr.Dataset, sample: Sample) -> Cut:
        """Return the part of a scene under a footprint, and labels and footprint moved to where the scene has them."""
        crs = str(geobox_of(tile).crs)
        labels, extent = sample.image.labels.to_crs(crs), sample.image.footprint.to_crs(crs)
        found: dict[str, Any] = {}
        if self.parameters.planet_data_dir is not None:
            found = self._shift(_part_under(tile, extent, self.parameters.patch_size), sample.image.image_id)
            labels, extent = (outlines.translate(found["x_offset"], found["y_offset"]) for outlines in (labels, extent))
        part = _part_under(tile, extent, self.parameters.patch_size)
        return Cut(tile=part, labels=labels, extent=extent, metadata={**sample.metadata, **found})

    def _shift(self, tile: xr.Dataset, image_id: str) -> dict[str, Any]:
        """Return by how many metres to the east and north the scene has the ground of a PlanetScope image, if sure."""
        nothing = {"x_offset": 0.0, "y_offset": 0.0, "reliability": math.nan, "ssim_improvement": math.nan}
        path = self._planet_images.images.get(image_id)
        if path is None:
            return {**nothing, "aligned": "left: no Planet image"}
        planet = load_planet_tile(path)
        shift = align_offset(
            tile[_ALIGNED_ON],
            planet[_ALIGNED_ON],
            moving_mask=tile["quality_data_mask"] == 2,
            reference_mask=planet["quality_data_mask"] == 2,
        )
        found = {
            "x_offset": float(shift.x_m) if shift.reliable else 0.0,
            "y_offset": float(shift.y_m) if shift.reliable else 0.0,
            "reliability": float(shift.reliability),
            "ssim_improvement": float(shift.ssim_improvement),
        }
        return {**found, "aligned": "moved" if shift.reliable else "left: the shift is not reliable"}

    @cached_property
    def _planet_images(self) -> LabelledImages:
        images = LabelledImages(require(self.parameters.planet_data_dir), anywhere_below, "--planet-data-dir")
        images.find()
        return images


def _is_scene(image: AnnotatedImage) -> bool:
    """Tell whether slumps were drawn on a Sentinel-2 scene itself: by its id, for layers name sources as they like."""
    return is_scene_id(image.image_id)


def is_scene_id(image_id: str) -> bool:
    """Tell whether an id is that of a scene, a mosaic or a composite of Sentinel-2."""
    return _SCENE_ID.match(image_id) is not None


def _sample(image: AnnotatedImage, scene_id: str) -> Sample:
    if image.image_id == scene_id:
        return Sample(sample_id=scene_id, image=image, metadata={"s2_id": scene_id, "planet_id": ""})
    return Sample(
        sample_id=f"{scene_id}_{image.image_id}",
        image=image,
        metadata={"s2_id": scene_id, "planet_id": image.image_id},
    )


def _part_under(tile: xr.Dataset, extent: gpd.GeoSeries, least_px: int) -> xr.Dataset:
    """Return the part of a tile under an outline in its CRS, at least as large as a patch where there is ground."""
    geobox = geobox_of(tile)
    west, south, east, north = extent.total_bounds
    left, top = ~geobox.affine * (west, north)
    right, bottom = ~geobox.affine * (east, south)
    height, width = geobox.shape
    return tile.isel(y=_window(top, bottom, height, least_px), x=_window(left, right, width, least_px))


def _window(first: float, last: float, length: int, least: int) -> slice:
    """Return the whole pixels from one position to another, at least some if there are as many."""
    start, stop = max(0, math.floor(first + _ROUNDING_PX)), min(length, math.ceil(last - _ROUNDING_PX))
    missing = max(0, min(least, length) - (stop - start))
    start = max(0, start - missing // 2)
    stop = min(length, max(stop, start) + missing - missing // 2)
    return slice(max(0, min(start, stop - min(least, length))), stop)
