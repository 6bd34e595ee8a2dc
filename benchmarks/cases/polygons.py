"""How fast are outlines with statistics of some 20,000 objects, next to region properties and shapes?

`uv run python -m benchmarks polygons`; a full scene has 20,000 objects, a smaller one as many fewer.
"""

from collections.abc import Iterator

import geopandas as gpd
import numpy as np

from benchmarks.lib import baselines
from benchmarks.lib.inputs import prepared_tile
from benchmarks.lib.results import Goal, Result
from benchmarks.lib.runner import Case, Trial, measured, run_case
from benchmarks.lib.scene import FULL_PX
from darts_export.vector import segments


def results(case: Case) -> Iterator[Result]:
    """Yield the result."""
    tile = prepared_tile(FULL_PX if case.size is None else case.size)
    objects, probs = tile["binarized_segmentation"], tile["probabilities"]
    trial = Trial(
        what=f"polygons and statistics of {objects.attrs['n_objects']:,} objects",
        px=objects.size,
        ours=lambda: segments(objects, probs),
        baseline_name=baselines.REGIONPROPS,
        baseline=lambda: baselines.object_rows(objects.values, probs.values, objects.odc.geobox),
        agree=assert_same_rows,
        goal=Goal(ratio=10),
    )
    yield measured(case, trial)


def assert_same_rows(ours: gpd.GeoDataFrame, plain: gpd.GeoDataFrame) -> None:
    """Raise an error unless two tables have the same objects, in whatever order."""
    assert len(ours) == len(plain) > 0, f"{len(ours)} and {len(plain)} rows"
    for name in ("npixel", "min", "max", "mean", "median", "std"):
        np.testing.assert_allclose(np.sort(ours[name]), np.sort(plain[name]), rtol=1e-4, atol=1e-3, err_msg=name)
    np.testing.assert_allclose(np.sort(ours.area), np.sort(plain.area))
    np.testing.assert_allclose(ours.total_bounds, plain.total_bounds)


if __name__ == "__main__":
    run_case("polygons", __doc__)
