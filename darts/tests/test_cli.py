"""The command line as a user meets it."""

import os
import subprocess
import sys

import pytest

import darts.cli
from darts_utils.errors import ConfigError


def test_hello(darts):
    assert darts("hello", "Bob") == (0, "Hello Bob\n", "")
    assert darts("hello", "Bob", "--n", "2") == (0, "Hello Bob\nHello Bob\n", "")
    assert darts("hello", "Bob", "--n", "0") == (0, "", "")


def test_a_wrong_value_is_one_line_and_status_2(darts):
    assert darts("hello", "Bob", "--n", "-1") == (2, "", "Error: n is -1 but must not be negative. Use 0 or more.\n")


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (("helo", "Bob"), "Error: there is no command `darts helo`. Did you mean `darts hello`?"),
        (("hello",), "Error: `darts hello` needs NAME: a text."),
        (("hello", "Bob", "--m", "1"), "Error: `darts hello` has no option --m."),
        (("he\nl\x1b[2Jo",), "Error: there is no command `darts he l [2Jo`."),
        (("hello", "Bob", "--n", "two"), "Error: --n is 'two' but must be a whole number."),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(darts, tokens, message):
    code, out, err = darts(*tokens)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert "Traceback" not in err
    assert err.count("\n") == 1


def test_help_lists_every_command_and_only_those_that_work(darts):
    code, out, _ = darts("--help")
    assert code == 0
    for name in ("hello", "shell", "help", "env-info", "debug-default-paths", "inference", "--version"):
        assert name in out
    code, out, _ = darts("inference", "--help")
    assert code == 0
    assert "sentinel2-sequential" in out
    assert "benchviz" in out
    assert "sentinel2-ray" in out
    assert "planet-ray" in out
    code, out, _ = darts("training", "--help")
    assert code == 0
    assert "validate-dataset" in out
    assert "show-dataset" in out
    assert "debug-default-paths" in darts("help")[1]


def test_every_parameter_of_a_pipeline_has_help(darts):
    _, out, _ = darts("inference", "sentinel2-sequential", "--help")
    for flag in ("--patch-size", "--scene-ids", "--aux-dir", "--no-ee-use-highvolume", "--max-memory-gb"):
        assert flag in out


def test_commands_on_ray_have_help_and_name_the_extra_that_is_lacking(darts, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "m.pt").write_text("")
    (tmp_path / "input" / "planet" / "scenes").mkdir(parents=True)
    commands = {"sentinel2-ray": ["--scene-ids", "S2B_x"], "planet-ray": []}
    for command, selection in commands.items():
        code, out, _ = darts("inference", command, "--help")
        assert code == 0
        assert "--ray-address" in out
        assert "--num-cpus" in out
        code, _, err = darts("inference", command, "--offline", *selection)
        assert code == 2
        assert err == (
            "Error: Ray is not installed, which runs on many machines need. "
            'Install it: pip install "darts-nextgen[ray]".\n'
        )


def test_version(darts):
    for flag in ("--version", "-V"):
        code, out, _ = darts(flag)
        assert code == 0
        assert out.strip() == darts_version()


def darts_version():
    return darts.cli.__version__


def test_env_info_names_what_a_run_would_use(darts):
    code, out, _ = darts("env-info")
    assert code == 0
    assert {line.split(":")[0] for line in out.splitlines()} >= {"darts", "python", "torch", "gpus", "default device"}


def test_default_paths_can_be_looked_at_and_nothing_is_made(darts, tmp_path):
    code, out, _ = darts("debug-default-paths", "--aux-dir", "/a")
    assert code == 0
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert lines["arcticdem_dir"] == "/a/arcticdem_10m.icechunk"
    assert lines["output_data_dir"] == str(tmp_path / "output" / "sentinel2-cdse")
    assert list(tmp_path.iterdir()) == []


def test_a_command_without_messages_leaves_no_log_file(darts, tmp_path):
    darts("hello", "Bob")
    assert list(tmp_path.iterdir()) == []


def printed_by(script):
    """Return what a script prints that is run by a Python of its own."""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["hello", "Bob"], ["inference", "--help"], ["--version"]])
def test_starting_is_cheap_because_nothing_heavy_is_imported(arguments):
    script = (
        "import os, sys\n"
        "from darts.cli import start_app\n"
        f"sys.argv = ['darts', *{arguments!r}]\n"
        "os._exit = lambda code: print('STATUS', code)\n"
        "start_app()\n"
        "heavy = {'torch', 'xarray', 'rasterio', 'ray', 'ee', 'numpy', 'pandas', 'matplotlib', 'cv2', 'zarr'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    assert "STATUS 0\nHEAVY []" in printed_by(script)


def test_no_help_waits_for_torch():
    script = (
        "import sys\n"
        "from darts.cli import app\n"
        "def commands(tree, before):\n"
        "    names = [name for name in tree if not name.startswith('-')]\n"
        "    found = [[*before, name] for name in names if tree[name].default_command is not None]\n"
        "    return found + [one for name in names for one in commands(tree[name], [*before, name])]\n"
        "every = commands(app, [])\n"
        "for one in every:\n"
        "    app.help_print(one)\n"
        "print(len(every), sorted({'torch', 'lightning', 'sklearn', 'ray'} & set(sys.modules)))\n"
    )
    *helps, last = printed_by(script).splitlines()
    number, heavy = last.split(" ", 1)
    assert int(number) > 30
    assert heavy == "[]"
    assert sum("Usage: " in line for line in helps) == int(number)


def test_completion_can_be_installed(darts):
    code, out, _ = darts("--install-completion", "--help")
    assert code == 0
    assert "--shell" in out


def test_the_documented_names_are_there():
    documented = (
        "LoggingManager __version__ app config_parser inference_app logger ray_group root_file sequential_group "
        "subcommands_group utilities_group ConfigParser PipelineV2Paths Sentinel2Pipeline VerbosityLevel benchviz "
        "PlanetRayPipeline Sentinel2RayPipeline "
        "debug_default_paths env_info hello help launcher shell start_app training_app training_data_app "
        "preprocess_planet_train_data preprocess_planet_train_data_pingo preprocess_s2_train_data"
    )
    assert [name for name in documented.split() if not hasattr(darts.cli, name)] == []


def test_the_shell_takes_commands_and_survives_mistakes(darts, monkeypatch, capfd):
    lines = iter(["hello Bob", "helo", "inference sentinel2-sequential --overlap 2000", "hello Ada", "quit", "hello"])
    prompts = []
    monkeypatch.setattr("builtins.input", lambda prompt: prompts.append(prompt) or next(lines))
    code, out, err = darts("shell")
    assert code == 2
    assert out == "Hello Bob\nHello Ada\n"
    assert set(prompts) == {""}
    assert err.splitlines() == [
        err.splitlines()[0],
        "Error: overlap is 2000 px but must be below patch_size (1024 px). Lower overlap or raise patch_size.",
    ]
    assert err.startswith("Error: there is no command `darts helo`. Did you mean `darts hello`?")


def test_the_shell_in_a_pipe_writes_what_commands_write_and_ends_as_the_last_that_failed(tmp_path):
    program = "from darts.cli import start_app; import sys; sys.argv = ['darts', 'shell']; start_app()"

    def piped(text):
        done = subprocess.run(
            [sys.executable, "-c", program], input=text, capture_output=True, text=True, check=False, cwd=tmp_path
        )
        return done.returncode, done.stdout, done.stderr

    said = "Error: a quote is not closed in: hello 'Bob. Close it.\n"
    assert piped("hello 'Bob\nhello Ada\n\n") == (2, "Hello Ada\n", said)
    assert piped("hello 'Ada B'") == (0, "Hello Ada B\n", "")


@pytest.mark.parametrize(
    ("closed", "advice"),
    [
        ("folder", "Ask for the right to read it."),
        ("", "Ask for the right to write there, or choose another folder."),
    ],
)
def test_a_right_that_is_missing_is_that_to_read_or_that_to_write(darts, monkeypatch, tmp_path, closed, advice):
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr("os.access", lambda path, _: not closed or not str(path).endswith(closed))

    def fail():
        raise PermissionError(13, "Permission denied", "folder/2024")

    monkeypatch.setattr("darts.utils.cuda.environment", fail)
    assert darts("env-info", "--log-plain") == (1, "", f"Error: folder/2024: Permission denied. {advice}\n")


@pytest.mark.parametrize("error", [TypeError("a\nb"), RecursionError("too deep"), MemoryError(), KeyError("x")])
def test_what_nobody_foresaw_is_one_line_that_names_the_log_file(darts, monkeypatch, tmp_path, error):
    def fail():
        raise error

    monkeypatch.setattr("darts.utils.cuda.environment", fail)
    code, out, err = darts("env-info", "--log-plain")
    (log,) = (tmp_path / "logs").iterdir()
    assert log.is_file()
    reason = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    assert (code, out) == (1, "")
    assert err == (
        f"Error: {reason} (not foreseen, so likely a fault of DARTS). "
        f"Report it with {log.relative_to(tmp_path)}, where the details are; -vv shows them.\n"
    )
    assert "Traceback (most recent call last)" in log.read_text()
    assert "Traceback (most recent call last)" in darts("env-info", "--log-plain", "-vv")[2]


@pytest.mark.parametrize(
    ("flags", "variables", "config", "folder"),
    [
        ((), {}, "", "logs"),
        (("--log-dir", "mine", "--logs-dir", "no"), {}, "", "mine"),
        (("--logs-dir", "here"), {}, "", "here"),
        (("--large-dir", "large"), {}, "", "large/logs"),
        ((), {"DARTS_DATA_DIR": "data"}, "", "data/logs"),
        ((), {}, "[darts]\nlogs_dir = 'there'", "there"),
    ],
)
def test_the_log_goes_where_the_flags_say(darts, tmp_path, monkeypatch, flags, variables, config, folder):
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    (tmp_path / "config.toml").write_text(config)
    monkeypatch.setattr("darts.pipelines.paths.PathManager.model_files", lambda _: 1 / 0)
    assert darts("debug-default-paths", *flags)[0] == 1
    assert len(list((tmp_path / folder).glob("darts_*_debug_default_paths.log"))) == 1
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [folder.split("/")[0]]


def test_the_log_of_a_command_without_folders_goes_where_the_config_says(darts, tmp_path, monkeypatch):
    (tmp_path / "config.toml").write_text("[darts]\nlogs_dir = 'there'")
    assert darts("hello", "Bob", "--n", "-1")[0] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml", "there"]


def test_the_folder_of_caches_keeps_compiled_code(darts, tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    darts("debug-default-paths")
    assert "NUMBA_CACHE_DIR" not in os.environ
    darts("debug-default-paths", "--cache-dir", tmp_path / "cache")
    assert os.environ.pop("NUMBA_CACHE_DIR") == str(tmp_path / "cache" / "compiled")


def test_debug_default_paths_shows_what_planet_runs_use(darts, tmp_path):
    lines = darts("debug-default-paths")[1].splitlines()
    for line in (
        "orthotiles_dir: {}/input/planet/tiles",
        "scenes_dir: {}/input/planet/scenes",
        "output_data_dir: {}/output/sentinel2-cdse",
        "planet output_data_dir: {}/output/planet",
        "arcticdem_dir: {}/aux/arcticdem_10m.icechunk",
        "planet arcticdem_dir: {}/aux/arcticdem_2m.icechunk",
        "admin_dir: {}/aux/admin_boundaries",
    ):
        assert line.format(tmp_path) in lines
    lines = darts("debug-default-paths", "--output-data-dir", "out", "--arcticdem-dir", "dem")[1].splitlines()
    assert {"planet output_data_dir: out", "planet arcticdem_dir: dem", "output_data_dir: out"} <= set(lines)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_ids_that_is_not_there_is_said_in_words(darts, tmp_path):
    from darts.pipelines.sources.selection import read_scene_ids

    with pytest.raises(ConfigError) as caught:
        read_scene_ids(tmp_path / "nope", "scene_id_file")
    said = f"scene_id_file {tmp_path}/nope cannot be read (No such file or directory). Give a text file with scene ids."
    assert str(caught.value) == said
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\)\. Give a text file with scene ids\."):
        read_scene_ids(tmp_path, "scene_id_file")


def test_an_error_of_the_system_says_what_to_do(darts, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device", "/data/results")

    monkeypatch.setattr("darts.cli.output_console", fail)
    assert darts("hello", "Bob") == (
        1,
        "",
        "Error: /data/results: No space left on device. Free some space, or choose another folder.\n",
    )


@pytest.mark.parametrize(
    ("command", "name", "value", "legal"),
    [
        ("inference sentinel2-sequential", "patch_size", "96.7", "whole"),
        ("inference planet-sequential", "overlap", "0.5", "whole"),
        ("inference sentinel2-ray", "years", "2020.5", "whole"),
        ("inference sentinel2-sequential", "quality_level", "1.5", "whole"),
        ("inference sentinel2-sequential", "binarization_threshold", "nan", "finite"),
        ("inference planet-ray", "max_memory_gb", "inf", "finite"),
        ("inference prep-data sentinel2", "max_cloud_cover", "0.1", "whole"),
        ("training create-dataset planet", "patch_size", "96.7", "whole"),
        ("training create-dataset sentinel2", "max_memory_gb", "-inf", "finite"),
        ("demo", "size", "64.5", "whole"),
        ("hello Bob", "n", "1.5", "whole"),
    ],
)
def test_fractions_for_whole_numbers_and_numbers_that_are_none_are_refused(
    darts, tmp_path, command, name, value, legal
):
    error = f"Error: {name} is {value} but must be a {legal} number. Correct it.\n"
    flag = f"--{name.replace('_', '-')}={value}"
    assert darts(*command.split(), flag) == (2, "", error)
    config = tmp_path / "numbers.toml"
    config.write_text(f"[darts]\n{name} = {f'[{value}]' if name == 'years' else value}\n")
    assert darts(*command.split(), "--config-file", str(config)) == (2, "", error)


def test_whole_numbers_with_a_point_are_whole(darts):
    assert darts("hello", "Bob", "--n", "1.0") == (0, "Hello Bob\n", "")


@pytest.mark.parametrize("command", ["map sentinel2", "inference planet-ray", "training create-dataset sentinel2"])
def test_help_is_in_panels_and_words(darts, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    _, out, _ = darts(*command.split(), "--help")
    order = ["Select", "Models", "Output", "Quality", "Data", "Device", "Advanced", "Options of every command"]
    panels = [name for line in out.splitlines() if line.startswith("╭") for name in order if f" {name} " in line]
    assert panels == [name for name in order if name in panels]
    assert {"Select", "Output", "Data", "Device", "Advanced"} <= set(panels)
    for unwanted in ("--no-no-", "--no-overwrite", "[default: False]", " STR", " INT", "FLOAT", "|PATH", "['"):
        assert unwanted not in out
