"""What the cross-package tests share: small models, small scenes in the real formats, and the shared real data."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from darts_acquisition.services.network import set_offline

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"

# maps of tests are to be the same whatever the processor: this keeps the library of torch's convolutions, and with it
# `--precision auto`, from numbers that only some processors have
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_VNNI")


@pytest.fixture
def shared_data():
    """Folder of the real data that lies beside the checkout; the test is skipped where it is not there."""
    if not SHARED.is_dir():
        pytest.skip(f"the shared real data is not at {SHARED}")
    return SHARED


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("DARTS_DATA_DIR", "DARTS_FAST_DATA_DIR", "DARTS_LARGE_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    yield
    set_offline(offline=False)  # a run in this process may have been offline


@pytest.fixture(scope="session")
def make_model():
    """Write a small untrained network whose output varies, so that there are objects; seeded."""

    def make(path, bands, seed=0):
        import segmentation_models_pytorch as smp
        import torch
        from made_up_ground import as_networks_see_it

        from darts_segmentation.models.checkpoint import save_checkpoint

        torch.manual_seed(seed)
        config = {
            "arch": "unet",
            "encoder_name": "resnet18",
            "encoder_weights": None,
            "encoder_depth": 3,
            "decoder_channels": [32, 16, 8],
            "in_channels": len(bands),
            "classes": 1,
        }
        model = smp.create_model(**config).eval()
        with torch.inference_mode():
            logits = model(torch.from_numpy(as_networks_see_it(len(bands))))
            head = model.segmentation_head[0]
            scale = 2 / logits.std()
            head.weight.mul_(scale)
            head.bias.copy_((head.bias - logits.mean()) * scale - 1)
        save_checkpoint(path, config, bands, model.state_dict())
        return path

    return make


@pytest.fixture
def scene_ids():
    return [f"S2B_MSIL2A_202407{day}T200909_N0510_R128_T08WNB_202407{day}T234418" for day in (20, 21, 22, 23)]


@pytest.fixture(scope="session")
def make_scene():
    """Put a scene of smooth random ground into a raw store."""

    def make(store_folder, scene_id, size=(150, 190), seed=0, left=500_000, bottom=7_700_000):
        import cv2
        from odc.geo.geobox import GeoBox
        from odc.geo.xr import wrap_xr

        from darts_acquisition.optical.sentinel2.scene_store import SceneStore

        rng = np.random.default_rng(seed)
        height, width = size
        grid = GeoBox.from_bbox((left, bottom, left + 10 * width, bottom + 10 * height), "EPSG:32608", resolution=10)
        bands = {}
        for name in ("B02_10m", "B03_10m", "B04_10m", "B08_10m"):
            ground = cv2.GaussianBlur(rng.normal(0, 1, size).astype(np.float32), (0, 0), 4)
            bands[name] = wrap_xr((2000 + 3000 * ground).clip(1, 9000).astype(np.uint16), grid)
            bands[name].values[:9, : width // 3] = 0
        classes = np.full(size, 4, dtype=np.uint8)
        classes[:9, : width // 3] = 0
        classes[60:80, 20:50] = 9
        bands["SCL_20m"] = wrap_xr(classes, grid)
        attributes = {"view:sun_azimuth": 170.0, "view:sun_elevation": 40.0, "datetime": "2024-07-20T20:09:09Z"}
        SceneStore(store_folder, "cdse").write(scene_id, bands, attributes)
        return grid

    return make


@pytest.fixture(scope="session")
def make_planet_scene():
    """Put a PlanetScope scene of smooth random ground into a folder of scenes."""

    def make(scenes, scene_id="20240812_203954_07_1007", size=(64, 70), seed=0):
        import cv2
        import rasterio

        rng = np.random.default_rng(seed)
        folder = scenes / scene_id
        folder.mkdir(parents=True, exist_ok=True)
        ground = [cv2.GaussianBlur(rng.normal(0, 1, size).astype(np.float32), (0, 0), 4) for _ in range(4)]
        udm2 = np.zeros((8, *size), np.uint8)
        udm2[0], udm2[6] = 1, 90
        files = {
            "SR": np.stack([(2000 + 3000 * band).clip(1, 9000).astype(np.uint16) for band in ground]),
            "udm2": udm2,
        }
        for name, bands in files.items():
            grid = {"crs": "EPSG:32608", "transform": rasterio.Affine(3, 0, 500_000, 0, -3, 7_700_000)}
            shape = {"count": len(bands), "height": size[0], "width": size[1], "dtype": bands.dtype}
            with rasterio.open(folder / f"{scene_id}_{name}.tif", "w", driver="GTiff", **grid, **shape) as raster:
                raster.write(bands)
        (folder / f"{scene_id}_metadata.json").write_text('{"sun_azimuth": 170, "sun_elevation": 40}')
        return folder

    return make


@pytest.fixture
def darts(capfd):
    """Run the command line in this process; give what a finished process would: returncode, stdout, stderr."""
    from darts.cli import app, config_parser
    from darts.utils import terminal
    from darts.utils.logging import LoggingManager

    def run(*arguments):
        terminal.output_console.cache_clear()
        terminal.error_console.cache_clear()
        config_parser.__init__()
        config_parser.root_app = app
        code = app.meta([str(argument) for argument in arguments], result_action="return_value", exit_on_error=False)
        return subprocess.CompletedProcess(arguments, code or 0, *capfd.readouterr())

    yield run
    LoggingManager.reset()


@pytest.fixture
def darts_process(tmp_path):
    """Run the command line as a user does, in a process of its own; give the finished process."""

    def run(*arguments, timeout=120):
        command = [sys.executable, "-m", "darts.cli", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=tmp_path, check=False)

    return run
