"""Small seeded worlds: not square, not symmetric, with holes."""

from collections.abc import Callable

import numpy as np
import odc.geo.xr  # noqa: F401
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from rasterio.warp import transform_bounds


def pytest_configure(config: pytest.Config) -> None:
    # odc-geo multiplies affines with *, which affine 3 is going to drop
    config.addinivalue_line("filterwarnings", "ignore:Use `@` matmul:PendingDeprecationWarning")


def _hills(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a smooth elevation in metres from projected coordinates in metres."""
    return 300 + 80 * np.sin(x / 310.0) * np.cos(y / 230.0) + 25 * np.sin((x + 2 * y) / 170.0) + 0.02 * (x % 10_000)


@pytest.fixture
def hills() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    return _hills


@pytest.fixture
def grid() -> GeoBox:
    """53 rows, 37 columns of 10 m in a corner of UTM zone 8, at 70 degrees north."""
    return _grid(53, 37)


def _grid(rows: int, columns: int, pixel_m: float = 10, crs: str = "EPSG:32608") -> GeoBox:
    left, top = 412_340.0, 7_774_560.0
    return GeoBox.from_bbox(
        (left, top - rows * pixel_m, left + columns * pixel_m, top), crs, shape=(rows, columns), tight=True
    )


@pytest.fixture
def make_grid() -> Callable[..., GeoBox]:
    return _grid


@pytest.fixture
def make_tile() -> Callable[[GeoBox], xr.Dataset]:
    def make(geobox: GeoBox) -> xr.Dataset:
        rng = np.random.default_rng(1)
        bands = {name: rng.uniform(-0.05, 0.4, geobox.shape).astype(np.float32) for name in ("blue", "green", "red")}
        bands["nir"] = rng.uniform(0, 0.6, geobox.shape).astype(np.float32)
        tile = xr.Dataset({name: (("y", "x"), band) for name, band in bands.items()}, xr_coords(geobox))
        tile["quality_data_mask"] = (("y", "x"), rng.integers(0, 3, geobox.shape, dtype=np.uint8))
        tile["planet_udm"] = (("band", "y", "x"), rng.integers(0, 2, (8, *geobox.shape), dtype=np.uint8))
        return tile.assign_attrs(azimuth=170.5, elevation=33.0, tile_id="a scene")

    return make


@pytest.fixture
def make_arcticdem() -> Callable[..., xr.Dataset]:
    def make(geobox: GeoBox, margin_m: float = 400, pixel_m: float = 10) -> xr.Dataset:
        left, bottom, right, top = transform_bounds(str(geobox.crs), "EPSG:3413", *geobox.boundingbox.bbox)
        box = (left - margin_m, bottom - margin_m, right + margin_m, top + margin_m)
        cube = GeoBox.from_bbox(box, "EPSG:3413", resolution=pixel_m)
        xs, ys = np.meshgrid(cube.coords["x"].values, cube.coords["y"].values)
        dem = _hills(xs, ys).astype(np.float32)
        mask = np.ones(cube.shape, dtype=np.uint8)
        layers = {"dem": dem, "datamask": mask, "arcticdem_data_mask": mask}
        return xr.Dataset({name: (("y", "x"), layer) for name, layer in layers.items()}, xr_coords(cube))

    return make


@pytest.fixture
def make_tcvis() -> Callable[[GeoBox], xr.Dataset]:
    def make(geobox: GeoBox) -> xr.Dataset:
        left, bottom, right, top = transform_bounds(str(geobox.crs), "EPSG:4326", *geobox.boundingbox.bbox)
        cube = GeoBox.from_bbox((left - 0.02, bottom - 0.02, right + 0.02, top + 0.02), "EPSG:4326", resolution=0.00027)
        rng = np.random.default_rng(2)
        names = ("tc_brightness", "tc_greenness", "tc_wetness")
        return xr.Dataset(
            {name: (cube.dims, rng.integers(1, 256, cube.shape, dtype=np.uint8)) for name in names}, xr_coords(cube)
        )

    return make
