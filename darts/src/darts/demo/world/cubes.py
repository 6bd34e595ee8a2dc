"""The elevation and the trends of a world, put into real datacubes by smart-geocubes, without its downloads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import pyproj
import shapely
import smart_geocubes
import xarray as xr
import zarr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from smart_geocubes.core import PatchIndex, RemoteAccessor

from darts.demo.world.fields import PIXEL_M, Noise
from darts.demo.world.place import MARGIN_PX, Place
from darts_acquisition.auxiliary.filling import cube_lock, from_memory
from darts_utils.errors import ConfigError
from darts_utils.rasters.arrays import Array

_DEM_NO_DATA = -9999.0
_FILLED_MARGIN_PX = 45
"""How far around the scene the cubes are filled; less than the world knows, so that resampling finds neighbours."""
_COARSE_STEP_PX = 32
_ROUGHNESS_M = 0.03
"""What a model at 2 m shows between the pixels of the world."""


class Land(Protocol):
    """What is charted of a world."""

    @property
    def seed(self) -> int:
        """Its seed."""

    @property
    def size(self) -> int:
        """Edge length in pixels."""

    @property
    def place(self) -> Place:
        """Where it lies."""

    @property
    def elevation(self) -> Array:
        """(y, x) float32 in metres on the padded grid, NaN where the elevation model has holes."""

    @property
    def trends(self) -> Array:
        """(brightness greenness wetness, y, x) uint8 on the padded grid."""


def write_arcticdem(world: Land, aux_dir: Path, resolution_m: int = 10) -> Path:
    """Add the elevation of a world to an ArcticDEM cube, which is made if there is none; return its folder.

    Args:
        world: The world.
        aux_dir: Folder of the datacubes.
        resolution_m: Pixel size of the cube, 10 or 2 m; the finer one shows roughness that the coarser does not.
    """
    accessor = {10: smart_geocubes.ArcticDEM10m, 2: smart_geocubes.ArcticDEM2m}[resolution_m]
    grid = _window(accessor.extent, world)
    elevation = _resampled(world.elevation, world, grid)
    if resolution_m < PIXEL_M:
        elevation += _ROUGHNESS_M * Noise(world.seed, grid.shape.yx).field("fine matching noise", 14, 4, 0.8)
    has_data = np.isfinite(elevation)
    layers = {"dem": np.where(has_data, elevation, _DEM_NO_DATA).astype(np.float32), "datamask": has_data}
    return _fill(accessor, aux_dir / f"arcticdem_{resolution_m}m.icechunk", world, layers, grid)


def write_tcvis(world: Land, aux_dir: Path) -> Path:
    """Add the trends of a world to the TCVIS cube, which is made if there is none; return its folder."""
    grid = _window(smart_geocubes.TCTrend.extent, world)
    names = ("TCB_slope", "TCG_slope", "TCW_slope")
    layers = {name: _resampled(layer, world, grid) for name, layer in zip(names, world.trends, strict=True)}
    return _fill(smart_geocubes.TCTrend, aux_dir / "tcvis.icechunk", world, layers, grid)


def _window(cube: GeoBox, world: Land) -> GeoBox:
    """Return the part of a cube's grid that holds the scene and some ground around it."""
    around = world.place.geobox.pad(_FILLED_MARGIN_PX)
    left, bottom, right, top = around.footprint(str(cube.crs), npoints=100).boundingbox
    (columns, rows) = _transformed(~cube.affine, np.array([left, right]), np.array([top, bottom]))
    first, last = np.floor((rows[0], columns[0])).astype(int), np.ceil((rows[1], columns[1])).astype(int)
    return cube[int(first[0]) : int(last[0]), int(first[1]) : int(last[1])]


def _transformed(affine: Affine, x: Array, y: Array) -> tuple[Array, Array]:
    """Return points after an affine transform."""
    return affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f


def _resampled(layer: Array, world: Land, grid: GeoBox) -> Array:
    """Return a layer of the padded world on another grid, cubic; corners beyond the world mirror what is inside."""
    columns, rows = source_positions(world.place.padded_geobox, grid)
    return cv2.remap(
        np.ascontiguousarray(layer), columns, rows, interpolation=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )


def source_positions(source: GeoBox, grid: GeoBox) -> tuple[Array, Array]:
    """Return column and row in `source` of each pixel centre of `grid`, float32.

    Projected at every 32nd pixel and interpolated: both grids are smooth, so the error is below a hundredth pixel.
    """
    rows, columns = (np.linspace(0, n - 1, max(2, n // _COARSE_STEP_PX)) for n in grid.shape)
    x, y = _transformed(grid.affine, *np.meshgrid(columns + 0.5, rows + 0.5))
    transformer = pyproj.Transformer.from_crs(str(grid.crs), str(source.crs), always_xy=True)
    column, row = _transformed(~source.affine, *transformer.transform(x, y))
    return _interpolated(column - 0.5, rows, columns, grid), _interpolated(row - 0.5, rows, columns, grid)


def _interpolated(coarse: Array, rows: Array, columns: Array, grid: GeoBox) -> Array:
    height, width = grid.shape
    along_x = np.stack([np.interp(np.arange(width), columns, line) for line in coarse])
    along_y = np.stack([np.interp(np.arange(height), rows, one) for one in np.eye(len(rows))], axis=1)
    return (along_y @ along_x).astype(np.float32)


def _fill(accessor: type[RemoteAccessor], path: Path, world: Land, layers: Mapping[str, Array], grid: GeoBox) -> Path:
    """Write layers as one patch of a cube and record which area it fills; a patch that is there is kept.

    Raises:
        ConfigError: If another world lies there already.
    """
    patch_id = f"demo-{world.seed}-{world.size}"
    bounds = tuple(float(number) for number in grid.boundingbox)
    patch = xr.Dataset({name: wrap_xr(values, grid) for name, values in layers.items()})
    with cube_lock(path):
        cube = from_memory(accessor)(path, create_icechunk_storage=True, backend="simple")
        cube.create(exists_ok=True)
        _refuse_overlap(cube, patch_id, bounds, path)
        cube.backend.submit([PatchIndex(patch_id, grid.geographic_extent, None, patch)])
        _record_bounds(cube, patch_id, bounds)
    return path


def _refuse_overlap(cube: Any, patch_id: str, bounds: tuple[float, ...], path: Path) -> None:
    recorded = cube.open_zarr().attrs.get("patch_bounds", {})
    for other, other_bounds in recorded.items():
        if other != patch_id and shapely.box(*bounds).intersects(shapely.box(*other_bounds)):
            raise ConfigError(
                f"the world {patch_id} lies where {path} already holds {other}. Choose another seed or an empty folder."
            )


def _record_bounds(cube: Any, patch_id: str, bounds: tuple[float, ...]) -> None:
    """Write the filled area into the cube's root attribute `patch_bounds`.

    This comes after the data: a patch without bounds counts as not filled, so a kill in between does no harm.
    """
    session = cube.repo.writable_session("main")
    group = zarr.open_group(session.store, mode="r+")
    recorded: Any = group.attrs.get("patch_bounds", {})
    if recorded.get(patch_id) == list(bounds):
        return
    group.attrs["patch_bounds"] = {**recorded, patch_id: list(bounds)}
    session.commit(f"Record the bounds of {patch_id}")


assert _FILLED_MARGIN_PX < MARGIN_PX
