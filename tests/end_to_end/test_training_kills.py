"""Killed at random moments and started again, training data ends up as that of an unbroken run.

`DARTS_TEST_KILLS` sets how often it is killed.
"""

import os
import subprocess
import sys
from pathlib import Path

from training_worlds import read_set, same_sets, write_labelled_worlds

KILLS = os.environ.get("DARTS_TEST_KILLS", "1")
SCRIPT = """
import os, random, signal, sys, time
from pathlib import Path
# imported once: each run is a fork of this process, which has no threads
import darts.datasets.build.run, darts.datasets.build.planet
from darts.training import PlanetTrainingData
from darts_segmentation.training import TrainDatasetBuilder
from darts_utils.paths import DefaultPaths
from training_worlds import lengths

root, kills = Path(sys.argv[1]), int(sys.argv[2])

def start(folder):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = PlanetTrainingData(
                data_dir=root / "input" / "planet", labels_dir=root / "labels", train_data_dir=root / folder,
                default_dirs=DefaultPaths(fast_dir=root, large_dir=root), patch_size=64, exclude_nan=False,
                offline=True, device="cpu",
            ).create().exit_code
        finally:
            sys.stdout.flush()
            os._exit(code)
    return child

def begun():
    return len(list((root / "killed").glob("*.cli.toml")))

moments, midway = random.Random(11), 0
for _ in range(kills):
    known, child = begun(), start("killed")
    while begun() == known and os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.005)
    time.sleep(moments.uniform(0, 1.5))
    os.kill(child, signal.SIGKILL)
    midway += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    found = lengths(root / "killed")
    assert len(set(found)) == 1, found
for folder in ("killed", "unbroken"):
    assert os.waitstatus_to_exitcode(os.waitpid(start(folder), 0)[1]) == 0
print("MIDWAY", midway)
"""


def test_killed_at_random_moments_and_started_again_nothing_is_lost_or_doubled(tmp_path):
    write_labelled_worlds(tmp_path, [3, 5])
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path, KILLS],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "MIDWAY 0" not in result.stdout, "no kill came while there was work"
    assert same_sets(tmp_path / "killed", tmp_path / "unbroken")
    _, _, metadata = read_set(tmp_path / "killed")
    assert metadata["patch_id"].is_unique
    assert metadata["z_idx"].tolist() == list(range(len(metadata)))
    assert len(metadata["sample_id"].unique()) == 4
    assert {path.name for path in (tmp_path / "killed").rglob(".*")} == {".lock"}
