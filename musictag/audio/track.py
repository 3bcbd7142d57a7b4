"""One audio file to 29-second segments of mono 16 kHz samples.

    for segment in Track(path).segments():     # each (464000,) float32

Three doors lead to the samples, tried in turn: libsndfile where it is the
faster one (wav, aiff, flac, au, caf), ffmpeg's libraries (PyAV) for everything
else and as second try, audioread with whatever the platform has. All three
give the same samples: floating point from the decoder to the end, channels
mixed by their plain mean, encoder delay and padding cut off where the file
states them, one resampler. Everything streams; memory does not grow with the
track.

Files are not trusted. ffmpeg is given an open file and the demuxers of sound
alone, so that a playlist in disguise opens nothing else; sizes in headers are
compared with what was heard and never allocated.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import math
import os
import stat
import struct
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from musictag.errors import AudioError

Samples = NDArray[np.float32]

# PyAV's types differ between the versions we allow.
_Container = Any
_Stream = Any
_Packet = Any
_Frame = Any

RATE_HZ = 16_000
SEGMENT_S = 29
SEGMENT_LENGTH = RATE_HZ * SEGMENT_S

SHORTEST_S = 1.0
"""Less music than this is not tagged."""
SILENT_PEAK = 1e-4
"""-80 dBFS: a segment that never gets louder is silence."""
PADDING_S = 0.15
"""A rest this short after the last full segment is an encoder's padding (one mp3 frame lasts
0.144 s at 8 kHz) and makes no segment of its own."""
LONGEST_S = 100 * 3600
"""No track is longer; a file that goes on is a trap, which holds days of silence in no space."""
LOUDEST = 1e6
"""120 dB over full scale: beyond it, as with NaN, a float file holds damage, heard as silence."""

# How much may be missing of what the header promises: encoders round, count their padding, and
# cutters leave old headers behind. A download broken off lacks more.
MISSING_S = 1.0
MISSING_SHARE = 0.01

BLOCK = 65_536
"""Frames per step. From 16,384 up libsndfile and soxr run at full speed (at 4096, half)."""


class Track:
    """One audio file's music, decoded front to back, as a stream of segments.

    With `n_segments` only so many are heard, evenly spaced: their centres lie
    at (i + ½)/N of the track, their starts on whole seconds. They are sought
    where the container allows, so that most of the file is not decoded. A
    track no longer than N segments is heard whole.
    """

    def __init__(
        self,
        path: Path,
        *,
        n_segments: int | None = None,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        if n_segments is not None and n_segments < 1:
            raise ValueError("n_segments must be at least 1")
        self._progress = progress
        """Called whenever a block has been decoded, so that somebody can tell work from a hang."""
        self.path = path
        self.n_segments = n_segments
        self.duration_s: float | None = None
        """The music heard; with `n_segments` the container's claim. None until that is known."""
        self.decoder = ""
        """Which door gave the music: "libsndfile", "ffmpeg" or "audioread:…"."""

    def segments(self) -> Iterator[Samples]:
        """Segments in order, each (464000,) float32 and the caller's own.

        The last one is moved back to end where the music ends, so every second
        is heard and none is padding; only a track shorter than one segment is
        padded with zeros on the right. Silent segments are left out; where all of
        the N are silent, the first N that are not are given instead.

        Raises AudioError where the file turns out bad, which may be after
        segments were given: only a run to the end says that all is well.
        """
        _check(self.path)
        silent = True
        if starts_s := self._starts_s():
            for segment in filter(_is_loud, self._sought(starts_s)):
                silent = False
                yield segment
        if silent:  # or sought in N rests; reading tells
            for segment in islice(filter(_is_loud, _cut(self.samples())), self.n_segments):
                silent = False
                yield segment
        if silent:
            raise _silent(self.path)

    def timed_segments(self) -> Iterator[tuple[float, Samples]]:
        """The segments of the whole track, each with the second at which it starts.

        As `segments`, `n_segments` aside.
        """
        _check(self.path)
        silent = True
        for n, segment in enumerate(_cut(self.samples())):
            if _is_loud(segment):
                silent = False
                # The duration is known when the last one comes, which is the one moved back.
                latest_s = math.inf if self.duration_s is None else self.duration_s - SEGMENT_S
                yield max(0.0, min(float(n * SEGMENT_S), latest_s)), segment
        if silent:
            raise _silent(self.path)

    def _starts_s(self) -> list[int] | None:
        """Where the N segments start, in seconds; None: hear everything."""
        if self.n_segments is None:
            return None
        duration_s = _promise_s(self.path) or _demuxed_s(self.path)
        if duration_s is None:
            duration_s = sum(len(block.samples) / block.rate_hz for block in self._blocks())
        if duration_s <= self.n_segments * SEGMENT_S:
            return None
        self.duration_s = duration_s
        return _evenly_spaced(duration_s, self.n_segments)

    def _sought(self, starts_s: Sequence[int]) -> Iterator[Samples]:
        """The segments that start at these seconds: by seeking if that works, else by reading."""
        n_done = 0
        with contextlib.suppress(_GaveUp):
            for start_s in starts_s:
                yield self._segment_at(start_s)
                n_done += 1
        if n_done < len(starts_s):
            yield from _pick(self.samples(), starts_s[n_done:])

    def _segment_at(self, start_s: int) -> Samples:
        """One segment, sought. From a second before, where the resampler can settle: then, the
        second being whole at both rates, these are the samples of an uninterrupted run."""
        lead_s = min(start_s, 1)
        door = _doors(self.path)[0]
        if not _seekable(self.path, door):
            raise _GaveUp("cannot seek")
        blocks = self._noting_decoder(door(self.path, float(start_s - lead_s)))
        return next(_pick(_unending(_at_16_khz(blocks)), [lead_s]))

    def samples(self) -> Iterator[Samples]:
        """The whole track at 16 kHz, in blocks; afterwards the duration is known and judged."""
        n_samples = 0
        for samples in _at_16_khz(self._blocks()):
            n_samples += len(samples)
            yield samples
        self.duration_s = n_samples / RATE_HZ
        if self.duration_s < SHORTEST_S:
            reason = f"only {self.duration_s:.2f} s of music"
            raise AudioError(self.path, "too_short", reason)

    def _blocks(self) -> Iterator[_Block]:
        """Mono blocks from the first door that can; where one gives up, on from the next."""
        heard_s = 0.0
        refusals: list[str] = []
        damaged = False
        for door in _doors(self.path):
            try:
                for block in self._noting_decoder(door(self.path, heard_s)):
                    heard_s += len(block.samples) / block.rate_hz
                    if heard_s > LONGEST_S:
                        reason = f"it goes on for more than {LONGEST_S // 3600} hours"
                        raise AudioError(self.path, "too_big", reason)
                    yield block
            except _GaveUp as gave_up:  # noqa: PERF203  (three doors at most)
                refusals.append(f"{_name(door)}: {gave_up}")
                damaged = damaged or gave_up.was_open
            else:
                refusals.clear()
                break
        _judge(self.path, heard_s, refusals, damaged)

    def _noting_decoder(self, blocks: Iterator[_Block]) -> Iterator[_Block]:
        for block in blocks:
            self.decoder = self.decoder or block.decoder
            self._progress()
            if len(block.samples):
                yield block


def payload_digest(path: Path, *, progress: Callable[[], None] = lambda: None) -> bytes:
    """Digest of the audio packets alone: the same before and after a change of metadata.

    Over the bytes of the stream that would be heard, in order, and its codec,
    rate and channels; nothing is decoded. An mp3, which is such a stream between
    tags, is digested as it lies there, in a fifth of the time. A file that
    ffmpeg cannot take apart is digested whole: still an identity, but one that
    any edit changes. `progress` is called now and then, as in Track.
    """
    import av  # noqa: PLC0415  (lazy: importing musictag must not load decoders)

    _check(path)
    with _open(path) as file:
        start, end = _bare_stream(file)
        if start < end:
            return _digest_of(file, start, end, b"stream ", progress)
    digest = hashlib.blake2b(digest_size=32)
    try:
        with _opened_by_ffmpeg(path) as (container, stream):
            about = stream.codec_context
            digest.update(f"{about.name} {about.rate} {about.layout.nb_channels} ".encode())
            for n, packet in enumerate(_packets(container, stream)):
                if packet.size:
                    digest.update(packet)
                if n % 1024 == 0:
                    progress()
    except (_GaveUp, av.FFmpegError):
        return file_digest(path, progress=progress)
    return digest.digest()


def file_digest(path: Path, *, progress: Callable[[], None] = lambda: None) -> bytes:
    """Digest of all bytes, for a file that cannot or had better not be taken apart."""
    with _open(path) as file:
        return _digest_of(file, 0, None, b"whole file ", progress)


def _digest_of(
    file: BinaryIO, start: int, end: int | None, kind: bytes, progress: Callable[[], None]
) -> bytes:
    """Of the bytes between two places; without an end, to the end."""
    digest = hashlib.blake2b(kind, digest_size=32)
    file.seek(start)
    most = 1 << 20
    while block := file.read(most if end is None else min(most, end - file.tell())):
        digest.update(block)
        progress()
    return digest.digest()


# ---------------------------------------------------------------- samples to segments


def _cut(blocks: Iterable[Samples]) -> Iterator[Samples]:
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


def _evenly_spaced(duration_s: float, n_segments: int) -> list[int]:
    """Starts, in whole seconds, of segments whose centres lie at (i + ½)/N of the track."""
    return [
        math.floor((i + 0.5) * duration_s / n_segments - SEGMENT_S / 2) for i in range(n_segments)
    ]


def _pick(blocks: Iterable[Samples], starts_s: Sequence[int]) -> Iterator[Samples]:
    """The segments starting at these seconds of a 16 kHz stream, which is read no further.

    Headers may promise more than there is. Where the music ends before a
    segment does, that one is moved back to end there, or padded, as `_cut`
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


def _unending(blocks: Iterable[Samples]) -> Iterator[Samples]:
    """The same blocks, and more is expected: of a stream that was sought, the end proves nothing
    about the track, and the past that a segment could be moved back into is missing."""
    yield from blocks
    raise _GaveUp("the music ends before the header says")


def _silent(path: Path) -> AudioError:
    return AudioError(path, "silent", "nothing in it is louder than -80 dBFS")


def _is_loud(segment: Samples) -> bool:
    return bool(np.abs(segment).max() >= SILENT_PEAK)


def _at_16_khz(blocks: Iterable[_Block]) -> Iterator[Samples]:
    """Resample, anew wherever the rate changes; music at 16 kHz passes untouched.

    soxr's HQ passes everything up to 7.3 kHz and lets nothing alias (below -100 dB),
    which is more than 16-bit music holds; MQ costs the same, VHQ half as much again.
    """
    import soxr  # noqa: PLC0415

    rate_hz = RATE_HZ
    resampler: Any = None
    for block in blocks:
        if block.rate_hz != rate_hz:
            if resampler is not None:
                yield resampler.resample_chunk(np.empty(0, dtype=np.float32), last=True)
            rate_hz, resampler = block.rate_hz, None
            if rate_hz != RATE_HZ:
                resampler = soxr.ResampleStream(rate_hz, RATE_HZ, 1, dtype="float32", quality="HQ")
        samples = _without_damage(block.samples)
        yield samples if resampler is None else resampler.resample_chunk(samples)
    if resampler is not None:
        yield resampler.resample_chunk(np.empty(0, dtype=np.float32), last=True)


def _without_damage(samples: Samples) -> Samples:
    """NaN, infinities and absurdly large numbers, which float files can hold, become zeros."""
    loudness = np.abs(samples)
    if loudness.max(initial=0.0) <= LOUDEST:  # False for NaN too
        return samples
    return np.where(loudness <= LOUDEST, samples, np.float32(0))


# ---------------------------------------------------------------- the doors


class _Block(NamedTuple):
    samples: Samples
    """Mono; valid until the next block is asked for."""
    rate_hz: int
    decoder: str


_Door = Callable[[Path, float], Iterator[_Block]]


class _GaveUp(Exception):  # noqa: N818  (it is no error: the next door is asked)
    """A door cannot read the file, or not further; `was_open` if it knew the container."""

    def __init__(self, reason: str, *, was_open: bool = False) -> None:
        super().__init__(reason)
        self.was_open = was_open


def _doors(path: Path) -> tuple[_Door, ...]:
    """The doors to try, by what the file is and not by what it is called.

    mp3 is ffmpeg's although libsndfile is as fast: its mpg123 stops at the first junk between
    two frames, often without an error, and prints what it thinks of the file on stderr.
    """
    with _open(path) as file:
        head = file.read(12)
    uncompressed = head[:4] in (b"RIFF", b"RF64", b"FORM", b".snd", b"caff")
    if uncompressed or head[:4] == b"fLaC":
        return _libsndfile, _ffmpeg, _audioread
    return _ffmpeg, _libsndfile, _audioread


def _name(door: _Door) -> str:
    return door.__name__.lstrip("_")


def _libsndfile(path: Path, start_s: float) -> Iterator[_Block]:
    """libsndfile's samples from `start_s` on."""
    import soundfile  # noqa: PLC0415

    with _open(path) as file:
        # By descriptor, so that every name can be opened; Windows' C libraries do not share those.
        source = file.fileno() if os.name == "posix" else _Nameless(file)
        try:
            with soundfile.SoundFile(source, closefd=False) as sound:
                yield from _from_libsndfile(sound, start_s)
        except soundfile.LibsndfileError as error:
            reason = error.error_string.strip().rstrip(".").lower() or "unknown format"
            raise _GaveUp(reason, was_open=False) from error


def _from_libsndfile(sound: Any, start_s: float) -> Iterator[_Block]:
    import soundfile  # noqa: PLC0415

    rate_hz, n_channels, n_frames = sound.samplerate, sound.channels, sound.frames
    _check_sanity(rate_hz, n_channels)
    n_heard = round(start_s * rate_hz)
    block = np.empty((max(1024, 2 * BLOCK // n_channels), n_channels), dtype=np.float32)
    try:
        if n_heard:
            sound.seek(n_heard)
        while len(frames := sound.read(out=block)):
            n_heard += len(frames)
            yield _Block(_mean(frames.T), rate_hz, "libsndfile")
    except soundfile.LibsndfileError as error:
        reason = error.error_string.strip().rstrip(".").lower() or "damaged"
        raise _GaveUp(f"{reason} at {n_heard / rate_hz:.1f} s", was_open=True) from error
    # An mp3's length is an estimate, and one beyond all bounds means that it is not known.
    if sound.format != "MP3" and n_heard < n_frames < 2**48:
        reason = f"stopped at {n_heard / rate_hz:.1f} s of {n_frames / rate_hz:.1f} s"
        raise _GaveUp(reason, was_open=True)


def _mean(channels: NDArray[np.float32]) -> Samples:
    """Plain mean over channels: (C, N) -> (N,). numpy's own is 20 times slower on this shape."""
    mono: Samples = channels[0].copy()
    with np.errstate(invalid="ignore", over="ignore"):  # float files; see _without_damage
        for channel in channels[1:]:
            mono += channel
        mono *= np.float32(1 / len(channels))
    return mono


# Demuxers of sound files. Not among them: playlists, scripts and whatever else opens other files.
_DEMUXERS = (
    "aac,ac3,aiff,amr,ape,asf,au,bonk,caf,dsf,dts,dtshd,eac3,flac,ircam,iff,loas,matroska,webm,mov,"
    "mp3,mpc,mpc8,nistsphere,ogg,oma,qoa,rm,shn,tak,truehd,tta,voc,w64,wav,wsd,wv"
)
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
def _opened_by_ffmpeg(path: Path) -> Iterator[tuple[_Container, _Stream]]:
    """The container and its best audio stream; pictures and video are never looked at."""
    import av  # noqa: PLC0415

    with _open(path) as file:
        try:
            container = av.open(
                _Nameless(file),
                options={"format_whitelist": _DEMUXERS, "protocol_whitelist": ""},
                # PyAV raised for text that is not UTF-8 unless told, until 19 decoded it kindly
                **({"metadata_errors": "replace"} if _major(av) < 19 else {}),
            )
        except av.FFmpegError as error:
            raise _GaveUp(_reason(error)) from error
        with container:
            stream = container.streams.best("audio")
            if stream is None:
                raise _GaveUp("no audio in it", was_open=True)
            if stream.codec_context is None:
                raise _GaveUp("an unknown codec", was_open=True)
            stream.codec_context.thread_count = 1  # files run in parallel, not parts of one
            yield container, stream


def _ffmpeg(path: Path, start_s: float) -> Iterator[_Block]:
    """ffmpeg's samples from `start_s` on: sought, or read up to there where seeking goes wrong.

    Packets that do not decode are skipped: radio rips and old mp3s are full of
    them. One in ten between good ones is too many: then the file is corrupt.
    """
    if start_s:
        try:
            yield from _from_ffmpeg(path, start_s, seeking=True)
            return
        except _LandedElsewhere:
            pass
    yield from _from_ffmpeg(path, start_s, seeking=False)


class _LandedElsewhere(Exception):  # noqa: N818  (nothing has been given yet: begin anew)
    pass


def _from_ffmpeg(path: Path, start_s: float, *, seeking: bool) -> Iterator[_Block]:
    import av  # noqa: PLC0415

    with _opened_by_ffmpeg(path) as (container, stream):
        origin_s = None
        if seeking and container.format.name in _SEEKS_EXACTLY:
            origin_s = float((stream.start_time or 0) * stream.time_base)
            # From a second before: codecs predict from their past, and Ogg's pages are coarse.
            target = int((origin_s + max(start_s - 1.0, 0.0)) / stream.time_base)
            try:
                container.seek(target, stream=stream, backward=True)
            except av.FFmpegError as error:
                raise _LandedElsewhere from error
        yield from _mixed(_from(start_s, origin_s, _frames(path, container, stream)))


def _frames(path: Path, container: _Container, stream: _Stream) -> Iterator[_Frame]:
    import av  # noqa: PLC0415

    n_good = n_bad = n_holes = 0
    packets = _packets(container, stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            break
        except av.FFmpegError as error:
            raise _GaveUp(_reason(error), was_open=True) from error
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            n_bad += 1
            if not n_good and n_bad >= 2000:
                break
            continue
        if frames:
            n_holes += n_bad if n_good else 0  # bad ones at either end are tags or other junk
            n_good, n_bad = n_good + 1, 0
            yield from frames
    if not n_good:
        raise _GaveUp("nothing in it could be decoded", was_open=True)
    if n_holes > 0.1 * (n_good + n_holes):
        reason = f"{n_holes} of {n_good + n_holes} packets are damaged"
        raise AudioError(path, "corrupt", reason, cure="copy or download it again")


def _packets(container: _Container, stream: _Stream) -> Iterator[_Packet]:
    """The stream's packets, as long as they can all be in the file: tables in its header may name
    the same bytes over and over."""
    left = 8 * container.size + (1 << 20)
    for packet in container.demux(stream):
        left -= packet.size + 1
        if left < 0:
            raise _GaveUp("it names more sound than it holds", was_open=True)
        yield packet


def _from(
    start_s: float, origin_s: float | None, frames: Iterator[_Frame]
) -> Iterator[tuple[_Frame, int]]:
    """Each frame and how many of its first samples to leave out (it may be all), so that the music
    starts at `start_s`: by the frames' own times where a seek came before, by counting where it
    did not."""
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


def _mixed(frames: Iterator[tuple[_Frame, int]]) -> Iterator[_Block]:
    """ffmpeg's frames, often no longer than 1152 samples, mixed into larger mono blocks.

    What is done per frame is done in numpy on whole planes and kept short: Python's lock is
    held meanwhile, and other threads decode too.
    """
    mono = np.empty(BLOCK, dtype=np.float32)
    filled = 0
    kind: tuple[str, int, int] | None = None
    with np.errstate(invalid="ignore", over="ignore"):  # float files; see _without_damage
        for number, (frame, skip) in enumerate(frames):
            n = frame.samples - skip
            if n == 0:
                if number % 1024 == 0:  # it takes long, and yet it goes on
                    yield _Block(mono[:0], RATE_HZ, "ffmpeg")
                continue
            this = (frame.format.name, frame.layout.nb_channels, frame.sample_rate)
            if this != kind or filled + n > len(mono):
                if filled and kind:
                    yield _scaled(mono[:filled], kind)
                if this != kind:
                    _check_sanity(frame.sample_rate, frame.layout.nb_channels)
                kind, filled = this, 0
                if n > len(mono):
                    mono = np.empty(n, dtype=np.float32)
            _sum(frame, skip, mono[filled : filled + n])
            filled += n
        if filled and kind:
            yield _scaled(mono[:filled], kind)


def _sum(frame: _Frame, skip: int, mono: Samples) -> None:
    """Sum of the frame's channels without its first `skip` samples, in the decoder's numbers."""
    n_channels = frame.layout.nb_channels
    if frame.format.is_planar and n_channels >= 8:
        # PyAV 18.1 counts planes up to the first null pointer, and after eight there is none: it
        # reads on into other memory. Interleaved there is one plane.
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


def _scaled(total: Samples, kind: tuple[str, int, int]) -> _Block:
    """The mean of the channels in -1…1, from their sum."""
    sample_format, n_channels, rate_hz = kind
    numbers = sample_format.rstrip("p")
    if numbers == "u8":
        total -= 128.0 * n_channels  # unsigned: silence is 128
    total *= np.float32(1 / (n_channels * _SCALE[numbers]))
    return _Block(total, rate_hz, "ffmpeg")


def _audioread(path: Path, start_s: float) -> Iterator[_Block]:
    """Whatever decoder the platform has (Core Audio, MAD), but no ffmpeg program and no GStreamer:
    given a playlist in disguise they open what it names, and PyAV reads what they read."""
    import audioread  # noqa: PLC0415

    refusal = ""
    with warnings.catch_warnings():
        # It imports modules that Python retires, and leaves files open for the collector.
        warnings.simplefilter("ignore")
        try:
            source = audioread.audio_open(os.fspath(path.absolute()), _platforms_decoders())
        except audioread.NoBackendError:
            refusal = "no decoder of this platform knows it"
        except ImportError as error:  # before 3.1 it needs modules that Python 3.13 has no more
            refusal = f"does not run here: {error}"
        except MemoryError:
            raise
        except Exception as error:  # Python's wave and aifc raise whatever comes of a damaged file
            refusal = str(error) or "unknown format"
    if refusal:
        raise _GaveUp(refusal)
    with source:
        _check_sanity(source.samplerate, source.channels)
        n_skip = round(start_s * source.samplerate)
        name = f"audioread:{type(source).__name__}"
        try:
            for buffer in source:
                numbers = np.frombuffer(buffer, "<i2").reshape(-1, source.channels)
                channels = numbers[n_skip:].T.astype(np.float32)
                n_skip = max(0, n_skip - len(numbers))
                if channels.size:
                    yield _Block(_mean(channels) * np.float32(2.0**-15), source.samplerate, name)
        except MemoryError:
            raise
        except Exception as error:
            raise _GaveUp(str(error) or "damaged", was_open=True) from error


def _platforms_decoders() -> list[Any]:
    """As audioread finds them, without its looking for them: it starts a compiler for that."""
    from audioread import rawread  # noqa: PLC0415

    found = [rawread.RawAudioFile]
    if sys.platform == "darwin":
        from audioread import macca  # noqa: PLC0415

        found.append(macca.ExtAudioFile)
    with contextlib.suppress(ImportError):
        from audioread import maddec  # noqa: PLC0415

        found.append(maddec.MadAudioFile)
    return found


def _major(library: Any) -> int:
    return int(library.__version__.partition(".")[0])


def _check_sanity(rate_hz: int, n_channels: int) -> None:
    """Stop at headers that no music has: resampling from 1 Hz would fill any memory."""
    if not 2000 <= rate_hz <= 12_000_000:
        raise _GaveUp(f"a sample rate of {rate_hz} Hz", was_open=True)
    if not 1 <= n_channels <= 64:
        raise _GaveUp(f"{n_channels} channels", was_open=True)


def _reason(error: Any) -> str:
    if isinstance(error, MemoryError):
        raise error
    sentence = str(error.strerror or type(error).__name__).lower()
    return sentence.replace(" when processing input", "")


# ---------------------------------------------------------------- files


class _Nameless(io.RawIOBase):
    """An open file without its name, from which decoders would draw conclusions (or fail to
    encode it, where it is not UTF-8), and without what taggers hung on behind the music, where
    ffmpeg would look for more of it, and find some."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._end = _before_tags(file)
        file.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._end - self._file.tell())
        return self._file.read(left if size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            offset += self._end
        elif whence == io.SEEK_CUR:
            offset += self._file.tell()
        elif whence != io.SEEK_SET:
            return self._file.seek(offset, whence)
        # Damage leads outside, how far out a file system has places differs, and PyAV raises what
        # is raised here.
        if 0 <= offset < 1 << 63:
            try:
                return self._file.seek(offset)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.EOVERFLOW):
                    raise
        raise _GaveUp("it points to outside of itself", was_open=True)

    def tell(self) -> int:
        return self._file.tell()


def _check(path: Path) -> None:
    """Raise AudioError unless this is a file with something other than text in it."""
    with _open(path) as file:
        start = _after_id3(file)
        file.seek(start)
        head = file.read(1024)
    if not head and not start:
        raise AudioError(path, "empty", "the file is empty", cure="restore it or delete it")
    if head and not any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head):
        # also keeps playlists away from a decoder that would follow them
        raise AudioError(path, "no_decoder", "it is text, not sound")


def _open(path: Path) -> BinaryIO:
    """Open a regular file for reading; anything else is refused before it could block."""
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
        if regular:
            flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
            file = os.fdopen(os.open(path, flags), "rb")
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file
            file.close()  # exchanged for a pipe meanwhile
    except FileNotFoundError as error:
        raise AudioError(path, "not_found", "there is no such file") from error
    except NotADirectoryError as error:
        raise AudioError(path, "not_found", "there is no such file") from error
    except PermissionError as error:
        cure = "check the permissions of the file and its folder"
        raise AudioError(path, "permission", "may not be read", cure=cure) from error
    except OSError as error:
        reason = os.strerror(error.errno or errno.EIO).lower()
        raise AudioError(path, "io", f"cannot be opened: {reason}") from error
    kind = "it is a folder" if path.is_dir() else "it is not a regular file"
    raise AudioError(path, "not_a_file", kind)


# ---------------------------------------------------------------- what the headers promise

_SEEKS_EXACTLY = frozenset(
    {
        "aiff",
        "ape",
        "au",
        "caf",
        "flac",
        "mov,mp4,m4a,3gp,3g2,mj2",
        "mp3",
        "ogg",
        "tta",
        "w64",
        "wav",
    }
    | {"wv"}
)
# ffmpeg guesses the duration of the others from their bit rate, or (wav, asf, mp3) of a file
# that is shorter than its header says.
_STATES_DURATION = frozenset(
    {"aiff", "ape", "au", "caf", "dsf", "flac", "iff", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"}
    | {"mpc", "mpc8", "tak", "tta", "w64", "wv"}
)


def _judge(path: Path, heard_s: float, refusals: Sequence[str], damaged: bool) -> None:
    """Raise AudioError unless what was heard is what the file holds."""
    cure = "copy or download it again"
    if refusals and not heard_s:
        if _ends_inside_an_atom(path):
            raise AudioError(path, "truncated", "the file is cut short", cure=cure)
        reason = f"no decoder could read it ({'; '.join(refusals)})"
        raise AudioError(path, "corrupt" if damaged else "no_decoder", reason)
    promise_s = _promise_s(path)
    if promise_s and heard_s < promise_s - max(MISSING_S, MISSING_SHARE * promise_s):
        reason = f"only {heard_s:.1f} s of {promise_s:.1f} s are in it: cut short or damaged"
        raise AudioError(path, "truncated", reason, cure=cure)
    if _ends_inside_a_page(path):
        reason = f"the file is cut short: it breaks off after {heard_s:.1f} s"
        raise AudioError(path, "truncated", reason, cure=cure)
    if refusals and not promise_s:
        raise AudioError(path, "corrupt", f"damaged after {heard_s:.1f} s ({'; '.join(refusals)})")


def _promise_s(path: Path) -> float | None:
    """The duration that the container states, where it is a statement and not a guess."""
    with _open(path) as file:
        head = file.read(16)
        for reader, is_its in (
            (_wav_promise_s, head[:4] == b"RIFF" and head[8:12] == b"WAVE"),
            (_asf_promise_s, head == _ASF_HEADER),
            (_mp3_promise_s, head[:3] == b"ID3" or head[:1] == b"\xff"),
        ):
            if is_its and (promise_s := reader(file)):
                return promise_s
    with contextlib.suppress(_GaveUp), _opened_by_ffmpeg(path) as (container, stream):
        name = container.format.name
        if name == "ogg" and not _ends_inside_a_page(path) and stream.duration:
            return float(stream.duration * stream.time_base)  # read off the last page
        if name in _STATES_DURATION:
            if stream.duration:
                return float(stream.duration * stream.time_base)
            if container.duration and not container.streams.video:  # else it may be the film's
                return float(container.duration / 1e6)
    return None


def _demuxed_s(path: Path) -> float | None:
    """The duration by counting packets, for containers that state none."""
    import av  # noqa: PLC0415

    duration = 0
    try:
        with _opened_by_ffmpeg(path) as (container, stream):
            for packet in _packets(container, stream):
                duration += packet.duration or 0
            return float(duration * stream.time_base) or None
    except (_GaveUp, av.FFmpegError):
        return None


def _seekable(path: Path, door: _Door) -> bool:
    """Whether starting in the middle gives the samples that reading up to there gives."""
    if door is _libsndfile:
        return True
    with contextlib.suppress(_GaveUp), _opened_by_ffmpeg(path) as (container, _):
        return container.format.name in _SEEKS_EXACTLY
    return False


def _after_id3(file: BinaryIO) -> int:
    """Where the sound starts behind ID3v2 tags, of which sloppy taggers leave several."""
    position = 0
    for _ in range(16):
        file.seek(position)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3":
            break
        size = 0
        for byte in head[6:10]:
            size = size << 7 | byte & 0x7F
        position += 10 + size + (10 if head[5] & 0x10 else 0)
    return position


def _bare_stream(file: BinaryIO) -> tuple[int, int]:
    """Where a stream of MPEG audio frames (mp3, ADTS) begins and ends between tags; nothing of a
    file that is none."""
    start = _after_id3(file)
    file.seek(start)
    sync = file.read(2)
    if len(sync) < 2 or sync[0] != 0xFF or sync[1] < 0xE0:
        return 0, 0
    return start, _before_tags(file)


_APE_TAGGED = frozenset({b"MAC ", b"wvpk", b"MPCK", b"tBaK", b"TTA1", b"OFR "})


def _before_tags(file: BinaryIO) -> int:
    """Where the sound ends: before ID3v1, APEv2 and Lyrics3 tags.

    Only of an mp3 or aac stream, which goes on for ever, and of the containers that use APEv2:
    in ffmpeg a Monkey's Audio file's last packet reaches to the end of the file. The others
    know their own end.
    """
    file.seek(0)
    head = file.read(4)
    end = file.seek(0, io.SEEK_END)
    if not (head[:1] == b"\xff" or head[:3] in (b"ID3", b"MP+") or head in _APE_TAGGED):
        return end
    for _ in range(8):
        file.seek(max(0, end - 160))
        tail = file.read(min(end, 160))
        if tail[-32:-24] == b"APETAGEX":
            size, _, flags = struct.unpack("<III", tail[-20:-8])
            length = size + (32 if flags >> 31 else 0)  # with or without a header of its own
        elif tail[-128:-125] == b"TAG":  # only now: 128 bytes from its end, APEv2 may say "TAG" too
            length = 128
        elif tail[-9:] == b"LYRICS200" and tail[-15:-9].isdigit():
            length = int(tail[-15:-9]) + 15
        else:
            return end
        if not 0 < length < end:
            return end
        end -= length
    return end


def _mp3_promise_s(file: BinaryIO) -> float | None:
    """From the Xing, Info or VBRI header in an mp3's first frame."""
    file.seek(_after_id3(file))
    data = file.read(16_384)
    start = data.find(b"\xff")
    while 0 <= start < len(data) - 200:
        version, layer = data[start + 1] >> 3 & 3, data[start + 1] >> 1 & 3
        rate_index = data[start + 2] >> 2 & 3
        if data[start + 1] >= 0xE0 and layer == 1 and version != 1 and rate_index != 3:
            break
        start = data.find(b"\xff", start + 1)
    else:
        return None
    rate_hz = (44_100, 48_000, 32_000)[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    per_frame = 1152 if version == 3 else 576
    for offset in (36, 21, 13):  # behind the side information: its size depends on the mode
        header = data[start + offset : start + offset + 12]
        if header[:4] in (b"Xing", b"Info") and header[7] & 1:
            return float(struct.unpack(">I", header[8:12])[0] * per_frame / rate_hz) or None
    header = data[start + 36 : start + 54]
    if header[:4] == b"VBRI":
        return float(struct.unpack(">I", header[14:18])[0] * per_frame / rate_hz) or None
    return None


def _wav_promise_s(file: BinaryIO) -> float | None:
    """From the size of the data chunk, unless it is one that streaming programs put there.

    The byte rate in the header is nobody's guide and often wrong. Of compressed sound a size
    says nothing: if the chunk is whole, so is the sound, else the fact chunk counts its samples.
    """
    position, rate_hz, bytes_per_sample, n_samples = 12, 0, 0, 0
    end = file.seek(0, io.SEEK_END)
    for _ in range(1000):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            break
        name, size = head[:4], struct.unpack("<I", head[4:])[0]
        if name == b"fmt " and len(fields := file.read(min(size, 26))) >= 16:
            kind, _, rate_hz, _, align = struct.unpack("<HHIIH", fields[:14])
            if kind == _WAV_EXTENSIBLE and len(fields) == 26:
                kind = struct.unpack("<H", fields[24:])[0]
            bytes_per_sample = align if kind in _WAV_PLAIN else 0
        if name == b"fact" and size >= 4 and len(count := file.read(4)) == 4:
            n_samples = struct.unpack("<I", count)[0]
        if name == b"data":
            if not (rate_hz and 0 < size < 0x7FFFF000):
                return None
            if bytes_per_sample:
                return float(size / bytes_per_sample / rate_hz)
            is_whole = position + 8 + size <= end
            return None if is_whole or n_samples == 0xFFFFFFFF else n_samples / rate_hz or None
        position += 8 + size + size % 2
    return None


_WAV_EXTENSIBLE = 0xFFFE
_WAV_PLAIN = frozenset({1, 3, 6, 7})  # PCM, float, A-law, µ-law: so many bytes for every sample


_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def _asf_promise_s(file: BinaryIO) -> float | None:
    """From the file properties: play time in units of 100 ns, with the lead-in in ms."""
    file.seek(0)
    head = file.read(1 << 20)  # a cover can come first
    start = head.find(_ASF_FILE_PROPERTIES)
    if start < 0 or len(head) < start + 92:
        return None
    play_time, _, lead_in_ms, flags = struct.unpack("<QQQI", head[start + 64 : start + 92])
    live = flags & 1
    return None if live else max(0.0, play_time / 1e7 - lead_in_ms / 1e3) or None


def _ends_inside_a_page(path: Path) -> bool:
    """Whether an Ogg file's last page is incomplete."""
    with _open(path) as file:
        if file.read(4) != b"OggS":
            return False
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - 131_072))
        tail = file.read()
    start = tail.rfind(b"OggS\x00")
    page = tail[start:]
    if start < 0:
        return False
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    return len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])


def _ends_inside_an_atom(path: Path) -> bool:
    """Whether an MP4 file stops before one of its atoms does (its index comes last)."""
    with _open(path) as file:
        size = file.seek(0, io.SEEK_END)
        position = 0
        for _ in range(1000):
            file.seek(position)
            head = file.read(16)
            if position == 0 and head[4:8] != b"ftyp":
                return False
            if len(head) < 8:
                return len(head) > 0
            length = struct.unpack(">I", head[:4])[0]
            if length == 1 and len(head) == 16:
                length = struct.unpack(">Q", head[8:])[0]
            if length < 8:  # 0: up to the end
                return False
            position += length
            if position > size:
                return True
    return False
