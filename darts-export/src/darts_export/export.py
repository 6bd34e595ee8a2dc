"""Everything that a tile leaves on disk: rasters, polygons, thumbnail and metadata."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from darts_export.check import (
    DEBUG_FILE,
    DEFAULT_BANDS,
    PRODUCTS,
    check_bands,
    expected_files,
    files_of,
    missing_files,
    needed_variables,
)
from darts_export.commit import commit_files, commit_folder
from darts_export.raster import raster_bytes
from darts_export.thumbnail import draw_thumbnail, jpeg_bytes
from darts_export.vector import geopackage_bytes, geoparquet_bytes, regions, segments
from darts_utils.bands import manager
from darts_utils.errors import DataError

logger = logging.getLogger(__name__.replace("darts_", "darts."))

_WRITERS = 2


def export_tile(
    tile: xr.Dataset,
    out_dir: Path,
    bands: Sequence[str] = DEFAULT_BANDS,
    ensemble_subsets: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    debug: bool = False,
    *,
    overwrite: bool = False,
) -> None:
    """Write the products of a tile into its folder, which appears whole or not at all.

    If the folder is there, only the files that it lacks are added and nothing else is touched.

    Args:
        tile: A tile from `prepare_export`, in memory representation, with georeference.
        out_dir: Folder of the tile; its parents are made.
        bands: What to export: `probabilities` (uint8 percent, 255 = no data), `binarized` (uint8 0/1), `polygonized`
            (GeoPackage and GeoParquet), `extent` (likewise), `thumbnail` (JPEG), `optical`, `dem` (slope and relative
            elevation), `tcvis`, `metadata` (JSON), or any band of the tile as a raster of its own.
        ensemble_subsets: Names of models whose own probabilities, masks and polygons are exported too.
        metadata: Written as tags of the rasters and as JSON. The JSON file also has the time of export as
            `DARTS_exportdate`; rasters do not, so that the same run gives the same bytes.
        debug: Whether to add the whole tile as netCDF.
        overwrite: Whether to replace a folder that is there, with all that is in it.

    Raises:
        ConfigError: If a band is unknown.
        DataError: If the tile lacks what a product is made from.
        OutputError: If the folder cannot be written; nothing half is left behind.
    """
    check_bands(bands, also=[str(name) for name in tile.data_vars])
    _check_variables(tile, bands, ensemble_subsets)
    write = partial(_write, tile, bands, ensemble_subsets, metadata or {}, debug)
    if overwrite or not out_dir.is_dir():
        commit_folder(out_dir, lambda folder: write(expected_files(bands, ensemble_subsets, debug=debug), folder))
        return
    missing = missing_files(out_dir, bands, ensemble_subsets, debug=debug)
    if missing:
        commit_files(out_dir, missing, lambda folder: write(missing, folder))


def _check_variables(tile: xr.Dataset, bands: Sequence[str], ensemble_subsets: Sequence[str]) -> None:
    """Refuse a tile that lacks what a product is made from."""
    lacking = sorted(needed_variables(bands, ensemble_subsets) - set(map(str, tile.data_vars)))
    if lacking:
        raise DataError(
            f"the tile lacks {', '.join(lacking)}, so {', '.join(bands)} cannot all be exported. "
            "Compute the missing bands or leave out what needs them."
        )


def _write(
    tile: xr.Dataset,
    bands: Sequence[str],
    ensemble_subsets: Sequence[str],
    metadata: Mapping[str, Any],
    debug: bool,
    wanted: Sequence[str],
    folder: Path,
) -> None:
    """Write the products that have a wanted file, two at a time: each is bound by one core for most of its time."""
    products = [band for band in dict.fromkeys(bands) if not set(wanted).isdisjoint(files_of(band, ensemble_subsets))]

    def write(band: str) -> None:
        _writer(band, tile, ensemble_subsets, metadata)(folder)
        logger.debug(f"exported {band}")

    with ThreadPoolExecutor(_WRITERS) as pool:
        for _ in pool.map(write, products):
            pass  # fetching a result raises the error of its product
    if debug and DEBUG_FILE in wanted:
        _export_debug(tile, folder)


def _writer(
    band: str, tile: xr.Dataset, ensemble_subsets: Sequence[str], metadata: Mapping[str, Any]
) -> Callable[[Path], None]:
    """Return what writes a product into a folder."""
    writers: dict[str, Callable[[Path], None]] = {
        "probabilities": lambda folder: _export_probabilities(tile, folder, ensemble_subsets, metadata),
        "binarized": lambda folder: _export_binarized(tile, folder, ensemble_subsets, metadata),
        "polygonized": lambda folder: _export_polygonized(tile, folder, ensemble_subsets),
        "extent": lambda folder: _export_vector(tile, "extent", folder, PRODUCTS["extent"].stem),
        "thumbnail": lambda folder: _export_thumbnail(tile, folder),
        "metadata": lambda folder: _export_metadata(folder, metadata),
    }
    return writers.get(band, lambda folder: _export_raster(tile, band, folder, tags=metadata))


def _export_probabilities(
    tile: xr.Dataset, out_dir: Path, ensemble_subsets: Sequence[str] = (), tags: Mapping[str, Any] | None = None
) -> None:
    """Write `probabilities.tif`, uint8 percent with 255 for no data, and that of each subset."""
    for model in _suffixes(ensemble_subsets):
        _export_raster(tile, f"probabilities{model}", out_dir, tags=tags)


def _export_binarized(
    tile: xr.Dataset, out_dir: Path, ensemble_subsets: Sequence[str] = (), tags: Mapping[str, Any] | None = None
) -> None:
    """Write `binarized.tif`, uint8 with 1 for slump, and that of each subset."""
    for model in _suffixes(ensemble_subsets):
        _export_raster(tile, f"binarized_segmentation{model}", out_dir, f"binarized{model}", tags)


def _export_polygonized(tile: xr.Dataset, out_dir: Path, ensemble_subsets: Sequence[str] = ()) -> None:
    """Write `prediction_segments.gpkg` and `.parquet`, one row an object with statistics, and those of each subset."""
    for model in _suffixes(ensemble_subsets):
        frame = segments(tile[f"binarized_segmentation{model}"], tile[f"probabilities{model}"])
        _write_table(frame, out_dir, f"{PRODUCTS['polygonized'].stem}{model}")


def _export_vector(tile: xr.Dataset, name: str, out_dir: Path, fname: str | None = None) -> None:
    """Write the outlines of a boolean band as `{fname or name}.gpkg` and `.parquet`."""
    _write_table(regions(tile[name]), out_dir, name if fname is None else fname)


def _export_raster(
    tile: xr.Dataset, name: str, out_dir: Path, fname: str | None = None, tags: Mapping[str, Any] | None = None
) -> None:
    """Write a band, or the bands of a product, as one cloud-optimised GeoTIFF `{fname or name}.tif`."""
    layers = PRODUCTS[name].variables if name in PRODUCTS else (name,)
    (out_dir / f"{name if fname is None else fname}.tif").write_bytes(raster_bytes(tile, layers, tags))


def _export_thumbnail(tile: xr.Dataset, out_dir: Path) -> None:
    """Write `thumbnail.jpg`, a picture of the tile with its slumps."""
    (out_dir / "thumbnail.jpg").write_bytes(jpeg_bytes(draw_thumbnail(tile)))


def _export_metadata(out_dir: Path, metadata: Mapping[str, Any]) -> None:
    """Write `darts_inference.json` with the time of export; what JSON does not know is written as text."""
    stamped = {**metadata, "DARTS_exportdate": datetime.now(UTC).isoformat(timespec="seconds")}
    text = json.dumps(stamped, indent=2, default=str, ensure_ascii=False)
    (out_dir / "darts_inference.json").write_text(text + "\n", encoding="utf-8")


def _export_debug(tile: xr.Dataset, out_dir: Path) -> None:
    """Write the whole tile as netCDF, in disk representation."""
    attributes = {key: _netcdf_value(value) for key, value in tile.attrs.items()}
    plain = tile.copy(deep=False)
    plain.attrs = attributes
    try:
        manager.to_netcdf(plain, out_dir / DEBUG_FILE)
    except RuntimeError as error:  # the netCDF library reports a full disk so
        raise OSError(f"{DEBUG_FILE}: {error}") from error


def _netcdf_value(value: Any) -> Any:
    """Return an attribute as something that netCDF can hold."""
    return value if isinstance(value, str | int | float | np.number) and not isinstance(value, bool) else str(value)


def _write_table(frame: Any, out_dir: Path, stem: str) -> None:
    (out_dir / f"{stem}.gpkg").write_bytes(geopackage_bytes(frame))
    (out_dir / f"{stem}.parquet").write_bytes(geoparquet_bytes(frame))


def _suffixes(ensemble_subsets: Sequence[str]) -> list[str]:
    """Return what is appended to names: nothing, then the name of each subset."""
    return ["", *(f"-{name}" for name in ensemble_subsets)]
