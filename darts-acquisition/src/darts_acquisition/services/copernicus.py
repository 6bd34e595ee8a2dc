"""The Copernicus Data Space: where it is, what it allows, and the keys to its storage."""

from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError
from botocore.session import Session

from darts_acquisition.services.retry import Limiter, RetryPolicy, Service
from darts_utils.errors import CredentialsError

S3_REGION = "default"
COLLECTION = "sentinel-2-l2a"

CATALOGUE = Service(
    name="Copernicus catalogue",
    advice="Check your connection, or try again later; DARTS_CDSE_STAC_URL names another catalogue.",
    limiter=Limiter(per_second=5, connections=4),
)
STORAGE = Service(
    name="Copernicus storage",
    advice="Check your connection, or try again later: what is staged stays, and only the rest is fetched.",
    limiter=Limiter(connections=4),
    policy=RetryPolicy(attempts=5, total_s=900),  # a band has 100 MB: on a slow line one try takes minutes
)

_HOW_TO_GET_KEYS = (
    "Register at https://dataspace.copernicus.eu, make a key pair at "
    "https://eodata-s3keysmanager.dataspace.copernicus.eu and put aws_access_key_id and aws_secret_access_key under "
    "[{profile}] into {file}."
)


@dataclass(frozen=True, kw_only=True)
class CopernicusKeys:
    """A key pair for the storage, as an AWS profile holds it."""

    profile_name: str
    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def init_copernicus(profile_name: str = "default") -> CopernicusKeys:
    """Return the keys of an AWS profile, so that a run without any ends before its long work.

    Args:
        profile_name: Profile in `~/.aws/credentials` or `~/.aws/config` (or where AWS_SHARED_CREDENTIALS_FILE and
            AWS_CONFIG_FILE say).

    Raises:
        CredentialsError: If there is no such profile or it lacks a key; the message says how to get and where to put
            them.
    """
    session = Session(profile=profile_name)
    try:
        profiles = session.full_config.get("profiles", {})
    except BotoCoreError as error:
        raise CredentialsError(f"the AWS profiles cannot be read: {error}. Correct the file.") from error
    keys = profiles.get(profile_name)
    file = session.get_config_variable("credentials_file")
    how = _HOW_TO_GET_KEYS.format(profile=profile_name, file=file)
    if keys is None:
        known = ", ".join(sorted(profiles)) or "none"
        raise CredentialsError(
            f"there is no AWS profile {profile_name} for the Copernicus storage (known: {known}). {how}"
        )
    missing = [name for name in ("aws_access_key_id", "aws_secret_access_key") if not keys.get(name)]
    if missing:
        raise CredentialsError(f"the AWS profile {profile_name} lacks {' and '.join(missing)}. {how}")
    return CopernicusKeys(
        profile_name=profile_name,
        access_key=keys["aws_access_key_id"],
        secret_key=keys["aws_secret_access_key"],
        token=keys.get("aws_session_token"),
    )


def refused_keys(keys: CopernicusKeys, status: str) -> CredentialsError:
    """Return the error for keys that the storage refuses."""
    file = Session(profile=keys.profile_name).get_config_variable("credentials_file")
    how = _HOW_TO_GET_KEYS.format(profile=keys.profile_name, file=file)
    return CredentialsError(
        f"{STORAGE.name}: the keys of the AWS profile {keys.profile_name} are refused ({status}); "
        f"they may have expired. {how}"
    )
