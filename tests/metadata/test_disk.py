"""What the file system does to a write."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import mutagen
import mutagen.oggvorbis
import pytest
from containers import track
from tagging import (
    FULL,
    NOTHING,
    failing,
    fields,
    interrupted,
    no_space,
    one_of_each_family,
)

from musictag import metadata
from musictag.errors import MetadataError
from musictag.metadata import edits, replacement


def test_a_folder_that_may_not_be_written_to_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = track(tmp_path, "flac")
    monkeypatch.setattr(tempfile, "mkstemp", failing(errno.EACCES))  # root may always
    with pytest.raises(MetadataError) as caught:
        metadata.write(path, FULL)
    assert caught.value.code == "permission"
    assert str(tmp_path) in caught.value.reason
    assert caught.value.cure == "allow writing to the folder"


def test_the_time_moves_only_with_the_content_and_not_even_then_on_request(tmp_path: Path) -> None:
    path = track(tmp_path, "flac")
    os.utime(path, ns=(1_000_000_000, 1_234_567_890_123_456_700))
    metadata.write(path, {"GENRE": ("Rock",)}, preserve_mtime=True)
    assert path.stat().st_mtime_ns == 1_234_567_890_123_456_700
    metadata.write(path, {"GENRE": ("Rock",)})
    assert path.stat().st_mtime_ns == 1_234_567_890_123_456_700
    metadata.write(path, {"GENRE": ("Pop",)})
    assert path.stat().st_mtime_ns > 1_234_567_890_123_456_700


NAMES = [
    os.fsdecode(b"\xff\xfe not UTF-8.flac"),
    "é" * 125 + ".flac",
    "x" * 250 + ".flac",
    "no suffix",
    ".hidden.flac",
    "dots..many...flac",
    "a name with 'quotes' and\nlines.flac",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_is_a_name(tmp_path: Path, name: str) -> None:
    path = track(tmp_path, "flac").rename(tmp_path / name)
    seen = []

    def digest(copy: Path) -> bytes:
        seen.append(copy)
        return b""

    metadata.write(path, FULL, payload_digest=digest)
    assert metadata.read(path) == FULL
    (copy,) = {one for one in seen if one != path}
    assert copy.parent == path.parent
    assert copy.name.startswith(".")
    assert ".musictag-" in copy.name
    assert copy.name.endswith(path.suffix)
    assert os.listdir(tmp_path) == [name]  # noqa: PTH208 — names, not paths


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "music").mkdir()
    real = track(tmp_path / "store", "flac")
    link = tmp_path / "music" / "link.flac"
    link.symlink_to(real)
    metadata.write(link, FULL)
    assert link.is_symlink()
    assert metadata.read(real) == FULL
    assert [len(list(folder.iterdir())) for folder in tmp_path.iterdir()] == [1, 1]


def test_a_file_of_several_names_is_replaced_only_on_request(tmp_path: Path) -> None:
    path = track(tmp_path, "flac")
    other = tmp_path / "other.flac"
    other.hardlink_to(path)
    before = path.read_bytes()
    with pytest.raises(MetadataError, match="has 2 names") as caught:
        metadata.write(path, FULL)
    assert caught.value.code == "hard_linked"
    assert "--hardlinks replace" in str(caught.value)
    assert path.read_bytes() == before
    assert metadata.write(path, NOTHING) is None  # which needs no writing
    inode = path.stat().st_ino
    metadata.write(path, FULL, hardlinks="in-place")
    assert metadata.read(path) == metadata.read(other) == FULL
    assert path.stat().st_ino == other.stat().st_ino == inode
    written = metadata.write(path, NOTHING, hardlinks="in-place")
    assert written is not None
    assert metadata.read(other) == NOTHING
    with pytest.raises(MetadataError, match="has 2 names"):
        metadata.restore(path, written.before, expected=written.after)
    before = path.read_bytes()
    metadata.write(path, FULL, hardlinks="replace")
    assert metadata.read(path) == FULL
    assert other.read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="extended attributes by Linux's calls")
def test_extended_attributes_are_kept(tmp_path: Path) -> None:
    path = track(tmp_path, "flac")
    try:
        os.setxattr(path, "user.rating", b"5")
    except OSError:
        pytest.skip("this file system has none")
    metadata.write(path, FULL)
    assert os.getxattr(path, "user.rating") == b"5"


STEPS: dict[str, tuple[Any, str]] = {
    "temporary name": (tempfile, "mkstemp"),
    "copy": (replacement, "_copy"),
    "tagging": (edits, "apply"),
    "attributes": (shutil, "copystat"),
    "times": (os, "utime"),
    "to disk": (os, "fsync"),
    "rename": (os, "replace"),
}
FAILURES = {
    "no_space": failing(errno.ENOSPC),
    "read_only": failing(errno.EROFS),
    "permission": failing(errno.EACCES),
    "io": failing(errno.EIO),
}


@pytest.mark.parametrize("code", FAILURES)
@pytest.mark.parametrize("step", STEPS)
def test_a_failure_at_any_step_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: str
) -> None:
    path = track(tmp_path, "flac")
    before, status = path.read_bytes(), path.stat()
    monkeypatch.setattr(*STEPS[step], FAILURES[code])
    with pytest.raises(MetadataError) as caught:
        metadata.write(path, FULL)
    monkeypatch.undo()
    assert (caught.value.code, caught.value.path) == (code, path)
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("step", STEPS)
def test_an_interruption_at_any_step_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = track(tmp_path, "flac")
    before = path.read_bytes()
    monkeypatch.setattr(*STEPS[step], interrupted)
    with pytest.raises(KeyboardInterrupt):
        metadata.write(path, FULL)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("container", ["mp3", "wav", "m4a", "wma", "ogg"])
def test_a_full_disk_is_told_apart_from_a_bad_tag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, container: str
) -> None:
    """mutagen wraps the operating system's errors in its own."""
    path = track(tmp_path, container)
    before = path.read_bytes()

    def wrapped(*_: Any, **__: Any) -> None:
        try:
            no_space()
        except OSError as error:
            raise mutagen.MutagenError(str(error)) from error

    monkeypatch.setattr(edits, "apply", no_space)
    monkeypatch.setattr(mutagen.oggvorbis.OggVorbis, "save", wrapped)
    with pytest.raises(MetadataError) as caught:
        metadata.write(path, FULL)
    assert caught.value.code == "no_space"
    assert path.read_bytes() == before


def test_a_file_that_changes_meanwhile_is_left_to_whoever_changed_it(tmp_path: Path) -> None:
    path = track(tmp_path, "flac")

    def somebody_else(copy: Path) -> bytes:
        if copy != path:
            os.utime(path, ns=(1, 1))
        return b""

    with pytest.raises(MetadataError) as caught:
        metadata.write(path, FULL, payload_digest=somebody_else)
    assert caught.value.code == "changed"
    assert metadata.read(path) == NOTHING
    assert len(list(tmp_path.iterdir())) == 1


@one_of_each_family
def test_fields_that_are_not_as_expected_are_left_to_whoever_set_them(
    tmp_path: Path, container: str
) -> None:
    path = track(tmp_path, container)
    metadata.write(path, {"GENRE": ("Rock",), "MOOD": ("Slow",)})
    before = path.read_bytes()
    for goal in ({"GENRE": ("Pop",)}, {"GENRE": ("Rock",)}, {}):
        for expected in ({"GENRE": ()}, {"GENRE": ("Rock",), "MOOD": ("Fast",)}):
            with pytest.raises(MetadataError, match="changed since it was heard") as caught:
                metadata.write(path, goal, expected=expected)
            assert (caught.value.code, caught.value.cure) == ("changed", "scan it again")
    assert path.read_bytes() == before
    assert metadata.write(path, {"GENRE": ("Pop",)}, expected={"GENRE": ("Rock",)})
    assert metadata.read(path) == fields(GENRE=("Pop",), MOOD=("Slow",))


def test_fields_that_change_between_reading_and_copying_are_seen_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one tick of the clock, and of the same length: the file's status does not tell."""
    path = track(tmp_path, "flac")
    metadata.write(path, {"MOOD": ("Slow",)})
    copy, status = replacement._copy, path.stat()
    theirs = path.read_bytes().replace(b"MOOD=Slow", b"MOOD=Fast")

    def meanwhile(original: int, new: int) -> None:
        path.write_bytes(theirs)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        copy(original, new)

    monkeypatch.setattr(replacement, "_copy", meanwhile)
    with pytest.raises(MetadataError) as caught:
        metadata.write(path, {"MOOD": ("Soft",)}, expected={"MOOD": ("Slow",)})
    assert caught.value.code == "changed"
    assert path.read_bytes() == theirs
    assert len(list(tmp_path.iterdir())) == 1


def test_what_was_there_before_is_what_was_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = track(tmp_path, "flac")
    metadata.write(path, {"MOOD": ("Slow",)})
    beside, theirs = replacement.beside, path.read_bytes().replace(b"MOOD=Slow", b"mood=Slow")

    def meanwhile(original: Path) -> Any:
        path.write_bytes(theirs)
        return beside(original)

    monkeypatch.setattr(replacement, "beside", meanwhile)
    written = metadata.write(path, {"MOOD": ("Soft",)})
    assert written is not None
    assert written.before.raw("MOOD") == [b"mood=Slow"]


def test_a_file_that_was_replaced_while_it_was_compared_has_changed(tmp_path: Path) -> None:
    path, other = track(tmp_path, "flac"), tmp_path / "other.flac"

    def somebody_else(copy: Path) -> bytes:
        if copy != path:
            shutil.copy(path, other)
            other.replace(path)
        return bytes(copy)

    with pytest.raises(MetadataError) as caught:
        metadata.write(path, FULL, payload_digest=somebody_else)
    assert caught.value.code == "changed"


def test_write_says_what_it_wrote(tmp_path: Path) -> None:
    path = track(tmp_path, "flac")
    written = metadata.write(path, {"GENRE": ("Rock",)})
    assert written is not None
    assert written.before.values() == NOTHING
    assert written.after == metadata.snapshot(path)
    assert written.payload is None
    assert metadata.write(path, {"GENRE": ("Rock",)}) is None
    assert metadata.write(path, {}) is None


PROBLEMS = {
    errno.EDQUOT: "no_space",
    errno.EXDEV: "cross_device",
    errno.EBUSY: "locked",
    errno.ETXTBSY: "locked",
}


@pytest.mark.parametrize("code", PROBLEMS)
def test_what_stands_in_the_way_of_a_rename_is_said_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    path = track(tmp_path, "flac")
    monkeypatch.setattr(os, "replace", failing(code))
    with pytest.raises(MetadataError) as caught:
        metadata.write(path, FULL)
    assert caught.value.code == PROBLEMS[code]
    assert caught.value.cure
    assert metadata.read(path) == NOTHING


def test_a_file_that_windows_keeps_locked_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = track(tmp_path, "flac")

    def locked(*_: Any) -> None:
        error = PermissionError(errno.EACCES, "Access is denied")
        error.winerror = 32  # type: ignore[attr-defined]
        raise error

    monkeypatch.setattr(os, "replace", locked)
    with pytest.raises(MetadataError) as caught:
        metadata.write(path, FULL)
    assert (caught.value.code, caught.value.cure) == (
        "locked",
        "close the program that has it open",
    )


def test_a_write_protected_file_is_somebodys_wish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = track(tmp_path, "flac")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may always
    with pytest.raises(MetadataError) as caught:
        metadata.write(path, FULL)
    assert caught.value.code == "permission"
    assert metadata.read(path) == NOTHING


def test_a_folder_that_cannot_be_synced_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new file is already there under its name, whole."""
    path = track(tmp_path, "flac")
    opened = os.open

    def not_folders(name: Any, *args: Any, **kwargs: Any) -> int:
        if Path(name) == tmp_path:
            raise OSError(errno.EINVAL, "not for folders")
        return opened(name, *args, **kwargs)

    monkeypatch.setattr(os, "open", not_folders)
    metadata.write(path, FULL)
    assert metadata.read(path) == FULL


def test_what_is_no_file_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "folder.mp3").mkdir()
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "into nothing.mp3").symlink_to(tmp_path / "nothing.mp3")
    os.mkfifo(tmp_path / "pipe.mp3")
    codes = {
        "folder.mp3": "not_a_file",
        "empty.mp3": "empty",
        "into nothing.mp3": "not_found",
        "missing.mp3": "not_found",
        "pipe.mp3": "not_a_file",
    }
    for name, code in codes.items():
        for action in (metadata.read, lambda path: metadata.write(path, FULL)):
            with pytest.raises(MetadataError) as caught:
                action(tmp_path / name)
            assert caught.value.code == code
