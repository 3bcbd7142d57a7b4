"""The journal: what was written into which file, so that it can be taken back.

    with Journal(default_path()) as journal, journal.run(["scan", "--write"]) as run:
        entry = run.intend(path, before=…, after=…)     # on the disk when this returns
        os.replace(…)
        run.done(entry)

A run has an entry for every file that it wrote. The entry is written before the file is replaced,
so that every change is known after a kill or a power cut at any moment; whether a change that was
only intended has happened can be read from the file itself. An undo is a run like any other, whose
entries name those that they undo.

Unlike the cache, this has no other copy. A journal that is damaged, or made by a newer musictag, is
an error and is not touched.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from musictag import __version__
from musictag.errors import JournalError, UsageError, system_trouble
from musictag.stores import at_work, database

log = logging.getLogger(__name__)

_RUN_INDEX = "CREATE INDEX entry_of_run ON entry (run, state, stands, also, fields)"
_REAL_INDEX = "CREATE INDEX entry_of_real ON entry (real)"

SCHEMA = database.Schema(
    application=0x6D75746A,  # "mutj"
    version=2,
    objects=(
        """CREATE TABLE run (
            id INTEGER PRIMARY KEY AUTOINCREMENT, started_s REAL NOT NULL, ended_s REAL,
            ending TEXT, command TEXT NOT NULL, version TEXT NOT NULL, model TEXT NOT NULL,
            model_digest TEXT NOT NULL, undoes INTEGER
        )""",
        """CREATE TABLE entry (
            id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, path BLOB NOT NULL,
            time_s REAL NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL, payload BLOB,
            fields TEXT NOT NULL, others TEXT, undoes INTEGER, state TEXT NOT NULL,
            stands INTEGER NOT NULL, real BLOB, also INTEGER
        )""",
        # Holds all that counting and choosing look at, so that they need not read the snapshots.
        _RUN_INDEX,
        "CREATE INDEX entry_of_path ON entry (path)",
        "CREATE INDEX entry_intended ON entry (state) WHERE state = 'intended'",
        _REAL_INDEX,
    ),
    upgrades={
        1: (
            *(f"ALTER TABLE entry ADD {column}" for column in ("real BLOB", "also INTEGER")),
            "DROP INDEX entry_of_run",
            _RUN_INDEX,
            _REAL_INDEX,
        )
    },
    n_objects={1: 5},
)

Others = Mapping[str, tuple[str, ...]]
"""Field → the values in it that are not musictag's, for the fields that musictag wrote."""

UNSURE_S = 3600
"""Longest time between intending and replacing, in seconds, with room to spare."""


@dataclass(frozen=True)
class Run:
    """A command that wrote files."""

    id: int
    started_s: float
    """Seconds since the epoch, like all times here."""
    ended_s: float | None
    ending: str
    """complete, interrupted or failed; empty while it is at work and after a kill."""
    command: tuple[str, ...]
    """The command line, without the program."""
    version: str
    """Version of musictag."""
    model: str
    model_digest: str
    undoes: int | None
    """Number of the run that this one took back."""
    n_files: int
    n_standing: int
    """Number of files whose change has not been undone."""


@dataclass(frozen=True)
class Entry:
    """One file's change. `before` and `after` are opaque to the journal."""

    id: int
    run: int
    path: Path
    """Absolute path, as the file was named."""
    real: Path | None
    """Its real path when it was written, behind all links; None if an older musictag wrote it."""
    time_s: float
    before: str
    after: str
    payload: bytes | None
    """Digest of the file's sound, which is the same before and after."""
    stands: bool
    """Whether it has not been undone."""
    undoes: int | None
    """The entry that this one took back."""


class Standing(NamedTuple):
    """What choosing looks at of an entry that has not been undone."""

    entry: int
    path: Path
    real: Path | None
    payload: bytes | None


def exists(path: Path) -> bool:
    """Whether there is a journal; JournalError if its folder may not be looked into."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unusable(path, error) from error
    return True


class Journal:
    """A SQLite file. Several processes may use it at once, each in one thread.

    Raises JournalError, with the reason, if the file cannot be used, and UsageError if a newer
    musictag made it. With `read_only` the file must exist; see `exists`.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        with self._explained():
            if not read_only:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._database = database.connect(path, SCHEMA, synchronous="FULL")
            if read_only:
                self._database.execute("PRAGMA query_only = ON")

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._database.close()

    # -- writing

    def run(
        self,
        command: Sequence[str],
        *,
        model: str = "",
        model_digest: str = "",
        undoes: int | None = None,
    ) -> Writing:
        """Begin a run. It appears in the journal with its first entry."""
        values = (json.dumps(command), __version__, model, model_digest, undoes)
        return Writing(self, (time.time(), *values))

    def settle(self, entry: int, *, done: bool) -> None:
        """Note what became of an entry that was intended."""
        # The kernel has it when this returns, the disk later: after a power cut it is an intention
        # again, and the file tells.
        with self._writing("NORMAL") as execute:
            state = "done" if done else "not done"
            execute("UPDATE entry SET state = ? WHERE id = ?", (state, entry))
            if done:
                self._mark(execute, entry, stands=True)

    def mark_undone(self, entry: int) -> None:
        """Note that the file is as it was before, whoever has done it."""
        with self._writing("FULL") as execute:
            self._mark(execute, entry, stands=False)

    @staticmethod
    def _mark(execute: _Execute, entry: int | None, *, stands: bool) -> None:
        """Mark an entry; what it undid is marked the opposite way, and so on."""
        while entry is not None:
            execute("UPDATE entry SET stands = ? WHERE id = ?", (stands, entry))
            row = execute("SELECT undoes FROM entry WHERE id = ?", (entry,)).fetchone()
            entry, stands = row[0] if row else None, not stands

    def prune(self, before_s: float) -> tuple[int, int]:
        """Forget runs that began earlier; returns the number of runs and of files in them."""
        with self._writing("FULL") as execute:
            old = "(SELECT id FROM run WHERE started_s < ?)"
            n_files = execute(f"DELETE FROM entry WHERE run IN {old}", (before_s,)).rowcount
            n_runs = execute("DELETE FROM run WHERE started_s < ?", (before_s,)).rowcount
        with self._explained():
            self._database.execute("VACUUM")
        return n_runs, n_files

    # -- reading

    def runs(self, *, limit: int | None = None, run: int | None = None) -> Iterator[Run]:
        """All runs, the newest first, or this one alone."""
        statement = f"""
            SELECT {_RUN}, count(e.id), coalesce(sum(e.stands), 0)
            FROM run LEFT JOIN entry e ON e.run = run.id AND e.state = 'done' AND e.also IS NULL
            WHERE ?1 IS NULL OR run.id = ?1 GROUP BY run.id ORDER BY run.id DESC LIMIT ?2"""
        for row in self._rows(statement, (run, -1 if limit is None else limit)):
            id_, started_s, ended_s, ending, command, *rest = row
            words = tuple(self._parsed(command))
            yield Run(id_, started_s, ended_s, ending or "", words, *rest)

    def is_at_work(self, run: Run) -> bool:
        """Whether the process of a run that has not ended is still there."""
        return not run.ending and at_work.is_at_work(_lock_file(self.path), run.id)

    def entries(self, run: int, *, stands: bool | None = None) -> Iterator[Entry]:
        """What a run wrote, in order; `stands` selects what has not been undone, or what has."""
        rows = self._rows(
            "SELECT id FROM entry WHERE run = ?1 AND state = 'done' AND also IS NULL "
            "AND (?2 IS NULL OR stands = ?2) ORDER BY id",
            (run, stands),
        )
        for (id_,) in rows:
            yield self.entry(id_)

    def standing(self, run: int) -> list[Standing]:
        """Entries of a run that have not been undone, the last first."""
        rows = self._rows(
            "SELECT id, path, real, payload FROM entry WHERE run = ? AND state = 'done' AND stands "
            "ORDER BY id DESC",
            (run,),
        )
        return [Standing(id_, _path(name), _real(real), sound) for id_, name, real, sound in rows]

    def of_sound(self, path: Path, payload: bytes) -> Entry | None:
        """The first change ever made to a file of this name with this sound."""
        rows = self._rows(
            f"SELECT {_ENTRY} FROM entry WHERE {_NAMED} AND payload = ?3 AND state = 'done' "
            "ORDER BY id LIMIT 1",
            (*_names(path), payload),
        )
        return _entry(rows[0]) if rows else None

    def fields(self, run: int) -> set[str]:
        """The fields that a run changed in any file."""
        rows = self._rows("SELECT DISTINCT fields FROM entry WHERE run = ?", (run,))
        return {field for (fields,) in rows for field in fields.split()}

    def entry(self, entry: int) -> Entry:
        rows = self._rows(f"SELECT {_ENTRY} FROM entry WHERE id = ?", (entry,))
        if not rows:
            raise JournalError(f"the journal {self.path} was pruned meanwhile: run again")
        return _entry(rows[0])

    def later(self, entry: Entry) -> list[Entry]:
        """Later entries of the same file that have not been undone, the last first."""
        rows = self._rows(
            f"SELECT {_ENTRY} FROM entry WHERE {_NAMED} AND id > ?3 AND state = 'done' AND stands "
            "ORDER BY id DESC",
            (*_names(entry.path), entry.id),
        )
        return [_entry(row) for row in rows]

    def intended(self) -> list[Entry]:
        """Entries that are not settled: their run was killed there, or is just at them."""
        rows = self._rows(f"SELECT {_ENTRY} FROM entry WHERE state = 'intended' ORDER BY id", ())
        return [_entry(row) for row in rows]

    def last_written(self, path: Path) -> tuple[Entry, Others] | None:
        """The last change that a scan made to this file, if it has not been undone."""
        for row in self._rows(
            f"SELECT {_ENTRY}, others FROM entry WHERE {_NAMED} AND state = 'done' AND stands "
            "AND others IS NOT NULL ORDER BY id DESC LIMIT 1",
            _names(path),
        ):
            others = self._parsed(row[-1])
            return _entry(row[:-1]), {field: tuple(values) for field, values in others.items()}
        return None

    def was_undone(self, path: Path, payload: bytes) -> bool:
        """Whether the last change that a scan made to this file, with this sound, was undone."""
        rows = self._rows(
            f"SELECT stands, payload FROM entry WHERE {_NAMED} AND state = 'done' "
            "AND others IS NOT NULL ORDER BY id DESC LIMIT 1",
            _names(path),
        )
        return any(not stands and sound == payload for stands, sound in rows)

    # -- the file

    def _rows(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._explained():
            return self._database.execute(statement, values).fetchall()

    def _parsed(self, text: str) -> Any:
        try:
            return json.loads(text)
        except (TypeError, ValueError) as error:
            raise JournalError(f"the journal {self.path} is damaged: {error}") from error

    @contextlib.contextmanager
    def _writing(self, synchronous: str) -> Iterator[_Execute]:
        with self._explained():
            self._database.execute(f"PRAGMA synchronous = {synchronous}")
            with database.transaction(self._database, "IMMEDIATE"):
                yield self._database.execute

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except database.Foreign as error:
            if error.newer:
                raise UsageError(
                    f"{self.path}: this journal was made by a newer musictag, use that one"
                ) from error
            raise JournalError(f"{self.path} is not a journal of musictag") from error
        except sqlite3.DatabaseError as error:
            if database.is_damage(error):
                raise JournalError(
                    f"the journal {self.path} is damaged: {error} (without it nothing can be "
                    "undone; move it away, and a new one is begun)"
                ) from error
            if not isinstance(error, sqlite3.OperationalError):
                raise
            raise JournalError(f"the journal {self.path} cannot be used: {error}") from error
        except OSError as error:
            raise _unusable(self.path, error) from error


class Writing:
    """A run at work. Leaving the `with` block says how it ended."""

    def __init__(self, journal: Journal, values: tuple[object, ...]) -> None:
        self.journal = journal
        self._values = values
        self._id: int | None = None
        self._lock = at_work.Lock(_lock_file(journal.path))
        self.interrupted = False
        """Whether somebody stopped it; it still ended in good order."""

    def intend(
        self,
        path: Path,
        *,
        before: str,
        after: str,
        payload: bytes | None = None,
        fields: Sequence[str] = (),
        others: Others | None = None,
        undoes: int | None = None,
        also: int | None = None,
    ) -> int:
        """Note that a file is about to be replaced; it is on the disk when this returns.

        `fields` are those that change. `others` is None for an undo: nothing of what it brings back
        is musictag's. `undoes` is the entry that is taken back.
        One replacement that takes several back has an entry for each; `also` is the first of them.
        """
        words = None if others is None else json.dumps(others)
        name, real = _names(path)
        with self.journal._writing("FULL") as execute:
            run = self._id
            known = "SELECT 1 FROM run WHERE id = ?"  # or it was pruned while it was at work
            if run is None or execute(known, (run,)).fetchone() is None:
                run = execute(
                    "INSERT INTO run (started_s, command, version, model, model_digest, undoes) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    self._values,
                ).lastrowid
            entry = execute(
                "INSERT INTO entry (run, path, time_s, before, after, payload, fields, others, "
                "undoes, real, also, state, stands) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                "'intended', 1)",
                (
                    *(run, name, time.time(), before, after, payload),
                    *(" ".join(fields), words, undoes, real, also),
                ),
            ).lastrowid
        assert entry is not None
        assert run is not None
        if run != self._id:
            self._lock.take(run)
        self._id = run
        return entry

    def done(self, entry: int) -> None:
        """Note that the file is replaced. If that fails, the next run will find out."""
        self._note(lambda: self.journal.settle(entry, done=True))

    def not_done(self, entry: int) -> None:
        """Note that the file is as it was."""
        self._note(lambda: self.journal.settle(entry, done=False))

    def __enter__(self) -> Writing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if self._id is None:
            return
        stopped = kind is not None and issubclass(kind, (KeyboardInterrupt, GeneratorExit))
        stopped = stopped or self.interrupted
        ending = "interrupted" if stopped else "complete" if kind is None else "failed"
        self._note(lambda: self._end(ending))
        self._lock.release()

    def _end(self, ending: str) -> None:
        with self.journal._writing("FULL") as execute:
            execute(
                "UPDATE run SET ended_s = ?, ending = ? WHERE id = ?",
                (time.time(), ending, self._id),
            )

    @staticmethod
    def _note(note: Callable[[], None]) -> None:
        try:
            note()
        except JournalError as error:
            log.warning("%s", error)


def default_path() -> Path:
    import platformdirs  # noqa: PLC0415  # not needed for --help

    return platformdirs.user_data_path("musictag", appauthor=False) / "journal.sqlite"


def _lock_file(journal: Path) -> Path:
    return journal.with_suffix(".lock")


def _unusable(path: Path, error: OSError) -> JournalError:
    return JournalError(f"the journal {path} cannot be used: {system_trouble(error).reason}")


_RUN = "run.id, started_s, ended_s, ending, command, version, model, model_digest, run.undoes"
_ENTRY = "id, run, path, time_s, before, after, payload, stands, real, undoes"
_NAMED = "(path = ?1 OR real = ?2)"
"""Selects what was written into a file, by whichever of its names; see `_names`."""


def _names(path: Path) -> tuple[bytes, bytes]:
    """A file's name as it was given, and behind all links."""
    return database.named(path), os.fsencode(os.path.realpath(path))


def _path(name: bytes) -> Path:
    return Path(os.fsdecode(name))


def _real(name: bytes | None) -> Path | None:
    return None if name is None else _path(name)


def _entry(row: tuple[Any, ...]) -> Entry:
    id_, run, path, time_s, before, after, payload, stands, real, undoes = row
    whole = (_path(path), _real(real), time_s, before, after, payload, bool(stands), undoes)
    return Entry(id_, run, *whole)


_Execute = Callable[..., sqlite3.Cursor]
