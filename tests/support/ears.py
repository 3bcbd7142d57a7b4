"""A stand-in for a model, for tests of anything but hearing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from musictag.hearing.ear_torch import CPU_BATCH, Batch, Later
from musictag.vocabulary import Vocabulary, magnatagatune

if TYPE_CHECKING:
    import torch


class FakeEar:
    """Checkpoint and Ear in one; its results are there at once, and `hear` says what they are."""

    batch_size = CPU_BATCH
    thresholds: Mapping[str, float]

    @property
    def vocabulary(self) -> Vocabulary:
        return magnatagatune().with_thresholds(self.thresholds)

    def load(self, _: str = "cpu", *, batch_size: int | None = None) -> FakeEar:
        self.batch_size = batch_size or CPU_BATCH
        return self

    def hear(self, segments: torch.Tensor) -> torch.Tensor:
        """A probability of 0.5 for every segment; there is one tag."""
        return segments.new_full((len(segments), 1), 0.5)

    def begin(self, segments: torch.Tensor) -> Later:
        return Later.of([(self.hear(segments), None)])

    def batch(self, n_samples: int) -> Batch:
        return Batch(self, n_samples)  # type: ignore[arg-type]

    def room(self, n_samples: int) -> torch.Tensor:
        import torch  # noqa: PLC0415  # not for tests that hear nothing

        return torch.empty((self.batch_size, n_samples))
