"""Training data of Sentinel-2 scenes that were taken about when slumps were digitised on PlanetScope images."""

import math
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from cyclopts import Parameter

from darts.pipelines.features import or_default
from darts.pipelines.parameters import CatalogParameters, RawSceneParameters, SceneParameters
from darts.pipelines.selection import tile_ref
from darts.pipelines.sources.scenes import SceneSource, catalog_of
from darts.pipelines.tiles import MosaicResolution, RunReport, require
from darts.training.dataset import TrainingData, as_function
from darts.training.images import LabelledImages, anywhere_below
from darts.training.parameters import MatchingParameters
from darts.training.samples import Collection, Cut, Sample

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

    from darts.training.join import Digitised
    from darts.training.layers import Layer

_ALIGNED_ON = "red"
"""The band in which the two sensors are compared: bare slumps stand out in it, and both see it alike."""

_ROUNDING_PX = 1e-3
"""An outline that reaches over a pixel's edge by less, as projections leave it, does not reach into the pixel."""


@dataclass(frozen=True, kw_only=True)
class Sentinel2TrainingData(MatchingParameters, CatalogParameters, RawSceneParameters, TrainingData):
    """Makes training data of Sentinel-2 scenes, with slumps digitised on PlanetScope images of about the same day.

    Where the PlanetScope images are at hand, labels are moved to where Sentinel-2 sees the same ground.
    """

    resolution_m: ClassVar[MosaicResolution] = 10
    name: ClassVar[str] = "sentinel2"
    function_name: ClassVar[str] = "preprocess_s2_train_data"

    def located(self) -> Self:
        """Return a copy with every location filled in; locating it again changes nothing."""
        run = super().located()
        store = or_default(self.raw_data_store, self.paths.sentinel2_raw_data(self.raw_data_source))
        cache = or_default(self.matching_cache, or_default(run.train_data_dir, Path()) / "matching-cache.json")
        return replace(run, raw_data_store=store, matching_cache=cache)

    def collect(self, labels: "Layer", footprints: "Layer") -> Collection:
        """Return a sample for each footprint that a scene matches; those of a scene follow one another.

        Args:
            labels: The label layers.
            footprints: The footprint layers.
        """
        from darts.training.join import join

        if self.planet_data_dir is not None:
            _ = self._planet_images  # a wrong folder is told before hours of work
        footprints = footprints.drop(footprints.rows["date"].isna(), "no date, neither in the id nor beside it")
        joined = join(labels, footprints)
        items = self._matches(joined.images)
        matched = [image for image in joined.images if items.get(image.image_id) is not None]
        scenes = {str(items[image.image_id].id): items[image.image_id] for image in matched}
        refs = {scene_id: tile_ref(scene_id) for scene_id in sorted(scenes)}
        by_scene: dict[str, list[Sample]] = {scene_id: [] for scene_id in refs}
        for image in matched:
            by_scene[str(items[image.image_id].id)].append(_sample(image, str(items[image.image_id].id)))
        return Collection(
            source=self._source(scenes),
            joined=joined,
            samples={refs[scene_id]: samples for scene_id, samples in by_scene.items()},
            account=[("footprints that no scene matches", len(joined.images) - len(matched))],
        )

    def _matches(self, images: "Iterable[Digitised]") -> Mapping[str, Any]:
        """Return the STAC item of the best scene for each image, None where there is none."""
        import geopandas as gpd
        import pandas as pd

        from darts_acquisition.services.network import no_service

        images = list(images)
        if not images:
            return {}
        ids = [image.image_id for image in images]
        outlines = pd.concat([image.footprint for image in images], ignore_index=True)
        area = gpd.GeoDataFrame(
            {"image_id": ids, "date": [image.date for image in images]}, geometry=outlines.values, crs=outlines.crs
        ).set_index("image_id", drop=False)
        scores = or_default(self.train_data_dir, Path()) / "matching-scores.parquet"
        cache = None if self.no_matching_cache else self.matching_cache
        kept = f" ({cache}, or what --matching-cache names)" if cache else ""
        advice = f"Run once without --offline and without --no-matching-cache: its answers are kept{kept}."
        with no_service(advice) if self.offline else nullcontext():
            found = catalog_of(self.raw_data_source).match(
                area,
                day_range=self.matching_day_range,
                max_cloud_cover=self.matching_max_cloud_cover,
                min_intersects=self.matching_min_intersects,
                save_scores=scores if self.save_matching_scores else None,
                cache=cache,
            )
        return {str(image_id): item for image_id, item in found.items()}

    def _source(self, scenes: Mapping[str, Any]) -> SceneSource:
        source = SceneSource(
            SceneParameters(
                scene_ids=list(scenes),
                raw_data_source=self.raw_data_source,
                raw_data_store=self.raw_data_store,
                no_raw_data_store=self.no_raw_data_store,
                offline=self.offline,
            )
        )
        source.items = dict(scenes)
        return source

    def cut(self, tile: "xr.Dataset", sample: Sample) -> Cut:
        """Return the part of a scene under a footprint, and labels and footprint moved to where the scene has them."""
        from darts_utils.tile import geobox_of

        crs = str(geobox_of(tile).crs)
        labels, extent = sample.digitised.labels.to_crs(crs), sample.digitised.footprint.to_crs(crs)
        found: dict[str, Any] = {}
        if self.planet_data_dir is not None:
            found = self._shift(_part_under(tile, extent, self.patch_size), sample.digitised.image_id)
            labels, extent = (outlines.translate(found["x_offset"], found["y_offset"]) for outlines in (labels, extent))
        part = _part_under(tile, extent, self.patch_size)
        return Cut(tile=part, labels=labels, extent=extent, metadata={**sample.metadata, **found})

    def _shift(self, tile: "xr.Dataset", image_id: str) -> dict[str, Any]:
        """Return by how many metres to the east and north the scene has the ground of a PlanetScope image, if sure."""
        from darts_acquisition import load_planet_tile
        from darts_preprocessing import align_offset

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
        images = LabelledImages(require(self.planet_data_dir), anywhere_below, "--planet-data-dir")
        images.find()
        return images

    @staticmethod
    def cli(*, data: Annotated["Sentinel2TrainingData", Parameter(name="*")]) -> RunReport:
        """Make training data of Sentinel-2 scenes, with slumps digitised on PlanetScope images."""
        return data.create()


def _sample(image: "Digitised", scene_id: str) -> Sample:
    return Sample(
        sample_id=f"{scene_id}_{image.image_id}",
        digitised=image,
        metadata={"s2_id": scene_id, "planet_id": image.image_id},
    )


def _part_under(tile: "xr.Dataset", extent: "gpd.GeoSeries", least_px: int) -> "xr.Dataset":
    """Return the part of a tile under an outline in its CRS, at least as large as a patch where there is ground."""
    from darts_utils.tile import geobox_of

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


preprocess_s2_train_data = as_function(Sentinel2TrainingData)
create_sentinel2_dataset = Sentinel2TrainingData.cli
"""The command, under a name that can be imported when it is called."""
