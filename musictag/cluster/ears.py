"""The ears of a cluster as the scan's own machine sees them: started, watched and replaced."""

from __future__ import annotations

import functools
import itertools
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from musictag.cluster.ray_library import first_sentence, on_machine
from musictag.cluster.worker import EarActor
from musictag.errors import MusictagError

if TYPE_CHECKING:
    from musictag.config import Settings
    from musictag.hearing.checkpoint import Checkpoint

EAR_STARTS_S = 300
"""Seconds to wait for the first ear, which may load torch from a slow disk or wait for a GPU that
somebody else uses."""
_EAR_CORES = 4
"""CPU cores for one ear where there is no GPU; with twice as many an ear is not twice as fast."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Ear:
    actor: Any
    begin: Callable[[], Any]
    """Starts another actor like this one."""
    node: str = ""


class Ears:
    """Actors that are started for the first segment and replaced when they die."""

    def __init__(
        self,
        ray: Any,
        checkpoint: Checkpoint,
        settings: Settings,
        nodes: Sequence[Mapping[str, Any]],
        n_gpus: int,
    ) -> None:
        self._ray = ray
        self._checkpoint = checkpoint
        self._settings = settings
        self._nodes = nodes
        self._n_gpus = n_gpus
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._model: Any = None
        self._ears: dict[int, _Ear] = {}
        self._silent: dict[int, Any] = {}
        self._all: Any = None

    def all(self) -> Any:
        """A reference into the cluster's memory: number → machine and actor."""
        with self._lock:
            if self._all is None:
                if not self._ears:
                    self._start()
                self._all = self._ray.put({n: (e.node, e.actor) for n, e in self._ears.items()})
            return self._all

    def silent(self) -> frozenset[int]:
        """Ears that did not answer in time, and have not answered since."""
        with self._lock:
            for number, call in list(self._silent.items()):
                if self._ray.wait([call], timeout=0)[0]:
                    del self._silent[number]
            return frozenset(self._silent)

    def lost(self, number: int, *, died: bool) -> None:
        """Replace an ear that died; ask one that is silent for a sign of life. Only once each."""
        with self._lock:
            if number not in self._ears:
                return
            if died:
                old = self._ears.pop(number)
                self._silent.pop(number, None)
                self._ears[next(self._numbers)] = _Ear(old.begin(), old.begin, old.node)
                self._all = None
            elif number not in self._silent:
                self._silent[number] = self._ears[number].actor.ready.remote()

    def _start(self) -> None:
        """Start one ear per GPU, or on each machine one for every few cores."""
        ray = self._ray
        self._model = ray.put((self._checkpoint, self._checkpoint.weights()))
        device = "cuda" if self._n_gpus else "cpu"
        kind = ray.remote(num_cpus=0)(EarActor)
        # In a tuple the reference stays a reference; by itself Ray would send the model.
        about = (self._model,), device, self._settings.batch_size

        def begin(options: dict[str, Any], n_threads: int) -> Any:
            return kind.options(**options).remote(*about, n_threads)

        begins = [functools.partial(begin, {"num_gpus": 1}, 1) for _ in range(self._n_gpus)]
        for node in self._nodes if not begins else ():
            options = {"scheduling_strategy": on_machine(ray, node["NodeID"], soft=True)}
            n_cpus = int(node["Resources"]["CPU"])
            sizes = [min(_EAR_CORES, n_cpus - n) for n in range(0, n_cpus, _EAR_CORES)]
            begins += [functools.partial(begin, options, size) for size in sizes]
        ears = [_Ear(begin(), begin) for begin in begins]
        calls = [ear.actor.ready.remote() for ear in ears]
        ready = self._ready(calls)
        for ear, call in zip(ears, calls, strict=True):
            if call in ready:
                self._ears[next(self._numbers)] = replace(ear, node=ready[call])
        n = len(self._ears)
        log.info("hearing with the model %s on %s (%d ears)", self._checkpoint.name, device, n)

    def _ready(self, calls: Sequence[Any]) -> dict[Any, str]:
        """Call → machine of every ear that has started, without those much later than the first."""
        ray = self._ray
        begun_s = time.monotonic()
        if not ray.wait(calls, num_returns=1, timeout=EAR_STARTS_S)[0]:
            raise MusictagError(
                f"no model could be started on the cluster within {EAR_STARTS_S} s (are its "
                "GPUs taken?)"
            )
        more_s = 10 + 2 * (time.monotonic() - begun_s)
        ready, late = ray.wait(calls, num_returns=len(calls), timeout=more_s)
        if late:
            log.warning(
                "going on without %d of %d models, which are slow to start", len(late), len(calls)
            )
        answers = {call: self._begun(call) for call in ready}
        found = {call: node for call, node in answers.items() if isinstance(node, str)}
        for why in (error for error in answers.values() if isinstance(error, MusictagError)):
            if not found:
                raise why
            log.warning("going on without one of %d models: %s", len(calls), why)
        return found

    def _begun(self, call: Any) -> str | MusictagError:
        """The machine of an ear, or why it did not start."""
        errors = self._ray.exceptions
        try:
            node: str = self._ray.get(call)
        except errors.RayTaskError as error:
            if not isinstance(error.cause, MusictagError):
                raise
            return error.cause
        except errors.RayError as error:
            return MusictagError(f"no model could be started: {first_sentence(error)}")
        return node
