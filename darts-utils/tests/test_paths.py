"""Default locations: flag > environment > working folder, and nothing is made."""

from pathlib import Path

import pytest

from darts_utils.paths import DefaultPaths, PathManager, paths


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    for name in ("DARTS_DATA_DIR", "DARTS_FAST_DATA_DIR", "DARTS_LARGE_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_without_anything_the_working_folder_is_the_base(tmp_path):
    assert PathManager().models == tmp_path / "models"
    assert PathManager().arcticdem(10) == tmp_path / "aux" / "arcticdem_10m.icechunk"
    assert PathManager().tcvis == tmp_path / "aux" / "tcvis.icechunk"
    assert PathManager().sentinel2_raw_data("cdse") == tmp_path / "input" / "sentinel2" / "cdse-scenes"
    assert PathManager().planet_orthotiles == tmp_path / "input" / "planet" / "tiles"
    assert PathManager().planet_scenes == tmp_path / "input" / "planet" / "scenes"
    assert PathManager().sentinel2_grid == tmp_path / "input" / "sentinel2" / "grid"
    assert PathManager().admin_boundaries == tmp_path / "aux" / "admin_boundaries"
    assert PathManager().train_data("planet", 1024) == tmp_path / "training" / "planet_1024"
    assert PathManager().output_data("planet") == tmp_path / "output" / "planet"


def test_the_environment_moves_the_base(monkeypatch):
    monkeypatch.setenv("DARTS_DATA_DIR", "/d")
    assert (PathManager().fast, PathManager().large) == (Path("/d"), Path("/d"))
    monkeypatch.setenv("DARTS_FAST_DATA_DIR", "/f")
    monkeypatch.setenv("DARTS_LARGE_DATA_DIR", "/l")
    assert PathManager().models == Path("/f/models")
    assert PathManager().training == Path("/f/training")
    for name in ("aux", "artifacts", "cache", "logs", "output", "input", "archive"):
        assert getattr(PathManager(), name) == Path("/l") / name


def test_a_given_folder_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("DARTS_DATA_DIR", "/d")
    given = PathManager(DefaultPaths(aux_dir=Path("/a"), large_dir=Path("/big")))
    assert given.arcticdem(2) == Path("/a/arcticdem_2m.icechunk")
    assert given.output == Path("/big/output")
    assert given.models == Path("/d/models")


def test_reading_defaults_makes_no_folder(tmp_path):
    PathManager().all_paths()
    PathManager().log_all_paths()
    assert list(tmp_path.iterdir()) == []


def test_two_managers_do_not_share_their_folders():
    PathManager(DefaultPaths(aux_dir=Path("/a")))
    assert paths.aux != Path("/a")


def test_scripts_can_set_the_defaults_of_the_shared_manager():
    paths.set_defaults(DefaultPaths(aux_dir=Path("/a")))
    try:
        assert paths.aux == Path("/a")
    finally:
        paths.set_defaults(DefaultPaths())
