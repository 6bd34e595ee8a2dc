"""`--set` and `--strict-config`: what wins, and what is refused."""

import pytest


@pytest.fixture
def config(tmp_path):
    return lambda text: (tmp_path / "config.toml").write_text(text)


def test_what_is_set_wins_over_the_file_and_loses_to_a_flag(darts, config):
    config("[darts]\nname = 'Ada'\nn = 3\n")
    assert darts("hello", "--set", "n=1") == (0, "Hello Ada\n", "")
    assert darts("--set", "n=1", "--set", "name=Bob", "hello") == (0, "Hello Bob\n", "")
    assert darts("hello", "Max", "--set", "n=3", "--set", "name='Bob'", "--n", "1") == (0, "Hello Max\n", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("m=1", "--set: no darts command knows the key m."),
        ("patch_siez=1", "--set: no darts command knows the key patch_siez. Did you mean patch_size?"),
        ("n", "--set n sets nothing. Write a key and its value, such as --set overlap=128."),
        ("n=", "--set n= sets nothing. Write a key and its value, such as --set overlap=128."),
        ("n=[1", "--set n=[1 has a value that is broken TOML. Write a list as ['a', 'b'], a text bare or in quotes."),
        ("n=two", "--set: n is 'two' but must be a whole number. Correct it."),
        ("n=true", "--set: n is true but must be a whole number. Correct it."),
    ],
)
def test_what_cannot_be_set_is_one_line(darts, text, message):
    code, out, err = darts("hello", "Bob", "--set", text)
    assert (code, out) == (2, "")
    assert err.startswith(f"Error: {message}")
    assert err.count("\n") == 1


def test_two_values_of_one_key_are_refused(darts):
    said = "Error: n is 1 by --set and 2 by --set. Keep one of them.\n"
    assert darts("hello", "Bob", "--set", "n=1", "--set", "n=2") == (2, "", said)


def test_a_key_that_the_command_does_not_read_is_said(darts):
    said = "WARNING: --set: this command does not read overlap, it is ignored\n"
    assert darts("hello", "Bob", "--log-plain", "--set", "overlap=2") == (0, "Hello Bob\n", said)


def test_lists_days_and_paths_are_as_in_the_file(darts, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    out = darts("debug-default-paths", "--set", "aux_dir=~/aux", "--set", "model_files=['a.pt', 'b.pt']")[1]
    assert "tcvis_dir: /home/ada/aux/tcvis.icechunk\n" in out
    assert "model_files: [PosixPath('a.pt'), PosixPath('b.pt')]" in out


def test_a_selector_that_is_set_replaces_that_of_the_file(darts, config):
    config("[darts]\ntile_ids = ['61WWD']\n")
    code, _, err = darts("map", "sentinel2", "--offline", "--log-plain", "--set", "scene_ids=['x']")
    assert code == 2
    assert "there is no model" in err


def test_commands_of_models_take_what_is_set_and_not_what_the_file_says(darts, config, tmp_path):
    config("[darts]\nmodel = 'of-the-file'\n")
    assert "of-the-file" not in darts("models", "show")[2]
    assert "there is no model 'typed' in" in darts("models", "show", "--set", "model=typed")[2]


def test_strictly_an_unknown_key_is_an_error(darts, config):
    config("[darts]\npatch_siez = 512\n")
    said = "Error: config.toml: no darts command knows the key patch_siez. Did you mean patch_size?\n"
    assert darts("hello", "Bob", "--strict-config") == (2, "", said)
    config("[dart]\nx = 1\n")
    said = "Error: config.toml: dart stands outside the table [darts]. Only what is in [darts] is read.\n"
    assert darts("hello", "Bob", "--strict-config") == (2, "", said)
    config("[darts]\npatch_size = 512\n")
    assert darts("hello", "Bob", "--strict-config") == (0, "Hello Bob\n", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models_dir = {a = 1}", "models_dir is {a = 1} but must be a path. Correct it."),
        ("shard = true", "shard is true but must be a text. Correct it."),
        ("max_cloud_cover = 'ten'", "max_cloud_cover is 'ten' but must be a whole number. Correct it."),
        ("overlap = [1, 2]", "overlap is [1, 2] but must be a single value: a whole number. Correct it."),
        ("device = 'gpu'", "device is 'gpu' but must be a whole number, or one of cuda, cpu, auto. Did you mean cuda?"),
        ("[[darts]]\na = 1", "[[darts]] makes a list, but darts must be a table. Write [darts], with one bracket."),
    ],
)
def test_a_value_of_the_wrong_kind_is_one_line(darts, config, text, message):
    config(text if text.startswith("[[") else f"[darts]\n{text}\n")
    assert darts("map", "sentinel2", "--tile-ids", "54WWD") == (2, "", f"Error: config.toml: {message}\n")


def test_a_day_of_toml_is_a_day(darts, config):
    config("[darts]\nstart_date = 2024-08-01\nend_date = 2024-07-01\n")
    code, _, err = darts("map", "sentinel2", "--tile-ids", "54WWD")
    assert (code, err) == (2, "Error: start_date 2024-08-01 is after end_date 2024-07-01. Swap them.\n")


def test_variables_are_replaced_in_every_value(darts, config, monkeypatch):
    monkeypatch.setenv("WHO", "Ada")
    monkeypatch.setenv("HOW_OFTEN", "2")
    config("[darts]\nname = '${WHO} $${WHO} $WHO'\nn = '${HOW_OFTEN}'\n")
    assert darts("hello") == (0, "Hello Ada ${WHO} $WHO\n" * 2, "")
