"""How fast is the erosion of a mask by a disk of 10 pixels, next to scikit-image with a footprint?

`uv run python -m benchmarks.erosion`; the footprint is measured on a piece.
"""

from collections.abc import Iterator

from benchmarks import baselines
from benchmarks.answers import Answer, Goal
from benchmarks.asking import Asked, Trial, answered, ask
from benchmarks.checks import assert_same
from benchmarks.floors import seconds_for_bytes
from benchmarks.inputs import quality
from benchmarks.scene import FULL_PX
from darts_postprocessing import erode_mask

RADIUS_PX = 10
PIECE_PX = 2048


def answers(asked: Asked) -> Iterator[Answer]:
    """Yield the answer."""
    valid = quality(FULL_PX if asked.size is None else asked.size) == 2
    part = valid.values[:PIECE_PX, :PIECE_PX].copy()
    alike = (slice(part.shape[0] - RADIUS_PX), slice(part.shape[1] - RADIUS_PX))  # of the whole mask and of the piece
    trial = Trial(
        what=f"erosion, disk({RADIUS_PX})",
        px=valid.size,
        ours=lambda: erode_mask(valid, RADIUS_PX, edge_size=0).values,
        baseline=baselines.FOOTPRINT,
        plainly=lambda: baselines.eroded(part, RADIUS_PX),
        baseline_px=part.size,
        agree=lambda ours, plain: assert_same(ours[alike], plain[alike]),
        floor_s=seconds_for_bytes(valid.size, read=1, written=1),
        goal=Goal(ratio=30),
    )
    yield answered(asked, trial)


if __name__ == "__main__":
    ask("erosion", __doc__)
