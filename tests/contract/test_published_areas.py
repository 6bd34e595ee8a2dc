"""Slumps that Runge et al. (2022) drew on images of several years, with the areas that they got in projections."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from darts_postprocessing.inventory.plane import PLANE_CRS, to_plane
from darts_postprocessing.inventory.rules import Rules
from darts_postprocessing.inventory.slumps import slumps_of_year
from darts_postprocessing.inventory.tracking import tracked
from darts_utils.objects.geodesy import ground_areas_m2


@pytest.fixture
def layers(shared_data):
    """Layers by place and name of the image; its day is in the name."""
    files = sorted((shared_data / "labels" / "runge2022").rglob("*.shp"))
    return {(file.parent.name, file.stem): gpd.read_file(file) for file in files}


def test_geodesic_areas_are_those_of_the_authors_equal_area_projection(layers):
    """And the Mercator projection of web maps makes the same slumps seven times as large."""
    compared = 0
    for layer in layers.values():
        for name in ("Area(m2)", "Area (m2)", "Area 3571"):
            if name in layer and len(layer):
                areas = ground_areas_m2(layer.geometry.to_numpy(), layer.crs)
                assert areas == pytest.approx(layer[name].to_numpy(dtype=float), rel=5e-4)
                compared += len(layer)
                ratio = np.median(layer.to_crs("EPSG:3857").area / areas)
                assert 6.8 < ratio < 7.9
    assert compared > 100


def test_every_slump_of_every_image_is_in_one_slump_and_track(layers):
    plain = {key: layer for key, layer in layers.items() if not key[1].endswith(("3571", "3857")) and len(layer)}
    by_year: dict[int, list[gpd.GeoDataFrame]] = {}
    for (place, name), layer in plain.items():
        day = name.split("_")[1]
        shapes = to_plane(layer.geometry.to_numpy(), layer.crs)
        areas = ground_areas_m2(shapes, PLANE_CRS)
        columns = {
            "object_id": [f"{name} {number}" for number in range(len(layer))], "image_id": f"{place} {name}",
            "acquired": day, "cut": False, "npixel": np.maximum(areas / 25, 1).astype(int), "area_m2": areas,
            "area_m2_t30": np.nan, "area_m2_t65": np.nan, "mean_probability": np.nan, "max_probability": np.nan,
            "tier": None,
        }  # fmt: skip
        frame = gpd.GeoDataFrame(columns, geometry=shapes, crs=PLANE_CRS)
        by_year.setdefault(int(day[:4]), []).append(frame)
    no_looks = gpd.GeoDataFrame({"image_id": [], "year": [], "is_observed": []}, geometry=[], crs=PLANE_CRS)
    slumps, n_objects = [], 0
    for year, frames in sorted(by_year.items()):
        objects = pd.concat(frames, ignore_index=True)
        found = slumps_of_year(objects, no_looks)
        assert np.bincount(found.owners, minlength=len(found.table)).min() >= 1
        ground = [shapely.union_all(table.geometry.to_numpy()) for table in (objects, found.table)]
        assert shapely.area(shapely.symmetric_difference(*ground)) < 1
        slumps.append(found.table.assign(year=year))
        n_objects += len(objects)
    years = sorted(by_year)
    result = tracked(pd.concat(slumps, ignore_index=True), no_looks.astype({"is_observed": bool}), years, Rules())
    assert n_objects > 150
    assert years[0] <= 2014 <= 2018 <= years[-1]
    assert len(result.slumps) == sum(map(len, slumps))
    assert not result.slumps.duplicated(["slump_id", "year"]).any()
    assert set(result.slumps["slump_id"]) == set(result.tracks["slump_id"])
    assert (result.tracks["n_years"] > 1).sum() > 30, "the same places are seen in several years"
    assert result.tracks["n_years"].sum() == len(result.slumps)
