"""The cache: an unchanged library is not decoded twice.

There are three tables. `content` identifies a file by its path, size and modification time, and
holds the digest of its sound and the values of its fields; `heard` holds what a checkpoint heard in
that sound, and `summary` what its network made of it, which is four times as long and which a scan
need not read. So a moved or retagged file costs one reading, and an untouched one is not even
opened (except for its fields, where the system does not tell when it was changed).

Rows that are remembered in quick succession are written together, with the first one that comes
half a second later. A kill costs that much hearing, and other processes wait only for an instant.

The cache is a convenience and never a reason to stop: whatever goes wrong with it (no room, no
permission, a damaged file) is reported once, and the scan goes on without it. A damaged or foreign
file is set aside and a new one is begun; a damaged row is ignored.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import sqlite3
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from musictag.errors import system_trouble
from musictag.stores import database, summary
from musictag.stores.stored import StoredFields, StoredFile, StoredHearing

log = logging.getLogger(__name__)

_SUMMARY_TABLE = """CREATE TABLE summary (
    digest BLOB, key TEXT, numbers BLOB NOT NULL, PRIMARY KEY (digest, key)
)"""  # with row ids: rows of 2 kB would not fit into the pages of a table without

SCHEMA = database.Schema(
    application=0x6D757461,  # "muta"
    version=4,
    objects=(
        """CREATE TABLE content (
            path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns TEXT NOT NULL,
            digest BLOB NOT NULL, ctime_ns TEXT, reader TEXT, tags TEXT
        ) WITHOUT ROWID""",
        """CREATE TABLE heard (
            digest BLOB, key TEXT, duration_s REAL NOT NULL, probabilities BLOB NOT NULL,
            code TEXT NOT NULL, message TEXT NOT NULL,
            PRIMARY KEY (digest, key)
        ) WITHOUT ROWID""",
        _SUMMARY_TABLE,
    ),
    upgrades={
        2: (
            *(f"ALTER TABLE content ADD {name} TEXT" for name in ("ctime_ns", "reader", "tags")),
            _SUMMARY_TABLE,
        ),
        3: (_SUMMARY_TABLE,),
    },
    n_objects={2: 2, 3: 2},
    # A summary is 2 kB: in pages of 4 kB each would take one, a third more in all.
    # Pages that become free can be given back bit by bit, beside a running scan (see `upkeep`).
    settings=("PRAGMA page_size = 8192", "PRAGMA auto_vacuum = INCREMENTAL"),
)

_SYSTEM = os.name
_DELAY_S = 0.5
"""Least time between two transactions, in seconds. Rarer rows are written at once."""
_MOST = 1000
"""Most rows that wait for a transaction."""


class Cache:
    """A SQLite file, safe with several threads and several processes at once.

    `Cache(None)` remembers nothing; so does one whose file cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._one_at_a_time = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._begun_anew = False
        self._waiting: dict[tuple[str, object], tuple[object, ...]] = {}
        """Rows on their way to the file: statement and key → values."""
        self._written_s = -math.inf
        if path is not None:
            with self._or_go_on_without():
                path.parent.mkdir(parents=True, exist_ok=True)
                self._database = _open(path)

    def known(
        self,
        path: Path,
        stat: os.stat_result,
        reader: str,
        keys: Sequence[str],
        *,
        summaries: bool = False,
    ) -> StoredFile | None:
        """All that is remembered of an unchanged file; None for one that is new or changed.
        Summaries only if they are asked for.

        `reader` names what reads fields; fields that another reader has read are left out. So are
        those of a file if its system does not tell when it changed.
        """
        name, size, mtime_ns = _seen(path, stat)
        changed = _changed(stat)
        rows = self._rows(
            (_KNOWN_WITH_SUMMARY if summaries else _KNOWN).format(", ".join("?" * len(keys))),
            (changed, reader, *keys, name, size, mtime_ns),
            (_CONTENT, name),
        )
        if not rows or not isinstance(rows[0][0], bytes):
            return None
        content, text, *_ = rows[0]
        if any((_HEARD, (content, key)) in self._waiting for key in keys):
            self.flush()
            return self.known(path, stat, reader, keys, summaries=summaries)
        heard = {row[2]: _restored(*row[3:]) for row in rows}
        known = {key: what for key, what in heard.items() if what is not None}
        fields = _restored_fields(text)
        return StoredFile(content, fields, known, complete=fields is not None or changed is None)

    def content(self, path: Path, stat: os.stat_result) -> bytes | None:
        """Digest of the sound in an unchanged file; None for one that is new or changed."""
        known = self.known(path, stat, "", ())
        return None if known is None else known.content

    def remember_content(
        self,
        path: Path,
        stat: os.stat_result,
        content: bytes,
        fields: StoredFields | None = None,
        *,
        reader: str = "",
    ) -> None:
        """Remember what is in a file, instead of what was remembered of this path before.

        `stat` must be from before the fields were read.
        """
        seen, changed = _seen(path, stat), _changed(stat)
        text = None
        if fields is not None and changed is not None:
            parts = [dict(fields.values), fields.code, fields.message, dict(fields.about)]
            text = json.dumps(parts)
        self._remember({(_CONTENT, seen[0]): (*seen, content, changed, reader, text)})

    def heard(
        self, content: bytes, key: str, *, with_summary: bool = False
    ) -> StoredHearing | None:
        """What was heard in this sound; `key` names the checkpoint and how much it heard."""
        rows = self._rows(
            _HEARD_WITH_SUMMARY if with_summary else _HEARD_ALONE,
            (content, key),
            (_HEARD, (content, key)),
        )
        return _restored(*rows[0]) if rows else None

    def paths(self) -> Iterator[Path]:
        """Every file that is remembered, in the order of the bytes of their names."""
        self.flush()
        last = b""
        while rows := self._rows(_PATHS, (last, _MOST), ("", None)):
            for (name,) in rows:
                if isinstance(name, bytes):
                    yield Path(os.fsdecode(name))
            last = rows[-1][0]

    def keys(self, content: bytes) -> list[str]:
        """The keys under which something was heard in this sound before this run."""
        rows = self._rows("SELECT key FROM heard WHERE digest = ?", (content,), ("", None))
        return [key for (key,) in rows if isinstance(key, str)]

    def remember_heard(self, content: bytes, key: str, heard: StoredHearing) -> None:
        """Remember what was heard in this sound. A summary that is remembered stays if `heard` has
        none."""
        which = (content, key)
        packed = _packed(heard.probabilities)
        values = (*which, heard.duration_s, packed, heard.code, heard.message)
        rows: dict[tuple[str, object], tuple[object, ...]] = {(_HEARD, which): values}
        if heard.summary is not None:
            rows[_SUMMARY, which] = (*which, heard.summary)
        self._remember(rows)

    def flush(self) -> None:
        """Write everything to the file, where a kill does not reach it."""
        with self._one_at_a_time:
            self._write()

    def close(self) -> None:
        with self._one_at_a_time:
            self._write()
            if self._database is not None:
                self._database.close()
                self._database = None

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rows(
        self, statement: str, values: tuple[object, ...], waiting: tuple[str, object]
    ) -> list[tuple[Any, ...]]:
        """Ask the file, after writing the row that is `waiting` if that may be the answer."""
        with self._one_at_a_time:
            if waiting in self._waiting:
                self._write()
            with self._or_go_on_without():
                if self._database is not None:
                    return self._database.execute(statement, values).fetchall()
        return []

    def _remember(self, rows: Mapping[tuple[str, object], tuple[object, ...]]) -> None:
        with self._one_at_a_time:
            if self._database is None:
                return
            self._waiting.update(rows)
            if len(self._waiting) >= _MOST or time.monotonic() - self._written_s >= _DELAY_S:
                self._write()

    def _write(self) -> None:
        """Write the waiting rows to the file, or to a new one if it turns out to be damaged."""
        rows, self._waiting = self._waiting, {}
        for _attempt in range(2 if rows else 0):
            with self._or_go_on_without():
                if self._database is not None:
                    with database.transaction(self._database, "IMMEDIATE"):
                        for (statement, _), values in rows.items():
                            self._database.execute(statement, values)
                break
        self._written_s = time.monotonic()

    @contextlib.contextmanager
    def _or_go_on_without(self) -> Iterator[None]:
        """Give the cache up, with a warning, if its file cannot be used.

        sqlite3 raises OperationalError when it is locked, full or read-only, and for I/O errors.
        """
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
            # If a new file is damaged as well, the disk is at fault.
            if database.is_damage(error) and self._path is not None and not self._begun_anew:
                self._begun_anew = True
                with contextlib.suppress(OSError, sqlite3.Error):
                    self._database = _anew(self._path, error)
                    return
            why = system_trouble(error).reason if isinstance(error, OSError) else error
            log.warning("%s: going on without the cache: %s", self._path, why)


_KNOWN = """
    SELECT content.digest, CASE WHEN ctime_ns = ? AND reader = ? THEN tags END,
        heard.key, duration_s, probabilities, code, message
    FROM content LEFT JOIN heard ON heard.digest = content.digest AND heard.key IN ({})
    WHERE path = ? AND size = ? AND mtime_ns = ?"""
_KNOWN_WITH_SUMMARY = """
    SELECT content.digest, CASE WHEN ctime_ns = ? AND reader = ? THEN tags END,
        heard.key, duration_s, probabilities, code, message, numbers
    FROM content LEFT JOIN heard ON heard.digest = content.digest AND heard.key IN ({})
    LEFT JOIN summary ON summary.digest = heard.digest AND summary.key = heard.key
    WHERE path = ? AND size = ? AND mtime_ns = ?"""
_PATHS = "SELECT path FROM content WHERE path > ? ORDER BY path LIMIT ?"
_HEARD_ALONE = """
    SELECT duration_s, probabilities, code, message FROM heard WHERE digest = ? AND key = ?"""
_HEARD_WITH_SUMMARY = """
    SELECT duration_s, probabilities, code, message, numbers
    FROM heard LEFT JOIN summary ON summary.digest = heard.digest AND summary.key = heard.key
    WHERE heard.digest = ? AND heard.key = ?"""
_CONTENT = "INSERT OR REPLACE INTO content VALUES (?, ?, ?, ?, ?, ?, ?)"
_HEARD = "INSERT OR REPLACE INTO heard VALUES (?, ?, ?, ?, ?, ?)"
_SUMMARY = "INSERT OR REPLACE INTO summary VALUES (?, ?, ?)"


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
    """Open a cache of our schema; DatabaseError if the file is something else.

    It does not wait for the disk: what a power cut takes is heard again.
    """
    return database.connect(path, SCHEMA, synchronous="NORMAL")


def _set_aside(path: Path) -> Path:
    """Rename the file and remove its log; replaces a file that was set aside earlier."""
    aside = path.with_name(path.name + ".damaged")
    path.replace(aside)
    for log_file in ("-wal", "-shm"):
        path.with_name(path.name + log_file).unlink(missing_ok=True)
    return aside


def _seen(path: Path, stat: os.stat_result) -> tuple[bytes, int, str]:
    """What identifies a file. The time is text: some dates exceed 64 bits of nanoseconds."""
    return database.named(path), stat.st_size, str(stat.st_mtime_ns)


def _changed(stat: os.stat_result) -> str | None:
    """When anything about a file changed last (ctime); None where that is not reliable.

    A program that sets a tag may put the modification time back, and the size need not change; this
    time nobody can put back. But on Windows it is the time of creation, and FAT has none: a file
    system that counts in hundredths of a second or more (FAT, exFAT, SFTP) is taken for one of
    those.
    """
    if _SYSTEM == "nt" or stat.st_ctime_ns % 10_000_000 == 0:
        return None
    return str(stat.st_ctime_ns)


def _packed(probabilities: tuple[float, ...]) -> bytes:
    """Little-endian float32, so that a cache on a shared disk means the same everywhere."""
    return struct.pack(f"<{len(probabilities)}f", *probabilities)


def _restored(
    duration_s: object, blob: object, code: object, message: object, numbers: object = None
) -> StoredHearing | None:
    """A row as it was remembered; None if we cannot have written it. A summary that we cannot have
    written is left out."""
    if not (isinstance(duration_s, float) and isinstance(blob, bytes)):
        return None
    if not (isinstance(code, str) and isinstance(message, str)) or len(blob) % 4:
        return None
    values = struct.unpack(f"<{len(blob) // 4}f", blob)
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    if not 0 <= duration_s < math.inf or not 0 <= low <= high <= 1 or math.isnan(sum(values)):
        return None
    packed = numbers if isinstance(numbers, bytes) and summary.is_one(numbers) else None
    return StoredHearing(duration_s, values, code, message, packed)


def _restored_fields(text: object) -> StoredFields | None:
    """A file's fields as they were remembered; None if we cannot have written them."""
    if not isinstance(text, str):
        return None
    try:
        ours, code, message, others = json.loads(text)
        values = {name: tuple(of_it) for name, of_it in ours.items()}
        about = {name: tuple(of_it) for name, of_it in others.items()}
        fields = StoredFields(values, code, message, about)
    except (AttributeError, TypeError, ValueError):
        return None
    entries = chain.from_iterable((*values.values(), *about.values()))
    texts = (code, message, *entries)
    return fields if all(isinstance(text, str) for text in texts) else None
