"""What all sources of Sentinel-2 scenes share: selection, the raw scene store, footprints."""

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

from darts.pipelines.parameters import SceneParameters
from darts.pipelines.selection import checked_ids, confirm_unbounded, read_scene_ids, tile_ref
from darts.pipelines.sources.apart import check_apart
from darts.pipelines.tiles import MosaicResolution, TileRef
from darts_utils.errors import ConfigError, DataError, MissingDataError

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd
    import xarray as xr
    from odc.geo.geobox import GeoBox
    from shapely.geometry.base import BaseGeometry

    from darts_acquisition.catalog.takes import Take

logger = logging.getLogger(__name__)

FOOTPRINT_CRS = "EPSG:3413"


class SceneSource(ABC):
    """Scenes of a catalogue that are kept in a raw scene store.

    Args:
        parameters: Selection, storage and access.
    """

    resolution_m: ClassVar[MosaicResolution] = 10
    name: ClassVar[str]
    """Short name, as in the raw scene store."""

    def __init__(self, parameters: SceneParameters) -> None:
        self.parameters = parameters
        self.items: dict[str, Any] = {}
        """What the catalogue said of scenes, by id; asked once."""

    @property
    def store(self) -> "Path | None":
        """Folder of the raw scene store, None if no scene is kept."""
        return None if self.parameters.no_raw_data_store else self.parameters.raw_data_store

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
        check_apart(refs)
        return refs

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
        from darts_acquisition.catalog.criteria import named
        from darts_acquisition.catalog.takes import superseded

        worse = superseded(found, self._take)
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
        from darts_acquisition.optical.sentinel2.scene_store import lacking_bands

        lacking = {}
        for ref in refs:
            try:
                bands = lacking_bands(self.store, self.name, ref.tile_id, self.bands)
            except Exception as error:  # noqa: BLE001  (the scene fails when it is loaded, alone: a plan goes on too)
                logger.warning("whether scene %s is staged is unknown: %s", ref.tile_id, error)
                continue
            if bands:
                lacking[ref.tile_id] = bands
        self._look_up(lacking)
        return {
            scene_id: self._size_bytes(self.items[scene_id], bands) if scene_id in self.items else 0
            for scene_id, bands in lacking.items()
        }

    def _look_up(self, scene_ids: Iterable[str]) -> None:
        """Ask the catalogue for scenes that are not known yet; those that it lacks fail later, each alone."""
        unknown = [scene_id for scene_id in scene_ids if scene_id not in self.items]
        if unknown and not self.parameters.offline:
            try:
                self.items.update(self._ask(unknown))
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

    def footprints(self, refs: Sequence[TileRef]) -> "gpd.GeoDataFrame":
        """Return the grids' outlines in EPSG:3413, one row a scene, with the column `tile_id`.

        Scenes that are neither staged nor in the catalogue have no row.
        """
        import geopandas as gpd

        staged = {ref.tile_id: self._staged_grid(ref.tile_id) for ref in refs}
        self._look_up(scene_id for scene_id, grid in staged.items() if grid is None)
        grids = {scene_id: grid or self._catalogue_grid(scene_id) for scene_id, grid in staged.items()}
        found = {
            scene_id: _known(scene_id, partial(_outline, grid, scene_id)) for scene_id, grid in grids.items() if grid
        }
        outlines = {scene_id: outline for scene_id, outline in found.items() if outline is not None}
        return gpd.GeoDataFrame({"tile_id": list(outlines)}, geometry=list(outlines.values()), crs=FOOTPRINT_CRS)

    def _staged_grid(self, scene_id: str) -> "GeoBox | None":
        from darts_acquisition.optical.sentinel2.scene_store import SceneStore

        store = None if self.store is None else SceneStore(self.store, self.name)
        return None if store is None or scene_id not in store else _known(scene_id, lambda: store.open(scene_id).geobox)

    def _catalogue_grid(self, scene_id: str) -> "GeoBox | None":
        item = self.items.get(scene_id)
        return None if item is None else _known(scene_id, lambda: self._grid_of(item))

    def stage_command(self, ref: TileRef) -> str:
        """Return the shell command that fetches the auxiliary data of a scene."""
        return f"darts prep-data sentinel2 --aux --scene-ids {ref.tile_id}"

    def identity(
        self,
        ref: TileRef,
        remembered: Mapping[str, Sequence[Any]] | None = None,  # noqa: ARG002  (no files)
    ) -> tuple[dict[str, Any], dict[str, list[Any]]]:
        """Return what says which scene it is: its source, id, processing baseline, and which part of it is read."""
        baseline = baseline_of(ref.tile_id)
        image = {"source": self.name, "id": ref.tile_id, "processing_baseline": baseline, "window": "whole"}
        return {**image, **self.own_identity}, {}

    @property
    def own_identity(self) -> dict[str, Any]:
        """What else of a scene decides its pixels, by attributes of its tile: None is known once it is read."""
        return {}

    @property
    def search_limits(self) -> Mapping[str, Any]:
        """Dates and covers of a search, by the names that all search functions have."""
        given = self.parameters
        names = ("start_date", "end_date", "max_cloud_cover", "max_snow_cover", "months", "years")
        return {name: getattr(given, name) for name in names}

    @abstractmethod
    def connect(self) -> None:
        """Check what fetching scenes needs, before any long work.

        Raises:
            CredentialsError: If keys are missing or refused.
        """

    @abstractmethod
    def download(self, ref: TileRef, on_bytes: Callable[[int], None] | None = None) -> None:
        """Fetch what the store lacks of a scene."""

    @abstractmethod
    def load(self, ref: TileRef) -> "xr.Dataset":
        """Return the scene with reflectance, classification and quality mask."""

    @abstractmethod
    def _search(self) -> dict[str, Any]: ...

    def _take(self, item: Any) -> "Take | None":  # noqa: ARG002  (for sources that know)
        """Return which take a scene is, None if that is unknown."""
        return None

    @abstractmethod
    def _ask(self, scene_ids: Sequence[str]) -> dict[str, Any]: ...

    @property
    @abstractmethod
    def bands(self) -> Sequence[str]:
        """Names of the bands that a tile is made of, as the source calls them."""

    @abstractmethod
    def _size_bytes(self, item: Any, bands: Sequence[str]) -> int: ...

    @abstractmethod
    def _grid_of(self, item: Any) -> "GeoBox": ...


def baseline_of(scene_id: str) -> str | None:
    """Return the processing baseline in the id of a scene, such as 05.10, None if it has none."""
    found = re.search(r"_N(\d{2})(\d{2})(?=_|$)", scene_id)
    return None if found is None else f"{found[1]}.{found[2]}"


def _outline(grid: "GeoBox", scene_id: str) -> "BaseGeometry":
    from darts_utils.crs import outline_on

    return outline_on(grid, FOOTPRINT_CRS, f"scene {scene_id}", npoints=100)


def _known[T](scene_id: str, read: Callable[[], T]) -> T | None:
    """Return a grid or an outline, None if its data is damaged or incomplete: then the scene fails later, alone."""
    try:
        return read()
    except Exception as error:  # noqa: BLE001  (whatever stops a stage must not stop the plan)
        logger.warning("the outline of scene %s is unknown: %s", scene_id, error)
        return None
