"""PlanetScope images wherever archives have them."""

import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from darts.pipelines.sources.images import ImagesOnDisk, has_image, image_ref
from darts.pipelines.tiles import TileRef
from darts_utils.errors import ConfigError
from darts_utils.paths import visible_folders

logger = logging.getLogger(__name__)

type Finder = Callable[[Path], Iterator[Path]]
"""Yields the folders below a folder that look like those of images."""

_ID = re.compile(r"\d{8}_\d{6}(_\d{1,2})?_[0-9A-Za-z]+|\d+_\d+_\d{4}-\d{2}-\d{2}_[0-9A-Za-z]+")
_DEEPEST = 3
_IMAGE = re.compile(r"_SR\.tif$", re.IGNORECASE)


def in_archive(data_dir: Path) -> Iterator[Path]:
    """Yield folders called like images: `{image}`, `{tile or site}/{image}` or `{iteration}/{site}/{image}`."""
    folders = [data_dir]
    for _ in range(_DEEPEST):
        inner = [path for folder in folders for path in visible_folders(folder)]
        yield from (path for path in inner if _ID.fullmatch(path.name))
        folders = [path for path in inner if not _ID.fullmatch(path.name)]


def anywhere_below(data_dir: Path) -> Iterator[Path]:
    """Yield the folders that hold a `*_SR.tif`, at any depth, in linked folders too."""
    yield from sorted(_holding_images(data_dir, frozenset()))


def _holding_images(folder: Path, above: frozenset[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in above:  # a link that leads back
        return
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError as error:
        logger.warning("%s is skipped: it cannot be read (%s)", folder, error.strerror)
        return
    if any(_IMAGE.search(name) and not name.startswith(".") for name in names):
        yield folder
    for inner in visible_folders(folder):
        yield from _holding_images(inner, above | {real})


class LabelledImages(ImagesOnDisk):
    """Images in an archive, found by the names that labels call them by.

    Args:
        data_dir: The archive.
        finder: How it is laid out.
        flag: The flag that names it, for messages.
    """

    def __init__(self, data_dir: Path, finder: Finder, flag: str = "--data-dir") -> None:
        super().__init__()
        self._flag = flag
        self._data_dir = data_dir
        self._finder = finder

    def find(self) -> list[TileRef]:
        """Return the images, ordered by id; of an image that lies in several places the first is taken.

        Raises:
            ConfigError: If the archive is no folder.
        """
        if not self._data_dir.is_dir():
            raise ConfigError(f"there are no Planet images: {self._data_dir} is no folder. Name one with {self._flag}.")
        n_again = 0
        for path in self._finder(self._data_dir):
            if path.name in self.images:
                n_again += 1
            elif has_image(path):
                self.images[path.name] = path
        if n_again:
            logger.warning("%d images lie in several places of %s; the first is taken", n_again, self._data_dir)
        refs = [image_ref(name, Path(name), path) for name, path in sorted(self.images.items())]
        return [ref for ref in refs if ref is not None]

    def stage_command(self, ref: TileRef) -> str:
        """Return the shell command that fetches the auxiliary data of an image."""
        path = self.path(ref)
        return f"darts prep-data planet --aux --scenes-dir {path.parent} --image-ids {path.name}"

    @property
    def where(self) -> str:
        """Where images belong, for messages."""
        return str(self._data_dir)
