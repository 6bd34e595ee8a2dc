"""What a whole Planet orthotile of 8000 x 8000 pixels costs: peak memory of the process, and seconds a stage.

`uv run python benchmarks/planet_orthotile.py --folder work` makes the orthotile (from a sample world of 25 km, with its
elevation at 2 m; once, some minutes) and sends it through all stages, with a network that passes its first band on.
Every feature that there is is made. Baseline for the memory: 4 GiB.
"""

import argparse
import resource
import subprocess
import sys
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


def run(folder: Path) -> None:
    """Map the orthotile with a network that does nothing."""
    import pandas as pd
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
    report = WithIdentity(
        default_dirs=paths, image_ids=[orthotile.name], offline=True, overwrite=True, device="cpu", batch_size=1
    ).run()
    print(report.outcomes[0].status, report.outcomes[0].error or "")
    newest = max(report.folder.glob("*.timer.parquet"))
    print(pd.read_parquet(newest).to_string())


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
    subprocess.run([sys.executable, __file__, "--only-run", "--folder", str(arguments.folder)], check=True)
    peak_gib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"peak memory {peak_gib:.2f} GiB, {peak_gib / LIMIT_GIB:.2f} of what is allowed")
    sys.exit(peak_gib > LIMIT_GIB)


if __name__ == "__main__":
    main()
