"""What people wrote into a field → words that can be learned.

Values are mapped and split as the user says. Spellings that differ only in case and punctuation are
one word, called by the most common of them. What cannot be a word is left out, with the reason.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from musictag.errors import DataSetError
from musictag.training.scores import Mask
from musictag.vocabulary import LONGEST_NAME, MOST_VALUES, SEPARATORS, parse

MOST_WORDS_IN_VALUE = 5
"""Words in a value, at most; more are a sentence."""
MANY = 200
"""Different values that may be many; below, a field is not called a heap of remarks."""
DIFFERENT = 0.5
"""Share of the tagged tracks from which on as many different values are no vocabulary."""
TRASH = frozenset({"", "unknown", "other", "none", "na", "undefined", "misc", "genre"})
"""Keys of values that say nothing."""


@dataclass(frozen=True)
class Reading:
    """How the user wants values to be read."""

    split: str = ""
    """Characters at which a value is split into several."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Value → the word it stands for; an empty word leaves it out."""

    def words(self, values: Iterable[str]) -> list[str]:
        """The words in a file's values. A whole value is mapped before it is split."""
        names = {key_of(value): word for value, word in self.names.items()}
        found: list[str] = []
        for value in values:
            whole = " ".join(value.split())
            if key_of(whole) in names:
                found.append(names[key_of(whole)])
                continue
            parts = re.split(f"[{re.escape(self.split)}]", whole) if self.split else [whole]
            found += [names.get(key_of(part), part.strip()) for part in parts]
        return [word for word in found if word]


@dataclass(frozen=True)
class Labels:
    """The words of some tracks."""

    names: tuple[str, ...]
    """The commonest first."""
    table: Mask
    """(n, K): which track has which word."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Value → why it is not learned."""

    def only(self, columns: Sequence[int], left_out: Mapping[str, str]) -> Labels:
        names = tuple(self.names[k] for k in columns)
        return Labels(names, self.table[:, list(columns)], {**self.left_out, **left_out})


def key_of(value: str) -> str:
    """What spellings of one word have in common: letters and digits; "&" is "and"."""
    text = unicodedata.normalize("NFKC", value).casefold()
    text = re.sub(r"&|\+|['’` ]n['’` ]", " and ", text)
    return "".join(c for c in text if unicodedata.category(c)[0] in "LNM")


def labels(tracks: Sequence[Sequence[str]], field_name: str, *, min_count: int) -> Labels:
    """The words of tracks, each given as the words of its files.

    DataSetError, in one sentence, where there is nothing to learn from.
    """
    name = field_name.lower()
    spellings = Counter(word for words in tracks for word in dict.fromkeys(words))
    by_key: dict[str, Counter[str]] = {}
    for word, n in spellings.items():
        by_key.setdefault(key_of(word), Counter())[word] = n
    called = {key: max(some.items(), key=_commonest)[0] for key, some in by_key.items()}
    keyed = [list(dict.fromkeys(key_of(word) for word in words)) for words in tracks]
    counts = Counter(key for keys in keyed for key in keys)
    n_tagged = sum(1 for keys in keyed if keys)
    left_out = {
        called[key]: why
        for key, n in counts.most_common()
        if (why := _unfit(key, called[key], n, min_count))
    }
    _check(name, called, counts, n_tagged, left_out, min_count)
    kept = [key for key, _ in counts.most_common() if called[key] not in left_out]
    if len(kept) > MOST_VALUES:
        raise DataSetError(f"{name}: {len(kept):,} values are more than {MOST_VALUES:,}")
    place = {key: k for k, key in enumerate(kept)}
    table = np.zeros((len(tracks), len(kept)), dtype=bool)
    for row, keys in zip(table, keyed, strict=True):
        row[[place[key] for key in keys if key in place]] = True
    return Labels(tuple(called[key] for key in kept), table, left_out)


def _commonest(found: tuple[str, int]) -> tuple[int, bool, list[int]]:
    """The spelling in most tracks; of equals one with capitals, then the first in the alphabet."""
    word, n = found
    return n, word != word.lower(), [-ord(character) for character in word]


def _unfit(key: str, word: str, n: int, min_count: int) -> str:
    """Why a value is not learned; empty if it may be."""
    if key in TRASH:
        return "says nothing"
    if len(word) > LONGEST_NAME or len(word.split()) > MOST_WORDS_IN_VALUE:
        return "a sentence, not a word"
    if held := sorted(set(word) & set(SEPARATORS)):
        return f"holds {held[0]!r}: say --split-at {held[0]!r} or --map '{word}=…'"
    try:
        parse({"values": {"GENRE": {word: {"tags": [word]}}}})
    except ValueError as error:
        return str(error)
    if n < min_count:
        return f"{n} track{'s' * (n != 1)}, {min_count} are needed (--min-count)"
    return ""


def _check(
    name: str,
    called: Mapping[str, str],
    counts: Counter[str],
    n_tagged: int,
    left_out: Mapping[str, str],
    min_count: int,
) -> None:
    """DataSetError where no two words are left to be told apart."""
    if not n_tagged:
        raise DataSetError(f"no file has a {name}: there is nothing to learn from")
    if len(counts) == 1:
        (key,) = counts
        raise DataSetError(
            f"all {n_tagged:,} tagged files have the {name} {called[key]!r}: "
            "there is nothing to tell it from"
        )
    if len(counts) > max(MANY, DIFFERENT * n_tagged):
        raise DataSetError(
            f"{n_tagged:,} tagged files have {len(counts):,} different values in {name}: "
            "these are remarks, not words to learn"
        )
    kept = [key for key in counts if called[key] not in left_out]
    if len(kept) > 1:
        return
    sentences = [why for why in left_out.values() if why.startswith("a sentence")]
    if len(sentences) > len(left_out) / 2:
        raise DataSetError(f"most values in {name} are sentences, not words to learn")
    key, n = counts.most_common(1)[0]
    if not kept and n < min_count:
        raise DataSetError(
            f"no {name} has {min_count} tracks (the commonest, {called[key]!r}, has {n}): "
            "tag more files, or say --min-count"
        )
    value, why = next(iter(left_out.items()))
    raise DataSetError(f"{'only one' if kept else 'no'} {name} can be learned: {value!r} {why}")
