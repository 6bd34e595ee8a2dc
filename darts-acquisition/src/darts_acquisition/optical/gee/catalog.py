"""Google Earth Engine as a catalogue of Sentinel-2 scenes."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from shapely.geometry.base import BaseGeometry

from darts_acquisition.catalog.fields import number_or_none
from darts_acquisition.catalog.query import SceneQuery
from darts_acquisition.catalog.takes import Take, take_of_gee_scene
from darts_acquisition.optical.gee.bands import (
    DEFAULT_BANDS_MAPPING,
    HARMONIZED,
    RAW,
    RESOLUTION_M,
    RESOLUTIONS_M,
    SCL_BAND,
    SCL_RESOLUTION_M,
)
from darts_acquisition.optical.gee.search import CLOUD, SNOW, GeeScene, describe_scenes, search_scenes
from darts_acquisition.optical.sentinel2.catalog import Access, OnBytes, SceneCatalog
from darts_acquisition.optical.sentinel2.scaling import DN_SCALE, baseline_offset, given_scale, known_baseline
from darts_acquisition.optical.sentinel2.scene_store import RawScene, SceneStore
from darts_acquisition.optical.sentinel2.tile import SceneFormat, classes_in
from darts_acquisition.services.earthengine import ensure_earthengine, init_earthengine
from darts_acquisition.services.earthengine_pixels import fetch_pixels
from darts_utils.errors import ConfigError, DataError
from darts_utils.rasters.window import Window

logger = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def reflectance_scale(scene: RawScene, band: str) -> tuple[float, float]:
    """Return scale and offset of a band.

    The harmonized collection carries no offset; in the other one the processing baseline of the scene decides.

    Raises:
        DataError: If the collection is another one, or neither the baseline nor the band tells the offset: then the
            reflectance would be a guess.
    """
    collection = scene.attributes.get("collection", HARMONIZED)
    if collection == HARMONIZED:
        return DN_SCALE, 0.0
    if collection != RAW:
        raise DataError(
            f"how the scene {scene.path} of {collection} is scaled is not known; it must be of {HARMONIZED} or {RAW}. "
            "Stage it again."
        )
    texts = _baseline_texts(scene)
    baseline = known_baseline(texts)
    if baseline is not None:
        return DN_SCALE, baseline_offset(baseline)
    scale, offset = given_scale(scene, band) or (DN_SCALE, None)
    if offset is not None:
        return scale, offset
    told = f"is {texts[0]}, which does not say" if texts else "is not in its metadata (PROCESSING_BASELINE), which says"
    raise DataError(
        f"the processing baseline of the scene {scene.path} of {RAW} {told} whether its values carry an offset. "
        f"Delete it and stage it again, or take it from {HARMONIZED}, which has none."
    )


def _baseline_texts(scene: RawScene) -> list[object]:
    """Return where Earth Engine may name a scene's processing baseline: by itself, and in the name of the product."""
    given = scene.attributes
    named = [given["PROCESSING_BASELINE"]] if given.get("PROCESSING_BASELINE") is not None else []
    in_product = re.search(r"_(N\d{4})_", str(given.get("PRODUCT_ID")))
    return [*named, in_product[1]] if in_product else named


def _attributes(scene: RawScene) -> dict[str, Any]:
    """Return sun angles, time and origin from Earth Engine's metadata, or else as earlier releases staged them."""
    given = scene.attributes
    zenith = given.get("MEAN_SOLAR_ZENITH_ANGLE")
    return {
        "azimuth": given.get("MEAN_SOLAR_AZIMUTH_ANGLE", given.get("azimuth")),
        "elevation": given.get("elevation") if zenith is None else 90 - float(zenith),
        "datetime": given.get("datetime", ""),
        "processing_baseline": given.get("PROCESSING_BASELINE"),
        "collection": given.get("collection", HARMONIZED),
    }


def coarser(geobox: GeoBox, times: int) -> GeoBox:
    """Return the grid with the same corner and larger pixels that covers a grid."""
    height, width = (-(-length // times) for length in geobox.shape)
    return GeoBox((height, width), geobox.affine * Affine.scale(times), geobox.crs)


def repeated(values: np.ndarray, times: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return each pixel repeated, the nearest neighbour: the pixels of all resolutions share their edges."""
    if times == 1:
        return values
    return values.repeat(times, axis=0)[: shape[0]].repeat(times, axis=1)[:, : shape[1]]


def scene_attributes(scene: GeeScene) -> dict[str, Any]:
    """Return the metadata of a scene as it is staged: Earth Engine's, its collection, sun angles and time."""
    given = scene.properties
    derived: dict[str, Any] = {"collection": scene.collection}
    if given.get("MEAN_SOLAR_AZIMUTH_ANGLE") is not None:
        derived["azimuth"] = given["MEAN_SOLAR_AZIMUTH_ANGLE"]
    if given.get("MEAN_SOLAR_ZENITH_ANGLE") is not None:
        derived["elevation"] = 90 - given["MEAN_SOLAR_ZENITH_ANGLE"]
    if given.get("system:time_start") is not None:
        moment = _EPOCH + timedelta(milliseconds=given["system:time_start"])
        derived["datetime"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {**given, **derived}


@dataclass(frozen=True)
class GeeScenes(SceneCatalog[GeeScene]):
    """Sentinel-2 L2A scenes of Earth Engine, computed there pixel by pixel as they are."""

    collection: str = HARMONIZED
    """Where the scene of an id is, `COPERNICUS/S2_SR_HARMONIZED` or `COPERNICUS/S2_SR`."""

    name = "gee"
    label = "Google Earth Engine"
    form = SceneFormat(
        data_source="Sentinel-2 L2A (Earth Engine)",
        bands=DEFAULT_BANDS_MAPPING,
        mask=classes_in(SCL_BAND),
        scale=reflectance_scale,
        attributes=_attributes,
    )
    files_at_once = 1  # many pieces of a band are asked for side by side already

    def log_in(self, access: Access) -> None:
        """Initialise Earth Engine."""
        init_earthengine(access.ee_project, access.ee_use_highvolume)

    def check_access(self) -> None:
        """Make the client of this process ready, with stored credentials."""
        ensure_earthengine()

    def search(self, query: SceneQuery) -> dict[str, GeeScene]:
        """Return the scenes that match a query, by id, in alphabetical order; months and years are refused."""
        return search_scenes(query, self.collection)

    def describe(self, scene_ids: Sequence[str]) -> dict[str, GeeScene]:
        """Return what Earth Engine knows of scenes, by id; a warning names the scenes that it does not have."""
        return describe_scenes(scene_ids, self.collection)

    def scene_id(self, scene: GeeScene) -> str:
        """Return the id of a scene."""
        return scene.scene_id

    def take(self, scene: GeeScene) -> Take | None:
        """Return which take a scene is, by its product or its own id."""
        return take_of_gee_scene(scene)

    def grid(self, scene: GeeScene) -> GeoBox:
        """Return the 10 m grid of a scene."""
        return scene.geobox

    def covers(self, scene: GeeScene) -> tuple[float | None, float | None]:
        """Return cloud and snow cover of a scene in percent, None where that is unknown."""
        return number_or_none(scene.properties.get(CLOUD)), number_or_none(scene.properties.get(SNOW))

    def footprint(self, scene: GeeScene) -> BaseGeometry | None:
        """Return what a scene covers, in EPSG:4326; None if it does not say."""
        return scene.footprint

    def size_bytes(self, scene: GeeScene, bands: Sequence[str]) -> int:
        """Return how many bytes some bands of a scene have before compression."""
        height, width = scene.geobox.shape
        sizes = [1 / (SCL_RESOLUTION_M // RESOLUTION_M) ** 2 if band == SCL_BAND else 2 for band in bands]
        return int(height * width * sum(sizes))

    def attributes(self, scene: GeeScene) -> Mapping[str, Any]:
        """Return the metadata of a scene as it is staged."""
        return scene_attributes(scene)

    def every_band(self, scene: GeeScene) -> list[str]:  # noqa: ARG002  (all have the same)
        """Return the bands of reflectance."""
        return list(RESOLUTIONS_M)

    def check_staged(self, staged: SceneStore, scene: GeeScene | str) -> None:
        """Check that a staged scene is of the same collection: offsets of the two differ."""
        scene_id, collection = (
            (scene, self.collection) if isinstance(scene, str) else (scene.scene_id, scene.collection)
        )
        if scene_id not in staged:
            return
        there = staged.open(scene_id)
        of = there.attributes.get("collection", HARMONIZED)  # earlier releases knew no other
        if of != collection:
            raise ConfigError(
                f"the scene {there.path} is staged from {of} but is wanted from {collection}. "
                "Give another raw_data_store, or delete the scene."
            )

    def fetch(self, scene: GeeScene, band: str, window: Window | None, on_bytes: OnBytes) -> xr.DataArray:  # noqa: ARG002  (whole scenes only)
        """Return a band as digital numbers on the scene's 10 m grid, uint16 or uint8, 0 = no data."""
        import ee

        ensure_earthengine()
        image = ee.Image(f"{scene.collection}/{scene.scene_id}")
        size_m = SCL_RESOLUTION_M if band == SCL_BAND else RESOLUTIONS_M.get(band, RESOLUTION_M)
        times, dtype = size_m // RESOLUTION_M, "uint8" if band == SCL_BAND else "uint16"
        pixels = fetch_pixels(image, [band], coarser(scene.geobox, times), on_bytes, dtype=dtype)
        logger.debug("fetched %s of scene %s", band, scene.scene_id)
        return wrap_xr(repeated(pixels[band], times, tuple(scene.geobox.shape)), scene.geobox)

    @property
    def identity(self) -> dict[str, Any]:
        """The collection: of one of the two, reflectance carries an offset."""
        return {"collection": None}
