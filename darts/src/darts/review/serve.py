"""A server for the page of a review, on this machine alone."""

import os
import socket
import sys
import webbrowser
from contextlib import suppress
from importlib.util import find_spec

from darts.review.candidates import Candidates
from darts.review.store import Review
from darts.utils.terminal import say
from darts_utils.errors import ConfigError

_LOOPBACK = "127.0.0.1"
_PORTS = range(2**16)


def check_server(port: int) -> None:
    """Refuse to serve where the libraries for it are not installed, or at a port that there is not.

    Raises:
        ConfigError: If one is missing; the message says how to install it.
    """
    if port not in _PORTS:
        raise ConfigError(f"port is {port} but must be from 0 (any that is free) to {_PORTS[-1]}.")
    if any(find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise ConfigError(
            'the page needs a web server that is not installed. Install it with `pip install "darts-nextgen[review]"`, '
            "or write the page as a file with --page FILE."
        )


def serve(review: Review, candidates: Candidates, *, port: int, show: bool) -> None:
    """Serve the page until it is interrupted.

    Args:
        review: What is asked, and where verdicts go.
        candidates: What is shown.
        port: Where to listen.
        show: Whether to open a browser, where there is a screen.

    Raises:
        ConfigError: If something else listens there.
    """
    import uvicorn

    from darts.review.server import application

    token = review.about["token"]
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((_LOOPBACK, port))
            listening.listen()  # who follows the address at once waits, and is not refused
        except OSError as error:
            raise ConfigError(f"nothing can listen on port {port} ({error.strerror}). Give another --port.") from error
        address = f"http://{_LOOPBACK}:{listening.getsockname()[1]}/{token}/"
        say(f"Review: {address}")
        say("Whoever has this address can answer. End it with Ctrl+C; begun again, it goes on.")
        if show and _has_screen():
            webbrowser.open(address)
        config = uvicorn.Config(
            application(review, candidates, token), log_config=None, access_log=False, lifespan="off"
        )
        with suppress(KeyboardInterrupt):  # it is how a review ends
            uvicorn.Server(config).run(sockets=[listening])


def _has_screen() -> bool:
    """Tell whether a browser that is opened has a window; others would take the terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
