"""Rows → the data of the page: JSON in ASCII, a few hundred bytes per track.

What is heard is a byte per track and value: the logarithm of its odds, times 20, with 128 for even
odds. That tells 50 from 51 %, and 0.2 from 0.3 %.
"""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from musictag.report.page.axes import first_axes
from musictag.vocabulary import FIELDS

if TYPE_CHECKING:
    from musictag.library.overview import Row, Trouble
    from musictag.vocabulary import Vocabulary

STEPS_PER_LOGIT, EVEN = 20, 128
_MOST_AT_ONCE = 3 * 2**16
"""Bytes that are encoded at once, a multiple of 3."""


def byte(probability: float) -> int:
    """A probability as the page stores it."""
    p = min(max(probability, 1e-9), 1 - 1e-9)
    return min(max(round(math.log(p / (1 - p)) * STEPS_PER_LOGIT) + EVEN, 0), 255)


class Packing:
    """Takes rows and keeps what the page needs of them."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._texts = _Numbered()
        self._folders = _Numbered()
        self._tracks: list[str] = []
        self._heard = bytearray()
        self._troubles: list[str] = []
        self._fields = _Numbered({name: number for number, name in enumerate(FIELDS)})
        """Our four fields, then others that would change."""

    def __len__(self) -> int:
        """Number of tracks so far."""
        return len(self._tracks)

    @property
    def n_troubles(self) -> int:
        return len(self._troubles)

    def add(self, row: Row) -> None:
        """Add a track."""
        values, place = self._vocabulary.values, self._vocabulary.place
        self._heard += bytes(byte(row.agreement.get(value.name, 0.0)) for value in values)
        doubt = row.doubt
        packed = [
            *self._named(row.path),
            ", ".join(row.about.get("TITLE", ())),
            self._text(row.about.get("ARTIST") or row.about.get("ALBUMARTIST", ())),
            self._text(row.about.get("ALBUM", ())),
            round(row.duration_s),
            [self._all(row.chosen.get(name, ())) for name in FIELDS],
            [self._all(row.fields.get(name, ())) for name in FIELDS],
            [
                [self._fields[name], self._all(change.old), self._all(change.new)]
                for name, change in row.changes.items()
            ],
            [
                [place[one.value], one.why, place.get(one.other, -1)]
                for one in row.discarded
                if one.why != "below" and one.value in place
            ],
            doubt
            and [
                self._all(doubt.tagged),
                round(doubt.tagged_agreement, 3),
                place[doubt.heard],
                round(doubt.heard_agreement, 3),
            ],
        ]
        self._tracks.append(_json(packed))

    def add_trouble(self, trouble: Trouble) -> None:
        """Add a file that is no track, or that cannot be tagged."""
        self._troubles.append(
            _json([*self._named(trouble.path), self._texts[trouble.code], trouble.message])
        )

    def pieces(self, facts: Mapping[str, Any]) -> Iterator[str]:
        """The data as JSON, piece by piece. `facts` come along."""
        vocabulary = self._vocabulary
        axes = [
            [None if low is None else vocabulary.place[low], vocabulary.place[high]]
            for low, high in first_axes(vocabulary)
        ]
        values = [[v.name, v.word, FIELDS.index(v.field), v.threshold] for v in vocabulary.values]
        first = {**facts, "fields": list(self._fields), "values": values, "axes": axes}
        yield _json(first)[:-1] + ',"heard":"'
        for start in range(0, len(self._heard), _MOST_AT_ONCE):
            part = self._heard[start : start + _MOST_AT_ONCE]
            yield base64.b64encode(part).decode("ascii")
        yield '"'
        for name, texts in (
            ("texts", map(_json, self._texts)),
            ("folders", map(_json, self._folders)),
            ("tracks", self._tracks),
            ("troubles", self._troubles),
        ):
            yield f',"{name}":['
            yield from _parted(texts)
            yield "]"
        yield "}"

    def _named(self, path: os.PathLike[str]) -> tuple[int, str]:
        folder, name = os.path.split(os.fspath(path))
        return self._folders[folder], name

    def _text(self, values: Iterable[str]) -> int:
        return self._texts[", ".join(values)]

    def _all(self, values: Iterable[str]) -> list[int]:
        return [self._texts[value] for value in values]


class _Numbered(dict[str, int]):
    """Texts and their numbers, in the order in which they were asked for."""

    def __missing__(self, text: str) -> int:
        self[text] = number = len(self)
        return number


def _json(value: Any) -> str:
    """JSON in ASCII that no browser takes for the end of a script."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _parted(texts: Iterable[str]) -> Iterator[str]:
    for n, text in enumerate(texts):
        yield f",\n{text}" if n else text
