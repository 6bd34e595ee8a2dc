"""Images on the user's disk, each in a folder of its own; nothing is ever fetched."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import geopandas as gpd
import xarray as xr
from odc.geo.geobox import GeoBox

from darts.pipelines.results.fingerprint import FilesSeen, files_seen, image_of_files
from darts.pipelines.tiles import MosaicResolution, TileRef
from darts_acquisition import load_planet_tile
from darts_acquisition.optical.local_files.image_folder import image_folder
from darts_acquisition.optical.local_files.planet import get_planet_geobox
from darts_utils.crs import outline_on
from darts_utils.errors import DataError, MissingDataError
from darts_utils.names import shown, year_in

logger = logging.getLogger(__name__)

FOOTPRINT_CRS = "EPSG:3413"


class ImagesOnDisk(ABC):
    """All of a source of images on disk but where it looks for them.

    Args:
        with_udm: Whether tiles are to have `planet_udm`.
    """

    resolution_m: ClassVar[MosaicResolution] = 2

    def __init__(self, *, with_udm: bool = False) -> None:
        self.images: dict[str, Path] = {}
        """Folders of the images found, by tile id."""
        self._with_udm = with_udm
        self._grids: dict[str, GeoBox | None] = {}
        """Grids of images by tile id, None for a damaged one, so that a header is read and a warning said once."""

    @abstractmethod
    def find(self) -> list[TileRef]:
        """Return the images, and keep where they are in `images`."""

    @abstractmethod
    def stage_command(self, ref: TileRef) -> str:
        """Return the shell command that fetches the auxiliary data of an image."""

    @property
    @abstractmethod
    def where(self) -> str:
        """Where images belong, for messages."""

    def to_fetch(self, refs: Sequence[TileRef]) -> dict[str, int]:  # noqa: ARG002  (the protocol's signature)
        """Return nothing: images are on disk or nowhere."""
        return {}

    def fetching(self, tile_ids: Collection[str]) -> Self:  # noqa: ARG002  (the protocol's signature)
        """Return this source: it fetches none."""
        return self

    def sizes(self, refs: Sequence[TileRef]) -> dict[str, str]:
        """Return pixels and bytes on disk by tile id, for people; damaged images are left out."""
        found = {}
        for ref in refs:
            grid = self._grid(ref)
            if grid is not None:
                megabytes = image_folder(self.path(ref)).n_bytes / 1e6
                found[ref.tile_id] = f"{grid.shape[1]} x {grid.shape[0]} px, {megabytes:.1f} MB"
        return found

    def footprints(self, refs: Sequence[TileRef]) -> gpd.GeoDataFrame:
        """Return the grids' outlines in EPSG:3413, one row an image, with the column `tile_id`.

        Damaged images have no row; a warning names them.
        """
        outlines = {}
        for ref in refs:
            if (grid := self._grid(ref)) is None:
                continue
            try:
                outlines[ref.tile_id] = outline_on(grid, FOOTPRINT_CRS, ref.tile_id, npoints=100)
            except Exception as error:  # noqa: BLE001  (the image fails when it is loaded, alone: a plan goes on too)
                logger.warning("the outline of %s is unknown: %s", ref.tile_id, error)
        return gpd.GeoDataFrame({"tile_id": list(outlines)}, geometry=list(outlines.values()), crs=FOOTPRINT_CRS)

    def _grid(self, ref: TileRef) -> GeoBox | None:
        if ref.tile_id not in self._grids:
            try:
                self._grids[ref.tile_id] = get_planet_geobox(self.path(ref))
            except Exception as error:  # noqa: BLE001  (the image fails when it is loaded, alone: a plan goes on too)
                logger.warning("the outline of %s is unknown: %s", ref.tile_id, error)
                self._grids[ref.tile_id] = None
        return self._grids[ref.tile_id]

    def connect(self) -> None:  # noqa: B027  (on purpose)
        """Need nothing: nothing is fetched."""

    def download(self, ref: TileRef, on_bytes: Callable[[int], None] | None = None) -> None:  # noqa: ARG002
        """Refuse: Planet sells its images, and the user puts them on disk.

        Raises:
            MissingDataError: Always.
        """
        raise MissingDataError(
            f"the image {ref.tile_id} cannot be fetched: Planet images are read from disk. Put it into {self.where}."
        )

    def identity(
        self, ref: TileRef, remembered: Mapping[str, Sequence[Any]] | None = None
    ) -> tuple[dict[str, Any], FilesSeen]:
        """Return what says which image it is: names, sizes and headers of its files; and the files as they are now.

        Raises:
            MissingDataError: If the image is gone.
            DataError: If there are several.
        """
        folder = image_folder(self.path(ref))
        files = [file for file in (folder.image, folder.mask, *folder.metadata) if file is not None]
        seen = files_seen(files, remembered)
        return image_of_files(folder.path.name, "disk", seen), seen

    def load(self, ref: TileRef) -> xr.Dataset:
        """Return the image with reflectance and quality mask.

        Raises:
            MissingDataError: If the image is gone.
            DataError: If it is damaged; the message names the file.
        """
        tile = load_planet_tile(self.path(ref), with_udm=self._with_udm, lazy=True)
        return tile.assign_attrs(tile_id=ref.tile_id)

    def path(self, ref: TileRef) -> Path:
        """Return the folder of an image."""
        if ref.tile_id not in self.images:
            raise DataError(f"{ref.tile_id} is no image that was found on disk. Find the images first.")
        return self.images[ref.tile_id]


def has_image(folder: Path) -> bool:
    """Return whether there is an image in a folder; say so if not. A damaged one is there, and fails later."""
    try:
        image_folder(folder)
    except MissingDataError as error:
        logger.warning("%s is skipped: %s", folder, error)
        return False
    except DataError:
        return True
    return True


def image_ref(tile_id: str, output_folder: Path, path: Path) -> TileRef | None:
    """Return the reference to an image; None, and a warning, where its folder's name cannot be that of results."""
    try:
        return TileRef(tile_id=tile_id, output_folder=output_folder, year=year_in(path.name))
    except DataError as error:
        logger.warning("%s is skipped: %s Rename the folder.", shown(str(path)), error)
        return None
