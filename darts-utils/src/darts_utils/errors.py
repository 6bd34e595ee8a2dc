"""Errors that a user can cause, each with the exit status it leads to.

A message says what is wrong, with the value, what would be right, and what to do. Commands print it as one line.
"""

import difflib
from collections.abc import Iterable


class DartsError(Exception):
    """Base of every error that DARTS raises on purpose."""

    exit_code = 1


class ConfigError(DartsError, ValueError):
    """A parameter, a config file or a combination of both is wrong."""

    exit_code = 2


class CheckpointError(DartsError, ValueError):
    """A model file cannot be used: missing, damaged, unsafe or incomplete."""

    exit_code = 2


class DataError(DartsError, ValueError):
    """Input data is there but cannot be used."""


class GridError(DataError):
    """Data lies on a grid that the asked-for step cannot work on."""


class MissingDataError(DartsError, FileNotFoundError):
    """Input data is not where it should be."""


class CoverageError(MissingDataError):
    """A datacube does not hold the whole area that a tile needs."""


class CredentialsError(ConfigError):
    """Keys of a service are missing or refused."""


class ServiceError(DartsError, ConnectionError):
    """A service on the network did not do what was asked, whatever was tried; later it may."""

    exit_code = 3


class OutputError(DartsError, OSError):
    """Results cannot be written."""

    exit_code = 2


_ADVICE_OF_GDAL = "; It might help"
"""Begins what GDAL tells people who call it themselves."""


def one_line(error: BaseException, longest: int | None = None) -> str:
    """Return what an error of a library says, to stand in a message of ours; its kind if it says nothing.

    Args:
        error: The error.
        longest: After how many characters it ends.
    """
    said, advice, _ = " ".join(str(error).split()).partition(_ADVICE_OF_GDAL)
    return (said.rstrip(".") if advice else said)[:longest] or type(error).__name__


def with_kind(error: BaseException, longest: int | None = None) -> str:
    """Return what kind an error of a library is and what it says, for those whose words alone say little.

    Args:
        error: The error.
        longest: After how many characters its words end.
    """
    kind, said = type(error).__name__, one_line(error, longest)
    return kind if said == kind else f"{kind}: {said}"


def exit_status(failures: Iterable[str | None]) -> int:
    """Return the exit status of work of which some failed, by the names of the errors: 0 if nothing did.

    It is 3 if nothing failed but for a service that did not answer, so that a script knows that to try again is enough.
    """
    kinds = set(failures)
    if not kinds:
        return 0
    return ServiceError.exit_code if kinds == {ServiceError.__name__} else DartsError.exit_code


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return which of some names was likely meant by another, whatever its case; None if none is near."""
    by_lower = {one.lower(): one for one in sorted(known)}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[near[0]] if near else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about a name that is not known: " Did you mean ...?", or nothing if none is near."""
    meant = nearest(name, known)
    return "" if meant is None else f" Did you mean {meant}?"
