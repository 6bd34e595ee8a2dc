"""What a run computes in: as asked, as the results that are there, or as a self-check finds, once."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from darts.pipelines.computing.ability import Ability
from darts.pipelines.computing.settled import settled_patch_px, settled_precision
from darts.pipelines.computing.verdicts import checked_precision
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts_export.record import FILE
from darts_segmentation.self_check import Verdict
from darts_utils.errors import ConfigError
from darts_utils.parameters import BFLOAT16, BFLOAT16_DECODER, FLOAT16, FLOAT32

NONE = Ability(faster=(), processors="old", network_bytes=2**31)
SOME = Ability(faster=(BFLOAT16, BFLOAT16_DECODER), processors="new", network_bytes=2**33)
GPU = Ability(faster=(FLOAT16, BFLOAT16), processors="GPU", network_bytes=2**34, on_gpus=True)
IDS = {"coast": "c" * 64, "hills": "d" * 64}
GOOD, BAD = Verdict(most=0.001, flips=0.0), Verdict(most=0.02, flips=0.001)


def settled(ability, **given):
    return settled_precision(Sentinel2Pipeline(**given), Path("results"), ability)


def record(precision, folder="results/scene"):
    Path(folder).mkdir(parents=True)
    document = {"parameters": {"tta": "none", **precision.document}}
    (Path(folder) / FILE).write_text(json.dumps({"DARTS_fingerprint_document": document}))


def test_what_is_asked_for_is_taken():
    record(BFLOAT16)
    assert settled(NONE, precision="float32") == FLOAT32
    assert settled(NONE, precision="bfloat16") == BFLOAT16


@pytest.mark.parametrize("folder", ["results/scene", "results/tile/scene"])
def test_results_that_are_there_decide(folder):
    record(BFLOAT16_DECODER, folder)
    assert settled(SOME) == BFLOAT16_DECODER
    assert settled(None) == BFLOAT16_DECODER
    for ability in (NONE, GPU):
        with pytest.raises(ConfigError, match="in bfloat16, encoder and head in float32, which is not fast on"):
            settled(ability)
    assert settled(GPU, overwrite=True) is None
    assert settled(NONE, keep_old=True) == FLOAT32


def test_results_in_float32_go_on_in_float32_everywhere():
    record(FLOAT32)
    assert [settled(ability) for ability in (NONE, SOME, GPU, None)] == [FLOAT32] * 4


def test_without_results_only_a_processor_with_faster_numbers_needs_a_self_check():
    assert settled(NONE) == FLOAT32
    assert settled(SOME) is None
    Path("results/scene").mkdir(parents=True)
    (Path("results/scene") / FILE).write_text("[]")
    assert settled(SOME) is None


def test_what_all_workers_can_do():
    assert Ability.of_all([GPU, replace(SOME, faster=(BFLOAT16,))]).faster == (BFLOAT16,)
    assert Ability.of_all([SOME, NONE]) == replace(NONE, processors="new + old")
    assert Ability.of_all([]).faster == ()
    assert Ability.of(torch.device("cpu")).faster == (), "tests are kept from such numbers"


class Judge:
    def __init__(self, verdicts):
        self.verdicts, self.asked = verdicts, []

    def __call__(self, tiles):
        self.asked.append(tiles)
        return self.verdicts


def test_a_self_check_is_made_once_for_models_and_processors(capsys):
    judge = Judge({BFLOAT16: {"coast": GOOD, "hills": BAD}, BFLOAT16_DECODER: {"coast": GOOD, "hills": GOOD}})
    given = {"model_ids": IDS, "logs": Path("logs"), "tiles": list(range(9)), "judge": judge}
    assert checked_precision(SOME, **given) == BFLOAT16_DECODER
    assert judge.asked == [[0, 1, 2]]
    assert "models compute in bfloat16, encoder and head in float32: 99.9 % of" in capsys.readouterr().out
    assert checked_precision(SOME, **given) == BFLOAT16_DECODER
    assert checked_precision(SOME, **given | {"model_ids": {"renamed": "c" * 64}}) == BFLOAT16, "it holds for one"
    assert len(judge.asked) == 1
    other = replace(SOME, processors="another")
    assert checked_precision(other, **given) == BFLOAT16_DECODER
    assert checked_precision(SOME, **given | {"model_ids": IDS | {"rivers": "e" * 64}}) == BFLOAT16_DECODER
    assert len(judge.asked) == 3


def test_numbers_that_do_not_hold_are_not_tried_again():
    judge = Judge({BFLOAT16: {"coast": BAD}, BFLOAT16_DECODER: {"coast": Verdict(most=float("inf"), flips=1.0)}})
    for _ in range(2):
        assert checked_precision(SOME, {"coast": "c" * 64}, Path("logs"), [1], judge) == FLOAT32
    assert len(judge.asked) == 1


@pytest.mark.parametrize("damage", ["", "[]", '{"new, torch": 3}', '{"a": {"b": {"c": null}}}'])
def test_a_damaged_file_costs_a_self_check(damage):
    judge = Judge({BFLOAT16: {"coast": GOOD}})
    Path("logs").mkdir()
    Path("logs/precision.json").write_text(damage)
    for _ in range(2):
        assert checked_precision(SOME, {"coast": "c" * 64}, Path("logs"), [1], judge) == BFLOAT16
    assert len(judge.asked) == 1


def test_where_no_image_can_be_loaded_models_compute_in_float32(caplog):
    assert checked_precision(SOME, IDS, Path("logs"), [1], Judge({})) == FLOAT32
    assert "no image could be loaded to compare precisions on" in caplog.text
    assert not Path("logs").exists()


@pytest.mark.parametrize(
    ("ability", "weight", "given", "patch_px"),
    [
        (NONE, 600, {"patch_size": "auto"}, 1536),
        (SOME, 600, {"patch_size": "auto"}, 2048),
        (NONE, 1e6, {"patch_size": "auto"}, 1024),
        (GPU, 600, {"patch_size": "auto"}, 1536),
        (GPU, 600, {"patch_size": "auto", "batch_size": 2}, 2048),
        (SOME, 600, {}, 1024),
        (SOME, 600, {"patch_size": 300}, 300),
    ],
)
def test_patches_are_as_large_as_networks_have_memory_for(ability, weight, given, patch_px):
    assert settled_patch_px(Sentinel2Pipeline(**given), Path("results"), ability, lambda: weight) == patch_px


def test_patches_are_as_large_as_those_of_results_that_are_there():
    record(FLOAT32)
    path = Path("results/scene") / FILE
    path.write_text(path.read_text().replace('"tta"', '"patch_size": 704, "tta"'))
    assert settled_patch_px(Sentinel2Pipeline(patch_size="auto"), Path("results"), SOME, lambda: 600) == 704
    assert settled_patch_px(Sentinel2Pipeline(patch_size=512), Path("results"), SOME, lambda: 600) == 512


def test_sizes_that_are_no_sizes_are_refused():
    with pytest.raises(ConfigError, match="overlap is 1024"):
        Sentinel2Pipeline(patch_size="auto", overlap=1024)
    with pytest.raises(ConfigError, match="patch_size is auto, but must be a number here"):
        _ = Sentinel2Pipeline(patch_size="auto").patch_px
