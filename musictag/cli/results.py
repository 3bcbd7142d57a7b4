"""Files that a command writes on request: `-o FILE`, whole or not at all, and nothing overwritten
unless asked for."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from musictag.errors import FileError, UsageError, system_trouble


def check(path: Path, *, force: bool) -> None:
    """UsageError if a result cannot be written here, or only over something that is there."""
    from musictag import files  # noqa: PLC0415

    if path.suffix.lower() in files.EXTENSIONS:
        raise UsageError(f"{path}: a music file has such a name: choose another")
    try:
        if path.is_dir():
            raise UsageError(f"{path}: it is a folder: name a file")
        if path.exists() and not path.is_file():
            raise UsageError(f"{path}: it is not a regular file: leave -o out and use > instead")
        if not path.parent.is_dir():
            raise UsageError(f"{path}: its folder does not exist")
        if path.exists() and not force:
            raise UsageError(f"{path}: it exists already: --force replaces it")
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {_reason(error)}") from error


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, or beside what it is a link to, whose place it takes at the
    end. FileError if that cannot be."""
    from musictag.disk import replacing  # noqa: PLC0415

    try:
        with replacing(Path(os.path.realpath(path))) as temporary:
            yield temporary
    except OSError as error:
        raise FileError.of_system(path, error, "cannot be written") from error


def _reason(error: OSError | ValueError) -> str:
    return system_trouble(error).reason if isinstance(error, OSError) else "no file has such a name"
