"""Ground of made-up scenes: random, but smooth, as that of `make_scene` and `make_planet_scene` in `conftest.py`."""

import cv2
import numpy as np


def as_networks_see_it(n_bands, size=64):
    """Return (1, band, y, x) float32 from 0 to 1, for networks that are to find something in such scenes."""
    rng = np.random.default_rng(0)
    layers = [cv2.GaussianBlur(rng.normal(0, 1, (size, size)).astype(np.float32), (0, 0), 4) for _ in range(n_bands)]
    return 0.5 + 0.5 * np.stack(layers)[None]
