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
import shapely
from prov.model import ProvDocument
from reviewed_world import YEARS as ALL_YEARS
from reviewed_world import make_reviewed_world, write_year

from darts.publish.about import read_about
from darts.publish.dictionary import TABLES
from darts.publish.figures import figures_of
from darts.publish.identifiers import with_plain_identifiers
from darts.publish.project import extent_of
from darts.publish.sources import credits_of, tiles_at_hand
from darts.publish.vectors import judged_slumps
from darts.publish.working import Place, Wanted, publish_inventory
from darts.review.begin import review_of
from darts.review.places import Asked, DataPlaces
from darts.review.store import Said
from darts_export.publish.checking.catalogue import check_catalogue
from darts_export.publish.checksums import write_checksums
from darts_export.publish.looks import finest_pixel_m
from darts_export.publish.stac.extent import box_of
from darts_postprocessing.inventory.build import build
from darts_postprocessing.inventory.said import read_said
from darts_utils.errors import ConfigError, DartsError

N_SITES = 4
COARSER = 3
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


@pytest.fixture(scope="module", autouse=True)
def coarse_mosaics():
    """Mosaics of a third as fine pixels: a ninth of the time."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr("darts.publish.working.finest_pixel_m", lambda looks: COARSER * finest_pixel_m(looks))
        yield


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
        assert mosaic.res == (COARSER * source.res[0],) * 2
        values = mosaic.read(1)
        rows, columns = np.nonzero(values != 255)
        moved = rasterio.warp.transform(mosaic.crs, source.crs, *rasterio.transform.xy(mosaic.transform, rows, columns))
        found = np.array([value[0] for value in source.sample(zip(*moved, strict=True))])
        seen_km2 = (source.read(1) != 255).sum() * source.res[0] ** 2 / 1e6
    assert len(rows) * mosaic.res[0] ** 2 / 1e6 == pytest.approx(seen_km2, rel=0.02)
    assert (values[rows, columns] == 90).sum() > 50
    assert (found == values[rows, columns]).all()


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
    methods = next(one["description"] for one in cited["descriptions"] if one["descriptionType"] == "Methods")
    assert methods.startswith("Satellite images were segmented by a neural network;")
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


def test_equal_input_gives_an_equal_catalogue_and_again_changes_nothing(
    world, catalogue, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "again"
    monkeypatch.setattr("darts.utils.terminal._BETWEEN_S", 0)
    publish(world, out)
    said = capsys.readouterr().out.splitlines()
    steps = ["Layers", "Mosaics", "mosaics: 1 of 2", "Pictures", "pictures: 1 of 3", "Map"]
    assert [line for line in said if line in steps] == steps
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
        (["inventory", "--out", "new", "--evaluation", "nowhere"], "there is no folder nowhere"),
        (["inventory", "--out", "new", "--about", "nowhere.toml"], "there is no file nowhere.toml"),
        (["inventory", "--out", "new", "--check", "."], "check takes a catalogue"),
        (["inventory", "--out", "new", "--tiles", "inventory"], "Name the results folders of the runs with --tiles"),
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


def test_a_check_finds_what_is_lacking_also_when_checksums_are_written_anew(catalogue, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(catalogue, copy)
    (copy / "README.md").unlink()
    for folder in ("inventory/slumps", "data", "pictures"):
        shutil.rmtree(copy / folder)
    next((copy / "inventory" / "looks").rglob("*.parquet")).unlink()
    write_checksums(copy)
    found = {(one.file, one.what.split(" that leads")[0]) for one in check_catalogue(copy)}
    collection = "stac/map/collection.json"
    lacking = ("readme, ../../README.md,", "folder-slumps, ../../inventory/slumps/,", "folder-map-data, ../../data/,")
    assert {(collection, f"has an asset {one}") for one in lacking} <= found
    assert (collection, "has an asset folder-pictures, ../../pictures/,") in found
    assert ("inventory/looks", f"has {len(YEARS) - 1} file, where {len(YEARS)} are told of") in found


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


def test_what_is_not_at_hand_is_said_and_a_year_without_slumps_is_a_year(catalogue, world, tmp_path, darts):
    inventory, out = tmp_path / "alone", tmp_path / "bare"
    shutil.copytree(catalogue / "inventory", inventory)
    shutil.rmtree(inventory / "slumps" / str(YEARS[-1]))
    (looks,) = (inventory / "looks" / str(YEARS[0])).iterdir()
    gpd.read_parquet(looks).assign(sensor="planet").to_parquet(looks)
    first, last = sorted(world.output.glob("S2B*"))
    (tracks,) = (inventory / "tracks").iterdir()
    table = gpd.read_parquet(tracks).assign(growth_m2_per_year=-0.3)
    table.loc[0, "merged_into"] = table["slump_id"].iloc[1]
    table.to_parquet(tracks)
    rows = [("all", 0.9, 0.8, 0.95), ("size:<500", None, None, None), ("size:>20000", 0.7, None, None)]
    scores = [
        {"group": group, "score": "f1", "iou": 0.5, "value": value, "low": low, "high": high}
        for group, value, low, high in rows
    ]
    said = {"year": 2024, "n_predictions": 3, "n_references": 4, "scores": scores}
    (tmp_path / "scores.json").write_text(json.dumps(said))
    (first / "probabilities.tif").unlink()
    shutil.copy(first / "prediction_segments.parquet", last)  # as if it was mapped again
    result = darts(
        "publish", inventory, "--tiles", world.output, "--out", out, "--no-models", "--pictures", 0, "--workers", 1,
        "--evaluation", tmp_path,
    )  # fmt: skip
    assert result.returncode == 0
    assert "1 tile without probabilities.tif: not in mosaics" in result.stdout
    assert f"1 tile such as {last} has other results than the inventory was made of: not in mosaics." in result.stdout
    assert result.stdout.count("says your contract with Planet") == 1
    for said in ("creators", "description", "publisher", "licence"):
        assert f"It is not said: {said}." in result.stdout
    for step in ("Inventory and tiles", "Figures", "Layers", "Mosaics", "Pictures", "Map", "Metadata", "Checksums"):
        assert f"\n{step}\n" in result.stdout
    assert check_catalogue(out) == []
    assert not list((out / "models").glob("*"))
    readme, sheet = (out / "README.md").read_text(), (out / "factsheet.html").read_text()
    assert "PlanetScope images by Planet Labs PBC" in readme
    assert "Contains modified Copernicus Sentinel data" in readme
    assert "<dt>slumps in 2024</dt><dd>0</dd>" in sheet
    assert "No slump was found in 2024." in sheet
    assert f"<dd>{len(table) - 1} <small>and 1 more that merged into others</small></dd>" in sheet
    assert f"{len(table) - 1} slumps over all years, and 1 more that merged into others" in readme
    assert f"the growth is known of {len(table) - 1}: median 0 m² a year, half of them between 0 and 0." in sheet
    assert "size:&lt;500" not in sheet
    assert "<td>0.90</td><td>0.80 to 0.95</td>" in sheet
    assert "<td>0.70</td><td></td>" in sheet
    assert '"years":[2023,2024]' in (out / "index.html").read_text()
    told = json.loads((out / "provenance.json").read_text())["entity"]
    assert {f"darts:image-{tile.name}" for tile in (first, last)} <= set(told)


def test_tiles_that_were_mapped_again_are_not_those_of_the_inventory(world, tmp_path):
    first, last = sorted(world.output.glob("S2B*"))
    for file in first.iterdir():
        file.touch()  # as a copy has another time
    said = read_said(world.inventory)
    tiles, others = tiles_at_hand([world.output], said, are_needed=True)
    assert ([one.facts.folder for one in tiles], others) == ([first, last], [])
    slumps = last / "prediction_segments.parquet"
    gpd.read_parquet(slumps).iloc[1:].to_parquet(slumps)
    tiles, others = tiles_at_hand([world.output], said, are_needed=True)
    assert ([one.facts.folder for one in tiles], [one.folder for one in others]) == ([first], [last])
    of_old = replace(said, counted=replace(said.counted, results={}))
    assert len(tiles_at_hand([world.output], of_old, are_needed=True)[0]) == 2
    by_others = replace(of_old, counted=replace(of_old.counted, images=[(one, "x") for one, _ in said.counted.images]))
    assert tiles_at_hand([world.output], by_others, are_needed=True)[0] == []


def test_all_sensors_of_the_inventory_are_credited_and_layers_of_the_tiles_at_hand(world):
    said = read_said(world.inventory)
    tiles, _ = tiles_at_hand([world.output], said, are_needed=True)
    assert [one.data for one in credits_of(tiles, {"planet"}, said)] == ["PlanetScope", "ArcticDEM"]
    assert [one.data for one in credits_of([], {"planet", "sentinel2"}, said)] == ["Sentinel-2", "PlanetScope"]


def test_figures_are_of_all_years_of_the_inventory(made):
    slumps, tracks = gpd.read_parquet(made.inventory / "slumps"), gpd.read_parquet(made.inventory / "tracks")
    tracks.loc[tracks.index[:2], "merged_into"] = "x"
    tracks.loc[tracks.index[2:4], "growth_m2_per_year"] = None
    figures = figures_of(made.inventory, slumps, tracks, {2022: 1.0, 2023: 1.0, 2024: 1.0, 2025: 1.0}, None)
    assert [(row["year"], row["n"] > 0) for row in figures.by_year] == [
        (2022, False), (2023, True), (2024, True), (2025, False),
    ]  # fmt: skip
    assert sum(row["n"] for row in figures.by_size) == 0
    assert (figures.n_slumps, figures.n_merged) == (len(tracks) - 2, 2)
    kept = tracks.iloc[2:]
    assert figures.growth["n_seen_again"] == (kept["n_years"] >= 2).sum()
    assert figures.growth["n"] == kept["growth_m2_per_year"].notna().sum()


REFUSED = {
    "slumps": (None, None, "has no slumps, so there is nothing to publish"),
    "DOI": ("doi = 'ten'", None, "doi in .* is 'ten', but must be one such as"),
    "names": ("[[creators]]\nname = 'A'\n[[creators]]\nname = 'A'", None, "A is named twice among creators"),
    "year": ("published = 0999-01-01", None, "the year of publication is 999, but four digits are needed"),
    "no evaluation": ("", "nowhere", "there is no folder .*nowhere. Correct --evaluation"),
    "no scores": ("", "empty", "there is no .*scores.json. Make it with `darts inventory evaluate`"),
    "other scores": ("", "other", "scores.json is no file of scores"),
    "about": (..., None, "there is no file .*other.toml. Correct --about"),
}


def test_what_is_refused_leaves_a_catalogue_as_it_was(world, catalogue, tmp_path, monkeypatch):
    out, about = tmp_path / "published", tmp_path / "other.toml"
    shutil.copytree(catalogue, out)
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "scores.json").write_text('{"scores": [{"group": "all"}]}')
    before = contents(out)
    for text, evaluation, said in REFUSED.values():
        about.unlink(missing_ok=True)
        if text is not ...:
            about.write_text(text or "")
        place = Place(
            inventory=world.inventory, out=out, roots=[world.output], data=DataPlaces(), about=about,
            evaluation=None if evaluation is None else tmp_path / evaluation,
        )  # fmt: skip
        if text is None:
            monkeypatch.setattr("darts.publish.working.judged_slumps", lambda inventory: judged_slumps(inventory)[:0])
        with pytest.raises(DartsError, match=said):
            publish_inventory(place, Wanted(mosaic="none", models=False, pictures=0, workers=1))
        monkeypatch.undo()
        assert contents(out) == before, said
    next(world.output.glob("*/probabilities.tif")).write_bytes(b"II*\0 and no more")
    with pytest.raises(DartsError, match=r"probabilities.tif"):
        publish(world, out)
    assert contents(out) == before


@pytest.mark.parametrize("name", ["inventory/slumps/cat", "inventory/cat"])
def test_a_catalogue_in_an_inventory_is_refused(world, name):
    before = contents(world.output)
    with pytest.raises(ConfigError, match=r"lies in the inventory\. Give the catalogue a folder outside of it"):
        publish(world, world.output / name, pictures=0, mosaic="none")
    assert contents(world.output) == before


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


IDENTIFIERS = {
    "doi": ("doi = '10.12/x'", "doi in .*about.toml is '10.12/x', but must be one such as 10.5281/zenodo.123"),
    "orcid": ("[[creators]]\nname='A'\norcid='0000-0002-1825-0098'", "orcid of A in .* whose digits do not fit"),
    "relation": ("[[related]]\nidentifier='10.1234/a'\nrelation='IsDocumentedby'", "Did you mean IsDocumentedBy"),
    "identifier": (
        "[[related]]\nidentifier='https://a b'",
        "related.identifier in .* is 'https://a b', but must be a DOI",
    ),
    "licence": ("licence = 'CC BY 4.0'", "licence in .* is 'CC BY 4.0', which is no identifier of SPDX"),
    "address": ("licence = 'ours'\nlicence_url = 'terms.txt'", "licence_url in .* is 'terms.txt', not an address"),
}


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_what_would_not_be_valid_is_said_before_anything_is_written(tmp_path, name):
    text, said = IDENTIFIERS[name]
    (tmp_path / "about.toml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        with_plain_identifiers(read_about(tmp_path / "about.toml"), "about.toml")


def test_identifiers_may_be_addresses_and_a_licence_may_be_ones_own(tmp_path):
    (tmp_path / "about.toml").write_text(
        "doi = 'https://doi.org/10.1234/a'\nlicence = 'Ours'\nlicence_url = 'https://example.org'\n"
        "[[creators]]\nname = 'A'\norcid = 'https://orcid.org/0000-0002-1825-0097'\n"
        "[[related]]\nidentifier = 'doi:10.1234/b'\n[[related]]\nidentifier = 'https://example.org/c'"
    )
    about = with_plain_identifiers(read_about(tmp_path / "about.toml"), "about.toml")
    assert (about.doi, about.licence, about.creators[0].orcid) == ("10.1234/a", "Ours", "0000-0002-1825-0097")
    assert [one.identifier for one in about.related] == ["10.1234/b", "https://example.org/c"]
    assert with_plain_identifiers(replace(about, licence="cc-by-4.0"), "").licence == "CC-BY-4.0"


def test_boxes_across_the_antimeridian_are_narrow_and_extents_of_projects_are_no_strips():
    cut = [
        shapely.MultiPolygon([shapely.box(178, 66, 180, 68), shapely.box(-180, 66, west, 68)]) for west in (-179, -177)
    ]
    assert box_of(np.array(cut)) == [178, 66, -177, 68]
    assert box_of(np.array([shapely.box(-140, 60, -130, 70), shapely.box(-120, 61, -110, 72)])) == [-140, 60, -110, 72]
    for box, middle in (((178, 66, -177, 68), 180.5), ((-180, 60, 180, 70), 135)):
        left, bottom, right, top = extent_of(box)
        assert min(right - left, top - bottom) > 200_000
        assert (max(right - left, top - bottom) < 500_000) == (box[0] > box[2])
        point = gpd.GeoSeries.from_xy([middle], [box[1]], crs="EPSG:4326").to_crs("EPSG:3413")[0]
        assert left - 2000 < point.x < right + 2000
        assert bottom - 2000 < point.y < top + 2000


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


def test_tiles_of_the_new_year_alone_are_no_inventory_of_all_years_and_that_is_said(catalogue, made, tmp_path, darts):
    (last,) = made.output.glob(f"S2B_MSIL2A_{YEARS[-1]}*")
    told = "The inventory that is continued has 2023, and these tiles have not"
    how = ("--continue", catalogue, "--workers", 1)
    assert told in darts("inventory", "build", last, "--out", tmp_path / "one", *how).stdout
    assert told not in darts("inventory", "build", made.output, "--out", tmp_path / "all", *how).stdout
    assert told not in darts("inventory", "build", last, "--out", tmp_path / "new", "--workers", 1).stdout


def test_building_again_from_a_copy_keeps_what_was_published(catalogue, made, tmp_path):
    again = build([made.output], tmp_path / "again")
    ids = set(gpd.read_parquet(again.folder / "slumps")["slump_id"])
    assert ids == set(gpd.read_parquet(Path(catalogue) / "inventory" / "slumps")["slump_id"])
