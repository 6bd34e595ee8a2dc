"""Times to search in."""

from datetime import UTC, datetime

import pytest

from darts_utils.errors import ConfigError
from darts_utils.search.periods import periods


def moment(*numbers):
    return datetime(*numbers, tzinfo=UTC)


def last(year, month, day):
    return moment(year, month, day, 23, 59, 59, 999_999)


def test_a_range_includes_its_last_day_and_may_be_open():
    assert periods("2024-07-01", "2024-08-31") == [(moment(2024, 7, 1), last(2024, 8, 31))]
    assert periods(start_date="2024-07-01") == [(moment(2024, 7, 1), None)]
    assert periods(end_date="2024-07-01") == [(None, last(2024, 7, 1))]
    assert periods() == [(None, None)]


def test_months_and_years_are_a_query_a_month():
    assert periods(months=[8, 2], years=[2024, 2023]) == [
        (moment(2023, 2, 1), last(2023, 2, 28)),
        (moment(2023, 8, 1), last(2023, 8, 31)),
        (moment(2024, 2, 1), last(2024, 2, 29)),
        (moment(2024, 8, 1), last(2024, 8, 31)),
    ]
    assert len(periods(years=[2023])) == 12
    since = periods(months=[7])
    assert since[0][0] == moment(2015, 7, 1)
    assert since[-1][0] == moment(datetime.now(UTC).year, 7, 1)


def test_the_range_wins_with_a_warning(caplog):
    assert periods("2024-07-01", "2024-07-02", [1], [2020]) == [(moment(2024, 7, 1), last(2024, 7, 2))]
    assert caplog.messages == ["start_date and end_date are given, so months and years are ignored"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"start_date": "2024-7-1"},
            "start_date is '2024-7-1' but must be a day such as 2024-07-31. Correct it.",
        ),
        (
            {"end_date": "2024-02-30"},
            "end_date is '2024-02-30' but must be a day such as 2024-07-31. Correct it.",
        ),
        (
            {"start_date": "2024-07-02", "end_date": "2024-07-01"},
            "start_date 2024-07-02 is after end_date 2024-07-01. Swap them.",
        ),
        (
            {"months": [7, 13, 0]},
            "months contains 13, 0 but must be numbers from 1 to 12. Correct or leave it out.",
        ),
        ({"months": []}, "months contains nothing but must be numbers from 1 to 12. Correct or leave it out."),
    ],
)
def test_what_is_no_time_is_refused(given, message):
    with pytest.raises(ConfigError) as caught:
        periods(**given)
    assert str(caught.value) == message


def test_a_year_before_the_satellites_is_refused():
    with pytest.raises(
        ConfigError, match=r"^years contains 2014 but must be numbers from 2015 to 20\d\d\. Correct or le"
    ):
        periods(years=[2014])
