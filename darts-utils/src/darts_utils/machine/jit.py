"""Loops over pixels as machine code."""

from collections.abc import Callable
from typing import Any

import numba


def compiled[**P, R](**options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that compiles a function on its first call for some types, free of Python's global lock.

    The code is kept on disk for the next process, beside the module or in the user's cache. Where neither can be
    written, as in a read-only container, each process compiles anew, which takes a second or two.

    Args:
        options: More of `numba.njit`. Sums may be contracted (a * b + c rounds once); NaN stays NaN.
    """
    settings = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}, **options}

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        try:
            made: Callable[P, R] = numba.njit(cache=True, **settings)(function)
        except RuntimeError:  # numba finds no folder for its cache
            made = numba.njit(**settings)(function)
        return made

    return decorate
