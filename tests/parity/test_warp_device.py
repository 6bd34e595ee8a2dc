"""Warps by torch have the weights of those in host memory; on the CPU here, where there is no GPU."""

import numpy as np
import pytest
import torch
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from test_warp_parity import grids, ground, with_holes

from darts_preprocessing import align_dem, align_tcvis
from darts_preprocessing.resampling.warp import Source, warp

DEVICES = [
    torch.device("cpu"),
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")),
]


def both(values, source, target, missing, dtype, device):
    """Return what the host and a device make of a raster."""
    given = Source(values=values, grid=source, is_missing=lambda part: missing(part).all(axis=0))
    fill = np.nan if dtype == np.float32 else 0
    made = []
    for where in (None, torch.device(device)):
        out = np.empty((len(values), *target.shape), dtype=dtype)
        made.append(warp(given, out, target, "cubic", fill=fill, device=where))
    return made


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("source_m", "target_m"), [(10, 10), (32, 10), (2, 3), (2, 10)])
@pytest.mark.parametrize("holes", [True, False])
def test_elevation_is_that_of_the_host(source_m, target_m, holes, device):
    source, target = grids(source_m, target_m)
    dem = with_holes(ground(1), np.nan) if holes else ground(1)
    host, ours = both(dem[None], source, target, np.isnan, np.float32, device)
    assert np.isfinite(host).mean() > 0.1
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(host))
    assert np.nanmax(np.abs(ours - host)) < 1e-6 * (np.nanmax(dem) - np.nanmin(dem)) * 10


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("holes", [True, False])
def test_trends_are_those_of_the_host(holes, device):
    source, target = grids(30, 10)
    stack = np.random.default_rng(4).integers(1, 255, (3, 500, 500)).astype(np.uint8)
    stack = with_holes(stack, 0) if holes else stack
    host, ours = both(stack, source, target, lambda part: part == 0, np.uint8, device)
    np.testing.assert_array_equal((ours == 0).all(axis=0), (host == 0).all(axis=0))
    apart = np.abs(ours.astype(int) - host)
    assert apart.max() <= 1  # where a half is rounded
    assert (apart > 0).mean() < 1e-4


@pytest.mark.parametrize("device", DEVICES)
def test_beyond_the_source_nothing_is_known(device):
    source = GeoBox((60, 60), Affine(10, 0, 0, 0, -10, 600), "EPSG:32608")
    target = GeoBox((40, 40), Affine(10, 0, -155, 0, -10, 455), "EPSG:32608")
    host, ours = both(ground(2, n=60)[None], source, target, np.isnan, np.float32, device)
    np.testing.assert_allclose(ours, host, rtol=1e-5)
    assert 0.3 < np.isnan(ours).mean() < 0.9


@pytest.mark.parametrize("device", ["cpu", *DEVICES[1:]])
def test_layers_are_aligned_where_one_asks(device):
    source, target = grids(30, 10)
    dem = wrap_xr(ground(3), source).to_dataset(name="dem")
    np.testing.assert_allclose(align_dem(dem, target, device), align_dem(dem, target), rtol=1e-5)
    tcvis = wrap_xr(np.full((500, 500), 7, np.uint8), source).to_dataset(name="tc_wetness")
    made = align_tcvis(tcvis, target, ["tc_wetness"], device)["tc_wetness"]
    assert set(np.unique(made)) <= {0, 7}
