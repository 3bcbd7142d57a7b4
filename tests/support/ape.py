"""Monkey's Audio files made by hand, because none of our libraries can write them.

    data = ape.encode(samples, 16_000)      int16 (N, 1 or 2) -> the bytes of a .ape file

This is version 3.99 of the format at its level "fast", which has two stages. A sign-LMS
predictor guesses every sample from its past and from the other channel, and a
range coder, whose model follows the mean size of the errors, stores the errors.
An encoder only has to run the decoder's arithmetic and write down the errors.
It is slow (about 10 µs per sample), so keep the music short.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

VERSION = 3990
LEVEL_FAST = 1000
BLOCKS_PER_FRAME = 4096
"""Samples in a frame. Other encoders write 73,728; fewer keep the range coder's integer short, and
encoding fast."""

# How many errors in 65,536 are 0, 1, 2 … times their mean; these are constants of the format.
_WIDTHS = [19_578, 16_582, 12_257, 7906, 4576, 2366, 1170, 536, 261, 119]
_WIDTHS += [65, 31, 19, 10, 6, 3, 3, 2, 1, 1, 1]
CUMULATIVE = [sum(_WIDTHS[:i]) for i in range(22)]


def encode(samples: NDArray[np.int16], rate_hz: int) -> bytes:
    n, n_channels = samples.shape
    frames = [
        _frame(samples[start : start + BLOCKS_PER_FRAME]) for start in range(0, n, BLOCKS_PER_FRAME)
    ]
    sizes = [len(frame) for frame in frames]
    seek_table = np.cumsum([52 + 24 + 4 * len(frames), *sizes])[:-1].astype("<u4").tobytes()
    lengths = (52, 24, len(seek_table), 0, sum(sizes), 0, 0)
    descriptor = struct.pack("<4sHH7I16s", b"MAC ", VERSION, 0, *lengths, b"")
    n_last = n - BLOCKS_PER_FRAME * (len(frames) - 1)
    header = struct.pack("<HHIII", LEVEL_FAST, 32, BLOCKS_PER_FRAME, n_last, len(frames))
    header += struct.pack("<HHI", 16, n_channels, rate_hz)
    return descriptor + header + seek_table + b"".join(frames)


def _frame(samples: NDArray[np.int16]) -> bytes:
    """One frame: a checksum, an ignored byte and the range coder's bytes, in byte-swapped words."""
    coder = _RangeCoder()
    if samples.shape[1] == 1:
        channels = [samples[:, 0].astype(int).tolist()]
        predictors = [_Predictor(uses_other=False)]
    else:
        left, right = samples.astype(int).T
        side = right - left
        channels = [side.tolist(), (left + np.trunc(side / 2).astype(int)).tolist()]
        predictors = [_Predictor(uses_other=True), _Predictor(uses_other=True)]
    models = [_ErrorModel() for _ in channels]
    outputs = [0] * len(channels)
    for values in zip(*channels, strict=True):
        for i, value in enumerate(values):
            other = outputs[1 - i] if len(channels) == 2 else 0
            models[i].write(coder, predictors[i].error(value, other))
            outputs[i] = value
    checksum = zlib.crc32(samples.astype("<i2").tobytes()) >> 1
    data = struct.pack(">I", checksum) + b"\0" + coder.finish()
    data += bytes(-len(data) % 4)
    return np.frombuffer(data, ">u4").astype("<u4").tobytes()


class _Predictor:
    """Guesses a sample from the last four of its channel and the last five of the other."""

    def __init__(self, *, uses_other: bool) -> None:
        self._uses_other = uses_other
        self._weights = [360, 317, -109, 98]
        self._other_weights = [0] * 5
        self._own = [0] * 4
        self._others = [0] * 5
        self._last = self._output = self._last_other = 0

    def error(self, value: int, other: int) -> int:
        own, others = self._own, self._others
        own[:] = [self._last, self._last - own[0], own[1], own[2]]
        guess = sum(map(int.__mul__, own, self._weights))
        if self._uses_other:
            filtered = other - (self._last_other * 31 >> 5)
            others[:] = [filtered, filtered - others[0], *others[1:4]]
            self._last_other = other
            guess += sum(map(int.__mul__, others, self._other_weights)) >> 1
        self._last = value - (self._output * 31 >> 5)
        self._output = value
        error = self._last - (guess >> 10)
        if error:
            _adapt(self._weights, own, error)
            if self._uses_other:
                _adapt(self._other_weights, others, error)
        return error


def _adapt(weights: list[int], inputs: list[int], error: int) -> None:
    """Move every weight one step in the direction that would have made the error smaller."""
    for i, x in enumerate(inputs):
        if x:
            weights[i] += 1 if (x > 0) == (error > 0) else -1


class _ErrorModel:
    """Splits errors into a multiple of their running mean, which is modelled, and a rest."""

    def __init__(self) -> None:
        self._sum = 16_384

    def write(self, coder: _RangeCoder, error: int) -> None:
        x = 2 * error - 1 if error > 0 else -2 * error
        pivot = max(1, self._sum >> 5)
        multiple, rest = divmod(x, pivot)
        if multiple < 21:
            low, high = CUMULATIVE[multiple], CUMULATIVE[multiple + 1]
            coder.write(low, high - low, 65_536)
        else:
            coder.write(min(multiple, 63) + 65_472, 1, 65_536)
        if multiple >= 63:
            coder.write(multiple >> 16, 1, 65_536)
            coder.write(multiple & 0xFFFF, 1, 65_536)
        coder.write(rest, 1, pivot)
        self._sum += (x + 1) // 2 - ((self._sum + 16) >> 5)


class _RangeCoder:
    """A range coder whose low end is one long integer, so that carries need no care."""

    def __init__(self) -> None:
        self._low, self._range, self._n_bits = 0, 1 << 31, 31

    def write(self, start: int, width: int, total: int) -> None:
        while self._range <= 1 << 23:
            self._range <<= 8
            self._low <<= 8
            self._n_bits += 8
        step = self._range // total
        self._low += step * start
        self._range = step * width

    def finish(self) -> bytes:
        """The low end, followed by zeros for a decoder that reads ahead."""
        return (self._low << 1).to_bytes((self._n_bits + 1) // 8, "big") + bytes(8)
