"""A review from its command to labels: what is asked, where pictures come from, how it goes on."""

import json
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from reviewed_world import YEARS, make_reviewed_world, write_year

from darts.datasets.build.layers import read_layers
from darts.review import working
from darts.review.begin import review_of
from darts.review.imagery import Imagery
from darts.review.places import Asked, DataPlaces
from darts.review.store import Review, Said
from darts_postprocessing.inventory.build import build
from darts_utils.errors import ConfigError

N_SITES = 4


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_reviewed_world(tmp_path_factory.mktemp("made"), N_SITES)


@pytest.fixture
def world(made, tmp_path):
    """A world that may be changed."""
    shutil.copytree(made.output, tmp_path / "output")
    return replace(made, output=tmp_path / "output", inventory=tmp_path / "output" / "inventory")


def answer_all(review, world, reviewer="ann"):
    truth = world.truth()
    for question in review.open_questions():
        verdict = "slump" if truth[question.slump_id] else "not"
        review.answer(question.id, Said(reviewer=reviewer, verdict=verdict))


def test_the_page_is_served_and_ends_with_ctrl_c_and_goes_on_at_the_same_address(world, tmp_path):
    command = [sys.executable, "-m", "darts.cli", "review", str(world.inventory), "--no-open", "--port"]
    addresses = []
    for turn in range(2):
        port = "0" if turn == 0 else addresses[0].split(":")[2].split("/")[0]
        with subprocess.Popen(
            [*command, port], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as running:
            lines = iter(running.stdout.readline, "")
            addresses.append(next(found[0] for line in lines if (found := re.search(r"http://\S+", line))))
            try:
                with urllib.request.urlopen(addresses[-1], timeout=20) as page:
                    assert "thaw slump" in page.read().decode()
            finally:
                running.send_signal(signal.SIGINT)
                out, err = running.communicate(timeout=60)
        assert running.returncode == 0, err
        assert "0 of 17 questions are answered" in out
        assert "Traceback" not in err
    assert addresses[0] == addresses[1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["nowhere"], "nowhere is no inventory. Make one with `darts inventory build`."),
        (["inventory", "--year", "2017"], "has no slumps of 2017, but of 2020, 2021, 2022, 2023, 2024."),
        (["inventory", "--tiles", "nowhere"], "there is no folder nowhere"),
        (["inventory", "--page", "."], ". is a folder, but a file was to be written. Name a file."),
    ],
)
def test_what_cannot_be_reviewed_is_said(world, darts, monkeypatch, given, said):
    monkeypatch.chdir(world.output)
    result = darts("review", *given, "--page", "page.html") if "--page" not in given else darts("review", *given)
    assert result.returncode == 2
    assert said in result.stderr
    assert not (world.inventory / "review.sqlite").exists()


def test_without_pictures_nobody_is_asked(world, darts):
    for file in world.output.rglob("optical.tif"):
        file.unlink()
    result = darts("review", world.inventory, "--page", "page.html")
    assert result.returncode == 1
    assert "no image is at hand of the first slumps. Name the results folders with --tiles" in result.stderr


def test_plans_ask_about_all_a_sample_or_what_changed(world, tmp_path):
    def asked(**given):
        file = tmp_path / "plan.sqlite"
        review = review_of(world.inventory, file, Asked(**given))
        found = [(one.slump_id, one.year) for one in review.open_questions()]
        file.unlink()
        return found

    everything = asked()
    slumps = gpd.read_parquet(world.inventory / "slumps")
    tracks = gpd.read_parquet(world.inventory / "tracks").set_index("slump_id")
    assert len(everything) == 17
    assert {one for one, _ in everything} == set(slumps["slump_id"])
    assert {year for _, year in everything} == {YEARS[-1]}
    assert set(asked(plan="sample")) == set(everything), "of tiers with fewer than 60 slumps all are drawn"
    changed = {one for one, _ in asked(plan="changed")}
    expected = tracks[(tracks["status"] == "active") | (tracks["first_year"] > YEARS[0])]
    assert changed == set(expected.index) != set(slumps["slump_id"])
    in_first = asked(year=YEARS[0])
    assert {one for one, _ in in_first} == set(slumps.loc[slumps["year"] == YEARS[0], "slump_id"])
    assert asked(seed=1) != everything
    assert asked() == everything


def test_a_review_goes_on_as_it_was_begun_and_only_so(world):
    review = review_of(world.inventory, None, Asked(plan="sample", seed=5))
    assert review_of(world.inventory, None, Asked()).id == review.id
    for wrong, said in (
        (Asked(plan="all"), "begun with plan sample, not all"),
        (Asked(seed=6), "begun with seed 5, not 6"),
        (Asked(year=2024), "begun with year not given, not 2024"),
    ):
        with pytest.raises(ConfigError, match=said):
            review_of(world.inventory, None, wrong)


def test_ids_stay_once_people_have_seen_them_and_verdicts_stay_with_them(world, darts):
    before = gpd.read_parquet(world.inventory / "slumps")
    first = next(iter(sorted(world.output.glob("S2B*"))))
    review = review_of(world.inventory, None, Asked())
    answer_all(review, world)
    assert darts("inventory", "verdicts", world.inventory).returncode == 0
    said = (world.inventory / "verdicts" / "verdicts.parquet").read_bytes()

    for file in sorted(first.iterdir()):  # without its first year an id would be another
        file.unlink()
    first.rmdir()
    write_year(world, N_SITES, YEARS[-1] + 1)
    result = darts("inventory", "build", world.output)
    assert result.returncode == 0
    assert "was reviewed: its ids are kept" in result.stdout
    after = gpd.read_parquet(world.inventory / "slumps")
    assert set(after.loc[after["year"] == 2024, "slump_id"]) == set(before.loc[before["year"] == 2024, "slump_id"])
    assert (world.inventory / "verdicts" / "verdicts.parquet").read_bytes() == said

    alone = world.output.parent / "alone"
    build([world.output], alone)
    fresh = gpd.read_parquet(alone / "slumps")
    assert set(fresh["slump_id"]) != set(after["slump_id"]), "ids would have changed"

    exported = world.output / "out.gpkg"
    assert darts("inventory", "export", world.inventory, "--out", exported).returncode == 0
    layer = gpd.read_file(exported, layer="slumps")
    of_year = layer[layer["year"] == 2024]
    assert of_year["verdict"].isin(["slump", "not"]).all()
    assert layer.loc[layer["year"] == 2025, "verdict"].isna().all()
    assert len(gpd.read_file(exported, layer="verdicts")) == len(of_year)


def test_questions_about_slumps_that_are_gone_are_left_out(world, darts):
    review = review_of(world.inventory, None, Asked())
    some, *others = review.open_questions()
    for one in others[2:]:  # pictures take their time
        review.answer(one.id, Said(reviewer="ann", verdict="not"))
    slumps = {path: gpd.read_parquet(path) for path in (world.inventory / "slumps").rglob("*.parquet")}
    for path, table in slumps.items():
        table[table["slump_id"] != some.slump_id].to_parquet(path, write_covering_bbox=True, schema_version="1.1.0")
    result = darts("review", world.inventory, "--page", "page.html")
    assert result.returncode == 0
    assert re.search(r"Left out until their slumps are in the inventory again: [12] questions?\.", result.stdout)
    assert any(one.slump_id == some.slump_id for one in review.open_questions()), "they come back with it"


def test_verdicts_become_labels_and_hard_negatives_that_training_sets_read(world, darts, tmp_path, monkeypatch):
    review = review_of(world.inventory, None, Asked())
    answer_all(review, world)
    result = darts("inventory", "verdicts", world.inventory, "--labels-dir", tmp_path / "labels", "--json")
    assert result.returncode == 0
    figures = json.loads(result.stdout[result.stdout.index("{") :])
    truth = world.truth()
    assert figures["precision"][0]["precision"] == pytest.approx(np.mean(list(truth.values())))
    labels, footprints = read_layers(tmp_path / "labels")
    assert len(labels.used) == sum(truth.values())
    assert len(footprints.used) == 1
    searched = footprints.used.geometry.iloc[0]
    slumps = gpd.read_parquet(world.inventory / "slumps").query("year == 2024")
    for row in slumps.itertuples():
        assert searched.contains(row.geometry.centroid), "all were judged, so all of their ground was searched"
        assert labels.used.intersects(row.geometry).any() == truth[row.slump_id]
    assert set(labels.used["image_id"]) == set(footprints.used["image_id"])
    assert labels.used["image_id"].iloc[0].startswith("S2B_MSIL2A_2024")

    result = darts("review", world.inventory, "--page", "page.html")
    assert "are answered, so there is nothing for a page in one file" in result.stderr
    opened = []
    monkeypatch.setattr(working, "serve", lambda review, *_, **__: opened.append(review.counts()))
    place = working.ReviewPlace(inventory=world.inventory, roots=[world.output], file=None, data=DataPlaces())
    working.review_inventory(place, Asked(), port=0, show=False)
    assert [one["asked"] - one["answered"] for one in opened] == [0], "it can be corrected"


def test_files_that_are_no_verdicts_of_this_review_change_nothing(world, darts, tmp_path):
    review = review_of(world.inventory, None, Asked())
    sound = {
        "format": "darts-verdicts", "format_version": 1, "review": review.id,
        "verdicts": [
            {"question": 1, "reviewer": "b", "centre": [-133, 69], "verdict": "not", "note": "", "outline": None,
             "reviewed_at": "2026-07-01T10:00:00.000Z"},
        ],
    }  # fmt: skip
    (one,) = sound["verdicts"]
    wrong = {
        "text": "no verdicts",
        "list": [],
        "other": {**sound, "review": "00000000"},
        "later": {**sound, "format_version": 2},
        "bare": {**sound, "verdicts": [{}]},
        "word": {**sound, "verdicts": [{**one, "verdict": "maybe"}]},
        "nobody": {**sound, "verdicts": [{**one, "reviewer": " "}]},
        "when": {**sound, "verdicts": [{**one, "reviewed_at": "yesterday"}]},
        "which": {**sound, "verdicts": [{**one, "question": "1"}]},
        "unknown": {**sound, "verdicts": [one, {**one, "question": 99}]},
        "where": {**sound, "verdicts": [{**one, "centre": [500, 69], "outline": [[[[0, 0], [9, 0], [0, 9]]]]}]},
        "drawn": {**sound, "verdicts": [{**one, "outline": [[[[0, 0], [9, 0]]]]}]},
    }
    for name, content in wrong.items():
        file = tmp_path / f"{name}.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        result = darts("inventory", "verdicts", world.inventory, file)
        assert result.returncode in (1, 2), name
        assert len(result.stderr.strip().splitlines()) == 1, (name, result.stderr)
        assert review.counts()["answered"] == 0, name
    file.write_text(json.dumps(sound))
    (world.inventory / "verdicts.json").write_text("[{}]")
    result = darts("inventory", "verdicts", world.inventory, file)
    assert "verdicts.json cannot be read" in result.stderr
    (world.inventory / "verdicts.json").unlink()
    assert darts("inventory", "verdicts", world.inventory, file).returncode == 0
    assert review.counts()["answered"] == 1


def test_pictures_are_of_the_image_itself_wherever_it_lies(tmp_path, make_scene, make_planet_scene, scene_ids):
    grid = make_scene(tmp_path / "store", scene_ids[0])
    results = tmp_path / "results" / scene_ids[0]
    results.mkdir(parents=True)
    config = f'[darts]\nraw_data_source = "cdse"\nraw_data_store = "{tmp_path / "store"}"\n'
    (results.parent / "2024-07-20_10-00-00.config.toml").write_text(config)
    imagery = Imagery(folders={scene_ids[0]: [results]}, given=DataPlaces())
    part = grid[20:50, 60:100]
    found = imagery.ground(scene_ids[0], part)
    import zarr

    (scene,) = (tmp_path / "store").iterdir()
    for index, band in enumerate(("B04_10m", "B03_10m", "B02_10m", "B08_10m")):
        numbers = zarr.open_group(scene, mode="r")[band][20:50, 60:100]
        np.testing.assert_allclose(found[index], numbers * 1e-4 - 0.1, atol=1e-6)
    assert imagery.ground("other", part) is None
    assert imagery.ground(scene_ids[0], grid.translate_pix(-500, 0)) is None, "it shows nothing of that ground"
    assert imagery.shade(part) is None

    folder = make_planet_scene(tmp_path / "scenes")
    own = Imagery(folders={folder.name: [results]}, given=DataPlaces(scenes_dir=tmp_path / "scenes"))
    with rasterio.open(folder / f"{folder.name}_SR.tif") as raster:
        from odc.geo.geobox import GeoBox

        planet_grid = GeoBox(raster.shape, raster.transform, str(raster.crs))[10:40, 5:50]
        numbers = raster.read()[:, 10:40, 5:50]
    found = own.ground(folder.name, planet_grid)
    np.testing.assert_allclose(found, numbers[[2, 1, 0, 3]], rtol=1e-4)


def test_verdicts_of_a_file_are_beside_those_of_others(tmp_path):
    import pandas as pd

    review = Review(tmp_path / "review.sqlite")
    rows = [{"slump_id": "a", "year": 2024, "batch": 0, "weight": 1.0, "repeat_of": None}]
    review.begin(pd.DataFrame(rows), {"token": "t"})
    review.answer(1, Said(reviewer="ann", verdict="slump", reviewed_at="2026-07-02"))
    later = Said(reviewer="ben", verdict="not", reviewed_at="2026-07-03")
    assert review.add([(1, later)]) == 1
    assert review.add([(1, later)]) == 0
    assert review.add([(1, Said(reviewer="ben", verdict="unsure", reviewed_at="2026-07-01"))]) == 0, "an older file"
    assert review.add([(1, Said(reviewer="ben", verdict="unsure", reviewed_at="2026-07-04"))]) == 1
    assert review.verdicts()[["reviewer", "verdict"]].to_numpy().tolist() == [["ann", "slump"], ["ben", "unsure"]]
    assert review.counts() == {"asked": 1, "answered": 1, "slump": 1, "not": 0, "unsure": 1}
    with pytest.raises(ConfigError):
        review.add([(1, Said(reviewer="cid", verdict="slump")), (7, Said(reviewer="cid", verdict="slump"))])
    assert len(review.verdicts()) == 2, "all of a file or nothing"
