"""One track, looked at closely: what is heard in it from segment to segment.

A scan takes the mean of this. Nothing is remembered or written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from musictag import decision
from musictag.audio.decoder import Decoder, IsolatedTrack
from musictag.audio.samples import SEGMENT_S, Samples
from musictag.errors import AudioError
from musictag.hearing.devices import find_device
from musictag.outcome import Taggram
from musictag.scan.known import SILENCES
from musictag.scan.pipeline import check_segments
from musictag.stores import summary

if TYPE_CHECKING:
    from musictag.config import Settings
    from musictag.hearing.arrays import Real
    from musictag.hearing.checkpoint import Checkpoint
    from musictag.hearing.ear import Ear
    from musictag.hearing.own import OwnWords

BATCH_SIZE = 8
"""Number of segments heard at once. One track has few, and decoding them takes most of the time."""


def hear(path: Path, checkpoint: Checkpoint, settings: Settings) -> Taggram:
    """Hear all of one track; AudioError where a scan would fail or find only silence."""
    check_segments(checkpoint)
    batch_size = settings.batch_size or BATCH_SIZE

    def load() -> Ear:
        return checkpoint.heard_by.load(find_device(settings.device), batch_size=batch_size)

    with Decoder() as decoder:
        track = decoder.track(path)
        found, _ = heard(track, checkpoint, settings, load, batch_size=batch_size)
    return found


def heard(
    track: IsolatedTrack,
    checkpoint: Checkpoint,
    settings: Settings,
    load: Callable[[], Ear],
    *,
    batch_size: int = BATCH_SIZE,
) -> tuple[Taggram, Real]:
    """Hear all of a track that a decoder has opened, with the ear of `checkpoint.heard_by`, which
    `load` gives.

    Returns its taggram, and the mean of its segments' summaries, (S,). A file that cannot be read
    needs no model. Errors as in `hear`.
    """
    starts_s: list[float] = []
    rows: list[tuple[float, ...]] = []
    summaries: list[Real] = []
    own = checkpoint.own_words()
    batches = _batches(track, batch_size)
    first = next(batches)
    ear = load()
    for batch in chain([first], batches):
        some_s, segments = zip(*batch, strict=True)
        starts_s += some_s
        some = ear.hear(np.stack(segments))  # (B, N) -> (B, K), (B, S)
        rows += map(tuple, some.probabilities.tolist())
        summaries.append(some.summaries)
    mean = decision.track_probabilities(rows)
    if own is not None:
        mean, rows = _said(own, mean, rows, np.concatenate(summaries))
    probabilities = dict(zip(checkpoint.tags, mean, strict=True))
    found = Taggram(
        track.path,
        checkpoint.name,
        track.duration_s or 0.0,
        checkpoint.tags,
        tuple(starts_s),
        tuple(rows),
        probabilities,
        decision.choose(
            probabilities, settings.worded(checkpoint.vocabulary), limits=settings.limits
        ),
        SEGMENT_S,
    )
    return found, np.concatenate(summaries).mean(axis=0)


def _said(
    own: OwnWords, mean: tuple[float, ...], rows: list[tuple[float, ...]], summaries: Real
) -> tuple[tuple[float, ...], list[tuple[float, ...]]]:
    """One's own words for the track, exactly as a scan would find them, and for its segments."""
    packed = summary.pack(summaries.mean(axis=0), summaries.std(axis=0))
    segments = own(np.array(rows, np.float32), summaries)
    return own.of_track(mean, *summary.unpacked(packed)), list(map(tuple, segments.tolist()))


def _batches(track: IsolatedTrack, size: int) -> Iterator[list[tuple[float, Samples]]]:
    """Segments with their starts, in seconds."""
    try:
        segments = track.timed_segments()
        while batch := list(islice(segments, size)):
            yield batch
    except AudioError as error:
        if error.code in SILENCES:  # in the words of a scan
            raise AudioError(track.path, error.code, SILENCES[error.code]) from error
        raise
