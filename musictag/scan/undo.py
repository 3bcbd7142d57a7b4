"""Taking a run back: each file gets the fields that it had before, and nothing else changes.

An undo uses the writer and the journal of a scan, so it is as safe, and can itself be undone. One
file is the unit of error here too.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Iterable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from musictag import metadata
from musictag.audio.decoder import Decoder
from musictag.config import Settings
from musictag.errors import FileError, JournalError, UsageError
from musictag.metadata import Snapshot
from musictag.outcome import Change, Outcome, Problem, Status
from musictag.scan import writing
from musictag.scan.ports import AnyDecoder
from musictag.stores.cache import Cache
from musictag.stores.journal import Entry, Journal, Run, Writing


@dataclass(frozen=True)
class Numbers:
    """Runs by their numbers, both included."""

    first: int
    last: int


@dataclass(frozen=True)
class Since:
    """Runs that began at this time or later, in seconds since the epoch."""

    time_s: float


def choose(journal: Journal, wanted: Numbers | Since | None, paths: Sequence[Path]) -> list[Run]:
    """The runs to undo, the newest first; UsageError for numbers that no run has.

    Without `wanted` it is the latest scan of which something still stands, below `paths` if there
    are any. An undo is only undone if it is asked for: saying undo twice goes back two steps. Of
    several runs an undo is left out if the run that it undid is among them.
    """
    if wanted is None:
        latest = (run for run in journal.runs() if run.undoes is None and run.n_standing)
        return next(([run] for run in latest if not paths or standing(journal, run, paths)), [])
    if isinstance(wanted, Since):
        runs = [run for run in journal.runs() if run.started_s >= wanted.time_s]
    else:
        runs = [run for run in journal.runs() if wanted.first <= run.id <= wanted.last]
        if not runs:
            numbers = f"{wanted.first}"
            if wanted.last != wanted.first:
                numbers += f" to {wanted.last}"
            raise UsageError(f"there is no run {numbers} (musictag history lists them)")
    if len(runs) == 1:
        return runs
    among = {run.id for run in runs}
    return [run for run in runs if run.n_standing and run.undoes not in among]


def standing(journal: Journal, run: Run, paths: Sequence[Path]) -> list[int]:
    """Entries of a run that have not been undone, below `paths` if there are any.

    They come in the order of the library, that is, of the scan. What a run wrote twice into one
    file is undone backwards.
    """
    entries = journal.standing(run.id)
    first = {path: entry for entry, path in entries}  # the last first: the earliest one stays
    entries.sort(key=lambda found: (first[found[1]], -found[0]))
    if not paths:
        return [entry for entry, _ in entries]
    # Compare names and what they resolve to: a folder may have been reached by a link.
    named = {_parts(os.path.abspath(path)) for path in paths}  # noqa: PTH100  # keeps links
    real = {_parts(os.path.realpath(path)) for path in paths}
    return [
        entry
        for entry, path in entries
        if _below(os.fspath(path), named) or _below(os.path.realpath(path), real)
    ]


def _parts(path: str) -> tuple[str, ...]:
    return Path(path).parts


def _below(path: str, roots: Iterable[tuple[str, ...]]) -> bool:
    parts = _parts(path)
    return any(parts[: len(root)] == root for root in roots)


def changes(entry: Entry) -> dict[str, Change]:
    """The change that an entry made to each field."""
    return _between(writing.snapshot(entry.before), writing.snapshot(entry.after))


def _between(before: Snapshot, after: Snapshot) -> dict[str, Change]:
    old, new = before.values(), after.values()
    both = [field for field in old if field in new]
    return {field: Change(old[field], new[field]) for field in both if old[field] != new[field]}


def undo(  # noqa: PLR0913  # what a run has, by name
    journal: Journal,
    run: Run,
    entries: Sequence[int],
    settings: Settings,
    *,
    cache: Cache,
    write: Sequence[str] | None,
    force: bool = False,
    planned: MutableMapping[Path, Snapshot] | None = None,
    stopped: Callable[[], bool] = lambda: False,
    decoder: Callable[[], AnyDecoder] | None = None,
) -> Generator[Outcome, None, None]:
    """Take these entries of a run back, in this order; yields one Outcome each.

    A file whose fields are no longer as the run left them, or that is other music by now, is
    refused unless `force` is set. `write` is the command line; without it nothing is written, and
    `planned` collects what each file would hold, for undoing earlier runs. No further file is begun
    once `stopped` says so. `decoder` opens the files.
    """
    model = run.model, run.model_digest
    with (
        (decoder or Decoder)() as opener,
        writing.begun(journal, write, model, undoes=run.id) as now,
    ):
        undoing = _Undoing(journal, settings, cache, opener, now, force=force, planned=planned)
        for entry in entries:
            if stopped():
                break
            yield undoing.outcome(journal.entry(entry))
        if now is not None:
            now.interrupted = stopped()


class _Undoing:
    """Undoes one file after the other."""

    def __init__(
        self,
        journal: Journal,
        settings: Settings,
        cache: Cache,
        decoder: AnyDecoder,
        run: Writing | None,
        *,
        force: bool,
        planned: MutableMapping[Path, Snapshot] | None,
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._cache = cache
        self._decoder = decoder
        self._run = run
        self._force = force
        self._planned = {} if planned is None else planned

    def outcome(self, entry: Entry) -> Outcome:
        outcome = Outcome(entry.path, "failed")
        try:
            before = writing.snapshot(entry.before)
            now = self._planned.get(entry.path) or metadata.snapshot(entry.path, before.fields)
            if not self._force:
                self._check_music(entry)
            outcome = replace(outcome, fields=_between(now, before))
            if now != before and now != writing.snapshot(entry.after) and not self._force:
                raise self._refusal(entry, now)
            status = self._restored(entry, now, before)
            if status == "planned":
                self._planned[entry.path] = before
            return replace(outcome, status=status)
        except FileError as error:
            return replace(outcome, error=Problem.of(error))
        except JournalError as error:
            return replace(outcome, error=Problem(error.code, str(error)))

    def _check_music(self, entry: Entry) -> None:
        """Refuse a file that holds other music by now: files get renamed."""
        if entry.payload is None:
            return
        content: bytes | None = None
        with contextlib.suppress(OSError):
            content = self._cache.content(entry.path, entry.path.stat())
        if (content or self._decoder.payload_digest(entry.path)) != entry.payload:
            reason = f"it is not the music into which run {entry.run} wrote"
            cure = "--force gives it those fields all the same"
            raise FileError(entry.path, "changed", reason, cure=cure)

    def _refusal(self, entry: Entry, now: Snapshot) -> FileError:
        """Explain that the fields were set since, perhaps by ourselves."""
        for later in self._journal.later(entry):
            if writing.snapshot(later.after) == now:
                reason = f"run {later.run} wrote it since"
                return FileError(entry.path, "changed", reason, cure="undo that first")
        reason = f"its fields have changed since run {entry.run} wrote them"
        cure = "--force puts back the older ones all the same"
        return FileError(entry.path, "changed", reason, cure=cure)

    def _restored(self, entry: Entry, now: Snapshot, before: Snapshot) -> Status:
        if now == before:  # somebody has restored it already
            if self._run is not None:
                self._journal.mark_undone(entry.id)
            return "unchanged"
        if self._run is None:
            return "planned"
        with writing.written_down(self._run, entry.path, undoes=entry.id) as about_to:
            written = metadata.restore(
                entry.path,
                before,
                expected=None if self._force else now,
                preserve_mtime=self._settings.preserve_mtime,
                payload_digest=self._decoder.payload_digest,
                hardlinks=self._settings.hardlinks,
                about_to=about_to,
            )
        if written is not None and written.payload is not None:
            with contextlib.suppress(OSError):  # so that no scan takes it for a new one
                self._cache.remember_content(entry.path, entry.path.stat(), written.payload)
        return "restored"
