"""The lists of tags in MP4: iTunes' own, QuickTime's list with keys, and texts of user data."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any, BinaryIO

import mutagen.mp4

from musictag.formats import mp4 as formats
from musictag.formats.mp4 import Atom
from musictag.formats.reading import read_at, size_of
from musictag.metadata import atoms
from musictag.metadata.atoms import children, handler, rendered
from musictag.metadata.edits import Edit, Span, content, digest_of
from musictag.metadata.family import MOST_PADDING, Family, Tag
from musictag.metadata.fields import KEYS, LONGEST_OTHER, MP4_NAMES, other_name
from musictag.metadata.id3 import FFMPEG_COPY
from musictag.metadata.id3v1 import GENRES
from musictag.metadata.replacement import Refusal
from musictag.metadata.snapshot import READERS, Snapshot

_LONGEST = 1 << 20
"""Bytes of the longest atom that is looked into."""
_UTF8, _UTF16 = int(mutagen.mp4.AtomDataType.UTF8), int(mutagen.mp4.AtomDataType.UTF16)
_HANDLER = rendered(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))


class ItunesList(Tag):
    """An atom per key with a part per value, free form for keys of our own.

    A numeric genre (`gnre`) is read as its name, and gives way to the first genre that is written.
    """

    kind = "MP4"
    padding: Atom | None = None
    """A `free` atom next to the list, which gives way to it."""
    wrapping: tuple[bytes, ...] = ()
    """Names of the atoms that are missing around the list."""
    owner: Atom | None = None
    """The atom into which a new list goes."""
    around: tuple[tuple[int, int], ...] = ()
    """Where a `meta` of our making around the list stands, and a `udta` that holds nothing else."""

    def read(self, file: BinaryIO) -> None:
        for atom in formats.atoms(file, self.start + 8, self.end):
            if atom.end > self.end:
                raise ValueError("an atom ends after the list that it is in")
            size = atom.end - atom.start
            head = read_at(file, atom.start, min(size, 256))
            field = self._field(head[4:8], head[8:])
            ours = field is not None and size <= _LONGEST
            piece = read_at(file, atom.start, size) if ours else Span(atom.start, atom.end)
            self.entries.append((field if ours else None, piece))

    def _field(self, name: bytes, data: bytes) -> str | None:
        """The field that an atom holds."""
        if name == b"gnre":
            return "GENRE"
        key = _key(name, data).upper()
        return next((field for field in self.fields if KEYS["MP4"][field].upper() == key), None)

    @property
    def size(self) -> int:
        """Its length with padding; of a missing one, how many atoms around it are missing too."""
        if self.start == self.end:
            return len(self.wrapping)
        return self.end - self.start + self._n_padding

    @property
    def _n_padding(self) -> int:
        return self.padding.end - self.padding.start if self.padding else 0

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        found = snapshot.raw(field)
        parts = [part for atom in found if atom[4:8] != b"gnre" for part in _parts(atom)]
        if not parts:
            numbers = [number for atom in found for _, number in _parts(atom)]
            places = [int.from_bytes(number, "big") - 1 for number in numbers]
            return [GENRES[place] for place in places if 0 <= place < len(GENRES)]
        return [_decoded(part) for part in parts]

    def said(self, file: BinaryIO, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
        for field, piece in self.entries:
            if field is None and len(piece) <= LONGEST_OTHER:
                atom = content(file, piece)
                key = _key(atom[4:8], atom[8:])
                name = MP4_NAMES.get(key.upper()) or other_name(key.rpartition(":")[2])
                if name in wanted:
                    yield from ((name, _decoded(part)) for part in _parts(atom))

    def rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        key, *space = KEYS["MP4"][field].split(":")
        names = zip((b"mean", b"name"), space, strict=False)
        head = [rendered(name, bytes(4) + text.encode()) for name, text in names]
        parts = [_part(value) for value in values]
        return [rendered(key.encode("latin-1"), b"".join(head + parts))]

    def changes(self, file: BinaryIO) -> list[Edit]:
        if not self.exists:
            made = self.around[: self.room or 0]  # no more of them than were missing before
            end = self.padding.end if self.padding else self.end
            return [Edit(*(made[-1] if made else (self.start, end)), [])]
        items = [entry for _, entry in self.entries]
        size = 8 + sum(map(len, items))
        head = struct.pack(">I4s", size, b"ilst")
        for name in reversed(self.wrapping):
            handled = bytes(4) + _HANDLER if name == b"meta" else b""
            size += 8 + len(handled)
            head = struct.pack(">I4s", size, name) + handled + head
        end = self.padding.end if self.padding else self.end
        return [Edit(self.start, end, [head, *items, *self._padded(file, size)])]

    def _padded(self, file: BinaryIO, size: int) -> list[bytes]:
        """A `free` atom that fills the room of the list and of the one behind it, with its bytes.

        mutagen's are ones, other programs' zeros.
        """
        n = (self.size if self.room is None else self.room) - size
        if self.padding is None and (self.room is None or n < 8):
            return []
        if not 0 <= n <= MOST_PADDING + self.size or 0 < n < 8:
            n = 1024
        filling = read_at(file, self.padding.start + 8, 1) if self.padding else b""
        return [rendered(b"free", (filling or b"\0") * (n - 8))] if n else []


READERS["MP4"] = ItunesList.texts


def _part(value: str) -> bytes:
    return rendered(b"data", struct.pack(">II", _UTF8, 0) + value.encode())


def _parts(atom: bytes) -> list[tuple[int, bytes]]:
    """Type and content of the values in an atom of the iTunes list; none if it is damaged."""
    with suppress(ValueError, struct.error):
        found = list(formats.atoms(BytesIO(atom), 8, len(atom)))
        values = [atom[one.inside : one.end] for one in found if one.name == b"data"]
        return [(int.from_bytes(value[1:4], "big"), value[8:]) for value in values]
    return []


def _decoded(part: tuple[int, bytes]) -> str:
    kind, text = part
    return text.decode("utf-16-be" if kind == _UTF16 else "utf-8", "replace")


def _key(name: bytes, data: bytes) -> str:
    """The key of an atom of the iTunes list; of a free-form one its parts, joined by colons."""
    key = name
    if name == b"----":
        length = int.from_bytes(data[:4], "big")
        end = length + int.from_bytes(data[length : length + 4], "big")
        key = b":".join((name, data[12:length], data[length + 12 : end]))
    return key.decode("latin-1")


class _OneValue(Tag):
    """A list that is kept in agreement where it holds a field, with the first value."""

    def can_hold(self, field: str, values: tuple[str, ...]) -> bool:  # noqa: ARG002
        return False

    def set(self, field: str, values: tuple[str, ...]) -> None:
        if self.holds(field):
            super().set(field, values[:1])

    def changes(self, file: BinaryIO) -> list[Edit]:  # noqa: ARG002
        return [Edit(self.start, self.end, [entry for _, entry in self.entries])]


class KeyedList(_OneValue):
    """QuickTime's list in a `meta` of kind mdta: items are numbered, names stand in `keys`."""

    kind = "mdta"

    def __init__(self, names: list[bytes], *, start: int, end: int) -> None:
        super().__init__(start=start, end=end)
        self.names = names

    def read(self, file: BinaryIO) -> None:
        for atom in formats.atoms(file, self.start, self.end):
            key = self._name(atom.name)
            ours = key in self.fields and atom.end - atom.start <= _LONGEST and atom.end <= self.end
            size = atom.end - atom.start
            piece = read_at(file, atom.start, size) if ours else Span(atom.start, atom.end)
            self.entries.append((key if ours else None, piece))

    def said(self, file: BinaryIO, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
        for field, piece in self.entries:
            if field is None and len(piece) <= LONGEST_OTHER:
                atom = content(file, piece)
                name = other_name(self._name(atom[4:8]))
                if name in wanted:
                    yield from ((name, _decoded(part)) for part in _parts(atom))

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        return [_decoded(part) for atom in snapshot.raw(field) for part in _parts(atom)]

    def _name(self, numbered: bytes) -> str:
        """The last part of the name of an item, in capitals."""
        number = int.from_bytes(numbered, "big")
        name = self.names[number - 1] if 0 < number <= len(self.names) else b""
        return name.rpartition(b".")[2].decode("latin-1").upper()

    def rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        old = next(e for name, e in self.entries if name == field and isinstance(e, bytes))
        return [rendered(old[4:8], _part(values[0]))]


READERS["mdta"] = KeyedList.texts


class UserData(_OneValue):
    """The genre as a text of QuickTime's user data, or as 3GPP has it: one atom."""

    kind = "udta"

    def read(self, file: BinaryIO) -> None:
        self.entries = [("GENRE", read_at(file, self.start, self.end - self.start))]

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        found = []
        for atom in snapshot.raw(field):
            text = atom[14:] if atom[4:8] == b"gnre" else atom[12:]
            if atom[4:8] != b"gnre":
                text = text[: int.from_bytes(atom[8:10], "big")]
            wide = text.startswith((b"\xfe\xff", b"\xff\xfe"))
            found.append(text.decode("utf-16" if wide else "utf-8", "replace"))
        return found

    def set(self, field: str, values: tuple[str, ...]) -> None:
        super().set(field, values or ("",))  # an empty text, in whose place the old one can return

    def rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:  # noqa: ARG002
        ((_, old),) = self.entries
        assert isinstance(old, bytes)
        text = values[0].encode()
        if old[4:8] == b"gnre":
            return [rendered(b"gnre", old[8:14] + text + b"\0")]
        return [rendered(old[4:8], struct.pack(">H", len(text)) + old[10:12] + text)]


READERS["udta"] = UserData.texts


class MP4(Family):
    """An MP4 or QuickTime file: iTunes' list of tags, and whatever others there are."""

    name = "MP4"

    def find(self, file: BinaryIO) -> dict[str, Tag]:
        top = list(formats.atoms(file, 0, size_of(file)))
        self._refuse_halves(file, top)
        self._refuse_fragments(file, top)
        moov = next(atom for atom in top if atom.name == b"moov")
        udta = atoms.child(file, moov, b"udta")
        inside = children(file, udta) if udta else []
        tags: dict[str, Tag] = {}
        for meta in [atom for atom in inside if atom.name == b"meta"]:
            for tag in self._lists(file, meta, inside, udta):
                name = "ilst" if isinstance(tag, ItunesList) else "mdta"
                tags[name if name not in tags else f"{name} {len(tags)}"] = tag
        for atom in inside:
            if atom.name in (b"\xa9gen", b"gnre") and 14 < atom.end - atom.start <= _LONGEST:
                tags[f"udta {atom.start}"] = UserData(start=atom.start, end=atom.end).loaded(
                    file, self.fields
                )
        for number, meta in enumerate(children(file, moov)):
            if meta.name == b"meta":
                for tag in self._lists(file, meta, [], None):
                    if not isinstance(tag, ItunesList):
                        tags[f"moov mdta {number}"] = tag
        main = tags.pop("ilst", None) or self._new(file, moov, udta, inside)
        return {"ilst": main, **tags}

    def _lists(
        self, file: BinaryIO, meta: Atom, siblings: list[Atom], udta: Atom | None
    ) -> Iterator[Tag]:
        inside = children(file, meta)
        ilst = next((atom for atom in inside if atom.name == b"ilst"), None)
        kind = handler(file, meta)
        if ilst is None:
            return
        if kind == b"mdta":
            keys = atoms.child(file, meta, b"keys")
            names = _keys(read_at(file, keys.inside, keys.end - keys.inside)) if keys else []
            yield KeyedList(names, start=ilst.inside, end=ilst.end).loaded(file, self.fields)
            return
        if kind != b"mdir":
            return
        tag = ItunesList(start=ilst.start, end=ilst.end).loaded(file, self.fields)
        place = inside.index(ilst)
        tag.padding = next((a for a in inside[place + 1 : place + 2] if a.name == b"free"), None)
        rest = [atom for atom in inside if atom.name not in (b"ilst", b"free")]
        if len(rest) == 1 and read_at(file, rest[0].start, len(_HANDLER)) == _HANDLER:
            alone = len(siblings) == 1 and udta is not None
            tag.around = ((meta.start, meta.end),)
            if alone and udta:
                tag.around += ((udta.start, udta.end),)
        yield tag

    @staticmethod
    def _new(file: BinaryIO, moov: Atom, udta: Atom | None, inside: list[Atom]) -> ItunesList:
        """A list that is not there yet, where it will go: readers look into the first `meta`."""
        if udta is None:
            tag = ItunesList(start=moov.end, end=moov.end)
            tag.owner, tag.wrapping = moov, (b"udta", b"meta")
            return tag
        for meta in inside[:1] if inside and inside[0].name == b"meta" else ():
            if handler(file, meta) == b"mdir":
                tag = ItunesList(start=meta.end, end=meta.end)
                tag.owner = meta
                return tag
        metas = [atom for atom in inside if atom.name == b"meta"]
        if any(handler(file, meta) not in (b"mdir", b"mdta") for meta in metas):
            reason = "it has a list of tags of a kind that musictag does not know"
            raise Refusal("no_tags", reason, f"{FFMPEG_COPY}, and tag the copy")
        place = metas[0].start if metas else inside[-1].end if inside else udta.inside
        tag = ItunesList(start=place, end=place)
        tag.owner, tag.wrapping = udta, (b"meta",)
        return tag

    def _refuse_halves(self, file: BinaryIO, top: list[Atom]) -> None:
        """Of what ends before its index does, often its last part; else the sound will tell."""
        ends = {atom.name: atom.end for atom in top}
        if b"moov" not in ends or ends[b"moov"] > size_of(file):
            reason = "the file is cut short: its index is missing"
            raise Refusal("truncated", reason, "copy or download it again")

    def _refuse_fragments(self, file: BinaryIO, top: list[Atom]) -> None:
        """Places in fragments would be wrong behind a longer tag."""
        for atom in top:
            moves = atom.name == b"moof" and atoms.says_where_it_is(file, atom)
            if atom.name == b"mfra" or moves:
                reason = "it is in fragments that would not be found behind a longer tag"
                raise Refusal("no_tags", reason, f"{FFMPEG_COPY}, and tag the copy")

    def length_s(self, file: BinaryIO) -> float | None:  # noqa: ARG002
        return None  # it stands in atoms that are compared

    def lengths(self, file: BinaryIO, changes: list[Edit]) -> list[Edit]:
        owner = self.main.owner if isinstance(self.main, ItunesList) else None
        return atoms.following(file, changes, owner)

    def compared(self, file: BinaryIO) -> Any:
        return self.tag_digests(file), sorted(self._others_digests(file))

    def _others_digests(self, file: BinaryIO) -> Iterator[tuple[tuple[bytes, ...], bytes]]:
        end = size_of(file)
        yield from self._walk(file, list(formats.atoms(file, 0, end)), (), end)

    def _walk(
        self, file: BinaryIO, found: list[Atom], parents: tuple[bytes, ...], end: int
    ) -> Iterator[tuple[tuple[bytes, ...], bytes]]:
        """Path and digest of every atom that a change of our fields has no business with.

        Tables of places in the file may change, since the music moves; whether they
        still lead to it is what the payload's digest tells.
        """
        tags = {(tag.start, tag.end) for tag in self.tags.values()}
        for atom in found:
            path = (*parents, atom.name)
            if (atom.start, atom.end) in tags or (atom.inside, atom.end) in tags:
                continue
            if path in _PARENTS or atom.name in atoms.TABLES:
                yield from self._walk(file, children(file, atom), path, end)
            elif atom.name not in _MOVING and path != (b"moov", b"udta", b"meta", b"hdlr"):
                yield path, digest_of(file, atom.inside, min(atom.end, end))


def _keys(data: bytes) -> list[bytes]:
    """The names in a `keys` atom, from number 1 on."""
    place, names = 8, []
    while place + 8 <= len(data):
        size = max(8, int.from_bytes(data[place : place + 4], "big"))
        names.append(data[place + 8 : place + size])
        place += size
    return names


_PARENTS = {(b"moov",), (b"moov", b"udta"), (b"moov", b"udta", b"meta"), (b"moov", b"meta")}
_MOVING = {b"free", b"skip", b"stco", b"co64"}
