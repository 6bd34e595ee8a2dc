"""PlanetScope orthotiles and scenes on the user's disk, and Sentinel-2 scenes laid out like them."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from darts.pipelines.parameters import PlanetParameters
from darts.pipelines.tiles import MosaicResolution, TileRef
from darts_utils.errors import ConfigError, DartsError, DataError, MissingDataError

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr
    from odc.geo.geobox import GeoBox

logger = logging.getLogger(__name__)

FOOTPRINT_CRS = "EPSG:3413"


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A folder with an image."""

    path: Path
    output_folder: Path
    """Where its results go, relative to the results folder; unique."""

    @property
    def image_id(self) -> str:
        return self.path.name


class PlanetSource:
    """Images in `{orthotiles}/{tile_id}/{scene_id}/` and `{scenes}/{scene_id}/`; nothing is ever fetched.

    Args:
        parameters: Folders, selection and exports.
    """

    resolution_m: ClassVar[MosaicResolution] = 2

    def __init__(self, parameters: PlanetParameters) -> None:
        self.parameters = parameters
        self._paths: dict[str, Path] = {}
        """Folders of the images found, by tile id."""
        self._grids: dict[str, GeoBox | None] = {}
        """Grids of images by tile id, None for a damaged one, so that a header is read and a warning said once."""

    def find(self) -> list[TileRef]:
        """Return the images in both folders, or those of them that `image_ids` names, ordered by folder.

        Folders without an image are named in a warning, and so are ids that are nowhere.

        Raises:
            ConfigError: If there is neither folder, or no image has an id that was asked for.
        """
        folders = self._selected(list(self._folders()))
        with_image = [folder for folder in folders if _has_image(folder.path)]
        counts = Counter(folder.image_id for folder in with_image)
        refs = []
        for folder in with_image:
            # the same image may lie in two places: then the place tells them apart
            tile_id = folder.image_id if counts[folder.image_id] == 1 else folder.output_folder.as_posix()
            if tile_id in self._paths and self._paths[tile_id] != folder.path:
                logger.warning("%s is skipped: %s has the same name", folder.path, self._paths[tile_id])
                continue
            self._paths[tile_id] = folder.path
            year = _year(folder.image_id)
            refs.append(TileRef(tile_id=tile_id, output_folder=folder.output_folder, year=year))
        return refs

    def _folders(self) -> Iterator[_Found]:
        """Yield all folders where an image belongs.

        Raises:
            ConfigError: If there are none to look into.
        """
        orthotiles, scenes = self.parameters.orthotiles_dir, self.parameters.scenes_dir
        assert orthotiles is not None, "located() fills it"
        assert scenes is not None, "located() fills it"
        if not (orthotiles.is_dir() or scenes.is_dir()):
            raise ConfigError(
                f"there are no Planet images: neither {orthotiles} (orthotiles) nor {scenes} (scenes) is a folder. "
                "Name one with --orthotiles-dir or --scenes-dir."
            )
        in_one = orthotiles.resolve() == scenes.resolve()
        for tile in _subfolders(orthotiles):
            inner = _subfolders(tile)
            if not (inner or in_one or self.parameters.image_ids):
                logger.warning(
                    "%s is skipped: orthotiles are looked for one folder deeper, in {tile_id}/{scene_id}. "
                    "Scenes belong in %s.", tile, scenes,
                )  # fmt: skip
            for path in inner:
                yield _Found(path=path, output_folder=Path(tile.name) / path.name)
        for path in _subfolders(scenes):
            if not (in_one and _subfolders(path)):
                yield _Found(path=path, output_folder=Path(path.name))

    def _selected(self, folders: list[_Found]) -> list[_Found]:
        """Return the folders that `image_ids` names, all if it is not given.

        Raises:
            ConfigError: If it names none of them.
        """
        wanted = self.parameters.image_ids
        if wanted is None:
            return folders
        if not wanted:
            raise ConfigError("image_ids is empty. Name at least one image, or leave it out to take all.")
        ids = {str(image_id) for image_id in wanted}
        there = {folder.image_id for folder in folders}
        lacking = sorted(ids - there)
        where = f"in {self.parameters.orthotiles_dir} and {self.parameters.scenes_dir}"
        if not ids & there:
            raise ConfigError(
                f"image_ids names {', '.join(lacking)}, but there is no such folder {where}. Correct the names."
            )
        if lacking:
            logger.warning("image_ids: not found %s: %s", where, ", ".join(lacking))
        return [folder for folder in folders if folder.image_id in ids]

    def to_fetch(self, refs: Sequence[TileRef]) -> dict[str, int]:  # noqa: ARG002  (the protocol's signature)
        """Return nothing: images are on disk or nowhere."""
        return {}

    def sizes(self, refs: Sequence[TileRef]) -> dict[str, str]:
        """Return pixels and bytes on disk by tile id, for people; damaged images are left out."""
        from darts_acquisition.optical.image_folder import image_folder

        found = {}
        for ref in refs:
            grid = self._grid(ref)
            if grid is not None:
                megabytes = image_folder(self._path(ref)).n_bytes / 1e6
                found[ref.tile_id] = f"{grid.shape[1]} x {grid.shape[0]} px, {megabytes:.1f} MB"
        return found

    def footprints(self, refs: Sequence[TileRef]) -> "gpd.GeoDataFrame":
        """Return the grids' outlines in EPSG:3413, one row an image, with the column `tile_id`.

        Damaged images have no row; a warning names them.
        """
        import geopandas as gpd

        grids = {ref.tile_id: grid for ref in refs if (grid := self._grid(ref)) is not None}
        outlines = [grid.footprint(FOOTPRINT_CRS, npoints=100).geom for grid in grids.values()]
        return gpd.GeoDataFrame({"tile_id": list(grids)}, geometry=outlines, crs=FOOTPRINT_CRS)

    def _grid(self, ref: TileRef) -> "GeoBox | None":
        from darts_acquisition.optical.planet import get_planet_geobox

        if ref.tile_id not in self._grids:
            try:
                self._grids[ref.tile_id] = get_planet_geobox(self._path(ref))
            except DartsError as error:
                logger.warning("the outline of %s is unknown: %s", ref.tile_id, error)
                self._grids[ref.tile_id] = None
        return self._grids[ref.tile_id]

    def connect(self) -> None:
        """Need nothing: nothing is fetched."""

    def download(self, ref: TileRef, on_bytes: Callable[[int], None] | None = None) -> None:  # noqa: ARG002
        """Refuse: Planet sells its images, and the user puts them on disk.

        Raises:
            MissingDataError: Always.
        """
        raise MissingDataError(
            f"the image {ref.tile_id} cannot be fetched: Planet images are read from disk. Put it into "
            f"{self.parameters.orthotiles_dir} or {self.parameters.scenes_dir}."
        )

    def load(self, ref: TileRef) -> "xr.Dataset":
        """Return the image with reflectance and quality mask.

        Raises:
            MissingDataError: If the image is gone.
            DataError: If it is damaged; the message names the file.
        """
        from darts_acquisition import load_planet_tile

        with_udm = "planet_udm" in self.parameters.export_bands
        tile = load_planet_tile(self._path(ref), with_udm=with_udm, lazy=True)
        return tile.assign_attrs(tile_id=ref.tile_id)

    def stage_command(self, ref: TileRef) -> str:
        """Return the shell command that fetches the auxiliary data of an image."""
        return f"darts prep-data planet --aux --image-ids {self._path(ref).name}"

    def _path(self, ref: TileRef) -> Path:
        if ref.tile_id not in self._paths:
            raise DataError(f"{ref.tile_id} is no image that was found on disk. Find the images first.")
        return self._paths[ref.tile_id]


def _subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder by name, without hidden ones; none if it is not there."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _has_image(folder: Path) -> bool:
    """Return whether there is an image in a folder; say so if not. A damaged one is there, and fails later."""
    from darts_acquisition.optical.image_folder import image_folder

    try:
        image_folder(folder)
    except MissingDataError as error:
        logger.warning("%s is skipped: %s", folder, error)
        return False
    except DataError:
        return True
    return True


def _year(image_id: str) -> int | None:
    """Return the year of the first date in an id, written with or without hyphens."""
    date = re.search(r"(?<!\d)(20\d{2})(?:-\d{2}-\d{2}|\d{4})(?!\d)", image_id)
    return None if date is None else int(date[1])
