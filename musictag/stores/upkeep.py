"""Looking after the cache: what is in it, and forgetting some of it.

A scan may be running: rows are forgotten a thousand at a time, so it waits only for an instant, and
what it remembers meanwhile stays or is heard once more.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from musictag.errors import MusictagError, system_trouble
from musictag.stores import cache, database, keys

_AT_ONCE = 1000
"""Rows that are forgotten, and pages that are given back, in one transaction."""
_MOUNTS = ("mnt", "media", "Volumes")
"""Folders in which disks appear and disappear, at the top or below /run."""


@dataclass
class Heard:
    """How much one model has heard."""

    n_sounds: int = 0
    n_summaries: int = 0


@dataclass
class Contents:
    """What is in the cache."""

    n_bytes: int
    n_files: int
    by_model: dict[str, Heard] = field(default_factory=dict)
    """Digest of a model → what it has heard."""


@dataclass
class Forgotten:
    """What a clean-up has taken out."""

    n_files: int = 0
    n_sounds: int = 0
    n_away: int = 0
    """Files that were kept, for their disk seems not to be mounted."""


class Upkeep:
    """An open cache file; MusictagError where it cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._explained():
            self._database = database.connect(path, cache.SCHEMA, synchronous="NORMAL")

    def contents(self) -> Contents:
        with self._explained():
            (n_files,) = self._database.execute("SELECT count(*) FROM content").fetchone()
            found = Contents(size(self._path), n_files)
            for table, name in (("heard", "n_sounds"), ("summary", "n_summaries")):
                for key, n in self._database.execute(
                    f"SELECT key, count(*) FROM {table} GROUP BY key"
                ):
                    heard = found.by_model.setdefault(keys.digest(str(key)) or "", Heard())
                    setattr(heard, name, getattr(heard, name) + n)
        return found

    def prune(self, *, keep: str | None = None) -> Forgotten:
        """Forget files that are gone, sounds that no file has any more and, with `keep`, what all
        models but the one with this digest have heard."""
        done = Forgotten()
        with self._explained():
            gone: list[bytes] = []
            away: dict[str, bool] = {}
            for (name,) in self._all("SELECT path FROM content"):
                if not isinstance(name, bytes) or os.path.lexists(name):
                    continue
                folder = os.path.dirname(os.fsdecode(name))  # noqa: PTH120  # Path is slow
                if folder not in away:
                    away[folder] = _is_away(Path(folder))
                if away[folder]:
                    done.n_away += 1
                else:
                    gone.append(name)
            done.n_files = len(gone)
            self._forget("DELETE FROM content WHERE path = ?", [(name,) for name in gone])
            for table in ("heard", "summary"):
                rows = self._all(f"SELECT digest FROM {table} EXCEPT SELECT digest FROM content")
                n = self._forget(f"DELETE FROM {table} WHERE digest = ?", rows)
                done.n_sounds += n if table == "heard" else 0
                if keep is not None:
                    others = self._all(f"SELECT DISTINCT key FROM {table}")
                    for (key,) in others:
                        if keys.digest(str(key)) != keep:
                            rows = self._all(f"SELECT digest, key FROM {table} WHERE key = ?", key)
                            n = self._forget(
                                f"DELETE FROM {table} WHERE digest = ? AND key = ?", rows
                            )
                            done.n_sounds += n if table == "heard" else 0
            self._give_back()
        return done

    def clear(self) -> None:
        """Forget everything."""
        with self._explained():
            with database.transaction(self._database, "IMMEDIATE"):
                for table in ("content", "heard", "summary"):
                    self._database.execute(f"DELETE FROM {table}")
            self._give_back()
            aside(self._path).unlink(missing_ok=True)

    def _all(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """All rows at once: an open answer would see only what was there when it began."""
        return self._database.execute(statement, values).fetchall()

    def _forget(self, statement: str, rows: Sequence[tuple[object, ...]]) -> int:
        n = 0
        for start in range(0, len(rows), _AT_ONCE):
            with database.transaction(self._database, "IMMEDIATE"):
                some = rows[start : start + _AT_ONCE]
                n += self._database.executemany(statement, some).rowcount
        return n

    def _give_back(self) -> None:
        """Give free pages back to the disk; a cache of an older version keeps them for later."""
        free = -1
        while free != (free := self._database.execute("PRAGMA freelist_count").fetchone()[0]):
            self._database.execute(f"PRAGMA incremental_vacuum({_AT_ONCE})").fetchall()
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise MusictagError(f"{self._path}: {system_trouble(error).reason}") from error
        except sqlite3.Error as error:
            raise MusictagError(f"{self._path}: {error}") from error

    def __enter__(self) -> Upkeep:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._database.close()


def aside(path: Path) -> Path:
    """Where a damaged cache is set aside."""
    return path.with_name(path.name + ".damaged")


def size(path: Path) -> int:
    """Bytes of a cache and its log."""
    files = (path, path.with_name(path.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def _is_away(folder: Path) -> bool:
    """Whether a folder may be on a disk that is not mounted now: what is left of its path is an
    empty folder, or one in which disks appear."""
    while not folder.is_dir():
        if folder.parent == folder:
            return True
        folder = folder.parent
    if folder.parent == folder or set(folder.parts[1:3]) & set(_MOUNTS):
        below = folder.parts[1:]
        if len(below) <= 1 or (below[0] == "run" and len(below) <= 3):
            return True
    with os.scandir(folder) as entries:
        return next(entries, None) is None
