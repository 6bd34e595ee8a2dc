"""The config file: flattened, both spellings, typos reported, contradictions refused."""

import pytest

from darts.cli import app
from darts.utils.config import ConfigParser, known_keys
from darts_utils.errors import ConfigError


def write(tmp_path, text):
    file = tmp_path / "config.toml"
    file.write_text(text)
    return file


def test_a_key_in_any_sub_table_reaches_the_command(darts, tmp_path):
    write(tmp_path, "[darts.greetings.loud]\nname = 'Tobias'\n")
    assert darts("hello") == (0, "Hello Tobias\n", "")


def test_a_flag_wins_over_the_file(darts, tmp_path):
    write(tmp_path, "[darts.hello]\nname = 'Tobias'\nn = 3\n")
    assert darts("hello", "Max", "--n", "1") == (0, "Hello Max\n", "")


@pytest.mark.parametrize("key", ["aux-dir", "aux_dir"])
def test_both_spellings_are_the_same(darts, tmp_path, key):
    write(tmp_path, f"[darts]\n{key} = '/a'\n")
    assert "arcticdem_dir: /a/arcticdem_10m.icechunk" in darts("debug-default-paths")[1]


def test_another_file_can_be_named(darts, tmp_path):
    (tmp_path / "other.toml").write_text("[darts]\nname = 'Ada'\n")
    assert darts("hello", "--config-file", tmp_path / "other.toml") == (0, "Hello Ada\n", "")


def test_a_key_of_another_command_is_no_typo(darts, tmp_path):
    write(tmp_path, "[darts]\npatch_size = 512\nname = 'Ada'\n")
    assert darts("hello", "--log-plain") == (0, "Hello Ada\n", "")


def test_a_typo_is_reported_with_the_nearest_name(darts, tmp_path):
    write(tmp_path, "[darts]\npatch_siez = 512\nname = 'Ada'\n")
    code, out, err = darts("hello", "--log-plain")
    assert (code, out) == (0, "Hello Ada\n")
    assert (
        err
        == "WARNING: config.toml: no darts command knows the key patch_siez, it is ignored. Did you mean patch_size?\n"
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[dart]\npatch_size = 512\n", "dart"),
        ("[Darts]\noverlap = -4\n", "Darts"),
        ("patch-size = 512\n", "patch-size"),
        ("[inference]\npatch_size = 512\n", "inference"),
    ],
)
def test_what_stands_outside_the_table_is_said_to_be_ignored(darts, tmp_path, text, what):
    write(tmp_path, f"{text}[darts]\nname = 'Ada'\n")
    said = (
        f"WARNING: config.toml: {what} stands outside the table [darts], it is ignored. "
        "Only what is in [darts] is read.\n"
    )
    assert darts("hello", "--log-plain") == (0, "Hello Ada\n", said)


def test_tables_of_other_tools_are_theirs(darts, tmp_path):
    write(tmp_path, "title = 'mine'\n[tool.ruff]\nlines = 120\n[darts]\nname = 'Ada'\n")
    assert darts("hello", "--log-plain") == (0, "Hello Ada\n", "")


def test_two_values_for_one_key_are_an_error_that_names_both_tables(tmp_path):
    file = write(tmp_path, "[darts.a]\npatch-size = 1\n[darts.b.c]\npatch_size = 2\n")
    with pytest.raises(ConfigError) as caught:
        ConfigParser().open_config(file)
    assert str(caught.value) == f"{file}: patch_size is 1 in [darts.a] and 2 in [darts.b.c]. Keep one of them."


def test_the_same_value_twice_is_no_contradiction(tmp_path):
    ConfigParser().open_config(write(tmp_path, "[darts.a]\npatch-size = 1\n[darts.b]\npatch_size = 1\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not toml at all", "Error: the config file config.toml is not valid TOML: "),
        ("[darts]\nx = " + "[" * 5000, "Error: the config file config.toml is not valid TOML: maximum recursion"),
        ("darts = 5", "Error: config.toml: darts is 5 but must be a table. Write [darts] and the keys below it."),
    ],
)
def test_a_broken_file_is_one_line_and_status_2(darts_without_reset, tmp_path, text, message):
    write(tmp_path, text)
    code, out, err = darts_without_reset("hello", "Bob")
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


@pytest.fixture
def darts_without_reset(capfd):
    from darts.cli import app, config_parser
    from darts.utils import terminal

    def run(*tokens):
        terminal.error_console.cache_clear()
        code = app.meta([str(token) for token in tokens], result_action="return_value", exit_on_error=False)
        return code, *capfd.readouterr()

    yield run
    config_parser.__init__()
    config_parser.root_app = app


def test_a_named_file_must_exist(darts, tmp_path):
    code, _, err = darts("hello", "Bob", "--config-file", "none.toml")
    assert (code, err) == (2, "Error: the config file none.toml does not exist. Check --config-file.\n")


def test_a_value_of_the_wrong_type_names_the_file(darts, tmp_path):
    write(tmp_path, "[darts]\nn = 'many'\nname = 'Ada'\n")
    code, _, err = darts("hello")
    assert code == 2
    assert "many" in err
    assert "config.toml" in err


def test_known_keys_are_those_of_all_commands():
    assert {"patch_size", "scene_ids", "name", "stopuhr_data", "aux_dir", "raw_data_source"} <= known_keys(app)


A, B = "S2A_MSIL2A_20230701T194909_N0509_R128_T08WNB_20230702T014802", "33UVP"


@pytest.mark.parametrize(
    ("config", "flags", "message"),
    [
        ("aoi_file = 'a.gpkg'", ["--scene-ids", A], "scene_ids is used, and not aoi_file, which config.toml gives"),
        (f"scene_ids = ['{A}']", ["--tile-ids", B], "tile_ids is used, and not scene_ids, which config.toml gives"),
    ],
)
def test_a_selector_in_the_file_beside_one_in_a_flag_is_a_warning(darts, tmp_path, config, flags, message):
    write(tmp_path, f"[darts]\n{config}\n")
    (tmp_path / "models").mkdir()
    code, _, err = darts("inference", "sentinel2-sequential", "--offline", *flags, "--log-plain")
    assert code == 2
    assert f"WARNING: {message}\n" in err
    assert "select scenes" not in err


def test_two_selectors_in_flags_or_in_the_file_are_an_error(darts, tmp_path):
    expected = "scene_ids and tile_ids both select scenes. Give one of them."
    code, _, err = darts("inference", "sentinel2-sequential", "--scene-ids", A, "--tile-ids", B, "--log-plain")
    assert (code, expected in err) == (2, True)
    write(tmp_path, f"[darts]\nscene_ids = ['{A}']\ntile_ids = ['{B}']\n")
    code, _, err = darts("inference", "sentinel2-sequential", "--log-plain")
    assert (code, expected in err) == (2, True)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_of_another_system_is_read(darts, tmp_path, encoding):
    (tmp_path / "config.toml").write_bytes('[darts]\r\nname = "Zoë"\r\n'.encode(encoding))
    assert darts("hello") == (0, "Hello Zoë\n", "")


def test_paths_in_the_file_and_in_quoted_flags_are_those_that_a_shell_would_make(darts, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write(tmp_path, "[darts]\naux_dir = '~/aux'\n")
    _, out, _ = darts("debug-default-paths", "--output-dir", "${HOME}/out", "--model-files", "~/a.pt")
    for line in ("aux: {}/aux", "output: {}/out", "tcvis_dir: {}/aux/tcvis.icechunk"):
        assert line.format(tmp_path / "home") in out.splitlines()
    assert f"model_files: [PosixPath('{tmp_path}/home/a.pt')]" in out
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mine.toml").write_text("[darts]\nname = 'Ada'\n")
    assert darts("hello", "--config-file", "~/mine.toml") == (0, "Hello Ada\n", "")


def test_a_variable_that_is_not_set_is_one_line(darts, tmp_path):
    write(tmp_path, "[darts]\naux_dir = '${NOT_SET_AT_ALL}/aux'\n")
    code, out, err = darts("debug-default-paths", "--log-plain")
    assert (code, out) == (2, "")
    assert "the path ${NOT_SET_AT_ALL}/aux names ${NOT_SET_AT_ALL}, which is not set." in err
    assert err.count("\n") == 1
