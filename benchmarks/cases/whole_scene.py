"""What does a whole scene cost, all but the network: next to the plain steps, and per pixel as it grows?

`uv run python -m benchmarks whole_scene`: 2048, 4096 and 10980 pixels a side, from the raw store to the default
exports, two models. Each side has a process of its own, warmed up by a small scene; memory is that of the process. The
plain steps are measured at 2048 only: they take minutes for a full scene, and more memory than most machines have.
`benchmarks.mapping` shows what each stage takes.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio

from benchmarks.lib import baselines
from benchmarks.lib.checks import assert_close
from benchmarks.lib.measure import Run, Timing, in_turns, timed
from benchmarks.lib.networks import ensemble_without_network
from benchmarks.lib.results import Goal, Result
from benchmarks.lib.runner import Case, result_of, run_case
from benchmarks.lib.scene import FULL_PX, SCENE_ID, made_scene
from benchmarks.mapping import LIMIT_GIB, run_with, scene_pipeline

SIZES_PX = (2048, 4096, FULL_PX)
WARM_UP_PX, PLAIN_PX = 256, 2048
N_MODELS = 2
OURS = Path("output") / "sentinel2-cdse" / SCENE_ID
PLAIN = Path("output") / "plain" / SCENE_ID
_LONGEST_S = 30.0
_TIMES_AS_FAST = 6
_LINEAR_WITHIN = 0.15


def results(case: Case) -> Iterator[Result]:
    """Yield a result for each size next to the plain steps, and for each next to our own cost of the smallest."""
    sizes = SIZES_PX if case.size is None else (case.size,)
    plain_px = min(*sizes, PLAIN_PX)
    folders = {size: made_scene(case.folder, size) for size in (WARM_UP_PX, plain_px, *sizes)}
    with ExitStack() as stack:
        ours = {size: _apart(stack, map_ours, folders) for size in sizes}
        baseline = _apart(stack, map_plain, folders)
        ours[sizes[0]](plain_px)
        baseline(plain_px)
        assert_same_files(folders[plain_px])
        runs = {str(size): partial(run, size) for size, run in ours.items()}
        timings = in_turns(case.repeat, **runs, plain=partial(baseline, plain_px))
    yield from _results(case, {size: timings[str(size)] for size in sizes}, timings["plain"], plain_px)


def _apart(stack: ExitStack, map_scene: Callable[[Path, int], None], folders: dict[int, Path]) -> Callable[[int], Run]:
    """Return what maps the scene of a size in a process of its own, after that has mapped a small one."""
    spawn = multiprocessing.get_context("spawn")
    pool = stack.enter_context(ProcessPoolExecutor(1, mp_context=spawn, initializer=_silence))

    def run(px: int) -> Run:
        return pool.submit(timed, map_scene, folders[px], px).result()

    run(WARM_UP_PX)
    return run


def _silence() -> None:
    """Let this process say nothing: a run tells of every stage, and errors come back to who asked."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def map_ours(folder: Path, size: int) -> None:  # noqa: ARG001  (both sides are called alike)
    """Map the scene of a folder by the pipeline."""
    report = run_with(ensemble_without_network(N_MODELS), scene_pipeline(folder))
    assert report.exit_code == 0, report.outcomes


def map_plain(folder: Path, size: int) -> None:
    """Map the scene of a folder by the plain steps."""
    from benchmarks.lib.plain_scene import map_plainly

    models = [member.model for member in ensemble_without_network(N_MODELS).members]
    map_plainly(folder, size, folder / PLAIN, models)


def assert_same_files(folder: Path) -> None:
    """Raise an error unless both ways to map a scene led to the same results."""
    percent = _raster(folder / OURS / "probabilities.tif").astype(np.float32)
    percent[percent == 255] = np.nan
    assert_close(percent / 100, _raster(folder / PLAIN / "probabilities.tif"), tolerance=0.0051)
    objects = [_raster(folder / side / "binarized.tif") for side in (OURS, PLAIN)]
    assert (objects[0] == objects[1]).all(), "the objects differ"
    for name in ("prediction_segments", "prediction_extent"):
        ours, plain = (gpd.read_parquet(folder / side / f"{name}.parquet") for side in (OURS, PLAIN))
        assert len(ours) == len(plain) > 0, f"{len(ours)} and {len(plain)} rows in {name}"
        np.testing.assert_allclose(np.sort(ours.area), np.sort(plain.area))


def _raster(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        values: np.ndarray = raster.read(1)
        return values


def _results(case: Case, ours: dict[int, Timing], plain: Timing, plain_px: int) -> Iterator[Result]:
    smallest = min(ours)
    for size, timing in ours.items():
        goal = Goal(
            ratio=_TIMES_AS_FAST if size == FULL_PX else None,
            seconds=_LONGEST_S if size == FULL_PX else None,
            gib=LIMIT_GIB.get(size),
        )
        yield result_of(
            case,
            f"scene of {size} but the network",
            timing,
            plain,
            px=(size**2, plain_px**2),
            baseline=baselines.COMPOSITION,
            goal=goal,
            whole_process=True,
        )
    for size in (size for size in ours if size != smallest):
        yield result_of(
            case,
            f"cost of a pixel at {size}",
            ours[size],
            ours[smallest],
            px=(size**2, smallest**2),
            baseline=f"ours at {smallest}",
            goal=Goal(ratio=round(1 / (1 + _LINEAR_WITHIN), 2)),
            whole_process=True,
        )


if __name__ == "__main__":
    run_case("whole_scene", __doc__)
