"""What every ear does: samples in, probabilities and summaries out.

    ear = checkpoint.find().load("cpu")
    ear.hear(samples).probabilities     # (B, N) -> (B, K), waits for it

    batch = ear.batch(n_samples)        # segments are added as they come,
    batch.add(segment)                  # at most batch.size of them
    later = batch.begin()               # does not wait
    later.result().probabilities

`ear_core.CoreEar` hears on the cores of a CPU without torch, `ear_torch.TorchEar` on any device
that torch supports. `Checkpoint.load` chooses.

Shapes: B segments, N samples, C coefficients, T frames, S numbers of a summary, K tags.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from musictag.hearing.arrays import Real


class Hearing(NamedTuple):
    """What was heard of some segments."""

    probabilities: Real
    """Each tag's probability, (B, K)."""
    summaries: Real
    """The numbers that the network's last layer sees, (B, S)."""


class Later(Protocol):
    """A Hearing that may not be there yet. `concurrent.futures.Future` is one."""

    def done(self) -> bool:
        """Whether `result` need not wait."""

    def result(self) -> Hearing:
        """Wait for it. Raises what went wrong on the way, as `Ear.hear` does."""


class Batch(Protocol):
    """Segments that are heard together.

    Another segment may be added once the result of what was begun has been taken.
    """

    @property
    def size(self) -> int:
        """Most segments at a time."""

    def add(self, segment: Real) -> None:
        """Add (N,) samples, which must not change any more. May wait for room."""

    def begin(self) -> Later:
        """Begin to hear what was added since the last call."""


class Ear(Protocol):
    """A model in memory, ready to hear. Deterministic."""

    batch_size: int

    def hear(self, segments: Real) -> Hearing:
        """Hear (B, N) samples.

        DeviceError if there is not enough memory for a single segment, CheckpointError if the
        weights give no probabilities.
        """

    def batch(self, n_samples: int) -> Batch:
        """An empty batch for segments of `n_samples`."""
