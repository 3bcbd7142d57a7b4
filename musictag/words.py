"""A model's vocabulary in the words that a user wants, and as sure as the user wants.

`worded` gives a vocabulary in which some values are written as another word, some are unwanted, and
thresholds may differ; `decision.choose` does the rest. The user's names are compared without
letter case, hyphens and the like: hip-hop is Hip Hop, R and B is R&B.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from musictag.errors import UsageError, system_trouble
from musictag.vocabulary import DROPPED, UNLISTED, Value, Vocabulary, bundled

PARENTS = ("none", "add", "only")
"""What becomes of families (Electronic) beside their members (Techno): they give way to them, stand
behind them, or stand in their place."""

SURE: Mapping[str, float | None] = {"careful": 0.75, "balanced": None, "bold": 0.3}
"""Word → the share of listeners who would agree; None: each value's own threshold."""

_LARGEST_LIST = 2**20
"""Bytes of a text file of genres, at most."""

_Thing = TypeVar("_Thing")


class Wishes(Protocol):
    """What a user wants of a vocabulary; the settings fit it."""

    @property
    def sure(self) -> float | str: ...
    @property
    def thresholds(self) -> Mapping[str, float]: ...
    @property
    def rename(self) -> Mapping[str, str]: ...
    @property
    def drop(self) -> tuple[str, ...]: ...
    @property
    def whitelist(self) -> tuple[str, ...] | str | None: ...
    @property
    def parents(self) -> str: ...


def worded(vocabulary: Vocabulary, wishes: Wishes) -> Vocabulary:
    """The vocabulary as the user wants it; UsageError for a list that cannot be read."""
    sure = SURE[wishes.sure] if isinstance(wishes.sure, str) else wishes.sure
    thresholds = _by_spelling(wishes.thresholds)
    renamed = _by_spelling(wishes.rename)
    dropped = frozenset(map(spelling, wishes.drop))
    listed = _listed(wishes.whitelist)

    def as_wanted(value: Value) -> Value:
        name = spelling(value.name)
        written = renamed.get(name, value.name)
        unwanted = ""
        if name in dropped or spelling(written) in dropped:
            unwanted = DROPPED
        elif listed is not None and value.field == "GENRE" and spelling(written) not in listed:
            unwanted = UNLISTED
        threshold = value.threshold
        # A probability without calibration is no share of listeners: it keeps its own threshold.
        if sure is not None and threshold is not None and value.calibration is not None:
            threshold = sure
        return dataclasses.replace(
            value,
            written=written if written != value.name else "",
            unwanted=unwanted,
            threshold=thresholds.get(name, threshold),
        )

    return dataclasses.replace(
        vocabulary, values=tuple(map(as_wanted, vocabulary.values)), parents=wishes.parents
    )


def doubts(vocabulary: Vocabulary, wishes: Wishes) -> list[str]:
    """Wishes that have no effect on this vocabulary, in sentences.

    Words of a bundled vocabulary are in order: the settings may serve several models.
    """
    found = []
    known = {spelling(value.name): value.name for value in vocabulary.values}
    elsewhere = _bundled_words() | {spelling(word) for word in wishes.rename.values()}
    for setting, names in (
        ("rename", wishes.rename),
        ("drop", wishes.drop),
        ("thresholds", wishes.thresholds),
    ):
        unknown = (name for name in names if spelling(name) not in known.keys() | elsewhere)
        found += [f"{setting}: the model has no {n!r}{_meant(n, known)}" for n in unknown]
    if isinstance(wishes.sure, float) or SURE.get(wishes.sure) is not None:
        plain = [v.name for v in vocabulary.values if v.threshold is not None and not v.calibration]
        if plain:
            some = "no value" if len(plain) == len(vocabulary.thresholds) else "not every value"
            found.append(
                f"sure: {some} of the model is calibrated: "
                f"{len(plain)} keep their own thresholds, for instance {plain[0]}"
            )
    genres = [value for value in worded(vocabulary, wishes).values if value.field == "GENRE"]
    if genres and all(value.unwanted for value in genres):
        found.append("whitelist, drop: none of the model's genres is left")
    return found


@functools.lru_cache(maxsize=4096)
def spelling(word: str) -> str:
    """A word without letter case, accents, spaces and punctuation; & is and."""
    plain = unicodedata.normalize("NFKD", word.casefold())
    plain = re.sub(r"&|\bn\b|(?<=^r)n(?=b$)", "and", plain)  # Drum 'n' Bass, RnB
    return "".join(c for c in plain if c.isalnum()) or word


def _by_spelling(table: Mapping[str, _Thing]) -> dict[str, _Thing]:
    return {spelling(name): value for name, value in table.items()}


def _listed(whitelist: Iterable[str] | str | None) -> frozenset[str] | None:
    if whitelist is None:
        return None
    if isinstance(whitelist, str):
        return _read_list(whitelist)
    return frozenset(map(spelling, whitelist))


def _read_list(name: str) -> frozenset[str]:
    """The genres in a text file, one per line; empty lines and those that begin with # are none."""
    path = Path(name)
    try:
        if path.stat().st_size > _LARGEST_LIST:
            raise UsageError(f"whitelist: {name}: this is no list of genres: it is too long")
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"whitelist: {name}: {system_trouble(error).reason}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"whitelist: {name}: not a text file in UTF-8") from error
    words = [line.strip() for line in lines]
    found = frozenset(spelling(word) for word in words if word and not word.startswith("#"))
    if not found:
        raise UsageError(f"whitelist: {name}: there is no genre in it")
    return found


@functools.cache
def _bundled_words() -> frozenset[str]:
    vocabularies = (bundled("listener"), bundled("magnatagatune"))
    return frozenset(spelling(v.name) for found in vocabularies for v in found.values)


def _meant(name: str, known: Mapping[str, str]) -> str:
    import difflib  # noqa: PLC0415  # only for mistakes

    close = difflib.get_close_matches(spelling(name), known, 1)
    return f" (did you mean {known[close[0]]}?)" if close else ""
