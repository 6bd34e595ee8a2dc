"""What does a GPU bring: networks by numbers and layout, how well they are fed, terrain, warps, scenes, training?

`uv run python -m benchmarks gpu --repeat 3 --folder /dev/shm/scenes` takes less than 8 minutes beside 16 cores.
It needs the repository, a torch for the GPU and `nvidia-ml-py`, which tells how busy it is. What is missing is said
first; a part that fails, or for which there is no time left, is said and left out. Without a GPU it ends at once.

The networks are trained for a few steps first, because untrained ones decide nothing: `dp` is the difference of a
probability from plain float32 at 99.9 % of the pixels, `flips` the share of the pixels that change sides of 0.5. The
column GiB is memory of the device. Whole scenes need some 12 GiB of the folder, which is best backed by memory.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases.warps import DEM_MARGIN_PX
from benchmarks.lib.checks import assert_close
from benchmarks.lib.gpu_networks import ENCODERS, networks
from benchmarks.lib.gpu_scenes import scenes
from benchmarks.lib.inputs import elevation
from benchmarks.lib.on_device import Device, measured_on
from benchmarks.lib.results import Result
from benchmarks.lib.runner import Case, run_case
from benchmarks.lib.scene import FULL_PX, made_scene, scene_grid

_LIMIT_S = 480
_TERRAIN = ("slope", "aspect", "hillshade", "curvature")
_TPI_RADIUS_M = 100
_WARP_PX = 4096
_TRAINING = ("--steps", "40", "--rounds", "1")
_FOLDER_GIB = 12

type Part = tuple[str, float, Callable[[], Iterator[Result]]]
"""Its name, the seconds that it takes at most, and what it yields."""


def results(case: Case) -> Iterator[Result]:
    """Yield a result for each network, for terrain and warps, for whole scenes and training; none without a GPU."""
    import torch

    if not torch.cuda.is_available():
        print("nothing was measured: torch finds no GPU here")
        return
    print(f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}, {os.cpu_count()} cores", flush=True)
    for line in missing(case.folder):
        print(line, flush=True)
    yield from in_time(parts(case, Device()), _LIMIT_S)


def missing(folder: Path) -> list[str]:
    """Return what is not here that figures need, and what of them will be left out."""
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free_gib = shutil.disk_usage(nearest).free / 2**30
    lines = []
    if importlib.util.find_spec("pynvml") is None:
        lines.append("missing: nvidia-ml-py, so that nobody knows how busy the GPU is")
    if free_gib < _FOLDER_GIB:
        lines.append(f"missing: {_FOLDER_GIB} GiB in {nearest} (it has {free_gib:.0f}), so that scenes may fail")
    if (os.cpu_count() or 1) < 16:
        lines.append(f"missing: 16 cores to feed it, which the goals mean (there are {os.cpu_count()})")
    return lines


def parts(case: Case, device: Device) -> Iterator[Part]:
    """Yield what is measured, the most asked for first."""
    yield ENCODERS[0], 150, partial(networks, case, device, ENCODERS[0])
    yield "scenes", 150, partial(scenes, case, device)
    yield "terrain", 30, partial(terrain, case, device)
    yield "warps", 40, partial(warps, case, device)
    yield "training", 90, training
    for encoder in ENCODERS[1:]:
        yield encoder, 60, partial(networks, case, device, encoder)


def in_time(given: Iterator[Part], limit_s: float) -> Iterator[Result]:
    """Yield the results of parts as long as there is time for them; one that fails does not stop the others."""
    start = time.monotonic()
    for name, usual_s, part in given:
        passed = time.monotonic() - start
        if passed + usual_s > limit_s:
            print(f"[{passed:.0f} s] {name}: left out, it may take {usual_s:.0f} s", flush=True)
            continue
        print(f"[{passed:.0f} s] {name}", flush=True)
        try:
            yield from part()
        except Exception as error:  # noqa: BLE001  (whatever it is, the time on a GPU is not lost)
            print(f"{name} is not measured: {type(error).__name__}: {error}", flush=True)


def terrain(case: Case, device: Device) -> Iterator[Result]:
    """Yield results for terrain and relative elevation on the device, next to all cores of the host."""
    from darts_preprocessing import derive_terrain, topographic_position_index

    dem = elevation(FULL_PX if case.size is None else case.size)
    index = partial(topographic_position_index, dem, _TPI_RADIUS_M)
    yield _beside_host(
        case, device, "slope, aspect, hillshade, curvature", partial(derive_terrain, dem, _TERRAIN), 0.02
    )
    what = f"TPI, {_TPI_RADIUS_M} m at 10 m a pixel"
    yield _beside_host(case, device, what, lambda **on: index(**on).to_dataset(name="index"), 0.01)


def warps(case: Case, device: Device) -> Iterator[Result]:
    """Yield results for warps of elevation and trends on the device, next to all cores of the host."""
    from darts_acquisition import load_arcticdem, load_tcvis
    from darts_preprocessing import TCVIS_BANDS, align_dem, align_tcvis

    size = _WARP_PX if case.size is None else case.size
    grid, aux = scene_grid(size), made_scene(case.folder, size) / "aux"
    dem = load_arcticdem(grid, aux, 10, buffer=DEM_MARGIN_PX, offline=True)
    trends = load_tcvis(grid, aux, offline=True)
    height = 1e-3 * float(np.nanmax(dem["dem"]) - np.nanmin(dem["dem"])) / 10

    def of_elevation(device: Any) -> dict[str, np.ndarray]:
        return {"dem": align_dem(dem, grid, device)}

    def of_trends(device: Any) -> dict[str, np.ndarray]:
        made = align_tcvis(trends, grid, TCVIS_BANDS, device)
        return {name: values.astype(np.float32) for name, values in made.items()}

    yield _beside_host(case, device, "warp of the elevation", of_elevation, height)
    yield _beside_host(case, device, "warp of the trends", of_trends, 1)


def _beside_host(case: Case, device: Device, what: str, make: Callable[..., Any], tolerance: float) -> Result:
    """Return how what is made on the device, from and to host memory, compares with the same made on the host."""
    import torch

    where = torch.device(device.name)
    ours, baseline = partial(make, device=where), partial(make, device="cpu")
    made = ours()
    _agree(made, baseline(), tolerance)
    return measured_on(
        device,
        case,
        f"{what}, from and to host memory",
        px=np.asarray(next(iter(made.values()))).size,
        ours=ours,
        baseline_name="ours on all cores",
        baseline=baseline,
    )


def _agree(ours: Any, plain: Any, tolerance: float) -> None:
    for name in plain:
        apart = np.asarray(ours[name]) - np.asarray(plain[name])
        apart = (apart + 180) % 360 - 180 if name == "aspect" else apart
        assert_close(apart, np.zeros_like(apart), tolerance=tolerance, share=0.999)


def training() -> Iterator[Result]:
    """Print what the script about steps of training finds; it has no ratios for the table."""
    command = [sys.executable, "-m", "benchmarks.training_steps", *_TRAINING]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    print(made.stdout + (made.stderr[-500:] if made.returncode else ""), flush=True)
    yield from ()


if __name__ == "__main__":
    run_case("gpu", __doc__)
