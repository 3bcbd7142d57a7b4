"""Digests that identify a file's sound, whatever its metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from musictag.audio.blocks import GaveUp
from musictag.audio.ffmpeg import opened, packets
from musictag.audio.source import check, open_file, sound_end
from musictag.formats.table import recognised


def payload_digest(path: Path, *, progress: Callable[[], None] = lambda: None) -> bytes:
    """Digest of the audio packets alone: a change of metadata leaves it the same.

    It covers the packets of the stream that would be heard, in order, with its codec, rate and
    number of channels; nothing is decoded. An mp3 is digested as it lies between its tags, which
    takes a fifth of the time. A file that ffmpeg cannot take apart is digested whole: that still
    identifies it, but any edit changes it. `progress` is called now and then, as in `Track`.
    """
    import av  # noqa: PLC0415  (lazy: importing musictag must not load decoders)

    check(path)
    with open_file(path) as file:
        start, end = _bare_stream(file)
        if start < end:
            return _digest_of(file, start, end, b"stream ", progress)
    digest = hashlib.blake2b(digest_size=32)
    try:
        with opened(path) as (container, stream):
            about = stream.codec_context
            digest.update(f"{about.name} {about.rate} {about.layout.nb_channels} ".encode())
            for n, packet in enumerate(packets(container, stream)):
                if packet.size:
                    digest.update(packet)
                if n % 1024 == 0:
                    progress()
    except (GaveUp, av.FFmpegError):
        return file_digest(path, progress=progress)
    return digest.digest()


def file_digest(path: Path, *, progress: Callable[[], None] = lambda: None) -> bytes:
    """Digest of all bytes, for a file that cannot or should not be taken apart."""
    with open_file(path) as file:
        return _digest_of(file, 0, None, b"whole file ", progress)


def _digest_of(
    file: BinaryIO, start: int, end: int | None, kind: bytes, progress: Callable[[], None]
) -> bytes:
    """Digest of the bytes between two places; `end` None is the end of the file."""
    digest = hashlib.blake2b(kind, digest_size=32)
    file.seek(start)
    most = 1 << 20
    while block := file.read(most if end is None else min(most, end - file.tell())):
        digest.update(block)
        progress()
    return digest.digest()


def _bare_stream(file: BinaryIO) -> tuple[int, int]:
    """Where a bare stream of frames (mp3, ADTS) begins and ends between tags; (0, 0) if the file is
    something else."""
    found = recognised(file)
    if len(found.head) < 2 or found.head[0] != 0xFF or found.head[1] < 0xE0:
        return 0, 0
    return found.start, sound_end(file, found)
