"""ID3v1 and Lyrics3: what stands at the end of a file behind other tags."""

from __future__ import annotations

from io import BytesIO
from itertools import islice
from typing import Any, BinaryIO

import mutagen.id3

from musictag.formats.reading import read_at, size_of
from musictag.formats.tails import tails
from musictag.metadata.edits import Edit, Piece, Span
from musictag.metadata.family import Tag
from musictag.metadata.replacement import Refusal
from musictag.metadata.snapshot import READERS, Snapshot

_id3: Any = mutagen.id3  # half typed, see id3v2.py

GENRES: list[str] = _id3.TCON.GENRES
NO_GENRE = 255


class ID3v1(Tag):
    """The 128 bytes at the end of a file, of which only the genre's number is ever changed."""

    kind = "ID3v1"
    genre = NO_GENRE

    def read(self, file: BinaryIO) -> None:
        self.content = read_at(file, self.start, 128)
        self.end = self.start + 128
        self.genre = self.content[-1]
        if self.content[3:-1].strip(b"\0 ") or self.genre < len(GENRES):
            self.entries = [(None, Span(self.start, self.end))]

    @property
    def changed(self) -> bool:
        return self.genre != self.content[-1]

    def can_hold(self, field: str, values: tuple[str, ...]) -> bool:  # noqa: ARG002
        return False  # other fields not at all, and of genres one of the first 192

    def holds(self, field: str) -> bool:
        return field == "GENRE"

    def set(self, field: str, values: tuple[str, ...]) -> None:
        """The first genre that has a number; 255, "none", where no value has one."""
        if field == "GENRE":
            numbers = (GENRES.index(value) for value in values if value in GENRES)
            self.genre = next(numbers, NO_GENRE)

    def rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        raise NotImplementedError

    @property
    def comment(self) -> str:
        """Its comment, where the alphabet is known."""
        stored = self.content[97:125] if not self.content[125] else self.content[97:127]
        return known_text(stored.partition(b"\0")[0].rstrip()) or ""

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        if field == "COMMENT":
            return [snapshot.v1_comment]
        number = snapshot.v1_genre
        known = field == "GENRE" and number is not None and number < len(GENRES)
        return [GENRES[number]] if known and number is not None else []

    def changes(self, file: BinaryIO) -> list[Edit]:  # noqa: ARG002
        return [Edit(self.end - 1, self.end, [bytes([self.genre])])]

    def others(self) -> list[Piece]:
        return []

    def hole(self) -> tuple[int, int]:
        return self.end - 1, self.end

    def named(self, file: BinaryIO) -> list[tuple[str, str]]:  # noqa: ARG002
        """Title, artist and so on by their frames' names in ID3v2.4, for a tag that hides this one.

        ID3v1 names no alphabet: a text that is neither ASCII nor UTF-8 may be Latin-1 as well as
        cp1251, and a newer tag would have to say which. Refusal for such a one: a new tag would
        hide what a player makes of the old text, or show it wrong.
        """
        tags: Any = _id3.ID3(BytesIO(self.content), translate=False)
        found = []
        for frame in tags.values():
            if frame.FrameID == "TCON":
                found += [("TCON", name) for name in frame.genres]
                continue
            text = known_text(str(frame).encode("latin-1"))  # mutagen took every byte for a letter
            if text is None:
                raise Refusal(
                    "no_tags",
                    "its only tag is ID3v1, in letters of an unknown alphabet",
                    "give it an ID3v2 tag first, in a program where the letters look right",
                )
            found.append((frame.FrameID, text))
        return found


READERS["ID3v1"] = ID3v1.texts


def known_text(stored: bytes) -> str | None:
    """ASCII or UTF-8, perhaps cut off where ID3v1 has no more room; None if it is neither."""
    try:
        return stored.decode()
    except UnicodeDecodeError:
        pass
    if len(stored) >= 28:  # of a comment; the others have 30
        for end in (-1, -2, -3):
            try:
                text = stored[:end].decode()
            except UnicodeDecodeError:
                continue
            return None if text.isascii() else text  # one odd byte in it proves nothing
    return None


def find_id3v1(file: BinaryIO) -> tuple[ID3v1 | None, int]:
    """ID3v1 at the end of the file, if it is there; and where it begins, or Lyrics3 before it."""
    found = list(islice(tails(file), 2))
    if not found or found[0].kind != "ID3v1":
        return None, size_of(file)
    start = found[0].start
    tag = ID3v1(start=start).loaded(file)
    for before in found[1:]:
        if before.kind == "Lyrics3" and read_at(file, before.start, 11) == b"LYRICSBEGIN":
            start = before.start
    return tag, start
