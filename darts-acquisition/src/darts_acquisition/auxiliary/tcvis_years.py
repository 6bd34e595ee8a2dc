"""Which trends there are: of the twenty years up to one, each in a datacube of its own, or one cube for all images."""

from pathlib import Path
from typing import Any

from darts_acquisition.auxiliary.cube import cube_path
from darts_utils.errors import ConfigError
from darts_utils.parameters import TCVIS_YEARS, check_tcvis_year

_SUFFIX = ".icechunk"


def trends_for(image_year: int | None) -> int | None:
    """Return the last year of the trends that suit an image: they reach beyond it, or are the newest.

    Args:
        image_year: Year of the image; None, if it is not known, takes the newest.

    Returns:
        None if the installed smart-geocubes does not have those trends by themselves.
    """
    newest = TCVIS_YEARS[-1]
    year = newest if image_year is None else next((year for year in TCVIS_YEARS if year > image_year), newest)
    return None if _class_of(year) is None else year


def accessor(year: int | None = None) -> Any:
    """Return the class of smart-geocubes that defines a cube.

    Args:
        year: Last year of its trends; None for the cube that serves all images.

    Raises:
        ConfigError: If there are no such trends, or the installed smart-geocubes does not have them.
    """
    check_tcvis_year(year)
    found = _class_of(year)
    if found is None:
        raise ConfigError(
            f"tcvis_year is {year}, but the installed smart-geocubes has no {_stem(year)}. Install 0.1.6 or later, or "
            "leave it out to read the trends that serve all images."
        )
    return found


def _class_of(year: int | None) -> Any:
    import smart_geocubes

    return getattr(smart_geocubes, "TCTrend" if year is None else _stem(year), None)


def tcvis_path(data_dir: Path, year: int | None = None) -> Path:
    """Return a cube's icechunk folder: `data_dir` itself, or the one in it.

    Args:
        data_dir: The cube's icechunk folder, or the folder that it is in or is to be in.
        year: Last year of its trends; None for the cube that serves all images.
    """
    return cube_path(data_dir, _stem(year) + _SUFFIX)


def is_there(path: Path) -> bool:
    """Tell whether there is a cube, filled or not."""
    return path.is_dir() and any(path.iterdir())


def named_year(path: Path) -> int | None:
    """Return the last year of the trends in a cube as the name of its folder says it, None if it does not."""
    return next((year for year in TCVIS_YEARS if path.name == _stem(year) + _SUFFIX), None)


def period(year: int) -> str:
    """Return the twenty years of trends, such as 2005-2024."""
    return f"{year - 19}-{year}"


def _stem(year: int | None) -> str:
    return "tcvis" if year is None else f"TCTrend{year}"
