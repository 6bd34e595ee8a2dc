"""Semaphores of a Ray cluster: for the one writer of a datacube, and for downloads of scenes."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import ray
from ray.exceptions import RayActorError

from darts_utils.errors import DartsError


class SemaphoreError(DartsError):
    """The actor with the semaphores is gone."""


class Semaphores:
    """Named semaphores; runs as an actor, so one at a time decides.

    Args:
        limits: How many owners a semaphore may have at once, 1 where nothing is said.
    """

    def __init__(self, limits: dict[str, int]) -> None:
        self._limits = limits
        self._owners: defaultdict[str, list[str]] = defaultdict(list)
        self._revoked: set[str] = set()
        self._changed = asyncio.Condition()

    async def acquire(self, name: str, owner: str) -> None:
        """Return once an owner has it; one whose semaphores were revoked by then takes no room."""
        async with self._changed:
            await self._changed.wait_for(lambda: owner in self._revoked or self._has_room(name))
            if owner not in self._revoked:
                self._owners[name].append(owner)

    async def release(self, name: str, owner: str) -> None:
        """Give it back."""
        async with self._changed:
            if owner in self._owners[name]:
                self._owners[name].remove(owner)
            self._changed.notify_all()

    async def revoke(self, owner: str) -> None:
        """Take all from an owner that will not give them back, because its worker is gone; it gets none any more."""
        async with self._changed:
            self._revoked.add(owner)
            for name, owners in self._owners.items():
                self._owners[name] = [other for other in owners if other != owner]
            self._changed.notify_all()

    def _has_room(self, name: str) -> bool:
        return len(self._owners[name]) < self._limits.get(name, 1)


@contextmanager
def acquired(semaphores: Any, name: str, owner: str) -> Iterator[None]:
    """Hold a semaphore from a worker.

    Args:
        semaphores: The actor.
        name: Its name.
        owner: Who holds it; unlike all others that live.

    Raises:
        SemaphoreError: If the actor is gone.
    """
    try:
        ray.get(semaphores.acquire.remote(name, owner))
    except RayActorError as error:
        raise SemaphoreError(
            f"whether {name} is free cannot be asked any more, because a process of this run on the driver's machine "
            "has died. Start the run again; it goes on with what is not there."
        ) from error
    try:
        yield
    finally:
        with suppress(RayActorError):  # the driver revokes it when its scene has ended
            ray.get(semaphores.release.remote(name, owner))
