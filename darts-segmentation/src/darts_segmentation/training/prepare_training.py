"""Tiles and labels become a set of patches on disk."""

import logging
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox

from darts_segmentation.model_input import OPTICAL_BANDS
from darts_segmentation.training.labels import IGNORED, SLUMP, Vectors, burn_labels
from darts_segmentation.training.patch_set import CRS, PatchSet
from darts_segmentation.training.patches.selection import Counts, Place, Rules
from darts_utils.bands import manager
from darts_utils.errors import ConfigError, DataError
from darts_utils.machine.devices import DeviceSpec
from darts_utils.parameters import check_overlap
from darts_utils.rasters.arrays import Array
from darts_utils.tile import geobox_of
from darts_utils.toml import to_toml_value, write_toml

logger = logging.getLogger(__name__)

_WORKERS = min(8, os.cpu_count() or 1)


class TrainDatasetBuilder:
    """Cuts tiles into patches and keeps them, with their labels, in a folder.

    The folder then holds `data.zarr` with `x` (n, band, s, s) float32, the model representation from 0 to 1, and `y`
    (n, s, s) uint8, 0 background, 1 slump, 2 not to be learned from; `metadata.parquet`, a row a patch; `samples.json`,
    what became of the patches of each sample; and after `finalize` `config.toml`. Whenever work breaks off, `x`, `y`
    and the metadata hold the same patches: those of the tiles that were added wholly.

    Args:
        train_data_dir: The folder.
        patch_size: Edge of a patch in pixels.
        overlap: Pixels that neighbouring patches share at least.
        bands: Names of the bands of `x`, in their order.
        exclude_nopositive: Leave out patches without a slump.
        exclude_nan: Leave out patches in which a band has no data somewhere.
        device: Accepted for symmetry with the other steps; patches are made in host memory, for they go to the disk.
        append: Go on with the set that is in the folder; else it is replaced.
        shard_size: Patches in one file, for file systems that suffer from many small ones. None: a file a patch.
        settings: What else must be the same for all patches of a set, such as how features were made.

    Raises:
        ConfigError: If a parameter is illegal, or the set in the folder was made with others.
        DataError: If the set in the folder is damaged.
        OutputError: If the folder cannot be written, or its file system has no symbolic links.
    """

    def __init__(  # noqa: PLR0917  (the public signature)
        self,
        train_data_dir: Path | str,
        patch_size: int,
        overlap: int,
        bands: Sequence[str],
        exclude_nopositive: bool,
        exclude_nan: bool,
        device: DeviceSpec = None,  # noqa: ARG002  (part of the public signature)
        append: bool = False,
        *,
        shard_size: int | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        _check(patch_size, overlap, bands, shard_size)
        self.bands = tuple(bands)
        self._rules = Rules(
            patch_size=patch_size, overlap=overlap, exclude_nopositive=exclude_nopositive, exclude_nan=exclude_nan
        )
        described = to_toml_value({"bands": self.bands, **asdict(self._rules), **(settings or {})})
        folder = Path(train_data_dir)
        old = PatchSet(folder) if append and PatchSet.is_in(folder) else None
        if old is not None and (len(old) or old.samples):
            _check_same(old, described)
            self._set = old
        else:
            self._set = PatchSet.create(folder, len(self.bands), patch_size, described, shard_size)
        self._set.open()

    def __len__(self) -> int:
        """Return the number of patches in the set."""
        return len(self._set)

    def __contains__(self, sample_id: str) -> bool:
        """Tell whether a sample was added, now or earlier, even if none of its patches was taken."""
        return sample_id in self._set.samples

    @property
    def samples(self) -> Mapping[str, Counts]:
        """What became of the patches of each sample, in the order in which samples were added."""
        return self._set.samples

    def add_tile(  # noqa: PLR0917  (the public signature)
        self,
        tile: xr.Dataset,
        labels: Vectors,
        region: str,
        sample_id: str,
        extent: Vectors | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Counts:
        """Add the patches of a tile, all or none of them; a sample that is in the set already is left as it is.

        Args:
            tile: All bands in memory representation, and `quality_data_mask` if there is one. Its attributes `azimuth`
                and `elevation` say where the sun stood, in degrees.
            labels: Outlines of slumps in any CRS, may be empty; it is not changed.
            region: Name of the region.
            sample_id: Name of the sample, unique in the set.
            extent: Outline of the ground that was searched for slumps, in any CRS. None: the whole tile.
            metadata: More columns for each patch, such as ids of the source.

        Returns:
            How many patches were taken, and left out for which reason.

        Raises:
            DataError: If the tile lacks a band, or labels have no CRS.
            GridError: If the tile has no georeference.
        """
        if sample_id in self:
            logger.info("%s is in the training data already", sample_id)
            return self.samples[sample_id]
        bands = self._bands_of(tile)
        quality = tile["quality_data_mask"].values if "quality_data_mask" in tile else None
        geobox = geobox_of(tile)
        burned = burn_labels(geobox, labels, extent, quality)
        places, counts = self._rules.select(bands, burned)
        self._write(places, bands, burned, _hidden(bands, quality))
        described = {"region": region, "sample_id": sample_id, **_sun_of(tile.attrs), **(metadata or {})}
        rows = self._rows(places, burned, geobox, described)
        self._set.commit(rows, sample_id, counts)
        return counts

    def finalize(self, data_config: Mapping[str, Any] | None = None) -> None:
        """Write `config.toml` and make the set one of plain files; more can be added with another builder.

        Args:
            data_config: What is needed to make the set again; it stands in `config.toml` beside the table `dataset`,
                which has the bands and the other settings.
        """
        dataset = {**self._set.settings, "n_patches": len(self)}
        write_toml(self._set.folder / "config.toml", {**(data_config or {}), "dataset": dataset})
        self._set.seal()

    def _bands_of(self, tile: xr.Dataset) -> dict[str, Array]:
        lacking = [band for band in self.bands if band not in tile]
        if lacking:
            raise DataError(f"the tile lacks {', '.join(lacking)}. Add the bands, or leave them out of the set.")
        return {band: tile[band].values for band in self.bands}

    def _write(self, places: Sequence[Place], bands: Mapping[str, Array], burned: Array, hidden: Array) -> None:
        """Write patches behind those of the set, several files at once."""
        first, shard = len(self), self._set.shard_size
        bounds = [first, *range((first // shard + 1) * shard, first + len(places), shard), first + len(places)]

        def write_file(start: int, stop: int) -> None:
            mine = places[start - first : stop - first]
            if mine:
                x = np.stack([_features(place, bands, hidden) for place in mine])
                self._set.write(
                    start, x, np.stack([_padded(place.read(burned), place.size, IGNORED) for place in mine])
                )

        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="darts-patches") as workers:
            list(workers.map(write_file, bounds[:-1], bounds[1:]))

    def _rows(
        self, places: Sequence[Place], burned: Array, geobox: GeoBox, described: Mapping[str, Any]
    ) -> gpd.GeoDataFrame:
        """Return the metadata of patches."""
        sample_id = described["sample_id"]
        rows = [
            {
                "z_idx": len(self) + number,
                "patch_id": f"{sample_id}_{place.row}_{place.column}",
                "region": described["region"],
                "sample_id": sample_id,
                "empty": not bool((place.read(burned) == SLUMP).any()),
                "x": place.x,
                "y": place.y,
                "patch_idx_x": place.column,
                "patch_idx_y": place.row,
                **described,
            }
            for number, place in enumerate(places)
        ]
        outlines = gpd.GeoSeries([_outline(place, geobox) for place in places], crs=str(geobox.crs)).to_crs(CRS)
        return gpd.GeoDataFrame(rows, geometry=outlines, crs=CRS)


def _sun_of(attributes: Mapping[Any, Any]) -> dict[str, float]:
    """Return the columns that say where the sun stood, NaN for what is unknown or no such angle.

    The limits are those within which hillshade follows the sun, so that it can be made again from these columns.
    """
    limits = {"azimuth": (-360, 360), "elevation": (0, 90)}
    given = {name: (attributes.get(name), *bounds) for name, bounds in limits.items()}
    return {
        f"sun_{name}": float(angle) if isinstance(angle, int | float | np.number) and low <= angle <= high else math.nan
        for name, (angle, low, high) in given.items()
    }


def _features(place: Place, bands: Mapping[str, Array], hidden: Array) -> Array:
    """Return (band, y, x) float32, the model representation of a patch; 0 beyond the tile and where it is hidden."""
    x = np.stack(
        [_padded(manager[name].normalize(place.read(values)), place.size, 0) for name, values in bands.items()]
    )
    x[:, _padded(place.read(hidden), place.size, 1)] = 0
    return x


def _hidden(bands: Mapping[str, Array], quality: Array | None) -> Array:
    """Return where an image has no data, (y, x) bool: there networks see nothing in a map, so nothing here either."""
    shape = next(iter(bands.values())).shape
    hidden = np.zeros(shape, dtype=bool) if quality is None else quality == 0
    for name in OPTICAL_BANDS & set(bands):
        hidden |= np.isnan(bands[name])
    return hidden


def _padded(values: Array, size: int, fill: int) -> Array:
    height, width = values.shape
    if (height, width) == (size, size):
        return values
    return np.pad(values, ((0, size - height), (0, size - width)), constant_values=fill)


def _outline(place: Place, geobox: GeoBox) -> shapely.Polygon:
    """Return the outline of a patch in the CRS of its tile."""
    left, top = geobox.affine * (place.x, place.y)
    right, bottom = geobox.affine * (place.x + place.size, place.y + place.size)
    return shapely.box(left, bottom, right, top)


def _check(patch_size: int, overlap: int, bands: Sequence[str], shard_size: int | None) -> None:
    for name, value, lowest in (("patch_size", patch_size, 1), ("overlap", overlap, 0), ("shard_size", shard_size, 1)):
        if value is not None and value < lowest:
            raise ConfigError(f"{name} is {value} but must be at least {lowest}.")
    check_overlap(overlap, patch_size)
    unknown = [band for band in bands if band not in manager]
    if unknown or not bands:
        raise ConfigError(f"bands are {', '.join(bands)}, but known ones are {', '.join(manager)}. Correct the names.")


def _check_same(old: PatchSet, settings: Mapping[str, Any]) -> None:
    """Refuse to add patches that were made in another way than those of a set."""
    other = {name: (old.settings.get(name), value) for name, value in settings.items()}
    differing = [f"{name} {was} and not {value}" for name, (was, value) in other.items() if was != value]
    if differing:
        raise ConfigError(
            f"the training data in {old.folder} was made with {', '.join(differing)}. Use the same, choose another "
            "folder, or replace it with --no-append."
        )
