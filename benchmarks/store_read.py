"""How fast is a raw scene read, next to xarray that reads the store whole to float32?

`uv run python -m benchmarks.store_read`; the files are in the system's cache after the first turn, on both sides.
"""

from collections.abc import Iterator
from functools import partial

import xarray as xr

from benchmarks import baselines
from benchmarks.answers import Answer
from benchmarks.asking import Asked, Trial, answered, ask
from benchmarks.checks import assert_close, assert_same
from benchmarks.floors import seconds_for_bytes
from benchmarks.scene import CLASSES, COLOURS, FULL_PX, SCENE_ID, made_scene, scene_store
from darts_acquisition import load_cdse_s2_sr_scene


def answers(asked: Asked) -> Iterator[Answer]:
    """Yield an answer for reflectance in memory, and for reflectance that is made where it is read."""
    size = FULL_PX if asked.size is None else asked.size
    store = scene_store(made_scene(asked.folder, size))
    for lazy, written in ((False, 4 * len(COLOURS)), (True, 0)):
        trial = Trial(
            what="raw scene, digital numbers kept" if lazy else "raw scene, to float32",
            px=size**2,
            ours=partial(load_cdse_s2_sr_scene, SCENE_ID, store=store.folder, offline=True, lazy=lazy),
            baseline=baselines.XARRAY,
            plainly=lambda: baselines.read_scene(store.path(SCENE_ID), COLOURS, CLASSES),
            agree=_agree,
            floor_s=seconds_for_bytes(size**2, read=written / 2, written=2 * len(COLOURS) + 2 + written),
        )
        yield answered(asked, trial)


def _agree(ours: xr.Dataset, plain: xr.Dataset) -> None:
    assert_same(ours["quality_data_mask"].values, plain["quality_data_mask"].values)
    for name in COLOURS.values():
        assert_close(ours[name].values, plain[name].values, tolerance=1e-6)


if __name__ == "__main__":
    ask("store_read", __doc__)
