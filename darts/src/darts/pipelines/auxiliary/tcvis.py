"""TCVIS: trends of Landsat's tasselled cap over twenty years."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import xarray as xr
from odc.geo.geobox import GeoBox

from darts.pipelines.auxiliary.protocol import AuxiliaryLayer, Request
from darts.pipelines.parameters import FeatureParameters
from darts.pipelines.tiles import MosaicResolution
from darts.utils.earthengine import init_ee
from darts_acquisition import download_tcvis, load_tcvis, missing_tcvis
from darts_acquisition.auxiliary.filling import Chunk
from darts_acquisition.auxiliary.tcvis import tcvis_staged, tcvis_to_fetch
from darts_utils.paths import PathManager


class Tcvis(AuxiliaryLayer):
    """Trends of brightness, greenness and wetness; see `darts_acquisition.load_tcvis`."""

    name = "tcvis"
    label = "TCVIS"
    bands = frozenset({"tc_brightness", "tc_greenness", "tc_wetness"})
    chunk_bytes = 39e6  # 3600 x 3600 pixels of three bytes
    edition_parameter = "tcvis_year"

    def default_dir(self, paths: PathManager, resolution_m: MosaicResolution) -> Path:  # noqa: ARG002
        """Return where the cube lies by default."""
        return paths.tcvis

    def cube_name(self, resolution_m: MosaicResolution, edition: int | None = None) -> str:  # noqa: ARG002
        """Return the name of the cube."""
        return self.name

    def identity(
        self,
        resolution_m: MosaicResolution,  # noqa: ARG002
        edition: int | None = None,  # noqa: ARG002
    ) -> Mapping[str, Any]:
        """Return name, years and pixel size of the trends."""
        return {"name": "TCTrend", "version": "2005-2024", "resolution_m": 30}

    def connect(self, parameters: FeatureParameters) -> None:
        """Check the access to Earth Engine."""
        init_ee(parameters.ee_project, parameters.ee_use_highvolume)

    def missing(self, request: Request, footprints: gpd.GeoDataFrame) -> Sequence[Chunk]:
        """Return the chunks that the cube lacks for some outlines."""
        return missing_tcvis(footprints, self.cube(request))

    def to_fetch(self, request: Request, footprints: gpd.GeoDataFrame) -> Sequence[Chunk]:
        """Return the chunks that loads of some tiles will fetch."""
        return tcvis_to_fetch(footprints, self.cube(request))

    def staged(self, request: Request, footprints: gpd.GeoDataFrame) -> Iterable[bool]:
        """Return for each outline whether an offline load will find all that it needs."""
        return tcvis_staged(footprints, self.cube(request))

    def download(self, request: Request, footprint: gpd.GeoDataFrame, on_bytes: Callable[[int], None]) -> None:
        """Fetch what the cube lacks for an outline."""
        download_tcvis(footprint, self.cube(request), on_bytes=on_bytes)

    def load(
        self,
        request: Request,
        geobox: GeoBox,
        *,
        bands: Collection[str],  # noqa: ARG002
        stage_with: str,
    ) -> xr.Dataset:
        """Return the trends around a tile, on their own grid."""
        return load_tcvis(geobox, self.cube(request), offline=request.parameters.offline, stage_with=stage_with)
