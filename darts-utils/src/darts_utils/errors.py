"""Errors that a user can cause, each with the exit status it leads to.

A message says what is wrong, with the value, what would be right, and what to do. Commands print it as one line.
"""


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
    """A service on the network did not do what was asked, whatever was tried."""


class OutputError(DartsError, OSError):
    """Results cannot be written."""

    exit_code = 2
