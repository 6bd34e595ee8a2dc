"""What products say of how they were made."""

from types import SimpleNamespace

import pytest
import xarray as xr

from darts.pipelines.results.fingerprint import Models
from darts.pipelines.results.provenance import Making, making_of
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts_export.record import tags_of
from darts_utils.parameters import FLOAT32


@pytest.mark.parametrize("is_calibrated", [True, False])
def test_a_product_names_its_models_by_name_and_id_and_says_whether_they_are_calibrated(is_calibrated):
    document = {"parameters": {"patch_size": 64, "tcvis_year": None}}
    recipe = SimpleNamespace(models={"coast": "ab" * 32, "hills": "cd" * 32}, document=lambda *_: document)
    making = Making(pipeline="planet", recipe=recipe, software={}, device="cpu", is_calibrated=is_calibrated,
                    thresholds={"low": 0.4, "best_f1": 0.5} if is_calibrated else {})  # fmt: skip
    work = SimpleNamespace(ref=SimpleNamespace(tile_id="t"), inputs={}, tile=xr.Dataset())
    said = making.metadata(work)
    assert said["DARTS_models"] == f"coast {'ab' * 32}, hills {'cd' * 32}"
    assert said["DARTS_calibrated"] is is_calibrated
    assert said["DARTS_thresholds"] == ({"low": 0.4, "medium": None, "high": None} if is_calibrated else {})
    assert tags_of(said)["DARTS_calibrated"] is is_calibrated


@pytest.mark.parametrize(
    ("is_calibrated", "tta", "said"), [(True, "none", True), (True, "full", False), (False, "none", False)]
)
def test_the_mean_of_several_views_is_not_what_was_calibrated(is_calibrated, tta, said):
    run = Sentinel2Pipeline(tta=tta).with_paths()
    models = Models(
        ids={"m": "ab" * 32}, bands={"m": ["red"]}, precision=FLOAT32, is_calibrated=is_calibrated,
        thresholds={"low": 0.4, "best_f1": 0.5},
    )  # fmt: skip
    making = making_of(run, models, 10)
    assert making.is_calibrated is said
    assert making.thresholds == ({"low": 0.4, "best_f1": 0.5} if said else {})
