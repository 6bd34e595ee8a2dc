from darts_utils.errors import did_you_mean


def test_what_is_nearest_is_suggested_whatever_its_case_and_nothing_if_none_is_near():
    known = ["HorizontalFlip", "VerticalFlip", "D4"]
    assert did_you_mean("horizontalflp", known) == " Did you mean HorizontalFlip?"
    assert did_you_mean("d4", known) == " Did you mean D4?"
    assert did_you_mean("zzz", known) == ""
    assert did_you_mean("D4", []) == ""
