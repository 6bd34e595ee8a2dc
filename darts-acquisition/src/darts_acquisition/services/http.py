"""Texts over HTTP, asked for with the manners of a service."""

import time
from collections.abc import Mapping
from typing import Any

import requests

from darts_acquisition.services.retry import TRANSIENT_STATUS, Service, TransientError, call, retry_after_s
from darts_utils.errors import ServiceError

_PIECE_BYTES = 65_536


def fetch_text(
    service: Service,
    url: str,
    *,
    method: str = "GET",
    params: Mapping[str, Any] | None = None,
    body: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> str:
    """Return the text that a service answers with, decoded as UTF-8.

    Args:
        service: Whom to ask; its limits and retries apply.
        url: What to ask for.
        method: HTTP method.
        params: Query parameters.
        body: JSON body.
        headers: Headers beyond the usual ones.

    Raises:
        ServiceError: If it cannot be had, at once or after all retries; the message says why.
    """
    what = f"{method} {url}"

    def one_try() -> str:
        try:
            return _request(service, what, requests.Request(method, url, headers, json=body, params=params))
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            raise TransientError(plain_reason(error)) from error
        except requests.RequestException as error:
            raise ServiceError(f"{service.name}: {what} cannot be asked ({error}). {service.advice}") from error

    return call(service, what, one_try)


def _request(service: Service, what: str, request: requests.Request) -> str:
    policy = service.policy
    deadline_s = time.monotonic() + policy.try_timeout_s
    with requests.Session() as session:
        prepared = session.prepare_request(request)
        settings = session.merge_environment_settings(prepared.url, {}, True, None, None)
        timeout = (policy.connect_timeout_s, policy.read_timeout_s)
        with session.send(prepared, timeout=timeout, **settings) as response:
            text = read_body(response, deadline_s).decode("utf-8", errors="replace")
    if response.ok:
        return text
    reason = f"{response.status_code} {response.reason}"
    if response.status_code in TRANSIENT_STATUS:
        raise TransientError(reason, retry_after_s(response.headers.get("Retry-After")))
    said = " ".join(text.split())[:300]
    raise ServiceError(f"{service.name}: {what} was refused: {reason}: {said}. {service.advice}")


def read_body(response: requests.Response, deadline_s: float) -> bytes:
    """Return the body of a streamed answer.

    Raises:
        TransientError: If it is not whole by a moment of the monotonic clock.
    """
    pieces = []
    for piece in response.iter_content(_PIECE_BYTES):
        if time.monotonic() > deadline_s:
            raise TransientError("the answer came too slowly")
        pieces.append(piece)
    return b"".join(pieces)


def plain_reason(error: requests.RequestException) -> str:
    """Return a short reason: the innermost error says it best."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    inner: Any = error
    while inner.args and isinstance(getattr(inner.args[0], "reason", inner.args[0]), BaseException):
        inner = getattr(inner.args[0], "reason", inner.args[0])
    return f"no connection: {inner}" if isinstance(error, requests.ConnectionError) else str(inner)
