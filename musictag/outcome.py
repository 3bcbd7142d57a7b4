"""What musictag has to say about one file: values only.

A scan or an undo yields one `Outcome` per file, in the order of the paths. Whoever prints, counts
or stores results needs this module and no stage.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from musictag.errors import FileError

Status = Literal["written", "restored", "planned", "unchanged", "skipped", "failed"]


@dataclass(frozen=True)
class Problem:
    """Why a file was not tagged: a word for programs, a sentence for people."""

    code: str
    message: str

    @classmethod
    def of(cls, error: FileError) -> Problem:
        """The error's code and message, without the traceback, which would keep samples alive."""
        return cls(error.code, error.message)


@dataclass(frozen=True)
class Change:
    """The values of one field before and after."""

    old: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def changed(self) -> bool:
        return self.old != self.new


@dataclass(frozen=True)
class Discarded:
    """A value that was heard, and that a track does not get."""

    field: str
    value: str
    """The model's name for it."""
    why: Literal["below", "unsure", "opposite", "family", "member", "dropped", "unlisted", "over"]
    """below its threshold (and at least half of it), unsure (likelier right than wrong, but the
    model is not precise enough for this value to write it anywhere), opposite of a stronger value,
    the family of a value that is chosen, member of a family that is written instead, dropped,
    unlisted (not on the user's list), over the most values of its field."""
    probability: float
    """Share of listeners who would agree, as far as the model is calibrated."""
    threshold: float
    other: str = ""
    """The opposite, the member or the family."""


@dataclass(frozen=True)
class Album:
    """An album whose tracks get one genre."""

    title: str
    """The field ALBUM, or the name of the folder."""
    artist: str
    """The field ALBUMARTIST, or the artist of most tracks; empty if nothing says who."""
    n_tracks: int
    """Number of tracks that were heard, of whose probabilities the mean was taken."""
    genres: tuple[str, ...]
    """The album's genre."""
    styles: tuple[str, ...] = ()
    """Its specific genres, if they have a field of their own."""
    probabilities: Mapping[str, float] = field(default_factory=dict, compare=False)
    """Tag → mean over the tracks."""
    is_kept: bool = False
    """Whether its other tracks have this genre already, and it was not heard."""
    discarded: tuple[Discarded, ...] = ()
    """What was heard in the album and not chosen, if the scan was asked for it."""


@dataclass(frozen=True)
class Outcome:
    """The result for one file."""

    path: Path
    status: Status
    """What happened: written, restored (by an undo), planned (would be written), unchanged
    (nothing to write), skipped (nothing to hear, or a container without metadata), failed."""
    duration_s: float | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """Tag → probability for the whole track."""
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Field → values heard, whether or not they may be written."""
    fields: Mapping[str, Change] = field(default_factory=dict)
    """Field → old and new values, for the fields that may be written."""
    error: Problem | None = None
    model: str = ""
    from_cache: bool = False
    """Whether the track was heard in an earlier scan."""
    discarded: tuple[Discarded, ...] = ()
    """What was heard and not chosen, if the scan was asked for it."""
    album: Album | None = None
    """The album from which its genre comes; None where it comes from the track alone."""


@dataclass(frozen=True)
class Taggram:
    """Probabilities over the length of one track, and what a scan would make of them."""

    path: Path
    model: str
    duration_s: float
    tags: tuple[str, ...]
    starts_s: tuple[float, ...]
    """Second at which each segment starts; silent segments are not among them."""
    rows: tuple[tuple[float, ...], ...]
    """Probabilities of each segment, in the order of `tags`."""
    probabilities: Mapping[str, float]
    """Tag → probability for the whole track."""
    chosen: Mapping[str, tuple[str, ...]]
    """Field → values."""
    segment_s: float
    """Length of a segment."""

    def to_json(self) -> dict[str, Any]:
        return {
            "path": os.fspath(self.path),
            "duration": round(self.duration_s, 3),
            "model": self.model,
            "segments": [
                {
                    "start": round(start_s, 3),
                    "probabilities": {
                        tag: round(p, 6) for tag, p in zip(self.tags, row, strict=True)
                    },
                }
                for start_s, row in zip(self.starts_s, self.rows, strict=True)
            ],
            "probabilities": {tag: round(p, 6) for tag, p in self.probabilities.items()},
            "chosen": {field: list(values) for field, values in self.chosen.items()},
        }
