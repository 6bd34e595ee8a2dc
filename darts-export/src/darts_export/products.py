"""What can be exported, into which files, from which bands, and what of it is missing in a folder."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_utils.bands import manager, model_suffixes
from darts_utils.errors import ConfigError, nearest

DEFAULT_BANDS = ("probabilities", "binarized", "polygonized", "extent", "thumbnail")


@dataclass(frozen=True, kw_only=True)
class Product:
    """One thing that can be exported."""

    stem: str
    """File name without suffix; results of one model get its name appended."""
    suffixes: tuple[str, ...]
    variables: tuple[str, ...] = ()
    """Bands of the tile that it is made from."""
    per_model: bool = False
    """Whether each ensemble subset has its own."""
    needs: tuple[str, ...] = ()
    """Products that it tells of, `*` for all others: it is written after those of them that are asked for, and made
    again when files of theirs are added to a folder in which it lies. It is made from the tile: their files may be
    elsewhere."""

    def model_suffixes(self, ensemble_subsets: Sequence[str]) -> list[str]:
        """Return what is appended to its names, for the mean and for each model that has a result of its own."""
        return model_suffixes(ensemble_subsets if self.per_model else ())


PRODUCTS = {
    "probabilities": Product(stem="probabilities", suffixes=(".tif",), variables=("probabilities",), per_model=True),
    "binarized": Product(stem="binarized", suffixes=(".tif",), variables=("binarized_segmentation",), per_model=True),
    "polygonized": Product(
        stem="prediction_segments",
        suffixes=(".gpkg", ".parquet"),
        variables=("binarized_segmentation", "probabilities"),
        per_model=True,
    ),
    "extent": Product(stem="prediction_extent", suffixes=(".gpkg", ".parquet"), variables=("extent",)),
    "observed": Product(stem="prediction_observed", suffixes=(".parquet",), variables=("extent", "probabilities")),
    "density": Product(stem="prediction_density", suffixes=(".parquet",), variables=("extent", "probabilities")),
    "thumbnail": Product(stem="thumbnail", suffixes=(".jpg",)),
    "optical": Product(stem="optical", suffixes=(".tif",), variables=("red", "green", "blue", "nir")),
    "dem": Product(stem="dem", suffixes=(".tif",), variables=("slope", "relative_elevation")),
    "tcvis": Product(stem="tcvis", suffixes=(".tif",), variables=("tc_brightness", "tc_greenness", "tc_wetness")),
    "metadata": Product(stem="darts_inference", suffixes=(".json",), needs=("*",)),
}
"""The products with a name of their own; any band of a tile is one too, as a raster of the same name."""

COLOURS = ("red", "green", "blue")
THUMBNAIL_VARIABLES = (*COLOURS, "binarized_segmentation", "extent")
"""What a thumbnail shows if the tile has it."""
SAID_VARIABLES = ("quality_data_mask", "features_missing", "s2_scl", "planet_udm", "green", "nir")
"""What the figures of a tile are made of, whatever is exported; of the latter also that of each model."""

DEBUG_FILE = "darts_inference_debug.nc"


def product_of(band: str) -> Product:
    """Return the product that an export band stands for."""
    return PRODUCTS.get(band, Product(stem=band, suffixes=(".tif",), variables=(band,)))


def check_bands(bands: Collection[str], also: Collection[str] = ()) -> None:
    """Refuse bands that nothing can be exported for; needs no tile, so it can be asked before a run.

    Args:
        bands: Export bands, as given to `export_tile`.
        also: Further names that are fine, such as the bands of a tile at hand.

    Raises:
        ConfigError: If one is unknown; the message names it and what is known.
    """
    unknown = [band for band in bands if "*" in band or not (band in PRODUCTS or band in manager or band in also)]
    if unknown:
        known = [*PRODUCTS, *(name.replace("*", "{model}") for name in manager if name not in PRODUCTS), *also]
        meant = [name for band in unknown if (name := nearest(band, known)) is not None]
        hint = f" (did you mean {' and '.join(meant)}?)" if meant else ""
        if any("," in band for band in unknown):
            hint = "; names are separated by spaces, not by commas"
        raise ConfigError(
            f"cannot export {', '.join(unknown)}{hint}; known are: {', '.join(known)}. "
            "Correct the name or leave it out."
        )


def needed_variables(bands: Collection[str] = DEFAULT_BANDS, ensemble_subsets: Sequence[str] = ()) -> frozenset[str]:
    """Return the bands that a tile must have for these products; a thumbnail works without any."""
    return frozenset(
        f"{variable}{model}"
        for band in bands
        for model in product_of(band).model_suffixes(ensemble_subsets)
        for variable in product_of(band).variables
    )


def expected_files(
    bands: Collection[str] = DEFAULT_BANDS, ensemble_subsets: Sequence[str] = (), *, debug: bool = False
) -> list[str]:
    """Return the names of the files that these products consist of."""
    names = [name for band in bands for name in files_of(band, ensemble_subsets)]
    return list(dict.fromkeys([*names, DEBUG_FILE] if debug else names))


def files_of(band: str, ensemble_subsets: Sequence[str] = ()) -> list[str]:
    """Return the names of the files that one product consists of."""
    product = product_of(band)
    return [
        f"{product.stem}{model}{suffix}"
        for model in product.model_suffixes(ensemble_subsets)
        for suffix in product.suffixes
    ]


def in_order(bands: Collection[str]) -> list[list[str]]:
    """Return products in groups, each of which needs only files of the groups before it.

    Raises:
        ConfigError: If some need each other in a circle.
    """
    left, groups = list(dict.fromkeys(bands)), []
    while left:
        ready = [band for band in left if not _needed(band, left)]
        if not ready:
            raise ConfigError(f"the products {', '.join(left)} need each other. Correct what one of them needs.")
        groups.append(ready)
        left = [band for band in left if band not in ready]
    return groups


def _needed(band: str, others: Collection[str]) -> list[str]:
    """Return which of some products one needs; those that need all others come last, in the order given."""
    needs = product_of(band).needs
    if "*" not in needs:
        return [other for other in others if other in needs]
    return [other for other in others if other != band and "*" not in product_of(other).needs]


def outdated_files(bands: Collection[str], ensemble_subsets: Sequence[str], added: Collection[str]) -> list[str]:
    """Return the files of products that need others of which files are added to a folder.

    Args:
        bands: All products of the folder.
        ensemble_subsets: Names of models whose own results are there too.
        added: The files that are added.
    """
    changed = [band for band in bands if not set(added).isdisjoint(files_of(band, ensemble_subsets))]
    made_again: list[str] = []
    for group in in_order(bands):
        for band in group:
            if _needed(band, changed):
                changed.append(band)
                made_again += files_of(band, ensemble_subsets)
    return [name for name in made_again if name not in added]


def missing_files(
    out_dir: Path,
    bands: Collection[str] = DEFAULT_BANDS,
    ensemble_subsets: Sequence[str] = (),
    *,
    debug: bool = False,
) -> list[str]:
    """Return the names of the files that these products consist of and that a folder lacks; an empty one is none."""
    sizes = _sizes(out_dir)
    return [name for name in expected_files(bands, ensemble_subsets, debug=debug) if not sizes.get(name)]


def missing_outputs(
    out_dir: Path, bands: Collection[str] = DEFAULT_BANDS, ensemble_subsets: Sequence[str] = ()
) -> Literal["all", "some", "none"]:
    """Return how much of what is wanted a folder lacks.

    Args:
        out_dir: Folder of a tile.
        bands: Export bands, as given to `export_tile`.
        ensemble_subsets: Names of models whose own results are wanted too.

    Returns:
        `"all"` if the folder or everything in it is missing, `"none"` if nothing is, else `"some"`.
    """
    if not out_dir.is_dir():
        return "all"
    missing = missing_files(out_dir, bands, ensemble_subsets)
    if not missing:
        return "none"
    return "all" if len(missing) == len(expected_files(bands, ensemble_subsets)) else "some"


def _sizes(folder: Path) -> dict[str, int]:
    """Return the sizes of the files in a folder by name, in bytes; all at once, for there are many folders."""
    with os.scandir(folder) as entries:
        return {entry.name: _size(entry) for entry in entries}


def _size(entry: os.DirEntry[str]) -> int:
    """Return the size of a file, 0 for what is none, such as a folder or a link that leads to itself."""
    try:
        return entry.stat().st_size if entry.is_file() else 0
    except OSError:
        return 0
