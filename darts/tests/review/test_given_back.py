"""Files that a page gave back: what makes no sense is refused in a sentence."""

import json

import pytest

from darts.review.given_back import read_given_back
from darts.review.serve import check_server
from darts_postprocessing.review.frames import Frame
from darts_utils.errors import ConfigError, DataError

FRAME = Frame(-132.0, 69.0, 100.0)
TRIANGLE = [[[[-50, -50], [50, -50], [0, 50]]]]


@pytest.fixture
def read(tmp_path):
    def read(frame=FRAME, **changed):
        one = {
            "question": 1, "reviewer": " Ann   Lee", "centre": [-132.0, 69.0], "verdict": "slump", "note": "",
            "outline": None, "reviewed_at": "2026-07-01T10:00:00.000Z",
        }  # fmt: skip
        said = {"format": "darts-verdicts", "format_version": 1, "review": "r", "verdicts": [{**one, **changed}]}
        (tmp_path / "said.json").write_text(json.dumps(said))
        ((_, found),) = read_given_back(tmp_path / "said.json", "r", lambda _: frame)
        return found

    return read


def test_what_makes_sense_is_taken(read):
    found = read(outline=TRIANGLE)
    assert (found.reviewer, found.reviewed_at) == ("Ann Lee", "2026-07-01T10:00:00.000000+00:00")
    assert found.outline.startswith("POLYGON ((-132.0")
    assert read(frame=None, outline=TRIANGLE).outline == found.outline, "the slump is gone for a while"
    assert read(outline=TRIANGLE, centre=[-132.001, 69.0]).outline != found.outline, "the frame has moved a little"


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1969-12-31T00:00:00+00:00", "yesterday"]
)
def test_times_at_which_nobody_reviewed_are_refused(read, moment):
    with pytest.raises(DataError, match=r"said\.json is damaged"):
        read(reviewed_at=moment)


@pytest.mark.parametrize(
    ("centre", "outline"),
    [
        ([0, 0], TRIANGLE), ([48, -69], TRIANGLE), ([-132, 69.1], TRIANGLE),
        ([-132, 69], [[[[-50, -50], [900, -50], [0, 50]]]]),
    ],
)  # fmt: skip
def test_outlines_elsewhere_are_refused(read, centre, outline):
    with pytest.raises(DataError, match=r"said\.json is damaged: .*not at the slump"):
        read(centre=centre, outline=outline)


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no file .*nofile\.json"):
        read_given_back(tmp_path / "nofile.json", "r", lambda _: FRAME)


@pytest.mark.parametrize("port", [-1, 65536, 80000])
def test_ports_that_there_are_not_are_refused(port):
    with pytest.raises(ConfigError, match=f"port is {port} but must be from 0"):
        check_server(port)
