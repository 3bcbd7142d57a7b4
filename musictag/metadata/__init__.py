"""Reads and writes our fields in audio files; the one door to mutagen.

`KEYS` is the table of field → key, one column per kind of tag. `formats.table` says which family
of files a format belongs to, and the family which tags such a file can have.

Everything else in a file stays as it is. A tag is rewritten as pieces: new entries as bytes, all
others as spans of the file, which are moved and never parsed. The work is done on a copy beside
the file. The copy replaces the file only when a second reading finds our fields as intended in
every tag, and nothing else changed. A file that does not pass is left alone, with the reason.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musictag.errors import FileError, MetadataError
from musictag.metadata import links, replacement
from musictag.metadata.containers import open_file
from musictag.metadata.family import Family
from musictag.metadata.fields import ABOUT, FIELDS, KEYS, TEXTS, WRITABLE, Values, cleaned
from musictag.metadata.replacement import Refusal
from musictag.metadata.snapshot import Snapshot

__all__ = [
    "ABOUT",
    "FIELDS",
    "HARDLINKS",
    "KEYS",
    "WRITABLE",
    "Snapshot",
    "Values",
    "Written",
    "clear_leftovers",
    "read",
    "restore",
    "snapshot",
    "write",
]


def read(path: Path, *, also: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
    """The four fields as the file has them, and those named in `also`, () where it has none.

    Values come without surrounding white space, without empty ones and without
    repetitions; a NUL separates values wherever it stands. ID3's numeric genres are names here.
    Other fields than the four have the names of Vorbis comments: ALBUM, ALBUMARTIST, STYLE.
    """
    with _explained(path):
        fields = _with(also)
        tagged = open_file(path, named=path, fields=fields)
        wanted = frozenset(also).difference(fields)
        return {**(tagged.said(wanted) if wanted else {}), **tagged.values()}


def _with(names: Collection[str]) -> tuple[str, ...]:
    """The four fields, and those of the others that are named."""
    return tuple(field for field in WRITABLE if field in FIELDS or field in names)


@dataclass(frozen=True)
class Written:
    """One file's change: what its fields were and are, and the digest of the sound that stayed."""

    before: Snapshot
    after: Snapshot
    payload: bytes | None


def snapshot(path: Path, fields: tuple[str, ...] = FIELDS) -> Snapshot:
    """These fields of the file, to be compared with and put back later."""
    with _explained(path):
        return open_file(path, named=path, fields=fields).snapshot()


HARDLINKS = ("refuse", "replace", "in-place")


def clear_leftovers(path: Path) -> None:
    """Remove or put back what killed runs left in the folder of this file.

    Call it before a file is heard that is to be written. A second call for a folder does nothing.
    """
    with suppress(ValueError):  # a NUL in the name, from a list: beside it there is nothing
        replacement.clear_leftovers(Path(os.path.realpath(path)).parent)


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

    The snapshots hold the four fields, and those of the others that are named.
    """
    wanted = _as_stored(values, join)

    def edit(tagged: Family) -> Values | None:
        now = tagged.values()
        for name, values_then in (expected or {}).items():
            if now[name] != values_then:
                raise _changed(name)
        goal = {**now, **wanted}
        if goal == now:
            return None
        tagged.set(wanted)
        return goal

    return _edited(
        path,
        edit,
        fields=_with({*wanted, *(expected or ())}),
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

    def edit(tagged: Family) -> Values | None:
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
        fields=snapshot.fields,
        preserve_mtime=preserve_mtime,
        payload_digest=payload_digest,
        hardlinks=hardlinks,
        about_to=about_to,
    )


_LOOK_FIRST = "look at it first"


def _edited(
    path: Path,
    edit: Callable[[Family], Values | None],
    *,
    fields: tuple[str, ...],
    preserve_mtime: bool,
    payload_digest: Callable[[Path], bytes] | None,
    hardlinks: str,
    about_to: Callable[[Written], None] | None,
) -> Written | None:
    """Every write goes this way: edit a copy in memory, save it, read it anew, put it in place.

    `edit` gives the values that must be read then, None if there is nothing to do.
    """
    if hardlinks not in HARDLINKS:
        raise ValueError(f"{hardlinks!r} is none of {HARDLINKS}")
    with _explained(path):
        original = Path(os.path.realpath(path))
        replacement.clear_leftovers(original.parent)
        n_names = original.stat().st_nlink
        opened = open_file(original, named=path, fields=fields)
        seen = opened.snapshot()
        if edit(opened) is None:
            return None
        del opened  # in Ogg it holds the comments, pictures included
        if not os.access(original, os.W_OK):
            raise PermissionError(errno.EACCES, "the file is write-protected")
        if n_names > 1 and hardlinks == "refuse":
            raise Refusal(links.CODE, links.reason(n_names), links.CURE)
        with replacement.beside(original) as new:
            tagged = open_file(new.path, fields=fields)
            before = tagged.snapshot()
            _refuse_changes(seen, before)
            goal = edit(tagged)
            if goal is None:
                raise AssertionError("one file, one answer")
            intended = tagged.snapshot()
            tagged.save()
            del tagged
            try:
                after, payload = _check(new.path, original, goal, intended, payload_digest)
            except Refusal:
                new.refuse_changes()  # what it was compared with may be no longer what was copied
                raise
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
    """Refuse a file whose fields another program changed after we read and before we copied it."""
    then, values = before.values(), now.values()
    for name in before.fields:
        if values[name] != then[name]:
            raise _changed(name)


def _as_stored(values: Values, join: str | None) -> dict[str, tuple[str, ...]]:
    for field, entries in values.items():
        for value in entries:
            if field not in WRITABLE or cleaned([value]) != (value,):
                raise ValueError(f"{value!r} cannot be a value of {field}")
            value.encode()  # no lone surrogates
    if join is None:
        return {field: tuple(dict.fromkeys(entries)) for field, entries in values.items()}
    return {
        field: (join.join(entries),) if entries and field not in TEXTS else tuple(entries)
        for field, entries in values.items()
    }


def _check(
    copy: Path,
    original: Path,
    goal: Values,
    intended: Snapshot,
    payload_digest: Callable[[Path], bytes] | None,
) -> tuple[Snapshot, bytes | None]:
    """Read the copy anew: our fields must be as intended and nothing else different.

    Gives the fields and the digest of the sound.
    """
    after, *others = _seen(copy, intended.fields)
    if after.values() != goal or after != intended:
        raise Refusal("bad_header", "the fields would not read back as they were written")
    if others != _seen(original, intended.fields)[1:]:
        raise Refusal("bad_header", "something else in it would not survive a change of its tags")
    if payload_digest is None:
        return after, None
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
    return after, payload


def _seen(path: Path, fields: tuple[str, ...]) -> list[Any]:
    """The fields, the length and everything else of a file, which is not kept open."""
    tagged = open_file(path, fields=fields)
    return [tagged.snapshot(), tagged.length, tagged.rest()]


# ---------------------------------------------------------------- what goes wrong


def _changed(field: str) -> Refusal:
    return Refusal("changed", f"its {field} changed since it was heard", "scan it again")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn a Refusal or a system's error into a MetadataError about `path`, not about its copy."""
    try:
        yield
    except Refusal as refusal:
        code, reason, *cure = refusal.args
        raise MetadataError(path, code, reason, cure=cure[0] if cure else None) from refusal
    except OSError as error:
        raise MetadataError.of_system(path, error) from error
