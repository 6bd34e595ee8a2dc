"""Whether two ways to compute something lead to the same result."""

import numpy as np


def assert_close(ours: np.ndarray, plain: np.ndarray, *, tolerance: float, share: float = 1.0) -> None:
    """Raise an error unless two arrays agree where both are known.

    Args:
        ours: Any shape, NaN where unknown.
        plain: Of the same shape.
        tolerance: Largest difference.
        share: Of the pixels that both know, how many must keep within it.
    """
    assert ours.shape == plain.shape, f"{ours.shape} and {plain.shape}"
    both = np.isfinite(ours) & np.isfinite(plain)
    assert both.mean() > 0.3, f"only {both.mean():.0%} of the pixels are known to both"
    difference = np.abs(ours[both].astype(np.float64) - plain[both])
    close = float((difference <= tolerance).mean())
    assert close >= share, (
        f"{close:.4%} of the pixels agree within {tolerance}; the largest difference is {difference.max()}"
    )


def assert_same(ours: np.ndarray, plain: np.ndarray) -> None:
    """Raise an error unless two arrays without NaN are equal, and not everywhere the same value."""
    assert ours.shape == plain.shape, f"{ours.shape} and {plain.shape}"
    assert (ours == plain).all(), f"{(ours != plain).sum()} pixels differ"
    assert ours.min() != ours.max(), "there is nothing to compare"
