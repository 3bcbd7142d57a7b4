"""What was learned of one's own words, and which files are doubted, for people and programs."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

from rich.cells import cell_len

from musictag.report.terminal import console, is_ascii, marks, room, shortened, wrapped
from musictag.report.text import visible

VERDICTS = {
    "written": "will be written",
    "suggested": "will be suggested",
    "inaudible": "cannot be told by ear",
}
"""Verdict → heading, in order."""
MOST_LEFT_OUT = 20
"""Values in the table that are not learned."""
LEAST_NAME, MOST_NAME = 12, 24
"""Columns of a value."""
NUMBERS = (6, 6, 13, 13)
"""Columns of tracks, albums, precision and coverage."""
LEAST_CONFUSED = 20
"""Columns of the words that a value is confused with; with fewer left, they stand below it."""
GAP = 2


class _Score(Protocol):
    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


class _Word(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def n_tracks(self) -> int: ...
    @property
    def n_albums(self) -> int: ...
    @property
    def verdict(self) -> str: ...
    @property
    def threshold(self) -> float | None: ...
    @property
    def roc_auc(self) -> _Score: ...
    @property
    def precision(self) -> _Score: ...
    @property
    def coverage(self) -> _Score: ...
    @property
    def wrong_for(self) -> Mapping[str, int]: ...
    @property
    def missed_for(self) -> Mapping[str, int]: ...


def table(
    field: str, words: Sequence[_Word], left_out: Mapping[str, str], stdout: TextIO
) -> Iterator[str]:
    """One line for each value, under the verdict on it; lines fit the output's width."""
    yield from _Table(words, stdout).lines(field, words, left_out)


class _Table:
    def __init__(self, words: Sequence[_Word], stdout: TextIO) -> None:
        self._width = console(stdout).width
        self._ascii = is_ascii(stdout)
        _, self._none, self._cut = marks(stdout)
        numbers = sum(NUMBERS) + GAP * len(NUMBERS)
        longest = max((cell_len(visible(word.name)) for word in words), default=0)
        beside = self._width - numbers - GAP - GAP - LEAST_CONFUSED
        self._beside = beside >= LEAST_NAME
        most = beside if self._beside else self._width - numbers - GAP
        self._name = max(min(longest, MOST_NAME, most), min(LEAST_NAME, most), 1)
        self._confused = self._width - self._name - numbers - GAP - GAP

    def lines(
        self, field: str, words: Sequence[_Word], left_out: Mapping[str, str]
    ) -> Iterator[str]:
        heading = (field.title(), "Tracks", "Albums", "Precision %", "Coverage %")
        last = "Confused with" if self._beside else ""
        yield self._row(heading[0], heading[1:], last, indent=0)
        for verdict, title in VERDICTS.items():
            some = [word for word in words if word.verdict == verdict]
            if some:
                yield title
            for word in some:
                yield from self._word(word)
        yield from self._left_out(left_out)

    def _word(self, word: _Word) -> Iterator[str]:
        numbers = (
            f"{word.n_tracks:,}",
            f"{word.n_albums:,}",
            self._percent(word.precision),
            self._percent(word.coverage),
        )
        name = shortened(visible(word.name), self._name, self._cut)
        confused = self._names(word)
        if self._beside:
            first, *others = wrapped(confused, self._confused, breaks=" ", indent=0) or [""]
            yield self._row(name, numbers, first)
            before = " " * (self._width - self._confused)
            yield from (before + line for line in others)
        else:
            yield self._row(name, numbers, "")
            if confused:
                text = f"    confused with {confused}"
                yield from wrapped(text, self._width, breaks=" ", indent=6)

    def _row(self, name: str, numbers: Sequence[str], confused: str, *, indent: int = GAP) -> str:
        cells = [f"{number:>{width}}" for number, width in zip(numbers, NUMBERS, strict=True)]
        first = _padded(" " * indent + name, GAP + self._name)
        return (" " * GAP).join([first, *cells, confused]).rstrip()

    def _percent(self, score: _Score) -> str:
        """Value and interval in per cent."""
        if math.isnan(score.value):
            return self._none
        dash = "-" if self._ascii else "–"
        value, low, high = (
            "?" if math.isnan(number) else f"{100 * number:.0f}"
            for number in (score.value, score.low, score.high)
        )
        return f"{value} ({low}{dash}{high})"

    @staticmethod
    def _names(word: _Word) -> str:
        """The words that this one is mixed up with most, and for how many tracks."""
        both = Counter(word.wrong_for)
        both.update(word.missed_for)
        both.pop("", None)
        return ", ".join(f"{visible(name)} {n}" for name, n in both.most_common(3))

    def _left_out(self, left_out: Mapping[str, str]) -> Iterator[str]:
        if left_out:
            yield "not learned"
        for value, why in list(left_out.items())[:MOST_LEFT_OUT]:
            text = f"  {shortened(visible(value), MOST_NAME, self._cut)}: {visible(why)}"
            yield from wrapped(text, self._width, breaks=" ", indent=4)
        if (n := len(left_out) - MOST_LEFT_OUT) > 0:
            yield f"  and {n:,} more (--format jsonl lists all)"


def records(words: Sequence[_Word], left_out: Mapping[str, str]) -> Iterator[str]:
    """One JSON object for each value, also for those that are not learned."""
    for word in words:
        yield json.dumps(
            {
                "value": word.name,
                "verdict": word.verdict,
                "tracks": word.n_tracks,
                "albums": word.n_albums,
                "threshold": word.threshold,
                "roc_auc": _score(word.roc_auc),
                "precision": _score(word.precision),
                "coverage": _score(word.coverage),
                "wrong_for": dict(word.wrong_for),
                "missed_for": dict(word.missed_for),
            }
        )
    for value, why in left_out.items():
        yield json.dumps({"value": value, "verdict": "not learned", "reason": why})


def _score(score: _Score) -> list[float] | None:
    """Value, low and high end of the interval; none for what cannot be told."""
    if math.isnan(score.value):
        return None
    return [round(0.0 if math.isnan(n) else n, 4) for n in (score.value, score.low, score.high)]


# ---------------------------------------------------------------- doubt


class _Doubt(Protocol):
    @property
    def row(self) -> int: ...
    @property
    def word(self) -> str: ...
    @property
    def probability(self) -> float: ...
    @property
    def rather(self) -> str: ...
    @property
    def probability_of_that(self) -> float: ...


def doubts(found: Sequence[tuple[Path, _Doubt]], form: str, stdout: TextIO) -> Iterator[str]:
    """One line for each file: its word, how likely that is, and the likeliest other word. `form` is
    table, jsonl or paths."""
    if form == "table":
        yield from _doubt_table(found, stdout)
        return
    for path, doubt in found:
        if form == "paths":
            yield os.fspath(path)
        else:
            record: dict[str, Any] = {
                "path": os.fspath(path),
                "value": doubt.word,
                "probability": round(doubt.probability, 4),
                "rather": doubt.rather or None,
                "probability_of_that": round(doubt.probability_of_that, 4),
            }
            yield json.dumps(record)


def _doubt_table(found: Sequence[tuple[Path, _Doubt]], stdout: TextIO) -> Iterator[str]:
    """Paths are whole: they are what one needs next."""
    _, _, cut = marks(stdout)
    rows = [
        (
            _sure(shortened(visible(doubt.word), MOST_NAME, cut), doubt.probability),
            _sure(shortened(visible(doubt.rather), MOST_NAME, cut), doubt.probability_of_that),
            visible(os.fspath(path)),
        )
        for path, doubt in found
    ]
    if not rows:
        return
    rows.insert(0, ("Tagged", "Rather", "File"))
    first, second = (max(cell_len(row[n]) for row in rows) + GAP for n in (0, 1))
    most = room(stdout)
    for tagged, rather, name in rows:
        front = _padded(tagged, first) + _padded(rather, second)
        if most is None or cell_len(front + name) <= most:
            yield front + name
        else:
            yield front.rstrip()
            yield from wrapped(f"  {name}", most, breaks=f" {os.sep}", indent=4)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _sure(word: str, probability: float) -> str:
    return f"{word} {probability:.0%}" if word else ""
