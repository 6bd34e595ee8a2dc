"""Offline: the network of GDAL and PROJ, which ask it of their own accord, is turned off, and no service is asked."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from darts_utils.errors import MissingDataError

_OFF = {
    "CPL_VSIL_CURL_ALLOWED_FILENAME": "-",  # the only file that GDAL may open there, and none is called so
    "PROJ_NETWORK": "OFF",  # it may be on in the environment, for grids of datum shifts
}
_before: dict[str, str | None] = {}
_advice: list[str] = []
"""What to do for what must not be asked for now; in no thread of the process may a service be asked."""


def set_offline(offline: bool) -> None:
    """Turn the network of GDAL and PROJ off in this process, or back to what the environment said."""
    import pyproj.network

    if offline:
        for name, off in _OFF.items():
            _before.setdefault(name, os.environ.get(name))
            os.environ[name] = off  # each wheel has a GDAL and a PROJ of its own; all of them read it here
        pyproj.network.set_network_enabled(active=False)
        return
    for name, value in _before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if _before:
        pyproj.network.set_network_enabled(active=None)
    _before.clear()


@contextmanager
def no_service(advice: str) -> Iterator[None]:
    """Let every question to a service fail at once in this block: what earlier answers do not tell is not known.

    Args:
        advice: What the user can do, for the error.
    """
    _advice.append(advice)
    try:
        yield
    finally:
        _advice.pop()


def check_allowed(service: str) -> None:
    """Check that a service may be asked.

    Raises:
        MissingDataError: If not.
    """
    if _advice:
        raise MissingDataError(f"this would ask the {service}, which an offline run does not. {_advice[-1]}")
