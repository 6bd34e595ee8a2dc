"""What the map of a publication reads: vector tiles as others read them, data that changes only where it must."""

import gzip
import json
import os
from itertools import accumulate

import geopandas as gpd
import mapbox_vector_tile
import numpy as np
import pandas as pd
import pytest
import shapely
from pmtiles.reader import MmapSource, Reader, all_tiles
from shapely.affinity import affine_transform

from benchmarks.maps.made_inventory import make_inventory
from darts.inventory.layers import read_part
from darts.publish.map.page import Words, write_map
from darts.publish.map.points import ID_LETTERS, TIERS
from darts.publish.map.tiles import OUTLINE_ZOOMS, POINT_ZOOMS, write_pmtiles

WORDS = Words(title="Slumps", about="Made up.", attribution=["nobody"], links=[])
N_SLUMPS = 120
HALF_M = 20037508.342789244
DOWN = {"y_coord_down": True}


@pytest.fixture(scope="module")
def inventory(tmp_path_factory):
    return make_inventory(tmp_path_factory.mktemp("made") / "inventory", N_SLUMPS, n_years=3)


@pytest.fixture
def slumps(inventory):
    return read_part(inventory, "slumps")


@pytest.fixture(scope="module")
def told(inventory):
    """Slumps with a status, one of them across the antimeridian, one smaller than a unit of a tile."""
    table = read_part(inventory, "slumps").assign(status="stable")
    parts = [shapely.box(179.99, 70, 180, 70.002), shapely.box(-180, 70, -179.99, 70.002)]
    lone = [shapely.MultiPolygon(parts), shapely.Point(-132, 69).buffer(2e-6)]
    more = table.iloc[:2].assign(slump_id=["across", "tiny"], year=2020, geometry=lone)
    return gpd.GeoDataFrame(pd.concat([table, more], ignore_index=True), crs=table.crs)


def tiles_of(file):
    """Return features by zoom, with outlines in Web Mercator."""
    found = []
    with file.open("rb") as archive:
        for (zoom, x, y), content in all_tiles(MmapSource(archive)):
            (layer,) = mapbox_vector_tile.decode(gzip.decompress(content), default_options=DOWN).items()
            assert layer[0] == "slumps"
            size = 2 * HALF_M / 2**zoom
            matrix = [size / 4096, 0, 0, -size / 4096, x * size - HALF_M, HALF_M - y * size]
            for feature in layer[1]["features"]:
                pixels = shapely.get_parts(shapely.from_geojson(json.dumps(feature["geometry"])))
                plane = affine_transform(
                    shapely.multipolygons(pixels) if zoom >= OUTLINE_ZOOMS[0] else pixels[0], matrix
                )
                found.append({"zoom": zoom, "shape": plane, **feature["properties"]})
    return pd.DataFrame(found)


@pytest.fixture(scope="module")
def archive(told, tmp_path_factory):
    file = tmp_path_factory.mktemp("archive") / "slumps.pmtiles"
    write_pmtiles(file, told)
    return file


@pytest.fixture(scope="module")
def read(archive):
    return tiles_of(archive)


def test_another_reader_finds_every_slump_where_it_is(read, told):
    outlines = read[read["zoom"] == OUTLINE_ZOOMS[-1]]
    plane = told.to_crs("EPSG:3857")
    for row, shape, latitude in zip(told.itertuples(), plane.geometry, told.geometry.bounds["miny"], strict=True):
        parts = outlines[(outlines["slump_id"] == row.slump_id) & (outlines["year"] == row.year)]
        assert len(parts), row.slump_id
        assert set(parts["area_majority_m2"]) == {round(row.area_majority_m2)}
        assert set(parts["status"]) == {"stable"}
        assert set(parts["tier"].dropna()) == ({row.tier} if isinstance(row.tier, str) else set())
        assert set(parts["verdict"].dropna()) == ({row.verdict} if isinstance(row.verdict, str) else set())
        if row.slump_id != "tiny":
            whole = shapely.union_all(parts["shape"].to_numpy())
            assert shapely.hausdorff_distance(whole, shape) * np.cos(np.radians(latitude)) < 3


@pytest.mark.parametrize("zoom", OUTLINE_ZOOMS)
def test_outlines_of_all_slumps_are_at_each_high_zoom_and_valid(read, told, zoom):
    outlines = read[read["zoom"] == zoom]
    assert set(zip(outlines["slump_id"], outlines["year"], strict=True)) == set(
        zip(told["slump_id"], told["year"], strict=True)
    )
    assert shapely.is_valid(outlines["shape"].to_numpy()).all()


@pytest.mark.parametrize("zoom", POINT_ZOOMS)
def test_points_of_low_zooms_stand_for_all_slumps_and_tell_what_these_share(read, told, zoom):
    points = read[read["zoom"] == zoom]
    assert points.groupby("year")["n_slumps"].sum().to_dict() == told["year"].value_counts().sort_index().to_dict()
    assert points["area_majority_m2"].sum() == told["area_majority_m2"].round().sum()
    assert set(points["status"]) == {"stable"}
    alone = points[points["n_slumps"] == 1]
    assert alone["slump_id"].notna().all()
    assert points.loc[points["n_slumps"] > 1, "slump_id"].isna().all()


def test_equal_slumps_give_equal_tiles_and_the_header_says_where(told, archive, tmp_path):
    write_pmtiles(tmp_path / "again", told)
    assert (tmp_path / "again").read_bytes() == archive.read_bytes()
    with archive.open("rb") as file:
        reader = Reader(MmapSource(file))
        header, layers = reader.header(), reader.metadata()["vector_layers"]
    assert (header["min_zoom"], header["max_zoom"], header["max_lon_e7"]) == (0, 12, 1_800_000_000)
    assert set(layers[0]["fields"]) == {"slump_id", "year", "tier", "area_majority_m2", "status", "verdict", "n_slumps"}


def test_the_centre_of_slumps_across_the_antimeridian_is_among_them(told, tmp_path):
    write_pmtiles(tmp_path / "across", told[told["slump_id"] == "across"])
    with (tmp_path / "across").open("rb") as file:
        header = Reader(MmapSource(file)).header()
    assert abs(header["center_lon_e7"]) == 1_800_000_000
    assert (header["min_lon_e7"], header["max_lon_e7"]) == (-1_800_000_000, 1_800_000_000)


# ---- data of the page --------------------------------------------------------------------------------------------
def write(folder, inventory, slumps, pictures=None, years=(2020, 2021, 2022)):
    return write_map(folder, inventory, slumps, WORDS, years=years, pictures=pictures or {})


def values_of(file):
    text = file.read_text(encoding="utf-8")
    name, values = json.loads(f"[{text.removeprefix('dartsData(').removesuffix(');' + os.linesep)}]")
    assert file.name == f"{name}.js"
    return values


def test_points_tell_of_every_slump_and_year(inventory, slumps, tmp_path):
    write(tmp_path, inventory, slumps)
    points = values_of(tmp_path / "data" / "points.js")
    assert points["n"] == slumps["slump_id"].nunique()
    x, y = (list(accumulate(points[name])) for name in "xy")
    table = slumps.set_index(["slump_id", "year"])
    plane = dict(zip(table.index, table.geometry.to_crs("EPSG:3413"), strict=True))
    areas = iter(points["areas"])
    for one in range(points["n"]):
        beginning = points["ids"][ID_LETTERS * one : ID_LETTERS * (one + 1)]
        rows = slumps[slumps["slump_id"].str.startswith(beginning)]
        tiers = {2020 + k: tier for k, tier in enumerate(points["tiers"][3 * one : 3 * one + 3]) if tier != "."}
        named = [tier if isinstance(tier, str) else "" for tier in rows["tier"]]
        assert [TIERS[int(tier)] for tier in tiers.values()] == named
        assert list(tiers) == rows["year"].tolist()
        assert list(accumulate(next(areas) for _ in tiers)) == rows["area_majority_m2"].round().astype(int).tolist()
        assert plane[rows["slump_id"].iloc[0], max(tiers)].buffer(1).contains(shapely.Point(x[one], y[one]))


def test_outlines_of_cells_are_those_of_slumps(inventory, slumps, tmp_path):
    write(tmp_path, inventory, slumps)
    plane = slumps.to_crs("EPSG:3413").set_index(["slump_id", "year"]).geometry
    n_found = 0
    for file in (tmp_path / "data").glob("x*.js"):
        for slump in values_of(file)["slumps"]:
            for row, rings in zip(slump["years"], slump["outlines"], strict=True):
                corners = np.cumsum(np.array(rings[0]).reshape(-1, 2), axis=0)
                wanted = plane[slump["slump_id"], row[0]]
                assert shapely.hausdorff_distance(shapely.Polygon(corners), wanted) < 10
                n_found += 1
    assert n_found == len(slumps)


def test_what_would_not_change_is_left_alone_and_one_slump_changes_one_cell(inventory, slumps, tmp_path):
    files = write(tmp_path, inventory, slumps)
    (tmp_path / "data" / "x+999y+999.js").write_text("of a slump that is gone")
    for file in files:
        os.utime(file, ns=(1, 1))
    assert write(tmp_path, inventory, slumps) == files
    assert {file.stat().st_mtime_ns for file in files} == {1}
    assert not (tmp_path / "data" / "x+999y+999.js").exists()
    changed = slumps.copy()
    changed.loc[0, "note"] = changed.loc[0, "reviewer"] = "later"
    changed.loc[0, "verdict"] = "unsure"
    write(tmp_path, inventory, changed)
    names = sorted(file.name for file in files if file.stat().st_mtime_ns != 1)
    assert len(names) == 2
    assert names[0] == "points.js"
    assert names[1].startswith("x")


def test_a_year_without_slumps_is_a_year(inventory, slumps, tmp_path):
    page, *_ = write(tmp_path, inventory, slumps, years=(2019, 2020, 2021, 2022, 2023))
    points = values_of(tmp_path / "data" / "points.js")
    assert "".join(points["tiers"][::5] + points["tiers"][4::5]) == 2 * points["n"] * "."
    assert '"years":[2019,2020,2021,2022,2023]' in page.read_text()


def test_slumps_that_nobody_reviewed_need_no_columns_of_verdicts(inventory, slumps, tmp_path):
    write(tmp_path, inventory, slumps.drop(columns=["verdict", "reviewer", "reviewed_at", "note"]))
    assert set(values_of(tmp_path / "data" / "points.js")["verdict"]) == {"0"}


def test_no_text_ends_a_script(inventory, slumps, tmp_path):
    slumps.loc[:, ["verdict", "note"]] = ["slump", "</script><script>"]
    write(tmp_path, inventory, slumps)
    assert all("</script" not in file.read_text(encoding="utf-8") for file in (tmp_path / "data").iterdir())


def test_points_come_in_files_of_a_bounded_number(inventory, slumps, tmp_path, monkeypatch):
    monkeypatch.setattr("darts.publish.map.points.MOST_POINTS", 50)
    write(tmp_path, inventory, slumps)
    assert len(list((tmp_path / "data").glob("points*.js"))) == 3
    numbers = [values_of(tmp_path / "data" / f"{name}.js")["n"] for name in ("points", "points-2", "points-3")]
    assert numbers == [50, 50, slumps["slump_id"].nunique() - 100]


def test_ground_that_was_seen_is_told_for_each_year(inventory, slumps, tmp_path):
    write(tmp_path, inventory, slumps)
    looks = read_part(inventory, "looks").to_crs("EPSG:3413")
    for year in (2020, 2021, 2022):
        shapes = values_of(tmp_path / "data" / f"looks-{year}.js")
        rings = [np.cumsum(np.array(ring).reshape(-1, 2), axis=0) for shape in shapes for ring in shape]
        ground = shapely.union_all(looks.geometry[(looks["year"] == year).to_numpy()].to_numpy())
        even_odd = shapely.Polygon()
        for ring in rings:
            even_odd = even_odd.symmetric_difference(shapely.Polygon(ring).buffer(0))
        assert even_odd.area == pytest.approx(ground.area, rel=0.001)
