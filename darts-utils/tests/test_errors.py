from darts_utils.errors import did_you_mean, one_line


def test_what_is_nearest_is_suggested_whatever_its_case_and_nothing_if_none_is_near():
    known = ["HorizontalFlip", "VerticalFlip", "D4"]
    assert did_you_mean("horizontalflp", known) == " Did you mean HorizontalFlip?"
    assert did_you_mean("d4", known) == " Did you mean D4?"
    assert did_you_mean("zzz", known) == ""
    assert did_you_mean("D4", []) == ""


def test_an_error_of_a_library_is_one_line_without_advice_to_programmers():
    said = "a.txt not recognized as being in a supported file format.; It might help to specify the driver."
    assert one_line(OSError(said)) == "a.txt not recognized as being in a supported file format"
    assert one_line(ValueError("two\n  lines.")) == "two lines."
    assert one_line(ValueError("long words"), 4) == "long"
    assert one_line(KeyboardInterrupt()) == "KeyboardInterrupt"
