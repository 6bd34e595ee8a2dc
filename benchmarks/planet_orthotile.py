"""What a whole Planet orthotile of 8000 x 8000 pixels costs, all but the network: seconds and peak memory a stage.

`uv run python -m benchmarks.planet_orthotile` makes the orthotile (from a sample world of 25 km, with its elevation at
2 m; once, some minutes) and sends it through all stages. Every feature that there is is made. Limit of the memory:
3 GiB.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.mapping import map_and_print

WORLD_PX, SEED = 2500, 3
LIMIT_GIB = 3.0


def make(folder: Path) -> None:
    """Write the world, unless it is there."""
    if list(folder.glob("input/planet/tiles/*/*/*_SR.tif")):
        return
    from darts.demo.world.make import make_world
    from darts.demo.world.planet import write_planet_world

    write_planet_world(make_world(SEED, WORLD_PX), folder)


def run(folder: Path) -> bool:
    """Map the orthotile; return whether it kept within the memory."""
    from darts.pipelines.planet import PlanetPipeline
    from darts_utils.paths import DefaultPaths

    (orthotile,) = folder.glob("input/planet/tiles/*/*")
    paths = DefaultPaths(fast_dir=folder, large_dir=folder, models_dir=folder / "models" / "planet")
    pipeline = PlanetPipeline(
        default_dirs=paths, image_ids=[orthotile.name], offline=True, overwrite=True, device="cpu", batch_size=1
    )
    return map_and_print(pipeline, LIMIT_GIB)


def main() -> None:
    """Make what is needed, and run in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("benchmark-orthotile"))
    parser.add_argument("--only-run", action="store_true")
    arguments = parser.parse_args()
    if arguments.only_run:
        sys.exit(not run(arguments.folder))
    make(arguments.folder)
    again = [sys.executable, "-m", "benchmarks.planet_orthotile", "--only-run", *sys.argv[1:]]
    sys.exit(subprocess.run(again, check=False).returncode)


if __name__ == "__main__":
    main()
