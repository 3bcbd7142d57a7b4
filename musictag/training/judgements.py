"""What people said about tracks, as yes, no or unknown for each value that can be shown.

People were asked for genres, for moods and for voices. A value stands when a
listener who gave these words would let it stand; the vocabulary knows which
values may stand for a word. Some of them they have not named: who says "rock"
has not said whether it is punk, who says "pop or rock" not which of the two.
There the question stays open. Where nobody was asked nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from musictag.training.dataset import DataSet, Example
from musictag.training.scores import Mask
from musictag.vocabulary import Vocabulary


@dataclass(frozen=True)
class Judgements:
    """People's opinion of every value for every track: masks of (n_tracks, n_values)."""

    tracks: tuple[str, ...]
    names: tuple[str, ...]
    """Of the values, in the vocabulary's order."""
    asked: Mask
    """Whether people's words say anything about the value."""
    stands: Mask
    """Whether they would let it stand."""
    open: Mask
    """Whether it stands without having been named: a member of a family that was, one of several
    alternatives, or a value that is merely compatible."""


def judgements(dataset: DataSet, rows: Sequence[int], vocabulary: Vocabulary) -> Judgements:
    """What people said about the tracks of some examples, in the order of the tracks."""
    examples = one_per_track(dataset, rows)
    shape = len(examples), len(vocabulary.values)
    asked, stands, left_open = (np.zeros(shape, dtype=bool) for _ in range(3))
    moods = _moods_with_words(vocabulary)
    for t, example in enumerate(examples.values()):
        allowed = {
            "GENRE": genres_that_stand(example.people, vocabulary),
            "MOOD": _moods_that_stand(example, vocabulary),
            "VOCALS": _voices_that_stand(example, vocabulary),
        }
        certain = _certain(example, vocabulary)
        for v, value in enumerate(vocabulary.values):
            names = allowed.get(value.field)
            if names is not None and (value.field != "MOOD" or value.name in moods):
                asked[t, v] = True
                stands[t, v] = value.name in names
                left_open[t, v] = value.name in names and value.name not in certain
    return Judgements(tuple(examples), tuple(vocabulary.by_name), asked, stands, left_open)


def one_per_track(dataset: DataSet, rows: Iterable[int]) -> Mapping[str, Example]:
    """Track → its first example: what people said holds for all excerpts of a recording."""
    first: dict[str, Example] = {}
    for row in rows:
        first.setdefault(dataset.examples[row].track, dataset.examples[row])
    return first


def genres_that_stand(
    people: Sequence[frozenset[str]], vocabulary: Vocabulary
) -> frozenset[str] | None:
    """The genres that people would let stand; None where they were not asked, or said nothing
    that the vocabulary knows."""
    words = frozenset[str]().union(*people)
    own = [word for word in words if is_genre(word, vocabulary)]
    return _union(vocabulary.compatible(word) for word in own or words)


def is_genre(word: str, vocabulary: Vocabulary) -> bool:
    """Whether a word is itself a genre that can be shown, so that it can be found or missed."""
    value = vocabulary.shown.get(word)
    return value is not None and vocabulary.by_name[value].field == "GENRE"


def named(example: Example, vocabulary: Vocabulary) -> frozenset[str]:
    """The values that people named for a track, by their own words or by those of its mood; of
    alternatives all."""
    genres = {
        vocabulary.shown[w] for some in example.people for w in some if is_genre(w, vocabulary)
    }
    voices = _voice(example) & vocabulary.shown.keys()
    moods = _moods_that_stand(example, vocabulary) or frozenset()
    return frozenset({*genres, *(vocabulary.shown[word] for word in voices), *moods})


def _certain(example: Example, vocabulary: Vocabulary) -> frozenset[str]:
    """The values that people named without alternatives, and the families of these."""
    alone = (some for some in example.people if len(some) == 1)
    found = named(replace(example, people=tuple(alone)), vocabulary)
    return found.union(*(vocabulary.families[name] for name in found))


def _moods_that_stand(example: Example, vocabulary: Vocabulary) -> frozenset[str] | None:
    words = [*example.moods, example.quadrant]
    return _union(vocabulary.words.get(word) for word in words)


def _moods_with_words(vocabulary: Vocabulary) -> frozenset[str]:
    """The moods that people can name."""
    names = frozenset[str]().union(*vocabulary.words.values())
    return frozenset(name for name in names if vocabulary.by_name[name].field == "MOOD")


def _voices_that_stand(example: Example, vocabulary: Vocabulary) -> frozenset[str] | None:
    return _union(vocabulary.compatible(word) for word in _voice(example))


def _voice(example: Example) -> frozenset[str]:
    """A tag that says whether there is a voice; none where nobody said."""
    if example.voice is None:
        return frozenset()
    return frozenset({"voice" if example.voice else "no voice"})


def _union(found: Iterable[Iterable[str] | None]) -> frozenset[str] | None:
    """None where there is nothing to join."""
    some = [names for names in found if names is not None]
    return frozenset[str]().union(*some) if some else None
