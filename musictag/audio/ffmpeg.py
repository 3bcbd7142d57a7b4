"""ffmpeg's libraries, through PyAV: they read nearly everything. The one door to PyAV."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from musictag.audio.blocks import BLOCK, Block, GaveUp, check_sanity
from musictag.audio.samples import RATE_HZ, Samples
from musictag.audio.source import View, open_file
from musictag.errors import AudioError
from musictag.formats.table import DEMUXERS, of_demuxer

# PyAV's types differ between the versions we allow.
_Container = Any
_Stream = Any
_Packet = Any
_Frame = Any
_SCALE = {"u8": 128.0, "s16": 2.0**15, "s32": 2.0**31, "s64": 2.0**63, "flt": 1.0, "dbl": 1.0}
_NUMBERS: dict[str, type[np.generic]] = {
    "u8": np.uint8,
    "s16": np.int16,
    "s32": np.int32,
    "s64": np.int64,
    "flt": np.float32,
    "dbl": np.float64,
}


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[_Container, _Stream]]:
    """The opened file and its best audio stream. Pictures and video are never decoded."""
    import av  # noqa: PLC0415

    with open_file(path) as file:
        try:
            container = av.open(
                View(file),
                options={"format_whitelist": ",".join(DEMUXERS), "protocol_whitelist": ""},
                # before version 19, PyAV raises for text that is not UTF-8 unless told otherwise
                **({"metadata_errors": "replace"} if _major(av) < 19 else {}),
            )
        except av.FFmpegError as error:
            raise GaveUp(_reason(error)) from error
        with container:
            stream = container.streams.best("audio") or next(iter(container.streams.audio), None)
            if stream is None:
                raise GaveUp("no audio in it")
            if stream.codec_context is None or not stream.codec_context.rate:
                raise GaveUp(f"cannot decode its codec, {codec_name(stream)}")
            stream.codec_context.thread_count = 1  # files run in parallel, not parts of one
            yield container, stream


def codec_name(stream: _Stream) -> str:
    return str(stream.codec_context.name) if stream.codec_context is not None else "unknown to it"


def seeks_exactly(container: _Container, stream: _Stream) -> bool:
    """Whether starting in the middle gives the samples that reading up to there gives."""
    row = of_demuxer(container.format.name)
    if row is None or not row.seeks_exactly:
        return False
    # an Ogg stream that begins late has other times after a seek than in its beginning
    return "ogg" not in row.demuxers or not stream.start_time


def blocks(path: Path, start_s: float) -> Iterator[Block]:
    """Samples from `start_s` on: sought, or read up to there where seeking fails.

    Packets that do not decode are skipped, because radio rips and old mp3s are full of them. If
    more than one in ten is bad between good ones, the file is corrupt.
    """
    if start_s:
        try:
            yield from _from_ffmpeg(path, start_s, seeking=True)
            return
        except _LandedElsewhere:
            pass
    yield from _from_ffmpeg(path, start_s, seeking=False)


class _LandedElsewhere(Exception):  # noqa: N818  (nothing has been yielded yet: start over)
    pass


def _from_ffmpeg(path: Path, start_s: float, *, seeking: bool) -> Iterator[Block]:
    import av  # noqa: PLC0415

    with opened(path) as (container, stream):
        origin_s = None
        if seeking and seeks_exactly(container, stream):
            origin_s = float((stream.start_time or 0) * stream.time_base)
            # Start a second earlier: codecs predict from their past, and Ogg's pages are coarse.
            target = int((origin_s + max(start_s - 1.0, 0.0)) / stream.time_base)
            try:
                container.seek(target, stream=stream, backward=True)
            except av.FFmpegError as error:
                raise _LandedElsewhere from error
        yield from _mixed(_from(start_s, origin_s, _frames(path, container, stream)))


def _frames(path: Path, container: _Container, stream: _Stream) -> Iterator[_Frame]:
    import av  # noqa: PLC0415

    n_good = n_bad = n_holes = n_unsupported = 0
    coming = packets(container, stream)
    while True:
        try:
            packet = next(coming)
        except StopIteration:
            break
        except av.FFmpegError as error:
            raise GaveUp(_reason(error), damaged=True) from error
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            n_bad += 1
            n_unsupported += isinstance(error, av.error.PatchWelcomeError)
            if not n_good and n_bad >= 2000:
                break
            continue
        if frames:
            # bad packets at either end are tags or other junk; no packet at all empties the decoder
            n_holes += n_bad if n_good and packet.size else 0
            n_good, n_bad = n_good + 1, 0
            yield from frames
    codec = codec_name(stream)
    if not n_good:
        if n_unsupported:
            raise GaveUp(f"does not implement what it uses of its codec, {codec}")
        if codec in _HALF_KNOWN:
            raise GaveUp(f"it is damaged, or uses parts of {codec} that are not implemented")
        raise GaveUp("nothing in it could be decoded", damaged=True)
    n_holes = max(n_holes, n_unsupported)
    if n_holes > 0.1 * (n_good + n_holes):
        of_all = f"{n_holes} of {n_good + n_holes} packets"
        raise _hole_error(path, of_all, codec, is_unsupported=n_unsupported > n_holes / 2)


_HALF_KNOWN = frozenset({"wmalossless", "wmapro", "wmavoice"})
"""Codecs of which ffmpeg implements a part, and calls the rest invalid data."""


def _hole_error(path: Path, of_all: str, codec: str, *, is_unsupported: bool) -> AudioError:
    convert = "convert it with a program that plays it"
    if is_unsupported:
        reason = f"{of_all} use parts of their codec, {codec}, that ffmpeg does not implement"
        return AudioError(path, "no_decoder", reason, cure=convert)
    if codec in _HALF_KNOWN:
        reason = f"{of_all} are damaged, or use parts of {codec} that ffmpeg does not implement"
        return AudioError(path, "no_decoder", reason, cure=convert)
    reason = f"{of_all} are damaged"
    return AudioError(path, "corrupt", reason, cure="copy or download it again")


def packets(container: _Container, stream: _Stream) -> Iterator[_Packet]:
    """The stream's packets, up to what fits into the file: tables in its header may name the same
    bytes over and over."""
    left = 8 * container.size + (1 << 20)
    for packet in container.demux(stream):
        left -= packet.size + 1
        if left < 0:
            raise GaveUp("it names more sound than it holds", damaged=True)
        yield packet


def _from(
    start_s: float, origin_s: float | None, frames: Iterator[_Frame]
) -> Iterator[tuple[_Frame, int]]:
    """Each frame, and how many of its first samples (perhaps all) to drop so that the sound starts
    at `start_s`. After a seek the frames' own times decide, otherwise samples are counted."""
    position_s = 0.0
    wanted = start_s > 0
    for frame in frames:
        skip = 0
        if wanted:
            if origin_s is not None and frame.pts is not None:
                position_s = float(frame.pts * frame.time_base) - origin_s
                if position_s > start_s + 1 / frame.sample_rate:
                    raise _LandedElsewhere
            skip = min(max(round((start_s - position_s) * frame.sample_rate), 0), frame.samples)
            position_s += frame.samples / frame.sample_rate
            wanted = skip == frame.samples
        yield frame, skip


def _mixed(frames: Iterator[tuple[_Frame, int]]) -> Iterator[Block]:
    """ffmpeg's frames, often no longer than 1152 samples, mixed into larger mono blocks.

    The work per frame is done by numpy on whole planes and kept short, because it holds Python's
    lock while other threads decode, too.
    """
    mono = np.empty(BLOCK, dtype=np.float32)
    filled = 0
    kind: tuple[str, int, int] | None = None
    with np.errstate(invalid="ignore", over="ignore"):  # float files; see without_damage
        for number, (frame, skip) in enumerate(frames):
            n = frame.samples - skip
            if n == 0:
                if number % 1024 == 0:  # a sign of life while nothing is yielded
                    yield Block(mono[:0], RATE_HZ, "ffmpeg")
                continue
            this = (frame.format.name, frame.layout.nb_channels, frame.sample_rate)
            if this != kind or filled + n > len(mono):
                if filled and kind:
                    yield _scaled(mono[:filled], kind)
                if this != kind:
                    check_sanity(frame.sample_rate, frame.layout.nb_channels)
                kind, filled = this, 0
                if n > len(mono):
                    mono = np.empty(n, dtype=np.float32)
            _sum(frame, skip, mono[filled : filled + n])
            filled += n
        if filled and kind:
            yield _scaled(mono[:filled], kind)


def _sum(frame: _Frame, skip: int, mono: Samples) -> None:
    """Sum the frame's channels without its first `skip` samples, in the decoder's numbers."""
    n_channels = frame.layout.nb_channels
    if frame.format.is_planar and n_channels >= 8:
        # PyAV 18.1 counts planes up to the first null pointer. After eight there is none, and it
        # reads on into other memory. Interleaved samples have one plane.
        frame = _interleaved(frame)
    numbers = _NUMBERS[frame.format.packed.name]
    if frame.format.is_planar:
        channels = [np.frombuffer(plane, numbers, frame.samples)[skip:] for plane in frame.planes]
    else:
        interleaved = np.frombuffer(frame.planes[0], numbers, frame.samples * n_channels)
        channels = list(interleaved.reshape(-1, n_channels)[skip:].T)
    if len(channels) == 1:
        mono[:] = channels[0]
    else:
        np.add(channels[0], channels[1], out=mono, dtype=np.float32, casting="same_kind")
        for channel in channels[2:]:
            np.add(mono, channel, out=mono, dtype=np.float32, casting="same_kind")


def _interleaved(frame: _Frame) -> _Frame:
    import av  # noqa: PLC0415

    resampler = av.AudioResampler(frame.format.packed.name, frame.layout, frame.sample_rate)
    frame.pts = None
    (converted,) = resampler.resample(frame)
    return converted


def _scaled(total: Samples, kind: tuple[str, int, int]) -> Block:
    """The mean of the channels, between -1 and 1, from their sum."""
    sample_format, n_channels, rate_hz = kind
    numbers = sample_format.rstrip("p")
    if numbers == "u8":
        total -= 128.0 * n_channels  # unsigned: silence is 128
    total *= np.float32(1 / (n_channels * _SCALE[numbers]))
    return Block(total, rate_hz, "ffmpeg")


def _major(library: Any) -> int:
    return int(library.__version__.partition(".")[0])


def _reason(error: Any) -> str:
    if isinstance(error, MemoryError):
        raise error
    sentence = str(error.strerror or type(error).__name__).lower()
    return sentence.replace(" when processing input", "")
