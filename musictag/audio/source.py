"""A file as decoders get to see it: regular, nameless, and without the tags around its sound."""

from __future__ import annotations

import errno
import io
import os
import stat
import struct
from pathlib import Path
from typing import Any, BinaryIO

from musictag.audio.blocks import GaveUp
from musictag.errors import AudioError


class Nameless(io.RawIOBase):
    """An open file without its name, from which decoders would draw conclusions (or fail to
    encode it, where it is not UTF-8), and without what taggers hung on behind the music, where
    ffmpeg would look for more of it, and find some."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._end = before_tags(file)
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
        raise GaveUp("it points to outside of itself", was_open=True)

    def tell(self) -> int:
        return self._file.tell()


def check(path: Path) -> None:
    """Raise AudioError unless this is a file with something other than text in it."""
    with open_file(path) as file:
        start = after_id3(file)
        file.seek(start)
        head = file.read(1024)
    if not head and not start:
        raise AudioError(path, "empty", "the file is empty", cure="restore it or delete it")
    if head and not any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head):
        # also keeps playlists away from a decoder that would follow them
        raise AudioError(path, "no_decoder", "it is text, not sound")


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


def after_id3(file: BinaryIO) -> int:
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


_APE_TAGGED = frozenset({b"MAC ", b"wvpk", b"MPCK", b"tBaK", b"TTA1", b"OFR "})


def before_tags(file: BinaryIO) -> int:
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
