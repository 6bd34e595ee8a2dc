"""The arguments of a call as TOML."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from darts_utils.toml import to_toml_value, write_function_args_to_config_file


def test_the_arguments_of_a_call_can_be_read_back(tmp_path):
    def preprocess(*, data_dir: Path, bands: list[str], append: bool = True, cache: Path | None = None) -> None:
        locals_ = locals()
        other = 1
        write_function_args_to_config_file(tmp_path / "a.toml", preprocess, {**locals_, "other": other})

    preprocess(data_dir=Path("/d"), bands=["red", "nir"])
    written = tomllib.loads((tmp_path / "a.toml").read_text())
    assert written == {"darts": {"preprocess": {"data_dir": "/d", "bands": ["red", "nir"], "append": True}}}


def test_values_become_what_toml_has():
    @dataclass
    class Folders:
        a: Path | None
        b: Path | None

    value = {"none": None, "set": {"b", "a"}, "tuple": (1, 2.5), "folders": Folders(Path("x"), None)}
    assert to_toml_value(value) == {"set": ["a", "b"], "tuple": [1, 2.5], "folders": {"a": "x"}}
