"""How fast are objects on valid ground without small ones, next to scikit-image step by step?

`uv run python -m benchmarks objects`
"""

from collections.abc import Iterator

from benchmarks.lib import baselines
from benchmarks.lib.checks import assert_same
from benchmarks.lib.inputs import probabilities, quality
from benchmarks.lib.results import Goal, Result
from benchmarks.lib.roofline import seconds_for_bytes
from benchmarks.lib.runner import Case, Trial, measured, run_case
from benchmarks.lib.scene import FULL_PX
from darts_postprocessing import binarize

THRESHOLD, SMALLEST_PX = 0.5, 32


def results(case: Case) -> Iterator[Result]:
    """Yield the result."""
    size = FULL_PX if case.size is None else case.size
    probs, valid = probabilities(size), quality(size) >= 1
    trial = Trial(
        what="labels, no small ones, which are cut",
        px=probs.size,
        ours=lambda: binarize(probs, THRESHOLD, SMALLEST_PX, valid).values,
        baseline_name=baselines.SCIKIT_IMAGE,
        baseline=lambda: baselines.objects_inside(probs.values > THRESHOLD, valid.values, SMALLEST_PX),
        agree=assert_same,
        roofline_s=seconds_for_bytes(probs.size, read=5, written=1),
        goal=Goal(ratio=6),
    )
    yield measured(case, trial)


if __name__ == "__main__":
    run_case("objects", __doc__)
