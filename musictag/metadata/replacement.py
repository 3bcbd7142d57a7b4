"""A file's new version in its place: complete, or as if nothing had been tried.

    with replacement.beside(original) as new:     a hidden copy in the same folder
        ...                                       is changed and read again: new.path
        new.settle(preserve_mtime=False)          gets the old one's attributes, goes to the disk
        new.take_place()                          is the file

Nothing here knows what is in the file. A process that dies leaves at most the copy. It is told by
its name, `.NAME.musictag-HHHHXXXXXXXX.mp3`, and by a lock that died with its process: the next
run that writes in the folder takes it away, and never one that another process is at.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import platform
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from io import FileIO
from pathlib import Path
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

log = logging.getLogger(__name__)


class Refusal(Exception):  # noqa: N818 — a reason without its file, which the caller knows
    """This file will not be touched: code, why, and perhaps what can be done."""


@dataclass(frozen=True)
class Replacement:
    """The copy that is to take a file's place, and the file as it was when it was copied."""

    path: Path
    original: Path
    seen: os.stat_result
    file: FileIO
    """The copy, open and with that locked."""

    def settle(self, *, preserve_mtime: bool) -> None:
        """Owner, mode, ACL, extended attributes and times as the file has them; all of it to disk.

        Last access stays. Last change becomes now, or stays on request, to the nanosecond.
        Creation and change of status nobody can set: they are those of the copy.
        """
        copy, seen = self.path, self.seen
        now = os.fstat(self.file.fileno())
        if (now.st_uid, now.st_gid) != (seen.st_uid, seen.st_gid):
            try:
                os.chown(copy, seen.st_uid, seen.st_gid)  # before the mode: it clears high bits
            except PermissionError as error:
                reason = "it belongs to another user or group, which its new version could not"
                raise Refusal("permission", reason, "run musictag as its owner") from error
        shutil.copystat(self.original, copy)
        with suppress(_NotOffered), _offered():
            for name in _attributes(copy) - _attributes(self.original):
                os.removexattr(copy, name)  # the folder's ACL for new files, which this is not
        mtime_ns = seen.st_mtime_ns if preserve_mtime else time.time_ns()
        os.utime(copy, ns=(seen.st_atime_ns, mtime_ns))
        os.fsync(self.file.fileno())

    def take_place(self) -> None:
        """The file's name leads to the new version now, or still to the old one."""
        self.refuse_changes()
        _let_go(self.file)
        os.replace(self.path, self.original)  # noqa: PTH105 — tests make this very call fail
        # From here the new file is whole under its name. Without the folder's fsync a power cut
        # could at worst bring the old one back, also whole; some file systems do not offer it.
        with suppress(OSError):
            _to_disk(self.original.parent)

    def take_over(self, *, preserve_mtime: bool) -> None:
        """The file itself gets the new content: all its names (hard links) show it.

        This takes time, and a process may die in between. So the old content stands beside the
        file first, complete and on the disk, and marked: a run that finds it, and in the file
        neither the old nor the new content, puts the old one back. What fails without dying is
        put back at once.
        """
        head, mark, token = self.path.name.rpartition(_MARK)
        if _original_name(self.path.name) != self.original.name:
            reason = "its name is too long for a copy of its old content, which stands beside it"
            raise Refusal("io", reason, "--hardlinks replace")
        os.fsync(self.file.fileno())
        with beside(self.original) as old, self.original.open("rb+", buffering=0) as file:
            if _lock_patiently(file.fileno()) is False:
                reason = "another program keeps it locked"
                raise Refusal("locked", reason, "close the program that has it open")
            self.refuse_changes()
            os.fsync(old.file.fileno())
            safe = self.path.with_name(head + mark + _OLD + token)
            _let_go(old.file)
            old.path.rename(safe)
            try:
                _to_disk(safe.parent)
            except BaseException:
                safe.unlink(missing_ok=True)
                raise
            try:
                _overwrite(file.fileno(), self.file.fileno())
                if preserve_mtime:
                    self._set_old_times()
                safe.unlink()
            except BaseException:
                try:
                    with safe.open("rb", buffering=0) as back:
                        _overwrite(file.fileno(), back.fileno())
                    self._set_old_times()
                except OSError as error:
                    reason = f"it could neither be written nor put back; {safe.name} is the old one"
                    raise Refusal("io", reason, "the next run tries to put it back") from error
                safe.unlink(missing_ok=True)
                raise

    def _set_old_times(self) -> None:
        os.utime(self.original, ns=(self.seen.st_atime_ns, self.seen.st_mtime_ns))

    def refuse_changes(self) -> None:
        """Refusal if the file is no longer the one that was copied."""
        now = self.original.stat()
        if any(
            getattr(now, what) != getattr(self.seen, what)
            # ctime: many programs put mtime back, and change a tag without changing its size
            for what in ("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
        ):
            raise Refusal("changed", "it was changed by another program meanwhile", "run again")


@contextmanager
def beside(original: Path) -> Iterator[Replacement]:
    """A hidden copy of a file in its own folder, so that the rename stays on one file system.

    `original` is no symbolic link. Whatever ends the work but SIGKILL and a power cut, the copy
    is gone after it.
    """
    clear_leftovers(original.parent)
    seen = original.stat()
    path, file = _created(original)
    try:
        with original.open("rb", buffering=0) as source:
            _copy(source.fileno(), file.fileno())
        yield Replacement(path, original, seen, file)
    finally:
        _let_go(file)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:  # the reason of the failure counts, not this consequence
            log.warning("%s: could not be removed (%s); the next run tries again", path, error)
        file.close()


def _let_go(file: FileIO) -> None:
    """Close a copy before its name is taken away, where an open file keeps its name: on Windows.

    Elsewhere the lock on it lasts until it is closed.
    """
    if fcntl is None:
        file.close()


def _attributes(path: Path) -> set[str]:
    return set(os.listxattr(path)) if hasattr(os, "listxattr") else set()


def _created(original: Path) -> tuple[Path, FileIO]:
    """An empty file of a hidden name beside the original, locked."""
    suffix = original.suffix if len(original.suffix) <= 8 else ""
    stem = original.name.removesuffix(suffix)
    longest = getattr(os, "pathconf", lambda *_: 255)(original.parent, "PC_NAME_MAX")
    more = f".{_MARK}{_OLD}{_HERE}XXXXXXXX{suffix}"
    room = (longest if longest > 0 else 255) - len(os.fsencode(more))
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]  # whole characters: some file systems refuse half of one
    while True:
        try:
            handle, name = tempfile.mkstemp(suffix, f".{stem}{_MARK}{_HERE}", original.parent)
        except PermissionError as error:
            reason = f"{original.parent} is write-protected, and the new version is made there"
            raise Refusal("permission", reason, "allow writing to the folder") from error
        # Between these two another process may have taken it for a dead one's.
        file = FileIO(handle, "rb+")
        if _lock(handle) is not False and os.fstat(handle).st_nlink:
            return Path(name), file
        file.close()


def _copy(source: int, target: int) -> None:
    """All bytes, by sharing them where the file system can, else inside the kernel."""
    size = os.fstat(source).st_size
    if fcntl is not None and hasattr(os, "copy_file_range"):  # Linux
        with suppress(_NotOffered), _offered():
            fcntl.ioctl(target, _FICLONE, source)
            return
        with suppress(_NotOffered), _offered():
            while os.copy_file_range(source, target, 1 << 30):
                pass
    place = os.lseek(target, 0, os.SEEK_CUR)
    os.lseek(source, place, os.SEEK_SET)
    while block := os.read(source, 1 << 20):
        _write_all(target, block)
    if os.fstat(target).st_size != size:
        raise Refusal("changed", "it was changed by another program meanwhile", "run again")


def _write_all(target: int, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(target, rest) :]


def _overwrite(target: int, source: int) -> None:
    """The one file's bytes become those of the other, on the disk; OSError if they do not."""
    size = os.fstat(source).st_size
    if hasattr(os, "posix_fallocate") and size > os.fstat(target).st_size:
        with suppress(_NotOffered), _offered():
            os.posix_fallocate(target, 0, size)  # no space is found out before anything is lost
    os.lseek(source, 0, os.SEEK_SET)
    os.lseek(target, 0, os.SEEK_SET)
    while block := os.read(source, 1 << 20):
        _write_all(target, block)
    os.ftruncate(target, size)
    os.fsync(target)
    if _digest(target) != _digest(source):
        raise OSError(errno.EIO, "what was written does not read back")


def _digest(handle: int) -> bytes:
    digest = hashlib.blake2b()
    os.lseek(handle, 0, os.SEEK_SET)
    while block := os.read(handle, 1 << 20):
        digest.update(block)
    return digest.digest()


def _to_disk(folder: Path) -> None:
    """What was created, renamed and removed in it, where the system lets that be asked for."""
    with suppress(_NotOffered):
        with _offered():
            handle = os.open(folder, os.O_RDONLY)
        try:
            with _offered():
                os.fsync(handle)
        finally:
            os.close(handle)


class _NotOffered(Exception):  # noqa: N818 — no error: there is another way
    """This file system, or this system, has no such call."""


@contextmanager
def _offered() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
        raise _NotOffered from error


_FICLONE = 0x40049409
_NOT_OFFERED = {
    *(
        errno.EACCES,
        errno.EBADF,
        errno.EINVAL,
        errno.ENOSYS,
        errno.ENOTTY,
        errno.EOPNOTSUPP,
        errno.EPERM,
    ),
    *(errno.ETXTBSY, errno.EXDEV, errno.ENOTSUP, errno.ENOLCK),
}


# ---------------------------------------------------------------- what killed runs left


_MARK = ".musictag-"
_OLD = "old-"
"""After the mark: not the new content but the old, of a file that is being overwritten."""
_HERE = hashlib.blake2b(platform.node().encode(), digest_size=2).hexdigest()
"""This machine in a copy's name: of another one's, which shares the folder, no lock is seen."""

_LEFT_OVER = re.compile(
    r"\.(?P<stem>.+)\.musictag-(?P<old>old-)?(?P<here>[0-9a-f]{4})?[a-z0-9_]{8}(?P<suffix>\.[^.]*)?",
    re.DOTALL,
)
_LONG = 200
"""A copy's name of so many bytes may have only the beginning of its original's."""

PATIENCE_S = 10.0
"""A file that is to be overwritten may be locked for so long: by one of us, who is at it."""

LEFT_OVER_S = 3600
"""No process is at one file for so long without touching its copy."""


@lru_cache(maxsize=256)  # once per folder, not once per file in it
def clear_leftovers(folder: Path) -> None:
    """Remove the copies that killed runs left here, each only if its original stands beside it.

    What a kill left half overwritten gets its old content back.
    """
    with suppress(OSError):  # clearing away is no reason to fail
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
        copies = [(name, match) for name in names if (match := _LEFT_OVER.fullmatch(name))]
        # first the marked ones: whether their originals are whole, the other copies must tell
        for name, match in sorted(copies, key=lambda copy: copy[1]["old"] is None):
            stem, suffix = match["stem"], match["suffix"] or ""
            long = len(os.fsencode(name)) >= _LONG
            if stem + suffix in names or (
                long and any(n.startswith(stem) and n.endswith(suffix) for n in names)
            ):
                with suppress(OSError):
                    _clear(folder / name, match)


def _original_name(name: str) -> str | None:
    match = _LEFT_OVER.fullmatch(name)
    return match["stem"] + (match["suffix"] or "") if match else None


def _clear(copy: Path, match: re.Match[str]) -> None:
    """Remove this copy if no process is at it any more."""
    if not stat.S_ISREG(copy.lstat().st_mode):
        return
    try:
        file = copy.open("rb+", buffering=0)
    except PermissionError:
        file = copy.open("rb", buffering=0)  # it has its original's mode
    with file:
        handle = file.fileno()
        locked = _lock(handle) if match["here"] == _HERE else None
        if locked is False or (locked is None and not _aged(handle, copy)):
            return
        if copy.stat().st_ino != os.fstat(handle).st_ino:
            return  # it was renamed meanwhile, and is music now
        head, mark, token = copy.name.rpartition(_MARK)
        if match["old"]:
            original = copy.with_name(match["stem"] + (match["suffix"] or ""))
            _put_back(copy, handle, original, copy.with_name(head + mark + token[len(_OLD) :]))
        elif copy.with_name(head + mark + _OLD + token).exists():
            return  # which could not be cleared, and needs this one to tell how far it got
        _let_go(file)
        copy.unlink()
        log.info("%s: removed, a copy left by a run that was killed", copy)


def _put_back(copy: Path, old: int, original: Path, new: Path) -> None:
    """The old content, unless the file has it, or all of the new one, which stands beside it.

    Nor if somebody has changed the file since: then nobody but its owner can tell what to keep.
    """
    with original.open("rb+", buffering=0) as file:
        if _lock(file.fileno()) is False:
            raise OSError(errno.EAGAIN, "another process is at it")
        content = _digest(file.fileno())
        if content == _digest(old):
            return
        with suppress(FileNotFoundError), new.open("rb", buffering=0) as complete:
            if content == _digest(complete.fileno()):
                os.fsync(file.fileno())
                return
            if not _half_done(file.fileno(), old, complete.fileno()):
                reason = "a run was killed while writing it, and it was changed since"
                log.warning("%s: %s; %s is how it was before", original, reason, copy.name)
                raise OSError(errno.EBUSY, reason)
        _overwrite(file.fileno(), old)
        log.warning("%s: put back as it was before a run that was killed while writing", original)


def _half_done(now: int, old: int, new: int) -> bool:
    """Whether every byte is still the old or already the new one; zeros are room for the latter."""
    for handle in (now, old, new):
        os.lseek(handle, 0, os.SEEK_SET)
    while block := os.read(now, 1 << 20):
        before, after = (os.read(h, len(block)).ljust(len(block), b"\0") for h in (old, new))
        if block not in (before, after) and any(
            byte not in either for byte, *either in zip(block, before, after, strict=True)
        ):
            return False
    return True


def _aged(handle: int, copy: Path) -> bool:
    """Untouched for so long that no process can be at it.

    By ctime, as nobody can set it and copies get their originals' times; against that of a file
    made just now, so that only the clock of the disk counts.
    """
    with tempfile.TemporaryFile(dir=copy.parent) as now:
        return os.fstat(now.fileno()).st_ctime - os.fstat(handle).st_ctime > LEFT_OVER_S


def _lock(handle: int) -> bool | None:
    """Lock a file for as long as it is open here; None where there are no locks.

    False: another process has it.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EAGAIN, errno.EACCES) else None
    return True


def _lock_patiently(handle: int) -> bool | None:
    """The same; False when another process did not let go of it for PATIENCE_S."""
    until_s = time.monotonic() + PATIENCE_S
    while (locked := _lock(handle)) is False and time.monotonic() < until_s:
        time.sleep(0.02)
    return locked
