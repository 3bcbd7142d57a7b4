"""Tracks that people have tagged, as learning sees them.

What musictag wrote into a field itself, and nobody has changed since, is not people's: a model that
learned from that would learn from itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from musictag.cli.endings import complain
from musictag.errors import FileError

if TYPE_CHECKING:
    from musictag.cli.remembered import Remembered
    from musictag.library.collection import Track as RememberedTrack
    from musictag.stores.journal import Journal
    from musictag.training.own.groups import Origin
    from musictag.training.own.learning import Track
    from musictag.training.own.words import Reading


@dataclass(frozen=True)
class Tagged:
    """A file with words in the field."""

    path: Path
    words: tuple[str, ...]
    origin: Origin
    summary: bytes | None
    """None if it has to be heard."""


class Tags:
    """Reads people's words of one field, from what is remembered or from the files."""

    def __init__(
        self, memory: Remembered, field: str, reading: Reading, journal: Journal | None
    ) -> None:
        self._memory = memory
        self._field = field
        self._reading = reading
        self._journal = journal
        self.n_files = 0
        self.n_ours = 0
        """Files that have no other words than musictag's."""
        self.n_failed = 0

    def of(self, paths: Iterable[Path | FileError]) -> list[Tagged]:
        """The tagged files among these; what cannot be read is said, and counted in `n_failed`."""
        found = []
        for path in paths:
            try:
                if isinstance(path, FileError):
                    raise path
                self.n_files += 1
                tagged = self._tagged(path)
            except FileError as error:
                complain(str(error))
                self.n_failed += 1
                continue
            if tagged.words:
                found.append(tagged)
        return found

    def heard(self, tagged: Sequence[Tagged]) -> list[Tagged]:
        """The same files with their summaries, after they have been heard; without those that could
        not be."""
        found = []
        for one in tagged:
            again = one if one.summary is not None else self._tagged(one.path)
            if again.summary is not None and again.words:
                found.append(again)
        return found

    def _tagged(self, path: Path) -> Tagged:
        from musictag import metadata  # noqa: PLC0415
        from musictag.scan.known import stat_of  # noqa: PLC0415
        from musictag.scan.reading import read_fields  # noqa: PLC0415
        from musictag.training.own.groups import Origin  # noqa: PLC0415

        track: RememberedTrack | None
        track = next(self._memory.collection.tracks([path], summaries=True), None)
        if track is not None and track.is_read:
            values, about = track.fields.get(self._field, ()), track.about
        else:
            stat_of(path)
            fields = read_fields(metadata, path)
            values, about = fields.values.get(self._field, ()), fields.about
        sound = b"" if track is None else track.sound
        origin = Origin(
            album=next(iter(about.get("ALBUM", ())), ""),
            artists=tuple(about.get("ARTIST", ())),
            album_artist=next(iter(about.get("ALBUMARTIST", ())), ""),
            folder=os.fspath(path.parent),
            sound=sound,
        )
        words = self._reading.words(self._theirs(path, sound, tuple(values)))
        return Tagged(path, tuple(words), origin, None if track is None else track.summary)

    def _theirs(self, path: Path, sound: bytes, values: tuple[str, ...]) -> tuple[str, ...]:
        """The values that musictag has not written."""
        from musictag.scan import writing  # noqa: PLC0415

        last = self._journal.last_written(path) if self._journal is not None and values else None
        if last is None or self._journal is None or last[0].payload is None:
            return values
        # A file that is not remembered is taken for the one that was written: its sound is not
        # known yet.
        content = sound or last[0].payload
        stood = {self._field: values}
        others = writing.others(self._journal, path, content, stood, {self._field})
        theirs = others.get(self._field, values)
        self.n_ours += not theirs
        return theirs


def to_learn(tagged: Sequence[Tagged]) -> list[Track]:
    """Tagged files that were heard, for `learning.learn`."""
    from musictag.stores.summary import unpacked  # noqa: PLC0415
    from musictag.training.own.learning import Track  # noqa: PLC0415

    return [
        Track(one.words, *unpacked(one.summary), one.origin)
        for one in tagged
        if one.summary is not None
    ]
