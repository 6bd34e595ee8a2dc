"""Sentinel-2 scenes of a catalogue: selection, the raw scene store, footprints."""

import logging
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import copy
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Self

import geopandas as gpd
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from shapely.geometry.base import BaseGeometry

from darts.pipelines.sources.apart import check_apart
from darts.pipelines.sources.parameters import SceneParameters
from darts.pipelines.sources.registry import SCENE_CATALOGS
from darts.pipelines.sources.selection import checked_ids, confirm_unbounded, in_window, read_scene_ids, tile_ref
from darts.pipelines.tiles import MosaicResolution, TileRef, require
from darts_acquisition.catalog.areas import area_of_interest
from darts_acquisition.catalog.query import SceneQuery
from darts_acquisition.catalog.takes import superseded
from darts_acquisition.optical.sentinel2.catalog import Access, SceneCatalog
from darts_acquisition.optical.sentinel2.scene_store import SceneStore
from darts_acquisition.optical.sentinel2.scenes import download_scene, load_scene
from darts_utils.crs import outline_on
from darts_utils.errors import ConfigError, DataError, MissingDataError
from darts_utils.rasters.window import Window, window_of
from darts_utils.search.criteria import named

logger = logging.getLogger(__name__)

FOOTPRINT_CRS = "EPSG:3413"
MARGIN_PX = 128
"""Around an area that scenes are clipped to: what is cut at the edge of a tile must not be missing in the area."""
_BEND_DEGREES = 0.01
"""Points along the outline of an area, because straight lines bend in another projection."""


class SceneSource:
    """Scenes of a catalogue that are kept in a raw scene store.

    Args:
        parameters: Selection, storage and access.
    """

    resolution_m: ClassVar[MosaicResolution] = 10

    def __init__(self, parameters: SceneParameters) -> None:
        self.parameters = parameters
        self.catalog = catalog_of(parameters.raw_data_source)
        self.items: dict[str, Any] = {}
        """What the catalogue said of scenes, by id; asked once."""
        if parameters.clip_to_aoi and not self.catalog.has_windows:
            raise ConfigError(
                f"clip_to_aoi reads parts of scenes, which {self.catalog.label} does not offer. "
                f"Leave it out, or choose {_with('has_windows')} as raw_data_source."
            )
        if parameters.quarters is not None and not self.catalog.has_quarters:
            raise ConfigError(
                f"quarters are those of mosaics, which {self.catalog.label} does not offer. "
                f"Give months instead, or choose {_with('has_quarters')} as raw_data_source."
            )

    @property
    def name(self) -> str:
        """Short name, as in the raw scene store."""
        return self.catalog.name

    @property
    def store(self) -> Path | None:
        """Folder of the raw scene store, None if no scene is kept."""
        return None if self.parameters.no_raw_data_store else self.parameters.raw_data_store

    @property
    def _staged(self) -> SceneStore | None:
        return None if self.store is None else self.catalog.store(self.store)

    def find(self) -> list[TileRef]:
        """Return the selected scenes, each once, in the order given or found.

        Raises:
            ConfigError: If nothing is selected, a selector needs the network, or a file of ids cannot be read.
            ServiceError: If the catalogue does not answer.
        """
        refs = []
        for scene_id in dict.fromkeys(self._selected_ids()):
            try:
                refs.append(tile_ref(scene_id))
            except DataError as error:  # from a catalogue: ids of a user are checked, and refused, before
                logger.warning("a scene is left out: %s", error)
        if self.parameters.clip_to_aoi:
            refs = self._clipped(refs)
        check_apart(refs)
        return refs

    def _clipped(self, refs: Sequence[TileRef]) -> list[TileRef]:
        """Return references to the parts of scenes that lie in the area of interest; scenes beside it are left out."""
        area = area_of_interest(require(self.parameters.aoi_file))
        grids = self._grids(refs)
        clipped = []
        for ref in refs:
            grid = grids.get(ref.tile_id)
            if grid is None:
                logger.warning("%s is left out: its grid is unknown, so it cannot be clipped", ref.tile_id)
            elif (window := window_around(grid, area)) is None:
                logger.info("%s is left out: nothing of it lies in the area", ref.tile_id)
            else:
                clipped.append(in_window(ref, None if window.covers(grid) else window))
        return clipped

    def _selected_ids(self) -> Sequence[str]:
        selection = self.parameters
        selector = selection.selector
        if selector == "scene_ids":
            return checked_ids(selection.scene_ids or [], selector)
        if selector == "scene_id_file":
            return read_scene_ids(selection.scene_id_file, selector)
        if selector is not None and not selection.offline:
            confirm_unbounded(selection)
            found = self._search()
            worse = self._superseded(found)
            self.items = {scene_id: item for scene_id, item in found.items() if scene_id not in worse}
            logger.info("the catalogue has %d scenes for %s", len(self.items), selector)
            if not self.items:
                logger.warning("the catalogue has no scene for %s with these dates, cloud and snow cover", selector)
            return list(self.items)
        if selection.prep_data_scene_id_file is not None:
            return read_scene_ids(selection.prep_data_scene_id_file, "prep_data_scene_id_file")
        if selector is not None:
            raise ConfigError(
                f"{selector} needs a search in the catalogue, which an offline run cannot do. "
                "Give --prep-data-scene-id-file as `darts prep-data` wrote it, or --scene-ids or --scene-id-file."
            )
        raise ConfigError(
            "no scenes are selected. Name them with --scene-ids or --scene-id-file, "
            "or search for them with --tile-ids or --aoi-file."
        )

    def _superseded(self, found: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the scenes that are in the catalogue better, with those; say which."""
        worse = superseded(found, self.catalog.take)
        for scene_id, better in worse.items():
            logger.info("%s is left out: %s is the same take, processed better or later", scene_id, better)
        if worse:
            logger.warning(
                "%d older processings of takes that are mapped are left out (to map them, name them with --scene-ids): "
                "%s", len(worse), named(list(worse)),
            )  # fmt: skip
        return worse

    def to_fetch(self, refs: Sequence[TileRef]) -> dict[str, int]:
        """Return the scenes that the store lacks, wholly or in part, with the bytes to fetch, 0 where unknown."""
        lacking: dict[str, list[str]] = {}
        windows = {ref.tile_id: ref.window for ref in refs}
        store, wanted = self._staged, self.catalog.bands
        for ref in refs:
            try:
                bands = list(wanted) if store is None else store.lacking(ref.tile_id, wanted, ref.window)
            except Exception as error:  # noqa: BLE001  (the scene fails when it is loaded, alone: a plan goes on too)
                logger.warning("whether scene %s is staged is unknown: %s", ref.tile_id, error)
                continue
            if bands:
                lacking[ref.tile_id] = bands
        self.look_up(lacking)
        return {
            scene_id: self._size_bytes(scene_id, bands, windows[scene_id]) if scene_id in self.items else 0
            for scene_id, bands in lacking.items()
        }

    def _size_bytes(self, scene_id: str, bands: Sequence[str], window: Window | None) -> int:
        size = self.catalog.size_bytes(self.items[scene_id], bands)
        if window is None:
            return size
        height, width = self.catalog.grid(self.items[scene_id]).shape
        return int(size * window.height * window.width / (height * width))

    def look_up(self, scene_ids: Iterable[str]) -> None:
        """Ask the catalogue for scenes that are not known yet; those that it lacks fail later, each alone."""
        unknown = [scene_id for scene_id in scene_ids if scene_id not in self.items]
        if unknown and not self.parameters.offline:
            self.catalog.log_in(self._access)
            try:
                self.items.update(self.catalog.describe(unknown))
            except MissingDataError as error:
                logger.warning("%s", error)

    def fetching(self, tile_ids: Collection[str]) -> Self:
        """Return a source that knows the catalogue's words on some scenes only: on each there are 50 kB of them."""
        other = copy(self)
        other.items = {scene_id: item for scene_id, item in self.items.items() if scene_id in tile_ids}
        return other

    def sizes(self, refs: Sequence[TileRef]) -> dict[str, str]:  # noqa: ARG002  (all scenes are about as large)
        """Return nothing."""
        return {}

    def footprints(self, refs: Sequence[TileRef]) -> gpd.GeoDataFrame:
        """Return the grids' outlines in EPSG:3413, one row a scene, with the column `tile_id`.

        Scenes that are neither staged nor in the catalogue have no row.
        """
        grids = self._grids(refs)
        windows = {ref.tile_id: ref.window for ref in refs}
        found = {
            scene_id: _known(scene_id, partial(_outline, cropped(grid, windows[scene_id]), scene_id))
            for scene_id, grid in grids.items()
        }
        outlines = {scene_id: outline for scene_id, outline in found.items() if outline is not None}
        return gpd.GeoDataFrame({"tile_id": list(outlines)}, geometry=list(outlines.values()), crs=FOOTPRINT_CRS)

    def _grids(self, refs: Sequence[TileRef]) -> dict[str, GeoBox]:
        """Return the grids of whole scenes, as staged or as the catalogue says; unknown ones are left out."""
        staged = {ref.tile_id: self._staged_grid(ref.tile_id) for ref in refs}
        self.look_up(scene_id for scene_id, grid in staged.items() if grid is None)
        grids = {scene_id: grid or self._catalogue_grid(scene_id) for scene_id, grid in staged.items()}
        return {scene_id: grid for scene_id, grid in grids.items() if grid is not None}

    def _staged_grid(self, scene_id: str) -> GeoBox | None:
        store = self._staged
        return None if store is None else _known(scene_id, lambda: store.grid(scene_id))

    def _catalogue_grid(self, scene_id: str) -> GeoBox | None:
        item = self.items.get(scene_id)
        return None if item is None else _known(scene_id, lambda: self.catalog.grid(item))

    def stage_command(self, ref: TileRef) -> str:
        """Return the shell command that fetches the auxiliary data of a scene."""
        return f"darts prep-data sentinel2 --aux --raw-data-source {self.name} --scene-ids {ref.tile_id}"

    def identity(
        self,
        ref: TileRef,
        remembered: Mapping[str, Sequence[Any]] | None = None,  # noqa: ARG002  (no files)
    ) -> tuple[dict[str, Any], dict[str, list[Any]]]:
        """Return what says which scene it is: its source, id, processing baseline, and which part of it is read."""
        baseline = baseline_of(ref.tile_id)
        image = {"source": self.name, "id": ref.tile_id, "processing_baseline": baseline}
        window = {"window": "whole" if ref.window is None else ref.window.as_list}
        return {**image, **window, **self.catalog.identity}, {}

    def connect(self) -> None:
        """Check what fetching scenes needs, before any long work.

        Raises:
            CredentialsError: If keys are missing or refused.
        """
        self.catalog.connect(self._access)

    @property
    def _access(self) -> Access:
        given = self.parameters
        return Access(ee_project=given.ee_project, ee_use_highvolume=given.ee_use_highvolume)

    def download(self, ref: TileRef, on_bytes: Callable[[int], None] | None = None) -> None:
        """Fetch what the store lacks of a scene."""
        download_scene(self.catalog, self._scene(ref), require(self.store), window=ref.window, on_bytes=on_bytes)

    def load(self, ref: TileRef) -> xr.Dataset:
        """Return the scene with reflectance, classification and quality mask."""
        offline = self.parameters.offline
        return load_scene(
            self.catalog, self._scene(ref), store=self.store, offline=offline, window=ref.window, lazy=True
        )

    def _scene(self, ref: TileRef) -> Any:
        """Return what the catalogue says of a scene, or its id."""
        return self.items.get(ref.tile_id, ref.tile_id)

    def _search(self) -> dict[str, Any]:
        given = self.parameters
        names = ("start_date", "end_date", "max_cloud_cover", "max_snow_cover", "months", "years", "quarters")
        limits = {name: getattr(given, name) for name in names}
        self.catalog.log_in(self._access)
        if given.aoi_file is not None:
            return self.catalog.search(SceneQuery.over(given.aoi_file, **limits))
        return self.catalog.search(SceneQuery(tiles=given.tile_ids, **limits))


def catalog_of(name: str) -> SceneCatalog[Any]:
    """Return the catalogue of a name."""
    return _class_of(name)()


def _class_of(name: str) -> type[SceneCatalog[Any]]:
    module, _, kind = SCENE_CATALOGS[name].partition(":")
    found: type[SceneCatalog[Any]] = getattr(import_module(module), kind)
    return found


def _with(ability: str) -> str:
    """Return the names of the catalogues that have an ability."""
    return " or ".join(name for name in SCENE_CATALOGS if getattr(_class_of(name), ability))


def window_around(grid: GeoBox, area: BaseGeometry) -> Window | None:
    """Return the part of a scene that lies in an area, with a margin; None if nothing does.

    Args:
        grid: Grid of the scene.
        area: In EPSG:4326.
    """
    inside = Geometry(area, "EPSG:4326").to_crs(require(grid.crs), resolution=_BEND_DEGREES).geom
    inside = inside & grid.extent.geom
    return None if inside.is_empty else window_of(grid, inside.bounds, MARGIN_PX)


def cropped(grid: GeoBox, window: Window | None) -> GeoBox:
    """Return the part of a grid that a window covers, all of it without one."""
    return grid if window is None else window.crop(grid)


def baseline_of(scene_id: str) -> str | None:
    """Return the processing baseline in the id of a scene, such as 05.10, None if it has none."""
    found = re.search(r"_N(\d{2})(\d{2})(?=_|$)", scene_id)
    return None if found is None else f"{found[1]}.{found[2]}"


def _outline(grid: GeoBox, scene_id: str) -> BaseGeometry:
    return outline_on(grid, FOOTPRINT_CRS, f"scene {scene_id}", npoints=100)


def _known[T](scene_id: str, read: Callable[[], T]) -> T | None:
    """Return a grid or an outline, None if its data is damaged or incomplete: then the scene fails later, alone."""
    try:
        return read()
    except Exception as error:  # noqa: BLE001  (whatever stops a stage must not stop the plan)
        logger.warning("the outline of scene %s is unknown: %s", scene_id, error)
        return None
