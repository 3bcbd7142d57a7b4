"""Joins writer and journal: a change is in the journal before it is in the file."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path

from musictag import metadata
from musictag.errors import FileError, JournalError, MetadataError, UsageError
from musictag.metadata import Snapshot, Values, Written
from musictag.stores.journal import UNSURE_S, Journal, Others, Writing, exists

log = logging.getLogger(__name__)


@contextmanager
def opened(path: Path, *, write: bool) -> Iterator[Journal | None]:
    """The journal, with every file settled at which a run was killed.

    Without `write` it is only read, and None if there is none, or none that can be read.
    """
    journal: Journal | None = None
    try:
        if write or exists(path):
            journal = Journal(path, read_only=not write)
    except (JournalError, UsageError) as error:
        if write:
            raise
        log.warning("%s", error)
    with journal or nullcontext():
        if write and journal is not None:
            settle(journal)
        yield journal


def begun(
    journal: Journal | None,
    command: Sequence[str] | None,
    model: tuple[str, str],
    *,
    undoes: int | None = None,
) -> AbstractContextManager[Writing | None]:
    """A run of a model (name and digest) to write in; None if there is no command line for it."""
    if command is None:
        return nullcontext()
    if journal is None:
        raise ValueError("nothing is written without a journal")
    return journal.run(command, model=model[0], model_digest=model[1], undoes=undoes)


@contextmanager
def written_down(
    run: Writing, path: Path, *, others: Others | None = None, undoes: Sequence[int] = ()
) -> Iterator[Callable[[Written], None]]:
    """Surrounds one write, which takes the entries `undoes` back, the last of them first.

    Gives the function that the writer calls before it replaces the file.

    If the journal cannot be written, the write is refused: FileError `journal`, and the file is as
    it was. Anything else that stops the program in between leaves an entry that is only intended;
    `settle` finds out what became of it.
    """
    entries: list[int] = []

    def about_to(written: Written) -> None:
        before, after = written.before.values(), written.after.values()
        try:
            for undone in undoes or (None,):
                entry = run.intend(
                    path,
                    before=written.before.to_json(),
                    after=written.after.to_json(),
                    payload=written.payload,
                    fields=[field for field in before if before[field] != after[field]],
                    others=others,
                    undoes=undone,
                    also=entries[0] if entries else None,
                )
                entries.append(entry)
        except JournalError as error:
            for entry in entries:
                run.not_done(entry)
            reason = f"not written, since it could not be undone: {error}"
            raise FileError(path, error.code, reason) from error

    try:
        yield about_to
    except MetadataError:
        for entry in entries:
            run.not_done(entry)
        raise
    for entry in entries:  # in this order: `settle` asks what came later
        run.done(entry)


def others(
    journal: Journal,
    path: Path,
    content: bytes,
    values: Values,
    among: Collection[str] | None = None,
) -> Others:
    """Field → the values in it that are not ours, for the fields that stand as we wrote them.

    `content` is the digest of the file's sound, `values` what its fields hold now. If the name
    belongs to other music by now, or somebody has set a field since, nothing there is ours.
    `among` names the fields of interest; None: all.
    """
    try:
        last = journal.last_written(path)
        if last is None or last[0].payload != content:
            return {}
        wanted = last[1].keys() if among is None else last[1].keys() & set(among)
        if not wanted:
            return {}
        written = _values(last[0].after)
    except JournalError as error:
        raise FileError(path, error.code, str(error)) from error
    return {
        field: theirs
        for field, theirs in last[1].items()
        if field in wanted and written.get(field) == values.get(field, ())
    }


@lru_cache(maxsize=256)
def _values(text: str) -> Values:
    """The values of a snapshot, cached because many files have the same."""
    return snapshot(text).values()


def settle(journal: Journal) -> None:
    """Find out what became of the files at which a run was killed.

    The file itself tells, or what a later run found in it. A file that cannot be read now stays
    open; so does, for a while, one that is still as it was, because another process may be just
    about to replace it.
    """
    for entry in journal.intended():
        try:
            since = journal.later(entry)
            metadata.clear_leftovers(entry.path)  # a file half written in place is mended first
            before = snapshot(entry.before)
            now = (
                snapshot(since[-1].before)
                if since
                else metadata.snapshot(entry.path, before.fields)
            )
        except FileError as error:
            log.info("%s: whether run %d wrote it is not known yet", error, entry.run)
            continue
        # If it is neither as before nor as after, somebody changed it since: undo will ask first.
        done = now != before
        if done or since or time.time() - entry.time_s > UNSURE_S:
            journal.settle(entry.id, done=done)
            what = "was written" if done else "was not written"
            log.info("%s: %s when run %d was stopped", os.fspath(entry.path), what, entry.run)


def snapshot(text: str) -> Snapshot:
    """Parse what the journal keeps of a file's fields; JournalError if it is damaged."""
    try:
        return Snapshot.from_json(text)
    except ValueError as error:
        raise JournalError(f"the journal is damaged: {error}") from error
