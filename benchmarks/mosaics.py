"""Mosaics of many mapped scenes: seconds, CPU and peak memory, and how they grow with their number.

`uv run python -m benchmarks.mosaics --tiles 100 200 400` makes up tiles of 10980 pixels, each place seen by four images
of a year, a fifth of each image without clouds, over several UTM zones (30 MB each), and writes their mosaics on the
polar grid, each number in a process of its own. Then a few tiles are brought together in the plain way: GDAL warps
each onto each cell as a whole, and NumPy takes the mean of all. Fails beyond 2 GiB, if a larger number takes 20 % more
CPU a tile than a smaller one, or if both ways lead elsewhere.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio import Affine
from rasterio.warp import Resampling, reproject

from benchmarks.lib.measure import resident_gib_of_all, sampled
from darts_export.publish.grids import MosaicGrid, polar_grid
from darts_export.publish.looks import Look
from darts_export.publish.mosaics import write_mosaics
from darts_postprocessing.inventory.build import spread_over
from darts_utils.rasters.arrays import Array

YEAR, TIMES, FULL_PX = 2024, 4, 10_980
LIMIT_GIB, LIMIT_GROWTH, LIMIT_DIFFERENT = 2.0, 1.2, 0.01
PLAIN = "GDAL's warp of whole cells, mean by NumPy"
_NO_DATA = 255


def main() -> int:
    """Measure, print a line for each number of tiles and for both ways, and return 1 if a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, nargs="+", default=[20, 40])
    parser.add_argument(
        "--compared", type=int, default=8, help="tiles that are brought together in the plain way, or 0"
    )
    parser.add_argument("--size", type=int, default=FULL_PX, help="pixels along an edge of a tile")
    parser.add_argument("--pixel-m", type=float, default=10.0, help="edge of a pixel, of tiles and mosaics")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where tiles and mosaics stay; a temporary folder without it")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp()) if given.folder is None else given.folder
    grid = polar_grid(given.pixel_m)
    try:
        looks = _alone(make, folder / "tiles", max(*given.tiles, given.compared), given.size, given.pixel_m)
        is_within = _grows_evenly(folder, looks, given.tiles, grid, given.workers)
        leads_to_same = not given.compared or _compare(folder, looks[: given.compared], grid)
        return int(not (leads_to_same and is_within))
    finally:
        if given.folder is None:
            shutil.rmtree(folder)


def _alone[T](function: Callable[..., T], *arguments: object) -> T:
    """Return what a call in a new process gives, whose memory at its peak is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _grows_evenly(folder: Path, looks: list[Look], numbers: list[int], grid: MosaicGrid, workers: int) -> bool:
    """Write mosaics of more and more tiles; return whether memory and time a tile kept within their limits."""
    each, is_within = [], True
    for number in sorted(numbers):
        out = folder / f"ours-{number}"
        made = _alone(ours, looks[:number], out, grid, workers)
        again = _alone(ours, looks[:number], out, grid, workers)
        print(
            f"{number} tiles: {made.seconds:.0f} s, {made.cpu:.0f} s of CPU ({made.cpu / number:.2f} s a tile),"
            f" {made.gib:.2f} GiB, {made.n_cells} cells, {_megabytes(out):.0f} MB;"
            f" {again.seconds:.1f} s where nothing is new",
            flush=True,
        )
        each.append(made.cpu / number)
        is_within &= made.gib <= LIMIT_GIB
    for before, after in pairwise(each):
        print(f"CPU a tile: {after / before:.2f} of that of the number before")
        is_within &= after / before <= LIMIT_GROWTH
    return is_within


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*.tif")) / 1e6


def _compare(folder: Path, looks: list[Look], grid: MosaicGrid) -> bool:
    """Bring some tiles together in both ways, and return whether these lead to the same."""
    shutil.rmtree(folder / "ours-few", ignore_errors=True)
    own = _alone(ours, looks, folder / "ours-few", grid, 1)
    plain, different = _alone(plainly, looks, folder / "ours-few", folder / "plain")
    print(f"{len(looks)} tiles, {own.n_cells} cells")
    for name, one in (("ours", own), (PLAIN, plain)):
        print(f"{name}: {one.seconds:.1f} s, {one.cpu:.1f} s of CPU, {one.gib:.2f} GiB")
    print(f"ratio of CPU {plain.cpu / own.cpu:.2f}; looks differ at {different:.3%} of the pixels seen")
    return different <= LIMIT_DIFFERENT


@dataclass(frozen=True, kw_only=True)
class Made:
    """What it took to write mosaics."""

    seconds: float
    cpu: float
    """Seconds of all threads and processes."""
    gib: float
    """Memory of all processes at its peak."""
    n_cells: int


def ours(looks: list[Look], out: Path, grid: MosaicGrid, workers: int) -> Made:
    """Write mosaics."""
    start, cpu = time.perf_counter(), _cpu()
    with sampled(resident_gib_of_all) as samples, spread_over(workers) as spread:
        tiles = write_mosaics(looks, out, grid, spread=spread)
    gib = max(_own_peak_gib(), *(gib for _, gib in samples))
    return Made(seconds=time.perf_counter() - start, cpu=_cpu() - cpu, gib=gib, n_cells=len(tiles))


def _cpu() -> float:
    """Return what this process and those it started, as far as they have ended, computed, in seconds."""
    return sum(os.times()[:4])


def _own_peak_gib() -> float:
    """Return the most memory that this process had, as the system counted it."""
    (peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 2**20


def plainly(looks: list[Look], ours_at: Path, out: Path) -> tuple[Made, float]:
    """Write the same cells plainly; return what it took, and the share of pixels with another number of looks."""
    files = sorted(ours_at.rglob("looks-*.tif"))
    out.mkdir(parents=True, exist_ok=True)
    n_seen = n_different = 0
    seconds = cpu = 0.0
    for file in files:
        with rasterio.open(file) as raster:
            profile, wanted = raster.profile, raster.read(1)
        before = time.perf_counter(), _cpu()
        number = _plain_cell(looks, profile, out / file.name)
        seconds, cpu = seconds + time.perf_counter() - before[0], cpu + _cpu() - before[1]
        n_seen += int((wanted > 0).sum())
        n_different += int((wanted != number).sum())
    return Made(seconds=seconds, cpu=cpu, gib=_own_peak_gib(), n_cells=len(files)), n_different / n_seen


def _plain_cell(looks: list[Look], profile: dict[str, object], file: Path) -> Array:
    """Write mean and number of looks of a cell, and return the number."""
    shape = (int(str(profile["height"])), int(str(profile["width"])))
    sums, number = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.uint8)
    for look in looks:
        values = np.full(shape, _NO_DATA, dtype=np.uint8)
        with rasterio.open(look.file) as raster:
            reproject(
                rasterio.band(raster, 1),
                values,
                dst_transform=profile["transform"],
                dst_crs=profile["crs"],
                dst_nodata=_NO_DATA,
                resampling=Resampling.nearest,
            )
        sums += np.where(values == _NO_DATA, 0, values)
        number += values != _NO_DATA
    mean = np.where(number > 0, np.rint(sums / np.maximum(number, 1)), _NO_DATA).astype(np.uint8)
    told = {"driver": "COG", "compress": "LZW", "count": 1, "dtype": "uint8", "height": shape[0], "width": shape[1]}
    told |= {"crs": profile["crs"], "transform": profile["transform"]}
    for name, values, nodata in (("probability", mean, _NO_DATA), ("looks", number, 0)):
        with rasterio.open(file.with_name(f"{name}-{file.name}"), "w", nodata=nodata, **told) as raster:
            raster.write(values, 1)
    return number


def make(folder: Path, number: int, size: int, pixel_m: float) -> list[Look]:
    """Write made-up tiles of as many images, unless they are there, and return them."""
    folder.mkdir(parents=True, exist_ok=True)
    patterns = [folder / f"pattern-{seed}-{size}.tif" for seed in range(TIMES)]
    for seed, file in enumerate(patterns):
        if not file.exists():
            _write_pattern(file, seed, size)
    looks = []
    for image in range(number):
        place, time_of_year = divmod(image, TIMES)
        file = folder / f"{place:03d}-{time_of_year}-{size}-{pixel_m:g}" / "probabilities.tif"
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            part = file.with_suffix(".part")
            shutil.copy(patterns[(place + time_of_year) % TIMES], part)
            with rasterio.open(part, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as raster:
                pixels = _pixels_at(place, size, pixel_m)
                raster.crs, raster.transform = str(pixels.crs), pixels.affine
            part.replace(file)
        looks.append(Look(f"image-{place:03d}-{time_of_year}", YEAR, file))
    return looks


def _pixels_at(place: int, size: int, pixel_m: float) -> GeoBox:
    """Return the pixels of a place: two beside each other, ten above each other, then the next zone.

    Neighbours share what tiles of Sentinel-2 do.
    """
    zone, (row, column) = 5 + place // 20, divmod(place % 20, 2)
    pitch_m = 100_000 / 109_800 * size * pixel_m
    left, top = 399_960 + pitch_m * column, 7_500_000 + pitch_m * row
    return GeoBox((size, size), Affine(pixel_m, 0, left, 0, -pixel_m, top), f"EPSG:{32600 + zone}")


def _write_pattern(file: Path, seed: int, size: int) -> None:
    """Write what an image was mapped to: a fifth of it seen, in large patches, with low probabilities and slumps."""
    rng = np.random.default_rng(seed)
    coarse = cv2.GaussianBlur(rng.normal(size=(size // 8 + 1,) * 2).astype(np.float32), (0, 0), size / 250)
    clear = cv2.resize((coarse > np.quantile(coarse, 0.8)).astype(np.uint8), (size, size))
    texture = cv2.GaussianBlur(rng.normal(size=(size, size)).astype(np.float32), (0, 0), 2)
    values = np.clip(2 + 60 * (texture - 0.25).clip(0) * 8 + rng.random((size, size), dtype=np.float32) * 2, 0, 100)
    told = {"driver": "COG", "compress": "LZW", "predictor": "YES", "count": 1, "dtype": "uint8", "nodata": _NO_DATA}
    with rasterio.open(
        file, "w", height=size, width=size, crs="EPSG:32605", transform=Affine.scale(10, -10), **told
    ) as raster:
        raster.write(np.where(clear, values, _NO_DATA).astype(np.uint8), 1)


if __name__ == "__main__":
    sys.exit(main())
