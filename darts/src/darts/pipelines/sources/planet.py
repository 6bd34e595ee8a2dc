"""PlanetScope orthotiles and scenes on the user's disk, and Sentinel-2 scenes laid out like them."""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from darts.pipelines.sources.apart import check_apart, check_on_disk
from darts.pipelines.sources.images import ImagesOnDisk, has_image, image_ref
from darts.pipelines.sources.parameters import PlanetParameters
from darts.pipelines.sources.selection import read_scene_ids
from darts.pipelines.tiles import TileRef, require
from darts_utils.errors import ConfigError
from darts_utils.names import shown
from darts_utils.paths import visible_folders

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A folder with an image."""

    path: Path
    output_folder: Path
    """Where its results go, relative to the results folder; unique."""

    @property
    def image_id(self) -> str:
        return self.path.name


class PlanetSource(ImagesOnDisk):
    """Images in `{orthotiles}/{tile_id}/{scene_id}/` and `{scenes}/{scene_id}/`; nothing is ever fetched.

    Args:
        parameters: Folders, selection and exports.
    """

    def __init__(self, parameters: PlanetParameters) -> None:
        super().__init__(with_udm="planet_udm" in parameters.export_bands)
        self.parameters = parameters

    def find(self) -> list[TileRef]:
        """Return the images in both folders, or those of them that `image_ids` or a file names, ordered by folder.

        Folders without an image are named in a warning, and so are ids that are nowhere.

        Raises:
            ConfigError: If there is neither folder, no image in them, no image has an id that was asked for, or results
                would go into those of another image or over an image.
        """
        folders = self._selected(list(self._folders()))
        with_image = [folder for folder in folders if has_image(folder.path)]
        counts = Counter(folder.image_id for folder in with_image)
        refs = []
        for folder in with_image:
            # the same image may lie in two places: then the place tells them apart
            tile_id = folder.image_id if counts[folder.image_id] == 1 else folder.output_folder.as_posix()
            ref = image_ref(tile_id, folder.output_folder, folder.path)
            if ref is not None:
                self.images[tile_id] = folder.path
                refs.append(ref)
        if not refs:
            raise ConfigError(
                f"there is no image in {self.parameters.orthotiles_dir} (orthotiles, in {{tile_id}}/{{scene_id}}) and "
                f"{self.parameters.scenes_dir} (scenes, in {{scene_id}}). Put images there, or name other folders."
            )
        check_apart(refs)
        if self.parameters.output_data_dir is not None:
            check_on_disk(refs, self.images, self.parameters.output_data_dir)
        return refs

    def _folders(self) -> Iterator[_Found]:
        """Yield all folders where an image belongs.

        Raises:
            ConfigError: If there are none to look into.
        """
        orthotiles, scenes = require(self.parameters.orthotiles_dir), require(self.parameters.scenes_dir)
        if not (orthotiles.is_dir() or scenes.is_dir()):
            raise ConfigError(
                f"there are no Planet images: neither {orthotiles} (orthotiles) nor {scenes} (scenes) is a folder. "
                "Name one with --orthotiles-dir or --scenes-dir."
            )
        in_one = orthotiles.resolve() == scenes.resolve()
        for tile in visible_folders(orthotiles):
            inner = visible_folders(tile)
            if not (inner or in_one or self._selector):
                logger.warning(
                    "%s is skipped: orthotiles are looked for one folder deeper, in {tile_id}/{scene_id}. "
                    "Scenes belong in %s.", tile, scenes,
                )  # fmt: skip
            for path in inner:
                yield _Found(path=path, output_folder=Path(tile.name) / path.name)
        for path in visible_folders(scenes):
            if not (in_one and visible_folders(path)):
                yield _Found(path=path, output_folder=Path(path.name))

    @property
    def _selector(self) -> str | None:
        """Name of the parameter that selects images, None if all are taken."""
        given = self.parameters
        if given.image_id_file is not None:
            return "image_id_file"
        return None if given.image_ids is None else "image_ids"

    def _wanted(self) -> set[str]:
        """Return the ids that are asked for.

        Raises:
            ConfigError: If there is none, or they cannot be read.
        """
        wanted = self.parameters.image_ids
        if wanted is None:
            return set(read_scene_ids(self.parameters.image_id_file, "image_id_file"))
        if isinstance(wanted, str):
            raise ConfigError(f"image_ids is {shown(wanted)} but must be a list of ids. Write [...] around it.")
        if not wanted:
            raise ConfigError("image_ids is empty. Name at least one image, or leave it out to take all.")
        return {str(image_id) for image_id in wanted}

    def _selected(self, folders: list[_Found]) -> list[_Found]:
        """Return the folders that are asked for, all if none are.

        Raises:
            ConfigError: If none of those is there.
        """
        if self._selector is None:
            return folders
        ids = self._wanted()
        there = {folder.image_id for folder in folders}
        lacking = sorted(ids - there)
        where = f"in {self.parameters.orthotiles_dir} and {self.parameters.scenes_dir}"
        if not ids & there:
            raise ConfigError(
                f"{self._selector} names {', '.join(lacking)}, but there is no such folder {where}. Correct the names."
            )
        if lacking:
            logger.warning("%s: not found %s: %s", self._selector, where, ", ".join(lacking))
        return [folder for folder in folders if folder.image_id in ids]

    def stage_command(self, ref: TileRef) -> str:
        """Return the shell command that fetches the auxiliary data of an image."""
        return f"darts prep-data planet --aux --image-ids {self.path(ref).name}"

    @property
    def where(self) -> str:
        """Where images belong, for messages."""
        return f"{self.parameters.orthotiles_dir} or {self.parameters.scenes_dir}"
