"""A world over six summers, mapped and made one inventory with the commands of the tutorial: is it right?

Some minutes; `DARTS_TEST_YEARS=1` runs it.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest

from darts.demo.years.compare import compare_years
from darts.demo.years.write import WrittenYears

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorials" / "many-scenes.md"

pytestmark = [
    pytest.mark.skipif(os.environ.get("DARTS_TEST_YEARS") != "1", reason="slow: DARTS_TEST_YEARS=1 runs it"),
    pytest.mark.timeout(1800),
]


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Run the blocks of the tutorial one after the other, as a reader would; give its folder and what was printed."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    folder = tmp_path_factory.mktemp("tutorial")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "DARTS_DATA_DIR": str(folder)}
    script = "\n".join(["set -euo pipefail", *blocks])
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    return folder / "many-scenes", done.stdout


@pytest.fixture(scope="module", params=["inventory", "inventory-2024"])
def score(request, output):
    """How the inventory of five years, and the one that goes on with it, compare with the truth."""
    return compare_years(output[0] / request.param, WrittenYears(output[0]))


def test_nine_of_ten_slumps_are_found_in_every_year(score):
    mapped = score.by_year[score.by_year["n_found"] > 0]
    assert len(mapped) >= 5
    assert (mapped["n_true"] > 80).all()
    assert (mapped["recall"] >= 0.9).all(), score.by_year


def test_few_slumps_are_made_up(score):
    assert (score.by_year["n_false"] <= 0.1 * score.by_year["n_true"]).all(), score.by_year


def test_nine_of_ten_slumps_keep_their_id(score):
    assert len(score.ids) > 100
    assert score.ids_kept >= 0.9, score.ids[~score.ids["is_kept"]]


def test_nine_of_ten_intervals_of_growth_hold_the_truth(output):
    growth = compare_years(output[0] / "inventory-2024", WrittenYears(output[0])).growth
    assert len(growth) > 30
    assert growth["is_held"].mean() >= 0.9, growth[~growth["is_held"]]
    assert (growth["low"] > 0).mean() > 0.3, "intervals are narrow enough to tell that slumps grow"


@pytest.mark.parametrize("relation", ["merged_into", "split_from"])
def test_nine_of_ten_slumps_that_merge_or_split_say_so(output, relation):
    work = output[0]
    ids = compare_years(work / "inventory-2024", WrittenYears(work)).pairs.groupby("slump")["slump_id"].first()
    told = gpd.read_parquet(work / "inventory-2024" / "tracks").set_index("slump_id")[relation].dropna()
    true = pd.read_parquet(WrittenYears(work).tracks).set_index("slump")[relation].dropna()
    found = [told.get(ids[slump]) == ids[other] for slump, other in true.items() if {slump, other} <= set(ids.index)]
    assert len(found) > 5
    assert sum(found) >= 0.9 * len(found)
    assert len(told) <= 1.3 * len(true)


def test_the_sixth_summer_goes_on_with_the_ids_of_the_first_five(output):
    before, after = (gpd.read_parquet(output[0] / name / "slumps") for name in ("inventory", "inventory-2024"))
    assert set(before["year"]) == set(range(2019, 2024))
    assert set(after["year"]) == set(range(2019, 2025))
    earlier = after[after["year"] < 2024]
    assert set(earlier["slump_id"]) == set(before["slump_id"])
    last = after[after["year"] == 2024]["slump_id"]
    assert last.isin(before["slump_id"]).mean() > 0.7
    assert (~last.isin(before["slump_id"])).any()


def test_the_reader_sees_what_the_page_says(output):
    work, said = output
    scores = [pd.read_csv(work / "evaluation" / str(year) / "scores.csv") for year in range(2019, 2024)]
    own = compare_years(work / "inventory", WrittenYears(work)).by_year.set_index("year")["recall"]
    for year, table in zip(range(2019, 2024), scores, strict=True):
        (recall,) = table.query("group == 'all' and iou == 0.3 and score == 'recall'")["value"]
        assert recall == pytest.approx(own[year])
    assert (work / "pictures" / "place.png").is_file()
    assert len(gpd.read_file(work / "inventory.gpkg", layer="slumps")) > 400
    assert "active" in said
    assert "merged_into" in said
