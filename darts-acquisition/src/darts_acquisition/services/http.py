"""Texts and files over HTTP, asked for with the manners of a service."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import requests

from darts_acquisition.services.connections import ServiceSession, within
from darts_acquisition.services.retry import TRANSIENT_STATUS, Service, TransientError, call, retry_after_s
from darts_utils.errors import ServiceError
from darts_utils.files import atomic_file
from darts_utils.machine.disk import cannot_write

_PIECE_BYTES = 65_536
_SAID_BYTES = 2_000
MOST_TEXT_BYTES = 64_000_000
"""Of an answer that is kept in memory, after decompression: a page of a catalogue has less than one."""
MOST_FILE_BYTES = 2_000_000_000
"""Of a file: the largest that is fetched whole, the boundaries of all districts, has 200 MB."""
LOST = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)
"""Errors of answers that were lost or damaged on their way."""

_IN_WORDS = (
    (re.compile(r"<[\w.]*Connection\w* object at 0x[0-9a-f]+>: |\w*Connection\w*\([^()]*\): "), ""),
    (re.compile(r"Failed to establish a new connection: "), ""),
    (re.compile(r"Failed to resolve '([^']+)' \([^)]*\)+"), r"there is no host \1, or no network"),
    (re.compile(r"Connection to (\S+) timed out\..*"), r"\1 did not answer in time"),
    (re.compile(r"\[Errno -?\d+\] "), ""),
    (re.compile(r"\(?'?Connection aborted\.'?, \w+\((?:\d+, )?['\"]([^'\"]*)['\"]\)\)?"), r"\1"),
    (re.compile(r"\[SSL: \w+\] (.*?)( \(_ssl\.c:\d+\))?$"), r"\1"),
)
"""What libraries say of connections, and what is made of it."""

type Take[T] = Callable[[Iterator[bytes], requests.Response], T]


class RefusedError(ServiceError):
    """A service refused a request for good.

    Args:
        message: What was asked and refused.
        status: HTTP status of the answer.
    """

    exit_code = 1  # it did answer

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def fetch_text(
    service: Service,
    url: str,
    *,
    method: str = "GET",
    params: Mapping[str, Any] | None = None,
    body: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    check: Callable[[str], None] | None = None,
) -> str:
    """Return the text that a service answers with, decoded as UTF-8.

    Args:
        service: Whom to ask; its limits and retries apply.
        url: What to ask for.
        method: HTTP method.
        params: Query parameters.
        body: JSON body.
        headers: Headers beyond the usual ones.
        check: Raises `TransientError` if the text that it is given is damaged; then it is asked for again.

    Raises:
        ServiceError: If it cannot be had, at once or after all retries; the message says why. It is a `RefusedError`
            with the status if the service refused.
    """

    def text(pieces: Iterator[bytes], _response: requests.Response) -> str:
        answer = b"".join(at_most(MOST_TEXT_BYTES, pieces, service, url)).decode("utf-8", errors="replace")
        if check is not None:
            check(answer)
        return answer

    return _fetch(service, requests.Request(method, url, headers, json=body, params=params), text)


def fetch_file(
    service: Service,
    url: str,
    path: Path,
    on_bytes: Callable[[int], None] | None = None,
    check: Callable[[Path], None] | None = None,
) -> None:
    """Write what is at an address into a file, which appears whole or not at all.

    Args:
        service: Whom to ask; its limits and retries apply.
        url: What to ask for.
        path: The file to write.
        on_bytes: Is told how many bytes have arrived, piece by piece; those of a try that failed are taken back with a
            negative number.
        check: Raises `TransientError` if the file at the path that it is given is damaged; then it is fetched again.

    Raises:
        ServiceError: If it cannot be had, at once or after all retries; the message says why. It is a `RefusedError`
            with the status if the service refused.
        OutputError: If the file cannot be written.
    """
    tell = on_bytes or (lambda _count: None)

    def to_disk(pieces: Iterator[bytes], response: requests.Response) -> None:
        arrived = 0
        try:
            with atomic_file(path) as part:
                with part.open("wb") as file:
                    for piece in at_most(MOST_FILE_BYTES, pieces, service, url):
                        _write(file, piece, path)
                        arrived += len(piece)
                        tell(len(piece))
                check_length(response, arrived)
                if check is not None:
                    check(part)
        except BaseException:
            tell(-arrived)
            raise

    # as it is stored, so that its length can be compared with the announced one
    _fetch(service, requests.Request("GET", url, {"Accept-Encoding": "identity"}), to_disk)


def _write(file: IO[bytes], piece: bytes, path: Path) -> None:
    try:
        file.write(piece)
    except OSError as error:
        raise cannot_write(path, error) from error


def check_length(response: requests.Response, arrived: int) -> None:
    """Do nothing if as many bytes arrived as were announced.

    Raises:
        TransientError: If they were more or fewer.
    """
    announced = response.headers.get("Content-Length")
    if announced is not None and "Content-Encoding" not in response.headers and announced.strip() != str(arrived):
        raise TransientError(f"{arrived} of {announced} bytes arrived")


def _fetch[T](service: Service, request: requests.Request, take: Take[T]) -> T:
    """Return what `take` makes of the pieces of an answer; it is called anew in every try."""
    return call(service, f"{request.method} {request.url}", lambda: ask_once(service, request, take))


def ask_once[T](service: Service, request: requests.Request, take: Take[T]) -> T:
    """Return what `take` makes of the pieces of an answer, in one try within the service's limits.

    Raises:
        TransientError: If another try may be answered.
        RefusedError: If the service refuses.
        ServiceError: If it cannot be asked.
    """
    what = f"{request.method} {request.url}"
    try:
        return _ask(service, what, request, take)
    except LOST as error:
        raise TransientError(plain_reason(error)) from error
    except requests.RequestException as error:
        raise ServiceError(f"{service.name}: {what} cannot be asked ({error}). {service.advice}") from error


def _ask[T](
    service: Service,
    what: str,
    request: requests.Request,
    take: Take[T],
) -> T:
    policy = service.policy
    with within(policy.try_timeout_s), ServiceSession(service) as session:
        prepared = session.prepare_request(request)
        settings = session.merge_environment_settings(prepared.url, {}, stream=True, verify=None, cert=None)
        timeout = (policy.connect_timeout_s, policy.read_timeout_s)
        with session.send(prepared, timeout=timeout, **settings) as response:
            pieces = response.iter_content(_PIECE_BYTES)
            if response.ok:
                return take(pieces, response)
            said = next(pieces, b"")[:_SAID_BYTES].decode("utf-8", errors="replace")
    reason = f"{response.status_code} {response.reason}"
    if response.status_code in TRANSIENT_STATUS:
        raise TransientError(reason, retry_after_s(response.headers.get("Retry-After")))
    said = " ".join(said.split())[:300]
    raise RefusedError(f"{service.name}: {what} was refused: {reason}: {said}. {service.advice}", response.status_code)


def at_most(n_bytes: int, pieces: Iterator[bytes], service: Service, url: str) -> Iterator[bytes]:
    """Yield the pieces of an answer, as long as they are no more than a number of bytes.

    Raises:
        ServiceError: If there are more.
    """
    arrived = 0
    for piece in pieces:
        arrived += len(piece)
        if arrived > n_bytes:
            raise ServiceError(
                f"{service.name}: the answer from {url.partition('?')[0]} is larger than {n_bytes / 1e6:g} MB. "
                f"{service.advice}"
            )
        yield piece


def plain_reason(error: requests.RequestException) -> str:
    """Return a short reason, without names of classes and numbers of errors: the innermost error says it best."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    inner: Any = error
    while inner.args and isinstance(getattr(inner.args[0], "reason", inner.args[0]), BaseException):
        inner = getattr(inner.args[0], "reason", inner.args[0])
    reason = in_words(str(inner))
    return f"no connection: {reason}" if isinstance(error, requests.ConnectionError) else reason


def in_words(reason: str) -> str:
    """Return what a library says of a connection without its class, and without numbers of the system."""
    for pattern, words in _IN_WORDS:
        reason = pattern.sub(words, reason)
    return " ".join(reason.split())
