"""How fast is the erosion of a mask by a disk of 10 pixels, next to scikit-image with a footprint?

`uv run python -m benchmarks erosion`; the footprint is measured on a piece.
"""

from collections.abc import Iterator

from benchmarks.lib import baselines
from benchmarks.lib.checks import assert_same
from benchmarks.lib.inputs import quality
from benchmarks.lib.results import Goal, Result
from benchmarks.lib.roofline import seconds_for_bytes
from benchmarks.lib.runner import Case, Trial, measured, run_case
from benchmarks.lib.scene import FULL_PX
from darts_postprocessing import erode_mask

RADIUS_PX = 10
PIECE_PX = 2048


def results(case: Case) -> Iterator[Result]:
    """Yield the result."""
    valid = quality(FULL_PX if case.size is None else case.size) == 2
    part = valid.values[:PIECE_PX, :PIECE_PX].copy()
    alike = (slice(part.shape[0] - RADIUS_PX), slice(part.shape[1] - RADIUS_PX))  # of the whole mask and of the piece
    trial = Trial(
        what=f"erosion, disk({RADIUS_PX})",
        px=valid.size,
        ours=lambda: erode_mask(valid, RADIUS_PX, edge_size=0).values,
        baseline_name=baselines.FOOTPRINT,
        baseline=lambda: baselines.eroded(part, RADIUS_PX),
        baseline_px=part.size,
        agree=lambda ours, plain: assert_same(ours[alike], plain[alike]),
        roofline_s=seconds_for_bytes(valid.size, read=1, written=1),
        goal=Goal(ratio=30),
    )
    yield measured(case, trial)


if __name__ == "__main__":
    run_case("erosion", __doc__)
