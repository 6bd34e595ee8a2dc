"""Where archives have their images: what is found, and what is not taken twice."""

import pytest

from darts.datasets.build.images import LabelledImages, anywhere_below, in_archive
from darts_utils.errors import ConfigError

SCENES = ["20180703_192559_1006", "20200731_213412_38_1057", "20200731_213412_38_105c"]
ORTHOTILE = "4706735_4472312_2021-07-19_1034"


@pytest.fixture
def put(tmp_path):
    def put(*places):
        for place in places:
            (tmp_path / place).mkdir(parents=True)
            name = place.split("/")[-1]
            (tmp_path / place / f"{name}_3B_AnalyticMS_SR.tif").write_bytes(b"")
        return tmp_path

    return put


def found(source):
    return [ref.tile_id for ref in source.find()]


def test_iterations_sites_tiles_and_plain_folders_are_looked_into(put):
    archive = put(
        f"iteration001/site 7/{SCENES[0]}", f"tiles/4472312/{ORTHOTILE}", f"scenes/{SCENES[1]}", SCENES[2],
        "too/deep/by/one/20200101_000000_1006", "iteration001/site 7/no_image", ".hidden/20200101_000001_1006",
    )  # fmt: skip
    assert found(LabelledImages(archive, in_archive)) == [*SCENES, ORTHOTILE]


def test_any_depth_and_any_name_of_a_folder(put):
    archive = put(f"a/b/c/d/{SCENES[0]}", "my image", ORTHOTILE)
    source = LabelledImages(archive, anywhere_below)
    assert found(source) == [SCENES[0], ORTHOTILE, "my image"]
    assert source.images[SCENES[0]] == archive / "a/b/c/d" / SCENES[0]


def test_of_an_image_in_two_places_the_first_is_taken_and_a_folder_without_one_is_told(put, caplog):
    archive = put(f"one/{SCENES[0]}", f"two/{SCENES[0]}")
    (archive / SCENES[1]).mkdir()
    source = LabelledImages(archive, in_archive)
    assert found(source) == [SCENES[0]]
    assert source.images[SCENES[0]] == archive / "one" / SCENES[0]
    assert f"1 images lie in several places of {archive}; the first is taken" in caplog.text
    assert f"{archive / SCENES[1]} is skipped" in caplog.text


def test_no_archive(tmp_path):
    with pytest.raises(ConfigError) as caught:
        LabelledImages(tmp_path / "nowhere", in_archive).find()
    place = tmp_path / "nowhere"
    assert str(caught.value) == f"there are no Planet images: {place} is no folder. Name one with --data-dir."


def test_images_lie_in_linked_folders_too_and_hidden_ones_are_none(tmp_path):
    def image(*parts):
        folder = tmp_path.joinpath(*parts)
        folder.mkdir(parents=True)
        (folder / "x_SR.TIF").touch()

    image("elsewhere", "site", "b")
    image("archive", "a")
    image("archive", ".trash", "c")
    (tmp_path / "archive" / "mac").mkdir()
    (tmp_path / "archive" / "mac" / "._x_SR.tif").touch()
    (tmp_path / "archive" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "archive")
    found = [path.relative_to(tmp_path / "archive").as_posix() for path in anywhere_below(tmp_path / "archive")]
    assert found == ["a", "linked/site/b"]
