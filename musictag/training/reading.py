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


def read_samples(example: Example) -> NDArray[np.float32]:
    """One segment's samples, decoded and padded as a scan would do it: (SEGMENT_LENGTH,).

    Raises AudioError, also where the file ends more than half a second before the example does.
    """
    # imported here: whoever has the features needs no decoder
    from musictag.audio.samples import RATE_HZ, SEGMENT_LENGTH  # noqa: PLC0415
    from musictag.audio.track import Track  # noqa: PLC0415

    start = round(example.start_s * RATE_HZ)
    wanted = min(round(example.duration_s * RATE_HZ), SEGMENT_LENGTH)
    segment = np.zeros(SEGMENT_LENGTH, dtype=np.float32)
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
    examples: Sequence[Example], workers: int | None = None
) -> Iterator[NDArray[np.float32] | FileError]:
    """The examples' samples in order, decoded in threads a little ahead; errors as values."""

    def read(example: Example) -> NDArray[np.float32] | FileError:
        try:
            return read_samples(example)
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
