"""A catalogue, or a mirror of one, that gives scenes names which lead out of the results and the store."""

from types import SimpleNamespace

import pytest

SCENE = "S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418"
SMALL = ("--patch-size", "96", "--overlap", "32", "--device", "cpu", "--export-bands", "extent")


@pytest.fixture
def victim(tmp_path):
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    return folder


def test_a_run_with_overwrite_replaces_no_folder_but_those_of_its_scenes(
    darts, make_model, make_scene, monkeypatch, victim, tmp_path
):
    (tmp_path / "models").mkdir()
    make_model(tmp_path / "models" / "optical.pt", ["red", "nir"])
    make_scene(tmp_path / "input" / "sentinel2" / "cdse-scenes", SCENE, size=(64, 70))
    hostile = [str(victim), "../../victim", "..", ".", "", "a\x00b", "x" * 300, SCENE, 5, ("a",)]
    monkeypatch.setattr(
        "darts_acquisition.optical.cdse.catalog.CdseScenes.search",
        lambda *_, **__: {name: SimpleNamespace(id=name, geometry=None) for name in hostile},
    )
    command = ["inference", "sentinel2-sequential", "--tile-ids", "08WNB", "--years", "2024", "--overwrite", *SMALL]
    for _ in range(2):
        result = darts(*command)
        assert result.returncode == 0, result.stderr
    assert (victim / "thesis.txt").read_text() == "years of work"
    folder = tmp_path / "output" / "sentinel2-cdse"
    assert [path.name for path in folder.iterdir() if path.is_dir()] == [SCENE]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["input", "logs", "models", "output", "victim"]
    assert " ".join(result.stderr.split()).count("a scene is left out:") == len(hostile) - 1
