"""What a model's tags mean to a listener: values, their fields and how they relate.

A vocabulary is data and belongs to one model; `config.json` holds it in this form:

    {"values": {"GENRE": {"Techno": {"tags": ["techno"], "parents": ["Electronic"],
                                     "compatible": ["Dance"]}, …}, …},
     "opposites": [["Slow", "Fast"], …],
     "not music": {"speech": {"tags": ["speech"]}},
     "not shown": {"harp": "why it is not shown"},
     "words": {"film": ["Ambient", "Classical"]}}

Thresholds and calibration depend on the weights, so they are stored beside it.
The vocabularies in `musictag/vocabularies` have the same form.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

FIELDS = ("GENRE", "MOOD", "INSTRUMENT", "VOCALS")
"""The metadata fields that musictag can write."""

NOT_MUSIC: Mapping[str, str] = {"speech": "it is speech, not music"}
"""Reason code → sentence, for sound that gets no values because it is not music."""

DROPPED, UNLISTED = "dropped", "unlisted"
"""Why a user does not want a value: by name, or because it is not on the list of genres."""

MOST_VALUES = 1_000
"""Values in a vocabulary, at most."""
MOST_TAGS = 10_000
"""Tags in a vocabulary, at most."""
LONGEST_NAME = 64
"""Characters in the name of a value, at most."""
LONGEST_TAG = 200
"""Characters in a tag or in one of people's words, at most."""
SEPARATORS = "/;,|\0"
"""Characters at which players split a value, so no name may hold them."""

_Kind = TypeVar("_Kind")


@dataclass(frozen=True)
class Calibration:
    """A logistic curve from what a model says to how many listeners would agree."""

    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, probability: float) -> float:
        p = min(max(probability, 1e-6), 1 - 1e-6)
        return 1 / (1 + math.exp(-self.slope * math.log(p / (1 - p)) - self.offset))


@dataclass(frozen=True)
class Value:
    """One word that listeners see."""

    name: str
    field: str
    """One of FIELDS; empty for what is not music."""
    tags: tuple[str, ...]
    """The model's tags that mean it. The likeliest of them counts."""
    parents: tuple[str, ...] = ()
    """Families it belongs to: Techno is Electronic."""
    compatible: tuple[str, ...] = ()
    """Other values that a listener who gave this word would let stand, besides its families and
    their members."""
    threshold: float | None = None
    """Calibrated probability from which it is chosen; None: never."""
    calibration: Calibration | None = None
    """None: the model's probability is taken as it is."""
    written: str = ""
    """The word that a user wants for it; empty: its name."""
    unwanted: str = ""
    """Why a user does not want it, DROPPED or UNLISTED; empty: it is welcome."""

    @property
    def word(self) -> str:
        """What goes into files."""
        return self.written or self.name

    def calibrated(self, probability: float) -> float:
        return probability if self.calibration is None else self.calibration(probability)


@dataclass(frozen=True)
class Vocabulary:
    """All values that one model can give. Names and tags are unique in it."""

    values: tuple[Value, ...]
    opposites: frozenset[frozenset[str]] = frozenset()
    """Pairs of values that no listener would sign together."""
    not_music: tuple[Value, ...] = ()
    """What rules all values out; their names are codes of NOT_MUSIC."""
    not_shown: Mapping[str, str] = field(default_factory=dict)
    """Tag → why no value is made of it."""
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """People's words → values that may stand for them, where no value of their own says it."""
    parents: str = "none"
    """What becomes of families beside their members: a key of `words.PARENTS`."""

    @cached_property
    def is_worded(self) -> bool:
        """Whether a user wants other words than the model's."""
        return self.parents != "none" or any(v.written or v.unwanted for v in self.values)

    @cached_property
    def by_name(self) -> Mapping[str, Value]:
        """Value by name, in the vocabulary's order."""
        return {value.name: value for value in self.values}

    @cached_property
    def shown(self) -> Mapping[str, str]:
        """Tag → name of the value that it means."""
        return {tag: value.name for value in self.values for tag in value.tags}

    @cached_property
    def place(self) -> Mapping[str, int]:
        """Name of a value → its place in the vocabulary."""
        return {value.name: n for n, value in enumerate(self.values)}

    @cached_property
    def families(self) -> Mapping[str, frozenset[str]]:
        """Name of a value → its parents, their parents and so on."""
        found: dict[str, frozenset[str]] = {}

        def above(name: str) -> frozenset[str]:
            if name not in found:
                parents = self.by_name[name].parents
                found[name] = frozenset(parents).union(*map(above, parents))
            return found[name]

        return {value.name: above(value.name) for value in self.values}

    @cached_property
    def tags(self) -> frozenset[str]:
        """All tags that it knows, shown or not."""
        speech = (tag for value in self.not_music for tag in value.tags)
        return frozenset({*self.shown, *self.not_shown, *speech})

    @property
    def thresholds(self) -> dict[str, float]:
        """Name → threshold, for the values that have one."""
        every = (*self.values, *self.not_music)
        return {value.name: value.threshold for value in every if value.threshold is not None}

    @property
    def calibration(self) -> dict[str, Calibration]:
        """Name → calibration, for the values that have one."""
        every = (*self.values, *self.not_music)
        return {value.name: value.calibration for value in every if value.calibration is not None}

    def in_field(self, name: str) -> tuple[Value, ...]:
        """The values of one field, in the vocabulary's order."""
        return tuple(value for value in self.values if value.field == name)

    def compatible(self, word: str) -> frozenset[str] | None:
        """The values that may stand for a word that people gave; None for an unknown word.

        Those are the word's own value, its families and their members below it,
        and what the vocabulary lists for it.
        """
        if word in self.words:
            return frozenset(self.words[word])
        name = self.shown.get(word)
        if name is None:
            return None
        members = {other for other, above in self.families.items() if name in above}
        return frozenset({name, *self.families[name], *members, *self.by_name[name].compatible})

    def with_thresholds(self, thresholds: Mapping[str, float]) -> Vocabulary:
        """The same values with these thresholds; a value that is not named has none."""
        return self._each(lambda v: dataclasses.replace(v, threshold=thresholds.get(v.name)))

    def with_calibration(self, calibration: Mapping[str, Calibration]) -> Vocabulary:
        """The same values with these calibrations; a value that is not named has none."""
        return self._each(lambda v: dataclasses.replace(v, calibration=calibration.get(v.name)))

    def _each(self, change: Callable[[Value], Value]) -> Vocabulary:
        return dataclasses.replace(
            self,
            values=tuple(map(change, self.values)),
            not_music=tuple(map(change, self.not_music)),
        )

    def of(self, tags: Iterable[str]) -> Vocabulary:
        """What is left of it for a model with these tags. Tags that it does not know are not in
        it; values without a tag are gone."""
        known = frozenset(tags)

        def left(values: Iterable[Value]) -> tuple[Value, ...]:
            some = (
                dataclasses.replace(value, tags=tuple(tag for tag in value.tags if tag in known))
                for value in values
            )
            return tuple(value for value in some if value.tags)

        values = left(self.values)
        names = frozenset(value.name for value in values)
        return Vocabulary(
            values=tuple(
                dataclasses.replace(
                    value,
                    parents=tuple(name for name in value.parents if name in names),
                    compatible=tuple(name for name in value.compatible if name in names),
                )
                for value in values
            ),
            opposites=frozenset(pair for pair in self.opposites if pair <= names),
            not_music=left(self.not_music),
            not_shown={tag: why for tag, why in self.not_shown.items() if tag in known},
            words={
                word: tuple(name for name in stand if name in names)
                for word, stand in self.words.items()
            },
        )

    def check_covers(self, tags: Iterable[str]) -> None:
        """ValueError for a tag without a meaning, and for a meaning without its tag."""
        given = frozenset(tags)
        if unknown := sorted(given - self.tags):
            raise ValueError(
                f"no value for {_some(unknown)} (give each tag a value in the vocabulary, "
                'or list it under "not shown")'
            )
        if missing := sorted(self.tags - given):
            raise ValueError(f"the vocabulary names {_some(missing)}, which the model has not")

    def to_json(self) -> dict[str, Any]:
        """The form that `parse` reads."""
        fields: dict[str, dict[str, Any]] = {}
        for value in self.values:
            described: dict[str, Any] = {"tags": list(value.tags)}
            for name in ("parents", "compatible"):
                if names := getattr(value, name):
                    described[name] = list(names)
            fields.setdefault(value.field, {})[value.name] = described
        place = self.place.__getitem__
        return {
            "values": fields,
            "opposites": sorted(
                (sorted(pair, key=place) for pair in self.opposites),
                key=lambda pair: [place(name) for name in pair],
            ),
            "not music": {value.name: {"tags": list(value.tags)} for value in self.not_music},
            "not shown": dict(self.not_shown),
            "words": {word: list(names) for word, names in self.words.items()},
        }


# ---------------------------------------------------------------- bundled


@functools.cache
def bundled(name: str) -> Vocabulary:
    """A vocabulary that comes with musictag: `magnatagatune` or `listener`."""
    path = Path(__file__).with_name("vocabularies") / f"{name}.json"
    return parse(json.loads(path.read_text(encoding="utf-8")))


def magnatagatune() -> Vocabulary:
    """The one for MagnaTagATune's 50 tags, which models of format 1 do not bring along."""
    return bundled("magnatagatune")


def listener() -> Vocabulary:
    """The one for the 140 tags of the listener models: words that listeners use."""
    return bundled("listener")


def for_tags(tags: Iterable[str]) -> Vocabulary:
    """The bundled vocabulary for a data set's tags; a tag that it does not know is not shown."""
    given = tuple(tags)
    known = listener() if set(given) & (listener().tags - magnatagatune().tags) else magnatagatune()
    found = known.of(given)
    unknown = {tag: "no bundled vocabulary knows it" for tag in given if tag not in known.tags}
    return dataclasses.replace(found, not_shown={**found.not_shown, **unknown})


# ---------------------------------------------------------------- reading


def parse(raw: object) -> Vocabulary:
    """The vocabulary in a parsed JSON object, which may come from a stranger.

    Raises TypeError or ValueError that says what is wrong with it.
    """
    given = _object(raw, "the vocabulary", _SECTIONS)
    values = tuple(_values(given.get("values", {})))
    not_music = tuple(
        Value(code, "", _strings(described, "tags", f"not music: {code}"))
        for code, described in _object(given.get("not music", {}), "not music", NOT_MUSIC).items()
    )
    found = Vocabulary(
        values=values,
        opposites=frozenset(map(_pair, _typed(given.get("opposites", []), list, "opposites"))),
        not_music=not_music,
        not_shown={
            tag: _text(why, LONGEST_TAG, "not shown")
            for tag, why in _object(given.get("not shown", {}), "not shown").items()
        },
        words={
            _text(word, LONGEST_TAG, "words"): _strings({"values": names}, "values", word)
            for word, names in _object(given.get("words", {}), "words").items()
        },
    )
    _check_counts(found)
    _check_unique(found)
    _check_relations(found)
    return found


_SECTIONS = ("values", "opposites", "not music", "not shown", "words")


def _values(raw: object) -> Iterator[Value]:
    for name, described in _object(raw, "values", FIELDS).items():
        for value, about in _object(described, name).items():
            check_name(value)
            known = _object(about, value, ("tags", "parents", "compatible"))
            yield Value(
                name=value,
                field=name,
                tags=_strings(known, "tags", value),
                parents=_strings(known, "parents", value),
                compatible=_strings(known, "compatible", value),
            )


def _pair(raw: object) -> frozenset[str]:
    names = _strings({"opposites": raw}, "opposites", "opposites")
    if len(set(names)) != 2:  # a pair
        raise ValueError(f"opposites: {raw!r:.60} should be two values")
    return frozenset(names)


def _check_counts(found: Vocabulary) -> None:
    every = (*found.values, *found.not_music)
    tags = [*found.not_shown, *(tag for value in every for tag in value.tags)]
    if len(every) > MOST_VALUES:
        raise ValueError(f"{len(every)} values are more than {MOST_VALUES}")
    if len(tags) > MOST_TAGS or len(found.words) > MOST_TAGS:
        raise ValueError(f"more than {MOST_TAGS} tags or words")
    seen: set[str] = set()
    for tag in tags:
        if tag in seen:
            raise ValueError(f"the tag {tag!r} has two meanings")
        _text(tag, LONGEST_TAG, "a tag")
        seen.add(tag)
    for value in every:
        if not value.tags:
            raise ValueError(f"the value {value.name!r} has no tags")


def _check_unique(found: Vocabulary) -> None:
    seen: set[str] = set()
    for value in (*found.values, *found.not_music):
        if value.name.casefold() in seen:
            raise ValueError(f"the value {value.name!r} is there twice")
        seen.add(value.name.casefold())


def check_name(name: str) -> None:
    """A name goes into people's files and onto terminals, so it is plain text and nothing else."""
    _text(name, LONGEST_NAME, "a value")
    if not set(name).isdisjoint(SEPARATORS):
        raise ValueError(f"the value {name!r} holds a character that separates values")
    if " ".join(name.split()) != name:
        raise ValueError(f"the value {name!r} holds spaces that do not belong there")


def _check_relations(found: Vocabulary) -> None:
    names = found.by_name
    for value in found.values:
        for other in (*value.parents, *value.compatible):
            if other not in names:
                raise ValueError(f"{value.name}: there is no value {other!r}")
            if names[other].field != value.field:
                raise ValueError(f"{value.name}: {other!r} is a value of another field")
    for pair in found.opposites:
        if unknown := sorted(pair - names.keys()):
            raise ValueError(f"opposites: there is no value {unknown[0]!r}")
    for word, stand in found.words.items():
        if unknown := sorted(set(stand) - names.keys()):
            raise ValueError(f"{word}: there is no value {unknown[0]!r}")
    _check_circles(found)


def _check_circles(found: Vocabulary) -> None:
    """Every value without parents that are left is taken away, until none is left."""
    left = {value.name: set(value.parents) for value in found.values}
    while free := {name for name, parents in left.items() if not parents & left.keys()}:
        left = {name: parents for name, parents in left.items() if name not in free}
    if left:
        raise ValueError(f"{min(left)!r} is its own ancestor")


def _object(raw: object, where: str, known: Iterable[str] | None = None) -> dict[str, Any]:
    given = _typed(raw, dict, where)
    if known is not None and (strange := sorted(set(given) - set(known))):
        raise ValueError(f"{where}: unknown {strange[0]!r:.60} (made by a newer musictag?)")
    return given


def _strings(raw: object, key: str, where: str) -> tuple[str, ...]:
    names = _typed(_typed(raw, dict, where).get(key, []), list, f"{where}: {key}")
    if len(names) > MOST_VALUES:
        raise ValueError(f"{where}: more than {MOST_VALUES} {key}")
    return tuple(_text(name, LONGEST_TAG, f"{where}: {key}") for name in names)


def _text(raw: object, longest: int, where: str) -> str:
    """A text of visible characters and spaces: nothing that moves a cursor or turns a line."""
    import unicodedata  # noqa: PLC0415  # not needed for --help

    text = _typed(raw, str, where)
    if not text:
        raise ValueError(f"{where}: an empty text")
    if len(text) > longest:
        raise ValueError(f"{where}: {text[:20]!r}… is longer than {longest} characters")
    if any(
        unicodedata.category(c)[0] == "C" or unicodedata.category(c) in ("Zl", "Zp") for c in text
    ):
        raise ValueError(f"{where}: {text!r} holds an invisible or control character")
    return text


def _typed(raw: object, kind: type[_Kind], where: str) -> _Kind:
    if not isinstance(raw, kind):
        raise TypeError(f"{where}: {raw!r:.60} should be a {kind.__name__}")
    return raw


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (" …" if len(names) > 5 else "")
