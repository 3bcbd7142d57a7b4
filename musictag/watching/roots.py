"""The watched folders themselves: whether they are there, and by whom they are watched."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from musictag.errors import UsageError, system_trouble

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class Root:
    """A folder that may go away and come back, as shares and external disks do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_there = False
        self.away = ""
        """Why it is not there, in words."""
        self._identity: tuple[int, int] | None = None

    def look(self) -> bool:
        """Look whether it is there; True if what is there now was not there before."""
        before = self._identity
        self.away, self._identity = _presence(self.path)
        self.is_there = not self.away
        return self.is_there and self._identity != before

    def is_away(self) -> bool:
        """Whether it has gone since the last look."""
        return bool(_presence(self.path)[0])

    def doubt(self) -> None:
        """Take what the next look finds for new."""
        self._identity = None


def _presence(path: Path) -> tuple[str, tuple[int, int] | None]:
    """Why a folder counts as away, and its device and number if it does not.

    An empty folder does: it may be the place where a share is mounted again.
    """
    try:
        found = path.stat()
        with os.scandir(path) as listing:
            if any(not entry.name.startswith(".") for entry in listing):
                return "", (found.st_dev, found.st_ino)
    except FileNotFoundError:
        return "it is not there", None
    except OSError as error:
        return f"it cannot be read: {system_trouble(error).reason}", None
    return "it is empty", None


def check(paths: Sequence[Path]) -> list[Path]:
    """The folders to watch, by absolute paths, without those inside others; UsageError for
    files. A folder that is missing may be on a share that is yet to be mounted."""
    if not paths:
        raise UsageError("nothing to watch: name one or more folders")
    roots: list[Path] = []
    for path in paths:
        absolute = Path(os.path.abspath(path))  # noqa: PTH100  # keeps links
        if absolute.exists() and not absolute.is_dir():
            raise UsageError(f"{path}: not a folder (musictag scan takes files)")
        roots.append(absolute)
    real = {root: Path(os.path.realpath(root)) for root in roots}
    return [
        root
        for n, root in enumerate(roots)
        if not any(
            real[root].is_relative_to(real[other]) and (real[root] != real[other] or m < n)
            for m, other in enumerate(roots)
            if m != n
        )
    ]


class Locks:
    """Keeps two programs from watching the same folder, or one inside the other's.

    Each watched folder has a small file with its name in it, which is locked. The system lets go of
    a lock when its program ends, however it ends.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptors: list[int] = []

    def take(self, roots: Sequence[Path]) -> None:
        """UsageError if one of them is being watched."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            for root in roots:
                self._take(Path(os.path.realpath(root)))
        except OSError as error:
            reason = system_trouble(error).reason
            raise UsageError(f"{error.filename or self._directory}: {reason}") from error

    def release(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _take(self, root: Path) -> None:
        name = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
        path = self._directory / f"{name}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self._descriptors.append(descriptor)
        if not _lock(descriptor):
            raise _watched(root, root)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, os.fsencode(root))
        for other in self._directory.glob("*.lock"):
            watched = Path(os.fsdecode(other.read_bytes()))
            overlap = root.is_relative_to(watched) or watched.is_relative_to(root)
            if other != path and overlap and _is_locked(other):
                raise _watched(root, watched)


def _watched(root: Path, watched: Path) -> UsageError:
    if root == watched:
        return UsageError(f"{root}: another musictag is watching it")
    where = "around it" if root.is_relative_to(watched) else "inside it"
    return UsageError(f"{root}: another musictag is watching {watched}, which is {where}")


def _is_locked(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDWR)
    try:
        return not _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock a file until its descriptor is closed; False if somebody else has locked it."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, 2**30, os.SEEK_SET)  # behind the content, which stays readable
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
