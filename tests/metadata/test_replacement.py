"""A file and its new version: locks, what kills leave behind, files of several names."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from waits import WAIT_S

from musictag.metadata import replacement

OLD, NEW = b"the old content, " * 9, b"new content of another length"
HERE = replacement._HERE


@pytest.fixture(autouse=True)
def every_folder_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within one process a folder is cleared once."""
    monkeypatch.setattr(replacement, "clear_leftovers", replacement.clear_leftovers.__wrapped__)


@pytest.fixture
def track(tmp_path: Path) -> Path:
    path = tmp_path / "track.mp3"
    path.write_bytes(OLD)
    return path


def names(track: Path) -> list[str]:
    return sorted(entry.name for entry in track.parent.iterdir())


def change(new: replacement.Replacement) -> None:
    new.path.write_bytes(NEW)


def test_the_new_version_takes_the_files_place(track: Path) -> None:
    with replacement.beside(track) as new:
        assert new.path.read_bytes() == OLD
        assert new.path.name.startswith(".track.musictag-")
        change(new)
        new.settle(preserve_mtime=False)
        assert track.read_bytes() == OLD
        new.take_place()
        assert track.read_bytes() == NEW
    assert names(track) == ["track.mp3"]


def test_whatever_happens_the_copy_is_gone(track: Path) -> None:
    with pytest.raises(KeyboardInterrupt), replacement.beside(track) as new:
        change(new)
        raise KeyboardInterrupt
    assert (names(track), track.read_bytes()) == (["track.mp3"], OLD)


COPIERS = {
    # calls that fail: as on this file system, without sharing, without copying in the kernel
    "as it comes": (),
    "no reflink": ("ioctl",),
    "neither": ("ioctl", "copy_file_range"),
    "neither, later": ("ioctl", "copy_file_range, later"),
}


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOSYS])
@pytest.mark.parametrize("how", COPIERS)
def test_a_copy_is_whole_whatever_the_file_system_offers(
    track: Path, monkeypatch: pytest.MonkeyPatch, how: str, code: int
) -> None:
    offered = getattr(os, "copy_file_range", None)
    calls = []

    def later(source: int, target: int, _: int) -> int:
        calls.append(1)
        if len(calls) > 2 or offered is None:
            raise OSError(code, os.strerror(code))
        return int(offered(source, target, 7))

    def fail(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    if "ioctl" in COPIERS[how]:
        monkeypatch.setattr(fcntl, "ioctl", fail)
    if "copy_file_range" in COPIERS[how]:
        monkeypatch.setattr(os, "copy_file_range", fail, raising=False)
    if "copy_file_range, later" in COPIERS[how]:
        monkeypatch.setattr(os, "copy_file_range", later, raising=False)
    with replacement.beside(track) as new:
        assert new.path.read_bytes() == OLD


@pytest.mark.parametrize("call", ["ioctl", "copy_file_range"])
def test_a_full_disk_is_no_reason_to_try_another_way(
    track: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def not_offered(*_: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(fcntl, "ioctl", fail if call == "ioctl" else not_offered)
    monkeypatch.setattr(os, "copy_file_range", fail, raising=False)
    with pytest.raises(OSError, match="No space"), replacement.beside(track):
        pass
    assert names(track) == ["track.mp3"]


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="extended attributes by Linux's calls")
def test_attributes_and_acls_are_kept(track: Path) -> None:
    # version 2: owner rw, user 1 r, group r, mask r, others none
    entries = [(1, 6, -1), (2, 4, 1), (4, 4, -1), (16, 4, -1), (32, 0, -1)]
    acl = (2).to_bytes(4, "little") + b"".join(
        kind.to_bytes(2, "little")
        + mode.to_bytes(2, "little")
        + (who % 2**32).to_bytes(4, "little")
        for kind, mode, who in entries
    )
    wanted = {"user.rating": b"5", "system.posix_acl_access": acl}
    try:
        for name, value in wanted.items():
            os.setxattr(track, name, value)
    except OSError:
        pytest.skip("this file system has none")
    with replacement.beside(track) as new:
        new.settle(preserve_mtime=False)
        new.take_place()
    assert {name: os.getxattr(track, name) for name in wanted} == wanted
    assert track.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="extended attributes by Linux's calls")
def test_an_acl_for_new_files_is_none_of_its_new_version(track: Path) -> None:
    # version 2: owner rwx, user 1 rwx, group r, mask rwx, others r
    entries = [(1, 7, -1), (2, 7, 1), (4, 4, -1), (16, 7, -1), (32, 4, -1)]
    packed = (struct.pack("<HHI", kind, mode, who % 2**32) for kind, mode, who in entries)
    track.chmod(0o664)
    try:
        for_new_files = struct.pack("<I", 2) + b"".join(packed)
        os.setxattr(track.parent, "system.posix_acl_default", for_new_files)
    except OSError:
        pytest.skip("this file system has none")
    with replacement.beside(track) as new:
        new.settle(preserve_mtime=False)
        new.take_place()
    assert os.listxattr(track) == []
    assert track.stat().st_mode & 0o777 == 0o664


def test_times_are_kept_to_the_nanosecond_on_request(track: Path) -> None:
    times = (1_234_567_890_123_456_789, 987_654_321_987_654_321)
    os.utime(track, ns=times)
    for preserve in (True, False):
        with replacement.beside(track) as new:
            change(new)
            new.settle(preserve_mtime=preserve)
            new.take_place()
        after = track.stat()
        assert (after.st_mtime_ns == times[1]) is preserve
        if preserve:
            assert after.st_atime_ns == times[0]
            track.write_bytes(OLD)
            os.utime(track, ns=times)


def test_a_change_by_a_program_that_keeps_times_and_size_is_noticed(track: Path) -> None:
    before = track.stat()
    with (
        pytest.raises(replacement.Refusal, match="another program"),
        replacement.beside(track) as new,
    ):
        change(new)
        time.sleep(0.01)
        track.write_bytes(OLD.swapcase())
        os.utime(track, ns=(before.st_atime_ns, before.st_mtime_ns))
        new.take_place()
    assert track.read_bytes() == OLD.swapcase()


def test_an_owner_that_cannot_be_kept_is_said_so(
    track: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fstat = os.fstat

    def of_another(handle: int) -> os.stat_result:
        fields = list(fstat(handle))
        fields[4] += 1
        return os.stat_result(fields)

    def fail(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "no")

    with replacement.beside(track) as new:
        monkeypatch.setattr(os, "fstat", of_another)
        monkeypatch.setattr(os, "chown", fail)
        with pytest.raises(replacement.Refusal, match="another user"):
            new.settle(preserve_mtime=False)
        monkeypatch.undo()


# ---------------------------------------------------------------- what killed runs left


def test_what_a_killed_run_left_is_removed_at_once(
    track: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left = track.with_name(f".track.musictag-{HERE}ab3_xyz9.mp3")
    left.write_bytes(b"half a copy")
    caplog.set_level("INFO", "musictag")
    with replacement.beside(track):
        assert not left.exists()
    assert [record.getMessage() for record in caplog.records] == [
        f"{left}: removed, a copy left by a run that was killed"
    ]


def test_what_is_not_told_to_be_ours_stays(track: Path) -> None:
    others = [
        track.with_name(name)
        for name in (
            f".gone.musictag-{HERE}ab3_xyz9.mp3",  # the only copy there is
            f".track.musictag-{HERE}ab3.mp3",
            f".track.musictag-{HERE}ab3_xyz9.flac",
            f"track.musictag-{HERE}ab3_xyz9.mp3",
            ".track.mp3",
            ".track.musictag-ab3_xyz9.mp3",  # of a version without locks: young
            ".track.musictag-zzzzab3_xyz9.mp3",  # as if of another machine: young
        )
    ]
    for file in others:
        file.write_bytes(b"half a copy")
    track.with_name(f".track.musictag-{HERE}folder__.mp3").mkdir()
    track.with_name(f".track.musictag-{HERE}linklink.mp3").symlink_to(track)
    before = names(track)
    replacement.clear_leftovers(track.parent)
    assert names(track) == before


@pytest.mark.parametrize("token", ["ab3_xyz9", "0000ab3_xyz9"])
def test_where_no_lock_tells_age_does(
    track: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    """By ctime: with --preserve-mtime a copy has its original's time while a process is at it."""
    left = track.with_name(f".track.musictag-{token}.mp3")
    left.write_bytes(b"half a copy")
    os.utime(left, (0, 0))
    replacement.clear_leftovers(track.parent)
    assert left.exists()
    monkeypatch.setattr(replacement, "LEFT_OVER_S", -1)
    replacement.clear_leftovers(track.parent)
    assert not left.exists()


def test_without_locks_a_copy_lives_for_an_hour(
    track: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacement, "fcntl", None)
    with replacement.beside(track) as new:
        replacement.clear_leftovers(track.parent)
        assert new.path.exists()
        change(new)
        new.settle(preserve_mtime=False)
        new.take_place()
    assert (names(track), track.read_bytes()) == (["track.mp3"], NEW)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """No locks, and no open file is renamed or removed."""
    monkeypatch.setattr(replacement, "fcntl", None)

    def guard(name: str) -> None:
        real = getattr(os, name)

        def call(path: Any, *args: Any, **options: Any) -> Any:
            for handle in Path("/proc/self/fd").iterdir():
                if handle.exists() and handle.resolve() == Path(path).resolve():
                    raise PermissionError(errno.EACCES, f"{name} of an open file", str(path))
            return real(path, *args, **options)

        monkeypatch.setattr(os, name, call)

    for name in ("rename", "replace", "unlink", "remove"):
        guard(name)


@pytest.mark.skipif(sys.platform != "linux", reason="it asks /proc what is open")
@pytest.mark.parametrize("how", ["complete", "in place", "interrupted", "left over", "put back"])
def test_no_open_file_is_renamed_or_removed_where_that_cannot_be(
    track: Path, monkeypatch: pytest.MonkeyPatch, windows: None, how: str
) -> None:
    if how == "left over":
        track.with_name(f".track.musictag-{HERE}abcdefgh.mp3").write_bytes(b"half")
        monkeypatch.setattr(replacement, "LEFT_OVER_S", -1)
        replacement.clear_leftovers(track.parent)
    elif how == "put back":
        real = replacement._overwrite
        calls: list[int] = []

        def fails_once(target: int, source: int) -> None:
            calls.append(1)
            if len(calls) == 1:
                os.write(target, b"torn")
                raise OSError(errno.EIO, "torn")
            real(target, source)

        monkeypatch.setattr(replacement, "_overwrite", fails_once)
        with pytest.raises(OSError, match="torn"), replacement.beside(track) as new:
            change(new)
            new.take_over(preserve_mtime=False)
    elif how == "interrupted":
        with pytest.raises(KeyboardInterrupt), replacement.beside(track):
            raise KeyboardInterrupt
    else:
        with replacement.beside(track) as new:
            change(new)
            if how == "in place":
                new.take_over(preserve_mtime=False)
            else:
                new.settle(preserve_mtime=False)
                new.take_place()
    assert names(track) == ["track.mp3"]
    assert track.read_bytes() == (NEW if how in ("complete", "in place") else OLD)


ANOTHER_PROCESS = """
import pathlib, sys
from musictag.metadata import replacement
with replacement.beside(pathlib.Path(sys.argv[1])) as new:
    print(new.path, flush=True)
    sys.stdin.read()
    new.path.write_bytes(b"of the other process")
    new.settle(preserve_mtime=True)
    new.take_place()
"""


@pytest.mark.parametrize("end", ["lives", "is killed"])
def test_a_copy_that_another_process_is_at_stays_as_long_as_it_lives(track: Path, end: str) -> None:
    other = track.with_name("other.mp3")
    other.write_bytes(OLD)
    with subprocess.Popen(
        [sys.executable, "-c", ANOTHER_PROCESS, str(other)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        copy = Path(process.stdout.readline().decode().strip())
        with replacement.beside(track) as new:
            assert copy.exists()
            change(new)
            new.settle(preserve_mtime=False)
            new.take_place()
        if end == "is killed":
            process.kill()
        process.communicate(timeout=WAIT_S)
    if end == "lives":
        assert (process.returncode, other.read_bytes()) == (0, b"of the other process")
    assert copy.exists() is (end == "is killed")
    replacement.clear_leftovers(track.parent)
    assert names(track) == ["other.mp3", "track.mp3"]


def test_a_copy_that_was_taken_for_a_dead_ones_is_made_again(
    track: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its creation and its lock another process may lock or remove it."""
    lock, answers = replacement._lock, ["busy", "gone", "free"]

    def meanwhile(handle: int, **options: Any) -> bool | None:
        match answers.pop(0) if answers else "free":
            case "busy":
                return False
            case "gone":
                for copy in track.parent.glob(".*"):
                    copy.unlink()
        return lock(handle, **options)

    monkeypatch.setattr(replacement, "_lock", meanwhile)
    with replacement.beside(track) as new:
        assert answers == []
        assert new.path.read_bytes() == OLD


def test_names_too_long_for_a_copy_are_told_by_their_beginning(tmp_path: Path) -> None:
    track = tmp_path / ("x" * 250 + ".mp3")
    track.write_bytes(OLD)
    with replacement.beside(track) as new:
        left = new.path.with_name(new.path.name)
    left.write_bytes(b"half a copy")
    replacement.clear_leftovers(tmp_path)
    assert not left.exists()
    left.write_bytes(b"half a copy")
    track.rename(tmp_path / "y.mp3")
    replacement.clear_leftovers(tmp_path)
    assert left.exists()


# ---------------------------------------------------------------- files of several names


@pytest.fixture
def twin(track: Path) -> Path:
    other = track.with_name("twin.mp3")
    other.hardlink_to(track)
    return other


@pytest.mark.parametrize("content", [NEW, OLD + NEW])
@pytest.mark.parametrize("preserve", [True, False])
def test_in_place_all_names_see_the_new_content(
    track: Path, twin: Path, content: bytes, preserve: bool
) -> None:
    before = track.stat()
    time.sleep(0.01)
    with replacement.beside(track) as new:
        new.path.write_bytes(content)
        new.take_over(preserve_mtime=preserve)
    after = track.stat()
    assert track.read_bytes() == twin.read_bytes() == content
    assert (after.st_ino, after.st_nlink) == (before.st_ino, 2)
    assert (after.st_mtime_ns == before.st_mtime_ns) is preserve
    assert names(track) == ["track.mp3", "twin.mp3"]


@pytest.mark.parametrize("patience_s", [0.0, 5.0])
def test_a_lock_is_waited_for_and_not_for_ever(
    track: Path, twin: Path, monkeypatch: pytest.MonkeyPatch, patience_s: float
) -> None:
    monkeypatch.setattr(replacement, "PATIENCE_S", patience_s)
    with track.open("rb") as theirs, replacement.beside(track) as new:
        new.path.write_bytes(NEW)
        fcntl.flock(theirs, fcntl.LOCK_EX)
        if patience_s:
            monkeypatch.setattr(time, "sleep", lambda _: theirs.close())
            new.take_over(preserve_mtime=False)
        else:
            with pytest.raises(replacement.Refusal, match="keeps it locked"):
                new.take_over(preserve_mtime=False)
    assert twin.read_bytes() == (NEW if patience_s else OLD)
    assert names(track) == ["track.mp3", "twin.mp3"]


STEPS = ["write", "ftruncate", "fsync", "utime"]


@pytest.mark.parametrize("end", [OSError(errno.EIO, "broken"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", STEPS)
def test_what_fails_in_place_is_put_back(
    track: Path, twin: Path, monkeypatch: pytest.MonkeyPatch, step: str, end: BaseException
) -> None:
    before = track.stat()
    call = getattr(os, step)
    failed = []

    def fail_once(target: Any, *args: Any, **options: Any) -> Any:
        of_the_file = target == track or (
            isinstance(target, int) and os.fstat(target).st_ino == before.st_ino
        )
        if of_the_file and not failed:
            failed.append(1)
            raise end
        return call(target, *args, **options)

    with pytest.raises(type(end)), replacement.beside(track) as new:
        change(new)
        monkeypatch.setattr(os, step, fail_once)
        new.take_over(preserve_mtime=True)
    monkeypatch.undo()
    assert failed
    assert twin.read_bytes() == OLD
    assert track.stat().st_mtime_ns == before.st_mtime_ns
    assert names(track) == ["track.mp3", "twin.mp3"]


def test_a_second_copy_that_does_not_reach_the_disk_is_gone_too(
    track: Path, twin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise OSError(errno.EIO, "broken")

    with pytest.raises(OSError, match="broken"), replacement.beside(track) as new:
        change(new)
        monkeypatch.setattr(replacement, "_to_disk", fail)
        new.take_over(preserve_mtime=False)
    assert twin.read_bytes() == OLD
    assert names(track) == ["track.mp3", "twin.mp3"]


def test_what_can_neither_be_written_nor_put_back_is_put_back_by_the_next_run(
    track: Path, twin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overwritten = replacement._overwrite

    def half(target: int, source: int) -> None:
        os.pwrite(target, b"half", 0)
        raise OSError(errno.EIO, "broken")

    with (
        pytest.raises(replacement.Refusal, match="neither be written nor put back"),
        replacement.beside(track) as new,
    ):
        change(new)
        monkeypatch.setattr(replacement, "_overwrite", half)
        new.take_over(preserve_mtime=False)
    assert twin.read_bytes().startswith(b"half")
    assert len(names(track)) == 3
    monkeypatch.setattr(replacement, "_overwrite", overwritten)
    replacement.clear_leftovers(track.parent)
    assert twin.read_bytes() == OLD
    assert names(track) == ["track.mp3", "twin.mp3"]


KILLED = {
    # what the file has when the process dies: what it has after the next run
    "old": (OLD, OLD),
    "new": (NEW, NEW),
    "half of both": (NEW[:5] + OLD[5:], OLD),
    "longer": (OLD + bytes(99), OLD),
    "nothing": (b"", OLD),
}


@pytest.mark.parametrize("when", KILLED)
def test_a_kill_in_place_is_mended_by_the_next_run(track: Path, twin: Path, when: str) -> None:
    there, then = KILLED[when]
    track.write_bytes(there)
    track.with_name(f".track.musictag-old-{HERE}ab3_xyz9.mp3").write_bytes(OLD)
    track.with_name(f".track.musictag-{HERE}ab3_xyz9.mp3").write_bytes(NEW)
    replacement.clear_leftovers(track.parent)
    assert twin.read_bytes() == then
    assert names(track) == ["track.mp3", "twin.mp3"]


def test_what_was_changed_after_a_kill_in_place_is_left_to_its_owner(
    track: Path, twin: Path, caplog: pytest.LogCaptureFixture
) -> None:
    edited = OLD[:3] + b"by another program" + OLD[21:]
    track.write_bytes(edited)
    old = track.with_name(f".track.musictag-old-{HERE}ab3_xyz9.mp3")
    old.write_bytes(OLD)
    track.with_name(f".track.musictag-{HERE}ab3_xyz9.mp3").write_bytes(NEW)
    for _ in range(2):  # the second run too can tell
        replacement.clear_leftovers(track.parent)
        assert twin.read_bytes() == edited
        assert old.read_bytes() == OLD
    assert f"{old.name} is how it was before" in caplog.text


def test_a_name_too_long_for_a_second_copy_is_not_written_in_place(tmp_path: Path) -> None:
    track = tmp_path / ("x" * 250 + ".mp3")
    track.write_bytes(OLD)
    with pytest.raises(replacement.Refusal, match="too long"), replacement.beside(track) as new:
        new.take_over(preserve_mtime=False)
    assert track.read_bytes() == OLD
