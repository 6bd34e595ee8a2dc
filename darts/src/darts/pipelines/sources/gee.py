"""Sentinel-2 scenes of Google Earth Engine."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from darts.pipelines.sources.scenes import SceneSource
from darts.pipelines.tiles import TileRef

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox

    from darts_acquisition.catalog.takes import Take


class GeeSource(SceneSource):
    """Scenes found in Earth Engine and computed there, pixel by pixel as they are."""

    name = "gee"

    @property
    def bands(self) -> Sequence[str]:
        """Names of the bands that a tile is made of, as the source calls them."""
        from darts_acquisition.optical.gee.bands import DEFAULT_BANDS_MAPPING, SCL_BAND

        return (*DEFAULT_BANDS_MAPPING, SCL_BAND)

    @property
    def own_identity(self) -> dict[str, Any]:
        """The collection: of one of the two, reflectance carries an offset."""
        return {"collection": None}

    def connect(self) -> None:
        """Initialise Earth Engine."""
        from darts.utils.earthengine import init_ee

        init_ee(self.parameters.ee_project, self.parameters.ee_use_highvolume)

    def download(self, ref: TileRef, on_bytes: Callable[[int], None] | None = None) -> None:
        """Fetch what the store lacks of a scene."""
        from darts_acquisition import download_gee_s2_sr_scene

        assert self.store is not None
        download_gee_s2_sr_scene(self.items.get(ref.tile_id, ref.tile_id), self.store, on_bytes=on_bytes)

    def load(self, ref: TileRef) -> "xr.Dataset":
        """Return the scene with reflectance, classification and quality mask."""
        from darts_acquisition import load_gee_s2_sr_scene

        item = self.items.get(ref.tile_id, ref.tile_id)
        return load_gee_s2_sr_scene(item, store=self.store, offline=self.parameters.offline, lazy=True)

    def _search(self) -> dict[str, Any]:
        from darts_acquisition import get_gee_s2_sr_scene_ids_from_geodataframe, get_gee_s2_sr_scene_ids_from_tile_ids

        self.connect()
        if self.parameters.selector == "tile_ids":
            return get_gee_s2_sr_scene_ids_from_tile_ids(self.parameters.tile_ids or [], **self.search_limits)
        return get_gee_s2_sr_scene_ids_from_geodataframe(self.parameters.aoi_file, **self.search_limits)

    def _take(self, item: Any) -> "Take | None":
        from darts_acquisition.catalog.takes import take_of_gee_scene

        return take_of_gee_scene(item)

    def _ask(self, scene_ids: Sequence[str]) -> dict[str, Any]:
        from darts_acquisition.optical.gee.search import get_gee_s2_sr_scenes

        self.connect()
        return get_gee_s2_sr_scenes(scene_ids)

    def _size_bytes(self, item: Any, bands: Sequence[str]) -> int:
        from darts_acquisition.optical.gee.download import size_bytes

        return size_bytes(item, bands)

    def _grid_of(self, item: Any) -> "GeoBox":
        return item.geobox
