"""What a whole Sentinel-2 scene costs, all but the network: seconds and peak memory of each stage.

`uv run python -m benchmarks.whole_scene --size 10980` makes the scene (once, about a minute) and maps it with the
default exports. Limits of the memory: 4 GiB for 10980 pixels a side, 2 GiB for 4096.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.mapping import map_and_print
from benchmarks.scene import FULL_PX, SCENE_ID, make_scene

LIMIT_GIB = {FULL_PX: 4.0, 4096: 2.0}


def run(folder: Path, size: int) -> bool:
    """Map the scene; return whether it kept within the memory."""
    from darts.pipelines.sentinel2 import Sentinel2Pipeline
    from darts_utils.paths import DefaultPaths

    paths = DefaultPaths(fast_dir=folder, large_dir=folder, models_dir=folder / "models")

    def make(pipeline: type) -> Sentinel2Pipeline:
        return pipeline(
            default_dirs=paths, scene_ids=[SCENE_ID], offline=True, overwrite=True, device="cpu", batch_size=1
        )

    return map_and_print(make, Sentinel2Pipeline, LIMIT_GIB.get(size, LIMIT_GIB[FULL_PX]))


def main() -> None:
    """Make what is needed, and run in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=FULL_PX)
    parser.add_argument("--folder", type=Path, default=Path("benchmark-scenes"))
    parser.add_argument("--only-run", action="store_true")
    arguments = parser.parse_args()
    folder = arguments.folder / str(arguments.size)
    if arguments.only_run:
        sys.exit(not run(folder, arguments.size))
    make_scene(folder, arguments.size)
    again = [sys.executable, "-m", "benchmarks.whole_scene", "--only-run", *sys.argv[1:]]
    sys.exit(subprocess.run(again, check=False).returncode)


if __name__ == "__main__":
    main()
