"""Cancellation of an executor, and how long it waits for what is still at work."""

import threading
import time


class Cancellation:
    """A wish to stop, from any thread, and the patience after it.

    Args:
        grace_s: How long workers may go on, in seconds.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._asked = threading.Event()
        self._deadline = 0.0

    def ask(self) -> None:
        """Begin to wait; asking again changes nothing."""
        if not self._asked.is_set():
            self._deadline = time.monotonic() + self._grace_s
            self._asked.set()

    def is_set(self) -> bool:
        """Return whether no further work is to begin."""
        return self._asked.is_set()

    @property
    def is_over(self) -> bool:
        """Whether what still works is not waited for any longer."""
        return self.is_set() and self.left_s <= 0

    @property
    def left_s(self) -> float:
        """Seconds of patience left."""
        return max(0.0, self._deadline - time.monotonic())
