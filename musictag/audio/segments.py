"""From a stream of 16 kHz samples to segments of 29 s."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from musictag.audio.blocks import GaveUp
from musictag.audio.samples import RATE_HZ, SEGMENT_LENGTH, SEGMENT_S, Samples

SILENT_PEAK = 1e-4
"""-80 dBFS: a segment that never gets louder is silence."""
PADDING_S = 0.15
"""A rest this short after the last full segment is an encoder's padding (one mp3 frame lasts
0.144 s at 8 kHz) and makes no segment of its own."""


def cut(blocks: Iterable[Samples]) -> Iterator[Samples]:
    """Cut a stream of 16 kHz samples into segments: blocks of any length -> (SEGMENT_LENGTH,)."""
    previous: Samples | None = None
    segment = np.zeros(SEGMENT_LENGTH, dtype=np.float32)
    filled = 0
    for block in blocks:
        taken = 0
        while taken < len(block):
            if filled == SEGMENT_LENGTH:
                yield segment.copy()  # ours is still needed for the last segment
                previous, segment = (
                    segment,
                    np.empty_like(segment) if previous is None else previous,
                )
                filled = 0
            n = min(len(block) - taken, SEGMENT_LENGTH - filled)
            segment[filled : filled + n] = block[taken : taken + n]
            filled += n
            taken += n
    if previous is None or filled == SEGMENT_LENGTH:
        yield segment
    elif filled > PADDING_S * RATE_HZ:
        yield np.concatenate([previous[filled:], segment[:filled]])


def evenly_spaced(duration_s: float, n_segments: int) -> list[int]:
    """Starts, in whole seconds, of segments whose centres lie at (i + ½)/N of the track."""
    return [
        math.floor((i + 0.5) * duration_s / n_segments - SEGMENT_S / 2) for i in range(n_segments)
    ]


def pick(blocks: Iterable[Samples], starts_s: Sequence[int]) -> Iterator[Samples]:
    """The segments starting at these seconds of a 16 kHz stream, which is read no further.

    Headers may promise more than there is. Where the music ends before a
    segment does, that one is moved back to end there, or padded, as `cut`
    does; those after it, of which there is nothing, are not given.
    """
    ends = [start_s * RATE_HZ + SEGMENT_LENGTH for start_s in starts_s]
    recent: deque[Samples] = deque()
    n_recent = position = 0
    for block in blocks:
        recent.append(block.copy())
        n_recent += len(block)
        position += len(block)
        while ends and ends[0] <= position:
            end = n_recent - (position - ends.pop(0))
            yield np.concatenate(recent)[end - SEGMENT_LENGTH : end].copy()
        if not ends:
            return
        while n_recent - len(recent[0]) >= SEGMENT_LENGTH:  # what comes needs no more of the past
            n_recent -= len(recent.popleft())
    last = np.concatenate(recent)[-SEGMENT_LENGTH:]
    yield np.pad(last, (0, SEGMENT_LENGTH - len(last)))


def unending(blocks: Iterable[Samples]) -> Iterator[Samples]:
    """The same blocks, and more is expected: of a stream that was sought, the end proves nothing
    about the track, and the past that a segment could be moved back into is missing."""
    yield from blocks
    raise GaveUp("the music ends before the header says")


def is_loud(segment: Samples) -> bool:
    return bool(np.abs(segment).max() >= SILENT_PEAK)
