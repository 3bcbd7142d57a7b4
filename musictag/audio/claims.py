"""The duration that headers promise, compared with what was heard."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from musictag.audio.blocks import GaveUp
from musictag.audio.ffmpeg import opened, packets
from musictag.audio.source import open_file
from musictag.errors import AudioError
from musictag.formats import chunks, mp4, ogg
from musictag.formats.reading import read_at, size_of
from musictag.formats.table import of_demuxer, recognised

# Less than promised may be there: encoders round, count their padding, and cutters leave old
# headers behind. A broken download lacks more than this.
MISSING_S = 1.0
MISSING_SHARE = 0.01

MOST_ATOMS = 1000
"""Outermost atoms of an MP4 file that are looked at; fragmented ones have many."""
MOST_CHUNKS = 1000
"""Chunks of a WAV file that are looked at."""


def judge(path: Path, heard_s: float, refusals: Sequence[str], damaged: bool) -> None:
    """Raise AudioError unless the file was heard to the end that it promises."""
    cure = "copy or download it again"
    if refusals and not heard_s:
        if _ends_inside_an_atom(path):
            raise AudioError(path, "truncated", "the file is cut short", cure=cure)
        reason = f"no decoder could read it ({'; '.join(refusals)})"
        raise AudioError(path, "corrupt" if damaged else "no_decoder", reason)
    promised_s = promise_s(path)
    if promised_s and _is_short(heard_s, promised_s):
        promised_s = _thorough_promise_s(path) or promised_s
    if promised_s and _is_short(heard_s, promised_s):
        reason = f"only {heard_s:.1f} s of {promised_s:.1f} s are in it: cut short or damaged"
        raise AudioError(path, "truncated", reason, cure=cure)
    if _ends_inside_a_page(path):
        reason = f"the file is cut short: it breaks off after {heard_s:.1f} s"
        raise AudioError(path, "truncated", reason, cure=cure)
    if refusals and not promised_s:
        raise AudioError(path, "corrupt", f"damaged after {heard_s:.1f} s ({'; '.join(refusals)})")


def _is_short(heard_s: float, promised_s: float) -> bool:
    return heard_s < promised_s - max(MISSING_S, MISSING_SHARE * promised_s)


def _thorough_promise_s(path: Path) -> float | None:
    """The duration of an Ogg file by all of its pages; None for other files."""
    with open_file(path) as file:
        found = recognised(file)
        if not found.head.startswith(b"OggS"):
            return None
        return ogg.duration_s(file, found.start, thorough=True)


def promise_s(path: Path) -> float | None:
    """The duration that the file states; None where it could only be guessed."""
    with open_file(path) as file:
        found = recognised(file)
        if found.format is not None:
            readers = [_READERS[name] for name in found.format.demuxers if name in _READERS]
        else:
            readers = [_mp3_promise_s] if found.start or found.head[:1] == b"\xff" else []
        for reader in readers:
            if promised_s := reader(file, found.start):
                return promised_s
    with contextlib.suppress(GaveUp), opened(path) as (container, stream):
        row = of_demuxer(container.format.name)
        if row is not None and row.states_duration:
            if stream.duration:
                return float(stream.duration * stream.time_base)
            if container.duration and not container.streams.video:  # else it may be the film's
                return float(container.duration / 1e6)
    return None


def demuxed_s(path: Path) -> float | None:
    """The duration by counting packets, for files that state none."""
    import av  # noqa: PLC0415

    duration = 0
    try:
        with opened(path) as (container, stream):
            for packet in packets(container, stream):
                duration += packet.duration or 0
            return float(duration * stream.time_base) or None
    except (GaveUp, av.FFmpegError):
        return None


def _mp3_promise_s(file: BinaryIO, start: int) -> float | None:
    """From the Xing, Info or VBRI header in an mp3's first frame."""
    data = read_at(file, start, 16_384)
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


def _wav_promise_s(file: BinaryIO, start: int) -> float | None:
    """From the size of the data chunk, unless it is a placeholder of a streaming program.

    The byte rate in the header is often wrong and not used. The size says nothing about
    compressed sound: if the chunk is whole, so is the sound; if not, the fact chunk counts its
    samples.
    """
    rate_hz, bytes_per_sample, n_samples = 0, 0, 0
    for name, _, inside, end in islice(chunks.chunks(file, start, stated_end=False), MOST_CHUNKS):
        size = end - inside
        if name == b"fmt " and len(fields := read_at(file, inside, min(size, 26))) >= 16:
            kind, _, rate_hz, _, align = struct.unpack("<HHIIH", fields[:14])
            if kind == _WAV_EXTENSIBLE and len(fields) == 26:
                kind = struct.unpack("<H", fields[24:])[0]
            bytes_per_sample = align if kind in _WAV_PLAIN else 0
        if name == b"fact" and size >= 4 and len(count := read_at(file, inside, 4)) == 4:
            n_samples = struct.unpack("<I", count)[0]
        if name == b"data":
            if not (rate_hz and 0 < size < 0x7FFFF000):
                return None
            if bytes_per_sample:
                return float(size / bytes_per_sample / rate_hz)
            is_whole = end <= size_of(file)
            return None if is_whole or n_samples == 0xFFFFFFFF else n_samples / rate_hz or None
    return None


_WAV_EXTENSIBLE = 0xFFFE
_WAV_PLAIN = frozenset({1, 3, 6, 7})  # PCM, float, A-law, µ-law: so many bytes for every sample
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def _asf_promise_s(file: BinaryIO, start: int) -> float | None:
    """From the file properties: play time in units of 100 ns less the lead-in in ms."""
    head = read_at(file, start, 1 << 20)  # a cover can come first
    start = head.find(_ASF_FILE_PROPERTIES)
    if start < 0 or len(head) < start + 92:
        return None
    play_time, _, lead_in_ms, flags = struct.unpack("<QQQI", head[start + 64 : start + 92])
    live = flags & 1
    return None if live else max(0.0, play_time / 1e7 - lead_in_ms / 1e3) or None


def _ogg_promise_s(file: BinaryIO, start: int) -> float | None:
    """From the positions of the pages, if the last page is whole."""
    return None if ogg.ends_inside_a_page(file) else ogg.duration_s(file, start)


_READERS: dict[str, Callable[[BinaryIO, int], float | None]] = {
    "asf": _asf_promise_s,
    "mp3": _mp3_promise_s,
    "ogg": _ogg_promise_s,
    "wav": _wav_promise_s,
}
"""Demuxer of ffmpeg → reader of the duration, from an open file and where its format begins. They
know better than ffmpeg."""


def _ends_inside_a_page(path: Path) -> bool:
    """Whether an Ogg file's last page is incomplete."""
    with open_file(path) as file:
        return recognised(file).head.startswith(b"OggS") and ogg.ends_inside_a_page(file)


def _ends_inside_an_atom(path: Path) -> bool:
    """Whether an MP4 file stops before one of its atoms does (its index comes last)."""
    with open_file(path) as file:
        found = recognised(file)
        if found.head[4:8] != b"ftyp":
            return False
        size = end = size_of(file)
        with contextlib.suppress(ValueError):
            for atom in islice(mp4.atoms(file, found.start, size), MOST_ATOMS):
                end = atom.end
            return end > size or 0 < size - end < 8
    return False
