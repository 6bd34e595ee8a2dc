"""What all sources of Sentinel-2 scenes share: selection, the raw scene store, footprints."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from darts.pipelines.selection import checked_ids, read_scene_ids, tile_ref
from darts.pipelines.tiles import TileRef
from darts_utils.errors import ConfigError, DataError, MissingDataError

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd
    import xarray as xr
    from odc.geo.geobox import GeoBox

    from darts.pipelines.sentinel2 import Sentinel2Pipeline

logger = logging.getLogger(__name__)

FOOTPRINT_CRS = "EPSG:3413"


class SceneSource(ABC):
    """Scenes of a catalogue that are kept in a raw scene store.

    Args:
        pipeline: Selection, storage and access.
    """

    resolution_m: ClassVar[int] = 10
    name: ClassVar[str]
    """Short name, as in the raw scene store."""

    def __init__(self, pipeline: "Sentinel2Pipeline") -> None:
        self.pipeline = pipeline
        self.items: dict[str, Any] = {}
        """What the catalogue said of scenes, by id; asked once."""

    @property
    def store(self) -> "Path | None":
        """Folder of the raw scene store, None if no scene is kept."""
        return None if self.pipeline.no_raw_data_store else self.pipeline.raw_data_store

    def find(self) -> list[TileRef]:
        """Return the selected scenes, each once, in the order given or found.

        Raises:
            ConfigError: If nothing is selected, a selector needs the network, or a file of ids cannot be read.
            ServiceError: If the catalogue does not answer.
        """
        return [tile_ref(scene_id) for scene_id in dict.fromkeys(self._selected_ids())]

    def _selected_ids(self) -> Sequence[str]:
        selection = self.pipeline
        selector = selection.selector
        if selector == "scene_ids":
            return checked_ids(selection.scene_ids or [], selector)
        if selector == "scene_id_file":
            return read_scene_ids(selection.scene_id_file, selector)
        if selector is not None and not selection.offline:
            selection.confirm_unbounded()
            self.items = self._search()
            logger.info("the catalogue has %d scenes for %s", len(self.items), selector)
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

    def to_fetch(self, refs: Sequence[TileRef]) -> dict[str, int]:
        """Return the scenes that the store lacks, wholly or in part, with the bytes to fetch, 0 where unknown."""
        lacking = {ref.tile_id: bands for ref in refs if (bands := self._lacking_bands(ref.tile_id))}
        self._look_up(lacking)
        return {
            scene_id: self._size_bytes(self.items[scene_id], bands) if scene_id in self.items else 0
            for scene_id, bands in lacking.items()
        }

    def _look_up(self, scene_ids: Iterable[str]) -> None:
        """Ask the catalogue for scenes that are not known yet; those that it lacks fail later, each alone."""
        unknown = [scene_id for scene_id in scene_ids if scene_id not in self.items]
        if unknown and not self.pipeline.offline:
            try:
                self.items.update(self._ask(unknown))
            except MissingDataError as error:
                logger.warning("%s", error)

    def sizes(self, refs: Sequence[TileRef]) -> dict[str, str]:  # noqa: ARG002  (all scenes are about as large)
        """Return nothing."""
        return {}

    def footprints(self, refs: Sequence[TileRef]) -> "gpd.GeoDataFrame":
        """Return the grids' outlines in EPSG:3413, one row a scene, with the column `tile_id`.

        Scenes that are neither staged nor in the catalogue have no row.
        """
        import geopandas as gpd

        grids = {ref.tile_id: grid for ref in refs if (grid := self._grid(ref.tile_id)) is not None}
        outlines = [grid.footprint(FOOTPRINT_CRS, npoints=100).geom for grid in grids.values()]
        return gpd.GeoDataFrame({"tile_id": list(grids)}, geometry=outlines, crs=FOOTPRINT_CRS)

    def _grid(self, scene_id: str) -> "GeoBox | None":
        from darts_acquisition.optical.scene_store import SceneStore

        try:
            if self.store is not None and scene_id in (scenes := SceneStore(self.store, self.name)):
                return scenes.open(scene_id).geobox
            self._look_up([scene_id])
            return self._grid_of(self.items[scene_id]) if scene_id in self.items else None
        except DataError as error:
            logger.warning("the outline of scene %s is unknown: %s", scene_id, error)
            return None

    def stage_command(self, ref: TileRef) -> str:
        """Return the shell command that fetches the auxiliary data of a scene."""
        return f"darts prep-data sentinel2 --aux --scene-ids {ref.tile_id}"

    @property
    def search_limits(self) -> Mapping[str, Any]:
        """Dates and covers of a search, by the names that all search functions have."""
        given = self.pipeline
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

    @abstractmethod
    def _ask(self, scene_ids: Sequence[str]) -> dict[str, Any]: ...

    @abstractmethod
    def _lacking_bands(self, scene_id: str) -> list[str]: ...

    @abstractmethod
    def _size_bytes(self, item: Any, bands: Sequence[str]) -> int: ...

    @abstractmethod
    def _grid_of(self, item: Any) -> "GeoBox": ...
