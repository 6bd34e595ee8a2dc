"""The Ray cluster of a run: one that is there, or one on this machine that ends with the run; quiet in either case."""

import importlib
import importlib.util
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from darts_utils.errors import ConfigError, one_line
from darts_utils.machine.cpu import usable_cores
from darts_utils.machine.disk import reason_of

logger = logging.getLogger(__name__)

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # or else each worker would build its own environment
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # workers hide GPUs themselves, and Ray warns of its old way
    "RAY_worker_niceness": "0",  # of a cluster of our own: its work is all there is to do
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # of results that nobody asks for, because their scene begins again
}
_LISTENS_TO_OTHERS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Named for the systems where Ray only listens to its own machine unless it is set; so it does on others if it is 0."""
_ANSWERS_WITHIN_S = 10.0
_PRIVATE = {
    "ray._private.ray_constants": ("ENABLE_RAY_CLUSTER", "RAY_ENABLE_UV_RUN_RUNTIME_ENV"),
    "ray._private.worker": ("print_to_stdstream",),
}
"""What is set in modules that Ray promises nothing of: a name that is gone can still be set, and changes nothing."""


@dataclass(frozen=True)
class Machine:
    """A living node of a cluster."""

    node_id: str
    cpus: float
    gpus: int
    store_bytes: int


def check_installed() -> None:
    """Refuse to go on without Ray.

    Raises:
        ConfigError: If it is not installed; the message says how to.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigError(
            'Ray is not installed, which runs on many machines need. Install it: pip install "darts-nextgen[ray]".'
        )


@contextmanager
def connected(address: str | None, *, store_bytes: int | None = None) -> Iterator[None]:
    """Be the driver of a cluster; one that this has started is stopped at the end, another only left.

    Args:
        address: Where the cluster is, None to start one on this machine.
        store_bytes: Size of the object store of a cluster that is started; Ray's own choice if not given.

    Raises:
        ConfigError: If Ray is not installed, or there is no cluster at the address; where nobody answers there, that
            is known within seconds.
    """
    check_installed()
    if address is not None and address.startswith("ray://"):
        raise ConfigError(
            f"ray_address is {address}, but a run must be on a node of the cluster. Start it there, with auto."
        )
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    check_private()
    if ray.is_initialized():  # whoever did that ends it, too
        yield
        return
    if address is not None:
        _check_answers(address)
    own = {"address": "local", "num_cpus": usable_cores(), "include_dashboard": False}
    with nullcontext() if address is not None else _closed_to_others():
        _init({"address": address} if address is not None else own | {"object_store_memory": store_bytes})
        try:
            yield
        finally:
            with _own_signals():
                ray.shutdown()


def check_private() -> None:
    """Refuse a Ray that lacks what this module sets in it.

    Raises:
        ConfigError: If something is not there.
    """
    import ray

    for module, names in _PRIVATE.items():
        try:
            there = importlib.import_module(module)
        except ImportError:
            there = None
        for name in names:
            if not hasattr(there, name):
                raise ConfigError(
                    f"Ray {ray.__version__} has no {module}.{name}, which keeps a cluster quiet and closed to others. "
                    'Install a Ray that fits: pip install "darts-nextgen[ray]".'
                )


def _check_answers(address: str) -> None:
    """Refuse an address at which nobody answers, which Ray itself tries for minutes, and says much about it.

    Raises:
        ConfigError: If it is HOST:PORT and cannot be connected to.
    """
    host, _, port = (os.environ.get("RAY_ADDRESS", "") if address == "auto" else address).rpartition(":")
    if not host or "://" in host or not port.isdecimal():  # Ray knows what it means
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWERS_WITHIN_S):
            pass
    except (OSError, OverflowError) as error:  # the latter about ports that there are none of
        raise _no_cluster(f"{host}:{port}", reason_of(error)) from error


def _no_cluster(address: str, reason: str) -> ConfigError:
    return ConfigError(
        f"there is no Ray cluster at {address} that can be joined ({reason}). Check --ray-address; set "
        "RAY_AUTH_MODE=token if the cluster asks for a token; leave --ray-address out to use this machine alone."
    )


@contextmanager
def _closed_to_others() -> Iterator[None]:
    """Let what is started be reached from this machine only, and with a token: a cluster runs what it is sent."""
    from ray._private import ray_constants

    if "RAY_AUTH_TOKEN_PATH" not in os.environ:  # Ray would keep its token in the home folder, which may be read-only
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    before = os.environ.get(_LISTENS_TO_OTHERS), ray_constants.ENABLE_RAY_CLUSTER
    os.environ[_LISTENS_TO_OTHERS], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before[1]
        os.environ.pop(_LISTENS_TO_OTHERS)
        os.environ.update({} if before[0] is None else {_LISTENS_TO_OTHERS: before[0]})


def machines() -> list[Machine]:
    """Return the living nodes of the cluster."""
    import ray

    return [
        Machine(
            node_id=node["NodeID"],
            cpus=node["Resources"].get("CPU", 0.0),
            gpus=int(node["Resources"].get("GPU", 0)),
            store_bytes=int(node["Resources"].get("object_store_memory", 0)),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def has_gpus() -> bool:
    """Tell whether a machine of the cluster has a GPU."""
    return any(machine.gpus for machine in machines())


def check_room(nodes: Sequence[Machine], num_cpus: int) -> None:
    """Refuse a cluster without a machine for a worker.

    Raises:
        ConfigError: If no machine has enough CPUs.
    """
    most = max((node.cpus for node in nodes), default=0)
    if most < num_cpus:
        raise ConfigError(
            f"num_cpus is {num_cpus}, but the largest machine of the cluster has {most:g} CPUs. Lower num_cpus."
        )


def _init(options: dict[str, Any]) -> None:
    """Start or join a cluster.

    Raises:
        ConfigError: If that fails.
    """
    import ray

    _keep_quiet()
    try:
        with _own_signals():
            ray.init(**options, log_to_driver=False, configure_logging=False, namespace="darts")
    except (ConnectionError, ValueError, RuntimeError, OSError, ray.exceptions.RayError) as error:
        reason = one_line(error)
        if options["address"] == "local":
            raise ConfigError(f"Ray cannot be started on this machine: {reason}") from error
        raise _no_cluster(options["address"], reason) from error


def _keep_quiet() -> None:
    """Send what Ray has to say to the log: losses are this run's business, which tries again."""
    import ray._private.ray_constants
    import ray._private.worker

    their_logger = logging.getLogger("ray")
    their_logger.setLevel(logging.ERROR)
    if not their_logger.handlers:  # or else Python writes errors to the console for want of a handler
        their_logger.addHandler(logging.NullHandler())
    their_logger.propagate = False

    def to_log(data: dict[str, Any], ignore_prefix: bool = False) -> None:  # noqa: ARG001  (Ray's signature)
        logger.debug("%s", "\n".join(map(str, data.get("lines", ()))))

    # known from the environment above, unless somebody had imported Ray before
    ray._private.ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV = False  # noqa: SLF001  (Ray offers no other way)
    # the one way there is: it prints even when told not to
    ray._private.worker.print_to_stdstream = to_log  # noqa: SLF001  (Ray offers no other way)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Take back how this process treats the end of a job, which Ray decides anew when it begins and ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
