"""The four fields of one file as its tags hold them, to be compared and put back."""

from __future__ import annotations

import dataclasses
import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from musictag.metadata.fields import FIELDS, WRITABLE, cleaned
from musictag.metadata.parsing import DAMAGE


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Some fields in one tag as raw entries, and in the file's other tags.

    Put back, a value has its old encoding, its key's spelling and its number for a genre. Two
    snapshots are equal when the fields are that both hold, wherever among other entries they stand.
    """

    family: str
    entries: tuple[tuple[str, bytes], ...] = ()
    """Field and bytes: field by field, those of one in their order in the file."""
    v1_genre: int | None = None
    """The genre's number in ID3v1; None without ID3v1."""
    tagged: bool = dataclasses.field(default=False)
    """Whether there was such a tag at all: one that a write made goes when its fields do."""
    version: int = dataclasses.field(default=0)
    """ID3's major version: frames of one do not fit into a tag of another."""
    places: tuple[int, ...] = dataclasses.field(default=())
    """Where among all entries of the tag each of `entries` stood."""
    size: int = dataclasses.field(default=0)
    """Length of the tag with its padding, in bytes: put back, it has that length again."""
    n_entries: int = dataclasses.field(default=-1)
    """How many entries the tag had, those of others included; -1 if that is not known."""
    others: tuple[Snapshot, ...] = ()
    """The file's other tags that can hold a field, in the order in which they are looked at."""
    fields: tuple[str, ...] = FIELDS
    """The fields that it holds, whether or not the file has them; others are none of its business:
    whoever sets them changes nothing here."""
    v1_comment: str = ""
    """The comment in ID3v1, which is only read."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Snapshot):
            return False
        fields = set(self.fields) & set(other.fields)
        return self._compared(fields) == other._compared(fields)

    def __hash__(self) -> int:
        return hash((self.family, self.v1_genre))

    def _compared(self, fields: set[str]) -> object:
        said = SAID.get(self.family, bytes)
        entries = tuple((of, said(entry)) for of, entry in self.entries if of in fields)
        return self.family, entries, self.v1_genre, self.others

    def values(self) -> dict[str, tuple[str, ...]]:
        """What people read: from the first tag that has the field."""
        return {name: self._values(name) for name in self.fields}

    def _values(self, name: str) -> tuple[str, ...]:
        if own := cleaned(READERS[self.family](self, name)):
            return own
        of_others = next((v for other in self.others if (v := other._values(name))), ())
        return of_others or cleaned(READERS["ID3v1"](self, name))

    def raw(self, name: str) -> list[bytes]:
        return [entry for of, entry in self.entries if of == name]

    def to_json(self) -> str:
        return json.dumps(self._as_dict())

    def _as_dict(self) -> dict[str, Any]:
        entries = [(of, b64encode(entry).decode()) for of, entry in self.entries]
        others = [other._as_dict() for other in self.others]
        return {**dataclasses.asdict(self), "entries": entries, "others": others}

    @classmethod
    def from_json(cls, text: str) -> Snapshot:
        """What `to_json` gave; ValueError for anything else."""
        try:
            snapshot = cls._from_dict(json.loads(text))
            snapshot.values()
        except (TypeError, KeyError, AttributeError, *DAMAGE) as error:
            raise ValueError(f"not a snapshot of a file's fields: {error}") from error
        return snapshot

    @classmethod
    def _from_dict(cls, stored: dict[str, Any]) -> Snapshot:
        stored["entries"] = tuple((of, b64decode(entry)) for of, entry in stored["entries"])
        stored["places"] = tuple(stored["places"])
        stored["others"] = tuple(map(cls._from_dict, stored.get("others", ())))
        stored["fields"] = tuple(stored.get("fields", FIELDS))
        held = {of for of, _ in stored["entries"]}
        if not held <= set(stored["fields"]) <= set(WRITABLE):
            raise ValueError("it has other fields")
        return cls(**stored)


READERS: dict[str, Callable[[Snapshot, str], list[str]]] = {}
"""Kind of tag → what reads the texts under a field's key; filled by the kinds themselves."""

SAID: dict[str, Callable[[bytes], bytes]] = {}
"""Kind of tag → what of an entry counts when two are compared; all of it, unless it stands here."""
