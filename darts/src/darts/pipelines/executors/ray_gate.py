"""Places in a Ray cluster that only a few may enter at a time: the one writer of a datacube, downloads of scenes."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from darts_utils.errors import DartsError


class GateError(DartsError):
    """Nobody lets anyone into places any more."""


class Gate:
    """Lets holders into named places, each only up to its limit; runs as an actor, so one at a time decides.

    Args:
        limits: How many may be in a place, 1 where nothing is said.
    """

    def __init__(self, limits: dict[str, int]) -> None:
        self._limits = limits
        self._inside: defaultdict[str, list[str]] = defaultdict(list)
        self._dead: set[str] = set()
        self._changed = asyncio.Condition()

    async def enter(self, place: str, holder: str) -> None:
        """Return once a holder is in; one that is dead by then takes no room."""
        async with self._changed:
            await self._changed.wait_for(lambda: holder in self._dead or self._has_room(place))
            if holder not in self._dead:
                self._inside[place].append(holder)

    async def leave(self, place: str, holder: str) -> None:
        """Let a holder out again."""
        async with self._changed:
            if holder in self._inside[place]:
                self._inside[place].remove(holder)
            self._changed.notify_all()

    async def bury(self, holder: str) -> None:
        """Let a holder out that will not leave by itself, because its worker is gone; it comes in no more."""
        async with self._changed:
            self._dead.add(holder)
            for place, inside in self._inside.items():
                self._inside[place] = [other for other in inside if other != holder]
            self._changed.notify_all()

    def _has_room(self, place: str) -> bool:
        return len(self._inside[place]) < self._limits.get(place, 1)


@contextmanager
def entered(gate: Any, place: str, holder: str) -> Iterator[None]:
    """Hold a place from a worker.

    Args:
        gate: The actor.
        place: Its name.
        holder: Who enters; unlike all others that live.

    Raises:
        GateError: If the actor is gone.
    """
    import ray
    from ray.exceptions import RayActorError

    try:
        ray.get(gate.enter.remote(place, holder))
    except RayActorError as error:
        raise GateError(
            f"whether {place} is free cannot be asked any more, because a process of this run on the driver's machine "
            "has died. Start the run again; it goes on with what is not there."
        ) from error
    try:
        yield
    finally:
        with suppress(RayActorError):  # the driver lets it out when its scene has ended
            ray.get(gate.leave.remote(place, holder))
