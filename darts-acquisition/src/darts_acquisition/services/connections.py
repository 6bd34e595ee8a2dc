"""Connections that lead only where their service says, and that are cut when one try takes too long."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from darts_acquisition.services.retry import Service, TransientError
from darts_utils.errors import ServiceError

_MOST_REDIRECTS = 5
ANYWHERE = "*"
"""In place of a host that a service may lead to: any by https, for files that are held against a hash afterwards."""
_PORTS = {"http": 80, "https": 443}
_under_way = threading.local()
"""The sockets on which a thread waits for an answer, while `within` watches it."""


class _Watched:
    """Tells which socket an answer is waited for on."""

    sock: Any

    def getresponse(self) -> Any:
        sockets = getattr(_under_way, "sockets", None)
        if sockets is not None:
            sockets.append(self.sock)
        return super().getresponse()  # type: ignore[misc]  # of the connection that this is mixed into


class _HttpConnection(_Watched, HTTPConnection):
    pass


class _HttpsConnection(_Watched, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
        return manager


class ServiceSession(requests.Session):
    """A session that follows redirects only where a service may lead, and whose requests `within` can cut.

    Args:
        service: Whom it asks.
        pooled: Connections that are kept for further requests.
    """

    def __init__(self, service: Service, *, pooled: int = 10) -> None:
        super().__init__()
        self._service = service
        self.max_redirects = _MOST_REDIRECTS
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter(pool_maxsize=pooled))

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where an answer leads, None if nowhere.

        Raises:
            ServiceError: If it leads where it must not.
        """
        target = super().get_redirect_target(resp)
        if target is not None:
            try:
                _check_redirect(self._service, str(resp.url), urljoin(str(resp.url), target))
            except ServiceError:
                resp.close()
                raise
        return target


def _check_redirect(service: Service, url: str, target: str) -> None:
    source, goal = urlsplit(url), urlsplit(target)
    is_downgrade = goal.scheme != "https" and (goal.scheme, source.scheme) != ("http", "http")
    may_lead = ANYWHERE in service.leads_to or same_host(source, goal) or _is_below(goal.hostname, service.leads_to)
    if is_downgrade or not may_lead:
        raise ServiceError(
            f"{service.name}: {url.partition('?')[0]} leads to {target.partition('?')[0]}, which is not asked: only "
            f"{_allowed(source, service)} may be. {service.advice}"
        )


def _allowed(source: SplitResult, service: Service) -> str:
    return "https" if ANYWHERE in service.leads_to else ", ".join([str(source.hostname), *service.leads_to])


def same_host(one: SplitResult, other: SplitResult) -> bool:
    """Tell whether two addresses have the same host and port, or differ only in that one is the safer of the two."""
    if one.hostname != other.hostname:
        return False
    usual = one.port is None and other.port is None
    return usual or _port(one) == _port(other)


def _port(address: SplitResult) -> int | None:
    return address.port or _PORTS.get(address.scheme)


def _is_below(host: str | None, hosts: tuple[str, ...]) -> bool:
    return host is not None and any(host == known or host.endswith(f".{known}") for known in hosts)


def is_among(url: str, hosts: tuple[str, ...]) -> bool:
    """Tell whether an address is one by https at one of some hosts, or below one."""
    address = urlsplit(url)
    return address.scheme == "https" and _is_below(address.hostname, hosts)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Cut what this thread asks for in the block if it takes longer: headers and bodies can drip for ever.

    Raises:
        TransientError: If it was cut.
    """
    sockets: list[Any] = []
    is_cut = threading.Event()

    def cut() -> None:
        is_cut.set()
        for one in sockets:
            with suppress(OSError, AttributeError):
                one.shutdown(socket.SHUT_RDWR)

    watch = threading.Timer(seconds, cut)
    watch.daemon = True
    watch.start()
    _under_way.sockets = sockets
    try:
        yield
    except Exception as error:
        if is_cut.is_set():
            raise TransientError("the answer came too slowly") from error
        raise
    finally:
        _under_way.sockets = None
        watch.cancel()
    if is_cut.is_set():  # a body of unknown length that was cut looks like one that ended
        raise TransientError("the answer came too slowly")
