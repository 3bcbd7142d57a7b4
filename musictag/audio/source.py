"""A file as decoders get to see it: regular, nameless, and without the tags around its sound."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from musictag.audio.blocks import GaveUp
from musictag.errors import AudioError
from musictag.formats import tails
from musictag.formats.reading import read_at, size_of
from musictag.formats.table import Found, recognised

MOST_TEXT = 1 << 20
"""Bytes that may all be text before a file counts as text: some stands in front of sound."""


class View(io.RawIOBase):
    """The sound of an open file, without the file's name and without the tags around it.

    From a name decoders would draw conclusions, or fail to encode it where it is not UTF-8.
    Behind the sound ffmpeg would look for more of it, and find some. ID3v2 in front hides from
    most demuxers what the file is.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        found = recognised(file)
        self.start = found.start if found.format is not None else 0
        """Where the view begins in the file."""
        self._end = sound_end(file, found)
        self.seek(0)

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
        if whence == io.SEEK_SET:
            offset += self.start
        elif whence == io.SEEK_END:
            offset += self._end
        elif whence == io.SEEK_CUR:
            offset += self._file.tell()
        else:
            raise ValueError(f"whence is {whence}")
        # Damage leads outside, how far out a file system has places differs, and PyAV raises what
        # is raised here.
        if self.start <= offset < 1 << 63:
            try:
                return self._file.seek(offset) - self.start
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.EOVERFLOW):
                    raise
        raise GaveUp("it points to outside of itself", damaged=True)

    def tell(self) -> int:
        return self._file.tell() - self.start


def sound_end(file: BinaryIO, found: Found) -> int:
    """Where the sound ends: before ID3v1, APEv2 and Lyrics3 tags.

    They are looked for behind formats that do not know their own end, and behind any file with
    ID3v2 in front: whoever wrote that may have written these.
    """
    if found.format is not None:
        may_be_tagged = found.format.tagged_behind or found.start > 0
    else:
        may_be_tagged = found.start > 0 or found.head.startswith(b"\xff")
    return tails.start(file) if may_be_tagged else size_of(file)


def check(path: Path) -> None:
    """Raise AudioError unless this is a file with something other than text in it."""
    with open_file(path) as file:
        found = recognised(file)
        if not found.head and not found.start:
            raise AudioError(path, "empty", "the file is empty", cure="restore it or delete it")
        # keeps playlists away from decoders that would follow them
        if _is_text(found.head[:1024]):
            beginning = read_at(file, found.start, MOST_TEXT)
            if _is_text(beginning):
                goes_on = len(beginning) == MOST_TEXT
                reason = (
                    "a megabyte of text stands in front" if goes_on else "it is text, not sound"
                )
                raise AudioError(path, "no_decoder", reason)


def _is_text(data: bytes) -> bool:
    return bool(data) and not data.translate(None, _TEXT)


_TEXT = bytes(byte for byte in range(256) if byte >= 32 or byte in b"\t\n\r\f\x1b")
"""Bytes that texts consist of, in whatever alphabet."""


def open_file(path: Path) -> BinaryIO:
    """Open a regular file for reading; anything else is refused before it could block."""
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
        if regular:
            flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
            file = os.fdopen(os.open(path, flags), "rb")
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file
            file.close()  # exchanged for a pipe meanwhile
    except OSError as error:
        raise AudioError.of_system(path, error, "cannot be opened") from error
    kind = "it is a folder" if path.is_dir() else "it is not a regular file"
    raise AudioError(path, "not_a_file", kind)
