"""Taggram → track probabilities → chosen tags → field values. Pure arithmetic.

A taggram is what the model heard: one row of tag probabilities per segment.
Everything between it and a file's fields is decided here and nowhere else.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from musictag.errors import UsageError
from musictag.outcome import Change, Discarded
from musictag.vocabulary import FIELDS, UNLISTED, Value, Vocabulary

Values = Mapping[str, Sequence[str]]
"""Field → values; a field that is missing has none."""

POLICIES = ("keep", "merge", "replace")

LIMITS: Mapping[str, int] = {"GENRE": 2, "MOOD": 2, "INSTRUMENT": 4, "VOCALS": 2}
"""Field → most values of a track, unless a user says otherwise."""


def track_probabilities(taggram: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Mean over the segments: (n_segments, K) -> (K,).

    Raises ValueError for a taggram without segments: nothing was heard.
    """
    if not taggram:
        raise ValueError("a taggram needs at least one segment")
    return tuple(sum(column) / len(taggram) for column in zip(*taggram, strict=True))


def merge_synonyms(probabilities: Mapping[str, float], vocabulary: Vocabulary) -> dict[str, float]:
    """Tag → probability in, shown value → probability out: the maximum over the tags that mean it.

    Tags that are not shown are left out, and so are values without a tag among
    these probabilities.
    """
    merged: dict[str, float] = {}
    shown = vocabulary.shown
    for tag, probability in probabilities.items():
        value = shown.get(tag)
        if value is not None and probability >= merged.get(value, probability):
            merged[value] = probability
    return merged


def agreement(probabilities: Mapping[str, float], vocabulary: Vocabulary) -> dict[str, float]:
    """Tag → probability in, shown value → share of listeners who would agree out.

    For values without calibration that is the model's own probability.
    """
    return {
        name: vocabulary.by_name[name].calibrated(probability)
        for name, probability in merge_synonyms(probabilities, vocabulary).items()
    }


def choose(
    probabilities: Mapping[str, float],
    vocabulary: Vocabulary,
    *,
    limits: Mapping[str, int],
    discarded: list[Discarded] | None = None,
) -> dict[str, tuple[str, ...]]:
    """Tag → probability in, field → values to show out, strongest first.

    A value is chosen when its calibrated probability reaches its threshold; how
    far above (in odds) is its strength, so that a rare value well over its own
    bar goes before a common one just over. Values without a threshold are never
    chosen. Of two opposites the stronger stays. A family (Electronic) is shown
    only where none of its members (Techno) is, unless the vocabulary says
    otherwise. Then come the words that the user wants (see `words`). `limits`
    holds the most values a field may get; a field without a limit gets none.

    What is heard and not chosen is added to `discarded`, which takes a while.
    """
    note = None if discarded is None else _Notes(probabilities, vocabulary, discarded)
    over = []
    by_name = vocabulary.by_name  # for each file of a library: a few calls fewer are worth it
    for name, probability in merge_synonyms(probabilities, vocabulary).items():
        value = by_name[name]
        if value.threshold is None:
            if note is not None:
                note.unsure(value)
            continue
        agreed = probability if value.calibration is None else value.calibration(probability)
        if agreed >= value.threshold:
            strength = _strength(agreed, value.threshold)
            over.append((-strength, vocabulary.place[name], value))
        elif note is not None:
            note.below(value)
    kept: dict[str, list[Value]] = {field: [] for field in FIELDS}
    for _, _, value in sorted(over, key=lambda found: found[:2]):
        others = kept[value.field]
        opposite = _opposite(value, others, vocabulary)
        if opposite is None:
            others.append(value)
        elif note is not None:
            note(value, "opposite", opposite)
    chosen = {}
    for field, values in kept.items():
        most = limits.get(field, 0)
        if vocabulary.is_worded:
            words = _worded(values, vocabulary, most, note)
        else:
            words = [value.name for value in _without_families(values, vocabulary, note)]
            if note is not None:
                note.all((by_name[name] for name in words[most:]), "over")
        chosen[field] = tuple(words[:most])
    return chosen


def _opposite(value: Value, others: Sequence[Value], vocabulary: Vocabulary) -> str | None:
    for other in others:
        if frozenset({value.name, other.name}) in vocabulary.opposites:
            return other.name
    return None


def _without_families(
    values: Sequence[Value], vocabulary: Vocabulary, note: _Notes | None
) -> Sequence[Value]:
    if len(values) < 2:
        return values
    families = frozenset().union(*(vocabulary.families[value.name] for value in values))
    if note is not None:
        for value in values:
            if value.name in families:
                members = (v for v in values if value.name in vocabulary.families[v.name])
                note(value, "family", next(members).name)
    return [value for value in values if value.name not in families]


# ---------------------------------------------------------------- the user's words


def _worded(
    values: Sequence[Value], vocabulary: Vocabulary, most: int, note: _Notes | None
) -> list[str]:
    """The words that a user wants for these values of one field, strongest first."""
    welcome: list[Value] = []
    for value in values:
        instead = [value] if not value.unwanted else _listed_families(value, vocabulary)
        if value.unwanted and note is not None:
            note(value, value.unwanted, instead[0].name if instead else "")
        welcome += instead
    wanted = _with_parents(list(dict.fromkeys(welcome)), vocabulary, note)
    words: dict[str, str] = {}
    for value in wanted:
        if len(words) >= most and value.word.casefold() not in words and note is not None:
            note(value, "over")
        if len(words) < most:
            words.setdefault(value.word.casefold(), value.word)
    return list(words.values())


def _listed_families(value: Value, vocabulary: Vocabulary) -> list[Value]:
    """The nearest families on the user's list, for a value that is not on it."""
    if value.unwanted != UNLISTED:
        return []
    parents = [vocabulary.by_name[name] for name in value.parents]
    welcome = [parent for parent in parents if not parent.unwanted]
    return welcome or [v for parent in parents for v in _listed_families(parent, vocabulary)]


def _with_parents(
    values: list[Value], vocabulary: Vocabulary, note: _Notes | None
) -> Sequence[Value]:
    if vocabulary.parents == "none":
        return _without_families(values, vocabulary, note)
    found: list[Value] = []
    for value in _without_families(values, vocabulary, None):
        above = vocabulary.families[value.name]
        families = [v for v in vocabulary.values if v.name in above and not v.unwanted]
        if vocabulary.parents == "only" and families:
            families = [v for v in families if not vocabulary.families[v.name] & above] or families
            if note is not None:
                note(value, "member", families[0].name)
            found += families
        else:
            found += [value, *families]
    return list(dict.fromkeys(found))


class _Notes:
    """Takes down what is heard and not chosen."""

    def __init__(
        self,
        probabilities: Mapping[str, float],
        vocabulary: Vocabulary,
        discarded: list[Discarded],
    ) -> None:
        self._agreed = agreement(probabilities, vocabulary)
        self._discarded = discarded

    def __call__(self, value: Value, why: Any, other: str = "") -> None:
        agreed, threshold = self._agreed.get(value.name, 0.0), value.threshold or 0.0
        self._discarded.append(Discarded(value.field, value.name, why, agreed, threshold, other))

    def all(self, values: Iterable[Value], why: str) -> None:
        for value in values:
            self(value, why)

    def below(self, value: Value) -> None:
        """A value under its threshold is worth a word if it reaches at least half of it."""
        if self._agreed[value.name] >= (value.threshold or 0.0) / 2:
            self(value, "below")

    def unsure(self, value: Value) -> None:
        """A value that is never chosen is worth a word where it is likelier right than wrong."""
        if self._agreed[value.name] >= 0.5:
            self(value, "unsure")


def not_music(probabilities: Mapping[str, float], vocabulary: Vocabulary) -> str | None:
    """The reason code for sound that is not music (a key of `vocabulary.NOT_MUSIC`), or None.

    A track in which a genre is heard is music: people also rap and recite. `vocabulary` is the
    model's own: which words a user wants says nothing about music.
    """
    for value in vocabulary.not_music:
        heard = max((probabilities[tag] for tag in value.tags if tag in probabilities), default=0.0)
        if value.threshold is not None and value.calibrated(heard) >= value.threshold:
            chosen = choose(probabilities, vocabulary, limits={"GENRE": 1})
            return None if chosen["GENRE"] else value.name
    return None


def check_join(join: str, vocabulary: Vocabulary) -> None:
    """UsageError when a model's values could not be taken apart again after joining."""
    for field in FIELDS:
        names = list(dict.fromkeys(value.word for value in vocabulary.in_field(field)))
        for pair in itertools.permutations(names, 2):
            if _taken_apart([join.join(pair)], join) != pair:
                one = next((name for name in pair if join in name), join.join(pair))
                raise UsageError(f"--join: {join!r} cannot be told from what is in {one!r}")


def plan(
    old: Values,
    chosen: Values,
    policies: Mapping[str, str],
    *,
    others: Mapping[str, tuple[str, ...]] | None = None,
    join: str | None = None,
) -> dict[str, Change]:
    """What happens to each field that has a policy.

    `keep` fills only a field that is empty, `merge` adds what is not there yet
    (letter case aside) behind what is, `replace` puts the chosen values in the
    place of the old ones. Where nothing was chosen nothing changes, whatever
    the policy: musictag never empties a field.

    `others` names the fields that stand as musictag wrote them, each with the
    values in it that are somebody else's. The rest is musictag's own, and a
    newer opinion takes its place as if it were not there.

    With `join` the values of a field are written as one text. What an earlier
    run joined is taken apart first, so that doing it twice changes nothing.
    """
    changes = {}
    for field, policy in policies.items():
        apart = tuple(old.get(field, ()))
        before = apart if join is None else _taken_apart(apart, join)
        theirs = before if others is None else others.get(field, before)
        new = tuple(chosen.get(field, ()))
        change = Change(before, _combined(before, theirs, new, policy) if new else before)
        if join is not None and policy == "replace" and new and len(apart) > 1:
            # several values that shall be one are a change, even if they are the same
            change = change if change.changed else Change(apart, (join.join(new),))
        changes[field] = change
    return changes


def _taken_apart(values: Sequence[str], join: str) -> tuple[str, ...]:
    parts = (part.strip() for value in values for part in value.split(join))
    return tuple(part for part in parts if part)


def _combined(
    old: tuple[str, ...], theirs: tuple[str, ...], new: tuple[str, ...], policy: str
) -> tuple[str, ...]:
    if policy == "replace":
        return new
    if policy == "merge":
        present = {name.casefold() for value in theirs for name in (value, *_parts(value))}
        return theirs + tuple(value for value in new if value.casefold() not in present)
    if policy == "keep":
        return old if any(value.strip() for value in theirs) else new
    raise ValueError(f"unknown policy {policy!r}")


def _parts(value: str) -> list[str]:
    """What stands in a value that holds several, as some programs write them."""
    return [part.strip() for part in re.split("[;/,|]", value)]


def _strength(probability: float, threshold: float) -> float:
    """Odds ratio between a probability and its threshold; both are kept off 0 and 1."""
    p, t = (min(max(x, 1e-6), 1 - 1e-6) for x in (probability, threshold))
    return p / (1 - p) * (1 - t) / t
