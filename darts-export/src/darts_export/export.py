"""Everything that a tile leaves on disk: rasters, polygons, thumbnail and metadata."""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import geopandas as gpd
import numpy as np
import xarray as xr

from darts_export.atomic_writes import check_same, commit_files, commit_folder
from darts_export.density import density_bytes, density_table
from darts_export.facts import TileFacts, tile_facts
from darts_export.image import image_time
from darts_export.pictures.map_furniture import Picture
from darts_export.pictures.thumbnail import draw_thumbnail, jpeg_bytes
from darts_export.products import (
    DEBUG_FILE,
    DEFAULT_BANDS,
    PRODUCTS,
    check_bands,
    expected_files,
    files_of,
    in_order,
    missing_files,
    needed_variables,
    outdated_files,
)
from darts_export.raster import raster_bytes
from darts_export.record import FILE as RECORD
from darts_export.record import FINGERPRINT, tags_of, write_record
from darts_export.tables import geopackage_bytes, geoparquet_bytes
from darts_export.vector import observed_table, region_table, segment_table
from darts_utils.bands import manager, model_suffixes
from darts_utils.errors import DataError

logger = logging.getLogger(__name__)

_WRITERS = 2


def export_tile(  # noqa: PLR0917  (the public signature)
    tile: xr.Dataset,
    out_dir: Path,
    bands: Sequence[str] = DEFAULT_BANDS,
    ensemble_subsets: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    debug: bool = False,
    *,
    overwrite: bool = False,
    ground: Picture | None = None,
) -> TileFacts:
    """Write the products of a tile into its folder, which appears whole or not at all.

    If the folder is there, only the files that it lacks are added and nothing else is touched. To a folder with
    another fingerprint (`DARTS_fingerprint` of the metadata) nothing is added.

    Args:
        tile: A tile from `prepare_export`, in memory representation, with georeference.
        out_dir: Folder of the tile; its parents are made.
        bands: What to export: `probabilities` (uint8 percent, 255 = no data), `binarized` (uint8 0/1), `polygonized`
            (GeoPackage and GeoParquet), `extent` (likewise), `observed` (GeoParquet: the ground of it that was really
            seen), `density` (Parquet: sums of probabilities over that ground by cells of 1 km), `thumbnail` (JPEG),
            `optical`, `dem` (slope and relative elevation), `tcvis`, `metadata` (JSON), or any band of the tile as a
            raster of its own.
        ensemble_subsets: Names of models whose own probabilities, masks and polygons are exported too.
        metadata: Written as JSON, and what of it is one value also as tags of the rasters and metadata of the tables.
            The JSON file also has the figures of the tile, and the time of export as `DARTS_exportdate`; the others do
            not, so that the same run gives the same bytes.
        debug: Whether to add the whole tile as netCDF.
        overwrite: Whether to replace a folder that is there, with all that is in it.
        ground: The ground of the thumbnail, see `draw_ground`, if it was drawn before: then the tile needs no colours.

    Returns:
        Figures of the tile.

    Raises:
        ConfigError: If a band is unknown.
        DataError: If the tile lacks what a product is made from.
        OutputError: If the folder cannot be written, or was made in another way; nothing half is left behind.
    """
    check_bands(bands, also=[str(name) for name in tile.data_vars])
    _check_variables(tile, bands, ensemble_subsets)
    metadata = dict(metadata or {})
    products = TileProducts(tile, bands, ensemble_subsets, metadata, debug=debug, ground=ground)
    wanted = expected_files(bands, ensemble_subsets, debug=debug)
    is_new = overwrite or not out_dir.is_dir()
    if is_new and commit_folder(out_dir, lambda folder: products.write(wanted, folder), replace=overwrite):
        return products.facts
    if missing := missing_files(out_dir, bands, ensemble_subsets, debug=debug):
        # the record is not made again: it keeps what was true of the files that were there, and names what is added
        again = [name for name in outdated_files(bands, ensemble_subsets, missing) if name != RECORD]
        files = [*missing, *again]
        commit_files(out_dir, files, lambda folder: products.write(files, folder), metadata=metadata)
    elif FINGERPRINT in metadata:
        check_same(out_dir, metadata)
    return products.facts


def _check_variables(tile: xr.Dataset, bands: Sequence[str], ensemble_subsets: Sequence[str]) -> None:
    """Refuse a tile that lacks what a product is made from."""
    lacking = sorted(needed_variables(bands, ensemble_subsets) - set(map(str, tile.data_vars)))
    if lacking:
        raise DataError(
            f"the tile lacks {', '.join(lacking)}, so {', '.join(bands)} cannot all be exported. "
            "Compute the missing bands or leave out what needs them."
        )


class TileProducts:
    """Writes the products of one tile; what several of them need is made once."""

    def __init__(
        self,
        tile: xr.Dataset,
        bands: Sequence[str],
        ensemble_subsets: Sequence[str],
        metadata: Mapping[str, Any],
        *,
        debug: bool = False,
        ground: Picture | None = None,
    ) -> None:
        self._tile = tile
        self._bands = list(dict.fromkeys(bands))
        self._subsets = ensemble_subsets
        self._metadata = metadata
        self._debug = debug
        self._ground = ground
        self._at_facts = Lock()

    @property
    def facts(self) -> TileFacts:
        """Figures of the tile; made once, whichever thread asks first."""
        with self._at_facts:
            return self._facts

    @cached_property
    def _facts(self) -> TileFacts:
        return tile_facts(self._tile, self._slumps)

    @property
    def slumps(self) -> gpd.GeoDataFrame | None:
        """The slumps of the tile, None where it has no masks."""
        _ = self.facts
        return self._slumps

    @cached_property
    def _slumps(self) -> gpd.GeoDataFrame | None:
        has_masks = {"binarized_segmentation", "probabilities"} <= set(self._tile.data_vars)
        return segment_table(self._tile) if has_masks else None

    def write(self, wanted: Sequence[str], folder: Path) -> None:
        """Write the products that have a wanted file, two at a time: each is bound by one core for most of its time."""
        products = [band for band in self._bands if not set(wanted).isdisjoint(files_of(band, self._subsets))]

        def write(band: str) -> None:
            self.writer(band)(folder)
            logger.debug("exported %s", band)

        if self._debug and DEBUG_FILE in wanted:
            _export_debug(self._tile, folder)
        with ThreadPoolExecutor(_WRITERS) as pool:
            facts = pool.submit(lambda: self.facts)  # first, beside rasters: other products wait for them
            for group in in_order(products):
                for _ in pool.map(write, group):
                    pass  # fetching a result raises the error of its product
            facts.result()

    def writer(self, band: str) -> Callable[[Path], None]:
        """Return what writes a product into a folder, which holds only what is written with it."""
        tile, subsets, tags = self._tile, self._subsets, tags_of(self._metadata)
        writers: dict[str, Callable[[Path], None]] = {
            "probabilities": lambda folder: _export_probabilities(tile, folder, subsets, tags),
            "binarized": lambda folder: _export_binarized(tile, folder, subsets, tags),
            "polygonized": lambda folder: _export_polygonized(tile, folder, subsets, tags, slumps=self.slumps),
            "extent": lambda folder: _export_vector(tile, "extent", folder, PRODUCTS["extent"].stem, tags),
            "observed": lambda folder: _export_observed(tile, folder, tags),
            "density": lambda folder: _export_density(tile, folder, tags),
            "thumbnail": lambda folder: _export_thumbnail(tile, folder, self.facts, self._ground),
            "metadata": lambda folder: write_record(folder, {**self._metadata, **self.facts.to_dict()}),
        }
        return writers.get(band, lambda folder: _export_raster(tile, band, folder, tags=tags))


def _export_probabilities(
    tile: xr.Dataset, out_dir: Path, ensemble_subsets: Sequence[str] = (), tags: Mapping[str, Any] | None = None
) -> None:
    """Write `probabilities.tif`, uint8 percent with 255 for no data, and that of each subset."""
    for model in model_suffixes(ensemble_subsets):
        _export_raster(tile, f"probabilities{model}", out_dir, tags=tags)


def _export_binarized(
    tile: xr.Dataset, out_dir: Path, ensemble_subsets: Sequence[str] = (), tags: Mapping[str, Any] | None = None
) -> None:
    """Write `binarized.tif`, uint8 with 1 for slump, and that of each subset."""
    for model in model_suffixes(ensemble_subsets):
        _export_raster(tile, f"binarized_segmentation{model}", out_dir, f"binarized{model}", tags)


def _export_polygonized(
    tile: xr.Dataset,
    out_dir: Path,
    ensemble_subsets: Sequence[str] = (),
    tags: Mapping[str, Any] | None = None,
    *,
    slumps: gpd.GeoDataFrame | None = None,
) -> None:
    """Write `prediction_segments.gpkg` and `.parquet`, one row an object with statistics, and those of each subset."""
    for model in model_suffixes(ensemble_subsets):
        frame = segment_table(tile, model) if model or slumps is None else slumps
        _write_table(frame, tile, out_dir, f"{PRODUCTS['polygonized'].stem}{model}", tags)


def _export_vector(
    tile: xr.Dataset, name: str, out_dir: Path, fname: str | None = None, tags: Mapping[str, Any] | None = None
) -> None:
    """Write the outlines of a boolean band as `{fname or name}.gpkg` and `.parquet`."""
    _write_table(region_table(tile, name), tile, out_dir, name if fname is None else fname, tags)


def _export_observed(tile: xr.Dataset, out_dir: Path, tags: Mapping[str, Any] | None = None) -> None:
    """Write `prediction_observed.parquet`, the outlines of the ground that was really seen."""
    content = geoparquet_bytes(observed_table(tile), tags)
    (out_dir / f"{PRODUCTS['observed'].stem}.parquet").write_bytes(content)


def _export_density(tile: xr.Dataset, out_dir: Path, tags: Mapping[str, Any] | None = None) -> None:
    """Write `prediction_density.parquet`, sums of probabilities over the ground that was really seen, by cells."""
    content = density_bytes(density_table(tile), tags)
    (out_dir / f"{PRODUCTS['density'].stem}.parquet").write_bytes(content)


def _export_raster(
    tile: xr.Dataset, name: str, out_dir: Path, fname: str | None = None, tags: Mapping[str, Any] | None = None
) -> None:
    """Write a band, or the bands of a product, as one cloud-optimised GeoTIFF `{fname or name}.tif`."""
    names = PRODUCTS[name].variables if name in PRODUCTS else (name,)
    (out_dir / f"{name if fname is None else fname}.tif").write_bytes(raster_bytes(tile, names, tags))


def _export_thumbnail(
    tile: xr.Dataset, out_dir: Path, facts: TileFacts | None = None, ground: Picture | None = None
) -> None:
    """Write `thumbnail.jpg`, a picture of the tile with its slumps."""
    (out_dir / "thumbnail.jpg").write_bytes(jpeg_bytes(draw_thumbnail(tile, facts, ground)))


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


def _write_table(
    frame: gpd.GeoDataFrame, tile: xr.Dataset, out_dir: Path, stem: str, tags: Mapping[str, Any] | None
) -> None:
    (out_dir / f"{stem}.gpkg").write_bytes(geopackage_bytes(frame, stem, tags, date=image_time(tile)))
    (out_dir / f"{stem}.parquet").write_bytes(geoparquet_bytes(frame, tags))
