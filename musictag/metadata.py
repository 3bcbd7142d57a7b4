"""Field values <-> files; the one door to mutagen.

`read` and `write` know four fields and every container mutagen can write. `KEYS` is the table
of field → key, one column per family of tags; `CONTAINERS` says which file holds which family.

mutagen parses a whole tag and writes it anew, and what it could not parse it leaves out without
a word. Our promise is larger: everything else in the file stays as it is. So frames and atoms that
are not ours pass through mutagen as bytes where it lets them, the work is done on a copy beside
the file, and the copy replaces the file only when a second reading, with parsers of our own,
finds nothing changed but our fields. A tag that does not survive this is left alone, and we say so.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import re
import stat
import struct
from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, Any, BinaryIO, ClassVar
from uuid import UUID

import mutagen.aiff
import mutagen.apev2
import mutagen.asf
import mutagen.dsdiff
import mutagen.dsf
import mutagen.flac
import mutagen.id3
import mutagen.monkeysaudio
import mutagen.mp3
import mutagen.mp4
import mutagen.musepack
import mutagen.ogg
import mutagen.oggflac
import mutagen.oggopus
import mutagen.oggspeex
import mutagen.oggvorbis
import mutagen.optimfrog
import mutagen.tak
import mutagen.trueaudio
import mutagen.wave
import mutagen.wavpack
from mutagen._util import delete_bytes

from musictag import replacement
from musictag.errors import FileError, MetadataError
from musictag.replacement import Refusal

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

# mutagen's types are half written; mypy takes the other half for untyped calls
_id3: Any = mutagen.id3
_ogg: Any = mutagen.ogg
_mp4: Any = mutagen.mp4
_asf: Any = mutagen.asf


def read(path: Path) -> dict[str, tuple[str, ...]]:
    """The four fields as the file has them, () where it has none.

    Values come without surrounding white space, without empty ones and without
    repetitions; a NUL separates values wherever it stands. ID3's numeric genres are names here.
    """
    with _explained(path):
        return _open(path, named=path).values()


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
        texts = _FAMILIES[self.family].texts
        return {name: _cleaned(texts(self, name)) for name in FIELDS}

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
        except (TypeError, KeyError, AttributeError, *_DAMAGE) as error:
            raise ValueError(f"not a snapshot of a file's fields: {error}") from error
        return snapshot


@dataclass(frozen=True)
class Written:
    """One file's change: what its fields were and are, and the digest of the sound that stayed."""

    before: Snapshot
    after: Snapshot
    payload: bytes | None


def snapshot(path: Path) -> Snapshot:
    """The file's four fields, to be compared with and put back later."""
    with _explained(path):
        return _open(path, named=path).snapshot()


HARDLINKS = ("refuse", "replace", "in-place")


def write(
    path: Path,
    values: Values,
    *,
    preserve_mtime: bool = False,
    join: str | None = None,
    payload_digest: Callable[[Path], bytes] | None = None,
    expected: Values | None = None,
    hardlinks: str = "refuse",
    about_to: Callable[[Written], None] | None = None,
) -> Written | None:
    """Set the fields that are named in `values`, () removes one; all else in the file stays.

    None: nothing at all was written, since the file already reads so. With `join`, a field's
    values become one string. `payload_digest` must give the same for the file before and after.
    The fields named in `expected` must be as `read` gave them, or somebody else has set them since.
    A symbolic link stays, the file it names is written. A file with other hard links is refused,
    or replaced under this name alone, or written in place, under all its names. `about_to` is told
    when the new file is on the disk and not yet under its name: what it raises stops the write.
    On any error, and on Ctrl-C, the file is as it was and nothing is left beside it.
    """
    wanted = _as_stored(values, join)

    def edit(tagged: _Family) -> Values | None:
        now = tagged.values()
        for name, values_then in (expected or {}).items():
            if now[name] != values_then:
                raise _changed(name)
        goal = {**now, **wanted}
        if goal == now:
            return None
        for name, entries in wanted.items():
            tagged.set(name, entries)
        return goal

    return _edited(
        path,
        edit,
        preserve_mtime=preserve_mtime,
        payload_digest=payload_digest,
        hardlinks=hardlinks,
        about_to=about_to,
    )


def restore(
    path: Path,
    snapshot: Snapshot,
    *,
    expected: Snapshot | None,
    preserve_mtime: bool = False,
    payload_digest: Callable[[Path], bytes] | None = None,
    hardlinks: str = "refuse",
    about_to: Callable[[Written], None] | None = None,
) -> Written | None:
    """Put exactly these fields back, by the way `write` takes; None if they stand there already.

    The file's fields must be those `expected`; None takes whatever is there. A tag that a write
    made goes again, unless somebody has put more into it. Where the file has by now an ID3 tag
    of another version, its frames say the same values as that version does; a tag that was
    ID3v2.2 stays the ID3v2.3 that writing made of it.
    """

    def edit(tagged: _Family) -> Values | None:
        if expected is not None and tagged.snapshot() != expected:
            raise Refusal("changed", "its fields changed since they were written", _LOOK_FIRST)
        if tagged.name != snapshot.family:
            raise Refusal("changed", "it is now another kind of file", _LOOK_FIRST)
        if tagged.snapshot() == snapshot:
            return None
        tagged.put_back(snapshot)
        return tagged.values()

    return _edited(
        path,
        edit,
        preserve_mtime=preserve_mtime,
        payload_digest=payload_digest,
        hardlinks=hardlinks,
        about_to=about_to,
    )


_LOOK_FIRST = "look at it first"


def _edited(
    path: Path,
    edit: Callable[[_Family], Values | None],
    *,
    preserve_mtime: bool,
    payload_digest: Callable[[Path], bytes] | None,
    hardlinks: str,
    about_to: Callable[[Written], None] | None,
) -> Written | None:
    """The one way of every write: `edit` a copy in memory, save it, read it anew, put it in place.

    `edit` gives the values that must be read then, None if there is nothing to do.
    """
    if hardlinks not in HARDLINKS:
        raise ValueError(f"{hardlinks!r} is none of {HARDLINKS}")
    with _explained(path):
        original = Path(os.path.realpath(path))
        replacement.clear_leftovers(original.parent)
        n_names = original.stat().st_nlink
        opened = _open(original, named=path)
        before = opened.snapshot()
        if edit(opened) is None:
            return None
        if not os.access(original, os.W_OK):
            raise PermissionError(errno.EACCES, "the file is write-protected")
        if n_names > 1 and hardlinks == "refuse":
            raise Refusal(
                "hard_linked",
                f"it is one file under {n_names} names (hard links)",
                "--hardlinks replace writes a new file under this name, in-place writes all names",
            )
        with replacement.beside(original) as new:
            tagged = _open(new.path)
            _refuse_changes(before, tagged.snapshot())
            goal = edit(tagged)
            if goal is None:
                raise AssertionError("one file, one answer")
            intended = tagged.snapshot()
            tagged.save()
            after, payload = _check(new.path, original, goal, intended, payload_digest)
            written = Written(before, after, payload)
            in_place = hardlinks == "in-place" and new.seen.st_nlink > 1
            if not in_place:
                new.settle(preserve_mtime=preserve_mtime)
            if about_to is not None:
                about_to(written)
            if in_place:
                new.take_over(preserve_mtime=preserve_mtime)
            else:
                new.take_place()
    return written


def _refuse_changes(before: Snapshot, now: Snapshot) -> None:
    """What another program did to the fields after we read them and before we copied them."""
    then, values = before.values(), now.values()
    for name in FIELDS:
        if values[name] != then[name]:
            raise _changed(name)


def _as_stored(values: Values, join: str | None) -> dict[str, tuple[str, ...]]:
    for field, entries in values.items():
        for value in entries:
            if field not in FIELDS or _cleaned([value]) != (value,):
                raise ValueError(f"{value!r} cannot be a value of {field}")
            value.encode()  # no lone surrogates
    if join is None:
        return {field: tuple(dict.fromkeys(entries)) for field, entries in values.items()}
    return {f: (join.join(entries),) if entries else () for f, entries in values.items()}


def _cleaned(texts: list[str]) -> tuple[str, ...]:
    """Values as we compare them: stripped, none empty, none twice."""
    values = (value.strip() for text in texts for value in text.split("\0"))
    return tuple(dict.fromkeys(value for value in values if value))


def _check(
    copy: Path,
    original: Path,
    goal: Values,
    intended: Snapshot,
    payload_digest: Callable[[Path], bytes] | None,
) -> tuple[Snapshot, bytes | None]:
    """The copy, read anew: our fields as intended, nothing else different; they and its sound."""
    after = _open(copy)
    for name in FIELDS:
        if not goal[name] and _cleaned(after.elsewhere(name)):
            reason = f"its {name} stands in another tag of the file as well, which musictag keeps"
            raise Refusal("bad_header", reason, "remove that tag with the program that wrote it")
    if after.values() != goal or after.snapshot() != intended:
        raise Refusal("bad_header", "the fields would not read back as they were written")
    unchanged = _open(original)
    lasts = getattr(after.file.info, "length", None), getattr(unchanged.file.info, "length", None)
    if lasts[0] != lasts[1] or after.rest() != unchanged.rest():
        raise Refusal("bad_header", "something else in it would not survive a change of its tags")
    if payload_digest is None:
        return after.snapshot(), None
    try:
        payload = payload_digest(copy)
        intact = payload == payload_digest(original)
    except FileError as error:
        raise Refusal("bad_header", f"its sound could not be compared: {error.reason}") from error
    if not intact:  # with nothing else different: the digest may well be one of the whole file
        raise Refusal(
            "bad_header",
            "its sound cannot be told from its tags, or would not survive a change of them",
        )
    return after.snapshot(), payload


# ---------------------------------------------------------------- what goes wrong


def _changed(field: str) -> Refusal:
    return Refusal("changed", f"its {field} changed since it was heard", "scan it again")


_CODES = {
    errno.ENOENT: "not_found",
    errno.EACCES: "permission",
    errno.EPERM: "permission",
    errno.EROFS: "read_only",
    errno.ENOSPC: "no_space",
    errno.EDQUOT: "no_space",
    errno.EISDIR: "not_a_file",
    errno.ENOTDIR: "not_found",
    errno.EBUSY: "locked",
    errno.ETXTBSY: "locked",
    errno.EXDEV: "cross_device",
}
_WINDOWS_LOCKS = (32, 33)
_CURES = {
    "locked": "close the program that has it open",
    "cross_device": "it is mounted by itself: write it where it comes from",
    "no_space": "make room on its disk",
}


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Every foreseen trouble as a MetadataError about `path`, whichever copy it happened to."""
    try:
        yield
    except Refusal as refusal:
        code, reason, *cure = refusal.args
        raise MetadataError(path, code, reason, cure=cure[0] if cure else None) from refusal
    except OSError as error:
        code = _CODES.get(error.errno or 0, "io")
        if getattr(error, "winerror", None) in _WINDOWS_LOCKS:
            code = "locked"
        reason = (error.strerror or str(error)).lower()
        raise MetadataError(path, code, reason, cure=_CURES.get(code)) from error


_DAMAGE = (
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
def _parsing() -> Iterator[None]:
    """Around every meeting with bytes that anybody may have written.

    mutagen wraps the operating system's errors in its own; they are found again here. Only EINVAL
    is none: it comes of a jump to before the file's beginning, where a wrong length has led.
    """
    try:
        yield
    except (*_DAMAGE, OSError) as error:
        link: BaseException | None = error
        while link is not None:
            if isinstance(link, OSError) and link.errno not in (None, errno.EINVAL):
                raise link from error
            link = link.__cause__ or link.__context__
        reason = str(error) or "they are damaged or cut short"
        raise Refusal("bad_header", f"its tags cannot be parsed: {reason}") from error


# ---------------------------------------------------------------- which container, which family


def _open(path: Path, *, named: Path | None = None) -> _Family:
    """The file's tags, its container told by its content; `named` must not claim another one."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise Refusal("not_a_file", "not a regular file")
    if not status.st_size:
        raise Refusal("empty", "the file is empty")
    container = _recognised(path)
    if named is not None:
        claims = [other for other in CONTAINERS if named.suffix.lower() in other.suffixes]
        if claims and container not in claims:
            suffix = container.suffixes[0]
            raise Refusal(
                "mislabelled",
                f"named {named.suffix}, but it is {container.name}",
                f"rename it to end in {suffix}",
            )
    if container.family is None:
        raise Refusal("no_tags", f"{container.name} has no tags that musictag can write")
    with _parsing():
        return container.family(path, container.mutagen)


def _recognised(path: Path) -> Container:
    with path.open("rb") as file:
        start = 0
        while (head := _read_at(file, start, 4096)).startswith(b"ID3") and len(head) >= 10:
            start += 10 + _synchsafe(head[6:10])  # also several in a row, as Windows stacks them
    for container in CONTAINERS:
        if re.match(container.magic, head, re.DOTALL):
            return container
    suffix = path.suffix.lower()
    known = any(suffix in container.suffixes for container in CONTAINERS)
    # An mp3 may begin with junk. mutagen looks further in, and says if it finds no frames.
    if suffix in _MPEG.suffixes or (start and not known):
        return _MPEG
    if known:
        raise Refusal("bad_header", f"it does not begin as a {suffix} file does")
    raise Refusal("no_tags", "not a container that musictag knows")


# ---------------------------------------------------------------- families of tags


_MOST_PADDING = 1 << 16


class _Family(ABC):
    """One open file's tags of one family: every entry as bytes, and which field it holds."""

    name: ClassVar[str]
    version = 0
    """Of ID3, which is written."""
    v1_genre: int | None = None

    def __init__(self, path: Path, kind: Any) -> None:
        self.path = path
        self.file = kind(path)
        self.size = path.stat().st_size
        self.padding: Callable[[mutagen.PaddingInfo], int] | None = None
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
        return {name: own[name] or _cleaned(self.elsewhere(name)) for name in FIELDS}

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
            known = 0 <= as_before <= _MOST_PADDING
            return as_before if known else int(info.get_default_padding())

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
        with _parsing():
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
        with _parsing(), self.path.open("rb") as file:
            return self._rest(file)

    @abstractmethod
    def _rest(self, file: BinaryIO) -> Any: ...


class _WithTail(_Family):
    """A family that knows ID3v1 at the end of the file, perhaps with Lyrics3 before it.

    mutagen would write ID3v1 anew without its comment, delete it, or put APEv2
    behind it where nobody looks. So it never sees it: the tail is cut off the
    copy, and put back with nothing changed but the genre's number.
    """

    tail = b""

    def _read_tail(self) -> None:
        with self.path.open("rb") as file:
            start = max(0, _size(file) - 128)
            v1 = _read_at(file, start, 128)
            # an APEv2 tag of 131 bytes has its "APETAGEX" just where "TAG" would be
            if len(v1) < 128 or not v1.startswith(b"TAG") or v1[-32:-24] == b"APETAGEX":
                return
            end_mark = _read_at(file, max(0, start - 15), 15)
            if re.fullmatch(rb"\d{6}LYRICS200", end_mark):
                lyrics_start = start - 15 - int(end_mark[:6])
                if lyrics_start > 0 and _read_at(file, lyrics_start, 11) == b"LYRICSBEGIN":
                    start = lyrics_start
            self.tail = _read_at(file, start, _size(file) - start)

        self.v1_genre = self.tail[-1]

    def set(self, field: str, values: tuple[str, ...]) -> None:
        """In ID3v1 the first genre that has a number; 255, "none", where no value has one."""
        super().set(field, values)
        if field == "GENRE" and self.v1_genre is not None:
            numbers = (_GENRES.index(value) for value in values if value in _GENRES)
            self.v1_genre = next(numbers, 255)

    def put_back(self, snapshot: Snapshot) -> None:
        super().put_back(snapshot)
        if self.v1_genre is not None and snapshot.v1_genre is not None:
            self.v1_genre = snapshot.v1_genre

    def save(self) -> None:
        if self.tail:
            os.truncate(self.path, self.path.stat().st_size - len(self.tail))
        super().save()
        if self.v1_genre is not None:
            with self.path.open("ab") as file:
                file.write(self.tail[:-1] + bytes([self.v1_genre]))


def _genre_of_v1(number: int | None) -> list[str]:
    return [_GENRES[number]] if number is not None and number < len(_GENRES) else []


class _Verbatim(dict[str, Any]):
    """For mutagen's `known_frames`: it hands frames that it does not know through as bytes.

    It looks a frame up by [] and is told that none is known. With `in` it only
    counts names, to tell iTunes' wrong frame sizes from right ones, and there
    the truth is needed.
    """

    def __contains__(self, name: object) -> bool:
        return name in _id3.Frames


class _ID3(_WithTail):
    """ID3v2 at the beginning of the file, ID3v1 at the end.

    2.3 stays 2.3 and 2.4 stays 2.4. mutagen cannot write 2.2, which becomes 2.3, its nearest
    relative, if every frame has a successor there. A file without ID3v2 gets 2.4: several values
    and MOOD are standard only there, and a player too old for it sees what it saw before.
    Where there was only ID3v1, its title, artist and so on come along into the new
    ID3v2, since many players look no further once they have found one. But ID3v1 names no
    alphabet: a text that is neither ASCII nor UTF-8 may be Latin-1 as well as cp1251, and
    ID3v2 would have to say which. Such a file is left alone: a new ID3v2 would hide what a
    player makes of the old text, or show it wrong.
    An APEv2 tag at the end is read for fields that ID3 lacks, as players do, and never written.
    """

    name = "ID3"

    def __init__(self, path: Path, kind: Any) -> None:
        lazy = partial(kind, load_v1=False, translate=False, known_frames=_Verbatim())
        super().__init__(path, lazy)

    def _entries(self, file: BinaryIO) -> list[tuple[str | None, Any]]:
        if getattr(self.file.info, "sketchy", False):
            raise Refusal("bad_header", "no run of MPEG audio frames in its beginning")
        self._read_tail()
        self.version, frames = self._frames(file)
        return [(self._field(frame), frame) for frame in frames]

    def _field(self, frame: bytes) -> str | None:
        """The field that this frame holds, under the key of either version."""
        parsed = _parsed_frame(self.version, frame)
        if parsed is None:
            return None
        key = parsed.FrameID + (f":{parsed.desc.upper()}" if parsed.FrameID == "TXXX" else "")
        columns = KEYS["ID3v2.3"], KEYS["ID3v2.4"]
        return next((f for f in FIELDS if key in (column[f] for column in columns)), None)

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        frames = [_parsed_frame(snapshot.version, frame) for frame in snapshot.raw(field)]
        if field != "GENRE":
            return [str(text) for frame in frames for text in frame.text]
        names = [name for frame in frames for name in _genres(frame)]
        return names or _genre_of_v1(snapshot.v1_genre)

    def elsewhere(self, field: str) -> list[str]:
        """In an APEv2 tag before ID3v1; damage in it is no reason to leave ID3 alone."""
        key = KEYS["APEv2"][field].upper().encode()
        with self.path.open("rb") as file:
            end = _size(file) - len(self.tail)
            footer = _read_at(file, max(0, end - 32), 32)
            size = int.from_bytes(footer[12:16], "little")
            if not footer.startswith(b"APETAGEX") or not 32 <= size <= end:
                return []
            data = _read_at(file, end - size, size - 32)
        with suppress(ValueError, struct.error):
            texts = [(name, text) for name, kind, text in _ape_items(data) if not kind]
            return [text.decode("utf-8", "replace") for name, text in texts if name.upper() == key]
        return []

    def _rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        name, _, description = KEYS[f"ID3v2.{self.version}"][field].partition(":")
        frame = getattr(_id3, name)(encoding=self._encoding(values), text=list(values))
        if description:
            frame.desc = description
        return _rendered([frame], self.version)

    def _others(self) -> bool:
        """Frames that came along from ID3v1 stand there still."""
        frames = [frame for name, frame in self.entries if name is None]
        from_v1 = self._frames_of_v1() if self.tail else []
        return sorted(frames) != sorted(f for f in from_v1 if self._field(f) is None)

    def _encoding(self, values: tuple[str, ...]) -> int:
        """Latin-1 where it suffices, as every player reads it; else the version's own Unicode.

        In 2.4 only ASCII suffices: there is UTF-8, and some take Latin-1 for
        their own code page. In 2.3 that habit is a reason to leave it so.
        """
        texts = "".join(values)
        if self.version == 4:
            return int(_id3.Encoding.LATIN1 if texts.isascii() else _id3.Encoding.UTF8)
        with suppress(UnicodeEncodeError):
            texts.encode("latin-1")
            return int(_id3.Encoding.LATIN1)
        return int(_id3.Encoding.UTF16)

    def _save(self) -> None:
        tags = self.file.tags
        tags.clear()
        tags.unknown_frames = [frame for _, frame in self.entries]
        tags._unknown_v2_version = self.version  # else it drops frames of another version
        self.file.save(self.path, v2_version=self.version, padding=self.padding)

    def _frames(self, file: BinaryIO) -> tuple[int, list[bytes]]:
        """The version that will be written, and every frame's bytes in that version."""
        if self.file.tags is None:
            self._refuse_strays(file)
            return 4, self._frames_of_v1() if self.tail else []
        file.seek(0)
        tags = type(self.file.tags)()
        tags.load(file, load_v1=False, translate=False, known_frames=_Verbatim())
        self.end = file.tell()
        tag = _read_at(file, self.end - tags.size, tags.size)
        _refuse_losses(tags, tag)
        if tag[5] & 0x10:
            raise Refusal("bad_header", "its ID3 tag has a footer, which mutagen cannot keep")
        if tags.version[1] == 2:
            file.seek(self.end - tags.size)
            return 3, self._frames_of_v22(file, len(tags.unknown_frames))
        if tags.version[1] == 4 and tags.f_unsynch:
            # the header's flag goes; each frame says it for itself
            frames = [f[:9] + bytes([f[9] | 0x02]) + f[10:] for f in tags.unknown_frames]
            return 4, frames
        return tags.version[1], tags.unknown_frames

    def _frames_of_v1(self) -> list[bytes]:
        tags: Any = _id3.ID3(BytesIO(self.tail[-128:]), translate=False)
        if "TCON" in tags:
            tags["TCON"].genres = tags["TCON"].genres
        for frame in tags.values():
            text = _known_text(str(frame).encode("latin-1"))  # mutagen took every byte for a letter
            if text is None:
                raise Refusal(
                    "no_tags",
                    "its only tag is ID3v1, in letters of an unknown alphabet",
                    "give it an ID3v2 tag first, in a program where the letters look right",
                )
            if not text.isascii():
                frame.encoding, frame.text = _id3.Encoding.UTF8, [text]
        return _rendered(tags.values(), 4)

    def _frames_of_v22(self, file: BinaryIO, n_frames: int) -> list[bytes]:
        tags = type(self.file.tags)()
        tags.load(file, load_v1=False, translate=False)
        if tags.unknown_frames or len(tags) != n_frames:
            raise Refusal("bad_header", "its ID3v2.2 tag holds frames with no ID3v2.3 successor")
        for picture in tags.getall("APIC"):
            picture.mime = {"PNG": "image/png", "JPG": "image/jpeg"}.get(picture.mime, picture.mime)
        return _rendered(tags.values(), 3)

    end = 0
    """Where ID3v2 ends in the file."""

    def _refuse_strays(self, file: BinaryIO) -> None:
        """A tag where mutagen saw none would be written over."""

    def _rest(self, file: BinaryIO) -> Any:
        others = sorted(frame for field, frame in self.entries if field is None)
        return others, self.tail[:-1], self._outside(file)

    def _outside(self, file: BinaryIO) -> Any:
        return _digest(file, self.end, _size(file) - len(self.tail))


class _ID3InChunk(_ID3):
    """ID3v2 in a chunk of WAV, AIFF or DSDIFF; the genre in a WAV's LIST INFO is only read."""

    def __init__(self, path: Path, kind: Any) -> None:
        with path.open("rb") as file:
            if _was_streamed(file):
                reason = (
                    "its header does not say how long it is: a tag behind it would not be found"
                )
                raise Refusal("no_tags", reason, f"{_FFMPEG_COPY}, and tag the copy")
        super().__init__(path, kind)

    def _read_tail(self) -> None: ...

    def elsewhere(self, field: str) -> list[str]:
        if field != "GENRE":
            return []
        with self.path.open("rb") as file:
            places = [(start, end) for name, start, end in _chunks(file) if name == b"LIST"]
            chunks = [_read_at(file, start, min(end - start, 1 << 20)) for start, end in places]
        texts = [text for data in chunks if data[:4] == b"INFO" for text in _info(data, b"IGNR")]
        return [_known_text(text) or text.decode("latin-1") for text in texts]

    def _refuse_strays(self, file: BinaryIO) -> None:
        if any(name == b"ID3" and end > start for name, start, end in _chunks(file)):
            raise Refusal("bad_header", "its ID3 chunk holds something else")

    def _outside(self, file: BinaryIO) -> Any:
        return [(n, _digest(file, start, end)) for n, start, end in _chunks(file) if n != b"ID3"]


class _ID3AtPointer(_ID3):
    """ID3v2 at the end of a DSF file, its place noted in the header."""

    def _read_tail(self) -> None: ...

    def _place(self, file: BinaryIO) -> int:
        return int.from_bytes(_read_at(file, 20, 8), "little")

    def _refuse_strays(self, file: BinaryIO) -> None:
        if self._place(file):
            raise Refusal("bad_header", "its ID3 tag is not where its header says")

    def _remove(self) -> None:
        """mutagen would leave the file's old length in its header."""
        with self.path.open("rb+") as file:
            end = self._place(file)
            file.truncate(end)
            file.seek(12)
            file.write(struct.pack("<QQ", end, 0))

    def _outside(self, file: BinaryIO) -> Any:
        return _digest(file, 28, self._place(file) or _size(file))


_FFMPEG_COPY = "copy it with ffmpeg -i OLD -c copy NEW"


def _was_streamed(file: BinaryIO) -> bool:
    """Whether a WAV file's lengths are what programs put there that could not go back to them."""
    head = _read_at(file, 0, 8)
    if not head.startswith(b"RIFF"):
        return False
    if head[4:] in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
        return True
    for name, start, _ in _chunks(file):
        if name == b"DATA":
            size = int.from_bytes(_read_at(file, start - 4, 4), "little")
            return size >= 0x7FFFF000 and start + size > _size(file)
    return False


def _info(data: bytes, wanted: bytes) -> Iterator[bytes]:
    """The texts of this name in a RIFF file's LIST INFO."""
    place = 4
    while place + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        if name == wanted:
            yield data[place + 8 : place + 8 + size].rstrip(b"\0")
        place += 8 + size + size % 2


_GENRES: list[str] = _id3.TCON.GENRES


def _genres(frame: Any) -> list[str]:
    """Numbers as names; 255 is ID3's "none"."""
    texts = [text for text in frame.text if text.strip("()") != "255"]
    return list(_id3.TCON(text=texts).genres) if texts else []


def _known_text(stored: bytes) -> str | None:
    """ASCII or UTF-8, perhaps cut off where ID3v1 has no more room; None if it is neither."""
    with suppress(UnicodeDecodeError):
        return stored.decode()
    if len(stored) >= 28:  # of a comment; the others have 30
        for end in (-1, -2, -3):
            with suppress(UnicodeDecodeError):
                text = stored[:end].decode()
                return None if text.isascii() else text  # one odd byte in it proves nothing
    return None


def _parsed_frame(version: int, frame: bytes) -> Any:
    """The frame if it is of a kind that our fields use, else None."""
    if frame[:4] not in (b"TCON", b"TMOO", b"TXXX"):
        return None
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    tag = b"ID3" + bytes([version, 0, 0]) + size + frame
    parsed = _id3.ID3(BytesIO(tag), load_v1=False, translate=False)
    return next(iter(parsed.values()), None)


def _rendered(frames: Iterable[Any], version: int) -> list[bytes]:
    """Parsed frames as bytes of this version."""
    plain: Any = _id3.ID3()
    for frame in frames:
        plain.add(frame)
    buffer = BytesIO()
    # v23_sep=None: several values stay several in 2.3 too, as everybody writes them, separated
    # by NUL. The default joins them with "/".
    plain.save(buffer, v1=0, v2_version=version, v23_sep=None)
    buffer.seek(0)
    tags = _id3.ID3(buffer, load_v1=False, translate=False, known_frames=_Verbatim())
    return list(tags.unknown_frames)


def _refuse_losses(tags: Any, tag: bytes) -> None:
    """mutagen skips what it does not understand, and takes what follows for padding.

    So the frames that it found must fill the tag: only zeros may follow, only
    frames of no length may lie between, which are forbidden and say nothing.
    """
    version, body = tags.version[1], tag[10:]
    if tags.f_unsynch and version < 4:
        body = body.replace(b"\xff\x00", b"\xff")
    size_at, header = (slice(3, 6), 6) if version == 2 else (slice(4, 8), 10)
    place = 0
    if tags.f_extended:
        length = body[:4]
        place = _synchsafe(length) if version == 4 else 4 + int.from_bytes(length, "big")
    for frame in [*tags.unknown_frames, b""]:
        while body[place : place + 1].strip(b"\0") and not (
            frame and body.startswith(frame, place)
        ):
            if body[place : place + header][size_at].strip(b"\0"):
                raise Refusal("bad_header", "its ID3 tag holds bytes that are no frames")
            place += header
        place += len(frame)
    if body[place:].strip(b"\0"):
        raise Refusal("bad_header", "its ID3 tag holds bytes that are no frames")


class _RawText(str):
    """For mutagen's Vorbis comments: a text that is written as these bytes, UTF-8 or not."""

    raw: bytes

    def __new__(cls, raw: bytes) -> _RawText:
        text = super().__new__(cls, raw.decode("utf-8", "replace"))
        text.raw = raw
        return text

    def encode(self, *_: str) -> bytes:
        return self.raw


class _Vorbis(_Family):
    """Vorbis comments: pairs of key and text, the key in any case, a pair for every value."""

    name = "Vorbis"

    def _entries(self, file: BinaryIO) -> list[tuple[str | None, Any]]:
        comments = [] if self.file.tags is None else _texts(self._block(file))[1:]
        return [(self._field(comment), comment) for comment in comments]

    @abstractmethod
    def _block(self, file: BinaryIO) -> bytes:
        """The comments as the file has them: mutagen would mend what is not UTF-8 in them."""

    @staticmethod
    def _field(comment: bytes) -> str | None:
        key = comment.partition(b"=")[0].upper()
        return next((field for field in FIELDS if KEYS["Vorbis"][field].encode() == key), None)

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        return [raw.partition(b"=")[2].decode("utf-8", "replace") for raw in snapshot.raw(field)]

    def _rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        return [f"{KEYS['Vorbis'][field]}={value}".encode() for value in values]

    def _save(self) -> None:
        pairs = [comment.partition(b"=") for _, comment in self.entries]
        if not all(equals for _, equals, _ in pairs):
            raise ValueError("a comment without a key")
        self.file.tags[:] = [(_RawText(key), _RawText(text)) for key, _, text in pairs]
        self.file.save(self.path, padding=self.padding)

    def _comments(self, block: bytes) -> Any:
        """Vendor and the pairs that are not ours, to be compared; one of our making is none."""
        vendor, *comments = _texts(block)
        others = [comment for comment in comments if self._field(comment) is None]
        return b"" if vendor.startswith(b"Mutagen ") else vendor, others


class _FLAC(_Vorbis):
    """Vorbis comments in a FLAC file's metadata block; an ID3 tag before or after it stays."""

    def _block(self, file: BinaryIO) -> bytes:
        blocks = self._blocks(file)
        return next(block for kind, block in blocks if kind == mutagen.flac.VCFLACDict.code)

    def _blocks(self, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
        """Kind and content of the metadata blocks; the file then stands at the first frame."""
        start = 0
        if (head := _read_at(file, 0, 10)).startswith(b"ID3"):
            start = 10 + _synchsafe(head[6:10])
        file.seek(start + 4)
        last = False
        while not last:
            (header,) = struct.unpack(">I", file.read(4))
            kind, size = divmod(header, 1 << 24)
            last = kind >= 0x80
            yield kind & 0x7F, file.read(size)

    def _remove(self) -> None:
        blocks = self.file.metadata_blocks
        blocks[:] = [block for block in blocks if block is not self.file.tags]
        self.file.save(
            self.path, padding=self.padding
        )  # mutagen's own way takes the padding out as well

    def _rest(self, file: BinaryIO) -> Any:
        blocks = list(self._blocks(file))
        end = file.tell()
        comments, others = None, []
        for kind, block in blocks:
            if kind == mutagen.flac.VCFLACDict.code and comments is None:
                comments = self._comments(block)
            elif kind != mutagen.flac.Padding.code:
                others.append((kind, block))
        start = _read_at(file, 0, end).index(b"fLaC")
        return (
            _digest(file, 0, start),
            others,
            comments or (b"", []),
            _digest(file, end, _size(file)),
        )


class _Ogg(_Vorbis):
    """Vorbis comments in the second packet of an Ogg stream, after that codec's magic."""

    magic: ClassVar[dict[Any, int]] = {
        mutagen.oggvorbis.OggVorbis: len(b"\x03vorbis"),
        mutagen.oggopus.OggOpus: len(b"OpusTags"),
        mutagen.oggflac.OggFLAC: 4,  # a FLAC block's header
        mutagen.oggspeex.OggSpeex: 0,
    }

    def _block(self, file: BinaryIO) -> bytes:
        pages, _ = self._first_pages(file)
        block = self._packets(pages)[0]
        self.size = len(block)
        return block

    def _first_pages(self, file: BinaryIO) -> tuple[list[Any], list[Any]]:
        """The pages that hold the comments, and the others that stand before their end."""
        pages: list[Any] = []
        others: list[Any] = []
        while not pages or not (pages[-1].complete or len(pages[-1].packets) > 1):
            page: Any = _ogg.OggPage(file)
            ours = page.serial == self.file.info.serial and not page.first
            (pages if ours else others).append(page)
        return pages, others

    def _packets(self, pages: list[Any]) -> list[bytes]:
        """The comments without that codec's magic, and what stands behind them on their pages."""
        packet, *more = _ogg.OggPage.to_packets(pages)
        return [packet[self.magic[type(self.file)] :], *more]

    def _rest(self, file: BinaryIO) -> Any:
        """Comments, then all other packets in a row: pages may have been cut and numbered anew.

        Of the pages' positions those count that tell a time; headers have none.
        """
        pages, others = self._first_pages(file)
        block, *more = self._packets(pages)
        sound = hashlib.blake2b(b"".join([*(b"".join(page.packets) for page in others), *more]))
        ends = [(page.serial, page.position) for page in others if page.position > 0]
        place = file.tell()
        with suppress(EOFError, _ogg.error):
            while True:
                page: Any = _ogg.OggPage(file)
                place = file.tell()
                sound.update(b"".join(page.packets))
                if page.position > 0:
                    ends.append((page.serial, page.position))
        return self._comments(block), sound.digest(), ends, _digest(file, place, _size(file))


def _texts(block: bytes) -> list[bytes]:
    """A Vorbis comment block's texts as bytes, the vendor's first."""
    place, texts = 0, []
    (length,) = struct.unpack_from("<I", block)
    (count,) = struct.unpack_from("<I", block, 4 + length)
    for index in range(1 + count):
        (length,) = struct.unpack_from("<I", block, place)
        texts.append(block[place + 4 : place + 4 + length])
        place += 4 + length + (4 if index == 0 else 0)  # the count stands after the vendor
    return texts


class _Atoms(mutagen.mp4.MP4Tags):
    """MP4's list of tags, every atom handed through as it is, in its order.

    Left to itself mutagen would parse and write anew all of them, and change what
    it thinks odd: types of pictures, widths of numbers, languages.
    """

    def load(self, atoms: Any, fileobj: Any) -> None:
        ilst = atoms.path(b"moov", b"udta", b"meta", b"ilst")[-1]
        self.contents = []
        for atom in ilst.children:
            whole, data = atom.read(fileobj)
            if not whole:
                raise EOFError("an atom ends after the file")
            self.contents.append(_rendered_atom(atom.name, data))
        ilst.children = []
        super().load(atoms, fileobj)  # type: ignore[no-untyped-call]  # half typed, see above


class _InOrder:
    """For mutagen's `_failed_atoms`, which it could not parse and writes back as they were."""

    def __init__(self, atoms: list[bytes]) -> None:
        self.atoms = atoms

    def items(self) -> Iterator[tuple[str, list[bytes]]]:
        return ((atom[4:8].decode("latin-1"), [atom[8:]]) for atom in self.atoms)


def _rendered_atom(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(data), name) + data


class _UnreadChapters(mutagen.mp4.MP4Chapters):
    """Chapters are none of our business, and one odd title would make the whole file unreadable."""

    def load(self, *_: Any) -> None: ...


class _MP4File(mutagen.mp4.MP4):
    MP4Tags = _Atoms
    MP4Chapters = _UnreadChapters


class _MP4(_Family):
    """The iTunes list of MP4: an atom per key with a part per value, free form for keys of our own.

    A numeric genre (`gnre`) is read as its name, and gives way to the first genre that is written.
    """

    name = "MP4"

    def __init__(self, path: Path, kind: Any) -> None:
        with path.open("rb") as file:
            self._refuse_halves(file)
            self._refuse_fragments(file)
        super().__init__(path, kind)

    def _refuse_halves(self, file: BinaryIO) -> None:
        """Of what ends before its index does, often its last part; else the sound will tell."""
        ends = {name: end for name, _, end in _boxes(file, 0, _size(file))}
        if b"moov" not in ends or ends[b"moov"] > _size(file):
            reason = "the file is cut short: its index is missing"
            raise Refusal("truncated", reason, "copy or download it again")

    def _refuse_fragments(self, file: BinaryIO) -> None:
        """Of places in the file, which a longer tag would make wrong, mutagen mends only some."""
        for name, start, end in _boxes(file, 0, _size(file)):
            if name == b"mfra" or (name == b"moof" and _says_where_it_is(file, start, end)):
                reason = "it is in fragments that would not be found behind a longer tag"
                raise Refusal("no_tags", reason, f"{_FFMPEG_COPY}, and tag the copy")

    def _entries(self, file: BinaryIO) -> list[tuple[str | None, Any]]:  # noqa: ARG002
        atoms = [] if self.file.tags is None else self.file.tags.contents
        return [(_mp4_field(atom[4:8], atom[8:]), atom) for atom in atoms]

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        atoms = snapshot.raw(field)
        parts = [part for atom in atoms if atom[4:8] != b"gnre" for part in _parts(atom)]
        if not parts:
            numbers = [number for atom in atoms for _, number in _parts(atom)]
            places = [int.from_bytes(number, "big") - 1 for number in numbers]
            return [_GENRES[place] for place in places if 0 <= place < len(_GENRES)]
        return [
            text.decode("utf-16-be" if kind == _MP4_UTF16 else "utf-8", "replace")
            for kind, text in parts
        ]

    def _rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        key, *space = KEYS["MP4"][field].split(":")
        names = zip((b"mean", b"name"), space, strict=False)
        head = [_rendered_atom(name, bytes(4) + text.encode()) for name, text in names]
        kind = struct.pack(">II", mutagen.mp4.AtomDataType.UTF8, 0)
        parts = [_rendered_atom(b"data", kind + value.encode()) for value in values]
        return [_rendered_atom(key.encode("latin-1"), b"".join(head + parts))]

    def _save(self) -> None:
        self.file.tags._failed_atoms = _InOrder([atom for _, atom in self.entries])
        self.file.save(self.path, padding=self.padding)

    def _remove(self) -> None:
        """mutagen would leave an empty list."""
        with self.path.open("rb+") as file:
            atoms: Any = _mp4.Atoms(file)
            *parents, box = atoms.path(b"moov", b"udta", b"meta")
            if len(parents[-1].children) == 1:
                box = parents.pop()
            delete_bytes(file, box.length, box.offset)
            tags = self.file.tags
            tags._MP4Tags__update_parents(file, parents, -box.length)
            tags._MP4Tags__update_offsets(file, atoms, -box.length, box.offset)

    def _rest(self, file: BinaryIO) -> Any:
        return sorted(_atoms(file, 0, _size(file), ()))


_MP4_UTF16 = mutagen.mp4.AtomDataType.UTF16


def _parts(atom: bytes) -> list[tuple[int, bytes]]:
    """Type and content of the values in an atom of the iTunes list; none if it is damaged."""
    with suppress(ValueError, struct.error):
        boxes = list(_boxes(BytesIO(atom), 8, len(atom)))
        values = [atom[start:end] for name, start, end in boxes if name == b"data"]
        return [(int.from_bytes(value[1:4], "big"), value[8:]) for value in values]
    return []


def _mp4_field(name: bytes, data: bytes) -> str | None:
    """The field that an atom of the iTunes list holds."""
    if name == b"gnre":
        return "GENRE"
    key = name
    if name == b"----":
        length = int.from_bytes(data[:4], "big")
        end = length + int.from_bytes(data[length : length + 4], "big")
        key = b":".join((name, data[12:length], data[length + 12 : end]))
    text = key.decode("latin-1").upper()
    return next((field for field in FIELDS if KEYS["MP4"][field].upper() == text), None)


def _atoms(
    file: BinaryIO, start: int, end: int, parents: tuple[bytes, ...]
) -> Iterator[tuple[tuple[bytes, ...], bytes]]:
    """Path and digest of every atom that a change of our fields has no business with.

    Tables of places in the file may change, since the music moves; whether they
    still lead to it is what the payload's digest tells.
    """
    for name, inside, claimed_end in _boxes(file, start, end):
        path, after = (*parents, name), min(claimed_end, end)
        if path in _ATOM_PARENTS or path[-1] in _ATOM_TABLES:
            yield from _atoms(file, inside + (4 if name == b"meta" else 0), after, path)
        elif parents[-1:] == (b"ilst",):
            if not _mp4_field(name, _read_at(file, inside, after - inside)):
                yield path, _digest(file, inside, after)
        elif name not in _ATOMS_THAT_MOVE and path != (b"moov", b"udta", b"meta", b"hdlr"):
            yield path, _digest(file, inside, after)


def _boxes(file: IO[bytes], start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the atoms between these places; the last may claim to end later."""
    while start + 8 <= end:
        size, name = struct.unpack(">I4s", _read_at(file, start, 8))
        header = 8
        if size == 1:
            size, header = int.from_bytes(_read_at(file, start + 8, 8), "big"), 16
        size = size or end - start
        if size < header:
            raise ValueError("an atom is shorter than its header")
        yield name, start + header, start + size
        start += size


def _says_where_it_is(file: BinaryIO, start: int, end: int) -> bool:
    """Whether a fragment counts places from the file's beginning and not from its own."""
    for name, inside, after in _boxes(file, start, end):
        if name == b"traf" and _says_where_it_is(file, inside, after):
            return True
        if name == b"tfhd" and int.from_bytes(_read_at(file, inside, 4), "big") & 1:
            return True
    return False


_ATOM_PARENTS = {
    (b"moov",),
    (b"moov", b"udta"),
    (b"moov", b"udta", b"meta"),
    (b"moov", b"udta", b"meta", b"ilst"),
}
_ATOM_TABLES = {b"trak", b"mdia", b"minf", b"stbl"}
_ATOMS_THAT_MOVE = {b"free", b"skip", b"stco", b"co64"}


class _ASF(_Family):
    """Attributes of an ASF header, by name; several of one name for several values."""

    name = "ASF"

    def _entries(self, file: BinaryIO) -> list[tuple[str | None, Any]]:  # noqa: ARG002
        """Our attributes as bytes, the others as mutagen has them."""
        fields = [(self._field(name), name, value) for name, value in self.file.tags]
        return [
            (field, (name, value) if field is None else self._record(name, value))
            for field, name, value in fields
        ]

    @staticmethod
    def _field(name: str) -> str | None:
        return next((of for of in FIELDS if KEYS["ASF"][of].upper() == name.upper()), None)

    @staticmethod
    def _record(name: str, value: Any) -> bytes:
        """As in the metadata library, after a byte that says if language and stream are given."""
        given = (value.language is not None) | (value.stream is not None) << 1
        return bytes([given]) + bytes(value.render_ml(name))

    @staticmethod
    def _attribute(record: bytes) -> tuple[str, Any]:
        language, stream, length, kind, _ = struct.unpack_from("<HHHHI", record, 1)
        name = record[13 : 13 + length].decode("utf-16-le").rstrip("\0")
        data = record[13 + length :]
        value: Any = data
        if kind == mutagen.asf.UNICODE:
            value = data.decode("utf-16-le").rstrip("\0")
        elif kind in (mutagen.asf.BOOL, mutagen.asf.DWORD, mutagen.asf.QWORD, mutagen.asf.WORD):
            value = int.from_bytes(data, "little")
        given = {"language": language} if record[0] & 1 else {}
        given |= {"stream": stream} if record[0] & 2 else {}
        return name, _asf.ASFValue(value, kind, **given)

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        values = [_ASF._attribute(record)[1].value for record in snapshot.raw(field)]
        return [value for value in values if isinstance(value, str)]

    def _rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        first, *more = values  # one of a name where all players look, the others in the library
        attributes = [_asf.ASFValue(first, mutagen.asf.UNICODE)]
        attributes += [
            _asf.ASFValue(value, mutagen.asf.UNICODE, language=0, stream=0) for value in more
        ]
        return [self._record(KEYS["ASF"][field], attribute) for attribute in attributes]

    def _save(self) -> None:
        self.file.tags[:] = [
            entry if field is None else self._attribute(entry) for field, entry in self.entries
        ]
        self.file.save(self.path, padding=self.padding)

    def _rest(self, file: BinaryIO) -> Any:
        ours = {KEYS["ASF"][field].upper() for field in FIELDS}
        others = [
            (name, int(value.TYPE), repr(value.value), value.stream or 0, value.language or 0)
            for name, value in self.file.tags
            if name.upper() not in ours
        ]
        end = int.from_bytes(_read_at(file, 16, 8), "little")
        objects = sorted(_asf_objects(file, 30, end))
        return sorted(others), objects, _digest(file, end, _size(file))


def _asf_objects(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    """GUID and content of the header's objects but for attributes and padding."""
    while start < end:
        guid = _read_at(file, start, 16)
        size = int.from_bytes(_read_at(file, start + 16, 8), "little")
        if size < 24:
            raise ValueError("an object is shorter than its header")
        if guid == _ASF_EXTENSION:
            yield from _asf_objects(file, start + 46, start + size)
        elif guid not in _ASF_ATTRIBUTES_AND_PADDING:
            yield guid, _read_at(file, start + 24, size - 24)
        start += size


_ASF_EXTENSION = UUID("5FBF03B5-A92E-11CF-8EE3-00C00C205365").bytes_le
_ASF_ATTRIBUTES_AND_PADDING = {
    UUID(guid).bytes_le
    for guid in (
        "75B22633-668E-11CF-A6D9-00AA0062CE6C",  # content description
        "D2D0A440-E307-11D2-97F0-00A0C95EA850",  # extended content description
        "C5F8CBEA-5BAF-4877-8467-AA8C44FA4CCA",  # metadata
        "44231C94-9498-49D1-A141-1D134E457054",  # metadata library
        "1806D474-CADF-4509-A4BA-9AABCB96AAE8",  # padding
    )
}


class _APEv2(_WithTail):
    """APEv2 items at the end of the file, before ID3v1 and Lyrics3 if those are there.

    mutagen would drop what follows the tag, or put a new tag behind it where nobody looks.
    """

    name = "APEv2"

    def _entries(self, file: BinaryIO) -> list[tuple[str | None, Any]]:
        self._read_tail()
        self.end = _size(file) - len(self.tail)
        self.footer = _read_at(file, max(0, self.end - 32), 32)
        items = list(_ape_items(self._items(file)))
        self.n_items = len(items)
        return [(self._field(key), _ape_item(key, kind, value)) for key, kind, value in items]

    @staticmethod
    def _field(key: bytes) -> str | None:
        ours = ((field, KEYS["APEv2"][field].encode().upper()) for field in FIELDS)
        return next((field for field, name in ours if name == key.upper()), None)

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        items = [item for raw in snapshot.raw(field) for item in _ape_items(raw)]
        if field == "GENRE" and not items:
            return _genre_of_v1(snapshot.v1_genre)
        return [
            text
            for _, kind, value in items
            if kind == mutagen.apev2.TEXT
            for text in value.decode("utf-8", "replace").split("\0")
        ]

    def _rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        key = KEYS["APEv2"][field].encode()
        return [_ape_item(key, mutagen.apev2.TEXT, "\0".join(values).encode())]

    def _save(self) -> None:
        """By ourselves: mutagen would sort the items, and keep one of two that differ in case."""
        (claimed,) = struct.unpack_from("<I", self.footer, 16)
        if self._size_of_tag() and claimed < self.n_items:
            raise ValueError("its APEv2 tag holds more than it says")
        items = [item for _, item in self.entries]
        size = 32 + sum(map(len, items))
        header, footer = (
            b"APETAGEX" + struct.pack("<IIII", 2000, size, len(items), flags) + bytes(8)
            for flags in (0xA0000000, 0x80000000)  # has a header; is it
        )
        self._remove()
        with self.path.open("ab") as file:
            file.write(b"".join([header, *items, footer]))

    def _remove(self) -> None:
        with self.path.open("rb+") as file:
            file.truncate(self._start(file))

    def _size_of_tag(self) -> int:
        """Items and footer; 0 without a tag."""
        has_tag = self.footer.startswith(b"APETAGEX")
        return int.from_bytes(self.footer[12:16], "little") if has_tag else 0

    def _items(self, file: BinaryIO) -> bytes:
        start = self.end - self._size_of_tag()
        return _read_at(file, start, max(0, self._size_of_tag() - 32))

    def _start(self, file: BinaryIO) -> int:
        """Where the tag begins, its header if it has one; the music's end."""
        start = self.end - self._size_of_tag()
        has_header = self._size_of_tag() and _read_at(file, start - 32, 8) == b"APETAGEX"
        return start - 32 if has_header else start

    def _rest(self, file: BinaryIO) -> Any:
        items = [item for item in _ape_items(self._items(file)) if self._field(item[0]) is None]
        return sorted(items), self.tail[:-1], _digest(file, 0, self._start(file))


def _ape_item(key: bytes, kind: int, value: bytes) -> bytes:
    return struct.pack("<II", len(value), kind << 1) + key + b"\0" + value


def _ape_items(data: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """Key, type and value of the items, however many the footer counts."""
    place = 0
    while place < len(data):
        size, flags = struct.unpack_from("<II", data, place)
        start = data.index(b"\0", place + 8) + 1
        key = data[place + 8 : start - 1]
        place = start + size
        if place > len(data):
            raise ValueError("an item ends after its tag")
        yield key, (flags & 0b110) >> 1, data[start:place]


_FAMILIES = {family.name: family for family in (_ID3, _Vorbis, _MP4, _ASF, _APEv2)}


# ---------------------------------------------------------------- bytes


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _read_at(file: IO[bytes], place: int, size: int) -> bytes:
    file.seek(place)
    return file.read(size)


def _digest(file: BinaryIO, start: int, end: int) -> bytes:
    """Digest of the bytes from `start` to `end`, with their number."""
    digest = hashlib.blake2b(str(max(0, end - start)).encode())
    file.seek(start)
    while start < end and (block := file.read(min(1 << 20, end - start))):
        digest.update(block)
        start += len(block)
    return digest.digest()


def _synchsafe(size: bytes) -> int:
    """ID3's numbers: seven bits a byte."""
    return sum((byte & 0x7F) << shift for byte, shift in zip(size, (21, 14, 7, 0), strict=True))


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of a RIFF, FORM or FRM8 file's chunks; b"" is what follows the last."""
    layout = {b"RIFF": "<4sI", b"FORM": ">4sI", b"FRM8": ">4sQ"}[_read_at(file, 0, 4)]
    header = struct.calcsize(layout)
    end = min(_size(file), header + struct.unpack(layout, _read_at(file, 0, header))[1])
    place = header + 4
    while place + header <= end:
        name, size = struct.unpack(layout, _read_at(file, place, header))
        start = place + header
        yield name.strip().upper(), start, min(start + size, end)
        place = start + size + size % 2
    yield b"", min(place, _size(file)), _size(file)


# ---------------------------------------------------------------- the containers


@dataclass(frozen=True)
class Container:
    """One row: a kind of file, how it begins, and who can tag it."""

    name: str
    suffixes: tuple[str, ...]
    """All that it goes by; the first is the one we recommend."""
    magic: bytes
    """Regular expression for its first bytes, after ID3v2 if it stands there."""
    family: Callable[[Path, Any], _Family] | None = None
    """None: mutagen cannot tag it."""
    mutagen: Any = None


_OGG = (".oga", ".ogg", ".opus", ".spx")
_MPEG = Container(
    "MPEG audio",
    (".mp3", ".mp2", ".mp1", ".mpga", ".mpa"),
    rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff]",
    _ID3,
    mutagen.mp3.MP3,
)
CONTAINERS = (
    Container("FLAC", (".flac",), rb"fLaC", _FLAC, mutagen.flac.FLAC),
    Container("Theora video", (".ogv",), rb"OggS.*\x80theora"),
    Container(
        "Ogg Vorbis", (".ogg", *_OGG), rb"OggS.*\x01vorbis", _Ogg, mutagen.oggvorbis.OggVorbis
    ),
    Container("Opus", (".opus", *_OGG), rb"OggS.*OpusHead", _Ogg, mutagen.oggopus.OggOpus),
    Container("Ogg FLAC", (".oga", *_OGG), rb"OggS.*\x7fFLAC", _Ogg, mutagen.oggflac.OggFLAC),
    Container("Speex", (".spx", *_OGG), rb"OggS.*Speex   ", _Ogg, mutagen.oggspeex.OggSpeex),
    Container(
        "MP4",
        (".m4a", ".m4b", ".m4p", ".m4r", ".mp4", ".m4v", ".alac", ".mov", ".3gp", ".3g2"),
        rb"....(ftyp|moov|mdat|wide)",
        _MP4,
        _MP4File,
    ),
    Container("ASF", (".wma", ".asf", ".wmv"), rb"\x30\x26\xb2\x75\x8e\x66", _ASF, mutagen.asf.ASF),
    Container("WAV", (".wav", ".wave", ".bwf"), rb"RIFF....WAVE", _ID3InChunk, mutagen.wave.WAVE),
    Container(
        "AIFF", (".aiff", ".aif", ".aifc"), rb"FORM....AIF[FC]", _ID3InChunk, mutagen.aiff.AIFF
    ),
    Container("DSDIFF", (".dff",), rb"FRM8.{8}DSD ", _ID3InChunk, mutagen.dsdiff.DSDIFF),
    Container("DSF", (".dsf",), rb"DSD ", _ID3AtPointer, mutagen.dsf.DSF),
    Container("True Audio", (".tta",), rb"TTA[12]", _ID3, mutagen.trueaudio.TrueAudio),
    Container("Monkey's Audio", (".ape",), rb"MAC ", _APEv2, mutagen.monkeysaudio.MonkeysAudio),
    Container("WavPack", (".wv",), rb"wvpk", _APEv2, mutagen.wavpack.WavPack),
    Container("Musepack", (".mpc", ".mp+"), rb"MP\+|MPCK", _APEv2, mutagen.musepack.Musepack),
    Container("TAK", (".tak",), rb"tBaK", _APEv2, mutagen.tak.TAK),
    Container("OptimFROG", (".ofr", ".ofs"), rb"OFR ", _APEv2, mutagen.optimfrog.OptimFROG),
    Container("AAC without a container", (".aac", ".adts"), rb"\xff[\xf0\xf1\xf8\xf9]|ADIF"),
    Container("Matroska", (".mka", ".mkv", ".webm"), rb"\x1a\x45\xdf\xa3"),
    Container("CAF", (".caf",), rb"caff"),
    Container("AU", (".au", ".snd"), rb"\.snd"),
    Container("RF64", (".wav", ".rf64", ".bwf"), rb"(RF64|BW64)....WAVE"),
    Container("Wave64", (".w64",), rb"riff\x2e\x91\xcf\x11"),
    Container("AC-3", (".ac3", ".eac3"), rb"\x0b\x77"),
    Container("AMR", (".amr", ".awb"), rb"#!AMR"),
    Container("MIDI", (".mid", ".midi"), rb"MThd"),
    _MPEG,  # last: two bytes are the weakest sign
)
