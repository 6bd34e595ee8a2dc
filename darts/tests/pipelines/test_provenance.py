"""What products say of how they were made."""

from types import SimpleNamespace

import pytest
import xarray as xr

from darts.pipelines.results.provenance import Making
from darts_export.record import tags_of


@pytest.mark.parametrize("is_calibrated", [True, False])
def test_a_product_names_its_models_by_name_and_id_and_says_whether_they_are_calibrated(is_calibrated):
    document = {"parameters": {"patch_size": 64, "tcvis_year": None}}
    recipe = SimpleNamespace(models={"coast": "ab" * 32, "hills": "cd" * 32}, document=lambda *_: document)
    making = Making(pipeline="planet", recipe=recipe, software={}, device="cpu", is_calibrated=is_calibrated)
    work = SimpleNamespace(ref=SimpleNamespace(tile_id="t"), inputs={}, tile=xr.Dataset())
    said = making.metadata(work)
    assert said["DARTS_models"] == f"coast {'ab' * 32}, hills {'cd' * 32}"
    assert said["DARTS_calibrated"] is is_calibrated
    assert tags_of(said)["DARTS_calibrated"] is is_calibrated
