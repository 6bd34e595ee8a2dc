"""Our cubic convolution against GDAL's, which transforms every pixel exactly here."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from rasterio.enums import Resampling
from rasterio.warp import reproject, transform

from darts_preprocessing import align_dem, align_dem_mask, align_tcvis
from darts_preprocessing.resampling import warp

UTM = "EPSG:32608"


def ground(seed: int, *, n: int = 500) -> np.ndarray:
    """Hills and boulders, with lakes of unknown ground and a fringe of lone holes."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:n, :n]
    z = 400 + 80 * np.sin(x / 40) * np.cos(y / 55) + rng.normal(0, 1, (n, n))
    return z.astype(np.float32)


def with_holes(values: np.ndarray, missing: float) -> np.ndarray:
    rng = np.random.default_rng(8)
    holes = rng.random(values.shape[-2:]) < 0.002
    holes[100:160, 200:330] = True
    values = values.copy()
    values[..., holes] = missing
    return values


def grids(source_m: float, target_m: float, n: int = 500) -> tuple[GeoBox, GeoBox]:
    """A polar grid, and one in UTM that reaches beyond it on one side."""
    source = GeoBox((n, n), Affine(source_m, 0, -2_200_000, 0, -source_m, 200_000), "EPSG:3413")
    (x,), (y,) = transform("EPSG:3413", UTM, *[[part] for part in source.affine @ (0.6 * n, 0.5 * n)])
    size = int(0.8 * n * source_m / target_m)
    return source, GeoBox(
        (size, size), Affine(target_m, 0, x - size * target_m / 2, 0, -target_m, y + 0.5 * size * target_m), UTM
    )


def by_gdal(values: np.ndarray, source: GeoBox, target: GeoBox, missing: float, way: Resampling, factor: float):
    out = np.full((len(values), *target.shape), missing, dtype=np.float64)
    reproject(
        values.astype(np.float64),
        out,
        src_transform=source.affine,
        src_crs=warp.gdal_crs(source),
        src_nodata=missing,
        dst_transform=target.affine,
        dst_crs=warp.gdal_crs(target),
        dst_nodata=missing,
        resampling=way,
        num_threads=1,
        tolerance=0,
        xscale=factor,
        yscale=factor,
    )
    return out


@pytest.mark.parametrize(("source_m", "target_m", "factor"), [(10, 10, 1.0), (32, 10, 1.0), (2, 3, None)])
@pytest.mark.parametrize("holes", [True, False])
def test_elevation_is_that_of_gdal(source_m, target_m, factor, holes, monkeypatch):
    monkeypatch.setattr(warp, "BLOCK_PX", 150)
    source, target = grids(source_m, target_m)
    dem = with_holes(ground(1), np.nan) if holes else ground(1)
    ours = align_dem(wrap_xr(dem, source).to_dataset(name="dem"), target)
    crs = warp.gdal_crs(source), warp.gdal_crs(target)
    (along, across) = warp.resampling_factors(source, crs[0], target, crs[1])
    assert along == pytest.approx(across, rel=1e-3)
    assert factor is None or along == factor
    theirs = by_gdal(dem[None], source, target, np.nan, Resampling.cubic, along)[0]
    assert 0.1 < np.isfinite(theirs).mean() < 0.95 or not holes
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    assert np.nanmax(np.abs(ours - theirs)) < 5e-3
    assert np.nanpercentile(np.abs(ours - theirs), 99) < 1e-3


@pytest.mark.parametrize("holes", [True, False])
def test_trends_are_those_of_gdal(holes):
    n = 300
    source = GeoBox((n, n), Affine(0.0005, 0, -136.0, 0, -0.0003, 69.5), "EPSG:4326")
    (x,), (y,) = transform("EPSG:4326", UTM, *[[part] for part in source.affine @ (0.4 * n, 0.5 * n)])
    target = GeoBox((400, 400), Affine(10, 0, x - 2000, 0, -10, y + 2000), UTM)
    bands = np.random.default_rng(2).normal(128, 30, (3, n, n)).clip(1, 255).astype(np.uint8)
    bands = with_holes(bands, 0) if holes else bands
    names = ("tc_brightness", "tc_greenness", "tc_wetness")
    cube = wrap_xr(bands[0], source).to_dataset(name=names[0])
    cube = cube.assign({name: (cube[names[0]].dims, values) for name, values in zip(names, bands, strict=True)})
    ours = np.stack([align_tcvis(cube, target, names)[name] for name in names])
    theirs = by_gdal(bands, source, target, 0, Resampling.cubic, 1.0)
    expected = np.clip(np.floor(theirs + 0.5), 0, 255)
    difference = np.abs(ours - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3  # values that lie halfway between two steps


def test_masks_are_those_of_gdal():
    source, target = grids(10, 10)
    mask = (np.random.default_rng(3).random((500, 500)) < 0.7).astype(np.uint8)
    cube = wrap_xr(mask, source).to_dataset(name="arcticdem_data_mask")
    theirs = by_gdal(mask[None], source, target, 0, Resampling.nearest, 1.0)[0]
    assert (align_dem_mask(cube, target) != theirs).mean() < 1e-4


def test_nodes_lie_closer_where_a_projection_bends_and_each_pixel_is_one_where_it_jumps():
    """Longitudes jump at 180 degrees: nothing may be interpolated across."""

    def nodes(left_m: float, crs: str) -> warp.Nodes:
        source = GeoBox((200, 200), Affine(0.001, 0, -180, 0, -0.0005, 70.05), "EPSG:4326")
        target = GeoBox((64, 64), Affine(100, 0, left_m, 0, -100, 7_770_000), crs)
        shared = warp.Warp(
            source=warp.Source(values=np.zeros((1, 200, 200), np.uint8), grid=source, is_missing=lambda _: _),
            source_crs=warp.gdal_crs(source),
            grid=target,
            crs=warp.gdal_crs(target),
            factors=(1.0, 1.0),
            resampling="nearest",
            fill=0,
        )
        return warp.nodes_of(shared, target)

    jumping = nodes(610_000, "EPSG:32660")
    assert jumping.step == 1
    assert np.ptp(jumping.columns) > 350_000
    assert 1 < nodes(500_000, "EPSG:32608").step < warp.STEP_PX
