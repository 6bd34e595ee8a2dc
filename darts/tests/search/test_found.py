"""What a search says of its scenes together."""

import pytest
import shapely

from darts.search.found import Found, FoundScene


def scene(scene_id, footprint, acquired="2024-07-10T20:00:00Z"):
    return FoundScene(
        scene_id=scene_id, acquired=acquired, cloud_percent=1.0, snow_percent=None, n_bytes=10, footprint=footprint
    )


def found(area, *scenes):
    return Found(source="cdse", label="Copernicus", scenes=scenes, area=area)


def test_the_share_of_the_area_that_scenes_cover_counts_ground_once():
    area = shapely.box(-130, 70, -126, 70.2)
    half, other = shapely.box(-131, 69, -128, 71), shapely.box(-130.5, 69, -128, 71)
    assert found(area, scene("a", half), scene("b", other)).covered_share() == pytest.approx(0.5, abs=1e-4)
    assert found(area, scene("a", shapely.box(-135, 60, -120, 80))).covered_share() == pytest.approx(1)
    quarter = shapely.box(-127, 69, -125, 71)
    assert found(area, scene("a", half), scene("b", quarter)).covered_share() == pytest.approx(0.75, abs=1e-4)
    wide = shapely.box(-150, 70, -100, 72)  # its southern edge is an arc on the map, and no chord
    assert found(shapely.box(-126, 70, -124, 70.05), scene("a", wide)).covered_share() == pytest.approx(1, abs=1e-3)
    assert found(area, scene("a", None)).covered_share() == 0
    assert found(None, scene("a", half)).covered_share() is None
    assert found(shapely.Point(-128, 70), scene("a", half)).covered_share() is None


def test_an_area_over_the_date_line_is_one_place():
    area = shapely.MultiPolygon([shapely.box(178, 68, 180, 69), shapely.box(-180, 68, -178, 69)])
    east = shapely.box(178, 67, 180, 70)
    assert found(area, scene("a", east)).covered_share() == pytest.approx(0.5, abs=1e-3)


def test_days_and_bytes_are_those_of_all_scenes():
    both = found(None, scene("a", None), scene("b", None, "2024-07-10T21:00:00Z"), scene("c", None, None))
    assert both.days == ["2024-07-10"]
    assert both.n_bytes == 30
