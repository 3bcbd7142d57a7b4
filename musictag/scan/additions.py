"""What is written beside the fields: a part of the comment or the grouping, and where it all came
from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from musictag import decision
from musictag.errors import UsageError
from musictag.outcome import Change
from musictag.template import Template
from musictag.vocabulary import Vocabulary, bundled

if TYPE_CHECKING:
    from musictag.config import Settings
    from musictag.hearing.checkpoint import Checkpoint

Fields = Mapping[str, tuple[str, ...]]

MODEL, DATE, PROBABILITIES = "MUSICTAG_MODEL", "MUSICTAG_DATE", "MUSICTAG_PROBABILITIES"


class Additions:
    """Plans what else becomes of a file's fields."""

    def __init__(self, settings: Settings, checkpoint: Checkpoint, vocabulary: Vocabulary) -> None:
        self._templates = templates(settings)
        self._fields = settings.shown_fields if settings.provenance else ()
        self._model = f"{checkpoint.name} {checkpoint.digest[:8]}"
        self._vocabulary = vocabulary
        self._words = _all_words(vocabulary)

    def changes(
        self,
        old: Fields,
        chosen: Fields,
        heard: Mapping[str, Mapping[str, float]],
        planned: Mapping[str, Change],
    ) -> dict[str, Change]:
        """Field → change, beside those that are planned. `heard` has for each field the
        probabilities from which it was chosen."""
        found = {}
        for name, template in self._templates.items():
            before = tuple(old.get(name, ()))
            part = template.rendered(chosen)
            if part is None or _is_garbled(before):
                after = before
            else:
                after = template.placed(before, part, self._words)
            found[name] = Change(before, after)
        if self._fields:
            others = any(change.changed for change in (*planned.values(), *found.values()))
            found |= self._provenance(old, self._said(chosen, heard), others=others)
        return found

    def _said(self, chosen: Fields, heard: Mapping[str, Mapping[str, float]]) -> str:
        """The values that were heard, each with its probability: Techno 0.83, Happy 0.71."""
        said = []
        for field in self._fields:
            agreed = decision.agreement(heard.get(field, {}), self._vocabulary)
            of_word: dict[str, float] = {}
            for name, probability in agreed.items():
                word = self._vocabulary.by_name[name].word
                of_word[word] = max(probability, of_word.get(word, 0.0))
            said += [f"{w} {of_word[w]:.2f}" for w in chosen.get(field, ()) if w in of_word]
        return ", ".join(said)

    def _provenance(self, old: Fields, said: str, *, others: bool) -> Iterator[tuple[str, Change]]:
        """Model, date and probabilities; nothing if nothing was heard. The date is that of the last
        change, so it does not change alone."""
        if not said:
            return
        new = {MODEL: (self._model,), PROBABILITIES: (said,)}
        same = all(tuple(old.get(name, ())) == values for name, values in new.items())
        day = tuple(old.get(DATE, ()))
        if others or not same or not day:
            day = (today().isoformat(),)
        for name, values in {**new, DATE: day}.items():
            yield name, Change(tuple(old.get(name, ())), values)


def _is_garbled(texts: Sequence[str]) -> bool:
    """Whether a text has bytes that are no letters, so that its rest would not be kept."""
    return any("\ufffd" in text for text in texts)


def templates(settings: Settings) -> dict[str, Template]:
    """Field → template, for those that are asked for."""
    texts = {"COMMENT": settings.comment, "GROUPING": settings.grouping}
    return {name: Template.parsed(text) for name, text in texts.items() if text is not None}


def check(settings: Settings, vocabulary: Vocabulary) -> None:
    """UsageError for a template whose parts would not be found again."""
    words = [v.word for v in vocabulary.values if v.threshold is not None and not v.unwanted]
    for name, template in templates(settings).items():
        if (why := template.trouble(words)) is not None:
            raise UsageError(f"--{name.lower()}: {why}")


def _all_words(vocabulary: Vocabulary) -> frozenset[str]:
    """Words that an earlier scan may have written, perhaps with another model."""
    names = {name for value in vocabulary.values for name in (value.name, value.word)}
    others = (bundled("listener"), bundled("magnatagatune"))
    return frozenset(names | {value.name for found in others for value in found.values})


def today() -> date:
    return date.today()  # the user's own calendar
