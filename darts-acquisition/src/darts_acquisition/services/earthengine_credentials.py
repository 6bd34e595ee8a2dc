"""Stored credentials for Earth Engine: where they are looked for, and how to get them."""

import os
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from darts_utils.errors import CredentialsError

HOW_TO_GET_CREDENTIALS = (
    "Run `earthengine authenticate`, which stores them in ~/.config/earthengine/credentials, or set "
    "GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account; name the project with --ee-project."
)
_SCOPES = ("https://www.googleapis.com/auth/earthengine", "https://www.googleapis.com/auth/cloud-platform")
_MIRROR_PROJECT = "demo"

type Found = tuple[Any, str | None]
"""Credentials of google-auth, and the project that is stored with them."""


def credentials_for(url: str) -> Found:
    """Return the stored credentials; none are needed for an address that is not Google's.

    The client's own search is not used: it refreshes what it finds at once, past our timeouts and retries.

    Raises:
        CredentialsError: If Google is to be asked and there are none, or what is stored cannot be read.
    """
    from google.auth.credentials import AnonymousCredentials

    host = urlsplit(url).hostname or ""
    is_google = host.endswith(".googleapis.com")
    found = _of_earthengine() or (_of_google() if is_google or _google_has_stored() else None)
    if found is not None:
        return found
    if is_google:
        raise CredentialsError(f"there are no credentials for Earth Engine. {HOW_TO_GET_CREDENTIALS}")
    return AnonymousCredentials(), _MIRROR_PROJECT


def _of_earthengine() -> Found | None:
    """Return what `earthengine authenticate` stored."""
    import ee.oauth
    from google.oauth2.credentials import Credentials

    try:
        stored = ee.oauth.get_credentials_arguments()
    except OSError:
        return None
    except (ValueError, AttributeError) as error:
        raise CredentialsError(
            f"the credentials in {ee.oauth.get_credentials_path()} cannot be read ({error}). {HOW_TO_GET_CREDENTIALS}"
        ) from error
    if not stored.get("refresh_token"):
        return None
    return Credentials(None, **stored), stored.get("quota_project_id")


def _google_has_stored() -> bool:
    """Tell whether Google's own search would find a file; without one it asks the network where it runs."""
    from google.auth import _cloud_sdk

    given = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    return bool(given) or Path(_cloud_sdk.get_application_default_credentials_path()).is_file()


def _of_google() -> Found | None:
    """Return Google's application default credentials: a service account, gcloud's, or those of its own machines."""
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
    from google.oauth2.service_account import Credentials

    try:
        with warnings.catch_warnings(action="ignore"):  # it advises projects that Earth Engine does not accept
            credentials, project = google.auth.default(scopes=_SCOPES)
    except DefaultCredentialsError as error:
        if not _google_has_stored():
            return None
        raise CredentialsError(f"Google's credentials cannot be read ({error}). {HOW_TO_GET_CREDENTIALS}") from error
    except GoogleAuthError as error:
        raise CredentialsError(f"Google's credentials cannot be had ({error}). {HOW_TO_GET_CREDENTIALS}") from error
    of_account = project if isinstance(credentials, Credentials) else None  # another one may be gcloud's own project
    return credentials, getattr(credentials, "quota_project_id", None) or of_account
