"""The tutorial does what it says: its blocks are run one after the other, as a reader would."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorials" / "own-model.md"
SMALL = 'WORK=own-model SEEDS="101 102 103 104" SIZE=192 EPOCHS=2 UNSEEN=201'
WHOLE = os.environ.get("DARTS_TEST_TUTORIAL") == "whole"
"""In full it takes half an hour, and its figures are those of the page."""


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    first, *blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    script = "\n".join(["set -euo pipefail", first if WHOLE else SMALL, *blocks])
    folder = tmp_path_factory.mktemp("tutorial")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "DARTS_DATA_DIR": str(folder)}
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    return folder / "own-model", done.stdout


@pytest.mark.timeout(3600 if WHOLE else 300)
def test_from_labels_to_a_map_with_a_model_of_ones_own(output):
    work, said = output
    (model,) = work.glob("artifacts/_runs/own-*/own.safetensors")
    assert f"Model: {model.relative_to(work.parent)}" in said
    assert (work / "training" / "sentinel2_128" / "patches.png").is_file()
    (page,) = work.glob("artifacts/_tests/*/report.html")
    assert f"Page: {page.relative_to(work.parent)}" in said
    assert "Demo Coast 104" in page.read_text()
    assert said.count("Compared with the truth") == 1


@pytest.mark.skipif(not WHOLE, reason="slow: DARTS_TEST_TUTORIAL=whole runs it")
def test_the_figures_of_the_page_hold(output):
    _, said = output
    tested = dict(
        re.findall(
            r"^(JaccardIndex|ObjectF1@0.5|ECE@0.02-0.98): ([0-9.]+)",
            said.split("Scores over all regions")[1],
            re.MULTILINE,
        )
    )
    assert float(tested["JaccardIndex"]) >= 0.80
    assert float(tested["ObjectF1@0.5"]) >= 0.85
    unseen = float(re.findall(r"IoU of the pixels: ([0-9.]+)", said)[-1])
    assert unseen >= 0.80
    assert float(tested["ECE@0.02-0.98"]) < 0.03
