"""Whole images through all stages with networks that do nothing: seconds and peak memory, stage by stage.

`uv run python -m benchmarks.mapping --size 4096` makes a Sentinel-2 scene (once, about a minute for a full one) and
maps it with the default exports. Fails beyond the limits of the memory: 3 GiB for 10980 pixels a side, 1.6 for 4096.
"""

import argparse
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.lib.measure import sampled
from benchmarks.lib.networks import ensemble_without_network
from benchmarks.lib.scene import FULL_PX, SCENE_ID, made_scene

if TYPE_CHECKING:
    from darts.pipelines.base import Pipeline
    from darts.pipelines.sentinel2 import Sentinel2Pipeline
    from darts.pipelines.tiles import RunReport
    from darts_segmentation import EnsembleV1

LIMIT_GIB = {FULL_PX: 3.0, 4096: 1.6}
"""By pixels a side; that of a full scene holds for all others."""


def run_with(models: "EnsembleV1", pipeline: "Pipeline") -> "RunReport":
    """Run a pipeline with models in the place of those that it names."""
    from darts.pipelines.run import on_this_machine, run_pipeline

    return run_pipeline(pipeline, partial(on_this_machine, models=models))


def scene_pipeline(folder: Path, **parameters: Any) -> "Sentinel2Pipeline":
    """Return what maps the scene of a folder, all features and the default exports, again each time."""
    from darts.pipelines.sentinel2 import Sentinel2Pipeline
    from darts_utils.paths import DefaultPaths

    paths = DefaultPaths(fast_dir=folder, large_dir=folder, models_dir=folder / "models")
    given = {"scene_ids": [SCENE_ID], "offline": True, "overwrite": True, "device": "cpu", "batch_size": 1}
    return Sentinel2Pipeline(default_dirs=paths, **{**given, **parameters})


def map_and_print(pipeline: "Pipeline", limit_gib: float, n_models: int = 1) -> bool:
    """Run a pipeline without network and print what each stage took; return whether it kept within the memory."""
    with sampled() as samples:
        report = run_with(ensemble_without_network(n_models), pipeline)
    (outcome,) = report.outcomes
    if outcome.error:
        print(outcome.error)
    for stage in outcome.times:
        peak = max((gib for when, gib in samples if stage.start <= when <= stage.end), default=0.0)
        print(f"{stage.stage:12} {stage.seconds:6.1f} s  {peak:5.2f} GiB")
    highest = max(gib for _, gib in samples)
    print(f"all stages   {outcome.seconds:6.1f} s  {highest:5.2f} GiB, {highest / limit_gib:.2f} of the limit")
    return highest <= limit_gib and outcome.error is None


def _run(folder: Path, size: int) -> bool:
    """Map the scene; return whether it kept within the memory."""
    limit = LIMIT_GIB.get(size, LIMIT_GIB[FULL_PX])
    return map_and_print(scene_pipeline(folder), limit, n_models=2)


def main() -> None:
    """Make what is needed, and run in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=FULL_PX)
    parser.add_argument("--folder", type=Path, default=Path("benchmark-scenes"))
    parser.add_argument("--only-run", action="store_true")
    arguments = parser.parse_args()
    if arguments.only_run:
        sys.exit(not _run(arguments.folder / str(arguments.size), arguments.size))
    made_scene(arguments.folder, arguments.size)
    again = [sys.executable, "-m", "benchmarks.mapping", "--only-run", *sys.argv[1:]]
    sys.exit(subprocess.run(again, check=False).returncode)


if __name__ == "__main__":
    main()
