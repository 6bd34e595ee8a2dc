"""Several requests side by side."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from darts_utils.machine.threads import inherited


def at_once[A, B](function: Callable[[A], B], arguments: Sequence[A], *, workers: int) -> list[B]:
    """Return what a function gives for each argument, several at once; after a failure no further one begins."""
    with ThreadPoolExecutor(workers, thread_name_prefix="darts-fetch") as pool:
        futures = [pool.submit(inherited(function), argument) for argument in arguments]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
