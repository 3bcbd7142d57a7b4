"""A track's summary as it is remembered: what the network made of the track before it named tags.

Of every segment the network makes S numbers, which are all that its last layer sees. Remembered
are their mean over the track and their spread (standard deviation), as little-endian float16: the
mean first, 4 · S bytes altogether.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Real = NDArray[np.float32]

_LARGEST = 65_504.0
"""Largest number of float16."""


class Summing:
    """Takes mean and spread of a track's segments as they come; memory does not grow with them."""

    def __init__(self) -> None:
        self.n = 0
        """Number of segments so far."""
        self._total: NDArray[np.float64] | float = 0.0
        self._squares: NDArray[np.float64] | float = 0.0

    def add(self, summaries: Real) -> None:
        """Add some segments, (B, S)."""
        for row in summaries.astype("f8"):  # one by one: batches must make no difference
            self._total = self._total + row
            self._squares = self._squares + row * row
        self.n += len(summaries)

    def packed(self) -> bytes | None:
        """The summary as it is remembered; None if no segment was added."""
        if not self.n:
            return None
        import numpy as np  # noqa: PLC0415  # whoever has added segments has it

        mean = np.asarray(self._total / self.n)
        spread = np.sqrt(np.maximum(np.asarray(self._squares / self.n) - mean * mean, 0.0))
        return pack(mean, spread)


def pack(mean: NDArray[np.floating], spread: NDArray[np.floating]) -> bytes:
    """(S,) and (S,) → as remembered."""
    import numpy as np  # noqa: PLC0415  # not needed while nothing is packed

    both = np.clip(np.concatenate([mean, spread]), -_LARGEST, _LARGEST).astype(np.dtype("<f2"))
    return bytes(both.tobytes())


def unpacked(summary: bytes) -> tuple[Real, Real]:
    """As remembered → mean and spread, (S,) each."""
    import numpy as np  # noqa: PLC0415

    mean, spread = np.frombuffer(summary, "<f2").astype(np.float32).reshape(2, -1)
    return mean, spread


def is_one(blob: object) -> bool:
    """Whether this can be a summary that we have remembered."""
    if not isinstance(blob, bytes) or not blob or len(blob) % 4:
        return False
    import numpy as np  # noqa: PLC0415

    numbers = np.frombuffer(blob, "<f2")
    return bool(np.isfinite(numbers).all() and (numbers[len(numbers) // 2 :] >= 0).all())
