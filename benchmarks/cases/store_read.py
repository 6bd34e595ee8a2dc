"""How fast is a raw scene read, next to xarray that reads the store whole to float32?

`uv run python -m benchmarks store_read`; the files are in the system's cache after the first turn, on both sides.
"""

from collections.abc import Iterator
from functools import partial

import xarray as xr

from benchmarks.lib import baselines
from benchmarks.lib.checks import assert_close, assert_same
from benchmarks.lib.results import Result
from benchmarks.lib.roofline import seconds_for_bytes
from benchmarks.lib.runner import Case, Trial, measured, run_case
from benchmarks.lib.scene import CLASSES, COLOURS, FULL_PX, SCENE_ID, made_scene, scene_store
from darts_acquisition import load_cdse_s2_sr_scene


def results(case: Case) -> Iterator[Result]:
    """Yield a result for reflectance in memory, and for reflectance that is made where it is read."""
    size = FULL_PX if case.size is None else case.size
    store = scene_store(made_scene(case.folder, size))
    for lazy, written in ((False, 4 * len(COLOURS)), (True, 0)):
        trial = Trial(
            what="raw scene, digital numbers kept" if lazy else "raw scene, to float32",
            px=size**2,
            ours=partial(load_cdse_s2_sr_scene, SCENE_ID, store=store.folder, offline=True, lazy=lazy),
            baseline_name=baselines.XARRAY,
            baseline=lambda: baselines.read_scene(store.path(SCENE_ID), COLOURS, CLASSES),
            agree=_agree,
            roofline_s=seconds_for_bytes(size**2, read=written / 2, written=2 * len(COLOURS) + 2 + written),
        )
        yield measured(case, trial)


def _agree(ours: xr.Dataset, plain: xr.Dataset) -> None:
    assert_same(ours["quality_data_mask"].values, plain["quality_data_mask"].values)
    for name in COLOURS.values():
        assert_close(ours[name].values, plain[name].values, tolerance=1e-6)


if __name__ == "__main__":
    run_case("store_read", __doc__)
