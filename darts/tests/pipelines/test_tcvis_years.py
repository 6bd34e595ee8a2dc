"""Trends by year: which cube serves an image, what decides it, and what stays as it was."""

import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import geopandas as gpd
import pytest
import shapely

from darts.pipelines.auxiliary import LAYERS, Request, editions_of
from darts.pipelines.auxiliary.seen import say_unseen
from darts.pipelines.auxiliary.tcvis import say_too_old
from darts.pipelines.fetch.plan import make_plan
from darts.pipelines.planet import PlanetPipeline
from darts.pipelines.results.fingerprint import Models, differences, fingerprint_of, recipe_of
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts.pipelines.tiles import TileRef
from darts_utils.errors import ConfigError, DataError
from darts_utils.parameters import FLOAT32
from darts_utils.toml import write_toml

TCVIS = LAYERS["tcvis"]
MODELS = Models(ids={"a": "12" * 32}, bands={"a": ["red", "tc_wetness"]}, precision=FLOAT32)
IMAGE = {"source": "cdse", "id": "S2A", "processing_baseline": "05.10", "window": "whole"}


def tile(year, tile_id="S2A"):
    return TileRef(tile_id=tile_id, output_folder=Path(tile_id), year=year)


def run(**parameters):
    return Sentinel2Pipeline(**parameters).with_paths()


def edition(year=2024, **parameters):
    return TCVIS.edition(Request(run(**parameters), 10, tile(year)))


def cube(year=2024, **parameters):
    return TCVIS.cube(Request(run(**parameters), 10, tile(year)))


def document(year=2024, **parameters):
    return recipe_of(run(**parameters), MODELS, 10).document(tile(year), IMAGE)


def make_cube(path):
    path.mkdir(parents=True)
    (path / "repo").touch()
    return path


@pytest.mark.parametrize(
    ("year", "expected"),
    [
        (1999, 2019), (2017, 2019), (2018, 2019), (2019, 2020), (2020, 2022), (2021, 2022), (2022, 2024), (2023, 2024),
        (2024, 2024), (2025, 2024), (2031, 2024), (None, 2024),
    ],
)  # fmt: skip
def test_the_year_of_an_image_decides_where_no_cube_serves_all(year, expected, tmp_path):
    assert edition(year) == expected
    assert cube(year) == tmp_path / "aux" / f"TCTrend{expected}.icechunk"


def test_a_cube_that_is_there_serves_all_years_and_its_results_are_those_of_before(tmp_path):
    make_cube(tmp_path / "aux/tcvis.icechunk")
    for year in (2017, 2020, 2024, None):
        assert edition(year) is None
        assert cube(year) == tmp_path / "aux/tcvis.icechunk"
    assert TCVIS.cube_name(10, edition()) == "tcvis"
    made = document(2019)
    assert made["parameters"]["tcvis_year"] is None
    assert made["auxiliary"] == {"tcvis": {"name": "TCTrend", "version": "2005-2024", "resolution_m": 30}}
    # of the release before trends by year
    assert fingerprint_of(made) == "1168977ebc6a02d98ac287ca3996aa3e9e9091b3140d6875270f5408ebb9f456"


@pytest.mark.parametrize("name", ["mine.icechunk", "folder_that_is_a_cube"])
def test_a_cube_that_is_named_is_taken_as_it_is(name, tmp_path):
    place = tmp_path / name
    if "folder" in name:
        make_cube(place / "snapshots")
    assert edition(2017, tcvis_dir=place) is None
    assert cube(2017, tcvis_dir=place) == place
    with pytest.raises(ConfigError) as caught:
        run(tcvis_dir=place, tcvis_year=2020)
    assert str(caught.value) == (
        f"tcvis_dir names one datacube for all images ({place}), but tcvis_year is 2020. Give one of them."
    )


def test_a_cube_that_is_named_like_that_of_a_year_has_its_trends(tmp_path):
    place = tmp_path / "TCTrend2020.icechunk"
    for year in (2017, 2024):
        assert edition(year, tcvis_dir=place) == 2020
        assert cube(year, tcvis_dir=place) == place
    assert edition(tcvis_dir=place, tcvis_year=2020) == 2020
    with pytest.raises(ConfigError, match=r"but tcvis_year is 2022\. Give one of them\.$"):
        run(tcvis_dir=place, tcvis_year=2022)


def test_a_folder_of_cubes_is_looked_into(tmp_path):
    assert cube(2018, tcvis_dir=tmp_path / "cubes") == tmp_path / "cubes/TCTrend2019.icechunk"
    make_cube(tmp_path / "cubes/tcvis.icechunk")
    assert cube(2018, tcvis_dir=tmp_path / "cubes") == tmp_path / "cubes/tcvis.icechunk"


def test_a_year_that_is_asked_for_is_read_whatever_is_there(tmp_path):
    make_cube(tmp_path / "aux/tcvis.icechunk")
    for year in (2018, 2024, None):
        assert edition(year, tcvis_year=2022) == 2022
        assert cube(year, tcvis_year=2022) == tmp_path / "aux/TCTrend2022.icechunk"


@pytest.mark.parametrize("pipeline", [Sentinel2Pipeline, PlanetPipeline])
@pytest.mark.parametrize("year", [2018, 2021, 0, -1])
def test_other_years_are_refused(pipeline, year):
    with pytest.raises(ConfigError) as caught:
        pipeline(tcvis_year=year)
    assert str(caught.value) == (
        f"tcvis_year is {year} but must be 2019, 2020, 2022 or 2024: the last of the twenty years of trends. "
        "Correct it, or leave it out to read those that suit each image."
    )


def test_a_run_from_its_record_reads_the_same(tmp_path):
    for given in ({}, {"tcvis_year": 2019}, {"tcvis_dir": tmp_path / "mine.icechunk"}):
        first = run(**given)
        write_toml(tmp_path / "config.toml", first.to_config())
        read = tomllib.loads((tmp_path / "config.toml").read_text())["darts"]
        again = run(**{name: read[name] for name in ("tcvis_dir", "tcvis_year") if name in read})
        for year in (2018, 2024):
            requests = [Request(one, 10, tile(year)) for one in (first, again)]
            assert len({(TCVIS.edition(one), TCVIS.cube(one)) for one in requests}) == 1


def test_the_year_decides_results(tmp_path):
    made = {year: document(year) for year in (2018, 2019, 2024)}
    assert [one["parameters"]["tcvis_year"] for one in made.values()] == [2019, 2020, 2024]
    assert [one["auxiliary"]["tcvis"]["version"] for one in made.values()] == ["2000-2019", "2001-2020", "2005-2024"]
    assert differences(made[2018], document(2018, tcvis_year=2024)) == (
        "tcvis_year 2019 (now 2024)",
        "tcvis version 2000-2019 (now 2005-2024)",
    )
    assert fingerprint_of(document(2018, tcvis_year=2019)) == fingerprint_of(made[2018])
    make_cube(tmp_path / "aux/tcvis.icechunk")
    assert differences(made[2024], document(2024)) == ("tcvis_year 2024 (now none)",)


def test_it_does_not_where_no_model_reads_trends():
    colours = replace(MODELS, bands={"a": ["red", "slope"]})
    made = recipe_of(run(tcvis_year=2019), colours, 10).document(tile(2024), IMAGE)
    assert made["parameters"]["tcvis_year"] is None
    assert made == recipe_of(run(), colours, 10).document(tile(2018), IMAGE)
    assert editions_of([LAYERS["arcticdem"]], Request(run(), 10, tile(2018))) == {}


def test_a_release_of_the_cubes_without_years_serves_all_with_one(monkeypatch, caplog, tmp_path):
    import smart_geocubes

    for year in (2019, 2020, 2022, 2024):
        monkeypatch.delattr(smart_geocubes, f"TCTrend{year}")
    say_too_old.cache_clear()
    assert [edition(year) for year in (2018, 2024)] == [None, None]
    assert cube(2018) == tmp_path / "aux/tcvis.icechunk"
    assert [record.getMessage() for record in caplog.records] == [
        "trends by year need smart-geocubes 0.1.6 or later, so those that serve all images are read"
    ]
    with pytest.raises(ConfigError) as caught:
        run(tcvis_year=2019)
    assert str(caught.value) == (
        "tcvis_year is 2019, but the installed smart-geocubes has no TCTrend2019. Install 0.1.6 or later, or leave it "
        "out to read the trends that serve all images."
    )


def source_of(*refs):
    """A source of images that are all staged, on two places in turn."""
    outlines = [shapely.box(-2e6 + 3e5 * (i % 2), 0, -1.99e6 + 3e5 * (i % 2), 10_000) for i in range(len(refs))]
    frame = gpd.GeoDataFrame({"tile_id": [ref.tile_id for ref in refs]}, geometry=outlines, crs="EPSG:3413")
    return SimpleNamespace(
        resolution_m=10, to_fetch=lambda refs: {}, sizes=lambda refs: {}, footprints=lambda refs: frame
    )


@pytest.mark.parametrize("loads", [True, False])
def test_a_plan_counts_the_chunks_of_each_cube(loads, tmp_path):
    def plan(*years):
        refs = [tile(year, f"{number}") for number, year in enumerate(years)]
        return make_plan(run(), source_of(*refs), refs, layers=[TCVIS], loads=loads)

    n_chunks = plan(2018, 2018).chunks["tcvis"]
    assert n_chunks >= 2
    assert plan(2018, 2017, 2016, 2018).chunks["tcvis"] == n_chunks
    two = plan(2018, 2017, 2024, None)
    assert two.chunks["tcvis"] == 2 * n_chunks
    assert two.layers["tcvis"] == plan(2018, 2017, 2016, 2018).layers["tcvis"]
    make_cube(tmp_path / "aux/tcvis.icechunk")
    with pytest.raises(DataError, match=r"the datacube .*tcvis\.icechunk cannot be opened"):
        plan(2018, 2024)


def test_offline_a_plan_says_for_each_tile_whether_its_cube_lacks_it(monkeypatch):
    refs = tile(2017, "first"), tile(2024, "second"), tile(2018, "third")
    monkeypatch.setattr(
        "darts.pipelines.auxiliary.tcvis.tcvis_staged",
        lambda footprints, path, *, year: [path.name == f"TCTrend{year}.icechunk" and year == 2019] * len(footprints),
    )
    plan = make_plan(run(offline=True), source_of(*refs), refs, layers=[TCVIS], loads=True)
    assert plan.layers["tcvis"] == {"second": 1}
    assert plan.chunks["tcvis"] == 1


def test_an_image_without_a_year_takes_the_newest_and_says_so_once(monkeypatch, caplog, tmp_path):
    loaded = []
    monkeypatch.setattr(
        "darts.pipelines.auxiliary.tcvis.load_tcvis",
        lambda *given, year, stage_with, **_: loaded.append((year, stage_with)),
    )
    for given in ({}, {"tcvis_year": 2022}, {"tcvis_dir": tmp_path / "TCTrend2019.icechunk"}):
        for year in (None, 2018):
            TCVIS.load(Request(run(**given), 10, tile(year)), None, bands=(), stage_with="darts prep-data")
    assert [record.getMessage() for record in caplog.records] == [
        "S2A: its year is not known, so the newest trends are read (2005-2024); --tcvis-year chooses others"
    ]
    assert [year for year, _ in loaded] == [2024, 2019, 2022, 2022, 2019, 2019]
    assert {said for year, said in loaded if year == 2022} == {"darts prep-data --tcvis-year 2022"}


@pytest.mark.parametrize(
    ("years", "given", "expected"),
    [
        ((2018, 2018), {}, None),
        ((2018, 2024, 2020), {}, "with saw 2019 and gets 2022 and 2024, both saw 2019 and 2024 and gets 2022"),
        ((2018, 2024), {"tcvis_year": 2019}, None),
        ((2024, 2024), {"tcvis_year": 2024}, "with saw 2019 and gets 2024"),
    ],
)
def test_one_line_says_that_models_saw_other_years(years, given, expected, caplog):
    inputs = {"with": {"tcvis_year": 2019}, "both": {"tcvis_year": [2019, 2024]}, "without": {"tcvis_year": 2019}}
    inputs |= {"silent": {}, "nonsense": {"tcvis_year": "2019"}}
    bands = {name: ["red"] if name == "without" else ["red", "tc_wetness", "slope"] for name in (*inputs, "unknown")}
    say_unseen(inputs, bands, Request(run(**given), 10), [tile(year) for year in years])
    said = [record.getMessage() for record in caplog.records]
    line = f"TCVIS of another tcvis_year than in training: {expected}; --tcvis-year chooses"
    assert said == ([] if expected is None else [line])


def test_of_a_cube_for_all_images_nothing_is_known(caplog, tmp_path):
    make_cube(tmp_path / "aux/tcvis.icechunk")
    inputs = {"with": {"tcvis_year": 2019}}
    say_unseen(inputs, {"with": ["tc_wetness"]}, Request(run(), 10), [tile(2024)])
    assert caplog.records == []
