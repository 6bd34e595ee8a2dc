"""Scores of predicted against reference outlines: hand-made cases, a slow matcher, intervals, the page."""

import itertools
import json
import math
import re

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from inventory_cases import rectangle, square

from darts_postprocessing.evaluation.bootstrap import estimates, quantile_estimates
from darts_postprocessing.evaluation.boundaries import boundary_distances, points_along
from darts_postprocessing.evaluation.items import size_classes
from darts_postprocessing.evaluation.matching import matched_pairs, overlaps_of, split_and_merged
from darts_postprocessing.evaluation.measures import OBJECTS
from darts_postprocessing.evaluation.report import page, score_lines, scores_json
from darts_postprocessing.evaluation.scores import evaluate
from darts_postprocessing.inventory.plane import to_degrees
from darts_utils.crs import EQUAL_AREA
from darts_utils.errors import DataError


def layer(shapes, **columns):
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=EQUAL_AREA)


def value(found, score, iou=None, group="all", column="value"):
    rows = found.scores[(found.scores["group"] == group) & (found.scores["score"] == score)]
    (row,) = rows[rows["iou"].isna() if iou is None else rows["iou"] == iou].itertuples()
    return getattr(row, column)


def counts(found, iou=0.3, group="all"):
    return tuple(value(found, score, iou, group) for score in ("tp", "fp", "fn"))


def outlines(*shapes):
    return np.array(shapes, dtype=object)


def test_a_hit_a_miss_and_a_false_object():
    predictions = layer([rectangle(0, 0, 100, 60), square(1000, 0, 50)], name=["a", "b"])
    found = evaluate(predictions, layer([square(5000, 0, 100), square(0, 0, 100)], name=["A", "B"]))
    assert counts(found) == (1, 1, 1)
    assert [value(found, score, 0.5) for score in OBJECTS] == [0.5, 0.5, 0.5]
    assert found.predictions[["name", "row", "outcome"]].to_numpy().tolist() == [["a", 0, "hit"], ["b", 1, "false"]]
    assert found.references[["name", "row", "outcome"]].to_numpy().tolist() == [["A", 0, "missed"], ["B", 1, "hit"]]
    assert found.predictions["match"].tolist() == [1, pd.NA]
    assert found.references["match"].tolist() == [pd.NA, 0]
    assert found.predictions["iou"].tolist() == pytest.approx([0.6, np.nan], nan_ok=True)
    assert value(found, "area_iou") == pytest.approx(6000 / (6000 + 2500 + 10_000 + 4000), rel=1e-4)
    assert value(found, "area_precision") == pytest.approx(6000 / 8500, rel=1e-4)
    assert value(found, "area_recall") == pytest.approx(6000 / 20_000, rel=1e-4)
    assert value(found, "area_bias_m2", 0.3) == pytest.approx(-4000, rel=1e-3)
    assert value(found, "area_bias_relative", 0.3) == pytest.approx(-0.4, rel=1e-3)
    assert value(found, "area_rmse_m2", 0.3) == value(found, "area_mae_m2", 0.3) == pytest.approx(4000, rel=1e-3)


@pytest.mark.parametrize(("width", "hits"), [(9.9, (0, 0, 0)), (10, (1, 0, 0)), (30, (1, 1, 0)), (50, (1, 1, 1))])
def test_a_pair_matches_from_each_iou_on(width, hits):
    found = evaluate(layer([rectangle(0, 0, width, 100)]), layer([square(0, 0, 100)]))
    assert tuple(value(found, "tp", iou) for iou in (0.1, 0.3, 0.5)) == hits


def test_a_split_reference_is_one_hit_and_the_rest_is_false():
    predictions = layer([rectangle(0, 0, 60, 100), rectangle(60, 0, 80, 100), rectangle(99, 0, 200, 100)])
    found = evaluate(predictions, layer([square(0, 0, 100)]))
    assert counts(found) == (1, 2, 0)
    assert (value(found, "split"), value(found, "merged")) == (1, 0)
    alone = evaluate(predictions.iloc[[0, 2]], layer([square(0, 0, 100)]))
    assert value(alone, "split") == 0  # the third shares 1 % only


def test_a_merge_is_one_hit_and_the_rest_is_missed():
    references = layer([rectangle(0, 0, 60, 100), rectangle(70, 0, 100, 100)])
    found = evaluate(layer([square(0, 0, 100)]), references)
    assert counts(found, 0.5) == (1, 0, 1)
    assert (value(found, "split"), value(found, "merged")) == (0, 1)


def test_the_sum_of_iou_decides_and_not_the_best_pair():
    """The best single pair would leave two objects alone."""
    references = layer([rectangle(0, 0, 100, 10), rectangle(100, 0, 160, 10)])
    predictions = layer([rectangle(0, 0, 60, 10), rectangle(40, 0, 150, 10)])
    found = evaluate(predictions, references)
    assert found.predictions["match"].tolist() == [0, 1]


def test_undefined_ratios_are_nan_and_never_a_number():
    nothing, some = layer([]), layer([square(0, 0, 100)])
    for score in OBJECTS:
        assert math.isnan(value(evaluate(nothing, nothing), score, 0.3))
    missed, false = evaluate(nothing, some), evaluate(some, nothing)
    assert counts(missed) == (0, 0, 1)
    assert counts(false) == (0, 1, 0)
    assert math.isnan(value(missed, "precision", 0.3))
    assert value(missed, "recall", 0.3) == value(missed, "f1", 0.3) == value(missed, "area_recall") == 0
    assert math.isnan(value(missed, "area_precision"))
    assert math.isnan(value(false, "recall", 0.3))
    for found in (missed, false, evaluate(nothing, nothing)):
        for score in ("area_bias_m2", "area_bias_relative", "area_rmse_m2", "boundary_median_m", "boundary_p95_m"):
            assert math.isnan(value(found, score, 0.3))
    assert evaluate(nothing, nothing).scores["group"].nunique() == 6


def test_classes_of_size_by_their_limits():
    limits = [499.9, 500, 1999, 2000, 5000, 20_000, 20_000.1]
    classes = ["<500", "500-2000", "500-2000", "2000-5000", "5000-20000", "5000-20000", ">20000"]
    assert size_classes(np.array(limits)).tolist() == classes
    assert size_classes(np.empty(0)).tolist() == []


def test_a_hit_is_of_the_size_of_its_reference_and_a_false_object_of_its_own():
    """Two references beside the limit of 500 m2, both hit by predictions on its other side."""
    references = layer([rectangle(0, 0, 10, 49.9), rectangle(500, 0, 510, 50.1)])
    predictions = layer([rectangle(0, 0, 10, 51), rectangle(500, 0, 510, 48), square(900, 0, 20)])
    found = evaluate(predictions, references)
    assert counts(found, group="size:<500") == (1, 1, 0)
    assert counts(found, group="size:500-2000") == (1, 0, 0)
    assert counts(found, group="size:>20000") == (0, 0, 0)
    assert value(found, "area_bias_m2", 0.3, "size:<500") == pytest.approx(11, rel=1e-2)
    assert math.isnan(value(found, "f1", 0.3, "size:>20000"))


def test_tiers_have_a_precision_only():
    predictions = layer([square(0, 0, 100), square(500, 0, 100), square(900, 0, 100)], tier=["high", None, "high"])
    found = evaluate(predictions, layer([square(0, 0, 100), square(500, 0, 100)]))
    assert value(found, "precision", 0.3, "tier:high") == 0.5
    assert value(found, "precision", 0.3, "tier:unknown") == 1
    of_tiers = found.scores[found.scores["group"].str.startswith("tier:")]
    assert sorted(of_tiers["score"].unique()) == ["fp", "precision", "tp"]
    ranked = layer([square(n * 500, 0, 100) for n in range(3)], tier=["low", "high", "medium"])
    groups = evaluate(ranked, layer([])).scores["group"].unique().tolist()
    assert groups[-3:] == ["tier:high", "tier:medium", "tier:low"]


def test_objects_count_where_a_point_in_them_was_searched_and_ground_where_it_was():
    searched = layer([rectangle(0, 0, 1000, 1000)])
    predictions = layer([rectangle(-40, 0, 60, 100), rectangle(-70, 500, 30, 600), square(-500, 0, 100)])
    references = layer([rectangle(-40, 0, 60, 100), square(2000, 0, 100)])
    found = evaluate(predictions, references, searched)
    assert counts(found) == (1, 0, 0)
    assert found.predictions["row"].tolist() == [0]
    assert found.predictions["area_m2"].tolist() == pytest.approx([10_000], rel=1e-3)  # all of it, not a part
    assert value(found, "area_iou") == pytest.approx(6000 / 9000, rel=1e-4)
    assert counts(evaluate(predictions, references)) == (1, 2, 1)


def test_a_searched_area_in_degrees_follows_its_parallels():
    """The straight line in the plane between corners 60 degrees apart runs some 400 km north of the parallel."""
    area = gpd.GeoDataFrame(geometry=[shapely.box(100, 70, 160, 80)], crs="EPSG:4326")
    near = gpd.GeoDataFrame(geometry=[shapely.box(130, 70.001, 130.01, 70.003)], crs="EPSG:4326")
    beyond = gpd.GeoDataFrame(geometry=[shapely.box(130, 69.997, 130.01, 69.999)], crs="EPSG:4326")
    assert counts(evaluate(near, near, area)) == (1, 0, 0)
    assert counts(evaluate(beyond, beyond, area)) == (0, 0, 0)


def test_arts_negatives_are_background():
    references = layer([square(0, 0, 100), square(500, 0, 100)], TrainClass=["Positive", "Negative"])
    found = evaluate(layer([square(0, 0, 100), square(500, 0, 100), square(9000, 0, 100)]), references)
    assert counts(found) == (1, 2, 0)
    assert found.references["row"].tolist() == [0]
    assert value(found, "area_precision") == pytest.approx(1 / 3)


@pytest.mark.parametrize("dtype", [object, "str", "string"])
def test_a_reference_of_no_class_is_a_slump(dtype):
    classes = pd.Series(["Negative", None, "Positive"], dtype=dtype)
    references = layer([square(n * 500, 0, 100) for n in range(3)], TrainClass=classes)
    assert evaluate(layer([]), references).references["row"].tolist() == [1, 2]


def test_nothing_counts_where_nothing_was_searched():
    some = layer([square(0, 0, 100)])
    found = evaluate(some, some, layer([]))
    assert counts(found) == (0, 0, 0)
    assert math.isnan(value(found, "area_iou"))
    assert "There is nothing to map." in page(found)


def test_a_slump_on_the_antimeridian_is_one_however_a_layer_cuts_it():
    shape = shapely.box(-50, 2_000_000, 50, 2_000_100)
    cut = gpd.GeoDataFrame(geometry=to_degrees([shape]), crs="EPSG:4326")
    assert cut.geometry.iloc[0].geom_type == "MultiPolygon"
    found = evaluate(cut, layer([shape]))
    assert counts(found, 0.5) == (1, 0, 0)
    assert value(found, "area_iou") == pytest.approx(1, abs=1e-4)
    assert value(found, "boundary_p95_m", 0.3) == pytest.approx(0, abs=0.01)
    assert found.predictions["area_m2"].tolist() == pytest.approx([10_000], rel=1e-3)


def test_overlapping_outlines_of_a_layer_count_their_ground_once():
    predictions = layer([square(0, 0, 100), square(0, 0, 100), rectangle(0, 0, 100, 50)])
    found = evaluate(predictions, layer([square(0, 0, 100)]))
    assert counts(found) == (1, 2, 0)
    assert value(found, "area_iou") == pytest.approx(1)


def test_boundaries_of_shifted_squares():
    """A frame of 10 m around a square: every point is 10 m apart, corners up to 14.1 m."""
    found = evaluate(layer([rectangle(-10, -10, 110, 110)]), layer([square(0, 0, 100)]))
    assert value(found, "boundary_median_m", 0.3) == pytest.approx(10)
    distances, owners = boundary_distances(outlines(rectangle(-10, -10, 110, 110)), outlines(square(0, 0, 100)))
    assert (len(distances), set(owners)) == (480 + 400, {0})
    assert (distances.min(), distances.max()) == (pytest.approx(10), pytest.approx(math.hypot(10, 9.5)))


def test_points_lie_along_all_rings_at_equal_distances():
    ring = rectangle(0, 0, 10, 10).difference(rectangle(4, 4, 6, 6))
    two = shapely.MultiPolygon([square(100, 0, 3), square(200, 0, 2.6)])
    points, owners = points_along(outlines(ring, two))
    assert np.bincount(owners).tolist() == [40 + 8, 12 + 11]
    boundaries = shapely.boundary(outlines(ring, two))[owners]
    assert shapely.distance(shapely.points(points), boundaries).max() < 1e-6
    first = points[:40] - points[:1]
    assert np.hypot(*np.diff(first, axis=0).T).max() == pytest.approx(1)
    assert points_along(np.empty(0, dtype=object))[0].shape == (0, 2)


@pytest.mark.parametrize("seed", range(40))
def test_matches_have_the_largest_sum_of_iou(seed):
    """Against all ways to pair few outlines."""
    rng = np.random.default_rng(seed)
    left, right = (
        outlines(*(square(*rng.integers(0, 30, 2), rng.integers(5, 25)) for _ in range(rng.integers(1, 6))))
        for _ in range(2)
    )
    iou = np.array([[a.intersection(b).area / a.union(b).area for b in right] for a in left])
    overlaps = overlaps_of(left, right)
    assert len(overlaps.iou) == (iou > 0).sum()
    for at in (0.1, 0.3, 0.5):
        chosen = matched_pairs(overlaps, at)
        rows, partners = overlaps.predictions[chosen], overlaps.references[chosen]
        assert len(set(rows)) == len(set(partners)) == len(chosen)
        assert overlaps.iou[chosen].min(initial=1) >= at
        best = largest_sum(np.where(iou >= at, iou, 0))
        assert iou[rows, partners].sum() == pytest.approx(best)


def largest_sum(weights):
    if weights.shape[0] > weights.shape[1]:
        weights = weights.T
    columns = range(weights.shape[1])
    return max(
        sum(weights[row, column] for row, column in enumerate(chosen))
        for chosen in itertools.permutations(columns, weights.shape[0])
    )


@pytest.mark.parametrize("seed", range(5))
def test_ground_is_that_of_the_unions(seed):
    predictions, references = world(seed)
    found = evaluate(predictions, references)
    left, right = predictions.union_all(), references.union_all()
    shared = left.intersection(right).area
    assert value(found, "area_iou") == pytest.approx(shared / left.union(right).area, rel=1e-4)
    assert value(found, "area_precision") == pytest.approx(shared / left.area, rel=1e-4)


def world(seed, n=60, spread=60_000):
    """Return made-up predictions and references in some 30 blocks."""
    rng = np.random.default_rng(seed)
    corners, sizes = rng.uniform(0, spread, (n, 2)), rng.uniform(20, 200, n)
    shifts = rng.normal(0, 15, (n, 2))
    references = [square(x, y, size) for (x, y), size in zip(corners, sizes, strict=True)]
    predictions = [square(x, y, size) for (x, y), size in zip(corners + shifts, sizes * 1.1, strict=True)]
    return layer(predictions[: n - 5]), layer(references[5:])


def test_the_order_of_rows_changes_no_score():
    predictions, references = world(3)
    one = evaluate(predictions, references)
    other = evaluate(predictions.iloc[::-1], references.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(one.scores, other.scores)


def test_intervals_hold_their_value_and_are_the_same_each_time():
    found = evaluate(*world(0)).scores
    told = found[found["low"].notna() & (found["group"] == "all")]
    assert (told["low"] <= told["value"]).all()
    assert (told["value"] <= told["high"]).all()
    assert set(told["score"]) == set(found["score"]) - {"tp", "fp", "fn", "split", "merged"}
    pd.testing.assert_frame_equal(found, evaluate(*world(0)).scores)


def test_an_interval_of_a_share_is_that_of_the_binomial():
    """One thing a place: the bootstrap of 60 of 100 is known, 0.6 +- 1.96 * sqrt(0.6 * 0.4 / 100)."""
    items = pd.DataFrame({"block": [f"{n}" for n in range(100)], "tp": [1] * 60 + [0] * 40, "fp": [0] * 60 + [1] * 40})
    one = estimates(items.assign(fn=0), {"precision": OBJECTS["precision"]}, "block")["precision"]
    assert one.value == 0.6
    assert (one.low, one.high) == pytest.approx((0.504, 0.696), abs=0.015)


def test_an_interval_of_a_median_is_that_of_plain_resampling():
    rng = np.random.default_rng(0)
    places, values = rng.integers(0, 30, 900), rng.gamma(2, 10, 900)
    (one,) = quantile_estimates(values, places, pd.Series(np.arange(30).astype(str)), (0.5,))
    repeats = []
    for _ in range(1000):
        drawn = rng.integers(0, 30, 30)
        repeats.append(np.median(np.concatenate([values[places == place] for place in drawn])))
    assert one.value == np.median(values)
    assert (one.low, one.high) == pytest.approx(tuple(np.percentile(repeats, [2.5, 97.5])), abs=0.5)


@pytest.mark.parametrize(("n_places", "told"), [(3, False), (4, True)])
def test_no_interval_of_fewer_than_four_places(n_places, told):
    shapes = layer([square(n * 20_000, 0, 100) for n in range(n_places)])
    found = evaluate(shapes, shapes)
    assert value(found, "f1", 0.3) == 1
    assert math.isnan(value(found, "f1", 0.3, column="low")) is not told
    assert math.isnan(value(found, "boundary_median_m", 0.3, column="high")) is not told


def test_regions_of_the_searched_area_tell_where_objects_lie():
    searched = layer([rectangle(0, 0, 1000, 1000), rectangle(1000, 0, 2000, 1000)], region=["west", None])
    predictions = layer([square(0, 0, 100), square(1100, 0, 100)], region=["not", "asked"])
    found = evaluate(predictions, layer([square(0, 0, 100)], region=["neither"]), searched)
    assert found.places == "region"
    assert counts(found, group="region:west") == (1, 0, 0)
    assert counts(found, group="region:unknown") == (0, 1, 0)
    assert value(found, "area_iou", group="region:west") == pytest.approx(1)
    assert found.predictions["region"].tolist() == ["west", "unknown"]
    assert not {"region:not", "region:neither"} & set(found.scores["group"])


def test_where_searched_polygons_overlap_the_first_tells_the_region():
    some = layer([square(0, 0, 100)])
    searched = layer([rectangle(-900, -900, 900, 900), rectangle(-500, -500, 500, 500)], region=["outer", "inner"])
    assert evaluate(some, some, searched).references["region"].tolist() == ["outer"]
    assert evaluate(some, some, searched.iloc[::-1]).references["region"].tolist() == ["inner"]


def test_regions_of_references_are_those_of_what_is_near():
    references = layer(
        [square(0, 0, 100), square(50_000, 0, 100), square(90_000, 0, 100)],
        region=["west", "east", "far"],
        TrainClass=["Positive", "Positive", "Negative"],
    )
    found = evaluate(layer([square(3000, 0, 100), square(50_000, 0, 100), square(89_000, 0, 100)]), references)
    assert counts(found, group="region:west") == (0, 1, 1)
    assert counts(found, group="region:east") == (1, 0, 0)
    assert counts(found, group="region:far") == (0, 1, 0)
    plain = evaluate(layer([square(0, 0, 100)], region=["mine"]), layer([square(0, 0, 100)]))
    assert plain.places == "block"
    assert not plain.scores["group"].str.startswith("region").any()


def test_regions_are_resampled_where_they_are_told():
    predictions, references = world(1)
    searched = layer(
        [rectangle(-500, -500, 30_000, 61_000), rectangle(30_000, -500, 61_000, 61_000)], region=["a", "b"]
    )
    found = evaluate(predictions, references, searched)
    assert math.isnan(value(found, "f1", 0.3, column="low"))  # two regions tell no interval
    assert not math.isnan(value(found, "f1", 0.3, "region:a", "low"))  # but the blocks of one do


def test_layers_that_cannot_be_scored_are_refused():
    some = layer([square(0, 0, 100)])
    with pytest.raises(DataError, match=r"^the layer of predictions has no outlines or no CRS\. Give a layer of pol"):
        evaluate(some.set_crs(None, allow_override=True), some)
    with pytest.raises(DataError, match=r"^the layer of references has no outlines or no CRS\. Give"):
        evaluate(some, gpd.GeoDataFrame())
    lines = layer([square(0, 0, 100), square(0, 0, 100).boundary])
    with pytest.raises(DataError, match=r"^row 1 of the searched areas is a LineString, but must be a polygon\. Leave"):
        evaluate(some, some, lines)
    assert counts(evaluate(layer([square(0, 0, 100), None, shapely.Polygon()]), some)) == (1, 0, 0)


def test_split_and_merged_by_their_limit():
    pair = overlaps_of(outlines(rectangle(0, 0, 20, 100), rectangle(90.1, 0, 140.1, 100)), outlines(square(0, 0, 100)))
    split, merged = split_and_merged(pair, 2, 1)
    assert pair.of_smaller.tolist() == pytest.approx([1, 0.198])
    assert (split.tolist(), merged.tolist()) == ([False], [False, False])


def test_layers_are_not_changed():
    predictions, references = world(2)
    before = predictions.copy(), references.copy()
    evaluate(predictions, references)
    pd.testing.assert_frame_equal(predictions, before[0])
    pd.testing.assert_frame_equal(references, before[1])


def test_scores_as_text():
    lines = score_lines(evaluate(layer([square(0, 0, 100), square(900, 0, 100)]), layer([square(0, 0, 100)])))
    made_of = (
        "2 predicted and 1 reference slumps; 95 % intervals by resampling 1 block of 10 km by 10 km with slumps, 1000"
    )
    assert lines[:2] == [f"{made_of} times", ""]
    assert lines[2].split() == ["score", "IoU", "value", "95", "%", "interval"]
    assert "precision           0.3  0.500              -" in lines
    assert "all                  1      1       0      0.500   1.000  0.667" in lines
    assert "size:<500            0      0       0          -       -      -" in lines
    assert lines[-1].startswith(
        "-: nothing to reckon it from; counts have no interval, nor has anything of fewer than 4 places"
    )
    assert all(line == line.rstrip() for line in lines)


def test_scores_as_json_say_what_they_are_made_of():
    found = evaluate(layer([square(0, 0, 100), square(90_000, 0, 100)]), layer([square(0, 0, 100)]))
    said = json.loads(scores_json(found, {"year": 2024}))
    assert (said["year"], said["n_predictions"], said["n_references"]) == (2024, 2, 1)
    assert (said["places"], said["n_places"], said["repeats"]) == ("block", 2, 1000)


def test_scores_as_json_have_null_for_what_is_undefined():
    rows = json.loads(scores_json(evaluate(layer([]), layer([square(0, 0, 100)]))))["scores"]
    by_score = {(row["group"], row["score"], row["iou"]): row for row in rows}
    assert by_score["all", "precision", 0.3]["value"] is None
    assert by_score["all", "recall", 0.3] == {
        "group": "all", "score": "recall", "iou": 0.3, "value": 0.0, "low": None, "high": None
    }  # fmt: skip


def test_the_page_maps_the_worst_places_and_needs_nothing_else():
    predictions, references = world(4)
    searched = layer([rectangle(-500, -500, 61_000, 61_000)], region=["<the & region>"])
    text = page(evaluate(predictions, references, searched), "A <title>")
    assert text.count("<svg") == 2
    assert "<h1>A &lt;title&gt;</h1>" in text
    assert "<b>&lt;the &amp; region&gt;</b>" in text
    assert "<the " not in text
    assert not re.search(r"(src|href)=|http", text)
    blocks = page(evaluate(predictions, references))
    assert 2 < blocks.count("<svg") <= 13
    assert re.search(r"<b>Block around \d\d\.\d\d N, \d+\.\d\d [EW]</b>.*The map is around \d\d\.\d\d\d N", blocks)


def test_the_page_of_nothing_says_so():
    text = page(evaluate(layer([]), layer([])))
    assert "There is nothing to map." in text
    assert "There are no missed and no false objects." in text
    perfect = page(evaluate(layer([square(0, 0, 100)]), layer([square(0, 0, 100)])))
    assert perfect.count("<svg") == 1
    assert "There are no missed and no false objects." in perfect
