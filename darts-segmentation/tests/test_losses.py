"""Losses against their formulas written out pixel by pixel, and edges against distances of SciPy."""

import itertools

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from darts_segmentation.training.loop.losses import LOSSES, ignore_edges, make_loss
from darts_utils.errors import ConfigError


def example(seed: int = 0, share_ignored: float = 0.3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(3, 1, 7, 9, generator=generator)
    labels = (torch.rand(3, 7, 9, generator=generator) < 0.3).to(torch.uint8)
    labels[torch.rand(3, 7, 9, generator=generator) < share_ignored] = 2
    return logits, labels


def plain(name: str, logits: torch.Tensor, labels: torch.Tensor) -> float:
    """What the papers say, over pixels that count, in float64."""
    z, y = (a.double().numpy() for a in (logits[:, 0][labels != 2], labels[labels != 2]))
    p = 1 / (1 + np.exp(-z))
    right = np.where(y == 1, p, 1 - p)
    tp, fp, fn = (np.minimum(p, y)).sum(), (p * (1 - y)).sum(), ((1 - p) * y).sum()
    return float(
        {
            "bce": lambda: -np.log(right).mean(),
            "focal": lambda: -((1 - right) ** 2 * np.log(right)).mean(),
            "dice": lambda: 1 - 2 * tp / (2 * tp + fp + fn),
            "jaccard": lambda: 1 - tp / (tp + fp + fn),
            "lovasz": lambda: lovasz(z, y),
        }[name]()
    )


def lovasz(z: np.ndarray, y: np.ndarray) -> float:
    """The Lovasz extension as its definition has it: the Jaccard loss of the k worst pixels wrong, for each k."""
    errors = 1 - z * (2 * y - 1)
    order = np.argsort(-errors)

    def jaccard_loss(wrong: np.ndarray) -> float:
        hit = y.astype(bool) & ~wrong
        union = y.astype(bool) | wrong
        return 1 - hit.sum() / union.sum() if union.any() else 0.0

    total, before, wrong = 0.0, 0.0, np.zeros(len(y), dtype=bool)
    for pixel in order:
        wrong[pixel] = True
        now = jaccard_loss(wrong)
        total += max(0, errors[pixel]) * (now - before)
        before = now
    return total


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("seed", range(3))
def test_a_loss_is_what_its_paper_says_over_pixels_that_count(name, seed):
    logits, labels = example(seed)
    assert float(make_loss(name)(logits, labels)) == pytest.approx(plain(name, logits, labels), rel=1e-5)


@pytest.mark.parametrize("name", [*LOSSES, "focal+dice"])
def test_ignored_pixels_change_neither_value_nor_gradient(name):
    logits, labels = example()
    results = []
    for filler in (0.0, 1e4, -1e4):
        z = torch.where(labels[:, None] == 2, filler, logits).requires_grad_()
        loss = make_loss(name)(z, labels)
        loss.backward()
        assert not z.grad[labels[:, None] == 2].any()
        results.append((loss.detach(), z.grad))
    for value, gradient in results[1:]:
        assert torch.equal(value, results[0][0])
        assert torch.equal(gradient, results[0][1])


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_does_not_depend_on_the_share_of_ignored_pixels(name):
    logits, labels = example(share_ignored=0)
    twice = torch.cat([logits, torch.full_like(logits, 7)])
    with_ignored = torch.cat([labels, torch.full_like(labels, 2)])
    assert float(make_loss(name)(twice, with_ignored)) == pytest.approx(
        float(make_loss(name)(logits, labels)), rel=1e-6
    )


@pytest.mark.parametrize("name", [*LOSSES, "focal+dice"])
@pytest.mark.parametrize("fill", [0, 1, 2])
@pytest.mark.parametrize("size", [1.0, 100.0, 1e30])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_one_class_or_none_and_any_logits_give_finite_values_and_gradients(name, fill, size, gamma):
    logits = (size * torch.tensor([-1.0, 1.0, 0.0, 1.0]).reshape(1, 1, 2, 2)).requires_grad_()
    loss = make_loss(name, gamma=gamma)(logits, torch.full((1, 2, 2), fill, dtype=torch.uint8))
    loss.backward()
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
    if fill == 2:
        assert loss == 0
        assert not logits.grad.any()


@pytest.mark.parametrize("name", LOSSES)
def test_better_predictions_lose_less(name):
    _, labels = example()
    sign = (2 * (labels == 1).float() - 1)[:, None]
    losses = [float(make_loss(name)(sign * size, labels)) for size in (-6.0, -2.0, 0.0, 2.0, 6.0)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.01 < losses[0]


def test_alpha_weighs_slumps_and_one_minus_alpha_background():
    logits, labels = example(share_ignored=0)
    only = [make_loss("focal")(logits, torch.where(labels == other, 2, labels)) for other in (0, 1)]
    n_slump, n = (labels == 1).sum(), labels.numel()
    expected = (0.8 * only[0] * n_slump + 0.2 * only[1] * (n - n_slump)) / n
    torch.testing.assert_close(make_loss("focal", alpha=0.8)(logits, labels), expected)


def test_a_focal_loss_without_gamma_is_cross_entropy():
    logits, labels = example()
    torch.testing.assert_close(make_loss("focal", gamma=0.0)(logits, labels), make_loss("bce")(logits, labels))


def test_a_plus_sign_adds_losses():
    logits, labels = example()
    added = make_loss("focal", alpha=0.3)(logits, labels) + make_loss("dice")(logits, labels)
    torch.testing.assert_close(make_loss("focal + dice", alpha=0.3)(logits, labels), added)


def test_half_precision_logits_are_counted_in_single():
    logits, labels = example()
    for name in LOSSES:
        loss = make_loss(name)(logits.bfloat16(), labels)
        assert loss.dtype == torch.float32
        assert float(loss) == pytest.approx(plain(name, logits.bfloat16(), labels), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "focall",
            {},
            "'focall' is no loss; there are focal, dice, jaccard, lovasz, bce, and sums such as focal+dice."
            " Did you mean focal?",
        ),
        (
            "focal+x",
            {},
            "'x' in 'focal+x' is no loss; there are focal, dice, jaccard, lovasz, bce, and sums such as focal+dice.",
        ),
        ("focal", {"alpha": 1.5}, "focal_loss_alpha is 1.5 but must be from 0 to 1. Correct it, or leave it out."),
        ("focal", {"gamma": -1.0}, "focal_loss_gamma is -1.0 but must be a number of at least 0. Correct it."),
    ],
)
def test_wrong_names_and_numbers_are_refused_in_a_line(name, options, message):
    with pytest.raises(ConfigError) as caught:
        make_loss(name, **options)
    assert str(caught.value) == message


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_edges_are_ignored_up_to_the_distance_that_scipy_measures(width):
    _, labels = example(4, share_ignored=0.1)
    labels = labels.repeat_interleave(4, dim=1).repeat_interleave(3, dim=2)
    expected = labels.numpy().copy()
    for patch, result in zip(labels.numpy(), expected, strict=True):
        for own, other in itertools.permutations((0, 1)):
            result[(patch == own) & (distance_transform_edt(patch != other) <= width)] = 2
    assert np.array_equal(ignore_edges(labels, width).numpy(), expected)
    assert (expected != labels.numpy()).any()


def test_edges_of_a_patch_and_of_ignored_ground_are_no_borders():
    labels = torch.zeros(2, 6, 8, dtype=torch.uint8)
    labels[0] = 1
    labels[:, :2] = 2
    assert torch.equal(ignore_edges(labels, 3), labels)


def test_no_width_ignores_nothing_and_a_negative_one_is_refused():
    _, labels = example()
    assert torch.equal(ignore_edges(labels, 0), labels)
    with pytest.raises(ConfigError, match=r"^ignored edges are -1 px wide but must be at least 0\. Correct it\.$"):
        ignore_edges(labels, -1)
