"""What to scan, as the command line says it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from musictag.errors import FileError, UsageError, system_trouble


class Listing:
    """What to scan: paths from the command line, or a list in a file."""

    def __init__(
        self,
        paths: tuple[Path, ...],
        files_from: str | None,
        *,
        null: bool,
        exclude: tuple[str, ...],
    ) -> None:
        self._paths = paths
        self._files_from = files_from
        self._null = null
        self._exclude = exclude

    def open(self) -> tuple[Iterable[Path | FileError], Callable[[], int] | None]:
        """The files, and a way to count them if they can be read twice."""
        if self._files_from is None:
            return self._walked(self._paths)
        if self._paths:
            raise UsageError("name files and folders or give a list with --files-from, not both")
        if self._files_from == "-":
            if sys.stdin is None:
                raise UsageError("--files-from -: standard input is closed")
            # Not sys.stdin: on an interrupt the thread that waits for a name would hold its lock,
            # which ends Python with a fatal error.
            return self._entries(open(0, "rb", closefd=False)), None
        return self._listed(Path(self._files_from))

    def _walked(
        self, paths: tuple[Path, ...]
    ) -> tuple[Iterable[Path | FileError], Callable[[], int]]:
        from musictag import files  # noqa: PLC0415

        if not paths:
            raise UsageError("nothing to scan: name files or folders, or a list with --files-from")
        if self._null:
            raise UsageError("-0 describes a list: it needs --files-from")
        exclude = self._exclude
        return files.walk(paths, exclude=exclude), lambda: _length(
            files.walk(paths, exclude=exclude)
        )

    def _listed(self, path: Path) -> tuple[Iterable[Path], Callable[[], int] | None]:
        try:
            stream = path.open("rb")
        except OSError as error:
            raise UsageError(f"--files-from {path}: {system_trouble(error).reason}") from error
        if not path.is_file():  # a pipe can be read only once
            return self._entries(stream), None
        return self._entries(stream), lambda: _length(self._entries(path.open("rb")))

    def _entries(self, stream: BinaryIO) -> Iterator[Path]:
        from musictag import files  # noqa: PLC0415

        with stream:
            for path in files.read_list(stream, null=self._null):
                if not files.excluded(path, self._exclude):
                    yield path


def _length(items: Iterable[object]) -> int:
    n = 0
    with contextlib.suppress(UsageError):  # the scan will say so
        for _ in items:
            n += 1
    return n
