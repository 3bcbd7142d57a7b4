"""Our SQLite files: opening them, telling them from others, sharing them between processes.

The cache and the journal are such files. Each decides for itself what to do when its file cannot be
used; here sqlite3's exceptions are raised.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Schema:
    """What makes a file ours: the marks in its header and the objects in it."""

    application: int
    version: int
    objects: tuple[str, ...]
    """A CREATE statement for each table and index."""
    upgrades: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Older version → statements that upgrade it to this one."""
    n_objects: Mapping[int, int] = field(default_factory=dict)
    """Older version → number of its objects, where it had fewer."""
    settings: tuple[str, ...] = ()
    """PRAGMA statements that shape a new file; one that exists stays as it is."""


class Foreign(sqlite3.DatabaseError):  # names a kind of file
    """A database of another schema."""

    def __init__(self, schema: Schema, application: int, version: int) -> None:
        super().__init__("made by another program or another version of musictag")
        self.newer = application == schema.application and version > schema.version


def connect(path: Path, schema: Schema, *, synchronous: str) -> sqlite3.Connection:
    """Open a file, and create it if it is missing or empty; DatabaseError if it is something else.

    Every statement commits by itself unless it is in a `transaction`. Thanks to a write-ahead log
    that locks other processes out only for an instant, and a kill at any moment loses nothing that
    was committed.
    """
    is_new = not path.exists() or not path.stat().st_size
    database = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    database.text_factory = lambda text: text.decode(errors="replace")  # damaged text is no error
    try:
        if is_new:
            for statement in schema.settings:
                database.execute(statement)
        with transaction(database, "DEFERRED"):  # at once: another process may be creating it
            _check(database, schema)
        _write_ahead(database)
        database.execute(f"PRAGMA synchronous = {synchronous}")
        with transaction(database, "IMMEDIATE"):
            _, version, _ = _check(database, schema)
            if version != schema.version:
                for statement in schema.upgrades.get(version, schema.objects):
                    database.execute(statement)
                database.execute(f"PRAGMA application_id = {schema.application}")
                database.execute(f"PRAGMA user_version = {schema.version}")
    except BaseException:
        database.close()
        raise
    return database


@contextlib.contextmanager
def transaction(database: sqlite3.Connection, kind: str) -> Iterator[None]:
    """All statements or none take effect; IMMEDIATE keeps other writers out from the beginning."""
    database.execute(f"BEGIN {kind}")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
            database.execute("ROLLBACK")
        raise


def is_damage(error: Exception) -> bool:
    """Whether the file itself is at fault; sqlite3 has subclasses of DatabaseError for all else."""
    return type(error) in (sqlite3.DatabaseError, Foreign)


def named(path: Path) -> bytes:
    """A file's name as it is stored: absolute, symlinks kept, in bytes since it may be no text."""
    return os.fsencode(os.path.abspath(path))  # noqa: PTH100  # Path has no such thing


_EMPTY = (0, 0, 0)


def _check(database: sqlite3.Connection, schema: Schema) -> tuple[int, int, int]:
    """The application, version and number of objects of a file; Foreign if it is not ours."""
    application, version, n_objects = (
        database.execute(statement).fetchone()[0]
        for statement in (
            "PRAGMA application_id",
            "PRAGMA user_version",
            "SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'sqlite%'",
        )
    )
    identity = (application, version, n_objects)
    n_now = len(schema.objects)
    ours = [
        (schema.application, version, schema.n_objects.get(version, n_now))
        for version in (schema.version, *schema.upgrades)
    ]
    if identity not in (_EMPTY, *ours):
        raise Foreign(schema, application, version)
    return identity


def _write_ahead(database: sqlite3.Connection) -> None:
    """Switch to a write-ahead log.

    SQLite waits for other processes in everything but this: two that switch at the same instant. So
    we wait for it.
    """
    for attempt in range(20):
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:  # noqa: PERF203  # trying again is the point
            if attempt == 19 or "locked" not in str(error):
                raise
            time.sleep(0.05)
