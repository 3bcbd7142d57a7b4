"""Files whose main tag is ID3v2, at their beginning or where their header says."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO, ClassVar

from musictag.formats.reading import read_at, size_of
from musictag.metadata.apev2 import APEv2, has_apev2
from musictag.metadata.edits import Edit, Piece, View
from musictag.metadata.family import Family, Tag
from musictag.metadata.id3v1 import ID3v1, find_id3v1
from musictag.metadata.id3v2 import ID3v2
from musictag.metadata.parsing import DAMAGE
from musictag.metadata.replacement import Refusal

FFMPEG_COPY = "copy it with ffmpeg -i OLD -c copy NEW"

_HEADER = re.compile(rb"ID3[\x02-\x04].[\0-\xf0][\0-\x7f]{4}[A-Z][A-Z0-9]{2}", re.DOTALL)
"""A tag with a frame in it."""
_JUNK = 1 << 20
"""Bytes in front of the music in which TagLib may find a tag."""


class ID3v2AndOthers(Family):
    """A file whose main tag is ID3v2, which takes over what a tag that it hides says."""

    name = "ID3"

    def brought_along(self) -> list[tuple[str | None, Piece]]:
        texts: dict[str, list[str]] = {}
        with self.path.open("rb") as file:
            for tag in self.behind:
                for key, text in tag.named(file):
                    texts.setdefault(key, []).append(text)
        new = ID3v2()  # whatever the tag is by now, it was one of the newest version
        new.fields = self.fields
        frames = [new.frame(key, values) for key, values in texts.items()]
        return [(new.field(frame), frame) for frame in frames]


class ID3(ID3v2AndOthers):
    """ID3v2 at the beginning of the file, APEv2 and ID3v1 at the end.

    A file without ID3v2 gets ID3v2.4. Where there was only ID3v1, its title, artist and so on
    come along, since many players look no further once they have found ID3v2.
    """

    orders: ClassVar[Sequence[Sequence[str]]] = (
        ("ID3v2", "APEv2", "ID3v1"),
        ("ID3v2", "ID3v1"),
    )

    def find(self, file: BinaryIO) -> dict[str, Tag]:
        main = ID3v2()
        if read_at(file, 0, 3) == b"ID3":
            main.loaded(file, self.fields)
        elif read_at(file, 0, 1) != b"\xff" and _HEADER.search(read_at(file, 0, _JUNK)):
            reason = (
                "an ID3 tag stands behind other bytes at its beginning, which a new one would hide"
            )
            raise Refusal("bad_header", reason, f"{FFMPEG_COPY}, and tag the copy")
        return {"ID3v2": main, **tags_at_the_end(file, self.fields)}

    def length_s(self, file: BinaryIO) -> float | None:
        info = self.kind(music(file, self.tags, 0))
        if getattr(info, "sketchy", False):
            raise Refusal("bad_header", "no run of MPEG audio frames in its beginning")
        return float(info.length)


class TrueAudio(ID3):
    """The same, where some look at APEv2 first and others not at all."""

    orders: ClassVar[Sequence[Sequence[str]]] = (
        ("ID3v2", "ID3v1"),
        ("ID3v1", "APEv2", "ID3v2"),
    )

    def length_s(self, file: BinaryIO) -> float | None:
        return float(self.kind(music(file, self.tags, self.main.end), 0).length)


def tags_at_the_end(file: BinaryIO, fields: tuple[str, ...]) -> dict[str, Tag]:
    """APEv2 and ID3v1; damage in an APEv2 that is not the main tag is no reason to refuse."""
    tags: dict[str, Tag] = {}
    v1, end = find_id3v1(file)
    if has_apev2(file, end):
        with suppress(*DAMAGE):
            tags["APEv2"] = APEv2(end=end).loaded(file, fields)
    if v1 is not None:
        tags["ID3v1"] = v1
    return tags


def music(file: BinaryIO, tags: dict[str, Tag], start: int) -> View:
    """The file from `start` to where the tags at its end begin."""
    ends = [tag.start for tag in tags.values() if isinstance(tag, (APEv2, ID3v1)) and tag.exists]
    return View(file, start, min([size_of(file), *ends]))


class ID3AtPointer(ID3v2AndOthers):
    """ID3v2 at the end of a DSF file, its place noted in the header."""

    def find(self, file: BinaryIO) -> dict[str, Tag]:
        if read_at(file, 0, 3) == b"ID3":
            reason = "an ID3 tag stands in front of it, where this kind of file has none"
            raise Refusal("bad_header", reason, "remove that tag first")  # ffmpeg writes no DSF
        place = int.from_bytes(read_at(file, 20, 8), "little")
        if not place:
            return {"ID3v2": ID3v2(start=size_of(file), end=size_of(file))}
        if read_at(file, place, 3) != b"ID3":
            raise Refusal("bad_header", "its ID3 tag is not where its header says")
        return {"ID3v2": ID3v2(start=place).loaded(file, self.fields)}

    def length_s(self, file: BinaryIO) -> float | None:
        self.kind(View(file, 0, size_of(file)))
        return None

    def lengths(self, file: BinaryIO, changes: list[Edit]) -> list[Edit]:
        size = size_of(file) + sum(edit.growth for edit in changes)
        place = self.main.start if self.main.exists else 0
        return [Edit(12, 28, [struct.pack("<QQ", size, place)])]

    def masked(self, file: BinaryIO) -> list[tuple[int, int]]:  # noqa: ARG002
        return [(12, 28)]
