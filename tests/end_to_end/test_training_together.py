"""Several processes train one network: one run, one model, one line an epoch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from darts_segmentation.models.card import read_card

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "darts-segmentation" / "tests"))

pytestmark = pytest.mark.skipif("DARTS_TEST_CLUSTER" not in os.environ, reason="slow: DARTS_TEST_CLUSTER=1 runs it")
NETWORK = [
    "--model-encoder", "tu-mobilenetv2_050", "--encoder-depth", "3", "--decoder-channels", "16", "8", "8",
    "--batch-size", "4",
]  # fmt: skip


def test_two_processes_train_one_network(tmp_path):
    from training_sets import make_set

    make_set(tmp_path / "training" / "coast")
    command = [str(Path(sys.executable).parent / "darts"), "training", "train-smp", "--name", "two", *NETWORK]
    command += ["--accelerator", "cpu", "--devices", "2", "--max-epochs", "2", "--check-val-every-n-epoch", "1"]
    environment = {**os.environ, "DARTS_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
    (model,) = tmp_path.glob("artifacts/_runs/*/two.safetensors")
    assert read_card(model).training["epochs"] == 2
    assert [line.split(":")[0] for line in done.stdout.splitlines() if line.startswith("epoch")] == [
        "epoch 1/2",
        "epoch 2/2",
    ]
