"""What a whole Planet orthotile of 8000 x 8000 pixels costs: peak memory of the process, and seconds a stage.

`uv run python benchmarks/planet_orthotile.py --folder work` makes the orthotile (from a sample world of 25 km, with its
elevation at 2 m; once, some minutes) and sends it through all stages, with a network that passes its first band on.
Every feature that there is is made. Baseline for the memory: 4 GiB.
"""

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WORLD_PX, SEED = 2500, 3
LIMIT_GIB = 4.0


def make(folder: Path) -> None:
    """Write the world, unless it is there."""
    if list(folder.glob("input/planet/tiles/*/*/*_SR.tif")):
        return
    from darts.demo.planet import write_planet_world
    from darts.demo.world import make_world

    write_planet_world(make_world(SEED, WORLD_PX), folder)


def resident_gib() -> float:
    """Return the memory of this process, which, unlike what the system counts for children, begins with it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**30


@contextmanager
def sampled() -> Iterator[list[tuple[float, float]]]:
    """Give a list that fills with (seconds since the epoch, GiB) every hundredth of a second."""
    samples, ended = [], threading.Event()

    def sample() -> None:
        while not ended.wait(0.01):
            samples.append((time.time(), resident_gib()))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def run(folder: Path) -> None:
    """Map the orthotile with a network that does nothing, and print seconds and peak memory of each stage."""
    import torch

    from darts.demo.training_data import BANDS
    from darts.pipelines.planet import PlanetPipeline
    from darts_segmentation import EnsembleV1
    from darts_segmentation.network import Member
    from darts_utils.paths import DefaultPaths

    class Identity(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 20 * x[:, :1] - 3

    ensemble = EnsembleV1.__new__(EnsembleV1)
    ensemble.device = torch.device("cpu")
    ensemble.members = (Member(name="identity", model=Identity(), bands=BANDS),)
    (orthotile,) = folder.glob("input/planet/tiles/*/*")

    class WithIdentity(PlanetPipeline):
        def _load_models(self) -> EnsembleV1:
            return ensemble

    paths = DefaultPaths(fast_dir=folder, large_dir=folder, models_dir=folder / "models" / "planet")
    pipeline = WithIdentity(
        default_dirs=paths, image_ids=[orthotile.name], offline=True, overwrite=True, device="cpu", batch_size=1
    )
    with sampled() as samples:
        report = pipeline.run()
    print(report.outcomes[0].status, report.outcomes[0].error or "")
    for stage in report.outcomes[0].times:
        peak = max((gib for when, gib in samples if stage.start <= when <= stage.end), default=0)
        print(f"{stage.stage:12} {stage.seconds:6.1f} s  {peak:5.2f} GiB")
    highest = max(gib for _, gib in samples)
    print(f"peak memory {highest:.2f} GiB, {highest / LIMIT_GIB:.2f} of what is allowed")
    sys.exit(highest > LIMIT_GIB)


def main() -> None:
    """Make what is needed, run in a process of its own, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--only-run", action="store_true")
    arguments = parser.parse_args()
    if arguments.only_run:
        run(arguments.folder)
        return
    make(arguments.folder)
    command = [sys.executable, __file__, "--only-run", "--folder", str(arguments.folder)]
    sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
