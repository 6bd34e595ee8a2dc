"""What lies in the folder of an image that a user has on disk: the image, its mask and its metadata."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_utils.errors import DataError, MissingDataError

type PlanetType = Literal["orthotile", "scene"]

_NAMES: dict[PlanetType, str] = {
    "orthotile": r"\d+_\d+_\d{4}-\d{2}-\d{2}_[0-9A-Za-z]+",
    "scene": r"\d{8}_\d{6}(_\d{1,2})?_[0-9A-Za-z]+",
}
_SUFFIXES = r"(_[0-9A-Za-z]+)*\.tiff?"
"""What tools append: `_8b`, `_harmonized`, `_clip`, `_reproject`, in upper or lower case."""
_IMAGE = re.compile(rf"_SR{_SUFFIXES}", re.IGNORECASE)
_MASKS = tuple(re.compile(rf"_{kind}{_SUFFIXES}", re.IGNORECASE) for kind in ("udm2", "udm", "SCL"))
"""Masks, the most telling first."""
_METADATA = tuple(re.compile(text, re.IGNORECASE) for text in (r"_metadata.*\.json", r"\.json", r"_metadata.*\.xml"))


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """The files of one image."""

    path: Path
    """The folder, whose name is the id of the image."""
    image: Path
    """Surface reflectance."""
    mask: Path | None
    """UDM2, UDM or scene classification; None if nothing says what may be used."""
    metadata: tuple[Path, ...]
    """Files that may tell where the sun stood, the most likely first."""

    @property
    def has_scene_classes(self) -> bool:
        """Whether the mask is a Sentinel-2 scene classification."""
        return self.mask is not None and _ends_with(_MASKS[-1], self.mask)

    @property
    def n_bytes(self) -> int:
        """Size of the image and its mask on disk."""
        return sum(file.stat().st_size for file in (self.image, self.mask) if file is not None)


def parse_planet_type(fpath: Path | str) -> PlanetType:
    """Return what the name of a folder says that it holds: an orthotile or a scene.

    Orthotiles are called `NNNNNNN_NNNNNNN_YYYY-MM-DD_XXXX`, scenes `YYYYMMDD_HHMMSS_NN_XXXX` or `YYYYMMDD_HHMMSS_XXXX`.

    Raises:
        DataError: If the name is of neither kind.
    """
    name = Path(fpath).name
    for kind, pattern in _NAMES.items():
        if re.fullmatch(pattern, name):
            return kind
    raise DataError(
        f"{name} is no name of a Planet image. Orthotiles are called NNNNNNN_NNNNNNN_YYYY-MM-DD_XXXX, scenes "
        "YYYYMMDD_HHMMSS_NN_XXXX or YYYYMMDD_HHMMSS_XXXX. Rename the folder."
    )


def image_folder(fpath: Path | str) -> ImageFolder:
    """Return the files of the image in a folder.

    Raises:
        MissingDataError: If there is no such folder, or no surface reflectance in it.
        DataError: If there are several images and nothing says which one is meant.
    """
    folder = Path(fpath)
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise MissingDataError(f"the folder {folder} cannot be read ({error.strerror}). Check its name.") from error
    images = [path for path in files if _ends_with(_IMAGE, path) and not _is_mask(path)]
    if not images:
        raise MissingDataError(
            f"there is no image in {folder}: no file is called *_SR.tif or *_SR_clip.tif. Put one there, or remove it."
        )
    masks = [path for pattern in _MASKS for path in files if _ends_with(pattern, path)]
    return ImageFolder(
        path=folder,
        image=_the_one(images, folder),
        mask=masks[0] if masks else None,
        metadata=tuple(dict.fromkeys(path for pattern in _METADATA for path in files if _ends_with(pattern, path))),
    )


def _ends_with(pattern: re.Pattern[str], path: Path) -> bool:
    return re.search(rf"(?:{pattern.pattern})$", path.name, pattern.flags) is not None


def _is_mask(path: Path) -> bool:
    return any(_ends_with(pattern, path) for pattern in _MASKS)


def _the_one(images: list[Path], folder: Path) -> Path:
    """Return the image that is meant: the one named like the folder, and the whole one rather than a clip of it."""
    named = [path for path in images if path.name.startswith(folder.name)] or images
    whole = [path for path in named if "_clip" not in path.name.lower()] or named
    if len(whole) > 1:
        names = ", ".join(path.name for path in whole)
        raise DataError(f"there are several images in {folder}: {names}. Keep one of them.")
    return whole[0]
