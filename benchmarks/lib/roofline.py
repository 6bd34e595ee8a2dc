"""The roofline, what no code can do without here: bytes through the memory, products of matrices, networks alone."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

_COPIED_BYTES = 2**27
_MATRIX = 2048
_TRIES = 5
_THREADS = 2


@cache
def bytes_per_second() -> float:
    """Return the bandwidth of the memory: bytes read and written by a large copy on two threads, a second."""
    source = np.ones(_COPIED_BYTES, dtype=np.uint8)
    target = np.zeros_like(source)
    pairs = list(zip(np.array_split(target, _THREADS), np.array_split(source, _THREADS), strict=True))
    with ThreadPoolExecutor(_THREADS) as pool:
        return 2 * _COPIED_BYTES / _fastest(lambda: list(pool.map(lambda pair: np.copyto(*pair), pairs)))


@cache
def flops_per_second() -> float:
    """Return how many operations of a float32 matrix product run a second."""
    import torch

    left, right = torch.rand(_MATRIX, _MATRIX), torch.rand(_MATRIX, _MATRIX)
    return 2 * _MATRIX**3 / _fastest(lambda: left @ right)


def seconds_for_bytes(px: int, read: float, written: float) -> float:
    """Return how long it takes to read and to write so many bytes a pixel."""
    return px * (read + written) / bytes_per_second()


def seconds_for_forward(models: Sequence[Any], batches: Sequence[Any]) -> float:
    """Return how long the operations of networks take at the rate of a matrix product."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        for model in models:
            model(batches[0])
    return counter.get_total_flops() * sum(map(len, batches)) / len(batches[0]) / flops_per_second()


def forward(models: Sequence[Any], batches: Sequence[Any]) -> list[Any]:
    """Return what networks give for batches that lie in memory, and do nothing else."""
    import torch

    with torch.inference_mode():
        return [model(batch) for batch in batches for model in models]


def _fastest(function: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_TRIES):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
