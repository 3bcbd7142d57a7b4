"""Taggram → track probabilities → chosen tags → field values. Pure arithmetic.

A taggram is what the model heard: one row of tag probabilities per segment.
Everything between it and a file's fields is decided here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from musictag.outcome import Change

Values = Mapping[str, Sequence[str]]
"""Field → values; a field that is missing has none."""

FIELD_TAGS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "GENRE": {
        "Classical": ("classical", "classic"),
        "Techno": ("techno",),
        "Electronic": ("electronic",),
        "Rock": ("rock",),
        "Opera": ("opera",),
        "Pop": ("pop",),
        "New Age": ("new age",),
        "Dance": ("dance",),
        "Country": ("country",),
        "Metal": ("metal",),
        "Ambient": ("ambient",),
        "Indian": ("indian",),
        "Choral": ("choral", "choir"),
    },
    "MOOD": {
        "Slow": ("slow",),
        "Fast": ("fast",),
        "Loud": ("loud",),
        "Quiet": ("quiet",),
        "Soft": ("soft",),
        "Weird": ("weird",),
    },
    "INSTRUMENT": {
        "Guitar": ("guitar",),
        "Strings": ("strings",),
        "Drums": ("drums",),
        "Piano": ("piano",),
        "Violin": ("violin",),
        "Synth": ("synth",),
        "Harpsichord": ("harpsichord",),
        "Flute": ("flute",),
        "Sitar": ("sitar",),
        "Harp": ("harp",),
        "Cello": ("cello",),
        "Solo": ("solo",),
        "Beats": ("beat", "beats"),
    },
    "VOCALS": {
        "Female": ("female", "woman", "female vocal", "female voice"),
        "Male": ("male", "man", "male vocal", "male voice"),
        "Vocals": ("vocal", "vocals", "voice", "singing"),
        "Instrumental": ("no vocals", "no vocal", "no voice"),
    },
}
"""Field → shown value → the tags that mean it. Every one of the 50 tags stands here once."""

_SHOWN = {
    tag: value for values in FIELD_TAGS.values() for value, tags in values.items() for tag in tags
}
_PLACE = {
    value: (n, field) for field, values in FIELD_TAGS.items() for n, value in enumerate(values)
}

OPPOSITES: tuple[frozenset[str], ...] = (
    frozenset({"Slow", "Fast"}),
    frozenset({"Loud", "Quiet"}),
    frozenset({"Loud", "Soft"}),
    frozenset({"Instrumental", "Vocals"}),
    frozenset({"Instrumental", "Female"}),
    frozenset({"Instrumental", "Male"}),
)
"""Values that no listener would sign together; the stronger one stays."""

POLICIES = ("keep", "merge", "replace")


def track_probabilities(taggram: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Mean over the segments: (n_segments, K) -> (K,).

    Raises ValueError for a taggram without segments: nothing was heard.
    """
    if not taggram:
        raise ValueError("a taggram needs at least one segment")
    return tuple(sum(column) / len(taggram) for column in zip(*taggram, strict=True))


def merge_synonyms(probabilities: Mapping[str, float]) -> dict[str, float]:
    """Shown value → probability: the maximum over the tags that mean it.

    A value none of whose tags the model knows is left out, so that a model
    with another vocabulary simply offers fewer values.
    """
    merged: dict[str, float] = {}
    for tag, probability in probabilities.items():
        value = _SHOWN.get(tag)
        if value is not None and probability >= merged.get(value, probability):
            merged[value] = probability
    return merged


def choose(
    probabilities: Mapping[str, float],
    thresholds: Mapping[str, float],
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
    over = [
        (-_strength(probability, thresholds[value]), _PLACE[value], value)
        for value, probability in merge_synonyms(probabilities).items()
        if probability >= thresholds.get(value, 2.0)
    ]
    chosen: dict[str, list[str]] = {field: [] for field in FIELD_TAGS}
    for _, (_, field), value in sorted(over):
        if not any(frozenset({value, other}) in OPPOSITES for other in chosen[field]):
            chosen[field].append(value)
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
