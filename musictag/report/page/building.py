"""Data, style and scripts → one file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from musictag.disk import replacing
from musictag.errors import UsageError, system_trouble

MARK = b'<meta name="generator" content="musictag report">'
"""Stands near the beginning of every page of ours."""
SCRIPTS = ("data", "choice", "map", "details", "counts", "table", "page")
_HERE = Path(__file__).parent
_BEGINNING = 1024
"""Bytes of a file in which MARK is looked for."""


def check_place(path: Path, *, force: bool) -> Path:
    """Where to write the page: `path`, or what it links to.

    UsageError if something else than a page of ours is there, unless `force`, or if no file can be
    made there.
    """
    try:
        place = Path(os.path.realpath(path))
        now = place.stat()
    except FileNotFoundError:
        folder = Path(os.path.realpath(path)).parent
        if not folder.is_dir():
            raise UsageError(f"{path}: there is no folder {folder}") from None
        return place
    except (OSError, ValueError) as error:
        reason = system_trouble(error).reason if isinstance(error, OSError) else str(error)
        raise UsageError(f"{path}: {reason}") from error
    if stat.S_ISDIR(now.st_mode):
        raise UsageError(f"{path}: this is a folder; name a file in it")
    if not stat.S_ISREG(now.st_mode):
        raise UsageError(f"{path}: this is no regular file")
    if now.st_size and not force and not _is_ours(place):
        raise UsageError(f"{path}: exists and is no report of musictag; --force replaces it")
    return place


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return MARK in file.read(_BEGINNING)
    except OSError as error:
        raise UsageError(f"{path}: {system_trouble(error).reason}") from error


def page(data: Iterable[str]) -> Iterator[str]:
    """The text of the page, piece by piece."""
    shell = _text("page.html")
    before, _, rest = shell.partition("/* style */")
    between, _, rest = rest.partition("/* data */")
    last, _, end = rest.partition("/* scripts */")
    yield before
    yield _text("page.css")
    yield between
    yield from data
    yield last
    for name in SCRIPTS:
        yield _text(f"{name}.js")
    yield end


def write(place: Path, data: Iterable[str]) -> int:
    """Write the page, and return its length in bytes; UsageError if that cannot be done.

    Until it is complete, the file that was there stays as it was.
    """
    try:
        with replacing(place) as temporary:
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(page(data))
            return temporary.stat().st_size
    except OSError as error:
        trouble = system_trouble(error)
        cure = f" ({trouble.cure})" if trouble.cure else ""
        raise UsageError(f"{place}: cannot be written: {trouble.reason}{cure}") from error


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
