"""The parameters that select images and say where they lie, each declared once; see `darts.pipelines.parameters`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from darts.command_line.number_lists import RANGES
from darts.command_line.panels import ADVANCED, DATA, SELECT
from darts.pipelines.parameters import (
    EarthEngineParameters,
    ExportParameters,
    Parameters,
    PathParameters,
    RunParameters,
)
from darts.pipelines.sources.registry import DEFAULT_CATALOG, SCENE_CATALOGS
from darts_utils.errors import ConfigError
from darts_utils.search.criteria import cover_limit, mgrs_tiles
from darts_utils.search.periods import periods

SCENE_SELECTORS = ("scene_ids", "scene_id_file", "tile_ids", "aoi_file")
"""Parameters that exclude each other; what is typed wins over another one in the config file."""


@dataclass(frozen=True, kw_only=True)
class SceneSearch(Parameters, panel=SELECT):
    """Which Sentinel-2 scenes are meant."""

    scene_ids: list[str] | None = None
    """Ids of scenes."""
    scene_id_file: Path | None = None
    """File with ids of scenes: a JSON list, a saved search (GeoJSON), or one id a line, such as the failed.txt of a
    results folder."""
    tile_ids: list[str] | None = None
    """Sentinel-2 tiles such as 08WNB, to search scenes in."""
    aoi_file: Path | None = None
    """Vector file with an area of interest, to search scenes in."""
    start_date: str | None = None
    """First day of a search, YYYY-MM-DD."""
    end_date: str | None = None
    """Last day of a search, YYYY-MM-DD."""
    max_cloud_cover: int | None = 10
    """Most cloud cover of a scene in a search, in percent."""
    max_snow_cover: int | None = 10
    """Most snow cover of a scene in a search, in percent."""
    months: Annotated[list[int] | None, RANGES] = None
    """Months of a search, 1 to 12: 7 8, or 7-8."""
    years: Annotated[list[int] | None, RANGES] = None
    """Years of a search: 2023 2024, 2021-2024, or 2021- up to this year."""

    quarters: Annotated[list[int] | None, RANGES] = None
    """Quarters of a search for mosaics, 1 to 4: 3 is July to September."""

    @property
    def id_list(self) -> Path | None:
        """The file with the ids of its images, None if they are not listed."""
        return self.scene_id_file

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if len(given := self._selectors_given()) > 1:
            raise ConfigError(
                f"{' and '.join(given)} both select scenes. Give one of them."
                if len(given) == 2
                else f"{', '.join(given)} all select scenes. Give one of them."
            )

    def check_search(self) -> None:
        """Refuse days, months, tiles and covers that are none; nobody needs to be asked for that.

        Raises:
            ConfigError: If one is wrong.
        """
        periods(self.start_date, self.end_date, self.months, self.years, self.quarters)
        if self.tile_ids is not None:
            mgrs_tiles(self.tile_ids)
        for name in ("max_cloud_cover", "max_snow_cover"):
            cover_limit(name, getattr(self, name))

    def _selectors_given(self) -> list[str]:
        return [name for name in SCENE_SELECTORS if getattr(self, name) is not None]

    @property
    def selector(self) -> str | None:
        """Name of the parameter that selects the scenes, None if none does."""
        return next(iter(self._selectors_given()), None)

    @property
    def is_bounded_in_time(self) -> bool:
        """Whether a search is limited in time."""
        return any(
            getattr(self, name) is not None for name in ("start_date", "end_date", "months", "years", "quarters")
        )


@dataclass(frozen=True, kw_only=True)
class SceneSelection(SceneSearch, panel=SELECT):
    """Which Sentinel-2 scenes are mapped, and how much of them."""

    clip_to_aoi: bool = False
    """Read of each scene only the part that lies in aoi_file; for sources that offer parts."""
    prep_data_scene_id_file: Annotated[Path | None, ADVANCED] = None
    """File with the ids that data preparation found; an offline run reads them from it."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if self.clip_to_aoi and self.aoi_file is None:
            raise ConfigError(
                "clip_to_aoi reads the part of scenes that lies in an area of interest, but none is given. "
                "Add --aoi-file."
            )


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
    image_id_file: Path | None = None
    """File with ids of images, one a line or a JSON list, such as the failed.txt of a results folder."""

    @property
    def id_list(self) -> Path | None:
        """The file with the ids of its images, None if they are not listed."""
        return self.image_id_file

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if self.image_ids is not None and self.image_id_file is not None:
            raise ConfigError("image_ids and image_id_file both select images. Give one of them.")


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
