import gc
import json
import shutil
import threading
import time
from types import SimpleNamespace

import geopandas as gpd
import numpy as np
import pytest
import torch
from training_sets import BANDS, make_set

from darts_segmentation.training import PatchSet
from darts_segmentation.training.data import DartsDataModule, open_learning_data
from darts_segmentation.training.parameters import PatchSetParameters
from darts_segmentation.training.patches.batches import CPU, BatchLoader, PatchBatches, room_for
from darts_segmentation.training.patches.order import EpochBatches, InOrder
from darts_segmentation.training.splits.division import SplitParameters
from darts_utils.errors import ConfigError, DataError


@pytest.fixture(scope="session")
def patches(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "coast")


def drawn(sampler, epoch=0):
    sampler.set_epoch(epoch)
    return list(sampler)


def test_each_epoch_has_an_order_of_its_own_and_always_the_same_one():
    first, second = (EpochBatches(np.arange(20), 6, seed=3) for _ in range(2))
    assert drawn(first, 4) == drawn(second, 4)
    assert drawn(first, 4) != drawn(first, 5)
    assert drawn(first, 4) != drawn(EpochBatches(np.arange(20), 6, seed=4), 4)
    batches = drawn(first)
    assert [len(batch) for batch in batches] == [6, 6, 6]
    assert len({index for batch in batches for index in batch}) == 18


def test_every_patch_has_its_turn():
    sampler = EpochBatches(np.arange(20), 6, seed=3)
    seen = {index for epoch in range(10) for batch in drawn(sampler, epoch) for index in batch}
    assert seen == set(range(20))


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_the_share_of_patches_with_slumps_is_what_was_asked_for(share):
    positive = np.arange(40) < 8
    sampler = EpochBatches(np.arange(40), 40, seed=1, positive=positive, positive_share=share)
    (batch,) = drawn(sampler)
    assert sum(positive[batch]) == round(40 * share)
    counts = np.bincount(batch, minlength=40)
    for group in (counts[:8], counts[8:]):
        used = group if len(group) <= group.sum() else group[group > 0]
        assert used.max() - used.min() <= 1  # none is drawn twice before all were drawn once


def test_processes_that_train_together_share_the_batches():
    parts = [EpochBatches(np.arange(24), 4, seed=2, rank=rank, n_ranks=3) for rank in range(3)]
    each = [drawn(part, 1) for part in parts]
    whole = drawn(EpochBatches(np.arange(24), 4, seed=2), 1)
    assert sorted(batch for part in each for batch in part) == sorted(whole)
    alone = [drawn(EpochBatches(np.arange(4), 4, seed=2, rank=rank, n_ranks=3)) for rank in range(3)]
    assert [len(part) for part in alone] == [1, 1, 1]


def test_evaluated_patches_come_once_each_and_in_order():
    assert list(InOrder(np.arange(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    halves = [list(InOrder(np.arange(7), 3, rank=rank, n_ranks=2)) for rank in range(2)]
    assert sorted(index for half in halves for batch in half for index in batch) == list(range(7))


def test_a_batch_is_what_the_set_holds_however_it_is_read(patches):
    chosen = [5, 0, 9]
    plain = PatchBatches(patches, None)[chosen]
    kept = PatchBatches(patches, None).in_memory()[chosen]
    for place, index in enumerate(chosen):
        x, y = patches.read(index)
        for batch in (plain, kept):
            assert np.array_equal(batch["x"][place], x)
            assert np.array_equal(batch["y"][place], y)
    assert plain["index"].tolist() == chosen
    assert plain["sun"].tolist() == [[170.0, 35.0]] * 3
    assert (plain["x"].dtype, plain["y"].dtype) == (torch.float32, torch.uint8)


def test_bands_come_in_the_order_that_was_asked_for(patches):
    data = open_learning_data(patches.folder, ["slope", "red"], SplitParameters())
    batch = PatchBatches(patches, data.channels)[[3]]
    x, _ = patches.read(3)
    assert np.array_equal(batch["x"][0], x[[BANDS.index("slope"), BANDS.index("red")]])


def test_a_set_without_a_sun_has_none(patches, tmp_path):
    folder = tmp_path / "older"
    shutil.copytree(patches.folder, folder)
    patches.metadata.drop(columns=["sun_azimuth", "sun_elevation"]).to_parquet(folder / "metadata.parquet")
    assert PatchBatches(PatchSet(folder), None)[[0]]["sun"].isnan().all()


def test_a_set_of_another_release_says_its_bands_in_its_config(patches, tmp_path):
    import shutil

    folder = tmp_path / "older"
    shutil.copytree(patches.folder, folder)
    described = json.loads((folder / "data.zarr" / "zarr.json").read_text())
    described["attributes"] = {}
    (folder / "data.zarr" / "zarr.json").write_text(json.dumps(described))
    assert PatchSet(folder).bands == BANDS
    (folder / "config.toml").unlink()
    with pytest.raises(DataError, match=r"names 0 bands, but has 7\. Make it anew\.$"):
        open_learning_data(folder, None, SplitParameters())


def test_memory_that_is_not_there_is_not_asked_for(patches, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1))
    with pytest.raises(ConfigError, match=r"^in_memory needs [0-9.]+ GiB, but 0\.0 GiB are free\. Leave it out\.$"):
        PatchBatches(patches, None).in_memory()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_for_a_gpu_patches_are_pinned_or_lie_there(patches):
    gpu = torch.device("cuda", 0)
    batches = PatchBatches(patches, None, gpu)
    plain, kept, on_cpu = batches[[5, 0]], batches.in_memory()[[5, 0]], PatchBatches(patches, None)[[5, 0]]
    assert plain["x"].is_pinned()
    assert plain["y"].is_pinned()
    assert kept["x"].device == kept["y"].device == gpu
    for name in "xy":
        assert torch.equal(plain[name], on_cpu[name])
        assert torch.equal(kept[name].cpu(), on_cpu[name])


def test_a_set_lies_on_a_gpu_only_where_half_of_its_free_memory_is_enough(monkeypatch):
    gpu = torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2000, 4000) if device == gpu else (0, 0))
    assert room_for(1000, gpu) == gpu
    assert room_for(1001, gpu) == room_for(1, CPU) == CPU


@pytest.mark.parametrize("n_workers", [0, 1, 3, 20])
def test_batches_come_in_order_and_a_few_are_read_ahead(patches, n_workers):
    asked = []

    class Asked(PatchBatches):
        def __getitem__(self, chosen):
            asked.append(list(chosen))
            return super().__getitem__(chosen)

    wanted = [[place, (place * 3) % 10] for place in range(9)]
    loader = BatchLoader(Asked(patches, None), wanted, n_workers)
    assert len(loader) == 9
    batches = iter(loader)
    first = next(batches)
    ahead = min(9, max(1, n_workers) + 1)
    until = time.monotonic() + 20
    while len(asked) < ahead and time.monotonic() < until:
        time.sleep(0.01)
    assert len(asked) == ahead
    assert [batch["index"].tolist() for batch in (first, *batches)] == wanted
    assert sorted(asked) == sorted(wanted)


def test_a_loader_that_is_left_early_leaves_no_thread(patches):
    for batch in BatchLoader(PatchBatches(patches, None), [[place] for place in range(10)], 2):
        assert batch["index"].tolist() == [0]
        break
    gc.collect()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("darts-batches")]


def test_validation_patches_are_those_of_the_split(patches):
    data = open_learning_data(patches.folder, None, SplitParameters())
    module = DartsDataModule(data, PatchSetParameters(), batch_size=3, seed=1)
    seen = [int(index) for batch in module.val_dataloader() for index in batch["index"]]
    assert seen == list(data.split.val)
    nothing = open_learning_data(patches.folder, None, SplitParameters(fold_method="none"))
    assert DartsDataModule(nothing, PatchSetParameters(), batch_size=3, seed=1).val_dataloader() == []


def test_rows_that_are_not_the_patches_are_refused_and_others_sorted(patches, tmp_path):
    folder = tmp_path / "changed"
    shutil.copytree(patches.folder, folder)
    table = gpd.read_parquet(folder / "metadata.parquet")
    table.iloc[::-1].to_parquet(folder / "metadata.parquet")
    assert PatchSet(folder).metadata["patch_id"].tolist() == table["patch_id"].tolist()
    for rows in (table.iloc[:-3], table.assign(z_idx=0)):
        rows.to_parquet(folder / "metadata.parquet")
        with pytest.raises(DataError, match="so nobody knows which patch is of which region"):
            open_learning_data(folder, None, SplitParameters())


def test_labels_that_mean_nothing_are_refused(patches, tmp_path):
    folder = tmp_path / "labels"
    shutil.copytree(patches.folder, folder)
    file = folder / "data.zarr" / "y" / "c" / "3" / "0" / "0"
    file.write_bytes(b"\xff" * file.stat().st_size)
    with pytest.raises(DataError, match=r"patch 3 in .* has the label 255, but labels are 0, 1 and 2 \(ignored\)\."):
        PatchBatches(PatchSet(folder), None)[[1, 3]]


def test_a_folder_without_a_set_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match="holds no training set"):
        open_learning_data(tmp_path, None, SplitParameters())


def test_a_damaged_patch_is_named(patches, tmp_path):
    import shutil

    folder = tmp_path / "damaged"
    shutil.copytree(patches.folder, folder)
    (folder / "data.zarr" / "x" / "c" / "4" / "0" / "0" / "0").write_bytes(b"short")
    with pytest.raises(DataError, match=r"patch 4 in .* is damaged"):
        PatchBatches(PatchSet(folder), None)[[4]]
    with pytest.raises(DataError, match=r"patch 4 in .* is damaged"):
        list(BatchLoader(PatchBatches(PatchSet(folder), None), [[1], [2], [4], [5]], 2))
