import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
import zarr
from training_sets import make_set

from darts_segmentation.models.card import read_card
from darts_segmentation.models.checkpoint import load, load_model
from darts_segmentation.training import train as train_module
from darts_segmentation.training.loop import fit as fit_module
from darts_segmentation.training.loop.beginnings import learned_regions
from darts_segmentation.training.loop.fit import best_checkpoint
from darts_segmentation.training.loop.history import read_rows
from darts_segmentation.training.loop.module import LearningRate, TrainedNetwork
from darts_segmentation.training.loop.runs import find_runs
from darts_segmentation.training.parameters import HyperParameters, RunParameters
from darts_segmentation.training.patch_set import PatchSet
from darts_segmentation.training.train import train
from darts_utils.errors import CheckpointError, ConfigError, DataError, OutputError
from darts_utils.paths import DefaultPaths, PathManager

PATHS = PathManager(DefaultPaths())
SMALL = {
    "model_encoder": "tu-mobilenetv2_050", "encoder_depth": 3, "decoder_channels": [16, 8, 8], "batch_size": 4,
    "loss": "bce+dice", "learning_rate": 3e-3, "accelerator": "cpu", "check_val_every_n_epoch": 1, "max_epochs": 3,
}  # fmt: skip


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "coast"
    make_set(path)
    return path


EPOCHS = 6 if int(os.environ.get("DARTS_TEST_KILLS", "1")) > 1 else 4


class Lines:
    """Keeps what is shown."""

    def __init__(self):
        self.said, self.epochs = [], []

    def say(self, line):
        self.said.append(line)

    def step(self, epoch, done, total):
        pass

    def epoch(self, summary):
        self.epochs.append(summary)


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """As the processes that are killed have it: sums of several threads differ in their last digits."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_estimate(monkeypatch):
    """Time some steps in one test alone."""
    monkeypatch.setattr("darts_segmentation.training.train.expected_duration", lambda *_: "")


def run(folder, tmp_path, view=None, **changes):
    given = RunParameters(**{**SMALL, "train_data_dir": folder, "artifact_dir": tmp_path, "name": "run", **changes})
    return train(given, PATHS, view=view)


@pytest.fixture(scope="session")
def unbroken(folder, tmp_path_factory):
    return run(folder, tmp_path_factory.mktemp("unbroken"), ema_decay=0.9, max_epochs=EPOCHS)


def rows_of(trained):
    return list(read_rows(trained.run.metrics))


def test_a_run_leaves_what_is_documented(unbroken):
    folder = unbroken.run.folder
    assert folder.parent.name == "_runs"
    assert folder.name.startswith("run-")
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    best = [name for name in names if name.startswith("checkpoints/epoch=")]
    assert names - {".lock", ".ended"} == {
        "metrics.csv", "hparams.yaml", "checkpoints/last.ckpt", "run.safetensors", "figures/learning-curves.png",
        "figures/reliability.png", "figures/precision-recall.png", *best,
        *(f"figures/validation-epoch={epoch}.png" for epoch in range(4, EPOCHS, 5)),
    }  # fmt: skip
    assert len(best) == 1
    assert {"epoch", "step", "train/loss", "val/JaccardIndex", "val/AUROC"} <= set().union(*rows_of(unbroken))


def test_the_scores_of_an_epoch_are_its_own(unbroken):
    """Those of the best checkpoint, computed anew, stand in the row of its epoch."""
    best = max((row for row in rows_of(unbroken) if "val/JaccardIndex" in row), key=lambda row: row["val/JaccardIndex"])
    metrics = unbroken.card.training["metrics"]["val"]
    for name in ("JaccardIndex", "Accuracy", "Precision", "Recall", "F1Score", "Specificity", "CohenKappa", "AUROC"):
        assert metrics[name] == pytest.approx(best[f"val/{name}"], abs=2e-4), name
    assert f"epoch={best['epoch']:.0f}-" in best_checkpoint(unbroken.run).name


def test_the_model_says_what_it_is(unbroken, folder):
    card = read_card(unbroken.run.model)
    assert card == unbroken.card
    assert card.input == {"sensor": ["sentinel2"], "pixel_size_m": 10.0, "patch_size": 64}
    split = card.training["split"]
    assert sorted(split["train"] + split["val"] + split["test"]) == [f"Region {n}" for n in range(4)]
    assert card.calibration["fitted_on"]["regions"] == split["val"]
    assert not card.calibration["fitted_on"]["shares_regions"]
    assert card.calibration["nll_after"] <= card.calibration["nll_before"]
    assert set(card.thresholds) == {"low", "medium", "high", "best_f1"}
    assert set(card.input_statistics) == set(card.band_names)
    assert card.domain["type"] == "MultiPolygon"
    assert len(card.domain["coordinates"]) == len(split["train"])
    assert (card.training["seed"], card.training["epochs"]) == (42, EPOCHS)


def test_a_checkpoint_of_lightning_that_a_run_keeps_is_a_model_too(unbroken):
    network, bands = load_model(best_checkpoint(unbroken.run))
    assert bands == unbroken.card.band_names
    theirs = load(unbroken.run.model).network.state_dict()
    assert all(torch.equal(weight, theirs[name]) for name, weight in network.state_dict().items())


def test_the_same_seed_gives_the_same_model_whatever_reads_the_patches(folder, tmp_path):
    one = run(folder, tmp_path / "a", max_epochs=1)
    other = run(folder, tmp_path / "b", max_epochs=1, in_memory=True)
    third = run(folder, tmp_path / "c", max_epochs=1, num_workers=2)
    assert one.card.model_id == other.card.model_id == third.card.model_id
    assert run(folder, tmp_path / "d", max_epochs=1, random_seed=1).card.model_id != one.card.model_id


class Stopped(Exception):
    pass


@pytest.mark.parametrize("after", [0, 2])  # before the first checkpoint, and after some
def test_a_run_that_was_stopped_goes_on_to_the_same_end(folder, tmp_path, unbroken, after):
    def stop(epoch, _):
        if epoch == after:
            raise Stopped

    given = {
        **SMALL,
        "train_data_dir": folder,
        "artifact_dir": tmp_path,
        "name": "run",
        "ema_decay": 0.9,
        "max_epochs": EPOCHS,
    }
    with pytest.raises(Stopped):
        train(RunParameters(**given), PATHS, on_validation=stop)
    view = Lines()
    trained = train(RunParameters(**given), PATHS, view=view)
    assert len(find_runs(tmp_path / "_runs", "run")) == 1
    expected = rows_of(unbroken)
    found = rows_of(trained)
    assert [row["epoch"] for row in found] == [row["epoch"] for row in expected]
    for row, wanted in zip(found, expected, strict=True):
        assert row == pytest.approx(wanted, abs=1e-4)
    assert view.said[0].startswith("Going on with run-" if after else "Training run-")


CHILD = """
import sys, torch
torch.set_num_threads(1)
from pathlib import Path
from darts_segmentation.training.parameters import RunParameters
from darts_segmentation.training.patch_set import PatchSet
from darts_segmentation.training.train import train
from darts_utils.paths import DefaultPaths, PathManager
given = {**SMALL_GIVEN, "train_data_dir": Path(sys.argv[1]), "artifact_dir": Path(sys.argv[2]), "name": "run"}
train(RunParameters(**given, ema_decay=0.9), PathManager(DefaultPaths()))
""".replace("SMALL_GIVEN", repr({**SMALL, "max_epochs": EPOCHS}))


def child(folder, artifacts):
    return subprocess.Popen([sys.executable, "-c", CHILD, str(folder), str(artifacts)], stderr=subprocess.PIPE)


def test_a_run_that_is_killed_at_any_moment_goes_on_to_the_same_end(folder, tmp_path, unbroken):
    moments = torch.rand(int(os.environ.get("DARTS_TEST_KILLS", "1")), generator=torch.Generator().manual_seed(3))
    for moment in moments.tolist():
        with child(folder, tmp_path / "killed") as process:
            time.sleep(5 + 2 * unbroken.seconds * moment)  # 5 s of imports
            process.send_signal(signal.SIGKILL)
        for checkpoint in (tmp_path / "killed").rglob("*.ckpt"):
            torch.load(checkpoint, weights_only=True)  # whole
    with child(folder, tmp_path / "killed") as process:
        assert process.wait() == 0
    runs = find_runs(tmp_path / "killed" / "_runs", "run")
    found = list(read_rows(runs[0].metrics))
    for row, wanted in zip(found, rows_of(unbroken), strict=True):
        assert row == pytest.approx(wanted, abs=1e-4)
    assert all(one.is_finished for one in runs)


@pytest.mark.parametrize("wrong", [{"loss": "focal+cosine"}, {"augment": ["D4", "Swirl"]}])
def test_losses_and_augmentations_are_known_before_anything_is_read(wrong):
    with pytest.raises(ConfigError, match=r"'(cosine|Swirl)'.* is no (loss|augmentation); there are "):
        HyperParameters(**wrong)


def test_other_parameters_do_not_go_on_with_an_unfinished_run(folder, tmp_path):
    def stop(*_):
        raise Stopped

    given = {**SMALL, "train_data_dir": folder, "artifact_dir": tmp_path, "name": "run"}
    with pytest.raises(Stopped):
        train(RunParameters(**given), PATHS, on_validation=stop)
    with pytest.raises(ConfigError) as caught:
        train(RunParameters(**{**given, "gamma": 0.8, "num_workers": 1}), PATHS)
    name = find_runs(tmp_path / "_runs", "run")[0].folder.name
    assert str(caught.value) == (
        f"the run {name} is unfinished and was begun with gamma 0.9 (now 0.8). Give the same to go on, another --name "
        "to begin anew, or delete its folder."
    )


def test_a_finished_name_gets_a_new_id(folder, tmp_path):
    one, other = run(folder, tmp_path, max_epochs=1), run(folder, tmp_path, max_epochs=1)
    assert one.run.folder != other.run.folder
    assert yaml.safe_load((one.run.folder / "hparams.yaml").read_text())["parameters"]["max_epochs"] == 1


def test_a_loss_that_is_no_number_names_epoch_and_batch_and_keeps_the_best(folder, tmp_path, monkeypatch):
    plain = TrainedNetwork.training_step

    def step(self, batch, batch_idx):
        if (self.current_epoch, batch_idx) == (1, 2):
            batch["x"][:] = float("nan")
        return plain(self, batch, batch_idx)

    monkeypatch.setattr(TrainedNetwork, "training_step", step)
    with pytest.raises(DataError, match=r"the loss is no number in epoch 1, batch 2: training went astray"):
        run(folder, tmp_path)
    assert best_checkpoint(find_runs(tmp_path / "_runs", "run")[0]).is_file()


def test_memory_that_is_not_enough_says_the_batch_that_fits(folder, tmp_path, monkeypatch):
    plain = TrainedNetwork.forward

    def forward(self, x):
        if len(x) > 2 and not torch.is_inference_mode_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return plain(self, x)

    monkeypatch.setattr(TrainedNetwork, "forward", forward)
    with pytest.raises(ConfigError) as caught:
        run(folder, tmp_path)
    assert str(caught.value) == "batch_size 4 does not fit into memory, but 2 does. Use --batch-size 2."


def test_a_full_disk_is_one_line(folder, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("darts_segmentation.training.loop.checkpoints.torch.save", full)
    with pytest.raises(OutputError, match=r"checkpoints/.*No space left on device"):
        run(folder, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_encoder": "resnet43"}, "model_encoder is 'resnet43', which neither segmentation-models-pytorch nor"
         " timm (tu-...) has. Near it: resnet34"),
        ({"model_arch": "Unot"}, "model_arch is 'Unot', but known ones are unet,"),
        ({"bands": ["red", "swir"]}, "bands are red, swir, but the training set in"),
        ({"loss": "cosine"}, "'cosine' is no loss; there are focal, dice, jaccard, lovasz, bce"),
        ({"augment": ["Rotate"]}, "'Rotate' is no augmentation"),
        ({"decoder_channels": [8, 8]}, "decoder_channels are 2 numbers, but encoder_depth is 3."),
        ({"gamma": 0.0}, "gamma is 0.0 but must be above 0."),
        ({"positive_share": 70.0}, "positive_share is 70.0 but must be above 0"),
        ({"devices": ["many"]}, "devices are many, but numbers of GPUs, or auto, are needed."),
        ({"wandb_project": "x"}, "--wandb-project needs the package wandb, which is not installed."),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(folder, tmp_path, changes, message, monkeypatch):
    monkeypatch.setattr(fit_module.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError) as caught:
        run(folder, tmp_path, **changes)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_set_without_a_slump_teaches_nothing(folder, tmp_path):
    from darts_segmentation.training import PatchSet

    patches = PatchSet(folder)
    copy = tmp_path / "empty"
    import shutil

    shutil.copytree(folder, copy)
    patches.metadata.assign(empty=True).to_parquet(copy / "metadata.parquet")
    with pytest.raises(DataError, match="none of the 16 training patches has a slump"):
        run(copy, tmp_path)


@pytest.mark.parametrize("schedule", ["exponential", "cosine"])
def test_the_learning_rate_follows_its_formula(schedule):
    rate = LearningRate(HyperParameters(lr_schedule=schedule, gamma=0.5, warmup_epochs=2), epochs=10, steps_per_epoch=4)
    assert [rate(step) for step in range(8)] == pytest.approx([n / 8 for n in range(1, 9)])
    if schedule == "exponential":
        assert [rate(step) for step in (8, 11, 12, 16)] == [1, 1, 0.5, 0.25]
    else:
        assert [rate(step) for step in (8, 24, 40)] == pytest.approx([1, 0.5, 0])


def test_a_run_without_validation_keeps_its_last_epoch(folder, tmp_path):
    trained = run(folder, tmp_path, fold_method="none", max_epochs=2)
    assert trained.card.calibration is None
    assert best_checkpoint(trained.run).name == "last.ckpt"
    assert not trained.scores


def test_the_commit_is_that_of_the_code_and_not_of_the_folder_that_one_works_in(tmp_path, monkeypatch):
    def git(*words):
        return subprocess.run(["git", *words], capture_output=True, text=True, check=False).stdout.strip()

    own = git("-C", str(Path(train_module.__file__).parent), "rev-parse", "HEAD")
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    git("-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "--allow-empty", "-m", "an article")
    found = train_module.commit_of_code()
    assert git("rev-parse", "HEAD") not in ("", found)
    assert (found or "").removesuffix("-dirty") == own


@pytest.mark.parametrize("given", [{"accelerator": "gpu"}, {"accelerator": "cpu", "devices": ["0"]}])
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_devices_that_are_not_there_are_one_line(folder, tmp_path, given):
    with pytest.raises(ConfigError, match=r"cannot be had \(.*\)\. Correct them\."):
        run(folder, tmp_path, **given)


def test_a_name_may_have_brackets(folder, tmp_path):
    first = run(folder, tmp_path, max_epochs=1, name="a[1]")
    assert [found.folder for found in find_runs(first.run.folder.parent, "a[1]")] == [first.run.folder]


def test_weights_of_another_model_are_a_start(folder, tmp_path, unbroken):
    trained = run(folder, tmp_path, weights_from_checkpoint=unbroken.run.model, learning_rate=1e-9, max_epochs=1)
    learned = sorted(unbroken.card.training["split"]["train"])
    assert trained.card.training["began_with"] == {
        "file": "run.safetensors", "model_id": unbroken.card.model_id, "regions": learned,
    }  # fmt: skip
    assert str(unbroken.run.model.parent) not in json.dumps(trained.card.to_json()), "a card goes around the world"
    start, end = (load(one.run.model).network.state_dict() for one in (unbroken, trained))
    name = "segmentation_head.0.weight"
    assert torch.allclose(start[name], end[name], atol=1e-6)
    with pytest.raises(Exception, match=r"cannot be started from: it has decoder_channels"):
        run(folder, tmp_path, weights_from_checkpoint=unbroken.run.model, decoder_channels=[16, 8, 4], name="other")


@pytest.mark.parametrize("given", ["weights_from_checkpoint", "continue_from_checkpoint"])
def test_what_has_learned_from_the_ground_that_it_would_be_scored_on_is_no_start(folder, tmp_path, unbroken, given):
    start = unbroken.run.model if given.startswith("weights") else unbroken.run.last
    with pytest.raises(ConfigError, match=r"has learned from Region \d, which is for (validation|test) here"):
        run(folder, tmp_path, **{given: start}, fold=1, max_epochs=EPOCHS + 1)
    assert not list(tmp_path.glob("_runs/*")), "nothing begins that cannot be trusted"


def test_a_start_that_has_learned_from_the_same_samples_is_none(folder, tmp_path):
    first = run(folder, tmp_path, max_epochs=1, name="first", data_split_method="sample", fold_method="kfold")
    with pytest.raises(ConfigError, match=r"has learned from .+, which is for validation here"):
        run(folder, tmp_path, weights_from_checkpoint=first.run.model, data_split_method="sample", fold=1)


def test_what_a_model_began_with_counts_as_learned(unbroken):
    card = unbroken.card.with_(training={"split": {"train": ["b"]}, "began_with": {"regions": ["a"]}})
    assert learned_regions(card) == {"a", "b"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_epochs": EPOCHS}, rf"has learned for {EPOCHS} epochs, and max_epochs is {EPOCHS}"),
        ({"decoder_channels": [16, 8, 4]}, r"cannot be started from: it has decoder_channels"),
        ({"bands": ["red", "nir", "ndvi"]}, r"cannot be started from: it has (in_channels|the bands)"),
    ],
)
def test_a_checkpoint_that_cannot_be_gone_on_from_is_refused_first(folder, tmp_path, unbroken, changes, message):
    given = {"max_epochs": EPOCHS + 1, "continue_from_checkpoint": unbroken.run.last, **changes}
    with pytest.raises((ConfigError, CheckpointError), match=message):
        run(folder, tmp_path, **given)
    assert not list(tmp_path.glob("_runs/*"))


def test_a_model_is_no_checkpoint_to_go_on_from(folder, tmp_path):
    torch.save({"hyper_parameters": {}, "state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match=r"other.ckpt is no checkpoint of a training run. Use it as --weights"):
        run(folder, tmp_path, continue_from_checkpoint=tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match=r"there is no checkpoint .*none.ckpt"):
        run(folder, tmp_path, continue_from_checkpoint=tmp_path / "none.ckpt")


def test_the_card_names_the_epoch_whose_weights_it_has(folder, tmp_path):
    trained = run(folder, tmp_path, save_top_k=0, learning_rate=0.3, max_epochs=3)
    rows = [row for row in rows_of(trained) if "val/loss" in row]
    assert trained.card.training["best_epoch"] == 2
    assert trained.scores["val/loss"] == rows[-1]["val/loss"]


def test_values_that_are_no_numbers_are_told_by_their_patch(folder, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    first = next(iter(PatchSet(folder).metadata.query("region == 'Region 0'").index))
    store = zarr.open_group(broken / "data.zarr", mode="r+")
    patches = store["x"]
    values = patches[first]
    values[0, 3, 3] = float("nan")
    patches[first] = values
    with pytest.raises(DataError, match=rf"patch .+ \(z_idx {first}\) .* values that are not finite"):
        run(broken, tmp_path, data_split_method="none", fold_method="none", max_epochs=1)


def test_values_that_are_no_numbers_are_told_where_they_are_validated(folder, tmp_path, monkeypatch):
    """Not the learning rate is to blame: what is looked at first are patches for training."""
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    patches = zarr.open_group(broken / "data.zarr", mode="r+")["x"]
    values = patches[:]
    values[:, 3, 3, 3] = float("nan")  # slope, of all patches
    patches[:] = values
    monkeypatch.setattr(train_module, "input_statistics", lambda _: {})
    with pytest.raises(DataError, match=r"patch .+ values that are not finite"):
        run(broken, tmp_path, max_epochs=1)


def test_a_run_whose_checkpoint_was_lost_learns_anew(folder, tmp_path):
    first = run(folder, tmp_path, max_epochs=1)
    first.run.model.unlink()
    for file in first.run.checkpoints.iterdir():
        file.unlink()
    again = run(folder, tmp_path, max_epochs=1)
    assert again.run.folder == first.run.folder
    assert [row["epoch"] for row in rows_of(again)][-1] == 0


def test_a_damaged_checkpoint_tells_the_way_out(folder, tmp_path):
    def stop(epoch, _):
        if epoch:
            raise Stopped

    given = RunParameters(**{**SMALL, "train_data_dir": folder, "artifact_dir": tmp_path, "name": "run"})
    with pytest.raises(Stopped):
        train(given, PATHS, on_validation=stop)
    last = find_runs(tmp_path / "_runs", "run")[0].last
    last.write_bytes(b"half")
    with pytest.raises(CheckpointError, match=r"last.ckpt cannot be read .* delete it, and the run begins anew"):
        train(given, PATHS)
    last.unlink()
    assert train(given, PATHS).card.is_calibrated


def test_machines_that_nothing_tells_of_one_another_do_not_wait_forever(folder, tmp_path, monkeypatch):
    for name in ("MASTER_ADDR", "SLURM_NTASKS", "TORCHELASTIC_RUN_ID", "LSB_JOBID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="num_nodes is 2, but nothing says where the other machines are"):
        run(folder, tmp_path, num_nodes=2)


@pytest.mark.parametrize("given", [{"gamma": 1.5}, {"positive_share": 0.0}, {"warmup_epochs": 3}])
def test_settings_that_learn_nothing_are_refused(given):
    with pytest.raises(ConfigError, match=rf"{next(iter(given))} is .* (Lower it|no percentage)"):
        RunParameters(**{**SMALL, **given})


def test_ctrl_c_keeps_the_last_epoch(folder, tmp_path):
    def interrupt(epoch, _):
        if epoch == 1:
            raise KeyboardInterrupt

    given = RunParameters(**{**SMALL, "train_data_dir": folder, "artifact_dir": tmp_path, "name": "run"})
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(given, PATHS, on_validation=interrupt)
    assert signal.getsignal(signal.SIGINT) is handler
    assert Path(find_runs(tmp_path / "_runs", "run")[0].last).is_file()


def test_on_a_cpu_the_hours_are_told_first_and_chance_is_left_as_it_was(folder, tmp_path, monkeypatch):
    from darts_segmentation.training.loop.estimate import expected_duration

    said = []

    def told(*given):
        before = torch.get_rng_state()
        said.append(expected_duration(*given))
        assert torch.equal(torch.get_rng_state(), before)
        return said[-1]

    monkeypatch.setattr("darts_segmentation.training.train.expected_duration", told)
    view = Lines()
    run(folder, tmp_path, view=view, max_epochs=1)
    assert view.said[1] == said[0] == "On this CPU 1 epoch takes about 1 minute."


def test_pictures_are_drawn_when_they_are_asked_for(folder, tmp_path):
    trained = run(folder, tmp_path, max_epochs=2, plot_every_n_val_epochs=2, plot_augmentations=True)
    names = {path.name for path in trained.run.figures.iterdir()}
    assert {"augmentations.png", "validation-epoch=1.png"} <= names
    assert "validation-epoch=0.png" not in names


def test_a_run_goes_on_from_its_own_epochs_and_not_again_from_where_it_began(folder, tmp_path, unbroken):
    def stop(epoch, _):
        if epoch == EPOCHS:
            raise Stopped

    begun = {
        **SMALL,
        "train_data_dir": folder,
        "artifact_dir": tmp_path,
        "name": "run",
        "ema_decay": 0.9,
        "max_epochs": EPOCHS + 2,
    }
    given = RunParameters(**begun, continue_from_checkpoint=unbroken.run.last)
    with pytest.raises(Stopped):
        train(given, PATHS, on_validation=stop)
    view = Lines()
    trained = train(given, PATHS, view=view)
    assert [summary.epoch for summary in view.epochs] == [EPOCHS, EPOCHS + 1]  # its first one had not ended
    assert [row["epoch"] for row in rows_of(trained) if "train/loss_epoch" in row] == list(range(EPOCHS + 2))


def test_a_run_that_was_killed_after_its_last_epoch_learns_no_more(folder, tmp_path, monkeypatch):
    """One that stops early would go on from its checkpoint, to another end."""
    given = RunParameters(**{**SMALL, "train_data_dir": folder, "artifact_dir": tmp_path, "name": "run"},
                          early_stopping_patience=1)  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr("darts_segmentation.training.train.calibrate", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(given, PATHS)
    (begun,) = find_runs(tmp_path / "_runs", "run")
    rows = list(read_rows(begun.metrics))
    view = Lines()
    trained = train(given, PATHS, view=view)
    assert not view.epochs
    assert rows_of(trained) == rows
    assert trained.card.training["epochs"] == rows[-1]["epoch"] + 1
