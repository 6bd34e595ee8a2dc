import re

import numpy as np
import pytest
import torch

from darts_segmentation import EnsembleV1, SMPSegmenter
from darts_segmentation.models.checkpoint import save_checkpoint
from darts_utils.bands import manager
from darts_utils.errors import CheckpointError, ConfigError
from darts_utils.tile import validate


@pytest.fixture
def other(tmp_path, small_unet):
    """The same weights for other bands."""
    path = tmp_path / "other.pt"
    save_checkpoint(path, {"arch": "unet", "encoder_name": "resnet18", "encoder_depth": 3,
                           "decoder_channels": [16, 8, 8], "in_channels": 3},
                    ("tc_wetness", "nir", "red"), small_unet.state_dict())  # fmt: skip
    return path


def test_a_segmenter_tells_its_bands_and_adds_probabilities_to_a_new_tile(checkpoint, tile_of, small_unet):
    segmenter = SMPSegmenter(checkpoint, device="cpu")
    assert segmenter.bands == ("red", "ndvi", "slope")
    assert segmenter.required_bands == {"red", "ndvi", "slope"}
    tile = tile_of(64, 40)
    tile["quality_data_mask"].values[0, 0] = 0
    result = segmenter.segment_tile(tile, batch_size=2)
    assert "probabilities" not in tile
    probabilities = result["probabilities"]
    assert probabilities.dims == ("y", "x")
    assert probabilities.dtype == np.float32
    assert np.argwhere(np.isnan(probabilities.values)).tolist() == [[0, 0]]
    bands = np.stack([manager[band].normalize(tile[band].values) for band in segmenter.bands])
    bands[:, 0, 0] = 0
    with torch.inference_mode():
        expected = torch.sigmoid(small_unet(torch.from_numpy(bands)[None]))[0, 0].numpy()
    np.testing.assert_allclose(probabilities.values[1:], expected[1:], atol=1e-5)


def test_an_ensemble_is_the_mean_of_its_segmenters(checkpoint, other, tile_of):
    ensemble = EnsembleV1({"first": checkpoint, "second": str(other)}, device="cpu")
    assert ensemble.model_names == ["first", "second"]
    assert ensemble.required_bands == {"red", "ndvi", "slope", "tc_wetness", "nir"}
    tile = tile_of(70, 90)
    result = ensemble.segment_tile(tile, patch_size=48, overlap=8, keep_inputs=True)
    for name, path in (("first", checkpoint), ("second", other)):
        alone = SMPSegmenter(path, device="cpu").segment_tile(tile, patch_size=48, overlap=8)
        np.testing.assert_allclose(result[f"probabilities-{name}"], alone["probabilities"], atol=1e-6)
    members = (result["probabilities-first"] + result["probabilities-second"]) / 2
    np.testing.assert_allclose(result["probabilities"], members, atol=1e-6)
    assert "probabilities-first" not in ensemble.segment_tile(tile, patch_size=48)


def test_the_result_keeps_the_tile_contract(checkpoint, tile_of):
    tile = tile_of(32, 32).odc.assign_crs("EPSG:32608")
    result = validate(SMPSegmenter(checkpoint, device="cpu").segment_tile(tile))
    assert result["probabilities"].odc.geobox == tile.odc.geobox


def test_the_documented_defaults_stand(checkpoint, tile_of):
    defaults = EnsembleV1.segment_tile.__defaults__
    assert defaults == (1024, 16, 8, 0, False)
    assert SMPSegmenter.segment_tile.__defaults__ == (1024, 16, 8, 0)


def test_an_ensemble_without_models_is_refused():
    message = "an ensemble needs at least one model but got none. Give the path of a checkpoint."
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        EnsembleV1({}, device="cpu")


def test_a_missing_file_is_refused_before_anything_else(tmp_path):
    message = f"there is no model file {tmp_path / 'nothing.pt'}. Check the path."
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        SMPSegmenter(tmp_path / "nothing.pt", device="cpu")
