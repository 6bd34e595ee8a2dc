"""How well annotators agree, and what most of them call slump."""

import math

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from inventory_cases import rectangle, square

from darts_postprocessing.evaluation.agreement import agreement_of
from darts_utils.crs import EQUAL_AREA
from darts_utils.errors import ConfigError, DataError


def layer(*shapes):
    return gpd.GeoDataFrame(geometry=list(shapes), crs=EQUAL_AREA)


THREE = {
    "Ada": layer(square(0, 0, 100)),
    "Bo": layer(rectangle(0, 0, 100, 60)),
    "Cy": layer(rectangle(0, 0, 100, 40), square(900, 0, 100)),
}


def test_each_pair_has_its_scores():
    found = agreement_of(THREE)
    assert found.names == ("Ada", "Bo", "Cy")
    expected = [
        ("Ada", "Bo", 0.6, 1, 1),
        ("Ada", "Cy", 4000 / 20_000, 2 / 3, 0),
        ("Bo", "Cy", 4000 / 16_000, 2 / 3, 2 / 3),
    ]
    for row, wanted in zip(found.pairs.itertuples(index=False), expected, strict=True):
        assert tuple(row[:2]) == wanted[:2]
        assert tuple(row[2:]) == pytest.approx(wanted[2:])
    assert found.medians == pytest.approx({"area_iou": 0.25, "f1_30": 2 / 3, "f1_50": 2 / 3})


def test_pieces_tell_how_many_call_them_slump():
    pieces = agreement_of(THREE).pieces
    by_number = shapely.area(pieces.geometry.to_numpy()) @ pd.get_dummies(pieces["n_annotators"]).to_numpy()
    assert by_number.tolist() == pytest.approx([4000 + 10_000, 2000, 4000])
    assert pieces["share"].tolist() == pytest.approx((pieces["n_annotators"] / 3).tolist())


@pytest.mark.parametrize(("at", "areas"), [(1, [4000]), (0.5, [6000]), (2 / 3, [6000]), (0.3, [10_000, 10_000])])
def test_consensus_is_what_enough_call_slump(at, areas):
    found = agreement_of(THREE).consensus(at)
    assert sorted(shapely.area(found.geometry.to_numpy())) == pytest.approx(areas)
    assert found["area_m2"].to_numpy() == pytest.approx(shapely.area(found.geometry.to_numpy()), rel=1e-3)
    assert found.crs == EQUAL_AREA
    if at == 0.5:
        assert found["share"].tolist() == pytest.approx([(4000 * 1 + 2000 * 2 / 3) / 6000])


def test_half_of_two_is_one():
    found = agreement_of({"a": layer(square(0, 0, 100)), "b": layer(square(50, 0, 100))})
    assert shapely.area(found.consensus().geometry.to_numpy()).tolist() == pytest.approx([15_000])
    assert shapely.area(found.consensus(0.51).geometry.to_numpy()).tolist() == pytest.approx([5000])


def test_agreement_is_the_same_both_ways():
    rng = np.random.default_rng(7)
    layers = {
        name: layer(*(square(*rng.integers(0, 400, 2), rng.integers(30, 120)) for _ in range(8))) for name in "abcd"
    }
    forth, back = agreement_of(layers), agreement_of(dict(reversed(layers.items())))
    scores = {frozenset(row[:2]): row[2:] for row in back.pairs.itertuples(index=False)}
    for row in forth.pairs.itertuples(index=False):
        assert row[2:] == pytest.approx(scores[frozenset(row[:2])])
    assert forth.medians == pytest.approx(back.medians)
    assert forth.consensus().union_all().symmetric_difference(back.consensus().union_all()).area < 1e-3


def test_pieces_are_the_ground_of_all_and_share_none():
    rng = np.random.default_rng(11)
    layers = {
        name: layer(*(square(*rng.integers(0, 300, 2), rng.integers(30, 120)) for _ in range(6))) for name in "abcde"
    }
    found = agreement_of(layers)
    ground = [one.union_all() for one in layers.values()]
    areas = shapely.area(found.pieces.geometry.to_numpy())
    assert areas.sum() == pytest.approx(shapely.union_all(ground).area)
    assert (areas * found.pieces["n_annotators"]).sum() == pytest.approx(sum(one.area for one in ground))
    for at in (0.2, 0.4, 1.0):
        assert found.consensus(at).area.sum() == pytest.approx(areas[found.pieces["share"] >= at - 1e-9].sum())


def test_a_common_area_bounds_ground_and_chooses_objects():
    area = layer(rectangle(0, 0, 500, 500))
    first = layer(rectangle(-40, 0, 60, 100), square(900, 0, 100))
    found = agreement_of({"a": first, "b": layer(rectangle(0, 0, 60, 100))}, area)
    assert found.medians == pytest.approx({"area_iou": 1, "f1_30": 1, "f1_50": 1})  # the objects' own IoU is 0.6
    assert agreement_of({"a": first, "b": first}).pieces.area.sum() == pytest.approx(20_000)


def test_annotators_who_see_nothing():
    nothing, some = layer(), layer(square(0, 0, 100))
    found = agreement_of({"a": nothing, "b": nothing, "c": some})
    assert found.pairs["area_iou"].tolist() == pytest.approx([np.nan, 0, 0], nan_ok=True)
    assert found.pairs["f1_50"].tolist() == pytest.approx([np.nan, 0, 0], nan_ok=True)
    assert len(found.consensus()) == 0
    empty = agreement_of({"a": nothing, "b": nothing})
    assert all(math.isnan(median) for median in empty.medians.values())
    assert len(empty.pieces) == len(empty.consensus()) == 0


def test_wrong_shares_and_layers_are_refused():
    with pytest.raises(
        ConfigError, match=r"^agreement needs at least 2 annotators but there are 1\. Give more layers\.$"
    ):
        agreement_of({"Ada": THREE["Ada"]})
    with pytest.raises(DataError, match=r"^the layer of outlines of Bo has no outlines or no CRS\. Give"):
        agreement_of({"Ada": THREE["Ada"], "Bo": THREE["Bo"].set_crs(None, allow_override=True)})
    for share in (0, -0.5, 1.01, np.nan):
        with pytest.raises(
            ConfigError, match=r"^the share is .* but must be above 0 and at most 1\. Set it to 0\.5\.$"
        ):
            agreement_of(THREE).consensus(share)


def test_negatives_of_arts_are_no_slumps():
    arts = layer(square(0, 0, 100), square(500, 0, 50)).assign(TrainClass=["Positive", "Negative"])
    found = agreement_of({"arts": arts, "other": layer(square(0, 0, 100))})
    assert found.pairs[["area_iou", "f1_50"]].to_numpy().tolist() == [[pytest.approx(1), 1]]
    assert len(found.consensus()) == 1


def test_outlines_that_are_off_the_map_are_named():
    broken = layer(square(0, 0, 100), shapely.Polygon([(0, 0), (math.inf, 0), (0, 100)]))
    with pytest.raises(
        DataError, match=r"^outlines of b: outline 1 has coordinates that are no numbers or off the map\."
    ):
        agreement_of({"a": layer(square(0, 0, 100)), "b": broken})
