"""References to tiles lead only into the results folder."""

from pathlib import Path

import pytest

from darts.pipelines.tiles import TileRef
from darts_utils.errors import DataError


@pytest.mark.parametrize(
    "folder", ["/abs/x", "..", "../x", "a/../../b", ".", "", "a\x00b", "a\nb", "x" * 300, "a\\b", "CON", ".git"]
)
def test_results_never_go_outside_of_their_folder(folder):
    with pytest.raises(
        DataError, match=r" cannot name a folder of results: it .*\. Use letters, digits, '_', '-', '.'\.$"
    ):
        TileRef(tile_id="t", output_folder=Path(folder))


@pytest.mark.parametrize("tile_id", ["", None, 5, ["a"]])
def test_an_id_is_a_text(tile_id):
    with pytest.raises(DataError, match=r"is no id of a tile\. Use letters, digits, '_', '-', '.'\.$"):
        TileRef(tile_id=tile_id, output_folder=Path("a"))


def test_the_folder_of_an_orthotile_has_two_parts():
    assert TileRef(tile_id="a/b", output_folder=Path("a/b")).output_folder == Path("a/b")
