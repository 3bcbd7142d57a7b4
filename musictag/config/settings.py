"""What a scan does, with the defaults."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from musictag import words
from musictag.vocabulary import Vocabulary

HARDLINKS = ("refuse", "replace", "in-place")
MOST_JOBS = 256
"""Decoding processes, at most; more only wait for each other."""
MOST_AT_ONCE = 1024
"""Segments heard at once, at most; each takes 2 MB, and more gain nothing."""


@dataclass(frozen=True)
class Settings:
    """What a scan does, and when a watch begins one."""

    fields: tuple[str, ...] = ("GENRE", "MOOD")
    """Fields that may be written."""
    existing: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Field → keep, merge or replace the values that it has; `keep` for fields not named."""
    max_genres: int = 2
    max_moods: int = 2
    max_instruments: int = 4
    max_vocals: int = 2
    """Values per field, at most."""
    sure: float | str = "balanced"
    """Share of listeners who would agree with a value that is written, or one of `words.SURE`."""
    thresholds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Value → the same for that value alone."""
    rename: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The model's word → the word to write."""
    drop: tuple[str, ...] = ()
    """Words that are never written."""
    whitelist: tuple[str, ...] | str | None = None
    """The genres that may be written, or a text file of them; None: all."""
    parents: str = "none"
    """What becomes of a family beside its members: a key of `words.PARENTS`."""
    by_album: bool = False
    """Whether GENRE comes from the mean over an album's tracks."""
    segments: int | None = None
    """Number of evenly spaced 29 s segments to hear of each track; None: the whole track."""
    model: str | None = None
    """Name of a packaged model, or a checkpoint directory; None: the bundled model."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    jobs: int | None = None
    """Number of decoding processes; None: one per core."""
    cpu: float | None = None
    """Share of the cores that a scan takes; None: as much as it can use."""
    pause_on_battery: bool = False
    """Whether a scan waits while the machine runs on its battery."""
    batch_size: int | None = None
    """Number of segments heard at once; None (auto): up to 64 per CPU core, on a GPU as many as fit
    its memory."""
    exclude: tuple[str, ...] = ()
    """Globs of files and folders to leave out."""
    newer_than: str | None = None
    """A date, an age or a file: only files changed since are scanned."""
    only_missing: tuple[str, ...] = ()
    """Only files that lack at least one of these fields are scanned."""
    where: str | None = None
    """Only files for which this holds are scanned; see `selection`."""
    style: bool = False
    """Whether specific genres go into STYLE, and their families into GENRE."""
    comment: str | None = None
    """A template for a part of the comment; see `template`."""
    grouping: str | None = None
    """The same of the grouping."""
    provenance: bool = False
    """Whether model, date and probabilities are written, too."""
    join: str | None = None
    """Text between values that are written as one; None: one entry per value."""
    preserve_mtime: bool = False
    """Whether written files keep their modification time."""
    hardlinks: str = "refuse"
    """How to write files that have other names (hard links): refuse, replace or in-place."""
    cache: bool = True
    """Whether what was heard is remembered, so that unchanged files are not decoded again."""
    settle: float = 5.0
    """Seconds for which a file must not change before a watch takes it for whole."""
    poll: float | None = None
    """Seconds between two looks of a watch at everything; None: the system says what changes."""

    @property
    def policies(self) -> dict[str, str]:
        """Field → keep, merge or replace, for the fields that may be written. STYLE has that of
        GENRE."""
        policies = {field: self.existing.get(field, "keep") for field in self.fields}
        if self.style and "GENRE" in policies:
            policies["STYLE"] = policies["GENRE"]
        return policies

    @property
    def shown_fields(self) -> tuple[str, ...]:
        """The fields that may be written and that a table shows."""
        texts = {"COMMENT": self.comment, "GROUPING": self.grouping}
        return (*self.policies, *(name for name, text in texts.items() if text is not None))

    @property
    def limits(self) -> dict[str, int]:
        """Field → number of values it may get, at most."""
        return {
            "GENRE": self.max_genres,
            "MOOD": self.max_moods,
            "INSTRUMENT": self.max_instruments,
            "VOCALS": self.max_vocals,
        }

    def worded(self, vocabulary: Vocabulary) -> Vocabulary:
        """A model's vocabulary in the user's words, at most as daring as the user wants; UsageError
        for a list of genres that cannot be read."""
        return words.worded(vocabulary, self)

    def doubts(self, vocabulary: Vocabulary) -> list[str]:
        """What in these settings has no effect on a model's vocabulary, in sentences."""
        return words.doubts(vocabulary, self)
