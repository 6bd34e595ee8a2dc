"""What does a slip cost before it is answered?

`uv run python -m benchmarks.slips` types wrong commands, options and values as a shell does, each five times in a new
process and in turn with `python -c pass`, and prints the median CPU seconds of each. Cheap ones need no model, file or
service to be seen through; the aim for them is 0.6 s.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

TIMES = 5
AIM_S = 0.6
CHEAP = (
    "bogus", "map sentinel", "map sentinel2 --ofline", "map sentinel2 --device gpu", "status", "report",
    "map sentinel2 --tile-ids 99XXX", "map sentinel2 --tile-ids 08WNB --months 13",
    "map sentinel2 --tile-ids 08WNB --start-date yesterday",
    "map sentinel2 --tile-ids 08WNB --export-bands probability",
    "search sentinel2 --tile-ids 08WNB --out x.shp", "fetch sentinel2 --tile-ids 08WNB --months july",
)  # fmt: skip


def cpu_seconds(command: list[str], folder: Path) -> float:
    """Return the CPU time of a command and what it starts."""
    before = os.times()
    subprocess.run(command, cwd=folder, capture_output=True, check=False)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    """Measure all of them, in turn, and print what each takes."""
    darts = str(Path(sys.executable).with_name("darts"))
    with tempfile.TemporaryDirectory() as place:
        commands = {
            "(python alone)": [sys.executable, "-c", "pass"],
            **{slip: [darts, *slip.split()] for slip in CHEAP},
        }
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(TIMES):
            for name, command in commands.items():
                taken[name].append(cpu_seconds(command, Path(place)))
    for name, seconds in taken.items():
        print(f"{statistics.median(seconds):5.2f} s  {name}")
    worst = max(statistics.median(seconds) for seconds in taken.values())
    print(f"the dearest takes {worst:.2f} s (aim: {AIM_S})")


if __name__ == "__main__":
    main()
