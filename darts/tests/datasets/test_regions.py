"""The region of an image is the district that covers most of it."""

import geopandas as gpd
import pytest
import shapely

from darts.datasets.build.regions import NO_REGION, fetch_boundaries, regions_of
from darts_utils.errors import DataError, MissingDataError


@pytest.fixture
def boundaries(tmp_path):
    names = ["West", "East", "Isles", "Isles"]
    shapes = [
        shapely.box(-120, 60, -110, 70), shapely.box(-110, 60, -100, 70),
        shapely.box(-112, 72, -111, 73), shapely.box(-111, 72, -110, 73),
    ]  # fmt: skip
    path = tmp_path / "geoBoundariesCGAZ_ADM2.shp"
    gpd.GeoDataFrame({"shapeName": names}, geometry=shapes, crs="EPSG:4326").to_file(path)
    return path


def test_the_largest_overlap_wins_and_ties_and_misses_are_counted(boundaries):
    footprints = gpd.GeoSeries(
        {
            "mostly west": shapely.box(-110.6, 65, -109.6, 66),
            "mostly east": shapely.box(-110.4, 65, -109.4, 66),
            "both": shapely.box(-110.5, 65, -109.5, 66),
            "two isles": shapely.box(-112, 72, -110, 73),
            "sea": shapely.box(-105, 80, -104, 81),
            "at the edge": shapely.box(-100, 65, -99, 66),
        },
        crs="EPSG:4326",
    )
    regions = regions_of(footprints.to_crs("EPSG:3413"), boundaries)
    assert regions.names == {
        "mostly west": "West", "mostly east": "East", "both": "East", "two isles": "Isles",
        "sea": NO_REGION, "at the edge": NO_REGION,
    }  # fmt: skip
    assert regions.tally() == [("images in no region", 2), ("images that two regions share alike", 1)]


def test_missing_boundaries_offline_name_what_fetches_them(tmp_path):
    with pytest.raises(MissingDataError, match=r"Fetch them while online: run once without --offline, or `python -c"):
        fetch_boundaries(tmp_path, offline=True)


def test_missing_boundaries_online_are_fetched(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("darts.datasets.build.regions.download_admin_files", asked.append)
    assert fetch_boundaries(tmp_path, offline=False) == tmp_path / "geoBoundariesCGAZ_ADM2.shp"
    assert asked == [tmp_path]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"no shapefile"),
        lambda path: path.with_suffix(".prj").write_text('LOCAL_CS["unknown",UNIT["metre",1]]'),
    ],
)
def test_boundaries_that_cannot_be_used_are_one_line(boundaries, damage):
    damage(boundaries)
    footprints = gpd.GeoSeries({"a": shapely.box(-110, 65, -109, 66)}, crs="EPSG:4326")
    with pytest.raises(DataError, match=r"cannot be read \(.*\)\. Delete them; they are fetched again\.$"):
        regions_of(footprints, boundaries)
