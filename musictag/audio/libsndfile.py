"""libsndfile, the faster decoder of FLAC and of uncompressed sound. The one door to soundfile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from musictag.audio.blocks import BLOCK, Block, GaveUp, check_sanity, mean
from musictag.audio.source import View, open_file


def blocks(path: Path, start_s: float) -> Iterator[Block]:
    """libsndfile's samples from `start_s` on."""
    import soundfile  # noqa: PLC0415

    with open_file(path) as file:
        view = View(file)
        # A descriptor opens files of any name; Windows' C libraries do not share descriptors.
        source: Any = view
        if os.name == "posix" and not view.start:
            file.seek(0)
            source = file.fileno()
        try:
            with soundfile.SoundFile(source, closefd=False) as sound:
                yield from _from_libsndfile(sound, start_s)
        except soundfile.LibsndfileError as error:
            reason = error.error_string.strip().rstrip(".").lower() or "unknown format"
            if "does not exist" in reason:  # its words for an mp3 without a frame
                reason = "format not recognised"
            raise GaveUp(reason) from error


def _from_libsndfile(sound: Any, start_s: float) -> Iterator[Block]:
    import soundfile  # noqa: PLC0415

    rate_hz, n_channels, n_frames = sound.samplerate, sound.channels, sound.frames
    check_sanity(rate_hz, n_channels)
    n_heard = round(start_s * rate_hz)
    block = np.empty((max(1024, 2 * BLOCK // n_channels), n_channels), dtype=np.float32)
    try:
        if n_heard:
            sound.seek(n_heard)
        while len(frames := sound.read(out=block)):
            n_heard += len(frames)
            yield Block(mean(frames.T), rate_hz, "libsndfile")
    except soundfile.LibsndfileError as error:
        reason = error.error_string.strip().rstrip(".").lower() or "damaged"
        raise GaveUp(f"{reason} at {n_heard / rate_hz:.1f} s", damaged=True) from error
    # The length of an mp3 is an estimate; an absurdly large length means unknown.
    if sound.format != "MP3" and n_heard < n_frames < 2**48:
        reason = f"stopped at {n_heard / rate_hz:.1f} s of {n_frames / rate_hz:.1f} s"
        raise GaveUp(reason, damaged=True)
