"""A part of a comment, made of what was heard: `[{mood}; {genre}; {vocals}]`.

    template = Template.parsed("[{mood}; {genre}]")
    part = template.rendered({"MOOD": ("Happy",), "GENRE": ("Techno",)})  # [Happy; Techno]
    template.placed(["Ripped by me"], part, words)  # Ripped by me [Happy; Techno]

The part is found again by its form: the template's beginning and end, and nothing but words of the
model's between them. So the rest of a comment stays, and twice equals once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

FIELDS = ("genre", "style", "mood", "instrument", "vocals")
"""What can stand in braces."""

_BETWEEN = ", "
"""What stands between several values of one field."""


class TemplateError(ValueError):
    """Why a text is no template."""


@dataclass(frozen=True)
class Template:
    """A beginning, fields with what stands between them, and an end."""

    beginning: str
    fields: tuple[str, ...]
    """Names in capitals."""
    separators: tuple[str, ...]
    """One fewer than fields."""
    end: str

    @classmethod
    def parsed(cls, text: str) -> Template:
        """The template that is written so; TemplateError if it could not be found again."""
        beginning, *rest = re.split(r"\{([^{}]*)\}", text)
        fields, literals = rest[::2], rest[1::2]
        for field in fields:
            if field.strip().lower() not in FIELDS:
                names = ", ".join("{%s}" % name for name in FIELDS)  # noqa: UP031
                raise TemplateError(f"no such field: {{{field}}} (there are {names})")
        if not fields:
            raise TemplateError("there is no field in it, such as {genre}")
        *separators, end = literals
        if not beginning.strip() or not end.strip():
            raise TemplateError(
                "it must begin and end with a mark by which it is found again, such as [ and ]"
            )
        if any(set(part) & set("{}\0") for part in (beginning, *literals)):
            raise TemplateError("a brace is missing")
        if not all(separator.strip() for separator in separators):
            raise TemplateError("something must stand between two fields, such as ;")
        capitals = tuple(field.strip().upper() for field in fields)
        return cls(beginning.lstrip(), capitals, tuple(separators), end.rstrip())

    def rendered(self, values: Mapping[str, Sequence[str]]) -> str | None:
        """The part for these values; None if there are none. A field without a value takes what
        stands before it along."""
        said = ""
        for separator, field in zip(("", *self.separators), self.fields, strict=True):
            words = _BETWEEN.join(values.get(field, ()))
            if words:
                said += separator * bool(said) + words
        return f"{self.beginning}{said}{self.end}" if said else None

    def trouble(self, words: Collection[str]) -> str | None:
        """Why a part with these words would not be found again; None if it would."""
        for word in words:
            for mark in (*self.separators, _BETWEEN, self.end):
                if mark.strip().casefold() in word.casefold():
                    return f"{mark.strip()!r} cannot be told from what is in {word!r}"
        return None

    def placed(self, texts: Sequence[str], part: str, words: Collection[str]) -> tuple[str, ...]:
        """The texts with this part where an older one of `words` stands, else at the end of the
        first one."""
        for number, text in enumerate(texts):
            for start, end in self._found(text, words):
                new = text[:start] + part + text[end:]
                return (*texts[:number], new, *texts[number + 1 :])
        first = f"{texts[0].rstrip()} {part}" if texts else part
        return (first, *texts[1:])

    def _found(self, text: str, words: Collection[str]) -> Iterator[tuple[int, int]]:
        """Where parts stand that are of this form and made of these words."""
        known = {word.casefold() for word in words}
        marks = "|".join(re.escape(m.strip()) for m in (*self.separators, _BETWEEN))
        place = 0
        while (start := text.find(self.beginning, place)) >= 0:
            inside = start + len(self.beginning)
            stop = text.find(self.end, inside)
            if stop < 0:
                return
            said = re.split(marks, text[inside:stop])
            if all(word.strip().casefold() in known for word in said):
                yield start, stop + len(self.end)
            place = inside
