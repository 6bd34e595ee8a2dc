"""What a catalogue of Sentinel-2 scenes is: a new one fills this in, and all else of a scene is shared."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import geopandas as gpd
import xarray as xr
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from darts_acquisition.catalog.matching import Matches
from darts_acquisition.catalog.query import SceneQuery
from darts_acquisition.catalog.takes import Take
from darts_acquisition.optical.sentinel2.scene_store import SceneStore
from darts_acquisition.optical.sentinel2.tile import SceneFormat
from darts_utils.errors import ConfigError
from darts_utils.rasters.window import Window

type OnBytes = Callable[[int], None] | None


@dataclass(frozen=True, kw_only=True)
class Access:
    """What a user gives to be let into services, beside keys that lie on disk."""

    ee_project: str | None = None
    ee_use_highvolume: bool = True


class SceneCatalog[S](ABC):
    """A catalogue of Sentinel-2 scenes and the storage behind it; `S` is what it says of a scene."""

    name: ClassVar[str]
    """Short name, as in the raw scene store."""
    label: ClassVar[str]
    """Its name for people."""
    form: ClassVar[SceneFormat]
    """How its scenes name and encode what they hold."""
    stored_as: ClassVar[str | None] = None
    """What folders of its scenes begin with in the raw scene store, if not as those of any source."""
    has_windows: ClassVar[bool] = False
    """Whether parts of its files can be read."""
    has_quarters: ClassVar[bool] = False
    """Whether its scenes are mosaics of quarters of a year."""
    files_at_once: ClassVar[int] = 4
    """Bands of a scene that are fetched side by side."""

    def log_in(self, access: Access) -> None:  # noqa: B027  (most catalogues answer anybody)
        """Make this process ready to ask it.

        Raises:
            CredentialsError: If keys are missing or refused.
        """

    def connect(self, access: Access) -> None:
        """Check what fetching needs, before any long work.

        Raises:
            CredentialsError: If keys are missing or refused.
        """
        self.log_in(access)
        self.check_access()

    def check_access(self) -> None:  # noqa: B027  (a catalogue may need no account)
        """Check what fetching needs, as far as it is on this machine."""

    @abstractmethod
    def search(self, query: SceneQuery) -> dict[str, S]:
        """Return the scenes that match a query, by id, in alphabetical order.

        Raises:
            ConfigError: If it cannot be asked so.
            ServiceError: If the catalogue does not answer.
        """

    @abstractmethod
    def describe(self, scene_ids: Sequence[str]) -> dict[str, S]:
        """Return what it says of scenes, by id; a warning names those that it does not have.

        Raises:
            MissingDataError: If it has none of them.
            ServiceError: If it does not answer.
        """

    @abstractmethod
    def scene_id(self, scene: S) -> str:
        """Return the id of a scene."""

    def match(self, footprints: gpd.GeoDataFrame, **criteria: Any) -> Matches:  # noqa: ARG002  (for those that can)
        """Return the best scene for each footprint, see `darts_acquisition.catalog.matching.match_scenes`.

        Raises:
            ConfigError: If the catalogue cannot be asked for that.
        """
        raise ConfigError(
            f"{self.label} cannot be asked which scenes match images. Choose another raw_data_source, a STAC catalogue."
        )

    def take(self, scene: S) -> Take | None:  # noqa: ARG002  (for those that know)
        """Return which take a scene is, None if that is unknown."""
        return None

    @abstractmethod
    def grid(self, scene: S) -> GeoBox:
        """Return the 10 m grid of a scene.

        Raises:
            DataError: If it does not say.
        """

    @abstractmethod
    def covers(self, scene: S) -> tuple[float | None, float | None]:
        """Return cloud and snow cover of a scene in percent, None where that is unknown."""

    def footprint(self, scene: S) -> BaseGeometry | None:
        """Return what a scene covers, in EPSG:4326; None if it does not say."""
        take = self.take(scene)
        return None if take is None else take.footprint

    @abstractmethod
    def size_bytes(self, scene: S, bands: Sequence[str]) -> int:
        """Return how many bytes some bands have to be fetched."""

    @abstractmethod
    def attributes(self, scene: S) -> Mapping[str, Any]:
        """Return the metadata of a scene as it is staged; values that JSON can hold."""

    @abstractmethod
    def every_band(self, scene: S) -> list[str]:
        """Return the bands of reflectance of a scene."""

    def check_bands(self, scene: S, bands: Sequence[str]) -> None:  # noqa: B027  (what is lacking may be told later)
        """Check that a scene has some bands.

        Raises:
            MissingDataError: If not.
        """

    def check_staged(self, staged: SceneStore, scene: S | str) -> None:  # noqa: B027  (for those of several kinds)
        """Check that what is staged of a scene is of the same kind as what would be added to it.

        Raises:
            ConfigError: If not.
        """

    @abstractmethod
    def fetch(self, scene: S, band: str, window: Window | None, on_bytes: OnBytes) -> xr.DataArray:
        """Return a band as digital numbers on the scene's 10 m grid, (y, x) uint16 or uint8, 0 = no data.

        Args:
            scene: The scene.
            band: Its name.
            window: The part that is wanted, None for all of it.
            on_bytes: Told how many bytes have arrived.
        """

    def store(self, folder: Path) -> SceneStore:
        """Return the raw scene store of it in a folder."""
        return SceneStore(folder, self.name, self.stored_as)

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands that a tile is made of, as the source calls them."""
        return (*self.form.bands, self.form.mask.name)

    @property
    def identity(self) -> dict[str, Any]:
        """What else of a scene decides its pixels, by attributes of its tile: None is known once it is read."""
        return {}
