"""One track, looked at closely: what is heard in it from segment to segment.

The picture that a scan takes the mean of. Nothing is remembered or written.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from musictag import decision
from musictag.audio.decoder import Decoder, IsolatedTrack
from musictag.audio.samples import SEGMENT_S, Samples
from musictag.config import Settings
from musictag.errors import AudioError
from musictag.hearing.ear_torch import find_device
from musictag.outcome import Taggram
from musictag.scan.known import SILENCES
from musictag.scan.pipeline import check_segments

if TYPE_CHECKING:
    from musictag.hearing.checkpoint import Checkpoint

BATCH_SIZE = 8
"""Of one track there are not many segments, and decoding them is what takes time."""


def hear(path: Path, checkpoint: Checkpoint, settings: Settings) -> Taggram:
    """Hear all of one track; AudioError where a scan would fail or find only silence."""
    check_segments(checkpoint)
    starts_s: list[float] = []
    rows: list[tuple[float, ...]] = []
    with Decoder() as decoder:
        track = decoder.track(path)
        for some_s, heard in _hear(track, checkpoint, settings):
            starts_s += some_s
            rows += heard
    mean = decision.track_probabilities(rows)
    probabilities = dict(zip(checkpoint.tags, mean, strict=True))
    return Taggram(
        path,
        checkpoint.name,
        track.duration_s or 0.0,
        checkpoint.tags,
        tuple(starts_s),
        tuple(rows),
        probabilities,
        decision.choose(probabilities, checkpoint.vocabulary, limits=settings.limits),
        SEGMENT_S,
    )


def _hear(
    track: IsolatedTrack, checkpoint: Checkpoint, settings: Settings
) -> Iterator[tuple[list[float], list[tuple[float, ...]]]]:
    """Where some segments start, and their probabilities."""
    batch_size = settings.batch_size or BATCH_SIZE
    batches = _batches(track, batch_size)
    first = next(batches)  # a file that cannot be read needs no model
    ear = checkpoint.load(find_device(settings.device), batch_size=batch_size)
    for batch in chain([first], batches):
        starts_s, segments = zip(*batch, strict=True)
        heard = ear.hear(np.stack(segments))  # (B, N) -> (B, K)
        yield list(starts_s), list(map(tuple, heard.tolist()))


def _batches(track: IsolatedTrack, size: int) -> Iterator[list[tuple[float, Samples]]]:
    try:
        segments = track.timed_segments()
        while batch := list(islice(segments, size)):
            yield batch
    except AudioError as error:
        if error.code in SILENCES:  # in the words of a scan
            raise AudioError(track.path, error.code, SILENCES[error.code]) from error
        raise
