"""Ctrl-C and the end of a job, seen between two events of a run and never in the middle of writing something down."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


def ending_signals() -> list[signal.Signals]:
    """Return the signals that end a run, besides Ctrl-C: of a scheduler, and of a terminal that closes.

    A terminal's is not among them where it is ignored, as after `nohup`: then the run is to outlive it.
    """
    hang_up = getattr(signal, "SIGHUP", None)  # other systems have none
    if hang_up is None or signal.getsignal(hang_up) is signal.SIG_IGN:
        return [signal.SIGTERM]
    return [signal.SIGTERM, hang_up]


@contextmanager
def on_interrupt(stop: Callable[[], None]) -> Iterator[threading.Event]:
    """Call `stop` at the first Ctrl-C, termination or hang-up signal inside the block; the second one raises at once.

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
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, *ending_signals())}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
