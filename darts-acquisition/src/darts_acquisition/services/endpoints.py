"""Addresses of the services: as set for this run, else from the environment, else the public ones."""

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from darts_acquisition.services.settings import current, set_addresses
from darts_utils.errors import ConfigError


@dataclass(frozen=True)
class Endpoint:
    """Where a service is, and the variable of the environment that names another place."""

    variable: str
    default: str


ENDPOINTS = {
    "cdse_stac_url": Endpoint("DARTS_CDSE_STAC_URL", "https://stac.dataspace.copernicus.eu/v1/"),
    "cdse_s3_endpoint": Endpoint("DARTS_CDSE_S3_ENDPOINT", "https://eodata.dataspace.copernicus.eu"),
    "earthsearch_stac_url": Endpoint("DARTS_EARTHSEARCH_STAC_URL", "https://earth-search.aws.element84.com/v1"),
    "arcticdem_stac_url": Endpoint("DARTS_ARCTICDEM_STAC_URL", "https://stac.pgc.umn.edu/api/v1/"),
    "arcticdem_index_url": Endpoint(
        "DARTS_ARCTICDEM_INDEX_URL",
        "https://data.pgc.umn.edu/elev/dem/setsm/ArcticDEM/indexes/ArcticDEM_Mosaic_Index_latest_gpqt.zip",
    ),
    "ee_url": Endpoint("DARTS_EE_URL", "https://earthengine.googleapis.com"),
    "admin_url": Endpoint("DARTS_ADMIN_URL", "https://github.com/wmgeolab/geoBoundaries/raw/main/releaseData/CGAZ"),
    "sentinel2_grid_url": Endpoint(
        "DARTS_SENTINEL2_GRID_URL",
        "https://sentiwiki.copernicus.eu/__attachments/1692737/"
        "S2A_OPER_GIP_TILPAR_MPC__20151209T095117_V20150622T000000_21000101T000000_B00.zip",
    ),
}

ASSET_HOSTS = {
    "earthsearch_stac_url": Endpoint(
        "DARTS_EARTHSEARCH_ASSET_HOSTS",
        "e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com,sentinel-cogs.s3.us-west-2.amazonaws.com",
    ),
    "arcticdem_stac_url": Endpoint(
        "DARTS_ARCTICDEM_ASSET_HOSTS", "pgc-opendata-dems.s3.us-west-2.amazonaws.com,data.pgc.umn.edu"
    ),
}
"""Where the files may lie that a catalogue names, besides its own host; commas between them."""


def set_endpoints(**addresses: str | None) -> None:
    """Use other addresses in this run; None takes one back. They win over the environment.

    Raises:
        ConfigError: If one is no address.
    """
    kept = {name: address for name, address in current().addresses.items() if name not in addresses}
    given = {name: address for name, address in addresses.items() if address is not None}
    set_addresses(kept | {name: _checked(name, address, ENDPOINTS[name].default) for name, address in given.items()})


def endpoint(name: str) -> str:
    """Return the address of a service without a slash at the end.

    Raises:
        ConfigError: If the environment holds no address.
    """
    if name in (addresses := current().addresses):
        return addresses[name]
    given = ENDPOINTS[name]
    return _checked(given.variable, os.environ.get(given.variable) or given.default, given.default)


def asset_hosts(name: str) -> tuple[str, ...]:
    """Return the hosts where files may lie that a catalogue names, besides its own."""
    given = ASSET_HOSTS[name]
    text = os.environ.get(given.variable) or given.default
    return tuple(host.strip().lower() for host in text.split(",") if host.strip())


def is_default(name: str) -> bool:
    """Tell whether a service is asked at its public address."""
    return endpoint(name) == ENDPOINTS[name].default.rstrip("/")


def _checked(name: str, address: str, default: str) -> str:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(f"{name} is {address!r} but must be an address such as {default}. Correct or unset it.")
    return address.rstrip("/")
