"""The HTTP of the Earth Engine client, with the manners of a service.

The client takes any object that behaves like `httplib2.Http`; this one may be used by many threads at once.
"""

from collections.abc import Callable, Mapping
from typing import Any

import requests

from darts_acquisition.services.connections import ServiceSession, within
from darts_acquisition.services.http import LOST, MOST_TEXT_BYTES, at_most, plain_reason
from darts_acquisition.services.retry import TRANSIENT_STATUS, Service, TransientError, call, retry_after_s
from darts_utils.errors import ServiceError

_PIECE_BYTES = 65_536
_POOLED_CONNECTIONS = 40

type Answer = tuple[Any, bytes]
"""An `httplib2.Response`, which holds status and headers, and the body."""


class PoliteHttp:
    """Sends requests as `httplib2.Http` does, through the limits, timeouts and retries of a service.

    Args:
        service: Gives the service whose manners apply, asked at every request.
    """

    def __init__(self, service: Callable[[], Service]) -> None:
        self._service = service
        self._session = ServiceSession(service(), pooled=_POOLED_CONNECTIONS)

    def request(  # noqa: PLR0917  (the signature of httplib2)
        self,
        uri: str,
        method: str = "GET",
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        redirections: int | None = None,  # noqa: ARG002  (part of httplib2's signature)
        connection_type: Any = None,  # noqa: ARG002  (likewise)
    ) -> Answer:
        """Return the answer to a request, whatever its status, unless another try may help.

        Raises:
            ServiceError: If no try was answered, or each with a status that is worth another one.
        """
        service = self._service()
        return call(
            service, f"{method} {uri.partition('?')[0]}", lambda: self._try(service, uri, method, body, headers)
        )

    def _try(
        self,
        service: Service,
        uri: str,
        method: str,
        body: str | bytes | None,
        headers: Mapping[str, str] | None,
    ) -> Answer:
        policy = service.policy
        timeout = (policy.connect_timeout_s, policy.read_timeout_s)
        try:
            with (
                within(policy.try_timeout_s),
                self._session.request(
                    method, uri, data=body, headers=headers, timeout=timeout, stream=True
                ) as response,
            ):
                pieces = response.iter_content(_PIECE_BYTES)
                content = b"".join(at_most(MOST_TEXT_BYTES, pieces, service, uri))
        except LOST as error:
            raise TransientError(plain_reason(error)) from error
        except requests.RequestException as error:
            raise ServiceError(
                f"{service.name}: {method} {uri.partition('?')[0]} cannot be asked ({error}). {service.advice}"
            ) from error
        if response.status_code in TRANSIENT_STATUS:
            asked = retry_after_s(response.headers.get("Retry-After"))
            raise TransientError(f"{response.status_code} {response.reason}", asked)
        return _as_httplib2(response), content

    def close(self) -> None:
        """Close the connections that wait for further requests."""
        self._session.close()


def _as_httplib2(response: requests.Response) -> Any:
    import httplib2

    answer = httplib2.Response({**response.headers, "status": str(response.status_code)})
    answer.reason = response.reason
    return answer
