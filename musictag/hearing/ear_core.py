"""Hearing on the cores of a CPU, without torch.

Segments go through the front end as they come, each on one core. Their coefficients, a tenth of
the samples in size, are gathered for the network, to which a few dozen together make less work than
each alone. Nothing waits for a batch of samples, and none is kept.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from musictag import process
from musictag.errors import CheckpointError, DeviceError
from musictag.hearing.arrays import Real
from musictag.hearing.ear import Hearing

BATCH = 64
"""Rows for the network per core; its weights go through the cache once for all of them."""
ROWS = 32
"""Rows that a core takes at least; with fewer, one more core gains next to nothing."""
AHEAD = 4
"""Segments per core that may wait for the front end; adding one more waits."""
MOST_THREADS = 8
"""Most cores that hear; as many again are needed to decode."""

log = logging.getLogger(__name__)


class CoreEar:
    """An `ear.Ear`. In another batch a segment's probabilities may be rounded differently."""

    def __init__(
        self,
        front_end: Callable[[Real], Real],
        network: Callable[[Real], Hearing],
        batch_size: int | None = None,
        n_cores: int | None = None,
        *,
        shared: bool = True,
    ) -> None:
        """`front_end` maps (N,) -> (C, T), `network` (B, C, T) -> Hearing.

        `n_cores` None: all cores. `shared`: whether a batch is shared out over the cores for the
        network; not if the network has threads of its own.
        """
        self.front_end = front_end
        self.network = network
        self.n_threads = min(n_cores or process.n_cores(), MOST_THREADS)
        self.batch_size = batch_size or BATCH * self.n_threads
        self._n_sharing = self.n_threads if shared else 1
        self._cores = ThreadPoolExecutor(self.n_threads, "musictag core")
        self._conductor = ThreadPoolExecutor(1, "musictag ear")
        self._places = threading.Semaphore(AHEAD * self.n_threads)

    def hear(self, segments: Real) -> Hearing:
        """(B, N) samples, waited for; errors as in `ear.Ear`."""
        some = range(0, len(segments), self.batch_size)
        coming = (self.coefficients(segments[lo : lo + self.batch_size]) for lo in some)
        return _joined([self.judged(batch) for batch in coming])

    def batch(self, n_samples: int = 0) -> CoreBatch:  # noqa: ARG002  # a GPU's ear needs it
        """An empty batch."""
        return CoreBatch(self)

    def coefficients(self, segments: Real) -> list[Future[Real]]:
        """The front end of each segment, begun."""
        return [self.begun(segment) for segment in segments]

    def begun(self, segment: Real) -> Future[Real]:
        """Coefficients as soon as a core has time; waits while too many segments wait for that."""
        self._places.acquire()

        def coefficients() -> Real:
            try:
                return self.front_end(segment)
            except MemoryError as error:
                raise _too_little_memory() from error
            finally:
                self._places.release()

        return self._cores.submit(coefficients)

    def judged(self, coming: Sequence[Future[Real]]) -> Hearing:
        """The network, for coefficients that may still be under way; cores get equal shares."""
        coefficients = np.stack([one.result() for one in coming])
        n_parts = min(self._n_sharing, math.ceil(len(coming) / ROWS))
        parts = np.array_split(coefficients, n_parts)
        judged = [self._cores.submit(self._judged_by_one, part) for part in parts]
        heard = _joined([part.result() for part in judged])
        if not np.isfinite(heard.probabilities).all():
            raise CheckpointError("the model's weights give no probabilities")
        return heard

    def begin(self, coming: Sequence[Future[Real]]) -> Future[Hearing]:
        """Like `judged`, without waiting."""
        return self._conductor.submit(self.judged, coming)

    def _judged_by_one(self, coefficients: Real) -> Hearing:
        """Half as many at a time where memory runs out."""
        try:
            return self.network(coefficients)
        except MemoryError as error:
            if len(coefficients) == 1:
                raise _too_little_memory() from error
        half = len(coefficients) // 2
        log.warning("cpu is out of memory: going on in batches of %d", half)
        return _joined([self._judged_by_one(some) for some in np.split(coefficients, [half])])


def _joined(parts: Sequence[Hearing]) -> Hearing:
    if len(parts) == 1:
        return parts[0]
    return Hearing(*(np.concatenate(some) for some in zip(*parts, strict=True)))


def _too_little_memory() -> DeviceError:
    return DeviceError("this machine has not enough free memory, even for one segment at a time")


class CoreBatch:
    """An `ear.Batch`; it can be filled again at once."""

    def __init__(self, ear: CoreEar) -> None:
        self._ear = ear
        self._coming: list[Future[Real]] = []
        self.size = ear.batch_size

    def add(self, segment: Real) -> None:
        """Begin with its front end; the samples must not change. Waits while many others wait."""
        self._coming.append(self._ear.begun(segment))

    def begin(self) -> Future[Hearing]:
        """Begin to judge what was added; errors are raised where the result is taken."""
        coming, self._coming = self._coming, []
        return self._ear.begin(coming)
