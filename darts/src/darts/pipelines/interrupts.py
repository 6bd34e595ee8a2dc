"""Ctrl-C and the end of a job, seen between two events of a run and never in the middle of writing something down."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def on_interrupt(stop: Callable[[], None]) -> Iterator[threading.Event]:
    """Call `stop` at the first Ctrl-C or termination signal inside the block; the second one raises at once.

    Outside the main thread nothing is changed, because only that one may handle signals.

    Returns:
        An event that is set once the run was interrupted.
    """
    interrupted = threading.Event()

    def handle(_signal_number: int, _frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()
        stop()

    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
