"""Bytes from open files."""

from __future__ import annotations

import io
from typing import IO


def read_at(file: IO[bytes], place: int, size: int) -> bytes:
    """Up to `size` bytes from `place`; fewer where the file ends."""
    file.seek(place)
    return file.read(size)


def size_of(file: IO[bytes]) -> int:
    """The file's length in bytes. Moves its position."""
    return file.seek(0, io.SEEK_END)
