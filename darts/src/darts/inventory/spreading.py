"""Where an inventory is worked out: on cores of this machine, or on a Ray cluster whose machines all see its folder."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from darts_postprocessing.inventory.build import Spread, spread_over
from darts_utils.errors import ConfigError
from darts_utils.machine.cpu import usable_cores

_AHEAD = 1000
"""Calls that are with the cluster at once: what is waited for is kept in memory."""


def spread_over_cores(workers: int | None) -> AbstractContextManager[Spread]:
    """Give what calls functions in so many processes of this machine, or in one a core.

    Raises:
        ConfigError: If they are fewer than one.
    """
    if workers is not None and workers < 1:
        raise ConfigError(f"workers is {workers} but must be at least 1. Correct it.")
    return spread_over(usable_cores() if workers is None else workers)


@contextmanager
def spread_over_cluster(address: str) -> Iterator[Spread]:
    """Give what calls functions on the machines of a cluster, one on each core at a time.

    Args:
        address: Where the cluster is, auto or HOST:PORT.

    Raises:
        ConfigError: If Ray is not installed, or there is no cluster.
    """
    from darts.pipelines.ray.cluster import connected

    with connected(address):
        import ray

        call = ray.remote(max_retries=5, num_cpus=1)(_call)

        def spread(function: Callable[..., Any], given: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
            for start in range(0, len(given), _AHEAD):
                waited: list[Any] = [call.remote(function, one) for one in given[start : start + _AHEAD]]
                for place, one in enumerate(waited):
                    waited[place] = None  # what was given is not kept on the cluster
                    yield _result(ray, one)

        yield spread


def _call(function: Callable[..., Any], given: tuple[Any, ...]) -> Any:
    return function(*given)


def _result(ray: Any, one: Any) -> Any:
    """Return what a call gave; what it raised is raised as it was, without Ray's words around it."""
    try:
        return ray.get(one)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
