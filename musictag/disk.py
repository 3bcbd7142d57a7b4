"""Files and folders that are never left half-written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; what is written there takes its place at the end.

    Whenever the program is killed, `path` holds its old content or all of the new. The temporary
    file that a kill leaves behind is overwritten the next time.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`; at the end it takes its place, with all that is in it.

    Whenever the program is killed, `path` holds all of the old or all of the new, or for an instant
    nothing while the old folder is called `.NAME.old`. The temporary folder that a kill leaves
    behind is removed the next time.
    """
    import shutil  # noqa: PLC0415  # not needed for --help

    temporary, old = (path.with_name(f".{path.name}.{end}") for end in ("part", "old"))
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
            path.rename(old)
        try:
            temporary.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
