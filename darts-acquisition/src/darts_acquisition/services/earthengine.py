"""Google Earth Engine: where it is, what it allows, who asks, and what its refusals mean."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from darts_acquisition.services.earthengine_credentials import HOW_TO_GET_CREDENTIALS, credentials_for
from darts_acquisition.services.earthengine_http import PoliteHttp
from darts_acquisition.services.endpoints import endpoint, is_default
from darts_acquisition.services.retry import Limiter, RetryPolicy, Service
from darts_utils.errors import CredentialsError, DartsError, MissingDataError, ServiceError, one_line, with_kind

HIGH_VOLUME_URL = "https://earthengine-highvolume.googleapis.com"

EARTH_ENGINE = Service(
    name="Earth Engine",
    advice="Check your connection, or try again later: what is staged stays, and only the rest is fetched.",
    limiter=Limiter(connections=40),  # the most that the high-volume address takes from a project at once
    policy=RetryPolicy(total_s=600, read_timeout_s=180, try_timeout_s=600),  # it computes before it answers
)

_HOW_TO_GET_A_PROJECT = (
    "Name a project that is registered for Earth Engine (https://code.earthengine.google.com/register) with "
    "--ee-project, or store it with `earthengine set_project NAME`."
)
_UNKNOWN_ASSET = re.compile(r"(asset|collection|image)\b.*\b(not found|does not exist)", re.IGNORECASE)
_UNUSABLE_PROJECT = re.compile(
    r"project\b.*\b(not found|permission|registered|deleted|has not been used)", re.IGNORECASE
)
_REFUSED = (401, 403)


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """What the client of this process was initialised with."""

    url: str
    project: str | None
    use_highvolume: bool


_lock = threading.Lock()
_chosen: _Choice | None = None


def init_earthengine(project: str | None = None, use_highvolume: bool = True) -> None:
    """Make the Earth Engine client of this process ready; do nothing if it is ready with the same settings.

    Args:
        project: Google Cloud project that is registered for Earth Engine; else the one in the credentials.
        use_highvolume: Ask the public service at its address for many small requests. Another address, such as that
            of a mirror, is used as it is set.

    Raises:
        CredentialsError: If credentials or project are missing or refused; the message says how to get and where to
            put them. Nobody is ever sent to a browser.
        ServiceError: If the service does not answer.
    """
    global _chosen
    url = HIGH_VOLUME_URL if use_highvolume and is_default("ee_url") else endpoint("ee_url")
    wanted = _Choice(url=url, project=project, use_highvolume=use_highvolume)
    with _lock:
        if wanted != _chosen:
            _chosen = None  # if this fails, nothing may go on with half of it
            ask("initialising the client", lambda: _initialize(url, project))
            _chosen = wanted


def ensure_earthengine() -> None:
    """Make the client ready as it was chosen before in this process, else with the defaults; see `init_earthengine`."""
    before = _chosen
    if before is None:
        init_earthengine()
    else:
        init_earthengine(before.project, before.use_highvolume)


def _initialize(url: str, project: str | None) -> None:
    import ee

    http = PoliteHttp(lambda: EARTH_ENGINE)
    credentials, found_project = credentials_for(url)
    project = project if project is not None else found_project
    if project is None:
        raise CredentialsError(f"{EARTH_ENGINE.name}: there is no project to ask for. {_HOW_TO_GET_A_PROJECT}")
    ee.ApiFunction.reset()  # or else the service is not asked again, and a refused project not noticed before long work
    ee.data.setMaxRetries(0)  # PoliteHttp tries again; both together would multiply
    with _no_look_up_of_deprecated_assets(ee.deprecation):
        ee.Initialize(credentials, url=url, http_transport=http, project=project)


@contextmanager
def _no_look_up_of_deprecated_assets(module: Any) -> Iterator[None]:
    """Keep the client from fetching a list from elsewhere, without a timeout, only to warn of assets we do not use."""
    look_up = module.InitializeDeprecatedAssets
    module.InitializeDeprecatedAssets = lambda: None
    try:
        yield
    finally:
        module.InitializeDeprecatedAssets = look_up


def ask[T](what: str, function: Callable[[], T]) -> T:
    """Return what a function gets from the Earth Engine client.

    Args:
        what: What it asks for, as part of a sentence.
        function: Calls the client; limits and retries apply below it.

    Raises:
        CredentialsError: If credentials or project are refused.
        MissingDataError: If there is no such asset.
        ServiceError: If the service refuses for another reason, or does not answer.
    """
    import google.auth.exceptions
    from ee.ee_exception import EEException
    from googleapiclient.errors import Error as ProtocolError

    try:
        return function()
    except DartsError:
        raise
    except (EEException, ProtocolError, google.auth.exceptions.GoogleAuthError) as error:
        raise _meaning(what, error) from error
    except (ValueError, KeyError, RecursionError) as error:  # from a whole answer that is none of the protocol's
        raise ServiceError(
            f"{EARTH_ENGINE.name}: {what} was not answered as Earth Engine does ({with_kind(error)}). "
            f"{EARTH_ENGINE.advice}"
        ) from error


def _meaning(what: str, error: Exception) -> DartsError:
    """Return the error of ours that says what a refusal means and what to do."""
    import google.auth.exceptions

    name = EARTH_ENGINE.name
    answer: Any = error if hasattr(error, "resp") else error.__context__  # the client hides the status in the context
    status = getattr(getattr(answer, "resp", None), "status", None)
    said = one_line(error).rstrip(".")[:300]
    if isinstance(error, google.auth.exceptions.TransportError):
        return ServiceError(f"{name}: {what} failed: {said}. {EARTH_ENGINE.advice}")
    if isinstance(error, google.auth.exceptions.GoogleAuthError):
        return CredentialsError(f"{name}: the credentials are refused ({said}). {HOW_TO_GET_CREDENTIALS}")
    if status not in _REFUSED and _UNKNOWN_ASSET.search(said):
        return MissingDataError(f"{name}: {what}: {said}. Check the id, and that your account may read it.")
    if _UNUSABLE_PROJECT.search(said):
        return CredentialsError(f"{name}: {what} was refused: {said}. {_HOW_TO_GET_A_PROJECT}")
    if status in _REFUSED:
        return CredentialsError(f"{name}: {what} was refused ({status}: {said}). {HOW_TO_GET_CREDENTIALS}")
    return ServiceError(f"{name}: {what} was refused: {said}. {EARTH_ENGINE.advice}")
