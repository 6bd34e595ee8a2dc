"""Filling smart-geocubes datacubes chunk by chunk: a patch is one chunk of the cube's grid.

Chunks bound the memory and what is fetched, and open sea is a chunk like any other: recorded as loaded, without data.
"""

import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from smart_geocubes.core import PatchIndex, RemoteAccessor

from darts_acquisition.auxiliary.cube import STAGE_WITH, Cube, open_cube
from darts_utils.errors import DartsError, DataError, MissingDataError, OutputError, one_line
from darts_utils.files import atomic_folder, exclusive_lock, remove_parts
from darts_utils.machine.disk import advice_for, reason_of
from darts_utils.machine.threads import inherited

logger = logging.getLogger(__name__)

_FETCHES = 4
"""Chunks that are fetched at the same time; with the one that is written, so many are in memory at most, and one."""
_TURN = 32
"""Chunks after which a process that fills lets others have their turn."""
_TURN_BREAK_S = 0.15
"""Longer than others need to notice that the lock is free: they look every 50 ms."""
_CRACK = 1e-6
"""Share of a pixel's area that does not count as missing: edges of filled areas differ in the last bits."""

type Fetch = Callable[[GeoBox], xr.Dataset | None]

_outer_lock: list[Callable[[Path], AbstractContextManager[None]]] = [lambda _: nullcontext()]
"""What is held around the lock of a cube, for processes on several machines."""


@dataclass(frozen=True)
class Chunk:
    """A chunk of a cube's grid."""

    patch_id: str
    """Id under which the cube records that it is filled."""
    geobox: GeoBox


def chunk_geobox(accessor: type[RemoteAccessor], row: int, column: int) -> GeoBox:
    """Return the grid of a chunk; those at the lower and right edge of a cube may be smaller."""
    size, (height, width) = accessor.chunk_size, accessor.extent.shape
    rows = slice(row * size, min((row + 1) * size, height))
    return accessor.extent[rows, column * size : min((column + 1) * size, width)]


def missing_chunks(
    path: Path,
    accessor: type[RemoteAccessor],
    area: shapely.Geometry,
    filled: Callable[[Cube], shapely.Geometry],
    patch_id: Callable[[int, int], str],
) -> list[Chunk]:
    """Return the chunks that an area needs and a cube does not hold, without asking the network.

    Args:
        path: The cube's icechunk folder; it need not exist.
        accessor: Class of smart-geocubes that defines the cube's grid and chunks.
        area: What is needed, in the cube's CRS; ground outside the grid is in no chunk.
        filled: Gives the filled area of the opened cube, in its CRS.
        patch_id: Gives the id of a chunk from its row and column.

    Raises:
        DataError: If there is a cube that cannot be opened.
    """
    positions, parts = _touched(accessor, area)
    ids = [patch_id(row, column) for row, column in positions]
    try:
        cube = open_cube(path, accessor.extent, STAGE_WITH)
    except MissingDataError:
        lacking = np.ones(len(ids), dtype=bool)
    else:
        loaded = set(cube.patches)
        lacking = np.array([name not in loaded for name in ids], dtype=bool)
        if lacking.any():
            lacking[lacking] = shapely.area(shapely.difference(parts[lacking], filled(cube))) > _crack_area(accessor)
    return [
        Chunk(name, chunk_geobox(accessor, *position))
        for name, position, lacks in zip(ids, positions, lacking, strict=True)
        if lacks
    ]


def _touched(accessor: type[RemoteAccessor], area: shapely.Geometry) -> tuple[list[tuple[int, int]], np.ndarray]:
    """Return row and column of the chunks that an area touches, and the part of it in each."""
    if area.is_empty:
        return [], np.empty(0, dtype=object)
    grid, size = accessor.extent, accessor.chunk_size
    left, bottom, right, top = area.bounds
    first, last = (np.floor(np.divide(~grid.affine @ corner, size)) for corner in ((left, top), (right, bottom)))
    columns, rows = (
        np.arange(max(0, start), min(-(-length // size), stop + 1), dtype=int)
        for start, stop, length in zip(first, last, grid.shape[::-1], strict=True)
    )
    if not (rows.size and columns.size):
        return [], np.empty(0, dtype=object)
    row, column = (index.ravel() for index in np.meshgrid(rows, columns, indexing="ij"))
    boxes = _chunk_boxes(accessor, row, column).reshape(len(rows), len(columns))
    # first by rows of chunks: the area may have a million corners, and each chunk would look at all of them
    strips = [shapely.intersection(area, shapely.box(*shapely.total_bounds(line))) for line in boxes]
    parts = np.array([shapely.intersection(line, strip) for line, strip in zip(boxes, strips, strict=True)]).ravel()
    inside = shapely.area(parts) > _crack_area(accessor)
    return list(zip(row[inside].tolist(), column[inside].tolist(), strict=True)), parts[inside]


def _chunk_boxes(accessor: type[RemoteAccessor], row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Return the footprints of chunks, as `chunk_geobox` has them: all at once, because the 2 m cube has a million."""
    grid, size = accessor.extent, accessor.chunk_size
    height, width = grid.shape
    a, _, c, _, e, f = grid.affine[:6]
    left, right = c + a * column * size, c + a * np.minimum((column + 1) * size, width)
    top, bottom = f + e * row * size, f + e * np.minimum((row + 1) * size, height)
    return shapely.box(left, bottom, right, top)


def _crack_area(accessor: type[RemoteAccessor]) -> float:
    return float(_CRACK * abs(accessor.extent.resolution.x * accessor.extent.resolution.y))


def fill(
    path: Path,
    accessor: type[RemoteAccessor],
    chunks: Sequence[Chunk],
    fetch: Fetch,
    on_bytes: Callable[[int], None] | None = None,
) -> None:
    """Fetch chunks and write them into a cube, which is made if there is none.

    Each chunk and the record of it appear in the cube together. One process writes at a time; chunks that another one
    has filled meanwhile are not fetched.

    Args:
        path: The cube's icechunk folder.
        accessor: Class of smart-geocubes that defines the cube.
        chunks: What to fill, as `missing_chunks` gives it.
        fetch: Gives all layers of the cube on the grid it is called with, None where there is nothing; called from
            several threads. Its errors end the filling; chunks written before stay.
        on_bytes: Is told the size of each chunk's layers, uncompressed, once they are in the cube.

    Raises:
        DataError: If the cube is damaged.
        OutputError: If the cube cannot be written.
    """
    path = path.resolve()
    for number, turn in enumerate(itertools.batched(chunks, _TURN)):
        if number > 0:
            time.sleep(_TURN_BREAK_S)
        with cube_lock(path):
            cube = _open_to_write(path, accessor)
            loaded = set(cube.loaded_patches())
            lacking = [chunk for chunk in turn if chunk.patch_id not in loaded]
            for chunk, layers in _fetched(lacking, fetch):
                _write(cube, path, chunk, layers)
                if layers is not None and on_bytes is not None:
                    on_bytes(sum(layer.nbytes for layer in layers.data_vars.values()))


@contextmanager
def cube_lock(path: Path) -> Iterator[None]:
    """Hold the lock beside a cube, for whoever writes into it: it does not survive two writers at a time."""
    with _outer_lock[0](path), exclusive_lock(path.with_name(f".{path.name}.lock")):
        yield


def set_outer_lock(make: Callable[[Path], AbstractContextManager[None]]) -> None:
    """Hold another lock, too, while this process writes into a cube: file locks do not reach across all file systems.

    Args:
        make: Gives the lock of a cube by its folder.
    """
    _outer_lock[0] = make


def from_memory(accessor: type[RemoteAccessor]) -> Any:
    """Return an accessor that takes its patches from their index instead of fetching them, and no index file."""

    class FromMemory(accessor):  # type: ignore[misc, valid-type]  # a class that is chosen as it runs
        def post_init(self) -> None:
            """Fetch no index file."""

        def post_create(self) -> None:
            """Fetch no index file."""

        def download_patch(self, idx: PatchIndex[xr.Dataset]) -> xr.Dataset:
            return idx.item

    FromMemory.__name__ = accessor.__name__  # smart-geocubes makes the cube's title of it
    return FromMemory


def _open_to_write(path: Path, accessor: type[RemoteAccessor]) -> Any:
    """Return the accessor of a cube; a new one is made beside its place, so that it is there whole or not at all."""
    try:
        if not path.is_dir() or not any(path.iterdir()):
            remove_parts(path.parent)
            with atomic_folder(path) as part:
                from_memory(accessor)(part, backend="simple").create()
        cube = from_memory(accessor)(path, create_icechunk_storage=False, backend="simple")
        cube.create(exists_ok=True)
    except DartsError:
        raise
    except OSError as error:
        raise OutputError(f"cannot make the datacube {path}: {reason_of(error)}. {advice_for(error, path)}") from error
    except Exception as error:
        raise DataError(
            f"the datacube {path} cannot be opened ({one_line(error)}). Delete it and stage it again."
        ) from error
    return cube


def _fetched(chunks: Sequence[Chunk], fetch: Fetch) -> Iterator[tuple[Chunk, xr.Dataset | None]]:
    """Yield chunks with their layers, in order, while the next ones are being fetched."""
    with ThreadPoolExecutor(_FETCHES, thread_name_prefix="fetch-chunk") as pool:
        rest = iter(chunks)
        under_way: deque[tuple[Chunk, Future[xr.Dataset | None]]] = deque()
        try:
            while True:
                for chunk in itertools.islice(rest, _FETCHES - len(under_way)):
                    under_way.append((chunk, pool.submit(inherited(fetch), chunk.geobox)))
                if not under_way:
                    return
                chunk, future = under_way.popleft()
                layers = future.result()
                del future  # or else its layers stay in memory while the next ones come
                yield chunk, layers
                del layers
        finally:
            for _, future in under_way:
                future.cancel()


def _write(cube: Any, path: Path, chunk: Chunk, layers: xr.Dataset | None) -> None:
    if layers is None:  # only a grid: nothing is written but the record
        layers = xr.Dataset(coords=wrap_xr(np.empty(chunk.geobox.shape, dtype=bool), chunk.geobox).coords)
    assert layers.odc.geobox == chunk.geobox
    try:
        cube.backend.submit([PatchIndex(chunk.patch_id, chunk.geobox.extent, None, layers)])
    except Exception as error:
        raise OutputError(
            f"cannot write into the datacube {path}: {one_line(error)}. {advice_for(error, path)}"
        ) from error
    logger.debug("filled %s of %s", chunk.patch_id, path)
