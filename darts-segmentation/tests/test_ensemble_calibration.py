import numpy as np
import pytest
from scipy.special import expit, logit
from training_sets import make_tile

from darts_segmentation import EnsembleV1
from darts_segmentation.models.card import BandRange, ModelCard
from darts_segmentation.models.ensemble_card import EnsembleCard, read_ensemble_card, write_ensemble_card
from darts_segmentation.models.safe_file import write_model
from darts_utils.errors import CheckpointError

MODEL = {
    "arch": "unet",
    "encoder_name": "resnet18",
    "encoder_depth": 3,
    "decoder_channels": [16, 8, 8],
    "in_channels": 3,
    "classes": 1,
}
BANDS = tuple(BandRange.of(name) for name in ("red", "ndvi", "slope"))


@pytest.fixture
def models(tmp_path, small_unet):
    """Write the same network with two temperatures, and one that differs."""

    def written(name, temperature, scale=1.0):
        weights = {key: value * scale if key.startswith("segmentation_head") else value
                   for key, value in small_unet.state_dict().items()}  # fmt: skip
        card = ModelCard(architecture=MODEL, bands=BANDS, calibration={"temperature": temperature})
        return write_model(tmp_path / f"{name}.safetensors", card, weights).model_id

    ids = {"plain": written("plain", 1.0), "cool": written("cool", 2.0), "other": written("other", 1.0, scale=-1.0)}
    return tmp_path, ids


def mapped(folder, *names):
    ensemble = EnsembleV1({name: folder / f"{name}.safetensors" for name in names}, "cpu")
    tile, _ = make_tile(1, 0, 80)
    return ensemble, ensemble.segment_tile(tile, patch_size=64, overlap=16)["probabilities"].values.astype(np.float64)


def test_the_logits_of_a_model_are_divided_by_its_temperature(models):
    folder, _ = models
    (_, plain), (_, cool) = mapped(folder, "plain"), mapped(folder, "cool")
    np.testing.assert_allclose(cool, expit(logit(plain) / 2), atol=2e-3)  # blended as probabilities, not as logits
    assert np.abs(cool - 0.5).max() < np.abs(plain - 0.5).max()


def test_the_mean_of_exactly_the_models_of_a_card_is_calibrated_by_it(models):
    folder, ids = models
    _, before = mapped(folder, "cool", "other")
    card = EnsembleCard(name="both", models={name: ids[name] for name in ("cool", "other")},
                        calibration={"temperature": 0.5}, thresholds={"low": None})  # fmt: skip
    write_ensemble_card(folder / "both.ensemble.json", card)
    ensemble, after = mapped(folder, "other", "cool")
    assert ensemble.card == card == read_ensemble_card(folder / "both.ensemble.json")
    np.testing.assert_allclose(after, expit(logit(before) * 2), atol=2e-3)
    ensemble, others = mapped(folder, "plain", "other")
    assert ensemble.card is None
    assert mapped(folder, "cool")[0].card is None
    assert not np.array_equal(others, after)


def test_a_card_that_is_named_is_used_wherever_it_lies_and_refused_for_other_models(models, tmp_path):
    folder, ids = models
    card = EnsembleCard(name="both", models={name: ids[name] for name in ("cool", "other")},
                        calibration={"temperature": 0.5}, thresholds={})  # fmt: skip
    (tmp_path / "far").mkdir()
    write_ensemble_card(tmp_path / "far" / "both.ensemble.json", card)
    files = {name: folder / f"{name}.safetensors" for name in ids}
    pair = {name: files[name] for name in ("cool", "other")}
    assert EnsembleV1(pair, "cpu", ensemble_card=tmp_path / "far" / "both.ensemble.json").card == card
    assert EnsembleV1(pair, "cpu").card is None
    with pytest.raises(CheckpointError, match=r"both\.ensemble\.json is of cool, other, and not of exactly the models"):
        EnsembleV1({"cool": files["cool"]}, "cpu", ensemble_card=tmp_path / "far" / "both.ensemble.json")


def test_a_card_that_is_none_is_refused_in_one_line(models):
    folder, _ = models
    (folder / "broken.ensemble.json").write_text('{"format": "darts-ensemble", "format_version": 1}')
    with pytest.raises(CheckpointError) as caught:
        mapped(folder, "plain", "other")
    assert str(caught.value) == (
        f"the ensemble card {folder / 'broken.ensemble.json'} cannot be used ('name'). Make it anew, or delete it."
    )


def test_two_cards_that_differ_about_the_same_models_are_refused(models):
    folder, ids = models
    for name, temperature in (("a", 1.1), ("b", 1.2)):
        card = EnsembleCard(name=name, models=ids, calibration={"temperature": temperature}, thresholds={})
        write_ensemble_card(folder / f"{name}.ensemble.json", card)
    with pytest.raises(CheckpointError, match="the ensemble cards a, b are of the same models but differ"):
        mapped(folder, *ids)


def test_a_temperature_of_one_changes_no_byte(models, small_unet):
    folder, _ = models
    card = ModelCard(architecture=MODEL, bands=BANDS)
    write_model(folder / "none.safetensors", card, small_unet.state_dict())
    assert np.array_equal(mapped(folder, "none")[1], mapped(folder, "plain")[1])
