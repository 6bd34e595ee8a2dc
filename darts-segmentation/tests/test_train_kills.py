"""Killed at single file operations: x, y and metadata agree, and going on leads to the whole set.

`DARTS_TEST_KILLS` sets how often: from 82 on at every operation.
"""

import os
import subprocess
import sys

import pytest

KILLS = int(os.environ.get("DARTS_TEST_KILLS", "2"))
SCRIPT = r"""
import json, os, pathlib, shutil, sys, warnings
import geopandas as gpd
import numpy as np
import pyarrow.parquet
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from darts_segmentation.training import TrainDatasetBuilder

folder = pathlib.Path(sys.argv[1])
stride = int(sys.argv[2])
GRID = GeoBox((16, 24), Affine(10, 0, 500_000, 0, -10, 7_700_000), "EPSG:32608")

def tile(seed):
    return xr.Dataset({"red": wrap_xr(np.full(GRID.shape, 0.1 * seed, dtype=np.float32), GRID)})

def work(target, append):
    nothing = gpd.GeoDataFrame(geometry=[], crs="EPSG:4326")
    made = TrainDatasetBuilder(target, 16, 8, ["red"], False, False, "cpu", append=append, shard_size=SHARD)
    for seed in range(3):
        made.add_tile(tile(seed), nothing, "Land", f"image {seed}")
    made.finalize({"darts": {"patch_size": 16}})

def lengths(target):
    found = {name: 0 for name in ("x", "y", "metadata")}
    for name in "xy":
        file = target / "data.zarr" / name / "zarr.json"
        if file.exists():
            found[name] = json.loads(file.read_text())["shape"][0]
    if (target / "metadata.parquet").exists():
        found["metadata"] = pyarrow.parquet.read_metadata(target / "metadata.parquet").num_rows
    return found

def content(target):
    import zarr
    data = zarr.open_group(target / "data.zarr", mode="r")
    table = gpd.read_parquet(target / "metadata.parquet")
    files = sorted(str(path.relative_to(target)) for path in target.rglob("*"))
    return data["x"][:].tobytes(), data["y"][:].tobytes(), table.to_json(), files

def in_child(function, *arguments):
    child = os.fork()
    if child == 0:
        try:
            function(*arguments)
        except BaseException as error:
            print("failed:", repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def killed_at(step, target, append):
    seen = [0]
    changing = {"os.rename", "os.remove", "os.symlink", "os.mkdir", "os.rmdir", "open", "os.truncate"}
    def count(event, arguments):
        if event not in changing or (event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        if str(target) in str(arguments[0]) or (len(arguments) > 1 and str(target) in str(arguments[1])):
            seen[0] += 1
            if seen[0] == step:
                os._exit(9)
    sys.addaudithook(count)
    work(target, append)

def check(target, whole):
    assert content(target) == content(whole), (content(target)[2:], content(whole)[2:])

warnings.simplefilter("ignore")
for SHARD, append in ((None, True), (4, True), (None, False)):
    whole = folder / f"whole-{SHARD}-{append}"
    assert in_child(work, whole, True) == 0
    step, kills = int(sys.argv[3]), 0
    while True:
        target = folder / f"killed-{SHARD}-{append}-{step}"
        if not append:  # an older set is replaced
            shutil.copytree(whole, target, symlinks=True)
        code = in_child(killed_at, step, target, append)
        assert code in (0, 9), code
        if code == 0:
            break
        kills += 1
        found = lengths(target)
        assert len(set(found.values())) == 1, (step, found)
        assert in_child(work, target, True) == 0
        assert in_child(check, target, whole) == 0, step
        shutil.rmtree(target)
        step += stride
    print("KILLS", SHARD, append, kills, flush=True)
"""


@pytest.mark.skipif("DARTS_TEST_KILLS" not in os.environ, reason="slow: DARTS_TEST_KILLS=20 runs it")
@pytest.mark.timeout(1200)
def test_killed_at_any_step_the_parts_agree_and_the_set_is_completed(tmp_path):
    stride = max(1, 82 // KILLS)
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), str(stride), str(min(stride, 7))],
        capture_output=True,
        text=True,
        timeout=1100,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    kills = [int(line.split()[-1]) for line in result.stdout.splitlines() if line.startswith("KILLS")]
    assert len(kills) == 3
    assert min(kills) > 1
