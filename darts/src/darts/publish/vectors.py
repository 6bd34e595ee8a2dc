"""The inventory in a catalogue, and its layers for other programs."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import geopandas as gpd

from darts.inventory.exchanging import layers_of
from darts.inventory.layers import read_part
from darts_export.publish.changed import replace_changed, write_changed
from darts_postprocessing.exchange.formats import write_layers
from darts_postprocessing.inventory.said import FILE, INVENTORY, origin_of
from darts_postprocessing.inventory.work import PUBLISHED_SUMS, SUMS_KIND
from darts_postprocessing.review.verdicts import FIGURES, FOLDER, with_verdicts
from darts_utils.files import make_folder

KINDS = ("objects", "looks", "slumps", "tracks", "changes", FOLDER)
LAYERS = "layers"
GEOPACKAGE = f"{LAYERS}/darts.gpkg"
SLUMPS, TRACKS = f"{LAYERS}/slumps.parquet", f"{LAYERS}/tracks.parquet"


def copy_inventory(inventory: Path, catalogue: Path) -> None:
    """Let a catalogue have the parts of an inventory, those that are the same left alone, others removed."""
    target = catalogue / INVENTORY
    wanted = dict(_files(inventory))
    for name, source in wanted.items():
        write_changed(target / name, source.read_bytes())
    for file in sorted(target.rglob("*")):
        if file.is_file() and file.relative_to(target).as_posix() not in wanted:
            file.unlink()
    for folder in sorted((one for one in target.rglob("*") if one.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def _files(inventory: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of an inventory that are published, with their names there."""
    for name in (FILE, FIGURES):
        if (inventory / name).is_file():
            yield name, inventory / name
    sums = SUMS_KIND if (inventory / SUMS_KIND).is_dir() else PUBLISHED_SUMS
    for kind in (*KINDS, sums):
        for file in sorted((inventory / kind).rglob("*.parquet")):
            name = file.relative_to(inventory / kind).as_posix()
            yield f"{PUBLISHED_SUMS if kind == sums else kind}/{name}", file


def judged_slumps(inventory: Path) -> gpd.GeoDataFrame:
    """Return the slumps of all years, in longitude and latitude, with verdicts where there are any."""
    slumps = read_part(inventory, "slumps")
    if (inventory / FOLDER).is_dir():
        slumps = with_verdicts(slumps, read_part(inventory, FOLDER))
    ordered: gpd.GeoDataFrame = slumps.sort_values(["slump_id", "year"], kind="stable", ignore_index=True)
    return ordered


def write_vectors(inventory: Path, catalogue: Path, slumps: gpd.GeoDataFrame, tracks: gpd.GeoDataFrame) -> None:
    """Write slumps and tracks as one file each, and a GeoPackage with all layers and styles."""
    make_folder(catalogue / LAYERS)
    for name, table in ((SLUMPS, slumps), (TRACKS, tracks)):
        replace_changed(catalogue / name, partial(_parquet, table))
    layers = layers_of(inventory, None, "geopackage")
    replace_changed(catalogue / GEOPACKAGE, lambda file: write_layers(file, layers, "geopackage", origin_of(inventory)))


def _parquet(table: gpd.GeoDataFrame, file: Path) -> None:
    how = {"compression": "zstd", "write_covering_bbox": True, "schema_version": "1.1.0"}
    table.to_parquet(file, index=False, **how)
