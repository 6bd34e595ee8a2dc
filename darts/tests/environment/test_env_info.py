"""`darts env-info --check` and `--json`: what would be slow or fail on a machine, in lines and for programs."""

import json
from collections import namedtuple

import pytest

from darts.environment import computing, formats, places
from darts.environment.check import fails, ok, slow
from darts_utils.paths import DefaultPaths, PathManager


@pytest.fixture
def no_account(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)


def test_each_check_is_a_line_and_failures_are_status_1(darts, no_account):
    code, out, err = darts("env-info", "--check")
    lines = [line for line in out.splitlines() if line.startswith(("ok ", "slow ", "fails "))]
    assert (code, err) == (1, "")
    assert {line.split(":")[0].split(maxsplit=1)[1] for line in lines} >= {
        "gpu", "matrix units", "threads", "memory", "precision", "format JP2OpenJPEG", "format COG", "format GPKG",
        "format Parquet", "folder output", "folder logs", "account of Earth Engine",
    }  # fmt: skip
    assert "fails account of the Copernicus Data Space: there is no AWS profile default" in out


def test_offline_runs_need_no_account_and_programs_get_json(darts, no_account):
    code, out, err = darts("env-info", "--check", "--offline", "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["environment"]["darts"]
    assert {check["state"] for check in document["checks"]} <= {"ok", "slow"}
    assert set(document["checks"][0]) == {"name", "state", "found", "advice"}
    assert set(json.loads(darts("env-info", "--json")[1])) == {"environment"}


def test_accounts_that_are_there_are_ok(tmp_path, no_account, monkeypatch):
    keys = tmp_path / "AWS_SHARED_CREDENTIALS_FILE"
    keys.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    stored = tmp_path / ".config" / "earthengine" / "credentials"
    stored.parent.mkdir(parents=True)
    stored.write_text("{}")
    assert [check.state for check in places.account_checks()] == ["ok", "ok"]
    stored.unlink()
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(keys))
    assert [check.state for check in places.account_checks()] == ["ok", "ok"]


def test_folders_that_cannot_be_written_to_fail_where_results_go(tmp_path, monkeypatch):
    paths = PathManager(DefaultPaths(large_dir=tmp_path / "large"))
    assert {check.state for check in places.folder_checks(paths)} == {"ok"}
    (tmp_path / "large" / "output").mkdir(parents=True)
    monkeypatch.setattr("os.access", lambda *_: False)
    checks = {check.name: check for check in places.folder_checks(paths)}
    assert {name: check.state for name, check in checks.items()} == {
        "folder output": "fails",
        "folder logs": "fails",
        "folder input": "slow",
        "folder aux": "slow",
    }
    assert checks["folder output"].line == (
        f"fails folder output: {tmp_path}/large/output cannot be written to. "
        "Choose another folder (--output-dir), or ask for the right to write there."
    )


@pytest.mark.parametrize(("free_gib", "state"), [(0.5, "fails"), (5, "slow"), (50, "ok")])
def test_a_disk_that_is_full_fails(tmp_path, monkeypatch, free_gib, state):
    usage = namedtuple("usage", "free")(free_gib * 2**30)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    (check,) = places.disk_checks(PathManager(DefaultPaths(fast_dir=tmp_path, large_dir=tmp_path)))
    assert (check.name, check.state) == ("disk of fast large output input aux", state)


def test_a_driver_that_is_lacking_fails(monkeypatch):
    assert {check.state for check in formats.format_checks()} == {"ok"}
    monkeypatch.setattr("pyogrio.list_drivers", dict)
    lacking = [check.line for check in formats.format_checks() if check.state == "fails"]
    assert lacking[0] == (
        "fails format GPKG: GDAL of pyogrio lacks it, which areas and results need. "
        "Install pyogrio from its wheel, whose GDAL has it."
    )


@pytest.mark.parametrize(
    ("flags", "found"),
    [("sse2 avx512_bf16 amx_bf16", "amx_bf16 avx512_bf16"), ("sse2", "none of AMX and AVX512_BF16"), (None, "none of")],
)
def test_matrix_units_are_those_that_the_system_tells(tmp_path, monkeypatch, flags, found):
    cpuinfo = tmp_path / "cpuinfo"
    if flags is not None:
        cpuinfo.write_text(f"processor : 0\nflags\t\t: {flags}\n")
    monkeypatch.setattr(computing, "_CPUINFO", cpuinfo)
    monkeypatch.setattr(computing, "faster_precisions", lambda _: (1,))
    monkeypatch.setattr(computing, "kept_verdicts", lambda *_: {})
    checks = {check.name: check for check in computing.computing_checks(tmp_path)}
    assert checks["matrix units"].found.startswith(found)
    assert checks["matrix units"].state == ("ok" if flags and "bf16" in flags else "slow")


@pytest.mark.parametrize(("threads", "cores", "state"), [(1, 2, "slow"), (2, 2, "ok"), (4, 2, "ok")])
def test_fewer_threads_than_cores_are_slow(tmp_path, monkeypatch, threads, cores, state):
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    monkeypatch.setattr(computing, "usable_cores", lambda: cores)
    checks = {check.name: check for check in computing.computing_checks(tmp_path)}
    assert checks["threads"].state == state


def test_what_is_remembered_of_precisions_is_told(tmp_path, monkeypatch):
    import torch

    from darts.pipelines.computing.ability import Ability
    from darts_utils.parameters import BFLOAT16

    ability = Ability(faster=(BFLOAT16,), processors="some", network_bytes=1)
    monkeypatch.setattr(computing.Ability, "of", lambda *_: ability)
    verdicts = {"m1": {str(BFLOAT16): {"most": 0.001, "flips": 0}}, "m2": {str(BFLOAT16): {"most": 0.1, "flips": 0}}}
    (tmp_path / "precision.json").write_text(json.dumps({f"some, torch {torch.__version__}": verdicts}))
    checks = {check.name: check for check in computing.computing_checks(tmp_path)}
    assert checks["precision"].line == (
        "slow  precision: 1 of 2 models compute faster than in float32. "
        "The others differ too much from float32, which they keep to."
    )


def test_lines_are_one_below_the_other():
    assert [check.line for check in (ok("a", "b"), slow("a", "b", "C."), fails("a", "b", "C."))] == [
        "ok    a: b.",
        "slow  a: b. C.",
        "fails a: b. C.",
    ]
