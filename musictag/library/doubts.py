"""Where the genre in a file and the genre that is heard disagree."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from musictag.vocabulary import Value, Vocabulary
from musictag.words import spelling


@dataclass(frozen=True)
class Doubt:
    """A genre in a file that does not fit what is heard there."""

    tagged: tuple[str, ...]
    """The genres in the file that the model has a word for."""
    tagged_agreement: float
    """Share of listeners who would agree with what fits them best."""
    heard: str
    """The model's name for the genre that is heard instead."""
    heard_agreement: float
    """The same for it."""

    @property
    def confidence(self) -> float:
        """How sure it is that the file is wrong: that the one fits, and the other does not."""
        return self.heard_agreement * (1 - self.tagged_agreement)


class Doubting:
    """Compares genres in files with what one model hears.

    A genre fits if the model's vocabulary lets it stand for the word in the file: the word's own
    value, its families, their members, and what is listed as compatible.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._genres = {v.name: v for v in vocabulary.in_field("GENRE")}
        self._fitting: dict[str, frozenset[str]] = {}
        for word in vocabulary.words:
            self._learn(word, word)
        for value in self._genres.values():
            for name in (*value.tags, value.word, value.name):
                self._learn(name, value.tags[0])

    def _learn(self, name: str, word: str) -> None:
        found = (self._vocabulary.compatible(word) or frozenset()) & self._genres.keys()
        if found:
            self._fitting[spelling(name)] = found

    def known(self, genres: Iterable[str]) -> dict[str, frozenset[str]]:
        """The genres of a file that the model has a word for → the values that fit them."""
        words = (word.strip() for genre in genres for word in [genre, *re.split("[;/,|]", genre)])
        found = ((word, self._fitting.get(spelling(word))) for word in words)
        return {word: fitting for word, fitting in found if fitting is not None}

    def doubt(self, genres: Iterable[str], agreement: Mapping[str, float]) -> Doubt | None:
        """The file's genres against what is heard; None unless the model is sure of something that
        fits none of them, and of nothing that fits one."""
        known = self.known(genres)
        if not known:
            return None
        fitting = frozenset().union(*known.values())
        sure = [value for value in self._genres.values() if _is_sure(value, agreement)]
        if not sure or any(value.name in fitting for value in sure):
            return None
        families = frozenset().union(*(self._vocabulary.families[v.name] for v in sure))
        heard = max(
            (value.name for value in sure if value.name not in families),
            key=lambda name: agreement[name],
        )
        return Doubt(
            tuple(known),
            max(agreement.get(name, 0.0) for name in fitting),
            heard,
            agreement[heard],
        )


def _is_sure(value: Value, agreement: Mapping[str, float]) -> bool:
    agreed = agreement.get(value.name)
    return agreed is not None and value.threshold is not None and agreed >= value.threshold
