"""The network of the native libraries: GDAL and PROJ ask it of their own accord, so offline it is turned off."""

import os

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
