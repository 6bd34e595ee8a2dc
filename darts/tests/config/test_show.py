"""`darts config show`: each key with its value, and where that comes from."""

import json
import re


def shown(out):
    return dict(line.split("  # ") for line in out.splitlines())


def test_each_value_says_where_it_comes_from(darts, tmp_path, monkeypatch):
    (tmp_path / "config.toml").write_text("[darts.inference]\noverlap = 128\nbatch-size = 4\nfast_dir = '/fast'\n")
    monkeypatch.setenv("DARTS_DATA_DIR", "/data")
    monkeypatch.setenv("DARTS_EE_URL", "https://mirror.org")
    code, out, err = darts("config", "show", "map", "sentinel2", "--origin", "--set", "batch_size=2")
    origins = shown(out)
    assert (code, err) == (0, "")
    assert origins["overlap = 128"] == "config.toml [darts.inference]"
    assert origins["batch_size = 2"] == "--set"
    assert origins["patch_size = 1024"] == "default"
    assert origins["scene_ids is not given"] == "default"
    assert origins["output_data_dir is not given"] == "default, shown by `darts debug-default-paths`"
    assert origins["output_dir = '/data/output'"] == "environment DARTS_DATA_DIR"
    assert origins["models_dir = '/fast/models'"] == "fast_dir of config.toml"
    assert origins["ee_url = 'https://mirror.org'"] == "environment DARTS_EE_URL"


def test_a_command_has_its_keys_and_no_others(darts):
    out = darts("config", "show", "map", "planet")[1]
    assert "orthotiles_dir is not given\n" in out
    assert "scene_ids" not in out
    assert "#" not in out
    every = darts("config", "show")[1]
    assert {"orthotiles_dir is not given", "scene_ids is not given"} <= set(every.splitlines())
    assert re.search(r"(?m)^overlap = 256 \(.*map sentinel2.*\)$", every)


def test_places_that_hang_off_others_are_those_that_are_shown_elsewhere(darts):
    of_others = [line.split()[0] for line in darts("config", "show", "--origin")[1].splitlines() if "debug-" in line]
    listed = [line.split(": ")[0] for line in darts("debug-default-paths")[1].splitlines()]
    assert len(of_others) == 9
    assert set(of_others) <= set(listed)


def test_other_programs_get_json(darts):
    rows = json.loads(darts("config", "show", "map", "sentinel2", "--json")[1])
    (row,) = [row for row in rows if row["key"] == "overlap"]
    assert row == {"key": "overlap", "value": 256, "origin": "default", "commands": ["map sentinel2"]}


def test_a_command_that_is_not_there_is_named(darts):
    code, out, err = darts("config", "show", "map", "sentinel")
    assert (code, out) == (2, "")
    assert err.startswith("Error: there is no command `darts map sentinel`. Did you mean `darts map sentinel2`?")
    said = "Error: `darts map` is a group of commands. Name one of sentinel2, planet.\n"
    assert darts("config", "show", "map") == (2, "", said)
