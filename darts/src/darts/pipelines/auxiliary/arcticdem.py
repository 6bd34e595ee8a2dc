"""The ArcticDEM mosaics: elevation, of which terrain is made."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import xarray as xr
from odc.geo.geobox import GeoBox

from darts.pipelines.auxiliary.protocol import AuxiliaryLayer, Request
from darts.pipelines.tiles import MosaicResolution
from darts_acquisition import download_arcticdem, load_arcticdem, missing_arcticdem
from darts_acquisition.auxiliary.arcticdem import arcticdem_staged, arcticdem_to_fetch
from darts_acquisition.auxiliary.filling import Chunk
from darts_preprocessing import align_arcticdem
from darts_utils.bands import RUGGEDNESS_BANDS
from darts_utils.grid import metres_to_pixels
from darts_utils.machine.memory import give_back_after
from darts_utils.paths import PathManager

_WARP_MARGIN_M = 60
"""Margin beyond the TPI radius for the cubic kernel of the warp and the stencils, at the coarsest pixels."""


class ArcticDem(AuxiliaryLayer):
    """Elevation; see `darts_acquisition.load_arcticdem`."""

    name = "arcticdem"
    label = "ArcticDEM"
    bands = frozenset({
        "dem", "relative_elevation", "slope", "aspect", "hillshade", "curvature", "arcticdem_data_mask",
        *RUGGEDNESS_BANDS,
    })  # fmt: skip
    chunk_bytes = 65e6  # 3600 x 3600 pixels of elevation with its mask

    def default_dir(self, paths: PathManager, resolution_m: MosaicResolution) -> Path:
        """Return where the cube of a resolution lies by default."""
        return paths.arcticdem(resolution_m)

    def cube_name(self, resolution_m: MosaicResolution, edition: int | None = None) -> str:  # noqa: ARG002
        """Return the name of the cube of a resolution."""
        return f"arcticdem_{resolution_m}m"

    def identity(
        self,
        resolution_m: MosaicResolution,
        edition: int | None = None,  # noqa: ARG002
    ) -> Mapping[str, Any]:
        """Return name, version and pixel size of the mosaic."""
        return {"name": "arcticdem", "version": "4.1", "resolution_m": resolution_m}

    def reach_m(self, request: Request) -> float:
        """Return how far relative elevation and resampling reach, as whole pixels of the mosaic."""
        return self._buffer(request) * request.resolution_m

    def missing(self, request: Request, footprints: gpd.GeoDataFrame) -> Sequence[Chunk]:
        """Return the chunks that the cube lacks for some outlines and the ground around them."""
        return missing_arcticdem(self._around(request, footprints), self.cube(request), request.resolution_m)

    def to_fetch(self, request: Request, footprints: gpd.GeoDataFrame) -> Sequence[Chunk]:
        """Return the chunks that loads of some tiles will fetch."""
        buffer = self._buffer(request)
        return arcticdem_to_fetch(footprints, self.cube(request), request.resolution_m, buffer)

    def staged(self, request: Request, footprints: gpd.GeoDataFrame) -> Iterable[bool]:
        """Return for each outline whether an offline load will find all that it needs."""
        return arcticdem_staged(footprints, self.cube(request), request.resolution_m, self._buffer(request))

    def download(self, request: Request, footprint: gpd.GeoDataFrame, on_bytes: Callable[[int], None]) -> None:
        """Fetch what the cube lacks for an outline and the ground around it."""
        area = self._around(request, footprint)
        download_arcticdem(area, self.cube(request), request.resolution_m, on_bytes=on_bytes)

    def load(self, request: Request, geobox: GeoBox, *, bands: Collection[str], stage_with: str) -> xr.Dataset:
        """Return elevation, aligned with the tile already, so that what was read is freed before features are made."""
        loaded = load_arcticdem(
            geobox,
            self.cube(request),
            request.resolution_m,
            buffer=self._buffer(request),
            offline=request.parameters.offline,
            stage_with=stage_with,
        )
        if "arcticdem_data_mask" not in bands:
            loaded = loaded[["dem"]]
            give_back_after(loaded.nbytes)  # masks as large as bands of the tile, held by cycles of references only
        radii = request.parameters.tpi_outer_radius, request.parameters.tpi_inner_radius
        return align_arcticdem(loaded, geobox, *radii, bands=bands)

    @staticmethod
    def _buffer(request: Request) -> int:
        return metres_to_pixels(request.parameters.tpi_outer_radius + _WARP_MARGIN_M, request.resolution_m)

    def _around(self, request: Request, footprints: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        """Return outlines, in metres, with the ground around them that features need."""
        return footprints.set_geometry(footprints.buffer(self.reach_m(request), join_style="mitre"))
