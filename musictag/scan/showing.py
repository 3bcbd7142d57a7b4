"""One file, looked at closely: what is in it, what is heard, and what becomes of each value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from musictag import decision
from musictag.errors import FileError
from musictag.metadata import ABOUT, FIELDS, read
from musictag.outcome import Discarded, Problem, Taggram
from musictag.scan import taggram
from musictag.vocabulary import NOT_MUSIC, Vocabulary

if TYPE_CHECKING:
    from musictag.audio.decoder import IsolatedTrack
    from musictag.config import Settings
    from musictag.hearing.checkpoint import Checkpoint
    from musictag.hearing.ear import Ear


@dataclass(frozen=True)
class Verdict:
    """A value, how likely it is, and what becomes of it."""

    field: str
    word: str
    """What goes into files."""
    probability: float
    """Share of listeners who would agree, as far as the model is calibrated."""
    threshold: float | None
    """Probability from which it is chosen; None: never."""
    why: str
    """chosen, never, or why not: see `outcome.Discarded`."""
    other: str = ""
    """The value that is chosen instead, if that is why."""


@dataclass(frozen=True)
class Shown:
    """A file from close up."""

    taggram: Taggram
    values: Mapping[str, tuple[str, ...]]
    """Values in the file: our four fields, TITLE, ARTIST, ALBUM and ALBUMARTIST."""
    verdicts: tuple[Verdict, ...]
    """Each value of the model, by field, the likeliest first."""
    unreadable: Problem | None = None
    """Why the file's fields cannot be read."""
    not_music: str = ""
    """Why a scan would write nothing, if it is no music."""

    def to_json(self) -> dict[str, Any]:
        heard = self.taggram.to_json()
        verdicts = [
            {
                "field": one.field,
                "value": one.word,
                "probability": round(one.probability, 6),
                "threshold": one.threshold,
                "why": one.why,
                "other": one.other or None,
            }
            for one in self.verdicts
        ]
        error = self.unreadable
        return {
            "path": heard.pop("path"),
            "fields": {name: list(values) for name, values in self.values.items()},
            "verdicts": verdicts,
            "not_music": self.not_music or None,
            **heard,
            "error": None if error is None else {"code": error.code, "message": error.message},
        }


def show(
    track: IsolatedTrack,
    checkpoint: Checkpoint,
    settings: Settings,
    load: Callable[[], Ear],
) -> Shown:
    """Look at a track that a decoder has opened; AudioError if no music can be heard in it."""
    values: Mapping[str, tuple[str, ...]] = {}
    unreadable = None
    try:
        found = read(track.path, also=ABOUT)
        values = {name: found.get(name, ()) for name in (*ABOUT, *FIELDS)}
    except FileError as error:
        unreadable = Problem.of(error)
    heard, _ = taggram.heard(track, checkpoint, settings, load)
    vocabulary = settings.worded(checkpoint.vocabulary)
    code = decision.not_music(heard.probabilities, checkpoint.vocabulary)
    verdicts = tuple(verdicts_of(heard.probabilities, vocabulary, settings.limits))
    return Shown(heard, values, verdicts, unreadable, NOT_MUSIC[code] if code else "")


def verdicts_of(
    probabilities: Mapping[str, float], vocabulary: Vocabulary, limits: Mapping[str, int]
) -> Iterator[Verdict]:
    """What becomes of each value of a vocabulary, by field, the likeliest first."""
    discarded: list[Discarded] = []
    chosen = decision.choose(probabilities, vocabulary, limits=limits, discarded=discarded)
    why = {one.value: one for one in discarded}
    agreement = decision.agreement(probabilities, vocabulary)
    for field in FIELDS:
        values = [value for value in vocabulary.in_field(field) if value.name in agreement]
        for value in sorted(values, key=lambda value: -agreement[value.name]):
            agreed, threshold = agreement[value.name], value.threshold
            reason, other = "below", ""
            if threshold is None:
                reason = "never"
            elif value.name in why:
                reason, other = why[value.name].why, why[value.name].other
            elif value.word in chosen[field]:
                reason = "chosen"
            yield Verdict(field, value.word, agreed, threshold, reason, other)
