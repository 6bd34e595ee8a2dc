"""A moving average of the weights that does not remember how training began."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.pytorch.callbacks import WeightAveraging

type Average = Callable[[Sequence[torch.Tensor], Sequence[torch.Tensor], Any], None]

_RISE_STEPS = 10


def averaged_weights(decay: float) -> WeightAveraging:
    """Return what keeps an exponential moving average of weights and running statistics, and validates with it.

    Args:
        decay: Share of the average that a step keeps, 0 to 1, once training is under way.
    """
    return WeightAveraging(multi_avg_fn=rising_average(decay))


def rising_average(decay: float) -> Average:
    """Return the step of a moving average whose decay rises to its height.

    After $n$ steps the average keeps $min(decay, (1 + n) / (10 + n))$ of itself. With one decay from the first step on,
    weights drawn by chance would stay in the average for thousands of steps, longer than short trainings last.

    The rise is that of TensorFlow's `ExponentialMovingAverage` with `num_updates`.
    """
    risen = False

    @torch.no_grad()
    def step(average: Sequence[torch.Tensor], weights: Sequence[torch.Tensor], number: Any) -> None:
        nonlocal risen
        kept = decay
        if not risen:  # afterwards the number is not read any more, for which a GPU would have to be waited for
            kept = min(decay, (1 + int(number)) / (_RISE_STEPS + int(number)))
            risen = kept == decay
        if torch.is_floating_point(average[0]):
            torch._foreach_lerp_(list(average), list(weights), 1 - kept)
        else:  # numbers of batches
            torch._foreach_copy_(list(average), list(weights))

    return step
