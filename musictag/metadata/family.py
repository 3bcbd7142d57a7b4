"""What every family of tags has in common: fields, entries as bytes, the way into the file."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import struct
from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, ClassVar

import mutagen

from musictag.metadata.replacement import Refusal

FIELDS = ("GENRE", "MOOD", "INSTRUMENT", "VOCALS")

Values = Mapping[str, tuple[str, ...]]
"""Field → values, one per entry."""

_ITUNES = "----:com.apple.iTunes:"
KEYS: dict[str, dict[str, str]] = {
    family: dict(zip(FIELDS, keys, strict=True))
    for family, keys in {
        "ID3v2.4": ("TCON", "TMOO", "TXXX:INSTRUMENT", "TXXX:VOCALS"),
        "ID3v2.3": ("TCON", "TXXX:MOOD", "TXXX:INSTRUMENT", "TXXX:VOCALS"),
        "Vorbis": FIELDS,
        "MP4": ("\xa9gen", *(_ITUNES + field for field in FIELDS[1:])),
        "ASF": ("WM/Genre", "WM/Mood", "MUSICTAG/INSTRUMENT", "MUSICTAG/VOCALS"),
        "APEv2": ("Genre", "Mood", "INSTRUMENT", "VOCALS"),
    }.items()
}
"""Family of tags → field → key."""


@dataclass(frozen=True)
class Snapshot:
    """The four fields of one file as their raw entries: frames, comments, atoms, attributes, items.

    Put back, a value has its old encoding, its key's spelling, its number for a genre. Two are
    equal when the fields are, wherever among others they stand.
    """

    family: str
    entries: tuple[tuple[str, bytes], ...] = ()
    """Field and bytes, field by field, those of one in their order in the file."""
    v1_genre: int | None = None
    """The number in ID3v1, None without ID3v1."""
    tagged: bool = dataclasses.field(default=False, compare=False)
    """Whether there was a tag of this family at all: one of ours goes when its fields do."""
    version: int = dataclasses.field(default=0, compare=False)
    """ID3's major version as it is written: frames of one do not fit into a tag of another."""
    places: tuple[int, ...] = dataclasses.field(default=(), compare=False)
    """Where among all entries of the tag each of `entries` stood."""
    size: int = dataclasses.field(default=0, compare=False)
    """Of the file, in Ogg of the comments: put back, the fields leave as much padding as was."""

    def values(self) -> dict[str, tuple[str, ...]]:
        """For people; what only another tag of the file says is not among them."""
        texts = FAMILIES[self.family].texts
        return {name: cleaned(texts(self, name)) for name in FIELDS}

    def raw(self, name: str) -> list[bytes]:
        return [entry for of, entry in self.entries if of == name]

    def to_json(self) -> str:
        entries = [(of, b64encode(entry).decode()) for of, entry in self.entries]
        return json.dumps({**dataclasses.asdict(self), "entries": entries})

    @classmethod
    def from_json(cls, text: str) -> Snapshot:
        """What `to_json` gave; ValueError for anything else."""
        try:
            stored = json.loads(text)
            stored["entries"] = tuple((of, b64decode(entry)) for of, entry in stored["entries"])
            stored["places"] = tuple(stored["places"])
            snapshot = cls(**stored)
            snapshot.values()
            if not {of for of, _ in snapshot.entries} <= {*FIELDS}:
                raise ValueError("it has other fields")
        except (TypeError, KeyError, AttributeError, *DAMAGE) as error:
            raise ValueError(f"not a snapshot of a file's fields: {error}") from error
        return snapshot


def cleaned(texts: list[str]) -> tuple[str, ...]:
    """Values as we compare them: stripped, none empty, none twice."""
    values = (value.strip() for text in texts for value in text.split("\0"))
    return tuple(dict.fromkeys(value for value in values if value))


DAMAGE = (
    mutagen.MutagenError,
    ArithmeticError,
    AssertionError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
"""What mutagen raises on damaged files, and our own parsers; an AttributeError is a bug of ours."""


@contextmanager
def parsing() -> Iterator[None]:
    """Around every meeting with bytes that anybody may have written.

    mutagen wraps the operating system's errors in its own; they are found again here. Only EINVAL
    is none: it comes of a jump to before the file's beginning, where a wrong length has led.
    """
    try:
        yield
    except (*DAMAGE, OSError) as error:
        link: BaseException | None = error
        while link is not None:
            if isinstance(link, OSError) and link.errno not in (None, errno.EINVAL):
                raise link from error
            link = link.__cause__ or link.__context__
        reason = str(error) or "they are damaged or cut short"
        raise Refusal("bad_header", f"its tags cannot be parsed: {reason}") from error


_MOST_PADDING = 1 << 20
"""Of what may come back, when somebody else has changed the length of the file as well."""


def _as_it_is(info: mutagen.PaddingInfo) -> int:
    """The tag keeps its length if the fields fit in; mutagen by itself would cut long padding."""
    return info.padding if info.padding >= 0 else int(info.get_default_padding())


class Family(ABC):
    """One open file's tags of one family: every entry as bytes, and which field it holds."""

    name: ClassVar[str]
    version = 0
    """Of ID3, which is written."""
    v1_genre: int | None = None

    def __init_subclass__(cls) -> None:
        if "name" in cls.__dict__:
            FAMILIES[cls.name] = cls

    def __init__(self, path: Path, kind: Any) -> None:
        self.path = path
        self.file = kind(path)
        self.size = path.stat().st_size
        self.padding = _as_it_is
        self.tagged = self.file.tags is not None
        """Whether the file has a tag, or will when saved."""
        with path.open("rb") as file:
            self.entries: list[tuple[str | None, Any]] = self._entries(file)

    @abstractmethod
    def _entries(self, file: BinaryIO) -> list[tuple[str | None, Any]]:
        """All entries of the tag in their order; None for what holds none of our fields."""

    def snapshot(self) -> Snapshot:
        ours = [
            (place, name, entry)
            for place, (name, entry) in enumerate(self.entries if self.tagged else ())
            if name is not None
        ]
        ours.sort(key=lambda entry: FIELDS.index(entry[1]))
        return Snapshot(
            self.name,
            tuple((name, entry) for _, name, entry in ours),
            v1_genre=self.v1_genre,
            tagged=self.tagged,
            version=self.version if self.tagged else 0,
            places=tuple(place for place, _, _ in ours),
            size=self.size,
        )

    def values(self) -> dict[str, tuple[str, ...]]:
        own = self.snapshot().values()
        return {name: own[name] or cleaned(self.elsewhere(name)) for name in FIELDS}

    @staticmethod
    @abstractmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        """The texts under the field's key, as they are."""

    def elsewhere(self, field: str) -> list[str]:  # noqa: ARG002 — most have one tag only
        """What other tags in the file say, which are read where ours say nothing, never written."""
        return []

    def set(self, field: str, values: tuple[str, ...]) -> None:
        """These values and no others under the field's key, in memory; in the old ones' place."""
        kept = [(name, entry) for name, entry in self.entries if name != field]
        names = [name for name, _ in self.entries]
        place = names.index(field) if field in names else len(kept)
        new = self._rendered(field, values) if values else []
        self.entries = [*kept[:place], *((field, entry) for entry in new), *kept[place:]]
        self.tagged = True

    @abstractmethod
    def _rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        """Entries that say this."""

    def put_back(self, snapshot: Snapshot) -> None:
        """The fields as they were, in memory; where they stood, as far as that can be told."""
        grown = self.size - snapshot.size

        def padding(info: mutagen.PaddingInfo) -> int:
            """The file gets its old length again if nothing else in it has changed its own."""
            as_before = info.padding - grown
            return as_before if 0 <= as_before <= _MOST_PADDING else _as_it_is(info)

        self.padding = padding
        if snapshot.entries and self.tagged and snapshot.version != self.version:
            for field, values in snapshot.values().items():
                self.set(field, values)
            return
        self.entries = [(None, entry) for name, entry in self.entries if name is None]
        for place, entry in sorted(zip(snapshot.places, snapshot.entries, strict=True)):
            self.entries.insert(place, entry)
        self.tagged = snapshot.tagged or self._others()

    def _others(self) -> bool:
        """Whether something in the tag is not ours."""
        return any(name is None for name, _ in self.entries)

    def save(self) -> None:
        """From memory to the file; padding stays what is there, or becomes about 1 kB."""
        with parsing():
            if not self.tagged:
                self._remove()
                return
            if self.file.tags is None:
                self.file.add_tags()
            self._save()

    @abstractmethod
    def _save(self) -> None: ...

    def _remove(self) -> None:
        """Take the tag out of the file."""
        self.file.delete(self.path)

    def rest(self) -> Any:
        """Everything in the file but our fields and padding, to be compared."""
        with parsing(), self.path.open("rb") as file:
            return self._rest(file)

    @abstractmethod
    def _rest(self, file: BinaryIO) -> Any: ...


FFMPEG_COPY = "copy it with ffmpeg -i OLD -c copy NEW"


def size_of(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def read_at(file: IO[bytes], place: int, size: int) -> bytes:
    file.seek(place)
    return file.read(size)


def digest_of(file: BinaryIO, start: int, end: int) -> bytes:
    """Digest of the bytes from `start` to `end`, with their number."""
    digest = hashlib.blake2b(str(max(0, end - start)).encode())
    file.seek(start)
    while start < end and (block := file.read(min(1 << 20, end - start))):
        digest.update(block)
        start += len(block)
    return digest.digest()


def synchsafe(size: bytes) -> int:
    """ID3's numbers: seven bits a byte."""
    return sum((byte & 0x7F) << shift for byte, shift in zip(size, (21, 14, 7, 0), strict=True))


FAMILIES: dict[str, type[Family]] = {}
"""By name, filled by those that have one."""
