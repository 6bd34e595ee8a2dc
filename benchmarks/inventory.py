"""Slumps and tracks of many objects: seconds, peak memory, and how time grows with their number.

`uv run python -m benchmarks.inventory --objects 100000 1000000` makes up objects of level 1 and looks, clustered as
real ones: images of 25 km, 20 objects each, every place seen four times a year for five years. Fails beyond 20 minutes
or 4 GiB for a million objects, or if a larger number takes 20 % more time an object than a smaller one.
"""

import argparse
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from benchmarks.lib.measure import resident_gib_of_all, sampled
from darts_postprocessing.inventory.build import Steps, spread_over
from darts_postprocessing.inventory.cells import cell_at
from darts_postprocessing.inventory.rules import Rules
from darts_postprocessing.inventory.work import Place
from darts_utils.crs import EQUAL_AREA

YEARS, TIMES_A_YEAR, IN_IMAGE, IMAGE_M, PIXEL_M = range(2020, 2025), 4, 20, 25_000, 10.0
LIMIT_S, LIMIT_GIB, LIMIT_GROWTH = 1200.0, 4.0, 1.2
_MILLION = 1_000_000


def main() -> int:
    """Measure, print a line for each number of objects, and return 1 if a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the inventories stay; a temporary folder without it")
    given = parser.parse_args()
    seconds: dict[int, float] = {}
    within = True
    for number in given.objects:
        folder = Path(tempfile.mkdtemp()) if given.folder is None else given.folder / str(number)
        seconds[number], gib = _measured(folder, number, given.workers)
        within &= seconds[number] <= LIMIT_S * max(number / _MILLION, 1) and gib <= LIMIT_GIB
        if given.folder is None:
            shutil.rmtree(folder)
    return int(not (within and _grows_evenly(seconds)))


def _grows_evenly(seconds: dict[int, float]) -> bool:
    each = [seconds[number] / number for number in sorted(seconds)]
    ratios = [after / before for before, after in pairwise(each)]
    for ratio in ratios:
        print(f"time an object: {ratio:.2f} of that of the number before")
    return all(ratio <= LIMIT_GROWTH for ratio in ratios)


def _measured(folder: Path, number: int, workers: int) -> tuple[float, float]:
    with ProcessPoolExecutor(1) as pool:  # what it takes to make them up does not count
        objects, looks = pool.submit(make, folder, number).result()
    with spread_over(workers) as spread, sampled(resident_gib_of_all, 0.1) as samples:
        steps = Steps(folder, Rules(), spread, looks=looks, years=list(YEARS))
        start = time.perf_counter()
        slumps = steps.dissolve(objects)
        dissolved = time.perf_counter() - start
        tracks = [part for part in steps.track(slumps) if part.name.startswith("tracks/")]
        seconds = time.perf_counter() - start
    gib = max(gib for _, gib in samples)
    n_slumps, n_tracks = (sum(part.rows for part in parts) for parts in (slumps, tracks))
    print(
        f"{number} objects: {seconds:.0f} s ({dissolved:.0f} s to slumps), {gib:.2f} GiB of all processes,"
        f" {n_slumps} slumps, {n_tracks} tracks",
        flush=True,
    )
    return seconds, gib


def make(folder: Path, number: int) -> tuple[list[Any], list[Any]]:
    """Write made-up objects and looks into a folder, and return their parts."""
    rng = np.random.default_rng(4)
    n_places = max(1, number // (len(YEARS) * TIMES_A_YEAR * IN_IMAGE))
    across = int(np.ceil(np.sqrt(n_places)))
    blobs = _blobs(rng)
    tables: dict[tuple[int, str], tuple[list[Any], list[Any]]] = {}
    for place in range(n_places):
        left, bottom = -2_000_000 + (place % across) * IMAGE_M, 500_000 + (place // across) * IMAGE_M
        cell = cell_at(left + IMAGE_M / 2, bottom + IMAGE_M / 2)
        for year, objects, looks in _seen(rng, blobs, place, (left, bottom)):
            kept = tables.setdefault((year, cell), ([], []))
            kept[0].append(objects)
            kept[1].append(looks)
    made = []
    for (year, cell), (of_objects, of_looks) in sorted(tables.items()):
        at = Place(root=folder, cell=cell, year=year)
        at.part("objects").write(pd.concat(of_objects, ignore_index=True), "made up")
        at.part("looks").write(pd.concat(of_looks, ignore_index=True), "made up")
        made.append(at)
    return [at.part("objects") for at in made], [at.part("looks") for at in made]


def _blobs(rng: np.random.Generator) -> list[Any]:
    """Return outlines of pixels, as masks have them."""
    from rasterio.features import shapes as outlines_of
    from scipy.ndimage import gaussian_filter

    blobs = []
    for _ in range(60):
        size = int(rng.integers(8, 40))
        rows, columns = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
        noise = gaussian_filter(rng.normal(size=(size, size)), size / 8)
        mask = (rows**2 + columns**2 + 3 * noise < 0.6).astype(np.uint8)
        found = [shapely.geometry.shape(shape) for shape, value in outlines_of(mask) if value]
        blobs.append(max(found, key=shapely.area))
    return blobs


def _seen(rng: np.random.Generator, blobs: list[Any], place: int, corner: tuple[int, int]) -> Any:
    """Yield what images of a place show, year by year: the same slumps a little larger, and shifted by a pixel."""
    centres = rng.normal(0.5, 0.15, (4, 2))[rng.integers(0, 4, IN_IMAGE)] + rng.normal(0, 0.05, (IN_IMAGE, 2))
    pixels = np.rint(np.clip(centres, 0.02, 0.98) * IMAGE_M / PIXEL_M)
    shapes = [blobs[number] for number in rng.integers(0, len(blobs), IN_IMAGE)]
    for year in YEARS:
        for image in range(TIMES_A_YEAR):
            shift = rng.integers(-1, 2, (IN_IMAGE, 2))
            ground = [
                shapely.transform(shape, lambda points, by=by: (points + by) * PIXEL_M + corner)
                for shape, by in zip(shapes, pixels + shift, strict=True)
            ]
            name = f"{year}-{place:06d}-{image}"
            yield year, _objects(ground, name, year), _look(corner, name, year)


def _objects(ground: list[Any], image_id: str, year: int) -> gpd.GeoDataFrame:
    areas = shapely.area(ground)
    columns = {
        "object_id": [f"{image_id}-{number:02d}" for number in range(len(ground))],
        "image_id": image_id,
        "acquired": f"{year}-07-1{image_id[-1]}",
        "year": np.full(len(ground), year, dtype=np.int32),
        "area_m2": areas,
        "area_m2_t30": areas * 1.2,
        "area_m2_t65": areas * 0.8,
        "mean_probability": 0.8,
        "max_probability": 0.9,
        "tier": "high",
        "cut": False,
        "npixel": np.rint(areas / PIXEL_M**2).astype(np.int64),
    }
    return gpd.GeoDataFrame(columns, geometry=ground, crs=EQUAL_AREA)


def _look(corner: tuple[int, int], image_id: str, year: int) -> gpd.GeoDataFrame:
    left, bottom = corner
    columns = {"image_id": [image_id], "year": np.array([year], dtype=np.int32), "is_observed": [True]}
    seen = shapely.box(left, bottom, left + IMAGE_M, bottom + IMAGE_M)
    return gpd.GeoDataFrame(columns, geometry=[seen], crs=EQUAL_AREA)


if __name__ == "__main__":
    sys.exit(main())
