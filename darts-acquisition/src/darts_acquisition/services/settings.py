"""Whom this run asks, and whether it may ask at all: settings that go with it into its threads, and into no other run.

Libraries call us back from wherever they are, so settings cannot be passed to every function that asks; they are in the
context of the run instead. A thread begins with an empty context: who starts one for a run starts it by
`darts_utils.machine.threads.inherited`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run was told of services."""

    addresses: Mapping[str, str] = field(default_factory=dict)
    """Addresses given by flags or config keys, by the names of `endpoints.ENDPOINTS`."""
    refusal: str | None = None
    """What to do instead, where no service may be asked; None where they may."""


_settings: ContextVar[Settings] = ContextVar("darts_services", default=Settings())  # noqa: B039  (it is frozen)


def current() -> Settings:
    """Return the settings of the run that calls."""
    return _settings.get()


def set_addresses(addresses: Mapping[str, str]) -> None:
    """Let the run that calls ask at these addresses, and where there is none at the usual ones."""
    _settings.set(replace(current(), addresses=dict(addresses)))


@contextmanager
def refusing(advice: str) -> Iterator[None]:
    """Let every question to a service fail in this block, and in threads that it starts.

    Args:
        advice: What the user can do, for the error.
    """
    token = _settings.set(replace(current(), refusal=advice))
    try:
        yield
    finally:
        _settings.reset(token)
