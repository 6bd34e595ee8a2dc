"""Default locations: flag > environment > working folder, and nothing is made."""

import logging
from dataclasses import dataclass
from pathlib import Path

import pytest

from darts_utils.errors import ConfigError
from darts_utils.paths import DefaultPaths, PathManager, paths, settle_paths, user_path, visible_files, visible_folders


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


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SITE", "lena")
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("~", ""),
        ("~/darts", "darts"),
        ("~/${SITE}/x", "lena/x"),
        ("${HOME}/x", "x"),
        ("$HOME/$SITE", "lena"),
        ("~/cost_$1/$NOT_SET", "cost_$1/$NOT_SET"),
    ],
)
def test_home_and_variables_are_replaced_wherever_a_path_comes_from(home, monkeypatch, given, expected):
    assert user_path(given) == user_path(Path(given)) == home / expected
    assert DefaultPaths(aux_dir=given).aux_dir == home / expected
    monkeypatch.setenv("DARTS_DATA_DIR", given)
    assert PathManager().fast == PathManager().large == home / expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("${NOT_SET}/x", "the path ${NOT_SET}/x names ${NOT_SET}, which is not set. Set it, or write the path out."),
        ("a/${NOT", "the path a/${NOT names ${NOT, which is not set. Set it, or write the path out."),
        ("~nobody_at_all/x", "the path ~nobody_at_all/x names the home of a user that is not known. Write it out."),
    ],
)
def test_a_variable_that_is_not_set_never_becomes_the_name_of_a_folder(home, given, message):
    with pytest.raises(ConfigError) as caught:
        user_path(given)
    assert str(caught.value) == message


def test_texts_become_paths_in_the_fields_that_are_declared_as_paths(home):
    @dataclass(frozen=True)
    class Given:
        one: Path | None = None
        some: list[Path] | Path | None = None
        name: str | None = None

    given = Given("~/a", ["~/b", Path("c")], "~/name")
    settle_paths(given)
    assert given == Given(home / "a", [home / "b", Path("c")], "~/name")
    settle_paths(given)
    assert given.one == home / "a"


def test_hidden_files_are_no_models_and_the_case_of_a_suffix_does_not_matter(tmp_path):
    (tmp_path / "models").mkdir()
    for name in ("b.pt", "A.PT", "._b.pt", ".hidden.pt", "b.pt.txt"):
        (tmp_path / "models" / name).touch()
    (tmp_path / "models" / "folder.pt").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "c.pt").touch()
    (tmp_path / "models" / "linked.pt").symlink_to(tmp_path / "elsewhere" / "c.pt")
    assert [path.name for path in PathManager().model_files()] == ["A.PT", "b.pt", "linked.pt"]
    assert visible_files(tmp_path / "nowhere", ".pt") == []


def test_of_models_of_one_stem_the_safetensors_wins_and_that_is_said(tmp_path, caplog):
    (tmp_path / "models").mkdir()
    for name in ("b.pt", "b.safetensors", "a.safetensors", "c.pt"):
        (tmp_path / "models" / name).touch()
    with caplog.at_level(logging.INFO):
        found = PathManager().model_files()
    assert [path.name for path in found] == ["a.safetensors", "b.safetensors", "c.pt"]
    assert caplog.messages == ["of models that are there as .safetensors and .pt the former are used: b"]


def test_a_link_to_what_is_gone_counts_so_that_nothing_goes_on_without_it_unawares(tmp_path):
    (tmp_path / "gone.pt").symlink_to(tmp_path / "not-mounted")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").touch()
    assert [path.name for path in visible_files(tmp_path, ".pt")] == ["gone.pt"]
    assert [path.name for path in visible_folders(tmp_path)] == ["gone.pt", "loop"]


def test_linked_folders_count_and_hidden_ones_do_not(tmp_path):
    (tmp_path / "real").mkdir()
    for name in ("a", ".git"):
        (tmp_path / "in" / name).mkdir(parents=True)
    (tmp_path / "in" / "b").symlink_to(tmp_path / "real")
    assert [path.name for path in visible_folders(tmp_path / "in")] == ["a", "b"]


def test_a_path_that_is_no_text_is_refused():
    with pytest.raises(ConfigError, match=r"the path 'out/.udcff' holds bytes that are no UTF-8 text. Rename it."):
        user_path("out/\udcff")


def test_a_work_folder_is_the_base_of_both_disks_unless_they_are_given(monkeypatch):
    monkeypatch.setenv("DARTS_DATA_DIR", "/environment")
    paths = PathManager(DefaultPaths(workdir=Path("/work"), large_dir=Path("/large")))
    assert (paths.models, paths.aux) == (Path("/work/models"), Path("/large/aux"))
    assert PathManager(DefaultPaths(workdir=Path("/work"))).logs == Path("/work/logs")
    assert PathManager(DefaultPaths(workdir=Path("/work"), models_dir=Path("/m"))).models == Path("/m")
