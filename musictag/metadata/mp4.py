"""The iTunes list of MP4."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO, Any, BinaryIO

import mutagen.mp4
from mutagen._util import delete_bytes

from musictag.metadata.family import (
    FFMPEG_COPY,
    FIELDS,
    KEYS,
    Family,
    Snapshot,
    digest_of,
    read_at,
    size_of,
)
from musictag.metadata.id3v1 import GENRES
from musictag.metadata.replacement import Refusal

_mp4: Any = mutagen.mp4  # half typed, see id3.py


class _Atoms(mutagen.mp4.MP4Tags):
    """MP4's list of tags, every atom handed through as it is, in its order.

    Left to itself mutagen would parse and write anew all of them, and change what
    it thinks odd: types of pictures, widths of numbers, languages.
    """

    def load(self, atoms: Any, fileobj: Any) -> None:
        ilst = atoms.path(b"moov", b"udta", b"meta", b"ilst")[-1]
        self.contents = []
        for atom in ilst.children:
            whole, data = atom.read(fileobj)
            if not whole:
                raise EOFError("an atom ends after the file")
            self.contents.append(_rendered_atom(atom.name, data))
        ilst.children = []
        super().load(atoms, fileobj)  # type: ignore[no-untyped-call]  # half typed, see above


class _InOrder:
    """For mutagen's `_failed_atoms`, which it could not parse and writes back as they were."""

    def __init__(self, atoms: list[bytes]) -> None:
        self.atoms = atoms

    def items(self) -> Iterator[tuple[str, list[bytes]]]:
        return ((atom[4:8].decode("latin-1"), [atom[8:]]) for atom in self.atoms)


def _rendered_atom(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(data), name) + data


class _UnreadChapters(mutagen.mp4.MP4Chapters):
    """Chapters are none of our business, and one odd title would make the whole file unreadable."""

    def load(self, *_: Any) -> None: ...


class MP4File(mutagen.mp4.MP4):
    MP4Tags = _Atoms
    MP4Chapters = _UnreadChapters


class MP4(Family):
    """The iTunes list of MP4: an atom per key with a part per value, free form for keys of our own.

    A numeric genre (`gnre`) is read as its name, and gives way to the first genre that is written.
    """

    name = "MP4"

    def __init__(self, path: Path, kind: Any) -> None:
        with path.open("rb") as file:
            self._refuse_halves(file)
            self._refuse_fragments(file)
        super().__init__(path, kind)

    def _refuse_halves(self, file: BinaryIO) -> None:
        """Of what ends before its index does, often its last part; else the sound will tell."""
        ends = {name: end for name, _, end in _boxes(file, 0, size_of(file))}
        if b"moov" not in ends or ends[b"moov"] > size_of(file):
            reason = "the file is cut short: its index is missing"
            raise Refusal("truncated", reason, "copy or download it again")

    def _refuse_fragments(self, file: BinaryIO) -> None:
        """Of places in the file, which a longer tag would make wrong, mutagen mends only some."""
        for name, start, end in _boxes(file, 0, size_of(file)):
            if name == b"mfra" or (name == b"moof" and _says_where_it_is(file, start, end)):
                reason = "it is in fragments that would not be found behind a longer tag"
                raise Refusal("no_tags", reason, f"{FFMPEG_COPY}, and tag the copy")

    def _entries(self, file: BinaryIO) -> list[tuple[str | None, Any]]:  # noqa: ARG002
        atoms = [] if self.file.tags is None else self.file.tags.contents
        return [(_mp4_field(atom[4:8], atom[8:]), atom) for atom in atoms]

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        atoms = snapshot.raw(field)
        parts = [part for atom in atoms if atom[4:8] != b"gnre" for part in _parts(atom)]
        if not parts:
            numbers = [number for atom in atoms for _, number in _parts(atom)]
            places = [int.from_bytes(number, "big") - 1 for number in numbers]
            return [GENRES[place] for place in places if 0 <= place < len(GENRES)]
        return [
            text.decode("utf-16-be" if kind == _MP4_UTF16 else "utf-8", "replace")
            for kind, text in parts
        ]

    def _rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        key, *space = KEYS["MP4"][field].split(":")
        names = zip((b"mean", b"name"), space, strict=False)
        head = [_rendered_atom(name, bytes(4) + text.encode()) for name, text in names]
        kind = struct.pack(">II", mutagen.mp4.AtomDataType.UTF8, 0)
        parts = [_rendered_atom(b"data", kind + value.encode()) for value in values]
        return [_rendered_atom(key.encode("latin-1"), b"".join(head + parts))]

    def _save(self) -> None:
        self.file.tags._failed_atoms = _InOrder([atom for _, atom in self.entries])
        self.file.save(self.path, padding=self.padding)

    def _remove(self) -> None:
        """mutagen would leave an empty list."""
        with self.path.open("rb+") as file:
            atoms: Any = _mp4.Atoms(file)
            *parents, box = atoms.path(b"moov", b"udta", b"meta")
            if len(parents[-1].children) == 1:
                box = parents.pop()
            delete_bytes(file, box.length, box.offset)
            tags = self.file.tags
            tags._MP4Tags__update_parents(file, parents, -box.length)
            tags._MP4Tags__update_offsets(file, atoms, -box.length, box.offset)

    def _rest(self, file: BinaryIO) -> Any:
        return sorted(_atoms(file, 0, size_of(file), ()))


_MP4_UTF16 = mutagen.mp4.AtomDataType.UTF16


def _parts(atom: bytes) -> list[tuple[int, bytes]]:
    """Type and content of the values in an atom of the iTunes list; none if it is damaged."""
    with suppress(ValueError, struct.error):
        boxes = list(_boxes(BytesIO(atom), 8, len(atom)))
        values = [atom[start:end] for name, start, end in boxes if name == b"data"]
        return [(int.from_bytes(value[1:4], "big"), value[8:]) for value in values]
    return []


def _mp4_field(name: bytes, data: bytes) -> str | None:
    """The field that an atom of the iTunes list holds."""
    if name == b"gnre":
        return "GENRE"
    key = name
    if name == b"----":
        length = int.from_bytes(data[:4], "big")
        end = length + int.from_bytes(data[length : length + 4], "big")
        key = b":".join((name, data[12:length], data[length + 12 : end]))
    text = key.decode("latin-1").upper()
    return next((field for field in FIELDS if KEYS["MP4"][field].upper() == text), None)


def _atoms(
    file: BinaryIO, start: int, end: int, parents: tuple[bytes, ...]
) -> Iterator[tuple[tuple[bytes, ...], bytes]]:
    """Path and digest of every atom that a change of our fields has no business with.

    Tables of places in the file may change, since the music moves; whether they
    still lead to it is what the payload's digest tells.
    """
    for name, inside, claimed_end in _boxes(file, start, end):
        path, after = (*parents, name), min(claimed_end, end)
        if path in _ATOM_PARENTS or path[-1] in _ATOM_TABLES:
            yield from _atoms(file, inside + (4 if name == b"meta" else 0), after, path)
        elif parents[-1:] == (b"ilst",):
            if not _mp4_field(name, read_at(file, inside, after - inside)):
                yield path, digest_of(file, inside, after)
        elif name not in _ATOMS_THAT_MOVE and path != (b"moov", b"udta", b"meta", b"hdlr"):
            yield path, digest_of(file, inside, after)


def _boxes(file: IO[bytes], start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the atoms between these places; the last may claim to end later."""
    while start + 8 <= end:
        size, name = struct.unpack(">I4s", read_at(file, start, 8))
        header = 8
        if size == 1:
            size, header = int.from_bytes(read_at(file, start + 8, 8), "big"), 16
        size = size or end - start
        if size < header:
            raise ValueError("an atom is shorter than its header")
        yield name, start + header, start + size
        start += size


def _says_where_it_is(file: BinaryIO, start: int, end: int) -> bool:
    """Whether a fragment counts places from the file's beginning and not from its own."""
    for name, inside, after in _boxes(file, start, end):
        if name == b"traf" and _says_where_it_is(file, inside, after):
            return True
        if name == b"tfhd" and int.from_bytes(read_at(file, inside, 4), "big") & 1:
            return True
    return False


_ATOM_PARENTS = {
    (b"moov",),
    (b"moov", b"udta"),
    (b"moov", b"udta", b"meta"),
    (b"moov", b"udta", b"meta", b"ilst"),
}
_ATOM_TABLES = {b"trak", b"mdia", b"minf", b"stbl"}
_ATOMS_THAT_MOVE = {b"free", b"skip", b"stco", b"co64"}
