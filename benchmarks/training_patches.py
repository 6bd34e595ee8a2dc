"""How fast are training patches written, and read in random order, next to a plain NumPy memmap and a plain zarr loop?

Usage: uv run python benchmarks/training_patches.py [--patches 10000] [--size 256] [--folder FOLDER]

Each kind is written, read and deleted before the next, so 10,000 patches of 13 x 256 x 256 float32 need 36 GB of free
disk once; where there is less, as many as fit are made, and said. The baseline is the memmap. Reading is done by
processes of their own, as the workers of a data loader are: cold (the files are dropped from the page cache first) and
warm (patches that were read a moment ago).
"""

import argparse
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # each reader is a process that begins by importing this file
    import geopandas as gpd
    import xarray as xr

PER_SIDE = 8
"""Patches along each edge of the tile that is written again and again."""
N_BANDS = 13
READERS = (1, 2, 4, 8)
READ = 400
"""Patches that are read for a figure, over all readers."""


def make_tile(size: int) -> "tuple[xr.Dataset, gpd.GeoDataFrame]":
    """Return a tile of smooth ground with some noise, and labels on it."""
    import cv2
    import geopandas as gpd
    import shapely
    import xarray as xr
    from affine import Affine
    from odc.geo.geobox import GeoBox
    from odc.geo.xr import wrap_xr

    from darts_utils.bands import TRAINING_BANDS, manager

    rng = np.random.default_rng(1)
    edge = PER_SIDE * size
    grid = GeoBox((edge, edge), Affine(3, 0, 500_000, 0, -3, 7_700_000), "EPSG:32608")
    bands = {}
    for name in TRAINING_BANDS:
        low, high = manager[name].valid_range
        ground = cv2.GaussianBlur(rng.normal(0.5, 0.3, (edge, edge)).astype(np.float32), (0, 0), 3)
        bands[name] = wrap_xr((low + (high - low) * np.clip(ground, 0, 1)).astype(manager[name].memory_dtype), grid)
    corners = rng.uniform(0, edge - 60, (200, 2))
    shapes = [shapely.box(*(grid.affine * corner), *(grid.affine * (corner + 50))) for corner in corners]
    return xr.Dataset(bands), gpd.GeoDataFrame(geometry=shapes, crs="EPSG:32608")


def patches_of(tile: "xr.Dataset", size: int) -> np.ndarray:
    """Return (n, band, y, x) float32, what the networks see of a tile."""
    from darts_utils.bands import TRAINING_BANDS, manager

    layers = np.stack([manager[name].normalize(tile[name].values) for name in TRAINING_BANDS])
    split = layers.reshape(len(layers), PER_SIDE, size, PER_SIDE, size)
    return np.ascontiguousarray(split.transpose(1, 3, 0, 2, 4).reshape(-1, len(layers), size, size))


def write_memmap(folder: Path, patches: np.ndarray, n: int) -> None:
    """Write `x.npy` and `y.npy`, a patch at a time."""
    shape = (n, *patches.shape[1:])
    x = np.lib.format.open_memmap(folder / "x.npy", mode="w+", dtype="float32", shape=shape)
    y = np.lib.format.open_memmap(folder / "y.npy", mode="w+", dtype="uint8", shape=(n, *shape[2:]))
    for index in range(n):
        x[index] = patches[index % len(patches)]
        y[index] = index % 2
    x.flush()
    y.flush()


def write_loop(folder: Path, patches: np.ndarray, n: int) -> None:
    """Write a zarr group with the settings that zarr has by itself, a patch at a time."""
    import zarr

    shape = (n, *patches.shape[1:])
    group = zarr.create_group(folder / "data.zarr")
    x = group.create_array("x", shape=shape, chunks=(1, *shape[1:]), dtype="float32")
    y = group.create_array("y", shape=(n, *shape[2:]), chunks=(1, *shape[2:]), dtype="uint8")
    for index in range(n):
        x[index] = patches[index % len(patches)]
        y[index] = index % 2


def write_builder(folder: Path, tile: "xr.Dataset", labels: "gpd.GeoDataFrame", size: int, n: int) -> None:
    """Add the tile as often as it takes."""
    from darts_segmentation.training import TrainDatasetBuilder
    from darts_utils.bands import TRAINING_BANDS

    builder = TrainDatasetBuilder(folder, size, 0, TRAINING_BANDS, exclude_nopositive=False, exclude_nan=True)
    while len(builder) < n:
        builder.add_tile(tile, labels, "Land", f"image {len(builder)}")
    builder.finalize()


def open_memmap(folder: Path) -> Callable[[int], np.ndarray]:
    """Return a function that reads a patch."""
    x = np.load(folder / "x.npy", mmap_mode="r")
    return lambda index: np.array(x[index])


def open_zarr(folder: Path) -> Callable[[int], np.ndarray]:
    """Return a function that reads a patch."""
    import zarr

    x = zarr.open_array(folder / "data.zarr" / "x", mode="r")
    return lambda index: np.asarray(x[index])


def open_patch_set(folder: Path) -> Callable[[int], np.ndarray]:
    """Return a function that reads a patch."""
    from darts_segmentation.training import PatchSet

    patches = PatchSet(folder)
    return lambda index: patches.read(index)[0]


OPENERS = {"memmap": open_memmap, "zarr loop": open_zarr, "darts": open_patch_set, "darts, by zarr": open_zarr}
"""How a patch is read; the last two read the same files."""


def read_some(kind: str, folder: Path, order: np.ndarray, ready: Any, done: Any) -> None:
    """Read patches in an order, when all readers are ready; put down how long it took."""
    read = OPENERS[kind](folder)
    read(int(order[0]))
    ready.wait()
    begin = time.perf_counter()
    for index in order:
        read(int(index))
    done.put((begin, time.perf_counter()))


def rate(kind: str, folder: Path, order: np.ndarray, readers: int) -> float:
    """Return patches a second of several processes that read together."""
    context = multiprocessing.get_context("spawn")
    ready, done = context.Barrier(readers), context.Queue()
    parts = np.array_split(order, readers)
    workers = [context.Process(target=read_some, args=(kind, folder, part, ready, done)) for part in parts]
    for worker in workers:
        worker.start()
    times = [done.get() for _ in workers]
    for worker in workers:
        worker.join()
    return len(order) / (max(end for _, end in times) - min(begin for begin, _ in times))


def drop_from_cache(folder: Path) -> None:
    """Flush all files and let the system forget them."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def measure(kind: str, folder: Path, write: Callable[[], None], n: int) -> dict[str, float]:
    """Return patches a second: written to the disk, and read by several readers, cold and warm."""
    begin = time.perf_counter()
    write()
    drop_from_cache(folder)  # what is only in memory is not written yet
    return {"write": n / (time.perf_counter() - begin), **measure_reading(kind, folder, n)}


def measure_reading(kind: str, folder: Path, n: int) -> dict[str, float]:
    """Return patches a second, read by several readers, cold and warm."""
    figures = {}
    random = np.random.default_rng(7)
    for readers in READERS:
        order = random.permutation(n)[:READ]
        drop_from_cache(folder)
        figures[f"cold read, {readers}"] = rate(kind, folder, order, readers)
        figures[f"warm read, {readers}"] = rate(kind, folder, order, readers)
    return figures


def show(results: dict[str, dict[str, float]]) -> None:
    """Print a row a figure, each as patches a second and as a ratio to the memmap."""
    kinds = list(results)
    print(f"{'patches/s (to memmap)':24}" + "".join(f"{kind:>20}" for kind in kinds))
    for name, base in results["memmap"].items():
        figures = [results[kind].get(name) for kind in kinds]
        cells = ["" if figure is None else f"{figure:9.0f} ({figure / base:5.2f})" for figure in figures]
        print(f"{name:24}" + "".join(f"{cell:>20}" for cell in cells))


def main() -> None:
    """Measure all kinds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    asked = parser.parse_args()
    a_patch = asked.size**2 * (4 * N_BANDS + 1)
    asked.folder.mkdir(parents=True, exist_ok=True)
    fit = int(0.8 * shutil.disk_usage(asked.folder).free / a_patch)
    n = min(asked.patches, fit) // PER_SIDE**2 * PER_SIDE**2
    print(f"{n} patches of {N_BANDS} x {asked.size} x {asked.size}, {n * a_patch / 1e9:.1f} GB a kind")
    tile, labels = make_tile(asked.size)
    patches = patches_of(tile, asked.size)
    results = {}
    for kind in list(OPENERS)[:3]:
        folder = Path(tempfile.mkdtemp(dir=asked.folder))
        writers = {
            "memmap": lambda folder=folder: write_memmap(folder, patches, n),
            "zarr loop": lambda folder=folder: write_loop(folder, patches, n),
            "darts": lambda folder=folder: write_builder(folder, tile, labels, asked.size, n),
        }
        try:
            results[kind] = measure(kind, folder, writers[kind], n)
            if kind == "darts":
                results["darts, by zarr"] = measure_reading("darts, by zarr", folder, n)
        finally:
            shutil.rmtree(folder)
    show(results)


if __name__ == "__main__":
    main()
