import gc
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr

from darts.pipelines.computing.verdicts import judged_on
from darts.pipelines.stages import Stage
from darts.pipelines.tiles import Loaded, TileRef
from darts_utils.errors import DataError
from darts_utils.parameters import BFLOAT16


@pytest.fixture
def no_search():
    """Leave cycles of references where they are, as in the middle of a run."""
    gc.disable()
    yield
    gc.enable()


def test_nothing_is_left_in_memory_of_the_scene_that_precisions_were_tried_on(no_search, monkeypatch):
    seen = []

    def load(work):
        values = np.zeros((64, 64), dtype=np.float32)
        cycle = {"values": values}
        cycle["self"] = cycle  # as xarray's accessors make
        seen.append(weakref.ref(values))
        return Loaded(ref=work.ref, tile=xr.Dataset({"red": (("y", "x"), values)}, attrs={"cycle": cycle}))

    monkeypatch.setattr("darts.pipelines.computing.verdicts.check_precisions", lambda *_: {BFLOAT16: {}})
    ensemble = SimpleNamespace(members=(), device=torch.device("cpu"))
    scene = TileRef(tile_id="scene", output_folder=Path("scene"))
    assert judged_on([Stage("optical", "prepare", load)], ensemble, [scene], [BFLOAT16])
    assert [one() for one in seen] == [None]


def test_the_next_scene_is_tried_if_one_cannot_be_loaded(monkeypatch):
    def load(work):
        if work.ref.tile_id == "damaged":
            raise DataError("damaged")
        return Loaded(ref=work.ref, tile=xr.Dataset(attrs={"of": work.ref.tile_id}))

    monkeypatch.setattr("darts.pipelines.computing.verdicts.check_precisions", lambda _, tile, *__: tile.attrs["of"])
    stages = [Stage("optical", "prepare", load)]
    ensemble = SimpleNamespace(members=(), device=torch.device("cpu"))
    scenes = [TileRef(tile_id=name, output_folder=Path(name)) for name in ("damaged", "whole")]
    assert judged_on(stages, ensemble, scenes, [BFLOAT16]) == "whole"
    assert judged_on(stages, ensemble, scenes[:1], [BFLOAT16]) == {}
