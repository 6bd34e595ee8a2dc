"""Outlines against GDAL's, which looks at every pixel."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio import Affine
from rasterio.features import shapes

from darts_export.polygonize import polygonize
from darts_utils.rasters.run_length import connected_components, run_length_encode

TRANSFORMS = {
    "north up": Affine(10, 0, 412_340, 0, -10, 7_774_560),
    "turned and sheared": Affine(3.1, 1.7, 5, 0.3, -2.9, 7),
    "pixels": Affine.identity(),
}


def picture(*rows: str) -> np.ndarray:
    return np.array([[character != "." for character in row] for row in rows])


def ours(mask: np.ndarray, transform: Affine) -> np.ndarray:
    stretches = run_length_encode(mask)
    return polygonize(
        stretches, connected_components(stretches, diagonal=False)[0], GeoBox(mask.shape, transform, None)
    )


def gdals(mask: np.ndarray, transform: Affine) -> list[shapely.Polygon]:
    """By rasterio, ordered by the first pixel row by row: a ring of GDAL begins at its upper left corner."""
    found = shapes(mask.astype(np.uint8), mask=mask, connectivity=4, transform=transform)
    polygons = [shapely.Polygon(shape["coordinates"][0], shape["coordinates"][1:]) for shape, _ in found]
    return sorted(polygons, key=lambda polygon: np.rint(~transform * polygon.exterior.coords[0]).tolist()[::-1])


def check(mask: np.ndarray, transform: Affine) -> None:
    """Each outline is valid and equals GDAL's to the last digit, vertex by vertex."""
    polygons, expected = ours(mask, transform), gdals(mask, transform)
    assert shapely.is_valid(polygons).all()
    assert len(polygons) == len(expected)
    assert shapely.equals_exact(polygons, expected).all()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.integers(1, 16),
    st.integers(1, 16),
    st.sampled_from([0.2, 0.4, 0.5, 0.6, 0.8, 0.95]),
    st.sampled_from([(1, 1), (2, 3)]),
    st.integers(0, 2**32 - 1),
)
def test_outlines_of_any_mask_are_those_of_gdal(rows, columns, density, enlarged, seed):
    mask = np.random.default_rng(seed).random((rows, columns)) < density
    check(np.kron(mask, np.ones(enlarged, dtype=bool)), TRANSFORMS["pixels"])


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize(
    "rows",
    [
        ("#",),
        ("....", "....", "...."),
        ("####", "####", "####"),
        ("#.#.#", ".#.#.", "#.#.#", ".#.#."),
        (".#.#.", "#.#.#", ".#.#."),
        ("####", "#.##", "##.#", "####"),  # holes that touch each other
        ("###", "#.#", "##."),  # a hole that touches the outside
        ("####", "#..#", ".##."),  # parts that touch the same part twice
        ("#######", "#.....#", "#.###.#", "#.#.#.#", "#.###.#", "#.....#", "#######"),  # a hole in an island in a lake
        ("..#", "#..", "..#", "###"),
    ],
)
def test_outlines_of_awkward_masks_are_those_of_gdal(rows, transform):
    check(picture(*rows), transform)


def test_a_straight_edge_has_no_vertex_between_its_ends():
    (outline,) = ours(np.ones((70, 90), dtype=bool), TRANSFORMS["pixels"])
    assert list(outline.exterior.coords) == [(0, 0), (0, 70), (90, 70), (90, 0), (0, 0)]


def test_a_ring_of_thousands_of_corners_is_one_ring():
    mask = np.zeros((41, 2001), dtype=bool)
    mask[-1] = mask[:, ::2] = True
    check(mask, TRANSFORMS["north up"])
    (comb,) = ours(mask, TRANSFORMS["north up"])
    assert len(comb.exterior.coords) > 4000
