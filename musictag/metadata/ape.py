"""Files whose main tag is APEv2 at their end: Monkey's Audio, WavPack, Musepack, TAK, OptimFROG."""

from __future__ import annotations

from typing import BinaryIO

from musictag.formats.reading import read_at, size_of
from musictag.metadata.apev2 import APEv2, has_apev2
from musictag.metadata.edits import Piece, View
from musictag.metadata.family import Family, Tag
from musictag.metadata.id3v1 import find_id3v1
from musictag.metadata.id3v2 import ID3v2


class APE(Family):
    """APEv2 before ID3v1, if that is there, and perhaps ID3v2 in front of the music."""

    name = "APEv2"
    orders = (("APEv2", "ID3v1"), ("ID3v1", "APEv2", "ID3v2"))

    def find(self, file: BinaryIO) -> dict[str, Tag]:
        v1, end = find_id3v1(file)
        self.apev2 = main = APEv2(start=end, end=end)
        if has_apev2(file, end):
            main.loaded(file, self.fields)
        tags: dict[str, Tag] = {"APEv2": main}
        self.start = 0
        while read_at(file, self.start, 3) == b"ID3":
            tag = ID3v2(start=self.start).loaded(file, self.fields)
            tags.setdefault("ID3v2", tag)
            self.start = tag.end
        if v1 is not None:
            tags["ID3v1"] = v1
        return tags

    def length_s(self, file: BinaryIO) -> float | None:
        return float(self.kind(View(file, self.start, size_of(file))).length)

    def brought_along(self) -> list[tuple[str | None, Piece]]:
        v1 = self.tags.get("ID3v1")
        if v1 not in self.behind or v1 is None:
            return []
        with self.path.open("rb") as file:
            items = [(_KEYS[key], APEv2.item(_KEYS[key], (text,))) for key, text in v1.named(file)]
        return [(self.apev2.field(key.encode()), item) for key, item in items]


_KEYS = {
    "TIT2": "Title",
    "TPE1": "Artist",
    "TALB": "Album",
    "TDRC": "Year",
    "COMM": "Comment",
    "TRCK": "Track",
    "TCON": "Genre",
}
"""ID3's names of what ID3v1 can hold → APEv2's names."""
