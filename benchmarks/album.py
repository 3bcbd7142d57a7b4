"""Music to measure with: albums of mp3s that all differ, and long mixes, made in seconds.

A few pieces are encoded once. Each track holds copies of their mp3 frames in an order
of its own, so no two tracks look the same to a cache, and a mix of three hours takes
little longer to make than three minutes. 192 kbit/s, 44.1 kHz and stereo are what
most collections hold.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from shared import sounds

PIECE_S = 20.0
N_PIECES = 8
RATE_HZ = 44_100
BIT_RATE = 192_000
FRAME = 1152
"""Samples in an mp3 frame."""


def make(folder: Path, *, n_tracks: int = 10, seconds: float = 240.0) -> list[Path]:
    """Make an album of tracks of this length."""
    return [
        make_track(folder / f"{number:03} track.mp3", number, seconds=seconds)
        for number in range(1, n_tracks + 1)
    ]


def make_track(path: Path, seed: int, *, seconds: float) -> Path:
    """Make one mp3; another seed gives another order of the pieces."""
    pieces = _pieces()
    order = np.random.default_rng(seed).integers(len(pieces), size=1 + int(seconds / PIECE_S))
    frames = [frame for piece in order for frame in pieces[piece]]
    _write(path, frames[: round(seconds * RATE_HZ / FRAME)])
    return path


@functools.cache
def _pieces() -> Sequence[Sequence[bytes]]:
    """The mp3 frames of each piece."""
    pieces = []
    for seed in range(N_PIECES):
        samples = sounds.chord(PIECE_S, seed=seed) + sounds.noise(PIECE_S, seed=seed, amplitude=0.1)
        file = io.BytesIO(sounds.encode("mp3", samples, RATE_HZ, bit_rate=BIT_RATE))
        with av.open(file) as source:
            pieces.append([bytes(packet) for packet in source.demux(audio=0) if packet.size])
    return pieces


def _write(path: Path, frames: Sequence[bytes]) -> None:
    with av.open(str(path), "w", format="mp3") as output:
        stream = output.add_stream("libmp3lame", rate=RATE_HZ, layout="stereo")
        stream.bit_rate = BIT_RATE
        stream.codec_context.format = "fltp"
        stream.codec_context.open()  # nothing is encoded, but the muxer wants the format
        for number, frame in enumerate(frames):
            packet = av.Packet(frame)
            packet.stream = stream
            packet.time_base = Fraction(1, RATE_HZ)
            packet.pts = packet.dts = number * FRAME
            packet.duration = FRAME
            output.mux(packet)
