"""Choosing tracks by what was heard in them: quiet, ambient, without vocals.

`choice` reads a listener's words; `Choice.fit` says how well a track fits them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from musictag.errors import UsageError
from musictag.vocabulary import Value, Vocabulary
from musictag.words import spelling

_UNSURE = 0.5
"""Share of listeners who have to agree with a value that has no threshold."""


@dataclass(frozen=True)
class Choice:
    """Which values a track has to have, and which it must not have."""

    wanted: tuple[tuple[Value, ...], ...] = ()
    """Of each of these groups one value has to be heard."""
    unwanted: tuple[Value, ...] = ()
    least: float | None = None
    """Share of listeners who would agree with each condition, at least; None: what a scan asks of
    each value."""

    def fit(self, by_tag: Mapping[str, float]) -> float | None:
        """How well the track with these probabilities fits: the product of the shares of listeners
        who would agree with each condition. None if it does not."""
        fit = 1.0
        for group in self.wanted:
            shares = [self._share(value, by_tag) for value in group]
            enough = [
                share
                for share, value in zip(shares, group, strict=True)
                if share >= self._asked(value)
            ]
            if not enough:
                return None
            fit *= max(enough)
        for value in self.unwanted:
            share = self._share(value, by_tag)
            if 1 - share < self.least if self.least is not None else share >= self._asked(value):
                return None
            fit *= 1 - share
        return fit

    def _asked(self, value: Value) -> float:
        if self.least is not None:
            return self.least
        return _UNSURE if value.threshold is None else value.threshold

    @staticmethod
    def _share(value: Value, by_tag: Mapping[str, float]) -> float:
        return value.calibrated(max(by_tag.get(tag, 0.0) for tag in value.tags))


def choice(
    vocabulary: Vocabulary,
    wanted: Mapping[str, Sequence[str]],
    unwanted: Sequence[str] = (),
    least: float | None = None,
) -> Choice:
    """Read a listener's words: of each field in `wanted` one has to be heard, and none of
    `unwanted`.

    Words are the model's or those that the listener has put in their place, in any spelling. A
    family stands for its members, too. UsageError for a word that is neither.
    """
    groups = []
    for field, words in wanted.items():
        group = [v for word in words for v in _meant(word, vocabulary, field)]
        if group:
            groups.append(tuple(dict.fromkeys(group)))
    none = [value for word in unwanted for value in _meant(word, vocabulary, None)]
    return Choice(tuple(groups), tuple(dict.fromkeys(none)), least)


def _meant(word: str, vocabulary: Vocabulary, field: str | None) -> Iterator[Value]:
    """The values that a word names, and the members of those that are families."""
    option = "--not" if field is None else f"--{field.lower()}"
    if not word.strip():
        raise UsageError(f"{option}: the word is empty")
    named = [v for v in vocabulary.values if spelling(word) in _spellings(v)]
    here = [value for value in named if field in (None, value.field)]
    if named and not here:
        other = named[0]
        raise UsageError(
            f"{option}: {other.word} is no {field and field.lower()}: "
            f"--{other.field.lower()} {_quoted(other.word)}"
        )
    if not here:
        known = {s: v.word for v in vocabulary.values for s in _spellings(v)}
        close = difflib.get_close_matches(spelling(word), known, 1)
        hint = f"did you mean {known[close[0]]}?" if close else "musictag models info lists them"
        raise UsageError(f"{option}: the model has no {word!r} ({hint})")
    names = {value.name for value in here}
    yield from here
    for value in vocabulary.values:
        if names & vocabulary.families[value.name]:
            yield value


def _spellings(value: Value) -> set[str]:
    return {spelling(value.name), spelling(value.word)}


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word or "&" in word else word
