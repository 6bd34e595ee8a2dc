"""Answers on footprints are kept in a file that neither kills nor damage can turn into wrong answers."""

import json
import time
from datetime import UTC, datetime

import pystac
import pytest
import shapely

from darts_acquisition.catalog.matching_cache import Candidate, MatchingCache, Verdict
from darts_utils.errors import OutputError

BEST = Candidate(scene_id="S2_A", cloud_cover=10.0, coverage=0.9, days_apart=4, seconds_apart=345_000.0)
FOUND = Verdict(scene_id="S2_A", reason=None, candidates=(BEST,))
NOTHING = Verdict(scene_id=None, reason="there is no scene within 7 days")


def scene():
    outline = shapely.box(0, 60, 1, 61)
    item = pystac.Item("S2_A", shapely.geometry.mapping(outline), outline.bounds, datetime(2024, 7, 1, tzinfo=UTC), {})
    item.add_asset("B04_10m", pystac.Asset("s3://eodata/S2_A/B04.jp2", extra_fields={"raster:offset": -0.1}))
    return item


@pytest.fixture
def file(tmp_path):
    """A file with both kinds of answers."""
    cache = MatchingCache(tmp_path / "matching-cache.json")
    cache.put("found", FOUND, scene())
    cache.put("nothing", NOTHING, None)
    cache.write()
    return tmp_path / "matching-cache.json"


def test_the_score_is_that_of_the_contract():
    assert BEST.parts == pytest.approx({"cloud_score": 4, "coverage_score": 4, "days_score": 4})
    assert BEST.score == pytest.approx(12)


def test_answers_come_back_as_they_were(file):
    cache = MatchingCache(file)
    assert (cache["found"], cache["nothing"]) == (FOUND, NOTHING)
    assert "other" not in cache
    assert json.dumps(cache.item("found").to_dict()) == json.dumps(scene().to_dict())
    assert cache.item("nothing") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(file.read_bytes()[:-20]),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(bytes(range(256))),
        lambda file: file.write_text("[]"),
        lambda file: file.write_text('{"verdicts": {}}'),
        lambda file: file.write_text(file.read_text().replace('"coverage"', '"covers"')),
        lambda file: file.write_text(file.read_text().replace('"scenes": {"S2_A"', '"scenes": {"S2_B"')),
        lambda file: file.write_text(file.read_text().replace('"geometry"', '"outline"')),
        lambda file: file.write_text(file.read_text().replace("-0.1", "-0.2")),
        lambda file: file.write_text(json.dumps({"verdicts": {"found": 3}, "scenes": {}})),
        lambda file: (file.unlink(), file.mkdir()),
    ],
)
def test_a_damaged_file_is_one_warning_and_no_answers(file, caplog, damage):
    damage(file)
    assert "found" not in MatchingCache(file)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"the matching cache {file} is damaged (")
    assert caplog.messages[0].endswith("); it is made anew")


def test_the_file_is_not_rewritten_after_every_answer(file, monkeypatch):
    cache = MatchingCache(file)
    cache.put("new", NOTHING, None)
    cache.write_now_and_then()
    assert "new" not in MatchingCache(file)
    now = time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: now + 60)
    cache.write_now_and_then()
    assert "new" in MatchingCache(file)


def test_nothing_new_is_not_written(file):
    before = file.stat()
    MatchingCache(file).write()
    assert file.stat() == before


def test_a_file_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").touch()
    cache = MatchingCache(tmp_path / "file" / "cache.json")
    cache.put("nothing", NOTHING, None)
    with pytest.raises(OutputError, match=r"^cannot make the folder .*/file: .*\. Choose another folder\.$"):
        cache.write()


def test_a_key_changes_with_whatever_it_depends_on():
    outline, other = shapely.box(0, 60, 1, 61).wkb, shapely.box(0, 60, 1, 61.001).wkb
    keys = {
        MatchingCache.key(outline, "2024-07-01", {"day_range": 7}),
        MatchingCache.key(other, "2024-07-01", {"day_range": 7}),
        MatchingCache.key(outline, "2024-07-02", {"day_range": 7}),
        MatchingCache.key(outline, "2024-07-01", {"day_range": 8}),
    }
    assert len(keys) == 4
    assert MatchingCache.key(outline, "2024-07-01", {"day_range": 7}) in keys
