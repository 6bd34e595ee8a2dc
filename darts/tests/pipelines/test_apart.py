"""Results never go into each other, nor over images, nor in the place of what a user put there."""

import pytest

from darts.pipelines.planet import PlanetPipeline
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts_utils.errors import ConfigError

TILE, ORTHOTILE = "1154318", "5937317_1154318_2021-07-28_2459"
ADVICE = "Rename one of the two, or map them in runs of their own with --image-ids and another --output-data-dir."


@pytest.fixture
def image(tmp_path):
    """Put down what looks like an image."""

    def make(*parts):
        folder = tmp_path.joinpath(*parts)
        folder.mkdir(parents=True)
        (folder / "x_SR.tif").touch()
        return folder

    return make


@pytest.fixture
def find(tmp_path):
    def run(**given):
        folders = {"orthotiles_dir": tmp_path / "tiles", "scenes_dir": tmp_path / "scenes"}
        return PlanetPipeline(**{**folders, "output_data_dir": tmp_path / "out", **given}).source().find()

    return run


def refused(find, message, **given):
    with pytest.raises(ConfigError) as caught:
        find(**given)
    assert str(caught.value) == message


def test_a_scene_called_like_the_folder_of_an_orthotile_is_refused(image, find):
    image("tiles", TILE, ORTHOTILE)
    image("scenes", TILE)
    refused(
        find,
        f"the results of {ORTHOTILE} would go into {TILE}/{ORTHOTILE}, inside {TILE} with those of {TILE}. {ADVICE}",
    )
    assert [ref.tile_id for ref in find(image_ids=[ORTHOTILE])] == [ORTHOTILE]


def test_names_that_are_one_on_many_disks_are_refused(image, find):
    image("scenes", "20210728_201112_93_2a16")
    image("scenes", "20210728_201112_93_2A16")
    refused(
        find,
        "the results of 20210728_201112_93_2A16 and of 20210728_201112_93_2a16 would go into the same folder "
        f"20210728_201112_93_2a16. {ADVICE}",
    )
    with pytest.raises(ConfigError, match=r"^the results of S2A and of s2a would go into the same folder s2a\. "):
        Sentinel2Pipeline(scene_ids=["S2A", "s2a"]).source().find()


@pytest.mark.parametrize(("here", "there", "word"), [((TILE,), (TILE, "b"), "around"), ((TILE, "b"), (TILE,), "into")])
def test_results_of_an_earlier_run_are_not_nested_either(image, find, tmp_path, here, there, word):
    image("scenes" if len(here) == 1 else "tiles", *here)
    earlier = tmp_path.joinpath("out", *there)
    earlier.mkdir(parents=True)
    (earlier / "probabilities.tif").touch()
    refused(
        find,
        f"results of another image lie in {earlier}, and those of {here[-1]} would go {word} them. {ADVICE}",
        overwrite=True,
    )


@pytest.mark.parametrize("folder", ["scenes", "link"])
def test_an_image_is_not_replaced_by_its_results(image, find, tmp_path, folder):
    (tmp_path / "link").symlink_to(tmp_path / "scenes")
    place = image("scenes", "20210728_201112_93_2416")
    refused(
        find,
        f"the results of 20210728_201112_93_2416 would replace the image itself in {place}. "
        "Choose another --output-data-dir.",
        output_data_dir=tmp_path / folder,
    )


def test_images_beside_each_other_are_fine(image, find):
    for name in ("a", "b"):
        image("tiles", TILE, name)
        image("scenes", name)
    assert len(find()) == len(find()) == 4


def test_a_folder_whose_name_cannot_be_that_of_results_is_skipped_and_named(image, find, caplog):
    folder = image("scenes", "a:b")
    image("scenes", "good")
    assert [ref.tile_id for ref in find()] == ["good"]
    assert caplog.messages[-1].endswith(
        "is skipped: 'a:b' cannot name a folder of results: it is no name of a folder on every system. "
        "Use letters, digits, '_', '-', '.'. Rename the folder."
    )
    assert folder.exists()


def test_one_id_is_no_list_of_letters(image, find):
    image("scenes", "2")
    refused(find, "image_ids is '20210728' but must be a list of ids. Write [...] around it.", image_ids="20210728")
