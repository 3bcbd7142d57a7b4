"""The one door to the Ray library.

Ray is imported only when a cluster is asked for. Changes to this process (environment
variables, a patch of Ray, its remarks on standard output) are made only by
`for_a_program`.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import signal
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from musictag.cluster.messages import Lost
from musictag.errors import UsageError

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing calls home because of us
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # or a thread that comes late would start a new cluster
}

log = logging.getLogger(__name__)


@contextlib.contextmanager
def for_a_program() -> Iterator[None]:
    """Set this process up for Ray and keep Ray quiet until the block ends.

    Ray reads its environment variables when it is imported, so enter this first.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    ray = imported()
    # Ray records the command line, and fails if a name in it is not UTF-8.
    with contextlib.suppress(AttributeError):
        ray._private.utils.get_entrypoint_name = lambda: "musictag"
    with _quiet():
        yield


def imported() -> Any:
    """The library; UsageError if it is not installed."""
    try:
        import ray  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(f"--ray needs Ray: pip install 'musictag[ray]' ({error})") from error
    return ray


def join(ray: Any, address: str, jobs: int | None) -> None:
    """Become part of a cluster. How this process handles SIGTERM does not change."""
    handler = signal.getsignal(signal.SIGTERM)
    options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    try:
        if not address:
            with contextlib.suppress(ConnectionError):
                ray.init(address="auto", **options)
                return
        if address in ("", "local"):
            options |= {"address": "local", "num_cpus": jobs, "include_dashboard": False}
        else:
            options["address"] = address
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        where = f"--ray {address}" if address else "--ray"
        raise UsageError(f"{where}: no Ray cluster can be used: {first_sentence(error)}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def on_machine(ray: Any, node: str, *, soft: bool) -> Any:
    """The scheduling strategy for a machine; with `soft`, another one if it is gone."""
    return ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=soft)


def node_name() -> str:
    """Ray's name for the machine that this code runs on."""
    name: str = imported().get_runtime_context().get_node_id()
    return name


def fetch(reference: Any) -> Any:
    """The object that a reference leads to."""
    return imported().get(reference)


def fetch_from_ear(reference: Any, number: int, timeout_s: float) -> Any:
    """What an ear answers; Lost if it dies or does not answer in time."""
    ray = imported()
    try:
        return ray.get(reference, timeout=timeout_s)
    except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError) as error:
        died = isinstance(error, ray.exceptions.ActorDiedError)
        raise Lost(f"the ear was lost: {first_sentence(error)}", number, died) from None


def working_nodes(ray: Any) -> list[Mapping[str, Any]]:
    """Machines of the cluster that are alive and have CPUs to offer."""
    return [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]


def first_sentence(error: BaseException) -> str:
    """The first sentence of an error: Ray explains at length."""
    text = str(error).strip() or type(error).__name__
    return re.split(r"\n|(?<=\.)\s", text, maxsplit=1)[0].rstrip(".")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray's remarks off standard output, which is for results, and out of the log.

    What matters comes as an exception; the rest is in Ray's own log files.
    """
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(_Remarks()):
            yield
    finally:
        logger.setLevel(level)


class _Remarks(io.TextIOBase):
    """A stream that turns what is printed into debug messages."""

    def write(self, text: str) -> int:
        if text.strip():
            log.debug("ray: %s", text.rstrip())
        return len(text)
