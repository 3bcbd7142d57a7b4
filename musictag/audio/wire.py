"""What the program and its decoding process say to each other: numbers and JSON over two pipes."""

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
"""So much processor time without getting further (a block of music lasts a second or so), and it
hangs. Processor time, so that a slow disk or a laptop that was asleep is no file's fault."""
MOST_MEMORY = 1 << 30
"""What a decoder may allocate; for music 100 MB do."""

HEAD = struct.Struct("<cI")
"""Before every message: what it is, and how many bytes follow."""
START = struct.Struct("<d")
"""Before the samples of a timed segment: the second at which it starts."""
SEGMENT, SHARED, TIMED, DIGEST = b"S", b"M", b"T", b"D"
END, PROGRESS, BUG = b"E", b"P", b"B"
KINDS = {"digest": DIGEST, "segments": SEGMENT, "timed segments": TIMED}
"""What is asked for → what comes."""
LONGEST = {
    SEGMENT: 4 * SEGMENT_LENGTH,
    SHARED: 1,
    TIMED: START.size + 4 * SEGMENT_LENGTH,
    DIGEST: 32,
    END: 1 << 20,
    PROGRESS: 0,
    BUG: 1 << 20,
}
"""Bytes that may follow; of segments and digests, exactly so many."""
PLACES = 3
"""Segments that can lie in shared memory at once: a tenth of a second of decoding, as long as
all else in this program may have to wait."""
FREE = struct.pack("<I", 0)
"""Says in the place of a request that a place in shared memory is free again."""
NO_MEMORY = 77
"""Its exit code when it could not allocate."""


class End(NamedTuple):
    """How a track ended: in order, or with what went into an AudioError."""

    duration_s: float | None = None
    decoder: str = ""
    code: str = ""
    reason: str = ""
    cure: str | None = None

    def error(self, path: Path) -> AudioError:
        return AudioError(path, self.code, self.reason, cure=self.cure)

    @classmethod
    def read(cls, content: bytearray) -> End:
        """ValueError for what `work` would not have sent."""
        said = json.loads(content)
        wanted = (float | int | None, str, str, str, str | None)
        if not isinstance(said, list) or len(said) != len(wanted):
            raise ValueError(said)
        if not all(isinstance(value, kind) for value, kind in zip(said, wanted, strict=True)):
            raise ValueError(said)
        return cls(*said)


class SharedMemory:
    """Room for some segments that two processes see; it is gone with them, and has no name."""

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
