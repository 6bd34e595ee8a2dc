"""Manners: transient failures are tried again, within bounds; rates and connections hold across threads."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from darts_acquisition.services.retry import Limiter, RetryPolicy, Service, TransientError, call, retry_after_s
from darts_utils.errors import DartsError, ServiceError

FAST = RetryPolicy(attempts=4, total_s=2, first_wait_s=0.01, longest_wait_s=0.02)


def service(policy=FAST, connections=4, **limits):
    return Service(
        name="Sample service", advice="Try later.", limiter=Limiter(connections=connections, **limits), policy=policy
    )


class Flaky:
    def __init__(self, *errors):
        self.errors, self.calls = list(errors), 0

    def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "there"


def test_what_fails_for_a_while_succeeds_in_the_end():
    flaky = Flaky(TransientError("503"), TransientError("429"))
    assert call(service(), "GET it", flaky) == "there"
    assert flaky.calls == 3


def test_a_dead_service_ends_in_one_clear_line():
    flaky = Flaky(*[TransientError("503 Service Unavailable")] * 9)
    with pytest.raises(ServiceError) as caught:
        call(service(), "GET http://example.test/a", flaky)
    assert str(caught.value) == (
        "Sample service: GET http://example.test/a failed 4 times in 0 s (last: 503 Service Unavailable). Try later."
    )
    assert flaky.calls == 4
    assert isinstance(caught.value, DartsError)


def test_other_errors_pass_at_once():
    flaky = Flaky(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        call(service(), "GET it", flaky)
    assert flaky.calls == 1


def test_the_time_that_the_service_asks_for_is_waited():
    started = time.monotonic()
    assert call(service(), "GET it", Flaky(TransientError("429", retry_after_s=0.3))) == "there"
    assert time.monotonic() - started >= 0.3


def test_nobody_waits_longer_than_the_bound():
    started = time.monotonic()
    with pytest.raises(ServiceError, match=r"failed once in 0 s \(last: 429\)"):
        call(service(), "GET it", Flaky(TransientError("429", retry_after_s=3600)))
    assert time.monotonic() - started < 1


def test_a_pause_holds_for_all_threads():
    polite = service()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(call, polite, "GET it", Flaky(TransientError("429", retry_after_s=0.4)))
        time.sleep(0.1)
        started = time.monotonic()
        call(polite, "GET other", Flaky())
        assert time.monotonic() - started >= 0.2
        assert first.result() == "there"


def test_the_rate_is_kept_across_threads_and_used_well():
    limiter, moments = Limiter(connections=4, per_second=40), []

    def ask(_):
        with limiter.slot():
            moments.append(time.monotonic())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(41)))
    moments.sort()
    assert 40 / (moments[-1] - moments[0]) <= 40
    assert 40 / (moments[-1] - moments[0]) >= 0.8 * 40


def test_no_more_connections_than_allowed():
    limiter, lock, now, most = Limiter(connections=3), threading.Lock(), 0, 0

    def ask(_):
        nonlocal now, most
        with limiter.slot():
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.01)
            with lock:
                now -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(24)))
    assert most == 3


@pytest.mark.parametrize(("header", "seconds"), [(None, None), ("7", 7), ("soon", None), ("", None)])
def test_retry_after_may_be_a_number(header, seconds):
    assert retry_after_s(header) == seconds


def test_retry_after_may_be_a_date():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 97 < retry_after_s(later) <= 100
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0


def test_a_service_that_was_given_up_on_is_asked_less_until_it_answers():
    tries = []

    def fail():
        tries.append(1)
        raise TransientError("gone")

    policy = RetryPolicy(attempts=4, first_wait_s=0.001, longest_wait_s=0.001)
    service = Service(name="s", advice="Wait.", limiter=Limiter(connections=1), policy=policy)
    for expected in (4, 2, 2):
        tries.clear()
        with pytest.raises(ServiceError):
            call(service, "asking", fail)
        assert len(tries) == expected
    assert call(service, "asking", lambda: 1) == 1
    tries.clear()
    with pytest.raises(ServiceError):
        call(service, "asking", fail)
    assert len(tries) == 4
