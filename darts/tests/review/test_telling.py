"""What is said of a review, in words that need no explanation."""

import pandas as pd

from darts.review.telling import labels_line, show_figures

NAN = float("nan")


def row(group, n_open=0, precision=0.5, **counts):
    ends = {"precision": precision, "low": precision - 0.1, "high": precision + 0.1}
    return {"group": group, "n_slump": 1, "n_not": 1, "n_unsure": 0, "n_open": n_open, **ends, **counts}


def told(capsys, agreement, rows=()):
    figures = {"review": "r1", "answered": 200, "asked": 420, "precision": list(rows), "agreement": agreement}
    show_figures([figures])
    return capsys.readouterr().out


def test_precision_that_is_not_told_says_why(capsys):
    rows = [
        row("all", 200, NAN),
        row("size:5000-20000"),
        row("tier:high"),
        row("tier:low", n_slump=0, n_not=0, n_unsure=2, precision=NAN),
    ]
    out = told(capsys, {}, rows)
    assert "200 of 420 questions are answered." in out
    assert "not told: 200 questions open" in out
    assert "0.50" in out
    assert "0.40 to 0.60" in out
    assert "not told: all unsure" in out
    assert "nan" not in out
    assert "size:5000-20000 m2" in out


def test_what_labels_are_of_is_said():
    final = pd.DataFrame({"verdict": ["slump"] * 3 + ["not"] * 2 + ["unsure"]})
    labels = pd.DataFrame({"slump_id": ["a", "b", "b"]})
    line = labels_line(final, labels, 2)
    assert "of all reviews (3 slump, 2 not, 1 unsure)" in line
    assert "3 labels (one on each image that shows the slump) and 2 footprints" in line


def test_agreement_is_in_plain_words(capsys):
    none, one = {"n": 0, "agreed": NAN, "kappa": NAN}, {"n": 1, "agreed": 1.0, "kappa": NAN}
    out = told(capsys, {"within": none, "between": one})
    assert "nothing yet: no slump has two verdicts" in out
    assert "1 pair, 1.00 agree, kappa is not told where all say one word" in out
