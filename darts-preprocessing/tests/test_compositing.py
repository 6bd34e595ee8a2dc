import numpy as np
import pytest

from darts_preprocessing.compositing import NO_DATA, composite

N_LOOKS, SHAPE = 12, (23, 31)


@pytest.fixture(scope="module")
def looks():
    """A dozen looks with clouds, a pixel that nobody saw, one in the dark and ties."""
    rng = np.random.default_rng(8)
    ground = rng.integers(100, 4000, (1, 4, *SHAPE))
    numbers = (ground + rng.normal(0, 200, (N_LOOKS, 4, *SHAPE))).round().clip(-500, 9000).astype(np.int16)
    numbers[5] = numbers[3]
    numbers[:, :, 1, 1] = rng.integers(-300, 1, (N_LOOKS, 4))
    is_cloudy = rng.random((N_LOOKS, *SHAPE)) < 0.6
    is_cloudy[:, 0, 0] = True
    is_cloudy[1:, 0, 1] = True
    return np.where(is_cloudy[:, None], np.int16(NO_DATA), numbers)


def by_brute_force(looks, method):
    values = np.full((4, *SHAPE), NO_DATA)
    observations, chosen = np.zeros(SHAPE, int), np.full(SHAPE, -1)
    for row, column in np.ndindex(SHAPE):
        clear = [look for look in range(N_LOOKS) if looks[look, 0, row, column] != NO_DATA]
        observations[row, column] = len(clear)
        if not clear:
            continue
        spectra = looks[clear, :, row, column].astype(float)
        if method == "median":
            values[:, row, column] = np.rint(np.median(spectra, axis=0))
            chosen[row, column] = clear[(len(clear) - 1) // 2]
            continue
        if method == "medoid":
            distances = np.sqrt(((spectra[:, None] - spectra[None]) ** 2).sum(axis=2)).sum(axis=1)
            best = clear[int(np.argmin(distances.round(6)))]
        else:
            red, nir = np.maximum(spectra[:, 2], 0), np.maximum(spectra[:, 3], 0)
            with np.errstate(invalid="ignore"):
                ndvi = np.where(red + nir > 0, (nir - red) / (nir + red), -2)
            best = clear[int(np.argmax(ndvi))]
        chosen[row, column] = best
        values[:, row, column] = looks[best, :, row, column]
    return values, observations, chosen


@pytest.mark.parametrize("method", ["median", "medoid", "max-ndvi"])
def test_each_pixel_is_what_brute_force_gives(looks, method):
    made = composite(looks, method)
    values, observations, chosen = by_brute_force(looks, method)
    np.testing.assert_array_equal(made.values, values)
    np.testing.assert_array_equal(made.observations, observations)
    np.testing.assert_array_equal(made.look, chosen)
    assert (made.values.dtype, made.observations.dtype, made.look.dtype) == (np.int16, np.uint16, np.int16)
    assert observations[0, 0] == 0
    assert (made.values[:, 0, 0] == NO_DATA).all()
