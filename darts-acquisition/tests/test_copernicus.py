"""Endpoints and keys of the Copernicus Data Space."""

import pytest

from darts_acquisition import init_copernicus
from darts_acquisition.services.copernicus import refused_keys
from darts_utils.errors import CredentialsError

HOW = (
    "Register at https://dataspace.copernicus.eu, make a key pair at https://eodata-s3keysmanager.dataspace.copernicus.eu"
    " and put aws_access_key_id and aws_secret_access_key under [{}] into {}."
)


@pytest.fixture(autouse=True)
def aws_files(tmp_path, monkeypatch):
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return tmp_path


def test_keys_come_from_the_profile_and_stay_secret(aws_files):
    (aws_files / "credentials").write_text("[default]\naws_access_key_id = A\naws_secret_access_key = B\n")
    (aws_files / "config").write_text("[profile cdse]\naws_access_key_id = C\naws_secret_access_key = geheim\n")
    assert (init_copernicus().access_key, init_copernicus().secret_key) == ("A", "B")
    assert init_copernicus("cdse").secret_key == "geheim"
    assert "geheim" not in repr(init_copernicus("cdse"))


def test_no_profile_says_how_to_get_one(aws_files):
    (aws_files / "credentials").write_text("[other]\naws_access_key_id = A\naws_secret_access_key = B\n")
    with pytest.raises(CredentialsError) as caught:
        init_copernicus("cdse")
    how = HOW.format("cdse", aws_files / "credentials")
    assert str(caught.value) == f"there is no AWS profile cdse for the Copernicus storage (known: other). {how}"
    assert caught.value.exit_code == 2


def test_half_a_profile_names_the_missing_key(aws_files):
    (aws_files / "credentials").write_text("[default]\naws_access_key_id = A\n")
    with pytest.raises(CredentialsError) as caught:
        init_copernicus()
    how = HOW.format("default", aws_files / "credentials")
    assert str(caught.value) == f"the AWS profile default lacks aws_secret_access_key. {how}"


def test_a_damaged_file_is_named(aws_files):
    (aws_files / "credentials").write_text("no section\n")
    with pytest.raises(
        CredentialsError, match=r"the AWS profiles cannot be read: Unable to parse config file: .*\. Correct"
    ):
        init_copernicus()


def test_refused_keys_name_the_profile(aws_files):
    (aws_files / "credentials").write_text("[default]\naws_access_key_id = A\naws_secret_access_key = B\n")
    how = HOW.format("default", aws_files / "credentials")
    assert str(refused_keys(init_copernicus(), "403 Forbidden")) == (
        "Copernicus storage: the keys of the AWS profile default are refused (403 Forbidden); "
        f"they may have expired. {how}"
    )
