"""What can go wrong and can be explained.

Every error that a user can cause, or that a file can, is one of these; any
other exception is a bug of ours and is not caught. `code` is the short word
that JSON output carries, `str(error)` the sentence for people.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import NamedTuple, TypeVar


class MusictagError(Exception):
    """The root: musictag knows what happened and can say it in one sentence."""

    code = "error"


class UsageError(MusictagError):
    """Wrong arguments or settings; the command ends at once with exit code 2."""

    code = "usage"


class CheckpointError(MusictagError):
    """A model directory is missing something, damaged, or made by something else."""

    code = "checkpoint"


class DeviceError(MusictagError):
    """What the model is to run on cannot do it; no file's fault: the command ends, exit code 2."""

    code = "device"


class JournalError(MusictagError):
    """What was written cannot be written down, or what was written down not read."""

    code = "journal"


class OutOfMemoryError(MusictagError):
    """The machine, or a limit on this process, leaves too little memory."""

    code = "memory"
    CURE = "close other programs or raise the limit; --jobs 1 --batch-size 1 needs least"

    @classmethod
    def of(cls, error: BaseException) -> OutOfMemoryError | None:
        """What libraries say when memory runs out, as one of ours; None for any other error.

        NumPy and torch have words of their own, and a library that finds no room cannot be
        imported.
        """
        said = str(error)
        is_it = isinstance(error, MemoryError) or _NO_MEMORY.search(said)
        if not is_it and not (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return None
        what = ""
        if size := re.search(r"allocate ([\d.]+ \w+)", said):
            what = f" for another {size[1]}"
        elif library := re.search(r"(\S+\.so\S*): ", said):
            what = f" to load {library[1]}"
        return cls(f"there is not enough memory{what} ({cls.CURE})")


_NO_MEMORY = re.compile(
    "failed to map segment|[Cc]annot allocate memory|DefaultCPUAllocator|can't start new thread"
    "|out of memory|bad_alloc"
)
"""What torch, the dynamic linker and Python say when memory runs out."""


class DataSetError(MusictagError):
    """A training data set does not have the layout it should have."""

    code = "dataset"


# ---------------------------------------------------------------- the system's errors


class SystemTrouble(NamedTuple):
    """What an OSError says: a word for programs, words for people, and what may help."""

    code: str
    reason: str
    cure: str | None = None


_NOT_FOUND = SystemTrouble("not_found", "there is no such file")
_PERMISSION = SystemTrouble(
    "permission", "permission denied", "check its permissions and those of its folder"
)
_NO_SPACE = SystemTrouble("no_space", "no space left on the disk", "make room on its disk")
_LOCKED = SystemTrouble(
    "locked", "another program is using it", "close the program that has it open"
)

_TROUBLES: dict[int, SystemTrouble] = {
    errno.ENOENT: _NOT_FOUND,
    errno.ENOTDIR: _NOT_FOUND,
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.EROFS: SystemTrouble("read_only", "its disk is read-only"),
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: SystemTrouble("no_space", "the disk quota is used up", "make room on its disk"),
    errno.EISDIR: SystemTrouble("not_a_file", "it is a folder"),
    errno.EBUSY: _LOCKED,
    errno.ETXTBSY: _LOCKED,
    errno.EXDEV: SystemTrouble(
        "cross_device",
        "it is mounted by itself, on another disk than its folder",
        "write it where it comes from",
    ),
    errno.EIO: SystemTrouble("io", "input/output error: its disk or network connection fails"),
    errno.ENAMETOOLONG: SystemTrouble("io", "its name is too long"),
    errno.ELOOP: SystemTrouble("io", "its links lead round in a circle"),
    errno.EMFILE: SystemTrouble("io", "too many files are open", "raise the limit: ulimit -n 4096"),
    errno.ESTALE: SystemTrouble("io", "the file server no longer knows it", "mount it anew"),
}
_WINDOWS_LOCKS = (32, 33)


def system_trouble(error: OSError) -> SystemTrouble:
    """What the system's error says, in words: never a bare number, never a Python name.

    For `FileError.of_system`, and for messages that name something other than a file.
    """
    if getattr(error, "winerror", None) in _WINDOWS_LOCKS:
        return _LOCKED
    number = error.errno
    if number is None and len(error.args) == 1 and isinstance(error.args[0], int):
        (number,) = error.args  # raised as OSError(28)
    common = os.strerror(number) if number else ""
    words = error.strerror or common or str(error)
    known = _TROUBLES.get(number or 0)
    if known is None:
        return SystemTrouble("io", words.strip().lower() or "the system does not say why")
    # who raised it may have said more than the system does
    return known if words == common else known._replace(reason=words.lower())


_Self = TypeVar("_Self", bound="FileError")


class FileError(MusictagError):
    """One file could not be handled; the run goes on with the next.

    `reason` says why, `cure` what the user can do about it, if that is known.
    """

    def __init__(self, path: Path, code: str, reason: str, *, cure: str | None = None) -> None:
        super().__init__(path, code, reason, cure)
        self.path = path
        self.code = code
        self.reason = reason
        self.cure = cure

    @classmethod
    def of_system(cls: type[_Self], path: Path, error: OSError, failed: str = "") -> _Self:
        """What the system said about this file; `failed` is what could not be done, as in
        "cannot be opened"."""
        code, reason, cure = system_trouble(error)
        if failed and code != "not_found":
            reason = f"{failed}: {reason}"
        return cls(path, code, reason, cure=cure)

    @property
    def message(self) -> str:
        """The reason and the cure, without the file's name."""
        return f"{self.reason} ({self.cure})" if self.cure else self.reason

    def __str__(self) -> str:
        return f"{os.fspath(self.path)}: {self.message}"


class AudioError(FileError):
    """The file's sound could not be read, or there is none worth hearing."""


class MetadataError(FileError):
    """The file's metadata could not be read or written; the file is as it was."""
