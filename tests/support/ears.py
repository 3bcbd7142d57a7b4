"""Stand-ins for a model in tests of something other than hearing."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future

import numpy as np

from musictag.hearing.arrays import Real
from musictag.hearing.ear import Hearing, Later
from musictag.vocabulary import Vocabulary, magnatagatune

BATCH = 48


class FakeEar:
    """Checkpoint and Ear in one. `heard` says what it hears, which is there at once."""

    batch_size = BATCH
    thresholds: Mapping[str, float]
    base = None

    @property
    def heard_by(self) -> FakeEar:
        return self

    def own_words(self) -> None:
        return None

    @property
    def vocabulary(self) -> Vocabulary:
        return magnatagatune().with_thresholds(self.thresholds)

    def load(self, _: str = "cpu", *, batch_size: int | None = None) -> FakeEar:
        self.batch_size = batch_size or BATCH
        return self

    def heard(self, segments: Real) -> Real:
        """A probability of one half for a single tag."""
        return np.full((len(segments), 1), 0.5, np.float32)

    def hear(self, segments: Real) -> Hearing:
        return Hearing(self.heard(segments), np.zeros((len(segments), 2), np.float32))

    def begin(self, segments: Real) -> Later:
        future: Future[Hearing] = Future()
        future.set_result(self.hear(segments))
        return future

    def batch(self, n_samples: int) -> FakeBatch:
        return FakeBatch(self, n_samples)

    def room(self, n_samples: int) -> Real:
        return np.empty((self.batch_size, n_samples), np.float32)


class FakeBatch:
    """A batch whose memory is used again and again."""

    def __init__(self, ear: FakeEar, n_samples: int) -> None:
        self._ear = ear
        self._room = ear.room(n_samples)
        self._n = 0
        self.size = len(self._room)

    def add(self, segment: Real) -> None:
        self._room[self._n] = segment
        self._n += 1

    def begin(self) -> Later:
        n, self._n = self._n, 0
        return self._ear.begin(self._room[:n])
