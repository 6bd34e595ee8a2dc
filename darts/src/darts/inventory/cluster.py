"""An inventory worked out on a Ray cluster, whose machines all see its folder and the tiles."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from darts_postprocessing.inventory.build import Spread

_AHEAD = 1000
"""Calls that are with the cluster at once: what is waited for is kept in memory."""


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
