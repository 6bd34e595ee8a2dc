"""Addresses of the services."""

import pytest

from darts_acquisition.services.endpoints import ENDPOINTS, endpoint, is_default, set_endpoints
from darts_utils.errors import ConfigError


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name, given in ENDPOINTS.items():
        monkeypatch.delenv(given.variable, raising=False)
        set_endpoints(**{name: None})
    yield
    set_endpoints(**dict.fromkeys(ENDPOINTS))


def test_what_is_set_comes_before_the_environment_and_that_before_the_default(monkeypatch):
    assert endpoint("cdse_stac_url") == "https://stac.dataspace.copernicus.eu/v1"
    assert is_default("cdse_stac_url")
    monkeypatch.setenv("DARTS_CDSE_STAC_URL", "http://127.0.0.1:1/stac/")
    assert endpoint("cdse_stac_url") == "http://127.0.0.1:1/stac"
    set_endpoints(cdse_stac_url="http://127.0.0.1:2/")
    assert endpoint("cdse_stac_url") == "http://127.0.0.1:2"
    assert not is_default("cdse_stac_url")
    set_endpoints(cdse_stac_url=None)
    assert endpoint("cdse_stac_url") == "http://127.0.0.1:1/stac"


def test_something_that_is_no_address_is_refused_with_an_example(monkeypatch):
    monkeypatch.setenv("DARTS_CDSE_S3_ENDPOINT", "eodata.test")
    with pytest.raises(ConfigError) as caught:
        endpoint("cdse_s3_endpoint")
    assert str(caught.value) == (
        "DARTS_CDSE_S3_ENDPOINT is 'eodata.test' but must be an address such as "
        "https://eodata.dataspace.copernicus.eu. Correct or unset it."
    )
    with pytest.raises(ConfigError, match=r"ee_url is 'ftp://x' but must be an address"):
        set_endpoints(ee_url="ftp://x")
