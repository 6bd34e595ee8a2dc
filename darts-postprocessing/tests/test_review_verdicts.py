"""Verdicts as a table: which one counts, how far people agree, and what is learned from them."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from darts_postprocessing.inventory.plane import to_degrees, to_plane
from darts_postprocessing.review.frames import Frame
from darts_postprocessing.review.labels import labels_of
from darts_postprocessing.review.looks import looks_at
from darts_postprocessing.review.verdicts import final_verdicts, review_figures, with_verdicts, write_verdicts

PLANE = "EPSG:6931"
NOTHING_OPEN = pd.DataFrame(
    {"slump_id": pd.Series(dtype="str"), "year": pd.Series(dtype="int64"), "is_repeat": pd.Series(dtype="bool")}
)


def verdicts(rows):
    """Return verdicts of rows: review, question, slump, verdict, reviewer, minute, and the question that was first."""
    columns = ["review", "question", "slump_id", "verdict", "reviewer", "minute", "repeat_of"]
    table = pd.DataFrame(rows, columns=columns)
    moments = [f"2026-07-01T10:{minute:02d}:00.000000+00:00" for minute in table.pop("minute")]
    kinds = {"repeat_of": "Int64", "year": "int32"}
    return table.assign(
        year=2024, reviewed_at=moments, first_at=moments, note="", edited=False, weight=1.0, batch=0
    ).astype(kinds)


def test_the_first_verdict_of_the_first_question_counts_and_that_of_the_last_review():
    table = verdicts(
        [
            ("r1", 1, "a", "not", "ann", 1, None),
            ("r1", 1, "a", "slump", "ben", 0, None),  # from a file: earlier
            ("r1", 2, "b", "slump", "ann", 2, None),
            ("r1", 3, "b", "not", "ann", 3, 2),  # asked again
            ("r2", 1, "c", "unsure", "ann", 9, None),
            ("r1", 4, "c", "slump", "ann", 4, None),
        ]
    )
    final = final_verdicts(table).set_index("slump_id")
    assert final["verdict"].to_dict() == {"a": "slump", "b": "slump", "c": "unsure"}
    assert final.loc["a", "reviewer"] == "ben"
    shuffled = final_verdicts(table.sample(frac=1, random_state=3))
    pd.testing.assert_frame_equal(shuffled, final_verdicts(table))


def test_who_answered_first_may_correct_it_later():
    table = verdicts([("r", 1, "a", "not", "ann", 1, None), ("r", 1, "a", "slump", "ben", 2, None)])
    table.loc[0, "reviewed_at"] = "2026-07-09T10:00:00.000000+00:00"
    assert final_verdicts(table)["reviewer"].tolist() == ["ann"]


def test_slumps_get_the_verdict_of_their_year():
    slumps = pd.DataFrame({"slump_id": ["a", "a", "b"], "year": np.array([2023, 2024, 2024], dtype=np.int32)})
    found = with_verdicts(slumps, verdicts([("r", 1, "a", "not", "ann", 1, None)]))
    assert found["verdict"].tolist() == [None, "not", None] or found["verdict"].isna().tolist() == [True, False, True]
    assert found["year"].dtype == np.int32
    assert found.loc[1, ["reviewer", "reviewed_at", "note"]].tolist() == ["ann", "2026-07-01T10:01:00.000000+00:00", ""]


def test_agreement_is_of_pairs_of_one_person_and_of_two():
    rng, rows = np.random.default_rng(1), []
    pairs = {"within": [], "between": []}
    for number in range(300):
        first, second = rng.choice(["slump", "not", "unsure"], 2, p=[0.6, 0.3, 0.1])
        kind = ("within", "between")[number % 2]
        pairs[kind].append((first, second))
        rows.append(("r", number, f"s{number}", first, "ann", 0, None))
        rows.append(("r", 1000 + number, f"s{number}", second, "ann" if kind == "within" else "ben", 1, number))
    rows.append(("r", 0, "s0", "not", "cid", 5, None))  # one question answered by two
    pairs["between"].append((pairs["within"][0][0], "not"))
    slumps = pd.DataFrame({"slump_id": [f"s{n}" for n in range(300)], "year": 2024, "tier": "high", "area_m2": 900.0})
    found = review_figures(verdicts(rows), NOTHING_OPEN, slumps)
    for kind, listed in pairs.items():
        table = pd.crosstab(*np.array(listed).T).to_numpy() / len(listed)
        chance = table.sum(0) @ table.sum(1)
        assert found["agreement"][kind]["n"] == len(listed)
        assert found["agreement"][kind]["agreed"] == pytest.approx(np.trace(table))
        assert found["agreement"][kind]["kappa"] == pytest.approx((np.trace(table) - chance) / (1 - chance))
    (everything, *_) = found["precision"]
    firsts = [row[3] for row in rows[:-1] if row[6] is None]
    assert [everything[f"n_{word}"] for word in ("slump", "not", "unsure")] == [
        firsts.count(word) for word in ("slump", "not", "unsure")
    ]


def test_half_a_review_tells_no_precision_but_of_tiers_that_are_whole():
    """Of 400 slumps the 200 surest are answered: 166 are slumps, but of all of them 267 are."""
    slumps = pd.DataFrame(
        {"slump_id": [f"s{n}" for n in range(400)], "year": 2024, "tier": ["high"] * 150 + ["low"] * 250}
    ).assign(area_m2=900.0)
    words = ["slump"] * 140 + ["not"] * 10 + ["slump"] * 26 + ["not"] * 24
    said = verdicts([("r", n, f"s{n}", word, "ann", 0, None) for n, word in enumerate(words)])
    left = slumps.loc[200:, ["slump_id", "year"]].assign(is_repeat=False)
    repeats = slumps.loc[:19, ["slump_id", "year"]].assign(is_repeat=True)
    found = review_figures(said, pd.concat([left, repeats]), slumps)
    rows = {row["group"]: row for row in found["precision"]}
    assert (found["answered"], found["asked"]) == (200, 420)
    assert (rows["all"]["n_open"], rows["tier:low"]["n_open"], rows["tier:high"]["n_open"]) == (200, 200, 0)
    assert np.isnan([rows[name][key] for name in ("all", "tier:low") for key in ("precision", "low", "high")]).all()
    assert rows["tier:high"]["precision"] == pytest.approx(140 / 150)
    assert (rows["tier:low"]["n_slump"], rows["tier:low"]["n_not"]) == (26, 24)


def test_equal_verdicts_give_equal_bytes(tmp_path):
    table = verdicts([("r", 2, "b", "slump", "ann", 2, None), ("r", 1, "a", "not", "ann", 1, None)])
    layer = gpd.GeoDataFrame(table, geometry=[shapely.box(0, 0, 9, 9), shapely.box(50, 0, 60, 9)], crs=PLANE)
    for name, given in (("one", layer), ("two", layer.iloc[::-1])):
        write_verdicts(tmp_path / name, given)
    one, two = ((tmp_path / name / "verdicts" / "verdicts.parquet").read_bytes() for name in ("one", "two"))
    assert one == two
    found = gpd.read_parquet(tmp_path / "one" / "verdicts")
    assert found["slump_id"].tolist() == ["a", "b"]
    assert found.crs == "EPSG:4326"


def looks(rows):
    table = pd.DataFrame([row[:2] for row in rows], columns=["image_id", "acquired"])
    return gpd.GeoDataFrame(
        table.assign(year=[int(day[:4]) for day in table["acquired"]], sensor="sentinel2"),
        geometry=[row[2] for row in rows],
        crs=PLANE,
    )


def objects(rows):
    return gpd.GeoDataFrame({"image_id": [row[0] for row in rows]}, geometry=[row[1] for row in rows], crs=PLANE)


SLUMP = shapely.box(1000, 1000, 1100, 1100)
ALL = shapely.box(0, 0, 5000, 5000)


def test_the_image_that_shows_a_slump_best_comes_first():
    seen = looks(
        [
            ("half", "2024-08-09", shapely.box(0, 0, 1050, 5000)),
            ("old", "2024-07-01", ALL),
            ("without", "2024-08-20", ALL),
            ("new", "2024-08-01", ALL),
            ("elsewhere", "2024-08-30", shapely.box(2000, 2000, 3000, 3000)),
        ]
    )
    found = looks_at(SLUMP, seen, objects([("old", SLUMP), ("new", SLUMP), ("half", SLUMP)]))
    assert found["image_id"].tolist() == ["new", "old", "without", "half"]


def test_labels_are_on_ground_that_people_searched_and_left_out_where_nobody_knows():
    shapes = {
        "yes": SLUMP, "no": shapely.box(3000, 3000, 3040, 3040), "perhaps": shapely.box(1130, 1000, 1180, 1100),
        "unasked": shapely.box(950, 900, 980, 960), "near": shapely.box(1000, 1150, 1060, 1200),
    }  # fmt: skip
    slumps = gpd.GeoDataFrame({"slump_id": list(shapes), "year": 2024}, geometry=list(shapes.values()), crs=PLANE)
    judged = slumps[slumps["slump_id"] != "unasked"].assign(verdict=["slump", "not", "unsure", "slump"])
    seen = looks([("one", "2024-08-01", shapely.box(0, 0, 1110, 5000)), ("two", "2024-07-01", ALL)])
    found = [("one", SLUMP), *(("two", shape) for shape in shapes.values())]
    labels, footprints = labels_of(judged, slumps, seen, objects(found))

    assert footprints["image_id"].tolist() == ["one", "two"]
    assert footprints["datasource"].tolist() == ["sentinel2"] * 2
    of_one, of_two = footprints.geometry
    seen_close = Frame.around(to_degrees([SLUMP])[0]).ground("close")
    assert of_one.difference(seen_close).area == pytest.approx(0, abs=0.1)
    for unknown in ("perhaps", "unasked"):
        assert not of_one.intersects(shapes[unknown].buffer(20)), unknown
    assert of_two.contains(shapes["no"])
    assert of_two.area == pytest.approx(250**2 + 250**2, rel=0.2), "at least 250 m, also around `near`"
    assert sorted(zip(labels["image_id"], labels["slump_id"], strict=True)) == [
        ("one", "near"), ("one", "yes"), ("two", "near"), ("two", "yes"),
    ]  # fmt: skip
    assert (labels["label"] == 1).all()


def test_no_ground_is_searched_that_was_not_seen_close():
    """At 133 W the plane is turned by 133 degrees; the outline that a person left is larger, the image ends nearby."""
    degrees = shapely.box(-133.001, 69.0, -132.999, 69.0004)
    (outline,) = to_plane([degrees], "EPSG:4326")
    slumps = gpd.GeoDataFrame({"slump_id": ["a"], "year": [2024]}, geometry=[outline], crs=PLANE)
    judged = slumps.assign(verdict="not").set_geometry([outline.buffer(400)])
    close = Frame.around(degrees).ground("close")
    x, y = outline.centroid.x, outline.centroid.y
    image = shapely.box(x - 5000, y - 5000, x + 60, y + 5000)
    _, footprints = labels_of(judged, slumps, looks([("one", "2024-08-01", image)]), objects([("one", outline)]))
    (searched,) = footprints.geometry
    assert searched.difference(image).area == pytest.approx(0, abs=0.1)
    assert searched.difference(close).area == pytest.approx(0, abs=0.1)
    assert searched.area == pytest.approx(close.intersection(image).area, rel=1e-3)


def test_without_anything_sure_there_are_no_labels():
    slumps = gpd.GeoDataFrame({"slump_id": ["a"], "year": [2024]}, geometry=[SLUMP], crs=PLANE)
    labels, footprints = labels_of(
        slumps.assign(verdict="unsure"), slumps, looks([("x", "2024-07-01", ALL)]), objects([("x", SLUMP)])
    )
    assert len(labels) == len(footprints) == 0
    assert {"image_id", "image_date", "label"} <= set(labels)
