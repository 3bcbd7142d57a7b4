"""The journal: written ahead, never thrown away, shared between processes."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waits import start_together

from musictag import __version__
from musictag.errors import JournalError, UsageError
from musictag.stores import journal
from musictag.stores.journal import Journal, Writing

SONG = Path("/music/a.mp3")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "musictag" / "journal.sqlite"


def intend(
    run: Writing, song: Path = SONG, before: str = "old", after: str = "new", **more: Any
) -> int:
    more.setdefault("others", {"GENRE": ()})
    return run.intend(song, before=before, after=after, fields=["GENRE"], **more)


def wrote(book: Journal, *songs: Path, **more: Any) -> list[int]:
    """A run that wrote these files."""
    with book.run(["scan"]) as run:
        entries = [intend(run, song, **more) for song in songs]
        for entry in entries:
            run.done(entry)
    return entries


def undid(book: Journal, entry: int) -> int:
    with book.run(["undo"], undoes=book.entry(entry).run) as run:
        undo = intend(run, others=None, undoes=entry)
        run.done(undo)
    return undo


def as_a_kill_leaves_it(path: Path, to: Path) -> Path:
    """A copy of the files in the middle of a run."""
    shutil.copytree(path.parent, to)
    return to / path.name


# ---------------------------------------------------------------- runs and entries


def test_a_run_and_what_it_wrote_are_there_for_the_next(path: Path) -> None:
    with Journal(path) as book, book.run(["scan", "--write"], model="m", model_digest="d") as run:
        entry = intend(run, payload=b"sound")
        run.done(entry)
    with Journal(path) as book:
        (told,) = book.runs()
        (written,) = book.entries(told.id)
    assert (told.command, told.version) == (("scan", "--write"), __version__)
    assert (told.model, told.model_digest, told.undoes) == ("m", "d", None)
    assert (told.ending, told.n_files, told.n_standing) == ("complete", 1, 1)
    assert told.ended_s is not None
    assert told.started_s <= written.time_s <= told.ended_s
    assert (written.id, written.path, written.before, written.after) == (entry, SONG, "old", "new")
    assert (written.payload, written.stands) == (b"sound", True)


def test_what_is_intended_is_there_after_a_kill_and_open(path: Path, tmp_path: Path) -> None:
    with Journal(path) as book, book.run(["scan"]) as run:
        entry = intend(run)
        left = as_a_kill_leaves_it(path, tmp_path / "left")
        run.done(entry)
        later = as_a_kill_leaves_it(path, tmp_path / "later")
    with Journal(left) as book:
        assert [open_.id for open_ in book.intended()] == [entry]
        assert [(run.ending, run.n_files) for run in book.runs()] == [("", 0)]
        book.settle(entry, done=True)
        assert book.intended() == []
        assert [run.n_files for run in book.runs()] == [1]
    with Journal(later) as book:
        assert book.intended() == []
        assert [(run.ending, run.n_files) for run in book.runs()] == [("", 1)]


def test_what_was_not_done_counts_nowhere(path: Path) -> None:
    with Journal(path) as book:
        with book.run(["scan"]) as run:
            run.not_done(intend(run))
        assert [(told.n_files, told.n_standing) for told in book.runs()] == [(0, 0)]
        assert list(book.entries(1)) == book.standing(1) == book.intended() == []
        assert book.last_written(SONG) is None


def test_a_run_that_writes_nothing_is_none(path: Path) -> None:
    with Journal(path) as book:
        with book.run(["scan"]):
            pass
        assert list(book.runs()) == []


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (None, "complete"),
        (KeyboardInterrupt, "interrupted"),
        (GeneratorExit, "interrupted"),
        (RuntimeError, "failed"),
    ],
)
def test_a_run_says_how_it_ended(
    path: Path, error: type[BaseException] | None, ending: str
) -> None:
    def work() -> None:
        with book.run(["scan"]) as run:
            intend(run)
            if error is not None:
                raise error

    with Journal(path) as book:
        if error is None:
            work()
        else:
            with pytest.raises(error):
                work()
        assert [run.ending for run in book.runs()] == [ending]


def test_runs_come_with_the_newest_first(path: Path) -> None:
    with Journal(path) as book:
        for _ in range(3):
            wrote(book, SONG)
        assert [run.id for run in book.runs()] == [3, 2, 1]
        assert [run.id for run in book.runs(limit=2)] == [3, 2]
        assert [run.id for run in book.runs(run=2)] == [2]
        assert list(book.runs(run=4)) == []


def test_names_that_are_not_text_and_relative_ones_are_kept(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    odd = Path(os.fsdecode(b"/music/caf\xe9\n.mp3"))
    with Journal(path) as book, book.run(["scan", os.fsdecode(b"\xe9")]) as run:
        for song in (odd, Path("b.mp3")):
            run.done(intend(run, song))
        assert [entry.path for entry in book.entries(1)] == [odd, tmp_path / "b.mp3"]
        assert [told.command for told in book.runs()] == [("scan", os.fsdecode(b"\xe9"))]


# ---------------------------------------------------------------- undone


def test_an_undo_of_an_undo_stands_again(path: Path) -> None:
    with Journal(path) as book:
        (entry,) = wrote(book, SONG)
        standing = [[told.n_standing for told in book.runs()]]
        for _ in range(3):
            entry = undid(book, entry)
            standing.append([told.n_standing for told in book.runs()])
    assert standing == [[1], [1, 0], [1, 0, 1], [1, 0, 1, 0]]


def test_what_others_put_back_is_undone_too(path: Path) -> None:
    with Journal(path) as book:
        first, second = wrote(book, SONG, Path("/music/b.mp3"))
        assert [found.entry for found in book.standing(1)] == [second, first]
        book.mark_undone(second)
        assert [found.entry for found in book.standing(1)] == [first]
        assert [entry.id for entry in book.entries(1, stands=False)] == [second]


def test_the_last_written_is_of_a_scan_and_not_undone(path: Path) -> None:
    with Journal(path) as book:
        assert book.last_written(SONG) is None
        wrote(book, SONG, after="one", others={"GENRE": ("Jazz",)})
        (entry,) = wrote(book, SONG, Path("/music/b.mp3"), after="two")[:1]
        last = book.last_written(SONG)
        assert last is not None
        assert (last[0].after, last[1]) == ("two", {"GENRE": ()})
        undid(book, entry)
        last = book.last_written(SONG)
        assert last is not None
        assert (last[0].after, last[1]) == ("one", {"GENRE": ("Jazz",)})


def test_what_came_later_into_the_same_file_is_known(path: Path) -> None:
    with Journal(path) as book:
        entries = [wrote(book, SONG)[0] for _ in range(3)]
        wrote(book, Path("/music/b.mp3"))
        later = book.later(book.entry(entries[0]))
        assert [entry.id for entry in later] == entries[:0:-1]


def test_a_run_that_is_forgotten_while_it_is_at_work_goes_on(path: Path) -> None:
    with Journal(path) as book, book.run(["scan"]) as run:
        first = intend(run, SONG)
        run.done(first)
        with Journal(path) as other:
            assert other.prune(time.time() + 1) == (1, 1)
        with pytest.raises(JournalError, match="pruned"):
            book.entry(first)
        run.done(intend(run, SONG))
        assert [(r.id, r.n_files) for r in book.runs()] == [(2, 1)]


def test_old_runs_are_forgotten_and_numbers_not_given_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(path) as book:
        for now_s in (1000.0, 2000.0, 3000.0):
            with monkeypatch.context() as patch:
                patch.setattr(journal.time, "time", lambda now_s=now_s: now_s)
                wrote(book, SONG, Path("/music/b.mp3"))
        assert book.prune(2500) == (2, 4)
        assert [run.id for run in book.runs()] == [3]
        assert book.prune(9999) == (1, 2)
        assert book.last_written(SONG) is None
        wrote(book, SONG)
        assert [run.id for run in book.runs()] == [4]


# ---------------------------------------------------------------- a file that cannot be used


def garbage(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database at all, " * 100)


def damaged(path: Path) -> None:
    with Journal(path) as book:
        wrote(book, *(Path(f"/music/{number}.mp3") for number in range(100)))
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xaa" * (len(data) - 4096))


def other_program(path: Path) -> None:
    path.parent.mkdir()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE run (something TEXT)")
    database.close()


def newer(path: Path) -> None:
    with Journal(path) as book:
        wrote(book, SONG)
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {journal.SCHEMA.version + 1}")
    database.close()


@pytest.mark.parametrize(
    ("spoil", "error", "said"),
    [
        (garbage, JournalError, "is damaged: file is not a database"),
        (damaged, JournalError, "is damaged"),
        (other_program, JournalError, "is not a journal of musictag"),
        (newer, UsageError, "made by a newer musictag"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_and_stays(
    path: Path, spoil: Callable[[Path], None], error: type[Exception], said: str
) -> None:
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(error, match=said) as raised, Journal(path) as book:
        list(book.runs())
    assert str(path) in str(raised.value)
    assert path.read_bytes() == before


AS_VERSION_1 = """
    DROP INDEX entry_of_real; DROP INDEX entry_of_run;
    ALTER TABLE entry DROP COLUMN real; ALTER TABLE entry DROP COLUMN also;
    CREATE INDEX entry_of_run ON entry (run, state, stands, fields);
    PRAGMA user_version = 1;
"""
"""What turns a journal of now into one of the first version, as far as its contents go."""


@pytest.mark.skipif(sqlite3.sqlite_version_info < (3, 35), reason="it cannot drop columns")
@pytest.mark.parametrize("read_only", [False, True])
def test_a_journal_of_an_older_version_is_read_and_goes_on(path: Path, read_only: bool) -> None:
    with Journal(path) as book:
        wrote(book, SONG)
    old = sqlite3.connect(path)
    old.executescript(AS_VERSION_1)
    old.close()
    with Journal(path, read_only=read_only) as book:
        (entry,) = book.entries(1)
        assert (entry.path, entry.real, entry.before, entry.stands) == (SONG, None, "old", True)
        assert [run.n_files for run in book.runs()] == [1]
        assert book.last_written(SONG) is not None
    with Journal(path) as book:
        undid(book, 1)
        assert [(run.n_files, run.n_standing) for run in book.runs()] == [(1, 1), (1, 0)]


def test_the_real_path_is_kept_beside_the_name(path: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    name, real = (tmp_path / folder / "a.mp3" for folder in ("link", "real"))
    with Journal(path) as book:
        wrote(book, name)
        (entry,) = book.entries(1)
        assert (entry.path, entry.real) == (name, Path(os.path.realpath(real)))
        found = book.last_written(real)
        assert found is not None
        assert found[0].id == entry.id


@pytest.mark.parametrize(
    ("column", "value"), [("others", "{"), ("others", None), ("others", b"\xff")]
)
def test_a_damaged_row_is_an_error(path: Path, column: str, value: object) -> None:
    with Journal(path) as book:
        wrote(book, SONG)
        book._database.execute(f"UPDATE entry SET {column} = ?", (value,))
        if value is None:
            assert book.last_written(SONG) is None  # as an undo has it
        else:
            with pytest.raises(JournalError, match="damaged"):
                book.last_written(SONG)


def test_a_folder_that_cannot_be_made_is_named(path: Path) -> None:
    path.parent.write_text("a file where the folder should be")
    with pytest.raises(JournalError, match=r"journal\.sqlite cannot be used: file exists"):
        Journal(path)


def test_a_full_disk_stops_the_write_and_leaves_what_was_there(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Journal(path) as book:
        with book.run(["scan"]) as run:
            first = intend(run)
            n_pages = book._database.execute("PRAGMA page_count").fetchone()[0]
            book._database.execute(f"PRAGMA max_page_count = {n_pages}")
            with pytest.raises(JournalError, match="cannot be used: database or disk is full"):
                intend(run, before="long" * 10_000)
            run.done(first)
            book._database.execute("PRAGMA max_page_count = 100000")
            run.done(intend(run))
        assert [told.n_files for told in book.runs()] == [2]
    assert caplog.text == ""


def test_a_file_that_is_done_and_cannot_be_marked_is_a_warning(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Journal(path) as book, book.run(["scan"]) as run:
        entry = intend(run)
        book._database.execute("PRAGMA query_only = ON")
        run.done(entry)
        assert [open_.id for open_ in book.intended()] == [entry]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_who_only_reads_cannot_write(path: Path) -> None:
    Journal(path).close()
    with Journal(path, read_only=True) as book, book.run(["scan"]) as run:
        assert list(book.runs()) == []
        with pytest.raises(JournalError, match="readonly"):
            intend(run)


# ---------------------------------------------------------------- together


def write_in_a_process(path: Path, process: int) -> None:
    with Journal(path) as book:
        wrote(book, *(Path(f"/music/{process}/{number}.mp3") for number in range(20)))


def test_processes_that_start_together_share_a_new_journal(path: Path) -> None:
    start_together(write_in_a_process, path)
    with Journal(path) as book:
        assert [run.n_files for run in book.runs()] == [20, 20, 20]
        for run in book.runs():
            (folder,) = {entry.path.parent for entry in book.entries(run.id)}
            assert folder.parent == Path("/music")
