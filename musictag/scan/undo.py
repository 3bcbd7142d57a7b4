"""Taking a run back: each file gets the fields that it had before, and nothing else changes.

An undo uses the writer and the journal of a scan, so it is as safe, and can itself be undone. One
file is the unit of error here too.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from musictag import metadata
from musictag.config import Settings
from musictag.errors import FileError, JournalError, UsageError
from musictag.metadata import Snapshot
from musictag.outcome import Change, Outcome, Problem, Status
from musictag.scan import writing
from musictag.scan.moved import Sounds, folders_to_search
from musictag.scan.ports import AnyDecoder
from musictag.stores.cache import Cache
from musictag.stores.journal import Entry, Journal, Run, Standing, Writing

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Numbers:
    """Runs by their numbers, both included."""

    first: int
    last: int


@dataclass(frozen=True)
class Since:
    """Runs that began at this time or later, in seconds since the epoch."""

    time_s: float


def choose(
    journal: Journal,
    wanted: Numbers | Since | None,
    paths: Sequence[Path],
    sounds: Sounds | None = None,
) -> list[Run]:
    """The runs to undo, the newest first; UsageError for numbers that no run has.

    Without `wanted` it is the latest scan of which something still stands, below `paths` if there
    are any. An undo is only undone if it is asked for: saying undo twice goes back two steps. Of
    several runs an undo is left out if the run that it undid is among them.
    """
    if wanted is None:
        latest = (run for run in journal.runs() if run.undoes is None and run.n_standing)
        found = (
            [run] for run in latest if not paths or standing(journal, run, paths, sounds=sounds)
        )
        return next(found, [])
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


def standing(
    journal: Journal, run: Run, paths: Sequence[Path], *, sounds: Sounds | None = None
) -> list[Standing]:
    """Entries of a run that have not been undone, the last first.

    With `paths` these are only the ones below them, by the name given or the real one; and, with
    `sounds`, those whose file is gone from its place and has its sound in a file below them.
    """
    entries = journal.standing(run.id)
    if not paths:
        return entries
    # Compare names and what they resolve to: a folder may have been reached by a link.
    named = {_parts(os.path.abspath(path)) for path in paths}  # noqa: PTH100  # keeps links
    real = {_parts(os.path.realpath(path)) for path in paths}

    def is_meant(found: Standing) -> bool:
        if _below(os.fspath(found.path), named) or _below(os.path.realpath(found.path), real):
            return True
        if found.real is not None and _below(os.fspath(found.real), real):
            return True
        if sounds is None or found.payload is None or os.path.lexists(found.path):
            return False
        return bool(sounds.below(paths, found.payload, found.path.suffix))

    return [found for found in entries if is_meant(found)]


def files_of(runs: Mapping[Run, Sequence[Standing]]) -> list[list[Standing]]:
    """The entries of these runs by file, those of a file with the last first.

    Files come in the order of the library, that is, of the scan that first wrote into them. Names
    that led to the same file when it was written are one file.
    """
    groups: dict[int, list[Standing]] = {}
    by_name: dict[Path, int] = {}
    entries = sorted((found for of_run in runs.values() for found in of_run), reverse=True)
    for found in entries:
        names = found.path, found.real or Path(os.path.realpath(found.path))
        group = next((by_name[name] for name in names if name in by_name), found.entry)
        groups.setdefault(group, []).append(found)
        by_name.update(dict.fromkeys(names, group))
    return sorted(groups.values(), key=lambda group: group[-1].entry)


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
    runs: Mapping[Run, Sequence[Standing]],
    settings: Settings,
    *,
    cache: Cache,
    decoder: AnyDecoder,
    write: Sequence[str] | None,
    paths: Sequence[Path] = (),
    sounds: Sounds | None = None,
    force: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[Outcome, None, None]:
    """Take these entries of these runs, the newest first, back; yields one Outcome per file.

    A file into which several of them wrote gets at once what it had before the first. One whose
    fields are no longer as the last left them is refused unless `force` is set, and so is one that
    is other music by now. A file that is not where it was is looked for by its sound, below `paths`
    if there are any, else in the folder of the runs. `write` is the command line; without it
    nothing is written. No further file is begun once `stopped` says so. `decoder` opens the files.
    """
    newest = next(iter(runs))
    model = newest.model, newest.model_digest
    groups = files_of(runs)
    sounds = sounds or Sounds(cache, decoder.payload_digest, stopped=stopped)
    with writing.begun(journal, write, model, undoes=newest.id) as now:
        places = _Places(journal, sounds, groups, paths, force=force)
        undoing = _Undoing(journal, settings, cache, decoder, now, places, force=force)
        for entries in itertools.chain.from_iterable(map(places.in_turn, groups)):
            if stopped():
                break
            yield from undoing.outcomes(entries)
        if now is not None:
            now.interrupted = stopped()


class _Places:
    """Where files are now that were written then."""

    def __init__(
        self,
        journal: Journal,
        sounds: Sounds,
        groups: Sequence[Sequence[Standing]],
        paths: Sequence[Path],
        *,
        force: bool,
    ) -> None:
        self._journal = journal
        self._sounds = sounds
        self._force = force
        self._given = paths
        self._written = [group[0].path for group in groups]
        self._pending = {group[0].entry: group for group in groups}
        self._groups = {found.path: group for group in groups for found in group}
        self._found: dict[int, list[Path]] = {}

    def in_turn(self, group: Sequence[Standing]) -> Iterator[Sequence[Standing]]:
        """This file's entries, unless they had their turn; before them those of the name under
        which it was written later."""
        if self._pending.pop(group[0].entry, None) is None:
            return
        for path in self.candidates(group[0]):
            later = self._groups.get(path)
            if later is not None and later[0].entry > group[0].entry:
                yield from self.in_turn(later)
        yield group

    def candidates(self, of: Standing | Entry) -> list[Path]:
        """The file itself if it is still there, else all that may be it."""
        entry = of.entry if isinstance(of, Standing) else of.id
        if entry not in self._found:
            self._found[entry] = self._looked_up(self._journal.entry(entry))
        return self._found[entry]

    def _looked_up(self, entry: Entry) -> list[Path]:
        payload = entry.payload
        if payload is None or (self._force and entry.path.is_file()):
            return [entry.path]
        for path in (entry.path, entry.real):
            if path is not None and self._sounds.is_in(path, payload):
                return [path]
        folders = self._given or folders_to_search(self._written, entry.path)
        found = self._sounds.below(folders, payload, entry.path.suffix)
        return [path for path in found if self._was_moved(entry, path)]

    def _was_moved(self, entry: Entry, path: Path) -> bool:
        """Whether a file with the entry's sound can be its file, and is no other with this sound:
        not if musictag found another one under this name, with other fields."""
        assert entry.payload is not None
        first = self._journal.of_sound(path, entry.payload)
        if first is None:
            return not self._is_link_to_another(path)
        if first.run == entry.run:
            return False
        own = self._journal.of_sound(entry.path, entry.payload) or entry
        with contextlib.suppress(JournalError):  # damaged, or what it undid is forgotten
            if self._origin(first).id == self._origin(own).id:
                return True
            if first.id > entry.id:
                return writing.snapshot(first.before) == writing.snapshot(entry.after)
            return writing.snapshot(own.before) == writing.snapshot(first.after)  # and back again
        return False

    def _is_link_to_another(self, path: Path) -> bool:
        """Whether this is one more name (a hard link) of another file of these runs."""
        with contextlib.suppress(OSError):
            if path.stat().st_nlink < 2:
                return False
        for other in self._written:
            with contextlib.suppress(OSError):
                if other != path and path.samefile(other):
                    return True
        return False

    def _origin(self, first: Entry) -> Entry:
        """The first change of a file under its first name, by way of the undos that found it."""
        while first.undoes is not None and first.payload is not None:
            undone = self._journal.entry(first.undoes)
            first = self._journal.of_sound(undone.path, first.payload) or undone
        return first


@dataclass(frozen=True)
class _Chain:
    """Changes of one file, the last first, of which each began where the one before it ended."""

    entries: tuple[Entry, ...]
    before: Snapshot
    """The fields as the first change found them."""
    afters: tuple[Snapshot, ...]
    """The fields as each of the changes left them."""


def _n_alike(one: Path, other: Path) -> int:
    """Number of names at the end of two paths that are the same."""
    pairs = zip(reversed(one.parts), reversed(other.parts), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


class _Undoing:
    """Undoes one file after the other."""

    def __init__(
        self,
        journal: Journal,
        settings: Settings,
        cache: Cache,
        decoder: AnyDecoder,
        run: Writing | None,
        places: _Places,
        *,
        force: bool,
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._cache = cache
        self._decoder = decoder
        self._run = run
        self._places = places
        self._force = force
        self._planned: dict[Path, Snapshot] = {}

    def outcomes(self, group: Sequence[Standing]) -> Iterator[Outcome]:
        """One Outcome for a file; one more for each change after which somebody else made one."""
        ahead = [found.entry for found in group]
        while ahead:
            outcome = Outcome(group[0].path, "failed")
            try:
                entry = self._journal.entry(ahead[0])
                outcome = replace(outcome, path=entry.path)
                chain = self._chain([entry, *map(self._journal.entry, ahead[1:])])
                del ahead[: len(chain.entries)]
                yield self._outcome(chain, outcome)
            except JournalError as error:
                del ahead[:1]
                yield replace(outcome, error=Problem(error.code, str(error)))

    def _chain(self, entries: Sequence[Entry]) -> _Chain:
        chain = [entries[0]]
        before, afters = writing.snapshot(chain[0].before), [writing.snapshot(chain[0].after)]
        for entry in entries[1:]:
            if entry.payload != chain[0].payload:
                break
            if (entry.before, entry.after) != (chain[-1].before, chain[-1].after):
                with contextlib.suppress(JournalError):  # it is told of in its turn
                    after = writing.snapshot(entry.after)
                    if after == before:
                        before = writing.snapshot(entry.before)
                        afters.append(after)
                        chain.append(entry)
                        continue
                break
            chain.append(entry)  # one change, which took several back
        return _Chain(tuple(chain), before, tuple(afters))

    def _outcome(self, chain: _Chain, outcome: Outcome) -> Outcome:
        entry = chain.entries[0]
        try:
            path, now = self._found(chain)
            outcome = replace(outcome, path=path, fields=_between(now, chain.before))
            if now != chain.before and now not in chain.afters and not self._force:
                raise self._refusal(entry, path, now)
            status = self._restored(chain, path, now)
            if status == "planned":
                self._planned[path] = chain.before
            return replace(outcome, status=status)
        except FileError as error:
            return replace(outcome, error=Problem.of(error))

    def _found(self, chain: _Chain) -> tuple[Path, Snapshot]:
        """The file, and its fields as they are now.

        Of several files with its sound it is the one with the fields that were written; of several
        such, the one whose name has most in common with its own. A copy with the fields from before
        is not the file.
        """
        entry = chain.entries[0]
        candidates = self._places.candidates(entry)
        if candidates in ([entry.path], [entry.real]):
            return candidates[0], self._fields(candidates[0], chain)
        fields: dict[Path, Snapshot] = {}
        for path in candidates:
            with contextlib.suppress(FileError):
                fields[path] = self._fields(path, chain)
        fitting = [path for path, now in fields.items() if now in chain.afters]
        fitting = fitting or [path for path, now in fields.items() if now != chain.before]
        if len(fitting) > 1:  # the same sound under several names: a folder may have been renamed
            alike = [_n_alike(path, entry.path) for path in fitting]
            if max(alike) and alike.count(max(alike)) == 1:
                fitting = [fitting[alike.index(max(alike))]]
        if len(fitting) == 1:
            log.info("%s is %s now", os.fspath(entry.path), os.fspath(fitting[0]))
            return fitting[0], fields[fitting[0]]
        raise self._missing(entry, fitting)

    def _fields(self, path: Path, chain: _Chain) -> Snapshot:
        return self._planned.get(path) or metadata.snapshot(path, chain.before.fields)

    def _missing(self, entry: Entry, several: Sequence[Path]) -> FileError:
        """Explain that a file is not where it was."""
        command = f"musictag undo {entry.run}"
        if several:
            found = " and ".join(os.fspath(path) for path in several[:2])
            more = f" and {len(several) - 2} more" if len(several) > 2 else ""
            reason = f"it is gone, and {found}{more} have its sound"
            return FileError(entry.path, "not_found", reason, cure=f"name one: {command} FILE")
        try:
            is_gone = not entry.path.exists()
            if not is_gone:
                self._decoder.payload_digest(entry.path)
        except OSError as error:
            return FileError.of_system(entry.path, error, "cannot be opened")
        except FileError as error:
            return error
        if is_gone:
            reason = "it is gone, and no file with its sound was found"
            cure = f"if it was moved, name the folder where it is now: {command} FOLDER"
            return FileError(entry.path, "not_found", reason, cure=cure)
        reason = f"it is not the music into which run {entry.run} wrote"
        cure = "--force gives it those fields all the same"
        return FileError(entry.path, "changed", reason, cure=cure)

    def _refusal(self, entry: Entry, path: Path, now: Snapshot) -> FileError:
        """Explain that the fields were set since, perhaps by ourselves."""
        for later in self._journal.later(replace(entry, path=path)):
            if writing.snapshot(later.after) == now:
                reason = f"run {later.run} wrote it since"
                return FileError(path, "changed", reason, cure="undo that first")
        reason = f"its fields have changed since run {entry.run} wrote them"
        cure = "--force puts back the older ones all the same"
        return FileError(path, "changed", reason, cure=cure)

    def _restored(self, chain: _Chain, path: Path, now: Snapshot) -> Status:
        if now == chain.before:  # somebody has restored it already
            if self._run is not None:
                for entry in chain.entries:
                    self._journal.mark_undone(entry.id)
            return "unchanged"
        if self._run is None:
            return "planned"
        undoes = [entry.id for entry in chain.entries]
        with writing.written_down(self._run, path, undoes=undoes) as about_to:
            written = metadata.restore(
                path,
                chain.before,
                expected=None if self._force else now,
                preserve_mtime=self._settings.preserve_mtime,
                payload_digest=self._decoder.payload_digest,
                hardlinks=self._settings.hardlinks,
                about_to=about_to,
            )
        if written is not None and written.payload is not None:
            with contextlib.suppress(OSError):  # so that no scan takes it for a new one
                self._cache.remember_content(path, path.stat(), written.payload)
        return "restored"
