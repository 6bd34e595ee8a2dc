"""What users do wrong, and what happens to data on the way: one clear line, the right exit status, nothing lost.

These lines are what users read; they are tested in full.
"""

import os
import pickle
import subprocess

import pandas as pd
import pytest
import torch

OPTICAL = ["red", "green", "blue", "nir", "ndvi"]
SMALL = {"--patch-size": "96", "--overlap": "32", "--device": "cpu"}
SCENE = "S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418"
OTHER = "S2B_MSIL2A_20240721T200909_N0510_R128_T08WNB_20240721T234418"


@pytest.fixture
def store(tmp_path):
    return tmp_path / "input" / "sentinel2" / "cdse-scenes"


@pytest.fixture
def model(make_model, tmp_path):
    (tmp_path / "models").mkdir()
    return make_model(tmp_path / "models" / "optical.pt", OPTICAL)


@pytest.fixture
def two_scenes(make_scene, store, model):
    for seed, scene_id in enumerate((SCENE, OTHER)):
        make_scene(store, scene_id, seed=seed)


@pytest.fixture
def map_scenes(darts):
    def run(*arguments, scenes=(SCENE, OTHER), **options):
        small = [word for flag, value in SMALL.items() if flag not in arguments for word in (flag, value)]
        command = ["inference", "sentinel2-sequential", "--offline", "--scene-ids", *scenes]
        return darts(*command, *small, *arguments, **options)

    return run


def refused(result, *lines):
    """Check for wrong usage or configuration: status 2, nothing but these lines on standard error."""
    assert result.stderr.splitlines() == [f"Error: {line}" for line in lines]
    assert (result.returncode, result.stdout) == (2, "")


def one_failed(result, tmp_path, reason):
    """Check that one scene failed for this reason, by name, and the other one is complete."""
    assert result.returncode == 1, result.stderr
    assert f"failed {SCENE}: {reason}" in result.stdout.splitlines()
    assert "Traceback" not in result.stdout + result.stderr
    folder = tmp_path / "output" / "sentinel2-cdse"
    assert not (folder / SCENE).exists()
    assert (folder / OTHER / "probabilities.tif").exists()
    (record,) = folder.glob("*.results.parquet")
    outcomes = pd.read_parquet(record).set_index("tile_id")
    assert outcomes.loc[SCENE, ["status", "error"]].tolist() == ["failed", reason]
    assert outcomes.loc[OTHER, "status"] == "success"


def test_no_models(map_scenes, tmp_path):
    refused(
        map_scenes(),
        f"there is no model (*.safetensors, *.pt) in {tmp_path / 'models'}, which does not exist. Put one there, or"
        " name one with --model-files.",
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--overlap", "96"],
            "overlap is 96 px but must be below patch_size (96 px). Lower overlap or raise patch_size.",
        ),
        (["--tpi-outer-radius", "-100"], "tpi_outer_radius is -100 but must be positive. Use 1 or more."),
        (["--tpi-inner-radius", "-5"], "tpi_inner_radius is -5 but must not be negative. Use 0 or more."),
    ],
)
def test_wrong_parameters(map_scenes, two_scenes, arguments, line):
    refused(map_scenes(*arguments), line)


def test_an_unknown_export_band(map_scenes, two_scenes):
    result = map_scenes("--export-bands", "probabilities", "ndiv")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert "ndiv" in line
    assert "ndvi" in line
    assert "thumbnail" in line


def test_a_checkpoint_without_bands(map_scenes, two_scenes, model):
    content = torch.load(model, weights_only=True)
    del content["bands"]
    torch.save(content, model)
    result = map_scenes()
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert str(model) in line
    assert "bands" in line


class Evil:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_a_pickle_that_tries_to_run_code(map_scenes, two_scenes, model, tmp_path, save):
    save({"config": Evil(tmp_path / "ran")}, model)
    result = map_scenes()
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert str(model) in line
    assert not (tmp_path / "ran").exists()


def test_a_truncated_checkpoint(map_scenes, two_scenes, model):
    model.write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    result = map_scenes()
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert str(model) in line


def test_a_missing_scene(map_scenes, make_scene, store, model, tmp_path):
    make_scene(store, OTHER)
    reason = (
        f"optical: scene {SCENE} is not staged in {store}. "
        f"Stage it with `darts prep-data sentinel2 --optical --raw-data-source cdse --scene-ids {SCENE}`."
    )
    one_failed(map_scenes(), tmp_path, reason)


def test_a_store_lacking_a_band(map_scenes, two_scenes, store, tmp_path):
    path = store / f"cdse-s2-sr-scene-{SCENE}.zarr"
    subprocess.run(["rm", "-r", str(path / "B08_10m")], check=True)
    reason = (
        f"optical: scene {SCENE} has no band B08_10m in {path} (staged: B02_10m, B03_10m, B04_10m, SCL_20m). "
        "Stage it with `darts prep-data sentinel2 --optical`."
    )
    one_failed(map_scenes(), tmp_path, reason)


def test_a_corrupt_chunk(map_scenes, two_scenes, store, tmp_path):
    path = store / f"cdse-s2-sr-scene-{SCENE}.zarr"
    chunk = path / "B03_10m" / "c" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-40] + bytes(40))
    result = map_scenes()
    (line,) = [line for line in result.stdout.splitlines() if line.startswith(f"failed {SCENE}: ")]
    reason = line.removeprefix(f"failed {SCENE}: ")
    assert reason.startswith(f"optical: band B03_10m of {path} is damaged (")
    assert reason.endswith("). Delete the scene and stage it again.")
    one_failed(result, tmp_path, reason)


def test_no_cube_where_a_model_needs_terrain(map_scenes, two_scenes, make_model, model, tmp_path):
    make_model(model, ["red", "slope"])
    result = map_scenes()
    assert result.returncode == 1
    for scene in (SCENE, OTHER):
        assert (
            f"failed {scene}: arcticdem: there is no datacube at {tmp_path / 'aux' / 'arcticdem_10m.icechunk'}. "
            f"Stage it with `darts prep-data sentinel2 --aux --raw-data-source cdse --scene-ids {scene}`."
        ) in result.stdout.splitlines()


def test_a_config_file_that_is_not_toml(map_scenes, two_scenes, tmp_path):
    (tmp_path / "config.toml").write_text("[darts\npatch_size = 3")
    result = map_scenes()
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: the config file config.toml is not valid TOML: ")
    assert "line 1" in line


def test_an_output_folder_that_cannot_be_made(map_scenes, two_scenes, tmp_path):
    (tmp_path / "file").write_text("")
    refused(
        map_scenes("--output-data-dir", "file/results"),
        "cannot make the folder file/results: Not a directory. Choose another folder.",
    )


@pytest.fixture
def mounted(tmp_path):
    """Give a function that mounts a file system in memory; the test is skipped where that is not allowed."""
    folder = tmp_path / "mounted"
    folder.mkdir()

    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            pytest.skip(f"a file system cannot be mounted here: {result.stderr.strip()}")
        return folder

    yield mount
    subprocess.run(["umount", str(folder)], check=False)


def test_an_output_folder_that_is_read_only(map_scenes, two_scenes, mounted):
    folder = mounted("ro")
    refused(
        map_scenes("--output-data-dir", folder),
        f"the results folder {folder} is not writable. Choose another with --output-data-dir.",
    )


def test_a_full_disk(map_scenes, two_scenes, mounted):
    small_disk = mounted("size=400k")  # holds the run record but not a scene's results
    (small_disk / "other.bin").write_bytes(bytes(330_000))
    result = map_scenes("--output-data-dir", small_disk)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    failures = [line for line in result.stdout.splitlines() if line.startswith("failed ")]
    assert len(failures) == 2
    assert all("export: " in line and "No space left on device" in line for line in failures)
    assert [path for path in small_disk.iterdir() if path.is_dir()] == []
    assert not list(small_disk.rglob("*part*"))
    (small_disk / "other.bin").unlink()
    (small_disk.parent / "again").mkdir()
    assert map_scenes("--output-data-dir", small_disk.parent / "again").returncode == 0


def test_results_that_are_there_are_never_touched(map_scenes, two_scenes, tmp_path):
    assert map_scenes().returncode == 0
    folder = tmp_path / "output" / "sentinel2-cdse"
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.glob("*/*") if path.is_file()}
    again = map_scenes()
    assert again.returncode == 0
    assert "2 tiles selected, 2 done before" in again.stdout
    after = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.glob("*/*") if path.is_file()}
    assert after == before
