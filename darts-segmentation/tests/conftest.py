"""Small tiles and small networks; one torch thread, because the test machine is shared."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from darts_segmentation.models.checkpoint import save_checkpoint

torch.set_num_threads(1)

BANDS = ("red", "green", "blue", "nir", "ndvi", "slope", "tc_wetness")
SMALL_UNET = {
    "arch": "unet",
    "encoder_name": "resnet18",
    "encoder_depth": 3,
    "decoder_channels": [16, 8, 8],
    "in_channels": 3,
    "classes": 1,
}


def make_tile(height: int, width: int, seed: int = 0, bands: tuple[str, ...] = BANDS) -> xr.Dataset:
    """Return a smooth, asymmetric tile in memory representation, all pixels valid."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    layers = {}
    for band in bands:
        wave = np.sin(x / rng.uniform(5, 20) + rng.uniform(0, 6)) * np.cos(y / rng.uniform(5, 30)) / 2 + 0.5
        wave += rng.normal(0, 0.05, wave.shape)
        low, high = {"ndvi": (-1, 1), "slope": (0, 90), "tc_wetness": (0, 255)}.get(band, (0, 0.4))
        values = low + (high - low) * np.clip(wave, 0, 1)
        layers[band] = (("y", "x"), values.astype(np.uint8 if band.startswith("tc_") else np.float32))
    layers["quality_data_mask"] = (("y", "x"), np.full((height, width), 2, dtype=np.uint8))
    coords = {"y": 7_700_000.0 - 10 * np.arange(height), "x": 500_000.0 + 10 * np.arange(width)}
    return xr.Dataset(layers, coords=coords)


class SmallNet(nn.Module):
    """Three dilated convolutions: 15 pixels of reach, weights from a seed, output spread over 0..1."""

    reach = 15

    def __init__(self, n_bands: int, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        sizes = [(n_bands, 8, 1), (8, 8, 4), (8, 1, 10)]
        self.layers = nn.ModuleList(nn.Conv2d(i, o, 3, padding=d, dilation=d) for i, o, d in sizes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return 8 * self.layers[-1](x)


@pytest.fixture(scope="session")
def small_unet() -> nn.Module:
    """A three-band network with seeded weights and lively output."""
    import segmentation_models_pytorch as smp

    torch.manual_seed(3)
    model = smp.create_model(**SMALL_UNET, encoder_weights=None)
    with torch.no_grad():
        model.segmentation_head[0].weight.mul_(15)
    return model.eval()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, small_unet: nn.Module) -> Path:
    """That network in our own format, for red, ndvi and slope."""
    path = tmp_path_factory.mktemp("models") / "small.pt"
    save_checkpoint(path, SMALL_UNET, ("red", "ndvi", "slope"), small_unet.state_dict(), metadata={"seeds": [1, 2]})
    return path


@pytest.fixture(scope="session")
def tile_of() -> Callable[..., xr.Dataset]:
    return make_tile


@pytest.fixture(scope="session")
def net_of() -> Callable[..., nn.Module]:
    return lambda n_bands, seed=0: SmallNet(n_bands, seed).eval()


@pytest.fixture
def with_pickle(tmp_path: Path) -> Callable[[Path, Callable[[bytes], bytes]], Path]:
    """Write a file of torch anew with another `data.pkl`, as someone does who knows how."""

    def altered(source: Path, change: Callable[[bytes], bytes]) -> Path:
        target = tmp_path / f"altered{source.suffix}"
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
            for name in old.namelist():
                raw = old.read(name)
                new.writestr(name, change(raw) if name.endswith("/data.pkl") else raw)
        return target

    return altered
