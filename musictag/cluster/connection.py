"""Joining a cluster, checking that its machines are alike, and carrying messages to them."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from musictag.cluster import ray_library
from musictag.cluster.address import find_address, knock
from musictag.cluster.ears import EAR_STARTS_S, Ears
from musictag.cluster.messages import Answer, Lost, Request
from musictag.cluster.ray_library import first_sentence, on_machine
from musictag.cluster.remote import Workers
from musictag.cluster.worker import LIBRARIES, check_same, versions, work
from musictag.config import MOST_JOBS
from musictag.errors import MusictagError, UsageError, system_trouble

if TYPE_CHECKING:
    from musictag.config import Settings
    from musictag.hearing.checkpoint import Checkpoint

_PULSE_S = 5
"""Seconds between two looks at whether the cluster's head is alive."""
_GONE_S = 30
"""Seconds after which a head that does not answer is given up. Ray takes longer, and then ends the
program on the spot."""

log = logging.getLogger(__name__)


@contextlib.contextmanager
def connected(address: str, checkpoint: Checkpoint, settings: Settings) -> Iterator[Workers]:
    """The workers of the cluster at an address (HOST:PORT, auto, local) until the block ends.

    Without an address it is the cluster that RAY_ADDRESS names or that this machine is
    part of; if there is none, one of this machine alone, which ends with the block.
    UsageError if there is no cluster, or its machines are not fit for this scan.
    """
    ray = ray_library.imported()
    address = find_address(address)
    if settings.device not in ("auto", "cpu", "cuda"):
        raise UsageError(
            f"--device {settings.device}: a cluster knows auto, cpu and cuda (all of its GPUs)"
        )
    try:
        ray_library.join(ray, address, settings.jobs)
        nodes = _fit(ray, ray_library.working_nodes(ray))
        n_gpus = int(ray.cluster_resources().get("GPU", 0)) if settings.device != "cpu" else 0
        if settings.device == "cuda" and not n_gpus:
            raise UsageError("--device cuda: the cluster has no GPU")
        n_cpus = sum(int(node["Resources"]["CPU"]) for node in nodes)
        n = settings.jobs or min(MOST_JOBS, n_cpus + max(1, n_cpus // 4))
        log.info("a Ray cluster: %d machines, %d CPUs, %d GPUs", len(nodes), n_cpus, n_gpus)
        yield Workers(RayTransport(ray, Ears(ray, checkpoint, settings, nodes, n_gpus)), n)
    except _Gone:
        raise  # Ray would end the program on the spot if it were told to shut down now
    except BaseException:
        ray.shutdown()
        raise
    ray.shutdown()


def _fit(ray: Any, nodes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The machines that run tasks; UsageError unless all of them decode as this one does."""
    here = versions()(LIBRARIES)
    asked = [
        ray.remote(versions())
        .options(num_cpus=0, scheduling_strategy=on_machine(ray, node["NodeID"], soft=False))
        .remote(LIBRARIES)
        for node in nodes
    ]
    fit = []
    for node, answer in zip(nodes, asked, strict=True):
        host = node["NodeManagerHostname"]
        try:
            there = ray.get(answer, timeout=EAR_STARTS_S)
        except ray.exceptions.RayError as error:  # it has just died, or is about to
            log.warning("going on without %s: %s", host, first_sentence(error))
            continue
        check_same(host, here, there)
        fit.append(node)
    if not fit:
        raise UsageError("--ray: no machine of the cluster runs tasks")
    return fit


class _Gone(MusictagError):  # noqa: N818
    """The cluster does not exist any more."""


class RayTransport:
    """A `remote.Transport`: requests become Ray tasks."""

    def __init__(self, ray: Any, ears: Ears) -> None:
        self._ray = ray
        self._ears = ears
        # Ray must not retry by itself: nobody would count those tries.
        self._work = ray.remote(num_cpus=1, max_retries=0)(work)
        self._installed = versions()(LIBRARIES)
        self._head = ray.get_runtime_context().gcs_address
        self._knocking = threading.Lock()
        self._knocked_s = self._seen_s = time.monotonic()

    def call(self, request: Request, near: str) -> Any:
        task = self._work
        if near:
            task = task.options(scheduling_strategy=on_machine(self._ray, near, soft=True))
        here = self._installed
        if request.what == "digest":
            return task.remote(request, here, (), frozenset())
        # In a tuple the reference stays a reference; by itself Ray would send the ears.
        return task.remote(request, here, (self._ears.all(),), self._ears.silent())

    def answer(self, call: Any, timeout_s: float) -> Answer | None:
        errors = self._ray.exceptions
        self._check_head()
        if not self._ray.wait([call], timeout=timeout_s)[0]:
            return None
        try:
            answer: Answer = self._ray.get(call)
        except errors.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, Lost) and cause.ear is not None:
                self._ears.lost(cause.ear, died=cause.died)
            if isinstance(cause, (Lost, MusictagError)):
                raise cause from None
            if isinstance(cause, errors.RayError) and not isinstance(cause, errors.RayTaskError):
                # something that the task used elsewhere went away
                raise Lost(f"the worker was lost: {first_sentence(cause)}") from None
            raise
        except errors.LocalRayletDiedError as error:
            raise _Gone(f"the Ray cluster is gone: {first_sentence(error)}") from None
        except errors.RayError as error:
            raise Lost(f"the worker was lost: {first_sentence(error)}") from None
        return answer

    def _check_head(self) -> None:
        """MusictagError if the cluster's head has not answered for a while."""
        if not self._knocking.acquire(blocking=False):
            return
        try:
            now_s = time.monotonic()
            if now_s - self._knocked_s < _PULSE_S:
                return
            self._knocked_s = now_s
            try:
                knock(self._head, _PULSE_S).close()
                self._seen_s = now_s
            except OSError as error:
                if now_s - self._seen_s > _GONE_S:
                    raise _Gone(
                        f"the Ray cluster is gone: no answer from {self._head} "
                        f"({system_trouble(error).reason})"
                    ) from None
        finally:
            self._knocking.release()
