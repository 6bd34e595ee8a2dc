"""Offline: the network of GDAL and PROJ, which ask it of their own accord, is turned off, and no service is asked."""

import os

from darts_acquisition.services.settings import current
from darts_utils.errors import MissingDataError

_OFF = {
    "CPL_VSIL_CURL_ALLOWED_FILENAME": "-",  # the only file that GDAL may open there, and none is called so
    "PROJ_NETWORK": "OFF",  # it may be on in the environment, for grids of datum shifts
}
_before: dict[str, str | None] = {}


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


def check_allowed(service: str) -> None:
    """Check that a service may be asked.

    Raises:
        MissingDataError: If not.
    """
    if (advice := current().refusal) is not None:
        raise MissingDataError(f"this would ask the {service}, which an offline run does not. {advice}")
