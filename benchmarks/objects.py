"""How fast are objects on valid ground without small ones, next to scikit-image step by step?

`uv run python -m benchmarks.objects`
"""

from collections.abc import Iterator

from benchmarks import baselines
from benchmarks.answers import Answer, Goal
from benchmarks.asking import Asked, Trial, answered, ask
from benchmarks.checks import assert_same
from benchmarks.floors import seconds_for_bytes
from benchmarks.inputs import probabilities, quality
from benchmarks.scene import FULL_PX
from darts_postprocessing import binarize

THRESHOLD, SMALLEST_PX = 0.5, 32


def answers(asked: Asked) -> Iterator[Answer]:
    """Yield the answer."""
    size = FULL_PX if asked.size is None else asked.size
    probs, valid = probabilities(size), quality(size) >= 1
    trial = Trial(
        what="labels, no small ones, which are cut",
        px=probs.size,
        ours=lambda: binarize(probs, THRESHOLD, SMALLEST_PX, valid).values,
        baseline=baselines.SCIKIT_IMAGE,
        plainly=lambda: baselines.objects_inside(probs.values > THRESHOLD, valid.values, SMALLEST_PX),
        agree=assert_same,
        floor_s=seconds_for_bytes(probs.size, read=5, written=1),
        goal=Goal(ratio=6),
    )
    yield answered(asked, trial)


if __name__ == "__main__":
    ask("objects", __doc__)
