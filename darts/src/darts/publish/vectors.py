"""The inventory in a catalogue, and its layers for other programs."""

from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import geopandas as gpd
import pyarrow.parquet as pq

from darts.inventory.exchanging import layers_of
from darts.inventory.layers import read_part, read_verdicts
from darts_export.publish.changed import replace_changed, write_changed
from darts_postprocessing.exchange.formats import write_layers
from darts_postprocessing.inventory.said import FILE, INVENTORY, origin_of
from darts_postprocessing.inventory.work import PUBLISHED_SUMS, SUMS_KIND
from darts_postprocessing.review.told import FIGURES, figures_bytes, figures_in
from darts_postprocessing.review.verdicts import FOLDER, map_of, with_verdicts
from darts_utils.files import make_folder

KINDS = ("objects", "looks", "slumps", "tracks", "changes")
LAYERS = "layers"
GEOPACKAGE = f"{LAYERS}/darts.gpkg"
SLUMPS, TRACKS = f"{LAYERS}/slumps.parquet", f"{LAYERS}/tracks.parquet"


def copy_inventory(inventory: Path, catalogue: Path) -> None:
    """Let a catalogue have the parts of an inventory, those that are the same left alone, others removed."""
    target = catalogue / INVENTORY
    wanted = dict(_files(inventory))
    for name, source in wanted.items():
        write_changed(target / name, source if isinstance(source, bytes) else source.read_bytes())
    for file in sorted(target.rglob("*")):
        if file.is_file() and file.relative_to(target).as_posix() not in wanted:
            file.unlink()
    for folder in sorted((one for one in target.rglob("*") if one.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def _files(inventory: Path) -> Iterator[tuple[str, Path | bytes]]:
    """Yield the files of an inventory that are published, or what they hold, with their names there."""
    yield FILE, inventory / FILE
    yield from _judged_files(inventory)
    sums = SUMS_KIND if (inventory / SUMS_KIND).is_dir() else PUBLISHED_SUMS
    for kind in (*KINDS, sums):
        for file in sorted((inventory / kind).rglob("*.parquet")):
            name = file.relative_to(inventory / kind).as_posix()
            yield f"{PUBLISHED_SUMS if kind == sums else kind}/{name}", file


def _judged_files(inventory: Path) -> Iterator[tuple[str, Path | bytes]]:
    """Yield verdicts on slumps that are there, and figures of the map as it is."""
    verdicts = read_verdicts(inventory)
    if verdicts is None:
        return
    (file,) = (inventory / FOLDER).rglob("*.parquet")
    is_all = len(verdicts) == pq.read_metadata(file).num_rows
    yield f"{FOLDER}/{file.name}", file if is_all else _parquet_bytes(verdicts)
    this_map = map_of(read_part(inventory, "slumps", ["slump_id", "year", "geometry"]))
    figures = [one for one in figures_in(inventory) if one.get("map") == this_map]
    if figures:
        yield FIGURES, figures_bytes(figures)


def judged_slumps(inventory: Path) -> gpd.GeoDataFrame:
    """Return the slumps of all years, in longitude and latitude, with verdicts where there are any."""
    slumps = read_part(inventory, "slumps")
    if (verdicts := read_verdicts(inventory)) is not None:
        slumps = with_verdicts(slumps, verdicts)
    ordered: gpd.GeoDataFrame = slumps.sort_values(["slump_id", "year"], kind="stable", ignore_index=True)
    return ordered


def write_vectors(inventory: Path, catalogue: Path, slumps: gpd.GeoDataFrame, tracks: gpd.GeoDataFrame) -> None:
    """Write slumps and tracks as one file each, and a GeoPackage with all layers and styles."""
    make_folder(catalogue / LAYERS)
    for name, table in ((SLUMPS, slumps), (TRACKS, tracks)):
        replace_changed(catalogue / name, partial(_parquet, table))
    layers = layers_of(inventory, None, "geopackage")
    replace_changed(catalogue / GEOPACKAGE, lambda file: write_layers(file, layers, "geopackage", origin_of(inventory)))


def _parquet_bytes(table: gpd.GeoDataFrame) -> bytes:
    with BytesIO() as held:
        _parquet(table, held)
        return held.getvalue()


def _parquet(table: gpd.GeoDataFrame, file: Path | BytesIO) -> None:
    how = {"compression": "zstd", "write_covering_bbox": True, "schema_version": "1.1.0"}
    table.to_parquet(file, index=False, **how)
