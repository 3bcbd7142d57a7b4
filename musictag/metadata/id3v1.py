"""ID3v1, and Lyrics3 before it: what stands at the end of a file behind other tags."""

from __future__ import annotations

import os
import re
from typing import Any

import mutagen.id3

from musictag.metadata.family import Family, Snapshot, read_at, size_of

_id3: Any = mutagen.id3  # half typed, see id3.py

GENRES: list[str] = _id3.TCON.GENRES


class WithTail(Family):
    """A family that knows ID3v1 at the end of the file, perhaps with Lyrics3 before it.

    mutagen would write ID3v1 anew without its comment, delete it, or put APEv2
    behind it where nobody looks. So it never sees it: the tail is cut off the
    copy, and put back with nothing changed but the genre's number.
    """

    tail = b""

    def _read_tail(self) -> None:
        with self.path.open("rb") as file:
            start = max(0, size_of(file) - 128)
            v1 = read_at(file, start, 128)
            # an APEv2 tag of 131 bytes has its "APETAGEX" just where "TAG" would be
            if len(v1) < 128 or not v1.startswith(b"TAG") or v1[-32:-24] == b"APETAGEX":
                return
            end_mark = read_at(file, max(0, start - 15), 15)
            if re.fullmatch(rb"\d{6}LYRICS200", end_mark):
                lyrics_start = start - 15 - int(end_mark[:6])
                if lyrics_start > 0 and read_at(file, lyrics_start, 11) == b"LYRICSBEGIN":
                    start = lyrics_start
            self.tail = read_at(file, start, size_of(file) - start)

        self.v1_genre = self.tail[-1]

    def set(self, field: str, values: tuple[str, ...]) -> None:
        """In ID3v1 the first genre that has a number; 255, "none", where no value has one."""
        super().set(field, values)
        if field == "GENRE" and self.v1_genre is not None:
            numbers = (GENRES.index(value) for value in values if value in GENRES)
            self.v1_genre = next(numbers, 255)

    def put_back(self, snapshot: Snapshot) -> None:
        super().put_back(snapshot)
        if self.v1_genre is not None and snapshot.v1_genre is not None:
            self.v1_genre = snapshot.v1_genre

    def save(self) -> None:
        if self.tail:
            os.truncate(self.path, self.path.stat().st_size - len(self.tail))
        super().save()
        if self.v1_genre is not None:
            with self.path.open("ab") as file:
                file.write(self.tail[:-1] + bytes([self.v1_genre]))


def genre_of_v1(number: int | None) -> list[str]:
    return [GENRES[number]] if number is not None and number < len(GENRES) else []
