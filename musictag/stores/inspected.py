"""A look at the cache or the journal that changes nothing: is it there, ours, and whole?"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import Literal, NamedTuple

from musictag.errors import system_trouble
from musictag.stores.database import Schema

Kind = Literal["absent", "whole", "unfinished", "damaged", "newer", "unreadable"]


class State(NamedTuple):
    """What was found."""

    kind: Kind
    """`unfinished`: no damage was found in the time that there was."""
    n_bytes: int = 0
    n_rows: int | None = None
    """Rows of the first table."""
    reason: str = ""


def inspected(path: Path, schema: Schema, table: str, *, most_s: float = 0.5) -> State:
    """What is in a file of ours, looking at most so long, in seconds."""
    try:
        n_bytes = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return State("absent")
    except OSError as error:
        return State("unreadable", reason=system_trouble(error).reason)
    # Without a log nobody has it open, and SQLite need not make one to read it.
    alone = "" if path.with_name(path.name + "-wal").exists() else "&immutable=1"
    until_s = time.monotonic() + most_s
    try:
        address = f"{path.absolute().as_uri()}?mode=ro{alone}"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=0.5)) as database:
            database.set_progress_handler(lambda: time.monotonic() > until_s, 10_000)
            return _inspected(database, schema, table, n_bytes)
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            return State("unfinished", n_bytes)
        return State("unreadable", n_bytes, reason=str(error))
    except sqlite3.DatabaseError as error:
        return State("damaged", n_bytes, reason=str(error))


def _inspected(database: sqlite3.Connection, schema: Schema, table: str, n_bytes: int) -> State:
    application, version = (
        database.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version")
    )
    if not n_bytes:
        return State("whole", n_bytes, 0)
    if application != schema.application:
        return State("damaged", n_bytes, reason="made by another program")
    if version > schema.version:
        return State("newer", n_bytes, reason="made by a newer musictag")
    n_rows = database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        return State("damaged", n_bytes, n_rows, str(verdict).replace("\n", " "))
    return State("whole", n_bytes, n_rows)
