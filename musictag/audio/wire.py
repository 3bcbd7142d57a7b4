"""The protocol between the program and its decoding process: numbers and JSON over two pipes."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from musictag.audio.samples import SEGMENT_LENGTH, Samples
from musictag.errors import AudioError

HUNG_S = 60
"""Processor time without progress, in seconds, after which a decoder counts as hanging. (A block
of music takes far less than one.) It is processor time so that a slow disk or a sleeping laptop
is not held against the file."""
MOST_MEMORY = 1 << 30
"""Memory that a decoder may allocate, in bytes. Music needs about 100 MB."""

HEAD = struct.Struct("<cI")
"""Header of every message: its kind and the number of bytes that follow."""
START = struct.Struct("<d")
"""Start of a timed segment in seconds, in front of its samples."""
SEGMENT, SHARED, TIMED, DIGEST = b"S", b"M", b"T", b"D"
END, PROGRESS, BUG = b"E", b"P", b"B"
KINDS = {"digest": DIGEST, "segments": SEGMENT, "timed segments": TIMED}
"""Request → kind of the messages that answer it."""
LONGEST = {
    SEGMENT: 4 * SEGMENT_LENGTH,
    SHARED: 1,
    TIMED: START.size + 4 * SEGMENT_LENGTH,
    DIGEST: 32,
    END: 1 << 20,
    PROGRESS: 0,
    BUG: 1 << 20,
}
"""Kind → most bytes that may follow. Segments and digests have exactly this length."""
PLACES = 3
"""Number of segments that fit into shared memory: a tenth of a second of decoding, about as long
as the program may be busy elsewhere."""
FREE = struct.pack("<I", 0)
"""Sent instead of a request: a place in shared memory is free again."""
NO_MEMORY = 77
"""Exit code of a process that ran out of memory."""


class End(NamedTuple):
    """How a track ended: with all heard, or with the content of an AudioError."""

    duration_s: float | None = None
    decoder: str = ""
    code: str = ""
    reason: str = ""
    cure: str | None = None

    def error(self, path: Path) -> AudioError:
        return AudioError(path, self.code, self.reason, cure=self.cure)

    @classmethod
    def read(cls, content: bytearray) -> End:
        """Parse a message; ValueError for anything that the worker does not send."""
        said = json.loads(content)
        wanted = (float | int | None, str, str, str, str | None)
        if not isinstance(said, list) or len(said) != len(wanted):
            raise ValueError(said)
        if not all(isinstance(value, kind) for value, kind in zip(said, wanted, strict=True)):
            raise ValueError(said)
        return cls(*said)


class SharedMemory:
    """Memory for a few segments that two processes share. It has no name and vanishes with them."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, PLACES * LONGEST[SEGMENT])
        self.descriptor = descriptor

    def read(self, place: int) -> bytearray:
        with self._at(place) as content:
            return bytearray(content)

    def write(self, place: int, segment: Samples) -> None:
        with self._at(place) as content:
            np.frombuffer(content, dtype=np.float32)[:] = segment

    @contextlib.contextmanager
    def _at(self, place: int) -> Iterator[memoryview]:
        size = LONGEST[SEGMENT]
        with memoryview(self._memory) as all_of_it:
            yield all_of_it[place * size : (place + 1) * size]

    def close(self) -> None:
        self._memory.close()
        os.close(self.descriptor)
