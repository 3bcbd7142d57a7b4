"""Taggram → track probabilities → chosen tags → field values. Pure arithmetic.

A taggram is what the model heard: one row of tag probabilities per segment.
Everything between it and a file's fields is decided here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from musictag.outcome import Change
from musictag.vocabulary import FIELDS, Vocabulary

Values = Mapping[str, Sequence[str]]
"""Field → values; a field that is missing has none."""

POLICIES = ("keep", "merge", "replace")


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


def choose(
    probabilities: Mapping[str, float],
    vocabulary: Vocabulary,
    *,
    limits: Mapping[str, int],
) -> dict[str, tuple[str, ...]]:
    """Tag → probability in, field → values to show out, strongest first.

    A value is chosen when its probability reaches its threshold; how far above
    (in odds) is its strength, so that a rare tag well over its own bar goes
    before a common one just over. Values without a threshold are never chosen.
    `limits` holds the most values a field may get; a field without a limit
    gets none.
    """
    over = []
    for name, probability in merge_synonyms(probabilities, vocabulary).items():
        value = vocabulary.by_name[name]
        if value.threshold is not None and probability >= value.threshold:
            strength = _strength(probability, value.threshold)
            over.append((-strength, vocabulary.place[name], value))
    chosen: dict[str, list[str]] = {field: [] for field in FIELDS}
    for _, _, value in sorted(over, key=lambda found: found[:2]):
        kept = chosen[value.field]
        if not any(frozenset({value.name, other}) in vocabulary.opposites for other in kept):
            kept.append(value.name)
    return {field: tuple(kept[: limits.get(field, 0)]) for field, kept in chosen.items()}


def plan(
    old: Values,
    chosen: Values,
    policies: Mapping[str, str],
    *,
    others: Mapping[str, tuple[str, ...]] | None = None,
) -> dict[str, Change]:
    """What happens to each field that has a policy.

    `keep` fills only a field that is empty, `merge` adds what is not there yet
    (letter case aside) behind what is, `replace` puts the chosen values in the
    place of the old ones. Where nothing was chosen nothing changes, whatever
    the policy: musictag never empties a field.

    `others` names the fields that stand as musictag wrote them, each with the
    values in it that are somebody else's. The rest is musictag's own, and a
    newer opinion takes its place as if it were not there.
    """
    changes = {}
    for field, policy in policies.items():
        before = tuple(old.get(field, ()))
        theirs = before if others is None else others.get(field, before)
        new = tuple(chosen.get(field, ()))
        changes[field] = Change(before, _combined(before, theirs, new, policy) if new else before)
    return changes


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
