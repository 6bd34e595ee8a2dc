"""A small seeded tile as `prepare_export` leaves it: not square, not symmetric, with holes."""

from collections.abc import Callable

import cv2
import numpy as np
import odc.geo.xr  # noqa: F401
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from rasterio import Affine

SCENE = "S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418"


def pytest_configure(config: pytest.Config) -> None:
    # odc-geo multiplies affines with *, which affine 3 is going to drop
    config.addinivalue_line("filterwarnings", "ignore:Use `@` matmul:PendingDeprecationWarning")


@pytest.fixture
def make_grid() -> Callable[[int, int], GeoBox]:
    return lambda rows, columns: GeoBox((rows, columns), Affine(10, 0, 412_340, 0, -10, 7_774_560), "EPSG:32608")


@pytest.fixture
def make_tile(make_grid) -> Callable[..., xr.Dataset]:
    def make(rows: int = 93, columns: int = 71, models: tuple[str, ...] = (), seed: int = 0) -> xr.Dataset:
        rng = np.random.default_rng(seed)
        shape = (rows, columns)
        tile = xr.Dataset(coords=xr_coords(make_grid(rows, columns)), attrs={"tile_id": SCENE, "azimuth": 170.0})
        for name in ("red", "green", "blue", "nir"):
            tile[name] = (("y", "x"), rng.uniform(0, 0.4, shape).astype(np.float32), {"units": "Reflectance"})
        tile["red"][:2] = np.nan
        for name, scale in {"slope": 90, "relative_elevation": 50, "ndvi": 1}.items():
            tile[name] = (("y", "x"), rng.uniform(0, scale, shape).astype(np.float32))
        for name in ("tc_brightness", "tc_greenness", "tc_wetness"):
            tile[name] = (("y", "x"), rng.integers(0, 256, shape, dtype=np.uint8))
        tile["quality_data_mask"] = (("y", "x"), rng.integers(0, 3, shape, dtype=np.uint8))
        tile["planet_udm"] = (("band", "y", "x"), rng.integers(0, 2, (8, *shape), dtype=np.uint8))
        extent = np.zeros(shape, dtype=bool)
        extent[min(2, rows - 1) :, : max(columns - 3, 1)] = True
        tile["extent"] = (("y", "x"), extent)
        for model in ("", *(f"-{name}" for name in models)):
            noise = cv2.GaussianBlur(rng.normal(size=shape).astype(np.float32), (0, 0), 1.2)
            probabilities = np.where(extent, np.clip(0.4 + 1.2 * noise, 0, 1), np.nan).astype(np.float32)
            tile[f"probabilities{model}"] = (("y", "x"), probabilities)
            tile[f"binarized_segmentation{model}"] = (("y", "x"), probabilities > 0.5)
        return tile

    return make
