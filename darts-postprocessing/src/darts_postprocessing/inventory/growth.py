"""How fast a slump grows: Theil-Sen over its years."""

from dataclasses import dataclass

from scipy.stats import theilslopes

from darts_utils.rasters.arrays import Array

FEWEST_YEARS_FOR_INTERVAL = 5


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Growth in square metres a year; None where it cannot be told."""

    m2_per_year: float | None = None
    low: float | None = None
    """Lower end of the 95 % interval, from five years on."""
    high: float | None = None
    """Its upper end."""


def growth_of(years: Array, areas_m2: Array) -> Growth:
    """Return the growth of a slump.

    Args:
        years: (year,) whole numbers, each once.
        areas_m2: (year,) its areas in them.

    Returns:
        The median of the slopes between all pairs of years, and its 95 % interval from
        `FEWEST_YEARS_FOR_INTERVAL` years on: Theil (1950), Sen (1968), doi:10.1080/01621459.1968.10480934. One
        year tells no growth.
    """
    if len(years) < 2:
        return Growth()
    slope, _, low, high = (float(value) for value in theilslopes(areas_m2, years, alpha=0.95))
    if len(years) < FEWEST_YEARS_FOR_INTERVAL:
        return Growth(m2_per_year=slope)
    return Growth(m2_per_year=slope, low=low, high=high)
