"""Twelve experts drew the slumps of one Sentinel-2 chip: how well they agree is the ceiling of any model."""

import geopandas as gpd
import pytest

from darts_postprocessing.evaluation.agreement import agreement_of


@pytest.fixture
def experts(shared_data):
    """Layers by the name of the expert, and the area that all of them looked at."""
    folder = shared_data / "experts2024" / "peel"
    layers = {path.parent.name: gpd.read_file(path) for path in sorted(folder.glob("rater*/Peel_digitized.shp"))}
    return layers, gpd.read_file(folder / "Peel_AOI_2500.geojson")


def test_experts_agree_as_well_as_published(experts):
    """Nitze et al. 2024: of pairs of experts the median IoU is 0.60, that of F1 at IoU 0.5 is 0.60."""
    found = agreement_of(*experts)
    assert len(found.names) == 12
    assert len(found.pairs) == 66
    assert found.medians["area_iou"] == pytest.approx(0.603, abs=0.0005)
    assert found.medians["f1_50"] == pytest.approx(0.604, abs=0.0005)
    assert found.medians["f1_30"] == pytest.approx(0.762, abs=0.0005)


def test_what_more_experts_must_agree_on_is_less_ground(experts):
    found = agreement_of(*experts)
    areas = [found.consensus(at)["area_m2"].sum() for at in (1 / 12, 0.5, 1)]
    assert areas == sorted(areas, reverse=True)
    drawn = sum(layer.area.sum() for layer in experts[0].values())
    assert (found.pieces.area * found.pieces["n_annotators"]).sum() == pytest.approx(drawn, rel=2e-3)
