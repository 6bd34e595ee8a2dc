"""Manners towards a service: a limited rate, few connections, and retries that end."""

import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tenacity import RetryCallState, RetryError, Retrying, retry_if_exception_type
from tenacity.stop import stop_before_delay

from darts_acquisition.services.network import check_allowed
from darts_utils.errors import ServiceError

TRANSIENT_STATUS = frozenset({408, 429, *range(500, 600)})
"""HTTP answers after which the same request may succeed later."""

_ATTEMPTS_WHILE_DOWN = 2
"""A service that was given up on is not begged again by every later request: thousands of scenes would wait for it."""

_RATE_MARGIN = 0.85
"""Share of an allowed rate that is used: requests sent at equal distances arrive at unequal ones."""


class TransientError(Exception):
    """One try failed in a way that another one may not.

    Args:
        reason: What happened, for people.
        retry_after_s: How long the service asked to wait.
    """

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often, and for how long, a request is tried; waits double from try to try, with jitter."""

    attempts: int = 8
    total_s: float = 180.0
    """No wait begins that would end later than this after the first try."""
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    """Longest silence within one try."""
    try_timeout_s: float = 300.0
    """Longest single try, however steadily its answer drips."""


class Limiter:
    """Lets requests of all threads through at a limited rate and a limited number at once.

    Args:
        per_second: Requests that the service allows in a second; infinity for no limit.
        connections: Requests that may be under way at the same time.
    """

    def __init__(self, *, connections: int, per_second: float = math.inf) -> None:
        self._spacing_s = 1 / (per_second * _RATE_MARGIN)
        self._connections = threading.BoundedSemaphore(connections)
        self._turnstile = threading.Lock()
        self._lock = threading.Lock()
        self._next_s = 0.0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a turn and hold a connection while the block runs."""
        with self._connections:
            with self._turnstile:  # one waits, the others behind it: a late awakening delays all that follow
                self._wait()
            yield

    def _wait(self) -> None:
        while True:
            with self._lock:
                now = time.monotonic()
                left_s = self._next_s - now
                if left_s <= 0:
                    self._next_s = now + self._spacing_s
                    return
            time.sleep(left_s)

    def pause(self, seconds: float) -> None:
        """Let nobody begin for a while, because the service asked for it."""
        with self._lock:
            self._next_s = max(self._next_s, time.monotonic() + seconds)


@dataclass(frozen=True, kw_only=True)
class Service:
    """Something on the network, with its limits; one object a service, shared by all threads."""

    name: str
    advice: str
    """What a user can do when it fails."""
    limiter: Limiter = field(compare=False)
    policy: RetryPolicy = RetryPolicy()
    leads_to: tuple[str, ...] = ()
    """Hosts, with those below them, that its answers may redirect to; its own is always one."""
    given_up: threading.Event = field(default_factory=threading.Event, compare=False)
    """Set when all tries of a request failed, until one succeeds."""


def call[T](service: Service, what: str, function: Callable[[], T]) -> T:
    """Return what a function gets from a service, trying again after each `TransientError`.

    Args:
        service: Whom it asks.
        what: What it asks for, as part of a sentence, such as `GET https://...`.
        function: One try; its timeouts are its own.

    Raises:
        ServiceError: If no try succeeded; other errors of the function pass through at once.
        MissingDataError: If nobody may be asked, see `darts_acquisition.services.settings.refusing`.
    """
    check_allowed(service.name)
    policy = service.policy
    started = time.monotonic()

    def one_try() -> T:
        with service.limiter.slot():
            answer = function()
        service.given_up.clear()
        return answer

    retrying = Retrying(
        stop=lambda state: _is_enough(service, state) or bool(stop_before_delay(policy.total_s)(state)),
        wait=lambda state: _wait_s(service, state),
        retry=retry_if_exception_type(TransientError),
    )
    try:
        return retrying(one_try)
    except RetryError as error:
        service.given_up.set()
        tries, last = error.last_attempt.attempt_number, error.last_attempt.exception()
        times = "once" if tries == 1 else f"{tries} times"
        raise ServiceError(
            f"{service.name}: {what} failed {times} in {time.monotonic() - started:.0f} s (last: {last}). "
            f"{service.advice}"
        ) from last


def _is_enough(service: Service, state: RetryCallState) -> bool:
    """Tell whether no more tries follow; those under way see it too when another thread gives the service up."""
    attempts = service.policy.attempts
    return state.attempt_number >= (min(attempts, _ATTEMPTS_WHILE_DOWN) if service.given_up.is_set() else attempts)


def _wait_s(service: Service, state: RetryCallState) -> float:
    """Return how long to wait after a failed try: as asked by the service, else doubling, with jitter."""
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.retry_after_s if isinstance(error, TransientError) else None
    policy = service.policy
    if asked is not None:
        if asked <= policy.total_s:
            service.limiter.pause(asked)
        return asked + random.uniform(0, policy.first_wait_s)
    ceiling = min(policy.longest_wait_s, policy.first_wait_s * 2 ** (state.attempt_number - 1))
    return random.uniform(ceiling / 2, ceiling)


def retry_after_s(header: str | None) -> float | None:
    """Return the seconds that a `Retry-After` header asks for (a number or a date), None if it says nothing."""
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
