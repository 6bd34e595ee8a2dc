"""Fetching what tiles need, layer by layer, several tiles at once; a layer that fails does not stop the others."""

import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from darts.pipelines.tiles import TileRef
from darts_utils.errors import CredentialsError, DartsError, ServiceError, exit_status, one_line
from darts_utils.machine.threads import inherited

logger = logging.getLogger(__name__)

type OnBytes = Callable[[int], None]
type FetchStatus = Literal["staged", "failed", "not tried"]

_WORKERS = 2
"""Tiles at once: while one is unpacked and written, the connections serve the other."""
_FAILURES_IN_A_ROW = 3
_POLL_S = 0.1


@dataclass(frozen=True)
class Layer:
    """Something that tiles need, and how it is fetched."""

    name: str
    fetch: Callable[[TileRef, OnBytes], None]


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """How a layer of a tile ended."""

    ref: TileRef
    layer: str
    status: FetchStatus
    error: str | None = None
    error_type: str | None = None
    """Name of the class of the error; of what was not tried, of the one that is why."""
    n_bytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Arrived:
    """Bytes have arrived."""

    n_bytes: int


@dataclass(frozen=True)
class FetchReport:
    """How the preparation ended."""

    results: tuple[Fetched, ...] = ()
    interrupted: bool = False

    def count(self, layer: str, status: FetchStatus) -> int:
        """Return for how many tiles a layer ended with a status."""
        return sum((result.layer, result.status) == (layer, status) for result in self.results)

    @property
    def exit_code(self) -> int:
        """Exit status for the shell: 0 all staged, 1 something failed, 3 only services did, 130 interrupted."""
        if self.interrupted:
            return 130
        return exit_status(result.error_type for result in self.results if result.status != "staged")


class _CircuitBreaker:
    """Gives a layer up when its service failed several times in a row, or refuses the keys."""

    def __init__(self) -> None:
        self._failures = 0
        self.reason: str | None = None
        self.error_type: str | None = None

    def learn(self, error: Exception | None) -> None:
        if error is None:
            self._failures = 0
        elif isinstance(error, CredentialsError):
            self._give_up(error, str(error))
        elif isinstance(error, ServiceError):
            self._failures += 1
            if self._failures >= _FAILURES_IN_A_ROW:
                self._give_up(error, f"given up after {self._failures} failures in a row")

    def _give_up(self, error: Exception, reason: str) -> None:
        self.reason, self.error_type = reason, type(error).__name__


class Downloader:
    """Fetches the layers of tiles with a few worker threads.

    Args:
        layers: What is fetched for each tile, in this order.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = layers
        self._stop = threading.Event()
        self._todo: queue.Queue[TileRef] = queue.Queue()
        self._events: queue.Queue[Fetched | Arrived | None] = queue.Queue()
        self._patience: defaultdict[str, _CircuitBreaker] = defaultdict(_CircuitBreaker)

    def stop(self) -> None:
        """End `run` at once; what is half fetched is left where nobody takes it for whole."""
        self._stop.set()

    def run(self, refs: Sequence[TileRef]) -> Iterator[Fetched | Arrived]:
        """Yield what arrives and how each layer of each tile ends."""
        for ref in refs:
            self._todo.put(ref)
        for _ in range(_WORKERS):
            threading.Thread(target=inherited(self._work), name="darts-stage", daemon=True).start()
        running = _WORKERS
        while running and not self._stop.is_set():
            with suppress(queue.Empty):
                event = self._events.get(timeout=_POLL_S)
                if event is None:
                    running -= 1
                else:
                    yield event

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                ref = self._todo.get_nowait()
            except queue.Empty:
                break
            for layer in self._layers:
                if not self._stop.is_set():
                    self._events.put(self._fetch(ref, layer))
        self._events.put(None)

    def _fetch(self, ref: TileRef, layer: Layer) -> Fetched:
        patience = self._patience[layer.name]
        if patience.reason is not None:
            return Fetched(
                ref=ref, layer=layer.name, status="not tried", error=patience.reason, error_type=patience.error_type
            )
        arrived, start = [0], time.monotonic()

        def on_bytes(n_bytes: int) -> None:
            arrived[0] += n_bytes
            self._events.put(Arrived(n_bytes))

        error: Exception | None = None
        try:
            layer.fetch(ref, on_bytes)
        except Exception as caught:  # one bad tile must not end a night's work
            error = caught
            if not isinstance(caught, DartsError):
                logger.debug("%s of %s failed", layer.name, ref.tile_id, exc_info=caught)
        patience.learn(error)
        return Fetched(
            ref=ref,
            layer=layer.name,
            status="staged" if error is None else "failed",
            error=None if error is None else one_line(error),
            error_type=None if error is None else type(error).__name__,
            n_bytes=arrived[0],
            seconds=time.monotonic() - start,
        )
