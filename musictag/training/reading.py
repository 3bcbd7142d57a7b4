"""The samples of examples, decoded as a scan would decode them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from musictag import process
from musictag.errors import AudioError, FileError
from musictag.training.dataset import Example


def read_samples(example: Example, n_samples: int | None = None) -> NDArray[np.float32]:
    """Decode an example as a scan would and pad it: (n_samples,), by default a whole segment.

    Raises AudioError, also if the file ends more than half a second before the example does.
    """
    # imported here, because training on existing features needs no decoder
    from musictag.audio.samples import RATE_HZ, SEGMENT_LENGTH  # noqa: PLC0415
    from musictag.audio.track import Track  # noqa: PLC0415

    start = round(example.start_s * RATE_HZ)
    length = n_samples or SEGMENT_LENGTH
    wanted = min(round(example.duration_s * RATE_HZ), length)
    segment = np.zeros(length, dtype=np.float32)
    position = 0
    for block in Track(example.path).samples():
        first, last = max(start, position), min(start + wanted, position + len(block))
        if first < last:
            segment[first - start : last - start] = block[first - position : last - position]
        position += len(block)
        if position >= start + wanted:
            break
    if position < start + wanted - RATE_HZ // 2:
        reason = f"ends at {position / RATE_HZ:.1f} s, before example {example.id} does"
        raise AudioError(example.path, "truncated", reason)
    return segment


def read_ahead(
    examples: Sequence[Example], workers: int | None = None, n_samples: int | None = None
) -> Iterator[NDArray[np.float32] | FileError]:
    """Yield the samples of examples in order, decoded ahead in threads; errors come as values."""

    def read(example: Example) -> NDArray[np.float32] | FileError:
        try:
            return read_samples(example, n_samples)
        except FileError as error:
            return error

    workers = workers or process.n_cores()
    waiting: deque[Future[NDArray[np.float32] | FileError]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for example in examples:
                waiting.append(pool.submit(read, example))
                if len(waiting) > 4 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
