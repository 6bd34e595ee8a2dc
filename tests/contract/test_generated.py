"""What is made from the code is as fresh as the code, and the example config is accepted."""

import dataclasses
import runpy
import tomllib
from pathlib import Path

import pytest

from darts.cli import app
from darts.config.own_keys import OWN_KEYS
from darts.utils.config import ConfigParser, known_keys

ROOT = Path(__file__).resolve().parents[2]
GENERATOR = runpy.run_path(str(ROOT / "docs" / "generate.py"))
GENERATED = GENERATOR["GENERATED"]


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_generated_files_are_fresh(path):
    assert path.read_text() == GENERATED[path](), "run `uv run python docs/generate.py`"


def uncommented() -> str:
    lines = (ROOT / "config.toml").read_text().splitlines()
    return "\n".join(line.removeprefix("# ") if line.startswith("# ") and " = " in line else line for line in lines)


def test_every_key_of_the_example_is_known_and_none_is_left_out(tmp_path):
    (tmp_path / "config.toml").write_text(uncommented())
    parser = ConfigParser()
    parser.open_config(tmp_path / "config.toml")
    keys = {key for table in tomllib.loads(uncommented())["darts"].values() for key in table}
    assert keys <= known_keys(app) | OWN_KEYS.keys()
    assert keys >= OWN_KEYS.keys()
    assert known_keys(app) - keys <= {
        "name",
        "n",
        "stopuhr_data",
        "viz_dir",
        "size",
        "seed",
        "folder",
        "map",
        *CLI_ONLY,
    }


CLI_ONLY = {"optical", "aux", "force", "sensor", "help", "version", "h", "shell", "output", "add_to_startup"}
CLI_ONLY |= {"train_data_dir", "threads", "number"}  # of training sets
CLI_ONLY |= {"composite_store", "composite_id_file", "method"}  # of composites
CLI_ONLY |= {
    field.name for kind in GENERATOR["LEARNING"].values() for field in dataclasses.fields(kind)
}  # in the tables
CLI_ONLY |= {"write_labels", "n_years", "one_trend"}  # of the demo
CLI_ONLY |= {"with_models", "window", "json"}  # of the check of inference
CLI_ONLY |= {"check"}  # of this machine
