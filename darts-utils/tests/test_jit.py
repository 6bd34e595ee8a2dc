import numba
import numpy as np

from darts_utils.machine.jit import compiled


def add_one(values, out):
    for index in range(len(values)):
        out[index] = values[index] + 1


def test_a_compiled_function_does_what_the_plain_one_does():
    compiled()(add_one)(np.arange(3.0), out := np.empty(3))
    np.testing.assert_array_equal(out, [1, 2, 3])


def test_without_any_folder_for_compiled_code_it_is_compiled_anew(monkeypatch):
    plain, asked = numba.njit, []

    def without_folder(*args, cache=False, **options):
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return plain(*args, **options)

    monkeypatch.setattr(numba, "njit", without_folder)
    compiled()(add_one)(np.arange(3.0), out := np.empty(3))
    assert asked == [True, False]
    np.testing.assert_array_equal(out, [1, 2, 3])
