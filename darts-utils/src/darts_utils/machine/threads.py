"""Work of a run in other threads: they begin without its context, unless they are given it."""

from collections.abc import Callable
from contextvars import copy_context


def inherited[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that runs in the context of now, in whatever thread, several at once and again and again."""
    context = copy_context()

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return context.copy().run(function, *args, **kwargs)

    return run
