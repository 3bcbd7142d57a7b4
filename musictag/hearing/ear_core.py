"""A checkpoint on the cores of a CPU: samples in, probabilities out, and no torch.

Segments go through the front end as they come, each on one core, and their
coefficients, a tenth of them in size, are gathered for the network, to which a
few dozen make less work than each by itself. Nothing waits for a batch of
samples, and none is kept.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from musictag import process
from musictag.errors import CheckpointError, DeviceError
from musictag.hearing.kernels import mkl

Real = NDArray[np.float32]

BATCH = 64
"""Rows for the network, of each core: its weights go through the cache once for all of them."""
ROWS = 32
"""And so many at least: with fewer, one more core gains next to nothing."""
AHEAD = 4
"""Segments of each core that may wait for the front end: who adds one more has to wait."""
MOST_THREADS = 8
"""So many cores hear at most: as many again are needed to decode."""

log = logging.getLogger(__name__)


class CpuEar:
    """To be used as an `ear.Ear`. Deterministic; in another batch a segment's probabilities may be
    rounded otherwise."""

    def __init__(
        self,
        front_end: Callable[[Real], Real],
        network: Callable[[Real], Real],
        batch_size: int | None = None,
        n_cores: int | None = None,
    ) -> None:
        """(N,) -> (C, T), and (B, C, T) -> (B, K)."""
        self.front_end = front_end
        self.network = network
        self.n_threads = min(n_cores or process.n_cores(), MOST_THREADS)
        self.batch_size = batch_size or BATCH * self.n_threads
        self._cores = ThreadPoolExecutor(self.n_threads, "musictag core", mkl.use_one_thread)
        self._conductor = ThreadPoolExecutor(1, "musictag ear")
        self._places = threading.Semaphore(AHEAD * self.n_threads)

    def hear(self, segments: Real) -> Real:
        """(B, N) samples -> (B, K) probabilities.

        DeviceError where there is not enough memory for a single segment,
        CheckpointError where the weights make no probabilities.
        """
        some = range(0, len(segments), self.batch_size)
        coming = (self._coefficients(segments[lo : lo + self.batch_size]) for lo in some)
        return np.concatenate([self._judged(batch) for batch in coming])

    def batch(self, n_samples: int = 0) -> CpuBatch:  # noqa: ARG002  # a device wants to know
        """To gather segments in."""
        return CpuBatch(self)

    def _coefficients(self, segments: Real) -> list[Future[Real]]:
        return [self._heard(segment) for segment in segments]

    def _heard(self, segment: Real) -> Future[Real]:
        """Coefficients, as soon as a core has time; waits while too many wait for that."""
        self._places.acquire()

        def coefficients() -> Real:
            try:
                return self.front_end(segment)
            except MemoryError as error:
                raise _too_little_memory() from error
            finally:
                self._places.release()

        return self._cores.submit(coefficients)

    def _judged(self, coming: Sequence[Future[Real]]) -> Real:
        """Of coefficients that may still be under way, all cores having as many of them."""
        coefficients = np.stack([one.result() for one in coming])
        n_parts = min(self.n_threads, math.ceil(len(coming) / ROWS))
        parts = np.array_split(coefficients, n_parts)
        judged = [self._cores.submit(self._judged_by_one, part) for part in parts]
        probabilities = np.concatenate([part.result() for part in judged])
        if not np.isfinite(probabilities).all():
            raise CheckpointError("the model's weights give no probabilities")
        return probabilities

    def _judged_by_one(self, coefficients: Real) -> Real:
        """Where memory runs out, half as many at a time."""
        try:
            return self.network(coefficients)
        except MemoryError as error:
            if len(coefficients) == 1:
                raise _too_little_memory() from error
        half = len(coefficients) // 2
        log.warning("cpu is out of memory: going on in batches of %d", half)
        return np.concatenate(
            [self._judged_by_one(some) for some in np.split(coefficients, [half])]
        )


def _too_little_memory() -> DeviceError:
    return DeviceError("this machine has not enough free memory, even for one segment at a time")


class CpuBatch:
    """Segments that are heard together; it can be filled again at once."""

    def __init__(self, ear: CpuEar) -> None:
        self._ear = ear
        self._coming: list[Future[Real]] = []
        self.size = ear.batch_size

    def add(self, segment: Real) -> None:
        """The segment is to stay as it is. Waits while many others wait for the front end."""
        self._coming.append(self._ear._heard(segment))

    def begin(self) -> CpuLater:
        """Begin to judge what was added; what goes wrong is raised where the result is taken."""
        coming, self._coming = self._coming, []
        return CpuLater(self._ear._conductor.submit(self._ear._judged, coming))


class CpuLater:
    """Probabilities that may not be there yet."""

    def __init__(self, future: Future[Real]) -> None:
        self._future = future

    @property
    def is_there(self) -> bool:
        """Whether `result` need not wait."""
        return self._future.done()

    def result(self) -> Real:
        """(B, K)"""
        return self._future.result()
