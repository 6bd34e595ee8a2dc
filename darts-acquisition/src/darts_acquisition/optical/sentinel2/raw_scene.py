"""A staged scene, read with the suspicion that a disk deserves: what is not there, or not what it should be, fails."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
import zarr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_utils.errors import DataError, GridError, MissingDataError, one_line, with_kind
from darts_utils.grid import pixel_size_m
from darts_utils.rasters.chunked import read_chunks
from darts_utils.rasters.window import Window

ALL_CHUNKS = "darts:all_chunks"
"""Attribute of bands of which every chunk was written, so that one that is not there was lost. Earlier releases left
out chunks without data."""
WINDOW, WHOLE_SHAPE = "darts:window", "darts:whole_shape"
"""Attributes of a scene of which only a window was asked for: the window, and the shape of the whole scene."""
NO_DATA = {"uint8": 0, "uint16": 0, "int16": -32768}
"""Value of no data by the types of bands: in the one that has negative numbers 0 is data."""
_AGAIN = "Delete the scene and stage it again."
_LONGEST_PX = 100_000
"""More rows or columns than any scene has."""
_UNEVEN = 1e-3
"""Share of a pixel by which coordinates may differ from a regular grid: some are stored in single precision."""


@dataclass(frozen=True)
class RawScene:
    """A staged scene, opened: its bands are read one by one when asked for."""

    scene_id: str
    path: Path
    part: Window | None = None
    """The part of what is staged that is read, None for all of it."""

    def cut(self, window: Window) -> "RawScene":
        """Return a part of it.

        Raises:
            DataError: If it does not reach as far.
        """
        height, width = self._staged_grid.shape
        if window.rows.stop > height or window.columns.stop > width:
            raise DataError(f"{window.name} is not within the {height} x {width} pixels of {self.path}. {_AGAIN}")
        return RawScene(self.scene_id, self.path, window)

    @property
    def whole_grid(self) -> GeoBox | None:
        """Grid of the scene of which this is a window; None if it does not say so."""
        try:
            window, (height, width) = Window(*self.attributes[WINDOW]), self.attributes[WHOLE_SHAPE]
            affine = self._staged_grid.affine * Affine.translation(-window.left, -window.top)
            return GeoBox((height, width), affine, self._staged_grid.crs)
        except (LookupError, TypeError, ValueError):
            return None

    @property
    def geobox(self) -> GeoBox:
        """Grid of the scene, or of the part of it that is read, north up, in metres.

        Raises:
            DataError: If the store has no usable coordinates or CRS.
        """
        return self._staged_grid if self.part is None else self.part.crop(self._staged_grid)

    @cached_property
    def _group(self) -> zarr.Group:
        try:
            return zarr.open_group(self.path, mode="r", use_consolidated=False)
        except Exception as error:
            raise DataError(
                f"the staged scene {self.path} cannot be opened ({one_line(error)}). Delete it and stage it again."
            ) from error

    @cached_property
    def _arrays(self) -> dict[str, zarr.Array[Any]]:
        group = self._group
        try:
            return {name: array for name, array in group.arrays() if not name.startswith(".")}
        except Exception as error:  # zarr raises almost anything about descriptions that are none
            raise DataError(
                f"the staged scene {self.path} is damaged ({one_line(error)}). Delete it and stage it again."
            ) from error

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """Metadata of the scene as the source gave it."""
        return dict(self._group.attrs)

    @property
    def zarr_format(self) -> Literal[2, 3]:
        """Version of the format that the scene is stored in."""
        return self._group.metadata.zarr_format

    @cached_property
    def bands(self) -> tuple[str, ...]:
        """Names of the staged bands, as the source calls them.

        Raises:
            DataError: If the store is damaged.
        """
        return tuple(sorted(name for name, array in self._arrays.items() if array.ndim == 2))

    @cached_property
    def whole_bands(self) -> tuple[str, ...]:
        """Names of the staged bands of which nothing was lost; others are to be fetched again."""
        return tuple(band for band in self.bands if not self._lost_chunks(band))

    def band_attributes(self, band: str) -> dict[str, Any]:
        """Metadata of one band, such as its scale and offset.

        Raises:
            MissingDataError: If the band is not staged.
        """
        return {key: value for key, value in self._band(band).attrs.items() if key != ALL_CHUNKS}

    @cached_property
    def _staged_grid(self) -> GeoBox:
        arrays = self._arrays  # a store that cannot be opened says so itself
        try:
            reference = dict(arrays["spatial_ref"].attrs)
            x, y = self._coordinates("x"), self._coordinates("y")
            grid = GeoBox((len(y), len(x)), _transform(x, y, reference), str(reference["crs_wkt"]))
            _check_grid(grid, x, y)
        except KeyError as error:
            raise DataError(f"the staged scene {self.path} lacks {error}. Delete it and stage it again.") from error
        except Exception as error:  # PROJ, GDAL and zarr raise all kinds
            raise DataError(
                f"the grid of the staged scene {self.path} is unusable ({one_line(error)})."
                " Delete it and stage it again."
            ) from error
        return grid

    def _coordinates(self, name: str) -> np.ndarray:
        """Return coordinates along an axis; what claims to be longer than any scene is not read, for want of memory."""
        array = self._arrays[name]
        if array.ndim != 1 or not 0 < array.shape[0] <= _LONGEST_PX:
            raise GridError(f"its {name} coordinates have the shape {array.shape}, which no scene has")
        return np.asarray(array[:])

    def _band(self, name: str) -> zarr.Array[Any]:
        if name not in self.bands:
            staged = ", ".join(self.bands) or "none"
            raise MissingDataError(
                f"scene {self.scene_id} has no band {name} in {self.path} (staged: {staged}). "
                "Stage it with `darts prep-data sentinel2 --optical`."
            )
        return self._arrays[name]

    def _lost_chunks(self, band: str) -> int:
        """Return how many chunks of a band are not there though they were written."""
        array = self._band(band)
        return array.nchunks - array.nchunks_initialized if array.attrs.get(ALL_CHUNKS) is True else 0

    def gaps(self, bands: Iterable[str]) -> float:
        """Return the share of the chunks of some bands that are not there and may never have been written."""
        arrays = [self._band(band) for band in bands]
        unmarked = [array for array in arrays if array.attrs.get(ALL_CHUNKS) is not True]
        n_chunks = sum(array.nchunks for array in unmarked)
        return 1 - sum(array.nchunks_initialized for array in unmarked) / n_chunks if n_chunks else 0.0

    def read(self, band: str, dtype: str | None = None) -> xr.DataArray:
        """Return the digital numbers of a band, (y, x), uint16, or uint8 for a classification.

        Args:
            band: Its name.
            dtype: The only type that will do, if there is one.

        Raises:
            MissingDataError: If the band is not staged.
            DataError: If the stored data is damaged, or of another type.
        """
        array = self._band(band)
        self._check(band, array, tuple(NO_DATA) if dtype is None else (dtype,))
        try:
            values = read_chunks(array, *self._window)
        except Exception as error:
            raise DataError(f"band {band} of {self.path} is damaged ({with_kind(error)}). {_AGAIN}") from error
        return wrap_xr(values, self.geobox, nodata=None)

    @property
    def _window(self) -> tuple[slice, slice]:
        """Rows and columns that are read."""
        if self.part is not None:
            return self.part.rows, self.part.columns
        height, width = self._staged_grid.shape
        return slice(0, height), slice(0, width)

    def _check(self, band: str, array: zarr.Array[Any], types: tuple[str, ...]) -> None:
        if array.dtype.name not in types:
            raise DataError(f"band {band} of {self.path} is {array.dtype} but must be {' or '.join(types)}. {_AGAIN}")
        if array.shape != tuple(self._staged_grid.shape):
            raise DataError(
                f"band {band} of {self.path} has the shape {array.shape}, its coordinates "
                f"{tuple(self._staged_grid.shape)}. "
                f"{_AGAIN}"
            )
        lost = self._lost_chunks(band)
        if lost:
            raise DataError(f"band {band} of {self.path} lacks {lost} of its {array.nchunks} chunks. {_AGAIN}")


def _transform(x: np.ndarray, y: np.ndarray, reference: Mapping[str, Any]) -> Affine:
    """Return the affine transform from pixels to metres, from the GDAL attribute or else from the coordinates."""
    if "GeoTransform" in reference:
        x_0, a, b, y_0, d, e = (float(number) for number in str(reference["GeoTransform"]).split())
        return Affine(a, b, x_0, d, e, y_0)
    a = (float(x[-1]) - float(x[0])) / (len(x) - 1)
    e = (float(y[-1]) - float(y[0])) / (len(y) - 1)
    return Affine(a, 0, float(x[0]) - a / 2, 0, e, float(y[0]) - e / 2)


def _check_grid(grid: GeoBox, x: np.ndarray, y: np.ndarray) -> None:
    """Check that a grid is one of square metres, and that the coordinates are the centres of its pixels."""
    size_m = pixel_size_m(grid)
    a, _, left, _, e, top = grid.affine[:6]
    for name, given, first, step in (("x", x, left, a), ("y", y, top, e)):
        wanted = first + step * (np.arange(len(given)) + 0.5)
        if not (np.abs(given - wanted) <= _UNEVEN * size_m).all():  # nor is NaN
            raise GridError(f"its {name} coordinates are not the centres of regular pixels")
