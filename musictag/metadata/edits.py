"""Changes in the middle of a file, made in place and in blocks.

A tag is rewritten as a list of pieces: new bytes, and spans of the file as it is. Only what moves
is copied, so that neither a cover of 100 MB nor the sound behind it is ever held in memory.
"""

from __future__ import annotations

import bisect
import errno
import hashlib
import itertools
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

from musictag.formats.reading import read_at, size_of

_BLOCK = 1 << 20


class Span(NamedTuple):
    """Bytes of the file as it is, from `start` to before `end`."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


Piece = bytes | Span


class Edit(NamedTuple):
    """What stands from `start` to before `end` becomes these pieces."""

    start: int
    end: int
    pieces: Sequence[Piece]

    @property
    def growth(self) -> int:
        """The number of bytes that the file gains."""
        return sum(map(len, self.pieces)) - (self.end - self.start)


def apply(path: Path, edits: Iterable[Edit]) -> None:
    """Make these changes; all positions are those in the file before any of them."""
    with path.open("rb+") as file:
        layout: list[Piece] = []
        place = 0
        for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
            if edit.start < place:
                raise ValueError("two changes overlap")
            layout += [Span(place, edit.start), *edit.pieces]
            place = edit.end
        layout.append(Span(place, size_of(file)))
        _rearrange(file, layout)


def _rearrange(file: BinaryIO, layout: Sequence[Piece]) -> None:
    """Move the spans, which keep their order, and then fill in the new bytes.

    Spans that move back are moved last to first, then those that move forward first to last:
    so none is written over before it is read.
    """
    moves: list[tuple[Span, int]] = []
    texts: list[tuple[int, bytes]] = []
    place = 0
    for piece in layout:
        if isinstance(piece, Span):
            moves.append((piece, place))
        else:
            texts.append((place, piece))
        place += len(piece)
    for span, target in reversed(moves):
        if target > span.start:
            _move_back(file, span, target)
    for span, target in moves:
        if target < span.start:
            _move_forward(file, span, target)
    for target, text in texts:
        file.seek(target)
        file.write(text)
    file.truncate(place)


def _move_back(file: BinaryIO, span: Span, target: int) -> None:
    end = span.end
    while end > span.start:
        start = max(span.start, end - _BLOCK)
        block = read_at(file, start, end - start)
        file.seek(target + start - span.start)
        file.write(block)
        end = start


def _move_forward(file: BinaryIO, span: Span, target: int) -> None:
    start = span.start
    while start < span.end:
        block = read_at(file, start, min(_BLOCK, span.end - start))
        if not block:
            raise EOFError("the file ends inside its tag")
        file.seek(target + start - span.start)
        file.write(block)
        start += len(block)


# ---------------------------------------------------------------- reading


def content(file: IO[bytes], piece: Piece) -> bytes:
    return read_at(file, piece.start, len(piece)) if isinstance(piece, Span) else piece


def digest_of(file: IO[bytes], start: int, end: int) -> bytes:
    """Digest of the bytes from `start` to before `end`, and of their number."""
    digest = hashlib.blake2b(str(max(0, end - start)).encode())
    for block in blocks_of(file, start, end):
        digest.update(block)
    return digest.digest()


def digest_of_piece(file: IO[bytes], piece: Piece) -> bytes:
    """The same for a piece; bytes and a span that holds the same bytes give the same."""
    if isinstance(piece, Span):
        return digest_of(file, piece.start, piece.end)  # a star would make room for len(piece)
    digest = hashlib.blake2b(str(len(piece)).encode())
    digest.update(piece)
    return digest.digest()


def blocks_of(file: IO[bytes], start: int, end: int) -> Iterator[bytes]:
    file.seek(start)
    while start < end and (block := file.read(min(_BLOCK, end - start))):
        yield block
        start += len(block)


def as_synchsafe(size: int) -> bytes:
    if size >= 1 << 28:
        raise ValueError("a tag of 256 MB or more")
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def u32(value: int, order: str = ">") -> bytes:
    return struct.pack(order + "I", value)


def parted(piece: Piece, size: int) -> tuple[Piece, Piece]:
    """The first `size` bytes of a piece, and the others."""
    if isinstance(piece, Span):
        middle = piece.start + size
        return Span(piece.start, middle), Span(middle, piece.end)
    return piece[:size], piece[size:]


class View:
    """A part of a file as if it were all of it, for readers that know nothing of tags."""

    def __init__(self, file: IO[bytes], start: int, end: int) -> None:
        self._file, self._start, self._end = file, start, max(start, end)
        self._place = 0

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._end - self._start - self._place)
        data = self._read_at(self._start + self._place, left if size < 0 else min(size, left))
        self._place += len(data)
        return data

    def _read_at(self, place: int, size: int) -> bytes:
        return read_at(self._file, place, size)

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._end - self._start}
        if base[whence] + place < 0:
            raise OSError(errno.EINVAL, "a place before the beginning")
        self._place = base[whence] + place
        return self._place

    def tell(self) -> int:
        return self._place


class Row:
    """Spans of a file that follow each other as if nothing stood between them."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = spans
        self._starts = [0, *itertools.accumulate(map(len, spans))]

    def __len__(self) -> int:
        return self._starts[-1]

    def in_file(self, piece: Piece) -> Iterator[Piece]:
        """A span of places in the row as spans of the file; bytes as they are."""
        if not isinstance(piece, Span):
            yield piece
            return
        place = piece.start
        while place < piece.end:
            number = bisect.bisect_right(self._starts, place) - 1
            start, span = self._starts[number], self._spans[number]
            end = min(piece.end, self._starts[number + 1])
            yield Span(span.start + place - start, span.start + end - start)
            place = end

    def view(self, file: IO[bytes]) -> Any:
        """The row as if it were a file."""
        return _RowView(file, self)


class _RowView(View):
    def __init__(self, file: IO[bytes], row: Row) -> None:
        super().__init__(file, 0, len(row))
        self._row = row

    def _read_at(self, place: int, size: int) -> bytes:
        pieces = self._row.in_file(Span(place, place + size))
        return b"".join(content(self._file, piece) for piece in pieces)
