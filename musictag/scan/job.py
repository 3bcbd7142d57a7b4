"""A file on its way through the stages."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from musictag.outcome import Problem
from musictag.stores.stored import StoredFields, StoredHearing
from musictag.stores.summary import Summing


@dataclass(frozen=True)
class File:
    """A file as it was at one moment, and what is remembered of it."""

    stat: os.stat_result
    content: bytes | None = None
    """Digest of the sound; None until it is known."""
    fields: StoredFields | None = None
    """Values of the metadata fields; None until they are known."""
    hearing: StoredHearing | None = None
    """What an earlier scan heard in this sound."""
    is_stored: bool = False
    """The cache already holds this content and these fields."""


@dataclass
class Job:
    """One path of a scan. Only one thread at a time works on it."""

    number: int
    """Place in the list of paths."""
    path: Path
    file: File | None = None
    """The file when it was last looked at."""
    heard: StoredHearing | None = None
    """What this scan heard in the whole track."""
    problem: Problem | None = None
    """Why the track will not be heard."""
    taggram: list[list[float]] = field(default_factory=list)
    """Probabilities of the segments heard so far."""
    summing: Summing = field(default_factory=Summing)
    """Summaries of the segments heard so far."""
    duration_s: float | None = None
    is_decoded: bool = False
    n_unheard: int = 0
    """Segments decoded but not heard yet."""
    n_heard_elsewhere: int = 0
    """Segments heard where they were decoded."""
    is_left_out: bool = False
    """The scan is not about this file."""

    @property
    def hearing(self) -> StoredHearing | None:
        """What was heard in the track, now or earlier; None while it is not known."""
        return self.heard or (None if self.file is None else self.file.hearing)

    @property
    def from_cache(self) -> bool:
        return self.heard is None and self.hearing is not None

    @property
    def is_through(self) -> bool:
        """All segments have been heard."""
        return self.is_decoded and self.n_unheard == 0
