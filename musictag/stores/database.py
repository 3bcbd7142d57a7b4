"""SQLite files of ours: opened, told from others, shared between processes.

The cache and the journal are such files. What each of them does when its file
cannot be used is its own business; here sqlite3's exceptions are raised.
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
    """What makes a file ours: marks in its header, and what is in it."""

    application: int
    version: int
    objects: tuple[str, ...]
    """A CREATE statement for each table and index."""
    upgrades: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Older version → the statements that make this one of it. They add no objects."""


class Foreign(sqlite3.DatabaseError):  # a kind of file, not of error
    """A database, and not of this schema."""

    def __init__(self, schema: Schema, application: int, version: int) -> None:
        super().__init__("made by another program or another version of musictag")
        self.newer = application == schema.application and version > schema.version


def connect(path: Path, schema: Schema, *, synchronous: str) -> sqlite3.Connection:
    """The file, made if it is not there or empty; DatabaseError when it is something else.

    Every statement commits by itself unless in a `transaction`. With a
    write-ahead log that locks other processes out only for an instant, and a
    kill at any moment loses nothing that was committed.
    """
    database = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    database.text_factory = lambda text: text.decode(errors="replace")  # damaged text is no error
    try:
        with transaction(database, "DEFERRED"):  # in one look: another process may be at it
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
    """All of it or nothing; IMMEDIATE keeps other writers out from the beginning."""
    database.execute(f"BEGIN {kind}")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
            database.execute("ROLLBACK")
        raise


def is_damage(error: Exception) -> bool:
    """The file itself is at fault; sqlite3 has children of DatabaseError for all else."""
    return type(error) in (sqlite3.DatabaseError, Foreign)


def named(path: Path) -> bytes:
    """A file's name as it is stored: absolute, with symlinks as they are.

    Bytes, because a name need not be text.
    """
    return os.fsencode(os.path.abspath(path))  # noqa: PTH100  # Path has no such thing


_EMPTY = (0, 0, 0)


def _check(database: sqlite3.Connection, schema: Schema) -> tuple[int, int, int]:
    """Whose file this is, which schema, and how much of it; Foreign if it is not ours."""
    application, version, n_objects = (
        database.execute(statement).fetchone()[0]
        for statement in (
            "PRAGMA application_id",
            "PRAGMA user_version",
            "SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'sqlite%'",
        )
    )
    identity = (application, version, n_objects)
    versions = (schema.version, *schema.upgrades)
    ours = [(schema.application, version, len(schema.objects)) for version in versions]
    if identity not in (_EMPTY, *ours):
        raise Foreign(schema, application, version)
    return identity


def _write_ahead(database: sqlite3.Connection) -> None:
    """Switch to a write-ahead log.

    SQLite waits for other processes in all but this: two that make the switch
    in the same instant. So we wait.
    """
    for attempt in range(20):
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:  # noqa: PERF203  # trying again is the point
            if attempt == 19 or "locked" not in str(error):
                raise
            time.sleep(0.05)
