"""What was heard, remembered: an unchanged library is not decoded twice.

Two tables. `content` knows a file by its path, size and modification time and
gives the digest of its audio; `heard` gives what a checkpoint heard in that
audio. So a moved or retagged file costs one reading, an untouched one none.

The cache is a comfort and never a reason to stop: whatever goes wrong with it
(no room, no right to write, a damaged file) is said once and the scan goes on
without it. A damaged or foreign file is set aside and a new one begun; a
damaged row is not remembered.
"""

from __future__ import annotations

import array
import contextlib
import logging
import math
import os
import sqlite3
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musictag import database

log = logging.getLogger(__name__)

SCHEMA = database.Schema(
    application=0x6D757461,  # "muta"
    version=2,
    objects=(
        """CREATE TABLE content (
            path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns TEXT NOT NULL,
            digest BLOB NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE heard (
            digest BLOB, key TEXT, duration_s REAL NOT NULL, probabilities BLOB NOT NULL,
            code TEXT NOT NULL, message TEXT NOT NULL,
            PRIMARY KEY (digest, key)
        ) WITHOUT ROWID""",
    ),
)


@dataclass(frozen=True)
class Heard:
    """What a checkpoint heard in one track, or why it heard nothing."""

    duration_s: float
    probabilities: tuple[float, ...]
    """Track level, in the order of the checkpoint's tags; empty when there was nothing to hear."""
    code: str = ""
    """Why there was nothing to hear, for programs: an error code; empty when there was."""
    message: str = ""
    """The same for people."""

    def __post_init__(self) -> None:
        """Probabilities are rounded as they are stored: a fresh one equals a remembered one."""
        object.__setattr__(self, "probabilities", tuple(array.array("f", self.probabilities)))


class Cache:
    """A SQLite file, safe with several threads and several processes at once.

    `Cache(None)` remembers nothing; so does one whose file cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._one_at_a_time = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._begun_anew = False
        if path is not None:
            with self._or_go_on_without():
                path.parent.mkdir(parents=True, exist_ok=True)
                self._database = _open(path)

    def content(self, path: Path, stat: os.stat_result) -> bytes | None:
        """Digest of the audio in an unchanged file; None for one that is new or changed."""
        row = self._row(
            "SELECT digest FROM content WHERE path = ? AND size = ? AND mtime_ns = ?",
            _seen(path, stat),
        )
        return row[0] if row is not None and isinstance(row[0], bytes) else None

    def remember_content(self, path: Path, stat: os.stat_result, content: bytes) -> None:
        """What is in the file from now on, instead of what was known of this path before."""
        self._row(
            "INSERT OR REPLACE INTO content VALUES (?, ?, ?, ?)",
            (*_seen(path, stat), content),
        )

    def heard(self, content: bytes, key: str) -> Heard | None:
        """What was heard in this audio; `key` names the checkpoint and how much it heard."""
        row = self._row(
            "SELECT duration_s, probabilities, code, message FROM heard "
            "WHERE digest = ? AND key = ?",
            (content, key),
        )
        return None if row is None else _restored(*row)

    def remember_heard(self, content: bytes, key: str, heard: Heard) -> None:
        self._row(
            "INSERT OR REPLACE INTO heard VALUES (?, ?, ?, ?, ?, ?)",
            (
                *(content, key, heard.duration_s, _packed(heard.probabilities)),
                *(heard.code, heard.message),
            ),
        )

    def close(self) -> None:
        with self._one_at_a_time:
            if self._database is not None:
                self._database.close()
                self._database = None

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _row(self, statement: str, values: tuple[object, ...]) -> tuple[Any, ...] | None:
        with self._one_at_a_time, self._or_go_on_without():
            if self._database is not None:
                row: tuple[Any, ...] | None = self._database.execute(statement, values).fetchone()
                return row
        return None

    @contextlib.contextmanager
    def _or_go_on_without(self) -> Iterator[None]:
        """OperationalError is sqlite3's word for locked, full, read-only, I/O."""
        try:
            yield
        except (sqlite3.DatabaseError, OSError) as error:
            if not (
                database.is_damage(error) or isinstance(error, (sqlite3.OperationalError, OSError))
            ):
                raise
            opened, self._database = self._database, None
            if opened is not None:
                with contextlib.suppress(sqlite3.Error):
                    opened.close()
            # A second time it is not the file that is at fault, but the disk.
            if database.is_damage(error) and self._path is not None and not self._begun_anew:
                self._begun_anew = True
                with contextlib.suppress(OSError, sqlite3.Error):
                    self._database = _anew(self._path, error)
                    return
            log.warning("%s: going on without the cache: %s", self._path, error)


def default_path() -> Path:
    import platformdirs  # noqa: PLC0415  # not needed with --no-cache

    return platformdirs.user_cache_path("musictag", appauthor=False) / "heard.sqlite"


def _open(path: Path) -> sqlite3.Connection:
    try:
        return _connected(path)
    except sqlite3.DatabaseError as error:
        if not database.is_damage(error):
            raise
        return _anew(path, error)


def _anew(path: Path, error: Exception) -> sqlite3.Connection:
    aside = _set_aside(path)
    opened = _connected(path)
    log.warning("%s: %s; set aside as %s and begun anew", path, error, aside.name)
    return opened


def _connected(path: Path) -> sqlite3.Connection:
    """An open cache of our schema; DatabaseError when the file is something else.

    No wait for the disk: what a power cut takes is heard again.
    """
    return database.connect(path, SCHEMA, synchronous="NORMAL")


def _set_aside(path: Path) -> Path:
    """Rename the file, and the log that belongs to it; an earlier one set aside is replaced."""
    aside = path.with_name(path.name + ".damaged")
    path.replace(aside)
    for log_file in ("-wal", "-shm"):
        path.with_name(path.name + log_file).unlink(missing_ok=True)
    return aside


def _seen(path: Path, stat: os.stat_result) -> tuple[bytes, int, str]:
    """How we know a file again. Its time is text: there are dates beyond 64 bits of nanoseconds."""
    return database.named(path), stat.st_size, str(stat.st_mtime_ns)


def _packed(probabilities: tuple[float, ...]) -> bytes:
    """Little-endian float32, so that a cache on a shared disk means the same everywhere."""
    values = array.array("f", probabilities)
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def _restored(duration_s: object, blob: object, code: object, message: object) -> Heard | None:
    """A row as it was remembered; None for one that cannot have been."""
    if not (isinstance(duration_s, float) and isinstance(blob, bytes)):
        return None
    if not (isinstance(code, str) and isinstance(message, str)) or len(blob) % 4:
        return None
    values = array.array("f", blob)
    if sys.byteorder == "big":
        values.byteswap()
    if not 0 <= duration_s < math.inf or not all(0 <= value <= 1 for value in values):
        return None
    return Heard(duration_s, tuple(values), code, message)
