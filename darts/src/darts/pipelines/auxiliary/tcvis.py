"""TCVIS: trends of Landsat's tasselled cap over twenty years."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import xarray as xr
from odc.geo.geobox import GeoBox

from darts.pipelines.auxiliary.protocol import AuxiliaryLayer, Request
from darts.pipelines.parameters import FeatureParameters
from darts.pipelines.tiles import MosaicResolution, require
from darts.utils.earthengine import init_ee
from darts_acquisition import download_tcvis, load_tcvis, missing_tcvis
from darts_acquisition.auxiliary.filling import Chunk
from darts_acquisition.auxiliary.tcvis import tcvis_staged, tcvis_to_fetch
from darts_acquisition.auxiliary.tcvis_years import accessor, is_there, named_year, period, tcvis_path, trends_for
from darts_utils.errors import ConfigError
from darts_utils.paths import PathManager

logger = logging.getLogger(__name__)


class Tcvis(AuxiliaryLayer):
    """Trends of brightness, greenness and wetness; see `darts_acquisition.load_tcvis`.

    Their editions are told by the last of the twenty years. `tcvis_dir` may name one cube, by whatever name, and then
    it serves all images. Else it is a place for cubes: that for all images if it is there, and one an edition.
    """

    name = "tcvis"
    label = "TCVIS"
    bands = frozenset({"tc_brightness", "tc_greenness", "tc_wetness"})
    chunk_bytes = 39e6  # 3600 x 3600 pixels of three bytes
    edition_parameter = "tcvis_year"

    def edition(self, request: Request) -> int | None:
        """Return the last year of the trends that serve a tile, None if the cube for all images does."""
        place, wanted = _place(request.parameters), request.parameters.tcvis_year
        if _is_one_cube(place):
            return named_year(place)
        if wanted is not None:
            return wanted
        if is_there(tcvis_path(place)):
            return None
        year = trends_for(_year(request))
        if year is None:
            say_too_old()
        return year

    def cube(self, request: Request) -> Path:
        """Return the path of the cube that serves a tile."""
        place = _place(request.parameters)
        return place if _is_one_cube(place) else tcvis_path(tcvis_path(place).parent, self.edition(request))

    def check(self, parameters: FeatureParameters) -> None:
        """Refuse a year of which there are no trends, or that is not that of the cube.

        Raises:
            ConfigError: If it is.
        """
        place, wanted = _place(parameters), parameters.tcvis_year
        if wanted is None:
            return
        accessor(wanted)
        if _is_one_cube(place) and named_year(place) != wanted:
            raise ConfigError(
                f"tcvis_dir names one datacube for all images ({place}), but tcvis_year is {wanted}. Give one of them."
            )

    def default_dir(self, paths: PathManager, resolution_m: MosaicResolution) -> Path:  # noqa: ARG002
        """Return where the cube for all images lies by default; those of the editions lie beside it."""
        return paths.tcvis

    def cube_name(self, resolution_m: MosaicResolution, edition: int | None = None) -> str:  # noqa: ARG002
        """Return the name of the cube of an edition."""
        return tcvis_path(Path(), edition).stem

    def identity(
        self,
        resolution_m: MosaicResolution,  # noqa: ARG002
        edition: int | None = None,
    ) -> Mapping[str, Any]:
        """Return name, years and pixel size of the trends; of the cube for all images, those that it is filled with."""
        return {"name": "TCTrend", "version": "2005-2024" if edition is None else period(edition), "resolution_m": 30}

    def connect(self, parameters: FeatureParameters) -> None:
        """Check the access to Earth Engine."""
        init_ee(parameters.ee_project, parameters.ee_use_highvolume)

    def missing(self, request: Request, footprints: gpd.GeoDataFrame) -> Sequence[Chunk]:
        """Return the chunks that a cube lacks for some outlines."""
        return missing_tcvis(footprints, self.cube(request), year=self.edition(request))

    def to_fetch(self, request: Request, footprints: gpd.GeoDataFrame) -> Sequence[Chunk]:
        """Return the chunks that loads of some tiles will fetch."""
        return tcvis_to_fetch(footprints, self.cube(request), year=self.edition(request))

    def staged(self, request: Request, footprints: gpd.GeoDataFrame) -> Iterable[bool]:
        """Return for each outline whether an offline load will find all that it needs."""
        return tcvis_staged(footprints, self.cube(request), year=self.edition(request))

    def download(self, request: Request, footprint: gpd.GeoDataFrame, on_bytes: Callable[[int], None]) -> None:
        """Fetch what the cube of a tile lacks for an outline."""
        self._say_guessed(request)
        download_tcvis(footprint, self.cube(request), year=self.edition(request), on_bytes=on_bytes)

    def load(
        self,
        request: Request,
        geobox: GeoBox,
        *,
        bands: Collection[str],  # noqa: ARG002
        stage_with: str,
    ) -> xr.Dataset:
        """Return the trends around a tile, on their own grid."""
        self._say_guessed(request)
        wanted = request.parameters.tcvis_year
        return load_tcvis(
            geobox,
            self.cube(request),
            offline=request.parameters.offline,
            year=self.edition(request),
            stage_with=stage_with if wanted is None else f"{stage_with} --tcvis-year {wanted}",
        )

    def _say_guessed(self, request: Request) -> None:
        """Say that the newest trends are taken for a tile, because its year is unknown."""
        parameters, edition = request.parameters, self.edition(request)
        if edition is None or parameters.tcvis_year is not None or _is_one_cube(_place(parameters)):
            return
        if request.ref is not None and request.ref.year is None:
            logger.warning(
                "%s: its year is not known, so the newest trends are read (%s); --tcvis-year chooses others",
                request.ref.tile_id, period(edition),
            )  # fmt: skip


def _place(parameters: FeatureParameters) -> Path:
    """Return the path of the one cube, or of where cubes lie."""
    return Path(require(parameters.tcvis_dir))


def _year(request: Request) -> int | None:
    return None if request.ref is None else request.ref.year


def _is_one_cube(place: Path) -> bool:
    """Tell whether a path is that of one cube, and not of the place where those of all editions lie."""
    return tcvis_path(place) == place and place.name != tcvis_path(Path()).name


@cache
def say_too_old() -> None:
    """Say once that images have no trends of their own."""
    logger.warning("trends by year need smart-geocubes 0.1.6 or later, so those that serve all images are read")
