"""Cutting a stream of 16 kHz samples into segments of 29 s."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from musictag.audio.blocks import GaveUp
from musictag.audio.samples import RATE_HZ, SEGMENT_LENGTH, SEGMENT_S, Samples

SILENT_PEAK = 1e-4
"""Peak amplitude below which a segment counts as silence: -80 dBFS."""
PADDING_S = 0.15
"""Longest rest after the last full segment, in seconds, that counts as an encoder's padding and
makes no segment of its own. (One mp3 frame lasts 0.144 s at 8 kHz.)"""


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
    """Start times of N segments, in whole seconds, with their centres at (i + ½)/N of the track."""
    return [
        math.floor((i + 0.5) * duration_s / n_segments - SEGMENT_S / 2) for i in range(n_segments)
    ]


def pick(blocks: Iterable[Samples], starts_s: Sequence[int]) -> Iterator[Samples]:
    """The segments that start at these seconds of a 16 kHz stream, which is read no further.

    Headers may promise more music than there is. A segment that would end after the music is
    moved back to end with it, or padded, as in `cut`. Segments after that one are not given.
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
    """The same blocks; GaveUp if they end.

    After a seek, an early end proves nothing about the track, and the samples are missing into
    which a segment could be moved back.
    """
    yield from blocks
    raise GaveUp("the music ends before the header says")


def is_loud(segment: Samples) -> bool:
    return bool(np.abs(segment).max() >= SILENT_PEAK)
