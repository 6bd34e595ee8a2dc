"""Verdicts brought into an inventory that may have changed since they were said."""

import json
import shutil

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from darts.inventory.layers import read_verdicts
from darts.publish.figures import figures_of
from darts.publish.vectors import copy_inventory
from darts.review.begin import limited_to, review_of
from darts.review.bringing import bring
from darts.review.places import Asked
from darts.review.store import Review, Said
from darts_postprocessing.inventory.rules import Rules
from darts_postprocessing.inventory.said import Counted, write_said
from darts_postprocessing.review.carrying import Judged, carry
from darts_postprocessing.review.verdicts import is_reviewed
from darts_utils.errors import ConfigError, DataError

YEARS = (2023, 2024)


def write_slumps(inventory, names, years=YEARS):
    """Let an inventory have slumps of some names, squares that lie beside each other."""
    rows = [(name, year) for year in years for name in names]
    places = [shapely.box(-133 + ord(name) / 100, 69, -133 + ord(name) / 100 + 0.002, 69.001) for name, _ in rows]
    table = gpd.GeoDataFrame(rows, columns=["slump_id", "year"], geometry=places, crs="EPSG:4326")
    table = table.astype({"year": "int32"}).assign(tier="high", area_m2=900.0, mean_probability=0.9)
    table = table.assign(area_majority_m2=900.0, area_low_m2=900.0, area_high_m2=900.0)
    shutil.rmtree(inventory / "slumps", ignore_errors=True)
    (inventory / "slumps").mkdir(parents=True)
    table.to_parquet(inventory / "slumps" / "all.parquet", write_covering_bbox=True, schema_version="1.1.0")
    write_said(inventory, Rules(), Counted(images=[("image", "model")], years=years, n_without_looks=0))


def begin(file, names, token, year=YEARS[-1]):
    review = Review(file)
    rows = [{"slump_id": name, "year": year, "batch": 0, "weight": 1.0, "repeat_of": None} for name in names]
    review.begin(pd.DataFrame(rows), {"token": token, "plan": "all"})
    return review


@pytest.fixture
def inventory(tmp_path):
    """Six slumps of which two people reviewed all but one each, in two reviews."""
    folder = tmp_path / "inventory"
    write_slumps(folder, "abcdef")
    for file, token in (("review.sqlite", "one"), ("second.sqlite", "two")):
        review = begin(folder / file, "abcdef", token)
        for number in range(1, 6):
            review.answer(number, Said(reviewer=token, verdict="slump" if number < 4 else "not"))
        given = None if file == "review.sqlite" else folder / file
        bring(folder, [], review_file=given, labels_dir=None, as_json=False)
    return folder


def told(inventory):
    return json.loads((inventory / "verdicts.json").read_text())


def shown(inventory):
    slumps = gpd.read_parquet(inventory / "slumps")
    tracks = pd.DataFrame({"status": ["stable"], "merged_into": [None], "growth_m2_per_year": [1.0], "n_years": [2]})
    return figures_of(inventory, slumps, tracks, dict.fromkeys(slumps["year"], 1.0), None)


def all_row(figures):
    return next(row for row in figures["precision"] if row["group"] == "all")


def test_verdicts_on_slumps_that_are_gone_leave_with_their_figures(inventory):
    assert {all_row(one)["n_open"] for one in told(inventory)} == {1}
    write_slumps(inventory, "bcde")  # a and f, which is open, are gone
    bring(inventory, [], review_file=None, labels_dir=None, as_json=False)
    kept = gpd.read_parquet(inventory / "verdicts")
    assert sorted(set(kept["slump_id"])) == ["b", "c", "d", "e"]
    assert len(kept) == 8, "of both reviews"
    for one in told(inventory):
        assert (one["asked"], one["answered"], one["open"]) == (4, 4, [])
        assert all_row(one)["precision"] == pytest.approx(2 / 4)


def test_figures_of_another_map_are_not_shown_nor_published(inventory, tmp_path):
    assert len(shown(inventory).reviews) == 2
    write_slumps(inventory, "bcde")
    found = shown(inventory)
    assert (found.reviews, len(found.earlier)) == ([], 2)
    copy_inventory(inventory, tmp_path / "catalogue")
    published = tmp_path / "catalogue" / "inventory"
    assert sorted(set(gpd.read_parquet(published / "verdicts")["slump_id"])) == ["b", "c", "d", "e"]
    assert not (published / "verdicts.json").exists()
    bring(inventory, [], review_file=None, labels_dir=None, as_json=False)
    assert len(shown(inventory).reviews) == 2
    copy_inventory(inventory, tmp_path / "catalogue")
    assert json.loads((published / "verdicts.json").read_text()) == told(inventory)


def test_an_inventory_without_any_slump_that_was_judged_loses_all_verdicts(inventory, tmp_path):
    write_slumps(inventory, "abcdef", years=(2023,))
    bring(inventory, [], review_file=None, labels_dir=None, as_json=False)
    assert not (inventory / "verdicts").exists()
    assert not (inventory / "verdicts.json").exists()
    assert read_verdicts(inventory) is None
    copy_inventory(inventory, tmp_path / "catalogue")
    assert not (tmp_path / "catalogue" / "inventory" / "verdicts").exists()
    with pytest.raises(ConfigError, match="has no verdicts"):
        bring(inventory, [], review_file=None, labels_dir=None, as_json=False)
    write_slumps(inventory, "abcdef")  # the year is back
    bring(inventory, [], review_file=None, labels_dir=None, as_json=False)
    assert all_row(told(inventory)[0])["n_slump"] == 3


def test_verdicts_without_the_file_of_their_review_are_added_up_again(inventory, capsys):
    (inventory / "review.sqlite").unlink()
    before = told(inventory)
    bring(inventory, [], review_file=None, labels_dir=None, as_json=True)
    assert told(inventory) == before
    write_slumps(inventory, "abcde")  # what was open is gone
    capsys.readouterr()
    bring(inventory, [], review_file=None, labels_dir=None, as_json=True)
    assert [all_row(one)["precision"] for one in json.loads(capsys.readouterr().out)] == [pytest.approx(3 / 5)] * 2


def test_a_review_of_another_inventory_is_refused_and_stays_as_it_was(inventory, tmp_path):
    other = tmp_path / "other"
    write_slumps(other, "uvwxyz")
    file = inventory / "review.sqlite"
    before = Review(file).counts()
    with pytest.raises(ConfigError, match="is a review of another inventory"):
        review_of(other, file, Asked())
    with pytest.raises(ConfigError, match="is a review of another inventory"):
        bring(other, [], review_file=file, labels_dir=None, as_json=False)
    write_slumps(inventory, "abcdef", years=(2023,))  # its own, for a while without the year that it asks about
    assert review_of(inventory, None, Asked()).counts() == before
    with pytest.raises(ConfigError, match="none of the 6 questions of "):
        limited_to(Review(file), frozenset({("a", 2023), ("b", 2023)}))
    assert Review(file).counts() == before


def test_verdicts_come_along_into_an_inventory_that_goes_on(inventory, tmp_path, capsys):
    following = tmp_path / "following"
    write_slumps(following, "abcdexy", years=(2023, 2024, 2025))  # f, which was open, is gone
    judged = Judged(verdicts=gpd.read_parquet(inventory / "verdicts"), told=told(inventory))
    assert carry(judged, following) == (10, 0)
    kept, before = (gpd.read_parquet(folder / "verdicts") for folder in (following, inventory))
    pd.testing.assert_frame_equal(pd.DataFrame(kept.drop(columns="geometry")), before.drop(columns="geometry"))
    assert shown(following).reviews == [], "its figures are of the map before"
    assert len(shown(following).earlier) == 2
    assert carry(judged, following) == (0, 0), "a build that goes on doubles nothing"
    bring(following, [], review_file=None, labels_dir=None, as_json=False)
    assert [all_row(one)["precision"] for one in shown(following).reviews] == [pytest.approx(3 / 5)] * 2
    assert is_reviewed(following), "its ids are kept from now on"

    fewer = tmp_path / "fewer"
    write_slumps(fewer, "ab")
    assert carry(judged, fewer) == (4, 6)
    none = tmp_path / "none"
    write_slumps(none, "xy")
    assert carry(judged, none) == (0, 10)
    assert not (none / "verdicts").exists()


def test_verdicts_without_their_times_are_refused_in_a_line(inventory):
    (file,) = (inventory / "verdicts").glob("*.parquet")
    gpd.read_parquet(file).drop(columns="first_at").to_parquet(file)
    with pytest.raises(DataError, match=r"has no first_at, so it is of another release, or damaged. Delete it"):
        read_verdicts(inventory)
