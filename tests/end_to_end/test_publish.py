"""A publication: what is in it, who can read it, that it is the same again, and that it goes on next year."""

import html
import json
import re
import shutil
import sqlite3
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import geoparquet_validator
import numpy as np
import pandas as pd
import pystac
import pytest
import rasterio
import rio_cogeo
from prov.model import ProvDocument
from reviewed_world import YEARS as ALL_YEARS
from reviewed_world import make_reviewed_world, write_year

from darts.publish.about import read_about
from darts.publish.dictionary import TABLES
from darts.publish.facts import box_of
from darts.publish.working import Place, Wanted, publish_inventory
from darts.review.begin import review_of
from darts.review.places import Asked, DataPlaces
from darts.review.store import Said
from darts_export.publish.checking.catalogue import check_catalogue
from darts_postprocessing.inventory.build import build
from darts_utils.errors import ConfigError

N_SITES = 4
YEARS = ALL_YEARS[-2:]
"""Mosaics of five take their time; `tests/browser/test_review_page.py` has such a world."""
ABOUT = """
title = "Slumps of a <b>coast</b>"
description = "What five summers show."
licence = "CC-BY-4.0"
licence_url = "https://creativecommons.org/licenses/by/4.0/"
publisher = "Our archive"
published = 2026-11-28
limits = "Nobody was there."
keywords = ["permafrost"]
[[creators]]
name = "Doe, Jane"
orcid = "0000-0002-1825-0097"
affiliation = "Our institute"
[[creators]]
name = "Our group"
organisation = true
[[related]]
identifier = "10.1234/abcd"
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A world of which people reviewed half."""
    world = make_reviewed_world(tmp_path_factory.mktemp("made"), N_SITES, YEARS)
    review, truth = review_of(world.inventory, None, Asked()), world.truth()
    for question in review.open_questions()[:9]:
        verdict = "slump" if truth[question.slump_id] else "not"
        review.answer(question.id, Said(reviewer="Ann <i>", verdict=verdict, reviewed_at="2026-11-01T10:00:00+00:00"))
    from darts.inventory.judging import bring_verdicts

    bring_verdicts(world.inventory)
    (world.output.parent / "about.toml").write_text(ABOUT)
    return world


def publish(world, out, workers=1, pictures=3, mosaic="polar"):
    place = Place(
        inventory=world.inventory,
        out=out,
        roots=[world.output],
        data=DataPlaces(),
        about=world.output.parent / "about.toml",
        evaluation=None,
    )
    publish_inventory(place, Wanted(mosaic=mosaic, models=True, pictures=pictures, workers=workers))


@pytest.fixture(scope="module")
def catalogue(made):
    out = made.output.parent / "catalogue"
    publish(made, out)
    return out


@pytest.fixture
def world(made, tmp_path):
    """A world that may be changed."""
    shutil.copytree(made.output, tmp_path / "output")
    shutil.copy(made.output.parent / "about.toml", tmp_path)
    return replace(made, output=tmp_path / "output", inventory=tmp_path / "output" / "inventory")


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_it_is_as_it_says_to_our_own_check(catalogue):
    assert check_catalogue(catalogue) == []


def test_stac_clients_find_mosaics_models_and_layers(catalogue):
    root = pystac.Catalog.from_file(str(catalogue / "catalog.json"))
    maps, models = sorted(root.get_children(), key=lambda one: "model" in one.id)
    items = list(maps.get_items())
    assert {item.properties["darts:year"] for item in items} == set(YEARS)
    (of_last,) = [item for item in items if item.properties["darts:year"] == YEARS[-1]]
    assert set(of_last.assets) == {"probability", "looks"}
    assert of_last.properties["processing:level"] == "L4"
    assert of_last.common_metadata.start_datetime.isoformat() == "2024-07-20T20:09:09+00:00"
    (model,) = models.get_items()
    assert model.properties["mlm:name"] == "demo_without_tcvis"
    assert (
        model.assets["weights" if "weights" in model.assets else next(iter(model.assets))].extra_fields["file:size"] > 0
    )
    links = [link.href for link in of_last.links if link.rel == "derived_from"]
    assert any(link.endswith("demo_without_tcvis.json") for link in links)
    assert any("stac.dataspace.copernicus.eu" in link for link in links)
    assert {"slumps", "tracks", "geopackage", "qgis", "factsheet"} <= set(maps.assets)


def test_rasters_and_tables_are_valid_to_others(catalogue):
    rasters = sorted((catalogue / "mosaics").rglob("*.tif"))
    assert len(rasters) == 2 * len(YEARS)
    for file in rasters:
        is_valid, errors, warnings = rio_cogeo.cog_validate(file, strict=True, quiet=True)
        assert (is_valid, errors, warnings) == (True, [], []), file
    tables = [file for file in catalogue.rglob("*.parquet") if "sums" not in file.parts]
    assert len(tables) > 8
    for file in tables:
        assert geoparquet_validator.failed(geoparquet_validator.check(str(file))) == [], file
    subprocess.run(["sha256sum", "-c", "--quiet", "checksums.sha256"], cwd=catalogue, check=True)


def test_a_mosaic_shows_the_probabilities_of_its_year(made, catalogue):
    (tile,) = made.output.glob("S2B_MSIL2A_2024*")
    (file,) = (catalogue / "mosaics" / "2024").glob("probability-*.tif")
    with rasterio.open(tile / "probabilities.tif") as source, rasterio.open(file) as mosaic:
        rows, columns = np.nonzero(source.read(1) == 90)
        some = slice(None, None, 37)
        xs, ys = rasterio.transform.xy(source.transform, rows[some], columns[some])
        moved = rasterio.warp.transform(source.crs, mosaic.crs, xs, ys)
        found = np.array([value[0] for value in mosaic.sample(zip(*moved, strict=True))])
    assert (found == 90).mean() > 0.7, "resampling moves borders by half a pixel, and most slumps are small"


def test_layers_hold_every_slump_with_its_verdict(made, catalogue):
    slumps = gpd.read_parquet(catalogue / "layers" / "slumps.parquet")
    own = gpd.read_parquet(made.inventory / "slumps")
    assert len(slumps) == len(own)
    assert (
        slumps["verdict"].notna().sum() == 9 - slumps["verdict"].isna().sum() * 0 or slumps["verdict"].notna().sum() > 5
    )
    assert set(slumps["reviewer"].dropna()) == {"Ann <i>"}
    with sqlite3.connect(catalogue / "layers" / "darts.gpkg") as package:
        styled = {row[0] for row in package.execute("SELECT f_table_name FROM layer_styles")}
    assert {"slumps", "tracks", "changes", "verdicts"} <= styled
    with zipfile.ZipFile(catalogue / "darts.qgz") as archive:
        project = archive.read("darts.qgs").decode()
    assert "./layers/darts.gpkg|layername=slumps" in project
    assert "./mosaics/2024/probability-2024-" in project
    assert "/tmp/" not in project


def test_every_column_is_in_the_dictionary_and_nothing_else(catalogue):
    readme = (catalogue / "README.md").read_text()
    for table, columns in TABLES.items():
        files = sorted((catalogue / "inventory" / table).rglob("*.parquet"))
        assert files, table
        names = set(pd.read_parquet(files[0]).columns) - {"geometry", "bbox"}
        assert names <= set(columns), table
        assert all(f"| `{name}` |" in readme for name in names)


def test_citation_and_provenance_say_who_and_from_what(made, catalogue):
    cited = json.loads((catalogue / "datacite.json").read_text())
    assert cited["titles"][0]["title"] == "Slumps of a <b>coast</b>"
    assert [one["name"] for one in cited["creators"]] == ["Doe, Jane", "Our group"]
    assert cited["publicationYear"] in (2026, "2026")
    told = ProvDocument.deserialize(content=(catalogue / "provenance.json").read_text(), format="json")
    words = told.get_provn()
    for image in made.output.glob("S2B*"):
        assert image.name in words
    for told_of in ("Ann", "Doe, Jane", "demo_without_tcvis", "arcticdem 4.1", "overlap"):
        assert told_of in words, told_of


def test_pages_for_people_show_markup_as_text_and_name_the_credits(catalogue):
    sheet = (catalogue / "factsheet.html").read_text()
    assert html.escape("Slumps of a <b>coast</b>") in sheet
    assert "<b>coast" not in sheet
    assert "Contains modified Copernicus Sentinel data 2023 to 2024." in sheet
    assert "Porter et al. (2023)" in sheet
    assert "Nobody was there." in sheet
    assert "Review not finished: 9 of 17 questions are answered" in sheet
    assert re.search(r"<th scope=\"row\">all</th>.*<td>not told: \d open</td>", sheet)
    readme = (catalogue / "README.md").read_text()
    assert "is not finished: 9 of 17 questions are answered" in readme
    assert "Doe, Jane; Our group (2026): Slumps of a <b>coast</b>, version 1.0. Our archive." in readme
    assert "high from 0.850, low from 0.550, medium from 0.700" in readme


def test_nothing_of_this_machine_is_in_it(made, catalogue):
    for name, content in contents(catalogue).items():
        assert str(made.output.parent).encode() not in content, name
    assert not [
        name for name in contents(catalogue) if "sqlite" in name or ".parts" in name or name.endswith(".aux.xml")
    ]


def test_equal_input_gives_an_equal_catalogue_and_again_changes_nothing(world, catalogue, tmp_path):
    out = tmp_path / "again"
    publish(world, out)
    assert contents(out) == contents(catalogue)
    before = {
        path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and path.name != "checksums.sha256"
    }
    publish(world, out)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_another_year_changes_only_what_changed_and_ids_go_on(world, catalogue, tmp_path, capsys):
    out = tmp_path / "next"
    shutil.copytree(catalogue, out)
    before = contents(out)
    write_year(world, N_SITES, 2025)
    tiles = [path for path in world.output.iterdir() if path.name.startswith("S2B")]
    inventory = tmp_path / "inventory"
    from darts.inventory.commands import build_inventory

    build_inventory(*tiles, out=inventory, continue_from=catalogue, workers=1)  # by its published catalogue alone
    assert "9 verdicts came along. Figures: `darts inventory verdicts" in capsys.readouterr().out.replace("\n", " ")
    publish(replace(world, inventory=inventory), out)
    after = contents(out)
    assert check_catalogue(out) == []
    same = {name for name, content in before.items() if after.get(name) == content}
    for year in YEARS:
        for what in ("probability", "looks"):
            assert any(name.startswith(f"mosaics/{year}/{what}-") for name in same), year
        assert any(name.startswith(f"stac/map/{year}-") for name in same)
        assert any(name.startswith(f"inventory/objects/{year}/") for name in same)
    assert any(name.startswith("mosaics/2025/") for name in after)
    assert {name for name in before if name.startswith("models/")} <= same
    old, new = (gpd.read_parquet(folder / "layers" / "slumps.parquet") for folder in (catalogue, out))
    assert set(old["slump_id"]) == set(new.loc[new["year"] < 2025, "slump_id"])
    assert set(new.loc[new["year"] == 2025, "slump_id"]) & set(old["slump_id"])


def test_a_catalogue_is_an_inventory_that_is_not_changed(catalogue, made, tmp_path, darts):
    before = contents(catalogue)
    assert darts("inventory", "show", catalogue, "--out", tmp_path / "pictures").returncode == 0
    assert darts("inventory", "export", catalogue, "--out", tmp_path / "own.gpkg").returncode == 0
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, out in ((catalogue, one), (made.inventory, two)):
        result = darts("inventory", "density", folder, "--no-by-region", "--workers", 1, "--out", out)
        assert result.returncode == 0
    assert (one / "latitudes.csv").read_bytes() == (two / "latitudes.csv").read_bytes()
    assert (
        darts("inventory", "evaluate", catalogue, made.inventory, "--year", 2024, "--out", tmp_path / "e").returncode
        == 0
    )
    for command in (("inventory", "track"), ("review",), ("inventory", "verdicts")):
        result = darts(*command, catalogue)
        assert result.returncode == 2
        assert "is published, and what is published stays as it is" in result.stderr
    assert contents(catalogue) == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "no inventory is named. Type: darts publish INVENTORY --out CATALOGUE"),
        (["inventory"], "it is not said where to. Type: darts publish INVENTORY --out CATALOGUE"),
        (["nowhere", "--out", "new"], "nowhere is no inventory"),
        (["inventory", "--out", "inventory"], "the inventory lies in inventory"),
        (["inventory", "--out", "."], "the inventory lies in ."),
        (["inventory", "--out", "others"], "others has other things in it than a catalogue"),
        (["inventory", "--out", "new", "--pictures", "-1"], "pictures is -1 but must not be negative"),
        (["inventory", "--out", "new", "--evaluation", "nowhere"], "there is no nowhere"),
        (["inventory", "--out", "new", "--about", "nowhere.toml"], "nowhere.toml cannot be read"),
        (["inventory", "--out", "new", "--check", "."], "check takes a catalogue"),
        (["--check", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_what_cannot_be_published_is_said(world, darts, monkeypatch, given, said):
    monkeypatch.chdir(world.output)
    (world.output / "others").mkdir()
    (world.output / "others" / "thesis.txt").write_text("mine")
    result = darts("publish", *given)
    assert result.returncode in (1, 2)
    assert said in result.stderr.replace("\n", " ")
    assert (world.output / "others" / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("found", ["results", "catalogue"])
def test_results_and_catalogues_of_others_are_no_place_for_a_catalogue(world, tmp_path, found):
    other = tmp_path / "other"
    if found == "results":  # they hold an inventory, too, with the only copy of what people said
        shutil.copytree(world.output, other)
        (other / "inventory" / "review.sqlite").write_text("years of work")
    else:
        other.mkdir()
        (other / "catalog.json").write_text('{"type": "Catalog", "id": "of somebody else"}')
    before = contents(other)
    with pytest.raises(ConfigError, match="has other things in it than a catalogue"):
        publish(world, other, pictures=0, mosaic="none")
    assert contents(other) == before


def test_a_check_says_what_is_wrong(catalogue, darts, tmp_path):
    assert darts("publish", "--check", catalogue).returncode == 0
    shutil.copytree(catalogue, tmp_path / "copy")
    (tmp_path / "copy" / "mosaics" / "2024").rename(tmp_path / "copy" / "mosaics" / "2026")
    (tmp_path / "copy" / "factsheet.html").write_text("changed")
    result = darts("publish", "--check", tmp_path / "copy")
    assert result.returncode == 1
    assert "factsheet.html" in result.stdout
    assert "mosaics/2024/probability-2024" in result.stdout
    assert "faults in" in result.stderr


def test_a_publication_that_was_killed_does_not_look_whole(world, tmp_path, monkeypatch):
    out = tmp_path / "killed"
    monkeypatch.setattr("darts.publish.working.write_stac", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        publish(world, out, pictures=0, mosaic="none")
    assert not (out / "checksums.sha256").exists()
    assert check_catalogue(out)
    monkeypatch.undo()
    publish(world, out, pictures=0, mosaic="none")
    assert check_catalogue(out) == []


def test_without_tiles_it_is_published_without_mosaics(world, tmp_path, darts, monkeypatch):
    inventory = tmp_path / "alone"
    shutil.copytree(world.inventory, inventory)
    for tile in world.output.glob("S2B*"):
        (tile / "probabilities.tif").unlink()
    result = darts(
        "publish",
        inventory,
        "--tiles",
        world.output,
        "--out",
        tmp_path / "bare",
        "--no-models",
        "--pictures",
        "0",
        "--workers",
        "1",
    )
    assert result.returncode == 0
    assert "2 tiles without probabilities.tif: not in mosaics" in result.stdout
    for said in ("creators", "description", "publisher", "licence"):
        assert f"It is not said: {said}." in result.stdout
    assert check_catalogue(tmp_path / "bare") == []
    assert not (tmp_path / "bare" / "models").exists() or not list((tmp_path / "bare" / "models").iterdir())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("titel = 'x'", "titel in .*about.toml is not known.* Did you mean title"),
        ("title = 5", "title in .* is 5, but must be text"),
        ("published = 'soon'", "published in .* must be a day such as 2026-11-28"),
        ("keywords = 'a'", "keywords in .* must be a list of texts"),
        ("creators = 'me'", r"creators in .* is one value. Begin each with \[\[creators\]\]"),
        ("creators = ['me']", r"creators in .* is no table. Begin each with \[\[creators\]\]"),
        ("[[creators]]\norcid = '1'", "an entry of creators in .* has no name"),
        ("[[creators]]\nname = 'a'\norcit = '1'", "creators.orcit in .* is not known"),
        ("title = ", "cannot be read"),
    ],
)
def test_what_people_say_of_it_is_checked(tmp_path, text, said):
    file = tmp_path / "about.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_about(file)


def test_who_publishes_maps_of_planet_is_told_once_that_the_contract_counts(world, tmp_path, capsys):
    for record in world.output.rglob("darts_inference.json"):
        record.write_text(record.read_text().replace('"sentinel2"', '"planet"'))
    publish(world, tmp_path / "of_planet", pictures=0, mosaic="none")
    assert capsys.readouterr().out.count("says your contract with Planet") == 1
    assert "PlanetScope images by Planet Labs PBC" in (tmp_path / "of_planet" / "README.md").read_text()


def test_a_box_across_the_antimeridian_is_narrow():
    assert box_of([[170, 60, 180, 70], [-180, 61, -170, 72]]) == (170, 60, -170, 72)
    assert box_of([[-140, 60, -130, 70], [-120, 61, -110, 72]]) == (-140, 60, -110, 72)


def test_a_copy_of_a_catalogue_can_be_reviewed_added_up_and_tracked(catalogue, tmp_path, darts):
    inventory = tmp_path / "copy"
    shutil.copytree(catalogue / "inventory", inventory)
    review = review_of(inventory, None, Asked())
    for question in review.open_questions():
        review.answer(question.id, Said(reviewer="Ben", verdict="slump"))
    assert darts("inventory", "verdicts", inventory).returncode == 0
    ids = set(gpd.read_parquet(inventory / "slumps")["slump_id"])
    for command in (
        ("density", "--no-by-region", "--out", tmp_path / "density"),
        ("track",),
        ("density", "--no-by-region"),
    ):
        result = darts("inventory", command[0], inventory, *command[1:], "--workers", "1")
        assert result.returncode == 0, result.stderr
    assert set(gpd.read_parquet(inventory / "slumps")["slump_id"]) == ids
    assert len(gpd.read_parquet(inventory / "verdicts")) == 9 + 17


def test_building_again_from_a_copy_keeps_what_was_published(catalogue, made, tmp_path):
    again = build([made.output], tmp_path / "again")
    ids = set(gpd.read_parquet(again.folder / "slumps")["slump_id"])
    assert ids == set(gpd.read_parquet(Path(catalogue) / "inventory" / "slumps")["slump_id"])
