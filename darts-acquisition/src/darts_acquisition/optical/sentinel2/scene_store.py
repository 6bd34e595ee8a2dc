"""The raw scene store: one zarr group a scene, one array a band with the digital numbers as the source gave them.

A scene appears whole or not at all: it is written beside its place and renamed.
"""

import glob
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
import zarr
from numcodecs import Zstd
from odc.geo.geobox import GeoBox
from zarr.codecs import ZstdCodec

from darts_acquisition.optical.sentinel2.raw_scene import ALL_CHUNKS, NO_DATA, WHOLE_SHAPE, WINDOW, RawScene
from darts_utils.errors import DataError, MissingDataError
from darts_utils.files import (
    abandon,
    atomic_folder,
    check_replaceable,
    make_folder,
    part_path,
    replace_folder,
    stale_parts,
    sync_path,
)
from darts_utils.names import check_name
from darts_utils.rasters.window import Window

CHUNK_PX = 4096
_BAND_MARK = ".band-"


class PartialScene:
    """A scene on its way into the store: bands are added from several threads, each whole or not at all."""

    def __init__(self, scene_id: str, path: Path) -> None:
        self._scene = RawScene(scene_id, path)
        self._lock = threading.Lock()

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands that are there."""
        return RawScene(self._scene.scene_id, self._scene.path).whole_bands if self._scene.path.exists() else ()

    def add(self, name: str, band: xr.DataArray) -> None:
        """Add a band, (y, x) uint16 (0 = no data), int16 (-32768) or uint8, with its scale in its attributes.

        Raises:
            DataError: If it lies on another grid than the bands before.
        """
        part = self._scene.path
        beside = part.with_name(f"{part.stem}{_BAND_MARK}{name}{part.suffix}")
        _write_group(beside, xr.Dataset({name: band}), zarr_format=3)
        with self._lock:
            if not part.exists():
                beside.rename(part)
                return
            if band.odc.geobox != self._scene.geobox:
                shutil.rmtree(beside)
                raise _other_grid(name, self._scene)
            _put(beside / name, part / name)
        shutil.rmtree(beside)


def _taken_over(abandoned: Path, part: Path) -> bool:
    """Rename what a killed process left; only one of several processes succeeds."""
    try:
        abandoned.rename(part)
    except OSError:
        return False
    return True


def _other_grid(name: str, scene: RawScene) -> DataError:
    return DataError(
        f"band {name} of scene {scene.scene_id} lies on another grid than what is staged in {scene.path}. "
        "Delete the scene and stage it again."
    )


class SceneStore:
    """A folder of staged scenes of one source.

    Args:
        folder: Where the scenes lie; it is not made before something is written.
        source: Short name of the source, as in names of folders.
        prefix: What names of folders begin with, `{source}-s2-sr-scene-` if not given.
    """

    def __init__(self, folder: Path, source: str, prefix: str | None = None) -> None:
        self.folder = Path(folder)
        self.source = source
        self._prefix = f"{source}-s2-sr-scene-" if prefix is None else prefix

    def path(self, scene_id: str) -> Path:
        """Return where a scene lies or would lie.

        Raises:
            DataError: If the id cannot be the name of a folder, so that nothing is written elsewhere.
        """
        check_name(scene_id, "a staged scene")
        return self.folder / f"{self._prefix}{scene_id}.zarr"

    def id_of(self, path: Path) -> str | None:
        """Return the id of the scene that a folder is named for, None if it is none of this store."""
        of_store = path.parent == self.folder and path.suffix == ".zarr" and path.stem.startswith(self._prefix)
        return path.stem.removeprefix(self._prefix) or None if of_store else None

    def holding(self, scene_id: str, window: Window | None, bands: Iterable[str]) -> RawScene:
        """Return a staged scene, or its window: cut out of the whole scene if that has all the bands.

        Args:
            scene_id: Id of the scene.
            window: The part that is wanted, None for all of it.
            bands: The bands that are wanted.

        Raises:
            MissingDataError: If neither is in the store.
        """
        if window is None:
            return self.open(scene_id)
        if scene_id in self:
            with suppress(DataError):
                whole = self.open(scene_id)
                if {*bands} <= {*whole.whole_bands}:
                    return whole.cut(window)
        if (name := windowed(scene_id, window)) not in self:
            raise self._not_staged(scene_id, f"the {window.name} of scene {scene_id}", " --clip-to-aoi")
        return replace(self.open(name), scene_id=scene_id)

    def lacking(self, scene_id: str, bands: Iterable[str], window: Window | None = None) -> list[str]:
        """Return which bands of a scene are not staged whole; all of them if what is staged is damaged.

        Args:
            scene_id: Id of the scene.
            bands: The bands that are wanted.
            window: The part that is wanted, None for all of it.
        """
        wanted = list(bands)
        staged: tuple[str, ...] = ()
        with suppress(DataError, MissingDataError):
            staged = self.holding(scene_id, window, wanted).whole_bands
        return [band for band in wanted if band not in staged]

    def grid(self, scene_id: str) -> GeoBox | None:
        """Return the grid of a scene, be only windows of it staged; None if nothing of it is."""
        if scene_id in self:
            return self.open(scene_id).geobox
        return next((grid for part in self._windows(scene_id) if (grid := part.whole_grid) is not None), None)

    def parts(self, scene_id: str) -> list[RawScene]:
        """Return what is staged of a scene: all of it first, then its windows."""
        return [*([self.open(scene_id)] if scene_id in self else []), *self._windows(scene_id)]

    def _windows(self, scene_id: str) -> list[RawScene]:
        found = sorted(self.folder.glob(f"{self._prefix}{glob.escape(scene_id)}_window-*.zarr"))
        return [RawScene(scene_id, path) for path in found]

    def scene_ids(self) -> list[str]:
        """Return the ids of all staged scenes in alphabetical order."""
        return sorted(path.stem.removeprefix(self._prefix) for path in self.folder.glob(f"{self._prefix}*.zarr"))

    def __contains__(self, scene_id: str) -> bool:
        return self.path(scene_id).is_dir()

    def open(self, scene_id: str) -> RawScene:
        """Return a staged scene.

        Raises:
            MissingDataError: If it is not in the store.
        """
        path = self.path(scene_id)
        if scene_id not in self:
            raise self._not_staged(scene_id, f"scene {scene_id}")
        return RawScene(scene_id, path)

    def _not_staged(self, scene_id: str, what: str, how: str = "") -> MissingDataError:
        which = "--aoi-file AREA" if how else f"--scene-ids {scene_id}"
        return MissingDataError(
            f"{what} is not staged in {self.folder}. Stage it with `darts prep-data sentinel2 --optical "
            f"--raw-data-source {self.source} {which}{how}`."
        )

    def write(
        self,
        scene_id: str,
        bands: Mapping[str, xr.DataArray],
        attributes: Mapping[str, Any],
    ) -> Path:
        """Write a scene, replacing an older one of the same id; return its path.

        Args:
            scene_id: Id of the scene.
            bands: Digital numbers by the source's band name, (y, x) uint16 (0 = no data), int16 (-32768) or uint8, all
                on one grid; their attributes (`raster:scale`, `raster:offset`) are kept.
            attributes: Metadata of the scene; anything that JSON can hold.
        """
        path = self.path(scene_id)
        scene = xr.Dataset(dict(bands), attrs=dict(attributes))
        with atomic_folder(path) as part:
            _write_group(part, scene, zarr_format=3)
        return path

    @contextmanager
    def stage(self, scene_id: str, attributes: Mapping[str, Any]) -> Iterator["PartialScene"]:
        """Give a scene that is not in the store yet, to be filled band by band; when the block ends well it appears.

        What a killed process or a failed block had brought of it is taken over.

        Args:
            scene_id: Id of the scene.
            attributes: Metadata of the scene; anything that JSON can hold.
        """
        final = self.path(scene_id)
        check_replaceable(final)  # before a gigabyte is fetched
        make_folder(self.folder)
        part = part_path(final)
        for abandoned in stale_parts(self.folder, final):
            if part.exists() or _BAND_MARK in abandoned.name or not _taken_over(abandoned, part):
                shutil.rmtree(abandoned, ignore_errors=True)
        try:
            yield PartialScene(scene_id, part)
        except BaseException:
            abandon(part)
            raise
        zarr.open_group(part, mode="r+").attrs.update(dict(attributes))
        for path in part.rglob("*"):
            sync_path(path)
        replace_folder(part, final)

    def add_bands(self, scene_id: str, bands: Mapping[str, xr.DataArray]) -> Path:
        """Add bands to a staged scene, each whole or not at all; return its path.

        Bands that are there already are kept as they are, unless chunks of them were lost. Metadata that an earlier
        release consolidated is left alone: this class does not read it.

        Args:
            scene_id: Id of a staged scene.
            bands: As for `write`, on the grid of the scene.

        Raises:
            MissingDataError: If the scene is not in the store.
            DataError: If a band lies on another grid.
        """
        scene = self.open(scene_id)
        for name, band in bands.items():
            if band.odc.geobox != scene.geobox:
                raise _other_grid(name, scene)
        for name, band in bands.items():
            part = part_path(scene.path)
            try:
                _write_group(part, xr.Dataset({name: band}), scene.zarr_format)
                for path in (part / name).rglob("*"):
                    sync_path(path)
                if name not in self.open(scene_id).whole_bands:
                    _put(part / name, scene.path / name)
                sync_path(scene.path)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        return scene.path


def windowed(scene_id: str, window: Window | None) -> str:
    """Return the name under which a scene or a window of it is staged, and its results are kept."""
    return scene_id if window is None else f"{scene_id}_{window.name}"


def window_attributes(window: Window | None, grid: GeoBox) -> dict[str, Any]:
    """Return what a staged window says of itself: what is outside was not asked for, and is not lost.

    Args:
        window: The window, None for a whole scene.
        grid: The grid of the whole scene.
    """
    return {} if window is None else {WINDOW: window.as_list, WHOLE_SHAPE: list(grid.shape)}


def _put(made: Path, place: Path) -> None:
    """Put a band in its place, in which an incomplete one may be."""
    if place.exists():
        shutil.rmtree(place)
    made.rename(place)


def _write_group(path: Path, scene: xr.Dataset, zarr_format: Literal[2, 3]) -> None:
    for number, name in enumerate(scene.data_vars):  # one by one: each is copied on its way, and a whole scene has 1 GB
        marked = scene[[name]]
        marked[name] = marked[name].assign_attrs({ALL_CHUNKS: True})
        marked.to_zarr(
            path,
            mode="w" if number == 0 else "a",
            zarr_format=zarr_format,
            consolidated=False,
            encoding={name: _encoding(scene[name], zarr_format)},
            write_empty_chunks=True,  # so that a lost one can be told from one without data
        )


def _encoding(band: xr.DataArray, zarr_format: Literal[2, 3]) -> dict[str, Any]:
    """Return how a band is stored: large zstd chunks with a checksum, so that damage is noticed when reading."""
    codec = ZstdCodec(level=3, checksum=True) if zarr_format == 3 else Zstd(level=3, checksum=True)
    encoding: dict[str, Any] = {
        "chunks": tuple(min(CHUNK_PX, length) for length in band.shape),
        "compressors": [codec],
    }
    if band.dtype in (np.uint16, np.int16):
        encoding["_FillValue"] = NO_DATA[band.dtype.name]
    return encoding
