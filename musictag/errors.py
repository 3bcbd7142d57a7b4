"""What can go wrong and can be explained.

Every error that a user can cause, or that a file can, is one of these; any
other exception is a bug of ours and is not caught. `code` is the short word
that JSON output carries, `str(error)` the sentence for people.
"""

from __future__ import annotations

import os
from pathlib import Path


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


class DataSetError(MusictagError):
    """A training data set does not have the layout it should have."""

    code = "dataset"


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
