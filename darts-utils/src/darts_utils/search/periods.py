"""Times to search in: a range of days, or months of years."""

import calendar
import logging
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from darts_utils.errors import ConfigError

logger = logging.getLogger(__name__)

FIRST_YEAR = 2015
"""Year of the first Sentinel-2 images."""

type Period = tuple[datetime | None, datetime | None]
"""First and last moment, both included; None is open."""

_LAST_MOMENT = timedelta(days=1) - timedelta(microseconds=1)


def periods(
    start_date: str | None = None,
    end_date: str | None = None,
    months: Sequence[int] | None = None,
    years: Sequence[int] | None = None,
    quarters: Sequence[int] | None = None,
) -> list[Period]:
    """Return what to search through, one period a query: the date range, else each month, else all times.

    Args:
        start_date: First day, `YYYY-MM-DD`.
        end_date: Last day, included.
        months: Months, 1 to 12; every month of the years if not given.
        years: Years; every year since the first Sentinel-2 image if not given.
        quarters: Quarters of mosaics, 1 to 4; their first months are searched.

    Raises:
        ConfigError: If a value is no date, month, year or quarter, quarters are given beside months or dates, or the
            range ends before it begins.
    """
    if quarters is not None and any(given is not None for given in (start_date, end_date, months)):
        raise ConfigError("quarters are given beside months or dates. Give quarters and years, or months or dates.")
    if start_date is not None or end_date is not None:
        if months is not None or years is not None:
            logger.warning("start_date and end_date are given, so months and years are ignored")
        return [_range(start_date, end_date)]
    if quarters is not None:
        months = [3 * quarter - 2 for quarter in _numbers("quarters", quarters, 1, 4)]
    if months is None and years is None:
        return [(None, None)]
    return [_month(year, month) for year in _years(years) for month in _months(months)]


def _range(start_date: str | None, end_date: str | None) -> Period:
    start = None if start_date is None else _day("start_date", start_date)
    end = None if end_date is None else _day("end_date", end_date) + _LAST_MOMENT
    if start is not None and end is not None and start > end:
        raise ConfigError(f"start_date {start_date} is after end_date {end_date}. Swap them.")
    return start, end


def _day(name: str, given: str) -> datetime:
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", given):
            raise ValueError(given)
        return datetime.strptime(given, "%Y-%m-%d").replace(tzinfo=UTC)
    except (TypeError, ValueError):
        raise ConfigError(f"{name} is {given!r} but must be a day such as 2024-07-31. Correct it.") from None


def _month(year: int, month: int) -> Period:
    days = calendar.monthrange(year, month)[1]
    return datetime(year, month, 1, tzinfo=UTC), datetime(year, month, days, tzinfo=UTC) + _LAST_MOMENT


def _months(months: Sequence[int] | None) -> list[int]:
    return _numbers("months", months, 1, 12)


def _years(years: Sequence[int] | None) -> list[int]:
    return _numbers("years", years, FIRST_YEAR, datetime.now(UTC).year)


def _numbers(name: str, given: Sequence[int] | None, low: int, high: int) -> list[int]:
    """Return the numbers in order without repeats, all of the range if not given."""
    if given is None:
        return list(range(low, high + 1))
    wrong = [number for number in given if not low <= number <= high]
    if wrong or not given:
        said = ", ".join(map(str, wrong)) or "nothing"
        raise ConfigError(f"{name} contains {said} but must be numbers from {low} to {high}. Correct or leave it out.")
    return sorted(set(given))
