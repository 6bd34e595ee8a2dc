"""What an auxiliary layer is: a datacube beside the images, of which features are made."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from darts.pipelines.parameters import FeatureParameters
from darts.pipelines.tiles import MosaicResolution, TileRef, require
from darts_utils.paths import PathManager

if TYPE_CHECKING:
    from collections.abc import Callable

    import geopandas as gpd
    import xarray as xr
    from odc.geo.geobox import GeoBox

    from darts_acquisition.auxiliary.filling import Chunk


@dataclass(frozen=True)
class Request:
    """For what a layer is asked."""

    parameters: FeatureParameters
    """The resolved parameters of the run."""
    resolution_m: MosaicResolution
    """Pixel size of the ArcticDEM mosaic that suits the images."""
    ref: TileRef | None = None
    """The tile, or one of those that the same cube serves."""

    def of(self, ref: TileRef) -> Self:
        """Return what is asked for a tile."""
        return replace(self, ref=ref)


class AuxiliaryLayer(ABC):
    """An auxiliary layer; one that is listed in `darts.pipelines.auxiliary.LAYERS` needs no mention anywhere else."""

    name: ClassVar[str]
    """Name of its stage, of its input of `preprocess_v2` (after `ds_`), and of its parameter (before `_dir`)."""
    label: ClassVar[str]
    """Its name for people."""
    bands: ClassVar[frozenset[str]]
    """Features that are made of it."""
    chunk_bytes: ClassVar[float]
    """What fetching a chunk of its cube usually costs."""
    edition_parameter: ClassVar[str | None] = None
    """Name of the parameter that says which of its editions is read; None if there is one only."""

    @property
    def parameter(self) -> str:
        """Name of the parameter with the path of its cube."""
        return f"{self.name}_dir"

    def edition(self, request: Request) -> int | None:  # noqa: ARG002
        """Return the year of the edition that serves a tile, None if one cube serves all."""
        return None

    def cube(self, request: Request) -> Path:
        """Return the path of the cube that serves a tile."""
        return Path(require(getattr(request.parameters, self.parameter)))

    def reach_m(self, request: Request) -> float:  # noqa: ARG002
        """Return how far around a tile it is needed, in metres."""
        return 0

    def connect(self, parameters: FeatureParameters) -> None:  # noqa: ARG002
        """Check the access to its service.

        Raises:
            CredentialsError: If keys are missing or refused.
        """
        return

    def check(self, parameters: FeatureParameters) -> None:  # noqa: ARG002
        """Refuse parameters that contradict each other.

        Raises:
            ConfigError: If they do.
        """
        return

    @abstractmethod
    def default_dir(self, paths: PathManager, resolution_m: MosaicResolution) -> Path:
        """Return where its cube lies by default."""

    @abstractmethod
    def cube_name(self, resolution_m: MosaicResolution, edition: int | None = None) -> str:
        """Return the name of the cube of an edition in records, and of its folder before `.icechunk`."""

    @abstractmethod
    def identity(self, resolution_m: MosaicResolution, edition: int | None = None) -> Mapping[str, Any]:
        """Return what of an edition decides results: name, version and pixel size."""

    @abstractmethod
    def missing(self, request: Request, footprints: "gpd.GeoDataFrame") -> Sequence["Chunk"]:
        """Return the chunks that a cube lacks for some outlines, as staging would fetch them."""

    @abstractmethod
    def to_fetch(self, request: Request, footprints: "gpd.GeoDataFrame") -> Sequence["Chunk"]:
        """Return the chunks that loads of some tiles will fetch."""

    @abstractmethod
    def staged(self, request: Request, footprints: "gpd.GeoDataFrame") -> Iterable[bool]:
        """Return for each outline whether an offline load will find all that it needs."""

    @abstractmethod
    def download(self, request: Request, footprint: "gpd.GeoDataFrame", on_bytes: "Callable[[int], None]") -> None:
        """Fetch what the cube of a tile lacks for an outline."""

    @abstractmethod
    def load(self, request: Request, geobox: "GeoBox", *, bands: Collection[str], stage_with: str) -> "xr.Dataset":
        """Return it for the grid of a tile, as `preprocess_v2` takes it.

        Args:
            request: For what; online, what lacks is fetched.
            geobox: The grid.
            bands: Features that will be made.
            stage_with: Command that stages it, for errors.
        """
