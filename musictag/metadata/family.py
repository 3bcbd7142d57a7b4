"""What all kinds of tags and of files have in common: entries, fields, the way into the file."""

from __future__ import annotations

import dataclasses
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, TypeVar

from musictag.formats.reading import size_of
from musictag.metadata import edits
from musictag.metadata.edits import Edit, Piece, blocks_of
from musictag.metadata.fields import (
    FIELDS,
    ID3_NAMES,
    TEXTS,
    WRITABLE,
    Values,
    cleaned,
    other_name,
)
from musictag.metadata.parsing import DAMAGE, parsing
from musictag.metadata.replacement import Refusal
from musictag.metadata.snapshot import READERS, Snapshot

MOST_PADDING = 1 << 20
"""Bytes of padding that may come back when another program has changed the tag's length too."""


_T = TypeVar("_T", bound="Tag")


class Tag(ABC):
    """One tag of a file: its entries in order, and which field each holds.

    An entry that holds a field is bytes; any other may be a span of the file, which is never read
    into memory. A tag that does not exist yet is one without a place.
    """

    kind: ClassVar[str]
    """What reads its entries: a key of `snapshot.READERS`."""
    version = 0
    """ID3's major version."""
    exists = False
    """Whether the file has this tag, or will when it is saved."""
    start = end = 0
    """Where it stands in the file."""
    fields: tuple[str, ...] = FIELDS
    """The fields that are ours here; entries of all others are other people's."""

    def __init__(self, *, start: int = 0, end: int = 0) -> None:
        self.start, self.end = start, end
        self.entries: list[tuple[str | None, Piece]] = []
        self.room: int | None = None
        """Bytes that the tag is to have with its padding; None for as many as it has."""
        self._loaded: tuple[bool, list[tuple[str | None, Piece]]] = False, []

    @abstractmethod
    def read(self, file: BinaryIO) -> None:
        """Parse what stands at `start`."""

    def loaded(self: _T, file: BinaryIO, fields: tuple[str, ...] = FIELDS) -> _T:
        """The tag, parsed; these fields are ours in it."""
        self.fields = fields
        self.read(file)
        self.exists = True
        self._loaded = True, list(self.entries)
        return self

    @property
    def changed(self) -> bool:
        return self._loaded != (self.exists, self.entries)

    @abstractmethod
    def rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        """Entries that say this."""

    def can_hold(self, field: str, values: tuple[str, ...]) -> bool:  # noqa: ARG002  # most can
        return True

    def holds(self, field: str) -> bool:
        return any(name == field for name, _ in self.entries)

    def says(self, field: str) -> tuple[str, ...]:
        """The values of one of our fields in this tag alone."""
        return cleaned(READERS[self.kind](self.snapshot(), field))

    def set(self, field: str, values: tuple[str, ...]) -> None:
        """These values and no others under the field's key, where the old ones stood."""
        kept = [(name, entry) for name, entry in self.entries if name != field]
        names = [name for name, _ in self.entries]
        place = names.index(field) if field in names else len(kept)
        new = self.rendered(field, values) if values else []
        self.entries = [*kept[:place], *((field, entry) for entry in new), *kept[place:]]

    def snapshot(self) -> Snapshot:
        ours = [
            (place, name, entry)
            for place, (name, entry) in enumerate(self.entries if self.exists else ())
            if name is not None and isinstance(entry, bytes)
        ]
        ours.sort(key=lambda entry: WRITABLE.index(entry[1]))
        return Snapshot(
            self.kind,
            tuple((name, entry) for _, name, entry in ours),
            tagged=self.exists,
            version=self.version if self.exists else 0,
            places=tuple(place for place, _, _ in ours),
            size=self.size,
            n_entries=len(self.entries) if self.exists else 0,
            fields=self.fields,
        )

    @property
    def size(self) -> int:
        return self.end - self.start

    def put_back(self, snapshot: Snapshot) -> None:
        """The fields as they were; where they stood, as far as that can be told."""
        self.room = snapshot.size
        if snapshot.entries and snapshot.version != self.version:
            for field, values in snapshot.values().items():
                self.set(field, values)
            return
        self.entries = [(None, entry) for name, entry in self.entries if name is None]
        for place, entry in sorted(zip(snapshot.places, snapshot.entries, strict=True)):
            self.entries.insert(place, entry)
        self.exists = snapshot.tagged

    def others(self) -> list[Piece]:
        """The entries that hold none of our fields."""
        return [entry for name, entry in self.entries if name is None]

    @abstractmethod
    def changes(self, file: BinaryIO) -> list[Edit]:
        """What has to change in the file, the tag's own lengths included."""

    def named(self, file: BinaryIO) -> Iterable[tuple[str, str]]:  # noqa: ARG002
        """All that it says, by ID3v2.4's names, for a tag that hides this one."""
        return ()

    def said(self, file: BinaryIO, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
        """Field and text of entries that hold one of the `wanted` fields, none of them ours."""
        for key, text in self.named(file):
            name = ID3_NAMES.get(key) or other_name(key.removeprefix("TXXX:"))
            if name in wanted:
                yield name, text

    def hole(self) -> tuple[int, int]:
        """The bytes that may change with the fields; only its other entries are compared there."""
        return self.start, self.end

    def digests(self, file: BinaryIO) -> list[bytes]:
        """All of the tag but our fields and padding, to be compared."""
        return sorted(edits.digest_of_piece(file, entry) for entry in self.others())


class Family(ABC):
    """One open file with all of its tags: a main one, and others that are kept in agreement.

    A field is written into every tag that holds it, and into the one that a reader looks at first.
    If the main tag is missing it is made, unless it would hide another tag that can hold the
    fields. If the hidden tag cannot hold them, its entries are copied into the new main tag.
    """

    name: ClassVar[str]
    """Kind of the main tag."""
    orders: ClassVar[Sequence[Sequence[str]]] = ()
    """For each of the readers we know, the places of tags in the order in which it looks for one:
    it shows the first that is not empty, and no other."""

    def __init__(self, path: Path, kind: Any, fields: tuple[str, ...] = FIELDS) -> None:
        self.path = path
        self.kind = kind
        self.fields = fields
        with path.open("rb") as file:
            self.file_size = size_of(file)
            self.tags: dict[str, Tag] = self.find(file)
            self.main = next(iter(self.tags.values()))
            for tag in self.tags.values():  # a new one, too
                tag.fields = fields
            self.length = self.length_s(file)
        self._look()

    @abstractmethod
    def find(self, file: BinaryIO) -> dict[str, Tag]:
        """Place → tag: the main one, whether it is there or not, and the others that are."""

    @abstractmethod
    def length_s(self, file: BinaryIO) -> float | None:
        """How long the music is, by its own header."""

    def _look(self) -> None:
        """Which places some reader looks at first, and which ones the main tag hides or would."""
        main = next(iter(self.tags))
        firsts, hidden, behind = [], [], []
        for order in self.orders:
            shown = [place for place in order if place in self.tags and self.tags[place].entries]
            after = order[order.index(main) + 1 :] if main in order else []
            firsts += shown[:1]
            hidden += [place for place in shown[:1] if place in after]
            behind += [place for place in shown if place in after]
        self.firsts = set(firsts)
        self.hidden = [self.tags[place] for place in dict.fromkeys(hidden)]
        self.behind = [self.tags[place] for place in dict.fromkeys(behind)]

    # -- fields

    def snapshot(self) -> Snapshot:
        others = tuple(tag.snapshot() for place, tag in self._others() if tag is not self.v1)
        found = dataclasses.replace(self.main.snapshot(), others=others)
        if self.v1 is None:
            return found
        comment = self.v1.comment if "COMMENT" in self.fields else ""
        return dataclasses.replace(found, v1_genre=self.v1.genre, v1_comment=comment)

    @property
    def v1(self) -> Any:
        """ID3v1, of which a snapshot has only the number."""
        return self.tags.get("ID3v1")

    def _others(self) -> list[tuple[str, Tag]]:
        return [(place, tag) for place, tag in self.tags.items() if tag is not self.main]

    def values(self) -> dict[str, tuple[str, ...]]:
        return self.snapshot().values()

    def said(self, wanted: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Other fields, which are only read: each from the first tag that has it.

        A tag in which they cannot be parsed has none: they are no reason to refuse a file.
        """
        found: dict[str, tuple[str, ...]] = dict.fromkeys(wanted, ())
        with self.path.open("rb") as file:
            for tag in self.tags.values():
                texts: dict[str, list[str]] = {}
                with suppress(*DAMAGE, Refusal):
                    for name, text in tag.said(file, wanted) if tag.exists else ():
                        texts.setdefault(name, []).append(text)
                found |= {name: cleaned(of) for name, of in texts.items() if not found[name]}
        return found

    def set(self, values: Values) -> None:
        """These values in every tag that they belong into, in memory."""
        enough = any(
            all(tag.can_hold(field, entries) for field, entries in values.items())
            for tag in self.hidden
        )
        if not self.main.entries and any(values.values()) and not enough:
            self.main.exists = True
            self.main.entries += self.brought_along()
        filled = bool(self.main.entries) or not enough
        for field, entries in values.items():
            texts = self.values()[field] if field in TEXTS else ()
            if self.main.exists and filled:
                self.main.set(field, entries)
            for place, tag in self._others():
                own_text = field in TEXTS and tag.says(field) not in ((), texts)
                if (tag.holds(field) or place in self.firsts) and not own_text:
                    tag.set(field, entries)

    def brought_along(self) -> list[tuple[str | None, Piece]]:
        """What a new main tag takes over from the tags that it hides."""
        return []

    def put_back(self, snapshot: Snapshot) -> None:
        """The fields as they were, in memory, in every tag that is still there."""
        with self.path.open("rb") as file:
            theirs = bool(self._main_digests(file))
        if self.v1 is not None and snapshot.v1_genre is not None:
            self.v1.genre = snapshot.v1_genre
        others = [tag for _, tag in self._others() if tag is not self.v1]
        for tag, before in zip(others, snapshot.others, strict=False):
            if tag.kind == before.family:
                tag.put_back(before)
        if snapshot.tagged and not self.main.exists:
            self.main.version = snapshot.version
            self.main.entries = [entry for entry in self.brought_along() if entry[0] is None]
        self.main.put_back(snapshot)
        if not theirs and snapshot.n_entries == len(snapshot.entries):
            self.main.entries = [entry for entry in self.main.entries if entry[0] is not None]
        if theirs:
            self.main.exists = True  # somebody has put more into it since

    # -- the file

    def save(self) -> None:
        """From memory to the file; padding gives way, or becomes about 1 kB where it is none."""
        with parsing():
            self.write()

    def write(self) -> None:
        with self.path.open("rb") as file:
            changes = [e for tag in self.dirty() for e in tag.changes(file)]
            changes += self.lengths(file, changes)
        edits.apply(self.path, changes)

    def dirty(self) -> list[Tag]:
        return [tag for tag in self.tags.values() if tag.changed]

    def lengths(self, file: BinaryIO, changes: list[Edit]) -> list[Edit]:  # noqa: ARG002
        """What else must change in the file with these."""
        return []

    def rest(self) -> Any:
        """Everything in the file but our fields and padding, to be compared."""
        with parsing(), self.path.open("rb") as file:
            return self.compared(file)

    def compared(self, file: BinaryIO) -> Any:
        """The tags' other entries, and the bytes outside of all tags in one row."""
        return self.tag_digests(file), digest_without(file, self.holes(file))

    def tag_digests(self, file: BinaryIO) -> Any:
        others = [tag.digests(file) for _, tag in self._others() if tag.exists]
        return self._main_digests(file), others

    def _main_digests(self, file: BinaryIO) -> list[bytes]:
        """Nothing for a tag that holds only what came along from the tags that it hides."""
        if not self.main.exists:
            return []
        digests = self.main.digests(file)
        brought = (entry for name, entry in self.brought_along() if name is None)
        came_along = sorted(edits.digest_of_piece(file, entry) for entry in brought)
        return [] if digests == came_along else digests

    def holes(self, file: BinaryIO) -> list[tuple[int, int]]:
        """The tags, and spans whose bytes follow from their lengths."""
        tags = [tag.hole() for tag in self.tags.values() if tag.exists]
        return [*tags, *self.masked(file)]

    def masked(self, file: BinaryIO) -> list[tuple[int, int]]:  # noqa: ARG002
        """Spans whose bytes follow from the others' lengths."""
        return []


def digest_without(file: BinaryIO, holes: Iterable[tuple[int, int]]) -> bytes:
    """Digest of the file but for these spans."""
    digest = hashlib.blake2b()
    place = 0
    for start, end in [*sorted(holes), (size_of(file), size_of(file))]:
        for block in blocks_of(file, place, start):
            digest.update(block)
        place = max(place, end)
    return digest.digest()
