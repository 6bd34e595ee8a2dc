"""The parameters that select images and say where they lie, each declared once; see `darts.pipelines.parameters`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from darts.pipelines.parameters import (
    EarthEngineParameters,
    ExportParameters,
    Parameters,
    PathParameters,
    RunParameters,
)
from darts.pipelines.sources.registry import DEFAULT_CATALOG, SCENE_CATALOGS
from darts.utils.panels import ADVANCED, DATA, SELECT
from darts_utils.errors import ConfigError

SCENE_SELECTORS = ("scene_ids", "scene_id_file", "tile_ids", "aoi_file")
"""Parameters that exclude each other; where only the config file contradicts a flag, the first wins."""


@dataclass(frozen=True, kw_only=True)
class SceneSelection(Parameters, panel=SELECT):
    """Which Sentinel-2 scenes are mapped."""

    scene_ids: list[str] | None = None
    """Ids of scenes."""
    scene_id_file: Path | None = None
    """File with ids of scenes: a JSON list, a saved search (GeoJSON), or one id a line."""
    tile_ids: list[str] | None = None
    """Sentinel-2 tiles such as 08WNB, to search scenes in."""
    aoi_file: Path | None = None
    """Vector file with an area of interest, to search scenes in."""
    clip_to_aoi: bool = False
    """Read of each scene only the part that lies in aoi_file; for sources that offer parts."""
    start_date: str | None = None
    """First day of a search, YYYY-MM-DD."""
    end_date: str | None = None
    """Last day of a search, YYYY-MM-DD."""
    max_cloud_cover: int | None = 10
    """Most cloud cover of a scene in a search, in percent."""
    max_snow_cover: int | None = 10
    """Most snow cover of a scene in a search, in percent."""
    months: list[int] | None = None
    """Months of a search, 1 to 12."""
    years: list[int] | None = None
    """Years of a search."""
    prep_data_scene_id_file: Annotated[Path | None, ADVANCED] = None
    """File with the ids that data preparation found; an offline run reads them from it."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if len(given := self._selectors_given()) > 1:
            raise ConfigError(
                f"{' and '.join(given)} both select scenes. Give one of them."
                if len(given) == 2
                else f"{', '.join(given)} all select scenes. Give one of them."
            )
        if self.clip_to_aoi and self.aoi_file is None:
            raise ConfigError(
                "clip_to_aoi reads the part of scenes that lies in an area of interest, but none is given. "
                "Add --aoi-file."
            )

    def _selectors_given(self) -> list[str]:
        return [name for name in SCENE_SELECTORS if getattr(self, name) is not None]

    @property
    def selector(self) -> str | None:
        """Name of the parameter that selects the scenes, None if none does."""
        return next(iter(self._selectors_given()), None)

    @property
    def is_bounded_in_time(self) -> bool:
        """Whether a search is limited in time."""
        return any(getattr(self, name) is not None for name in ("start_date", "end_date", "months", "years"))


@dataclass(frozen=True, kw_only=True)
class RawSceneParameters(Parameters, panel=DATA):
    """Where Sentinel-2 scenes are kept."""

    raw_data_store: Path | None = None
    """Folder of the raw scene store, `{input}/sentinel2/{source}-scenes` if not given."""
    no_raw_data_store: Annotated[bool, ADVANCED] = False
    """Keep no raw scenes on disk."""


@dataclass(frozen=True, kw_only=True)
class CatalogParameters(Parameters, panel=DATA):
    """Which catalogue Sentinel-2 scenes come from."""

    raw_data_source: Literal[tuple(SCENE_CATALOGS)] = DEFAULT_CATALOG  # type: ignore[valid-type]  # the registry's names
    """Catalogue that Sentinel-2 scenes come from."""


@dataclass(frozen=True, kw_only=True)
class Sentinel2Storage(CatalogParameters, RawSceneParameters, panel=DATA):
    """Where Sentinel-2 scenes come from."""

    sentinel2_grid_dir: Annotated[Path | None, ADVANCED] = None
    """Folder of the Sentinel-2 tiling grid, `{input}/sentinel2/grid` if not given."""


@dataclass(frozen=True, kw_only=True)
class SceneParameters(Sentinel2Storage, SceneSelection, RunParameters, EarthEngineParameters):
    """All that a source of Sentinel-2 scenes needs to know."""


@dataclass(frozen=True, kw_only=True)
class PlanetFolders(Parameters, panel=DATA):
    """Where PlanetScope images lie."""

    orthotiles_dir: Path | None = None
    """Folder of orthotiles, in `{tile_id}/{scene_id}/`; `{input}/planet/tiles` if not given."""
    scenes_dir: Path | None = None
    """Folder of scenes, in `{scene_id}/`; `{input}/planet/scenes` if not given."""


@dataclass(frozen=True, kw_only=True)
class PlanetSelection(PlanetFolders, panel=SELECT):
    """Which PlanetScope images to map."""

    image_ids: list[str] | None = None
    """Images to map, by the names of their folders. If not given, all that are found."""


@dataclass(frozen=True, kw_only=True)
class PlanetParameters(PlanetSelection, ExportParameters, PathParameters):
    """All that the source of PlanetScope images needs to know."""


@dataclass(frozen=True, kw_only=True)
class OlderSceneParameters(Parameters):
    """Older names of parameters."""

    aoi_shapefile: Path | None = None
    """Older name of aoi_file."""
    input_cache: Path | None = None
    """Older name of raw_data_store."""
