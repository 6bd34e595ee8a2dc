import torch
from torch.optim.swa_utils import AveragedModel

from darts_segmentation.training.loop.averaging import rising_average


def averages(decay, steps):
    """Return the average of one weight and of one running statistic after each step, in which both become 1, 2, 3..."""
    network = torch.nn.BatchNorm1d(1)
    average = AveragedModel(network, multi_avg_fn=rising_average(decay), use_buffers=True)
    for step in range(1, steps + 1):
        for tensor in (network.weight, network.running_mean):
            tensor.data.fill_(step)
        network.num_batches_tracked.fill_(step)
        average.update_parameters(network)
        kept = average.module
        yield kept.weight.item(), kept.running_mean.item(), kept.num_batches_tracked.item()


def test_the_decay_rises_to_its_height():
    expected, found = 0.0, list(averages(0.9, 300))
    for n, (weight, statistic, batches) in enumerate(found):
        kept = 0.0 if n == 0 else min(0.9, (1 + n) / (10 + n))
        expected = kept * expected + (1 - kept) * (n + 1)
        assert abs(weight - expected) < 1e-3 * expected
        assert (statistic, batches) == (weight, n + 1)


def test_short_trainings_do_not_remember_how_they_began():
    weight, *_ = list(averages(0.9999, 100))[-1]
    assert 80 < weight < 100  # with one decay for all steps it would be 1.5
