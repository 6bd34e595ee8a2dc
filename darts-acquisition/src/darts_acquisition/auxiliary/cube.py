"""Windows out of smart-geocubes datacubes, opened read-only, with a check that the window was really filled.

Opening goes straight through icechunk and zarr: the accessor classes of smart-geocubes ask the network for index files.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import shapely
import xarray as xr
import zarr
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from zarr.errors import GroupNotFoundError

from darts_utils.errors import CoverageError, DataError, MissingDataError, one_line
from darts_utils.rasters.chunked import read_chunks

icechunk.set_logs_filter("off")  # what it says of local cubes is no news, and of damage its errors tell

STAGE_WITH = "darts prep-data sentinel2 --aux"
"""The command that errors name unless a caller knows a better one."""

_AGAIN = "Delete the cube and stage it again."

type Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Cube:
    """An opened datacube."""

    path: Path
    group: zarr.Group
    geobox: GeoBox

    @property
    def patches(self) -> list[str]:
        """Ids of the patches that were filled in.

        Raises:
            DataError: If the record of them is damaged.
        """
        return self._recorded(
            lambda: [
                str(patch)
                for patch in self.group.attrs.get("loaded_patches", [])  # type: ignore[union-attr]  # if not, it is damaged
            ]
        )

    @property
    def recorded_bounds(self) -> dict[str, Bounds]:
        """Bounds in the cube's CRS of those patches whose writer recorded them.

        Raises:
            DataError: If the record of them is damaged.
        """
        recorded: Any = self.group.attrs.get("patch_bounds", {})
        return self._recorded(lambda: {str(patch): _bounds(bounds) for patch, bounds in recorded.items()})

    def _recorded[T](self, read: Callable[[], T]) -> T:
        try:
            return read()
        except (AttributeError, TypeError, ValueError) as error:
            raise DataError(
                f"the record of what is filled in the datacube {self.path} is damaged ({one_line(error)}). {_AGAIN}"
            ) from error

    def array(self, name: str, kinds: str) -> zarr.Array[Any]:
        """Return a variable of the cube.

        Args:
            name: Its name.
            kinds: Numpy's letters of the kinds that will do: `f` decimals, `u` and `i` whole, `b` true or false.

        Raises:
            DataError: If the cube lacks it, or it is of another grid or type than the data set has.
        """
        try:
            array = self.group[name]
        except KeyError:
            array = None
        except Exception as error:
            raise self._unreadable(name, error) from error
        if not isinstance(array, zarr.Array):
            raise DataError(
                f"the datacube {self.path} has no {name}, so it holds something else. Choose another folder."
            )
        shape = tuple(self.geobox.shape)
        if array.shape != shape:
            raise DataError(
                f"{name} of the datacube {self.path} has the shape {array.shape}, but that of the data set in this"
                f" resolution is {shape}. Choose another folder."
            )
        if array.dtype.kind not in kinds:
            raise DataError(f"{name} of the datacube {self.path} has the type {array.dtype}. {_AGAIN}")
        return array

    def read(self, variables: Mapping[str, str], window: GeoBox) -> xr.Dataset:
        """Return variables of the cube within a window of its grid, (y, x), in their stored dtypes.

        Args:
            variables: The kinds of type that will do for each, see `array`.
            window: The window.

        Raises:
            DataError: If the stored data is damaged, or the cube is one of something else.
        """
        rows, columns = window_slices(self.geobox, window)
        data = {}
        for name, kinds in variables.items():
            array = self.array(name, kinds)
            try:
                data[name] = wrap_xr(read_chunks(array, rows, columns), window, nodata=None, always_yx=True)
            except Exception as error:
                raise self._unreadable(name, error) from error
        return xr.Dataset(data)

    def _unreadable(self, name: str, error: Exception) -> DataError:
        return DataError(f"{name} of the datacube {self.path} cannot be read ({one_line(error)}). {_AGAIN}")


def _bounds(given: Any) -> Bounds:
    left, bottom, right, top = map(float, given)
    if not (left <= right and bottom <= top):
        raise ValueError(f"bounds of {[left, bottom, right, top]}")
    return left, bottom, right, top


def cube_path(data_dir: Path, name: str) -> Path:
    """Return the icechunk folder: `data_dir` itself if it is or is to be a cube, else the folder `name` in it.

    Reading and writing go by the same rule: a folder that holds `name` is a folder of cubes; else one that holds a
    cube, or whose name ends in .icechunk, is the cube.
    """
    data_dir = Path(data_dir)
    inside = data_dir / name
    if not inside.is_dir() and (data_dir.suffix == ".icechunk" or (data_dir / "snapshots").is_dir()):
        return data_dir
    return inside


def open_cube(path: Path, geobox: GeoBox, stage_with: str) -> Cube:
    """Return a datacube opened read-only.

    Args:
        path: The icechunk folder.
        geobox: Grid of the whole cube; it is defined by the data set, and reading its long coordinates back costs time.
        stage_with: Command that fetches the cube, for the error message.

    Raises:
        MissingDataError: If there is no cube.
        DataError: If what is there cannot be opened.
    """
    if not path.is_dir() or not any(path.iterdir()):
        raise MissingDataError(f"there is no datacube at {path}. Stage it with `{stage_with}`.")
    try:
        repository = icechunk.Repository.open(icechunk.local_filesystem_storage(str(path.resolve())))
        group = zarr.open_group(repository.readonly_session("main").store, mode="r")
    except GroupNotFoundError as error:
        if _holds_data(path):  # zarr takes a record that cannot be read for one that is not there
            raise DataError(
                f"the datacube {path} cannot be opened (its latest snapshot is lost or damaged)."
                f" Delete it and stage it again with `{stage_with}`."
            ) from error
        # whoever made it was killed before it had a grid
        raise MissingDataError(f"there is no datacube at {path}. Stage it with `{stage_with}`.") from error
    except Exception as error:
        raise DataError(
            f"the datacube {path} cannot be opened ({one_line(error)}). Stage it again with `{stage_with}`."
        ) from error
    return Cube(path, group, geobox)


def _holds_data(path: Path) -> bool:
    return any(any((path / part).glob("*")) for part in ("chunks", "manifests"))


def window_around(cube: GeoBox, needed: shapely.Geometry, buffer_px: int) -> GeoBox:
    """Return the part of the cube's grid that holds a geometry (in the cube's CRS) and a buffer around it."""
    left, bottom, right, top = needed.bounds
    corners = [~cube.affine @ corner for corner in ((left, top), (right, bottom))]
    (x_0, y_0), (x_1, y_1) = (np.asarray(corner) for corner in corners)
    rows = _clipped(min(y_0, y_1) - buffer_px, max(y_0, y_1) + buffer_px, cube.shape[0])
    columns = _clipped(min(x_0, x_1) - buffer_px, max(x_0, x_1) + buffer_px, cube.shape[1])
    return cube[rows, columns]


def _clipped(start: float, stop: float, length: int) -> slice:
    return slice(int(np.clip(np.floor(start), 0, length - 1)), int(np.clip(np.ceil(stop), 1, length)))


def window_slices(cube: GeoBox, window: GeoBox) -> tuple[slice, slice]:
    """Return the rows and columns of the cube that a window made by `window_around` covers."""
    column, row = ~cube.affine @ (window.affine.c, window.affine.f)
    row_0, column_0 = round(row), round(column)
    return slice(row_0, row_0 + window.shape[0]), slice(column_0, column_0 + window.shape[1])


def uncovered(cube: Cube, needed: shapely.Geometry, filled: shapely.Geometry) -> shapely.Geometry | None:
    """Return what is needed and not filled, in the cube's CRS; None if that is less than a pixel."""
    missing = shapely.difference(needed, filled)
    pixel_area = abs(cube.geobox.resolution.x * cube.geobox.resolution.y)
    return None if missing.area < pixel_area else missing


def check_coverage(cube: Cube, needed: shapely.Geometry, filled: shapely.Geometry, stage_with: str) -> None:
    """Do nothing if the filled part of the cube holds what is needed.

    Args:
        cube: The datacube.
        needed: Area in the cube's CRS that a tile needs.
        filled: Union of what was filled into the cube, in its CRS.
        stage_with: Command that fetches the rest.

    Raises:
        CoverageError: If at least a pixel of the area is missing; it names cube, share, bounds and the call to make.
    """
    missing = uncovered(cube, needed, filled)
    if missing is None:
        return
    share = 100 * missing.area / needed.area
    bounds = ", ".join(f"{number:.6g}" for number in missing.bounds)
    raise CoverageError(
        f"the datacube {cube.path} lacks {share:.1f} % of the area that this tile needs "
        f"(bounds of what is missing in {cube.geobox.crs}: {bounds}). Stage it with `{stage_with}`."
    )
