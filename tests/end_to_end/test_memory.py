"""Memory is bounded: what a scene needs at its peak is measured in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cases.whole_scene import WARM_UP_PX, map_ours
from benchmarks.lib.scene import FULL_PX, made_scene

ROOT = Path(__file__).resolve().parents[2]


FULL = pytest.mark.skipif(
    not os.environ.get("DARTS_TEST_MEMORY"), reason="two minutes and 3 GB of disk: DARTS_TEST_MEMORY=1 runs it"
)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("size", [4096, pytest.param(FULL_PX, marks=FULL)])
def test_a_scene_keeps_within_its_memory(tmp_path, size):
    small = made_scene(tmp_path, WARM_UP_PX)
    map_ours(small, WARM_UP_PX)  # compiles, which takes memory of its own, once for all runs of an installation
    command = [sys.executable, "-m", "benchmarks.mapping", "--size", str(size), "--folder", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-1500:] + result.stderr[-1500:]
    assert "of the limit" in result.stdout
