"""Small seeded tiles: not square, not symmetric, with holes."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import xarray as xr


@pytest.fixture
def make_tile() -> Callable[..., xr.Dataset]:
    def make(rows: int = 90, columns: int = 71, seed: int = 0, models: tuple[str, ...] = ()) -> xr.Dataset:
        rng = np.random.default_rng(seed)
        bands = {}
        for name in ("probabilities", *(f"probabilities-{model}" for model in models)):
            noise = cv2.GaussianBlur(rng.normal(size=(rows, columns)).astype(np.float32), (0, 0), 2)
            bands[name] = np.clip(0.5 + 1.5 * noise, 0, 1)
        bands["probabilities"][5:9, 50:60] = np.nan
        quality = np.full((rows, columns), 2, dtype=np.uint8)
        quality[30:33, 20:50] = 1
        quality[70:, 60:] = 0
        coords = {"y": 7_700_000.0 - 10 * np.arange(rows), "x": 500_000.0 + 10 * np.arange(columns)}
        tile = xr.Dataset({name: (("y", "x"), band) for name, band in bands.items()}, coords, {"tile_id": "a scene"})
        return tile.assign(quality_data_mask=(("y", "x"), quality))

    return make
