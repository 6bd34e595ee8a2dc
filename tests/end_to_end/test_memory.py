"""Memory is bounded: what a scene needs at its peak is measured in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cases.whole_scene import WARM_UP_PX, map_ours
from benchmarks.lib.scene import made_scene

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_scene_of_4096_pixels_keeps_within_its_memory(tmp_path):
    small = made_scene(tmp_path, WARM_UP_PX)
    map_ours(small, WARM_UP_PX)  # compiles, which takes memory of its own, once for all runs of an installation
    command = [sys.executable, "-m", "benchmarks.mapping", "--size", "4096", "--folder", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-1500:] + result.stderr[-1500:]
    assert "of the limit" in result.stdout
