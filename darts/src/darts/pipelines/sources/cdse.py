"""Sentinel-2 scenes of the Copernicus Data Space."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from darts.pipelines.sources.scenes import SceneSource
from darts.pipelines.tiles import TileRef

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox

    from darts_acquisition.catalog.takes import Take


class CdseSource(SceneSource):
    """Scenes found in the Copernicus catalogue and fetched from its storage."""

    name = "cdse"

    @property
    def bands(self) -> Sequence[str]:
        """Names of the bands that a tile is made of, as the source calls them."""
        from darts_acquisition.optical.cdse.bands import DEFAULT_BANDS_MAPPING, SCL_BAND

        return (*DEFAULT_BANDS_MAPPING, SCL_BAND)

    def connect(self) -> None:
        """Check that there is a key pair for the storage."""
        from darts_acquisition import init_copernicus

        init_copernicus()

    def download(self, ref: TileRef, on_bytes: Callable[[int], None] | None = None) -> None:
        """Fetch what the store lacks of a scene."""
        from darts_acquisition import download_cdse_s2_sr_scene

        assert self.store is not None
        download_cdse_s2_sr_scene(self.items.get(ref.tile_id, ref.tile_id), self.store, on_bytes=on_bytes)

    def load(self, ref: TileRef) -> "xr.Dataset":
        """Return the scene with reflectance, classification and quality mask."""
        from darts_acquisition import load_cdse_s2_sr_scene

        item = self.items.get(ref.tile_id, ref.tile_id)
        return load_cdse_s2_sr_scene(item, store=self.store, offline=self.parameters.offline, lazy=True)

    def _search(self) -> dict[str, Any]:
        from darts_acquisition import get_cdse_s2_sr_scene_ids_from_geodataframe, get_cdse_s2_sr_scene_ids_from_tile_ids

        if self.parameters.selector == "tile_ids":
            return get_cdse_s2_sr_scene_ids_from_tile_ids(self.parameters.tile_ids or [], **self.search_limits)
        return get_cdse_s2_sr_scene_ids_from_geodataframe(self.parameters.aoi_file, **self.search_limits)

    def _take(self, item: Any) -> "Take | None":
        from darts_acquisition.catalog.takes import take_of_item

        return take_of_item(item)

    def _ask(self, scene_ids: Sequence[str]) -> dict[str, Any]:
        from darts_acquisition.optical.cdse.search import get_cdse_s2_sr_items

        return get_cdse_s2_sr_items(scene_ids)

    def _size_bytes(self, item: Any, bands: Sequence[str]) -> int:
        from darts_acquisition.optical.cdse.download import size_bytes

        return size_bytes(item, bands)

    def _grid_of(self, item: Any) -> "GeoBox":
        from darts_acquisition.optical.cdse.download import grid_of

        return grid_of(item)
