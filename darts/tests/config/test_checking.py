"""`darts config check`: all that is wrong with a file, a line each."""

import pytest

WRONG = {
    "patch_siez = 512": "no darts command knows the key patch_siez. Did you mean patch_size?",
    "shard = true": "shard is true but must be a text. Correct it.",
    "max_cloud_cover = 'ten'": "max_cloud_cover is 'ten' but must be a whole number. Correct it.",
    "max_snow_cover = [1, 2]": "max_snow_cover is [1, 2] but must be a single value: a whole number. Correct it.",
    "overlap = 0.5": "overlap is 0.5 but must be a whole number. Correct it.",
    "models_dir = {a = 1}": "models_dir is {a = 1} but must be a path. Correct it.",
    "logs_dir = true": "logs_dir is true but must be a path. Correct it.",
    "tta = 'ful'": "tta is 'ful' but must be one of none, minimal, standard, full. Did you mean full?",
    "reflection = -3": "reflection is -3 but must not be negative. Use 0 or more.",
    "start_date = '2024-13-01'": "start_date is '2024-13-01' but must be a day such as 2024-07-31. Correct it.",
    "months = [7, 14]": "months contains 14 but must be numbers from 1 to 12. Correct or leave it out.",
    "ee_project = '${NOT_SET_AT_ALL}'": "ee_project is '${NOT_SET_AT_ALL}', but ${NOT_SET_AT_ALL} is not set. "
    "Set it, or write the value out ($${ is a text that is not replaced).",
    "aux_dir = '${NOT_SET_AT_ALL}/a'": "aux_dir: the path ${NOT_SET_AT_ALL}/a names ${NOT_SET_AT_ALL}, which is not "
    "set. Set it, or write the path out.",
}


@pytest.fixture
def check(darts, tmp_path):
    def run(text):
        (tmp_path / "config.toml").write_text(text)
        code, out, err = darts("config", "check")
        assert err == ""
        return code, [line.removeprefix("config.toml: ") for line in out.splitlines()]

    return run


def test_every_problem_is_told_at_once(check):
    keys = "\n".join(WRONG)
    code, lines = check(f"[darts]\n{keys}\nbatch_size = 4\n[darts.b]\nbatch_size = 8\n[dart]\nx = 1\n")
    beside = "dart stands outside the table [darts]. Only what is in [darts] is read."
    twice = "batch_size is 4 in [darts] and 8 in [darts.b]. Keep one of them."
    assert code == 2
    assert sorted(lines) == sorted([*WRONG.values(), beside, twice])


def test_a_month_in_words_is_told_what_months_are(check):
    said = "months is 'july' but must be a whole number from 1 to 12, or a range that goes up such as 7-8. Correct it."
    assert check("[darts]\nmonths = 'july'\n") == (2, [said])


def test_values_that_do_not_go_together_are_told(check):
    said = "overlap is 600 px but must be below patch_size (512 px). Lower overlap or raise patch_size."
    assert check("[darts]\noverlap = 600\npatch_size = 512\n") == (2, [said])
    assert check("[darts]\noverlap = 600\npatch_size = 1024\n") == (0, ["nothing is wrong"])


@pytest.mark.parametrize(
    "text",
    [
        "num_cpus = 2\naugment = ['HorizontalFlip']\nname = 'Ada'",  # each read by other commands
        "start_date = 2024-07-01\nmonths = 7\nmax_cloud_cover = 'none'\npatch_size = 'auto'\noffline = 'yes'",
        "shard = 'slurm'\nclip_to_aoi = true",  # elsewhere there is a job, and a flag
        "[darts.device]\n[darts.ray]\nnum_cpus = 1\n[tool.x]\ny = 1",
    ],
)
def test_what_some_command_takes_is_not_wrong(check, text):
    assert check(f"[darts]\n{text}\n") == (0, ["nothing is wrong"])


def test_a_file_that_is_not_there_or_no_toml_is_one_line(darts, tmp_path):
    missing = "the config file none.toml does not exist. Name one that does.\n"
    assert darts("config", "check", "none.toml") == (2, missing, "")
    assert darts("config", "check", "--config-file", "none.toml") == (2, missing, "")
    (tmp_path / "bad.toml").write_text("not toml")
    code, out, _ = darts("config", "check", "bad.toml")
    assert (code, out.count("\n")) == (2, 1)
    assert out.startswith("the config file bad.toml is not valid TOML: ")


def test_a_value_that_maps_and_training_refuse_is_told_once(darts, tmp_path):
    (tmp_path / "config.toml").write_text("[darts]\nbatch_size = 0\n")
    code, out, _ = darts("config", "check")
    assert (code, out.count("batch_size")) == (2, 1)


def test_no_file_is_no_fault_unless_one_was_named(darts):
    assert darts("config", "check")[:2] == (0, "there is no config.toml here, so nothing is read of one\n")
    assert darts("config", "check", "other.toml")[0] == 2


def test_a_schema_is_not_written_over_a_folder(darts, tmp_path):
    code, _, error = darts("config", "schema", "--out", tmp_path)
    assert code == 2
    assert f"{tmp_path} is a folder, but a file was to be written. Name a file." in " ".join(error.split())
