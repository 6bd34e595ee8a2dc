"""Results that would go into each other, or over the images themselves, are refused before anything is made."""

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from darts.pipelines.tiles import TileRef
from darts_utils.errors import ConfigError

_ADVICE = "Rename one of the two, or map them in runs of their own with --image-ids and another --output-data-dir."
_MARKS = ("darts_inference.json", "probabilities.tif", "binarized.tif", "prediction_extent.gpkg", "thumbnail.jpg")
"""A folder with one of these is that of a tile."""

type _Folder = tuple[str, ...]


def check_apart(refs: Sequence[TileRef]) -> None:
    """Do nothing if the folders of all results lie beside each other; a folder is only ever replaced as a whole.

    Names that differ only in case are the same folder on many disks.

    Raises:
        ConfigError: If one is inside another, or is the same.
    """
    taken: dict[_Folder, TileRef] = {}
    for ref in refs:
        same = taken.setdefault(_folded(ref.output_folder), ref)
        if same is not ref:
            raise ConfigError(
                f"the results of {same.tile_id} and of {ref.tile_id} would go into the same folder "
                f"{ref.output_folder}. {_ADVICE}"
            )
    for folder, ref in taken.items():
        for length in range(1, len(folder)):
            if (other := taken.get(folder[:length])) is not None:
                raise ConfigError(
                    f"the results of {ref.tile_id} would go into {ref.output_folder}, inside {other.output_folder} "
                    f"with those of {other.tile_id}. {_ADVICE}"
                )


def check_on_disk(refs: Sequence[TileRef], images: Mapping[str, Path], results: Path) -> None:
    """Do nothing if no results would lie inside earlier ones, around them, or in the place of an image.

    Args:
        refs: The images.
        images: Their folders by tile id.
        results: The results folder; it need not exist.

    Raises:
        ConfigError: If some would.
    """
    root = results.resolve()
    for ref in refs:
        folder = root / ref.output_folder
        if folder == (image := images[ref.tile_id]).parent.resolve() / image.name:
            raise ConfigError(
                f"the results of {ref.tile_id} would replace the image itself in {image}. "
                "Choose another --output-data-dir."
            )
        for inside, outside in _nested(root, ref.output_folder):
            raise ConfigError(
                f"results of another image lie in {outside}, and those of {ref.tile_id} would go "
                f"{'into' if inside else 'around'} them. {_ADVICE}"
            )


def _nested(root: Path, output_folder: Path) -> list[tuple[bool, Path]]:
    """Return results that lie around a folder (True) or inside it (False)."""
    around = [(True, root / part) for part in output_folder.parents if part.name and _is_of_tile(root / part)]
    folder = root / output_folder
    inner = folder.iterdir() if folder.is_dir() else ()
    return around + [(False, path) for path in inner if path.is_dir() and _is_of_tile(path)]


def _is_of_tile(folder: Path) -> bool:
    return any((folder / mark).is_file() for mark in _MARKS)


def _folded(folder: Path) -> _Folder:
    return tuple(unicodedata.normalize("NFC", part).casefold() for part in folder.parts)
