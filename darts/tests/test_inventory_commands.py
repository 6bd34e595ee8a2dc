"""What a user is told about an inventory of two years: bad data, wrong usage, folders that cannot be written to."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from matplotlib.figure import Figure

from darts.inventory import pictures
from darts.inventory.boundaries import windows_around
from darts.inventory.pictures import size_figure
from darts_postprocessing.inventory.build import build

WHERE = (412_340, 7_774_560)
AROUND = shapely.box(WHERE[0], WHERE[1], WHERE[0] + 3000, WHERE[1] + 3000)
YEARS = (2023, 2024)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """An inventory of one slump, of two images."""
    folder = tmp_path_factory.mktemp("built")
    for year in YEARS:
        tile = folder / "tiles" / f"S2B_MSIL2A_{year}0720T200909_N0510_R128_T08WNB_{year}0720T234418"
        tile.mkdir(parents=True)
        said = {"DARTS_tile_id": tile.name, "acquired": f"{year}-07-20", "DARTS_models": "coast ab"}
        (tile / "darts_inference.json").write_text(json.dumps(said))
        slump = shapely.box(WHERE[0] + 500, WHERE[1] + 500, WHERE[0] + 600 + year - 2000, WHERE[1] + 600)
        columns = {
            "mean": [80.0],
            "max": [95.0],
            "npixel": [100],
            "cut": [False],
            "area_m2": [slump.area],
            "features_missing": [0.0],
        }
        gpd.GeoDataFrame(columns, geometry=[slump], crs="EPSG:32608").to_parquet(tile / "prediction_segments.parquet")
        for name in ("observed", "extent"):
            seen = gpd.GeoDataFrame({"a": [1]}, geometry=[AROUND], crs="EPSG:32608")
            seen.to_parquet(tile / f"prediction_{name}.parquet")
    build([folder / "tiles"], folder / "inventory")
    return folder / "inventory"


@pytest.fixture
def inventory(built, tmp_path):
    shutil.copytree(built, tmp_path / "inventory")
    return Path("inventory")


def slumps_of(inventory, year=2024):
    slumps = gpd.read_parquet(inventory / "slumps")
    return slumps[slumps["year"] == year].drop(columns="geometry_majority")


def refused(result, status, *words):
    code, _, err = result
    assert code == status, err
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err
    assert "not foreseen" not in err
    assert ".part-" not in err


def test_years_that_are_text_are_one_line(darts, inventory):
    slumps_of(inventory).assign(year="x").to_parquet("x.parquet")
    refused(
        darts("inventory", "build", "inventory", "--continue", "x.parquet"), 1, "x.parquet has the year x, but years"
    )
    slumps_of(inventory).assign(year="2024-07-01").to_parquet("day.parquet")
    asked = ("inventory", "evaluate", inventory, "day.parquet", "--year", 2024)
    refused(darts(*asked), 1, "day.parquet has the year 2024-07-01, but years")
    assert not Path("evaluation").exists()


def test_rows_of_a_reference_without_a_year_are_counted(darts, inventory):
    reference = slumps_of(inventory)
    doubled = pd.concat([reference, reference.assign(year=pd.NA)])
    doubled.astype({"year": "Int64"}).to_parquet("some.parquet")
    code, out, err = darts("inventory", "evaluate", inventory, "some.parquet", "--year", 2024)
    assert (code, err) == (0, "")
    assert "1 of 2 rows of some.parquet have no year, and are left out." in " ".join(out.split())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--at", "nan", 69), "at is nan 69 but must be a longitude from -180 to 360 and a latitude from 0 to 90."),
        (("--at", 10, 95), "at is 10 95 but"),
        (("--at", 69, -132), "a latitude from 0 to 90. Longitude first."),
        *((("--width-m", width), f"width_m is {width} but must be above 0") for width in ("0", "-5", "nan", "1e+09")),
    ],
)
def test_places_and_widths_that_are_none_are_one_line(darts, inventory, given, words):
    refused(darts("inventory", "show", inventory, *given), 2, words)
    assert not Path("pictures").exists()


@pytest.mark.parametrize("layer", ["slumps", "tracks", "looks"])
@pytest.mark.parametrize("command", ["export", "show"])
def test_a_damaged_part_is_one_line(darts, inventory, layer, command):
    part = next((inventory / layer).rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:200])
    result = darts("inventory", command, inventory)
    if (command, layer) == ("export", "looks"):  # which it does not need
        assert result[0] == 0
    else:
        refused(result, 1, f"inventory/{layer} cannot be read (", "Build the inventory again.")


@pytest.mark.parametrize(
    "command", [["export"], ["show"], ["density", "--no-by-region"], ["evaluate", "inventory", "--year", "2024"]]
)
def test_an_inventory_that_is_half_changed_is_refused(darts, inventory, command):
    said = json.loads((inventory / "inventory.json").read_text())
    (inventory / "inventory.json").write_text(json.dumps({**said, "unfinished": "build"}))
    name, *options = command
    made = darts("inventory", name, inventory, *options)
    refused(made, 1, "is half changed: `darts inventory build` was stopped or failed. Run it again to the end.")


def test_outlines_that_are_no_degrees_are_damage(darts, inventory):
    part = next((inventory / "tracks").rglob("*.parquet"))
    broken = gpd.read_parquet(part)
    broken.geometry = broken.geometry.translate(1e300)
    broken.to_parquet(part)
    refused(darts("inventory", "show", inventory), 1, "inventory/tracks cannot be read (it has coordinates that are no")


def test_a_place_where_nobody_looked_is_unknown(darts, inventory, monkeypatch):
    titles, prepare = [], pictures._prepare

    def noted(panel, frame, title):
        titles.append(title)
        prepare(panel, frame, title)

    monkeypatch.setattr(pictures, "_prepare", noted)
    assert darts("inventory", "show", inventory, "--at", 10, 65)[0] == 0
    assert [titles[0], titles[1]] == [f"{year}: unknown, no image looked here" for year in YEARS]
    assert titles[3] == "changes unknown: no images of two years"
    titles.clear()
    beside = gpd.GeoSeries([AROUND], crs="EPSG:32608").to_crs(4326).iloc[0].centroid
    assert darts("inventory", "show", inventory, "--at", beside.x, beside.y, "--width-m", 100)[0] == 0
    assert titles[:2] == ["2023: 0 slumps", "2024: 0 slumps"]
    assert titles[3] == "nothing gained or lost"


@pytest.mark.parametrize("place", [(-1.7e6, 1.5e6), (2e6, 3e5), (-4e5, -2e6), (10.0, 10.0)])
def test_the_letter_at_the_arrow_lies_to_the_north_and_the_bar_is_as_long_as_it_says(place):
    """The pole is at 0, 0 of the plane."""
    panel = Figure().subplots()
    pictures._draw_scale_and_north(panel, (place[0] - 400, place[1] - 400, place[0] + 400, place[1] + 400))
    (letter,) = [text for text in panel.texts if text.get_text() == "N"]
    along = np.subtract(letter.get_position(), letter.xy)
    assert along @ -np.array(place) == pytest.approx(np.hypot(*along) * np.hypot(*place), rel=1e-3)
    assert letter.arrowprops["arrowstyle"] == "<-", "the head is where the letter is"
    (bar,) = panel.lines
    (words,) = [text.get_text() for text in panel.texts if text is not letter]
    assert np.ptp(bar.get_xdata()) == pytest.approx(float(words.removesuffix(" m")))


def test_slumps_that_most_looks_deny_have_no_size_and_are_counted():
    slumps = pd.DataFrame({"year": [2023, 2024, 2024, 2024], "area_majority_m2": [9e3, 8e3, 0.0, 7e3]})
    figure = size_figure(slumps, pd.DataFrame({"growth_m2_per_year": [1.0]}))
    assert figure.axes[0].get_title() == "2 slumps of 2024, 1 more without majority area"


def test_labels_of_sizes_do_not_run_into_one_another():
    slumps = pd.DataFrame({"year": 2024, "area_majority_m2": np.geomspace(12_345, 98_765, 40)})
    figure = size_figure(slumps, pd.DataFrame({"growth_m2_per_year": [1.0]}))
    figure.draw_without_rendering()
    labels = [label for label in figure.axes[0].get_xticklabels(which="both") if label.get_text()]
    boxes = sorted(label.get_window_extent().intervalx.tolist() for label in labels)
    assert [label.get_text() for label in labels] == ["12,000", "25,000", "50,000", "100,000"]
    assert all(left[1] < right[0] for left, right in pairwise(boxes))


@pytest.mark.parametrize(
    "tokens",
    [
        ("evaluate", "a.parquet", "a.parquet"),
        ("agree", "a.parquet", "b.parquet"),
        ("density", "inventory", "--no-by-region", "--workers", 1),
        ("show", "inventory"),
        ("export", "inventory", "--format", "csv"),
        ("build", "inventory", "--workers", 1),
        ("polygonize", "inventory"),
        ("import", "a.parquet"),
    ],
)
@pytest.mark.parametrize("below", ["", "/deeper"])
def test_what_cannot_be_written_is_one_line_that_names_the_folder(darts, inventory, tokens, below, monkeypatch):
    for name in ("a", "b"):
        slumps_of(inventory).to_parquet(f"{name}.parquet")
    Path("file").touch()
    file = f"/{tokens[0]}.parquet" if tokens[0] in ("export", "import") else ""
    result = darts("inventory", *tokens, "--out", f"file{below}{file}")
    refused(result, 2, f"cannot write file{below}: file is no folder. Choose another folder.")
    Path("read-only").mkdir()
    monkeypatch.setattr("tempfile.TemporaryFile", no_right)
    refused(
        darts("inventory", *tokens, "--out", f"read-only{below}{file}"), 2, f"cannot write read-only{below}: Permission"
    )
    assert not list(Path("read-only").iterdir())


def no_right(**_):
    raise PermissionError(13, "Permission denied", "read-only/.hidden")


def test_an_inventory_among_people_needs_its_year(darts, inventory):
    slumps_of(inventory).to_parquet("anna.parquet")
    asked = ("inventory", "agree", inventory, "anna.parquet")
    refused(darts(*asked), 2, "inventory has the years 2023, 2024. Choose one with --year.")
    code, out, err = darts(*asked, "--year", 2024)
    assert (code, err) == (0, "")
    assert "1.00" in out


@pytest.mark.parametrize("suffix", ["gpkg", "parquet"])
def test_regions_that_lie_elsewhere_are_no_region_and_points_are_refused(darts, inventory, suffix):
    def density_of(shape):
        layer = gpd.GeoDataFrame({"shapeName": ["far"]}, geometry=[shape], crs=4326)
        layer.to_parquet("r.parquet") if suffix == "parquet" else layer.to_file("r.gpkg")
        asked = ("inventory", "density", inventory, "--year", 2024, "--workers", 1)
        return darts(*asked, "--regions", f"r.{suffix}")

    code, _, err = density_of(shapely.box(0, 60, 10, 70))
    assert (code, err) == (0, "")
    assert pd.read_csv("density/regions.csv")["region"].tolist() == ["No Region"]
    for shape in (shapely.Point(0, 60), shapely.LineString([(0, 60), (1, 61)])):
        refused(density_of(shape), 1, f"r.{suffix} has no polygons. Give a layer of regions.")


def test_other_programs_get_one_document_on_standard_output(darts, inventory):
    track = json.loads(darts("inventory", "track", inventory, "--workers", 1, "--json")[1])
    assert {key: track[key] for key in ("n_tiles", "n_objects", "n_tracks", "slumps")} == {
        "n_tiles": 2, "n_objects": 2, "n_tracks": 1, "slumps": {"2023": 1, "2024": 1},
    }  # fmt: skip
    out = darts("inventory", "density", inventory, "--no-by-region", "--workers", 1, "--json")[1]
    assert [(row["year"], row["n_slumps"]) for row in json.loads(out)["years"]] == [(2023, 1.0), (2024, 1.0)]
    reference = slumps_of(inventory)
    doubled = pd.concat([reference, reference.assign(year=pd.NA)]).astype({"year": "Int64"})
    doubled.to_parquet("some.parquet")
    code, out, err = darts("inventory", "evaluate", inventory, "some.parquet", "--year", 2024, "--json")
    assert (code, out) == (0, Path("evaluation/scores.json").read_text())
    assert err == "1 of 2 rows of some.parquet have no year, and are left out.\n"
    tiles = inventory.absolute().parent / "none"
    assert darts("inventory", "build", tiles, "--json")[1] == ""


def test_densities_of_former_runs_do_not_stay_beside_new_tables(darts, inventory):
    out = Path("density")
    out.mkdir()
    (out / "density-10km-1999.tif").touch()
    asked = ("inventory", "density", inventory, "--no-by-region", "--workers", 1)
    assert darts(*asked)[0] == 0
    names = {path.name for path in out.iterdir()}
    assert {"density-10km-1999.tif", "density-10km-2023.tif", "looks-1km-2024.tif"} <= names, (
        "it is not known whose it is"
    )
    for name in ("regions.csv", "density-10km-mine.tif", "mine.tif"):
        (out / name).touch()
    assert darts(*asked, "--year", 2024)[0] == 0
    kinds = ("density-10km", "density-half-degree", "looks-1km")
    made = {"latitudes.csv", *(f"{kind}-2024.tif" for kind in kinds)}
    assert {path.name for path in out.iterdir()} == {"density-10km-mine.tif", "mine.tif", *made}


@pytest.mark.parametrize(
    ("longitude", "others"), [(-175, [185, -535]), (179.99, [-180.01, 539.99]), (0.001, [360, -360])]
)
def test_regions_are_looked_for_on_all_sides_of_a_place(longitude, others):
    point = gpd.GeoSeries.from_xy([longitude], [68], crs=4326).to_crs(6931).iloc[0]
    windows = windows_around(np.array([point.buffer(50_000).envelope], dtype=object), "EPSG:4326")
    for place in (longitude, *others):
        assert any(left <= place <= right and low < 68 < high for left, low, right, high in windows)
    assert all(right - left < 5 for left, _, right, _ in windows)
    near = np.array([point.buffer(50_000).envelope], dtype=object)
    (window,) = windows_around(near, "EPSG:3413")
    moved = gpd.GeoSeries(near, crs=6931).segmentize(1000).to_crs(3413).total_bounds
    assert np.all(np.subtract(window, moved) * (1, 1, -1, -1) <= 0)
    assert windows_around(np.array([], dtype=object), "EPSG:4326") == []
