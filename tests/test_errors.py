"""What goes wrong, said in words."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from musictag.errors import AudioError, FileError, system_trouble


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_no_number_of_the_system_is_shown_bare(number: int) -> None:
    for error in (OSError(number, os.strerror(number)), OSError(number)):
        trouble = system_trouble(error)
        assert trouble.reason == trouble.reason.lower() != ""
        assert "errno" not in trouble.reason
        assert not trouble.reason.isdigit()
        assert errno.errorcode[number] not in trouble.reason


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a"), "not_found",
         "there is no such file"),
        (PermissionError(errno.EACCES, "Permission denied"), "permission", "permission denied"),
        (PermissionError(errno.EACCES, "the file is write-protected"), "permission",
         "the file is write-protected"),
        (OSError(errno.ENOSPC, "No space left on device"), "no_space",
         "no space left on the disk"),
        (OSError(errno.EROFS, "Read-only file system"), "read_only", "its disk is read-only"),
        (OSError("no more of it"), "io", "no more of it"),
        (OSError(), "io", "the system does not say why"),
    ],
)  # fmt: skip
def test_the_systems_errors_in_words(error: OSError, code: str, reason: str) -> None:
    assert system_trouble(error)[:2] == (code, reason)


def test_a_file_on_windows_that_is_in_use_is_locked() -> None:
    error = PermissionError(errno.EACCES, "Access is denied")
    error.winerror = 32  # type: ignore[attr-defined]
    assert system_trouble(error).code == "locked"


def test_an_error_of_the_system_becomes_one_of_the_file() -> None:
    error = AudioError.of_system(Path("a.mp3"), OSError(errno.ENAMETOOLONG), "cannot be opened")
    assert isinstance(error, AudioError)
    assert str(error) == "a.mp3: cannot be opened: its name is too long"
    missing = FileError.of_system(Path("a.mp3"), OSError(errno.ENOENT, "No"), "cannot be opened")
    assert (missing.code, missing.message) == ("not_found", "no")
