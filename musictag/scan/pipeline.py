"""All stages, from a list of paths to tags in files.

    file → samples → segments → coefficients → probabilities → tags → fields
           └── decoding processes ───┘ └────── the caller's thread ───────┘

What one track goes through is here, how many do at once in `hearing`. Outcomes
come in the order of the paths, and nothing grows with the library.

One file is the unit of error: a FileError becomes a failed Outcome and the run
goes on; any other exception stops it.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
import stat
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from musictag import decision, metadata, process
from musictag.audio.decoder import FATAL, Decoder
from musictag.audio.digest import file_digest
from musictag.audio.samples import SEGMENT_LENGTH
from musictag.config import Settings
from musictag.errors import CheckpointError, FileError
from musictag.hearing.ear_torch import find_device
from musictag.metadata import Written
from musictag.outcome import Change, Outcome, Problem, Status
from musictag.scan import writing
from musictag.scan.listening import Decoders, Listener, Track, in_order
from musictag.stores.cache import Cache, Heard, Tags
from musictag.stores.journal import Journal, Others, Writing

if TYPE_CHECKING:
    from musictag.hearing.checkpoint import Checkpoint
    from musictag.hearing.ear_core import CpuEar
    from musictag.hearing.ear_torch import Ear
    from musictag.scan.listening import Hand, Hands, Segment

log = logging.getLogger(__name__)

HEARING = 1
"""Raise this when the same audio and checkpoint come to be heard differently (decoding,
segments): what older versions remembered is then heard anew."""

READING = 1
"""Raise this when the same metadata comes to be read differently."""

Metadata = Mapping[str, tuple[str, ...]]
"""Field → values."""

SILENCES = {
    "silent": "there is only silence in it",
    "too_short": "it is shorter than one second",
}
"""Nothing is wrong with such a file, and there is nothing to tag."""
_HEARD = frozenset({"", *SILENCES})
DAMAGES = frozenset({"corrupt", "mislabelled", "no_decoder", "truncated", *FATAL})
"""What the same bytes and the same decoders will always end in, so that once is enough."""


def scan(  # noqa: PLR0913  # what a run has, by name
    paths: Iterable[Path | FileError],
    checkpoint: Checkpoint,
    settings: Settings,
    *,
    cache: Cache,
    journal: Journal | None = None,
    write: Sequence[str] | None = None,
    stopped: Callable[[], bool] = lambda: False,
    heard: Callable[[Path, float], None] = lambda *_: None,
    hands: Hands | None = None,
) -> Generator[Outcome, None, None]:
    """Hear every track, decide, and write if so asked; one Outcome per path, in order.

    Without `journal` nothing is known of earlier writes. `write` is the command
    line, by which people will know this run; without it nothing is written.
    No further file is begun once `stopped` says so. `heard` is told of music
    long before its track is an Outcome: which track's, and how many seconds more.
    With `hands` the files are decoded and heard by a cluster, all else is done here.

    The paths are taken as they come, from another thread. The model is loaded
    when the first segment is there, so a library that is remembered whole
    needs no torch; only a device asked for by name is looked for at once.
    """
    check_segments(checkpoint)
    process.keep_freed()
    if hands is None and settings.device not in ("auto", "cpu"):
        find_device(settings.device)
    jobs = settings.jobs or (process.n_cores() if hands is None else hands.n)
    hand = Decoder if hands is None else hands.decoder
    with (
        Decoder() as own,
        writing.begun(journal, write, (checkpoint.name, checkpoint.digest)) as run,
    ):
        scanner = _Scanner(
            checkpoint, settings, cache, journal, own.payload_digest, writes=write is not None
        )
        listener = Listener(scanner.ear, stopped, heard)
        with Decoders(paths, scanner.remembers, scanner.segments, jobs, hand) as decoders:
            for track in in_order(listener.tracks(decoders)):
                if stopped():
                    break
                decoders.one_done()
                yield scanner.outcome(track, run)
        if run is not None:
            run.interrupted = stopped()


def check_segments(checkpoint: Checkpoint) -> None:
    """CheckpointError for a model that hears other segments than we cut."""
    n_samples = checkpoint.front_end.get("n_samples", SEGMENT_LENGTH)
    if n_samples != SEGMENT_LENGTH:
        raise CheckpointError(
            f"{checkpoint.name}: this model hears segments of {n_samples} samples, "
            f"musictag cuts {SEGMENT_LENGTH}"
        )


# ---------------------------------------------------------------- one track


class _Scanner:
    """The stages, with what is the same for all tracks."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        settings: Settings,
        cache: Cache,
        journal: Journal | None,
        payload_digest: Callable[[Path], bytes],
        *,
        writes: bool,
    ) -> None:
        self._checkpoint = checkpoint
        self._settings = settings
        self._cache = cache
        self._journal = journal
        self._payload_digest = payload_digest
        self._writes = writes
        self._key = f"{HEARING}:{checkpoint.digest}:{settings.segments or 'all'}"
        self._key_of_damage = f"{self._key}:{_decoders()}"
        self._keys = (self._key, self._key_of_damage)
        self._reader = f"{READING}:{_version('mutagen')}"
        self._cleared: str | None = None

    def remembers(self, track: Track) -> bool:
        """Whether all of it is known already, so that the file need not be opened."""
        if self._writes:
            folder = os.path.dirname(track.path)  # noqa: PTH120  (a million times)
            if folder != self._cleared:
                metadata.clear_leftovers(track.path)
                self._cleared = folder
        self._look_up(track)
        return track.tags is not None and track.heard is not None

    def segments(self, track: Track, hand: Hand) -> Iterator[Segment]:
        """File → samples → segments; none when the track was heard before, or is by the hand.

        The metadata is read before the sound: a file whose header cannot be
        parsed would never be written, so it is not heard either.
        """
        self._look_up(track)  # it may be some time ago that nothing of it was remembered
        try:
            track.tags = track.tags or _tags(track.path)
        except FileError:
            self._check_sound(track, hand)
            if track.heard is None:
                raise
            return
        if track.content is None:
            try:
                track.content = hand.payload_digest(track.path)
            except FileError as fatal:
                if fatal.code not in FATAL:
                    raise
                _note_fatal(track, fatal)
                return
            self._take(track, {key: self._cache.heard(track.content, key) for key in self._keys})
        if track.heard is not None:
            return
        music = hand.track(track.path, n_segments=self._settings.segments)
        try:
            yield from music.segments()
        except FileError as error:
            if error.code in SILENCES:
                track.heard = Heard(music.duration_s or 0.0, (), error.code, SILENCES[error.code])
            elif error.code in DAMAGES:
                track.heard = Heard(0.0, (), error.code, error.message)
            else:
                raise
        finally:
            log.debug("%s: decoded by %s", track.path, music.decoder or "nobody")
        track.duration_s = music.duration_s
        track.taggram.extend(music.taggram)
        track.n_heard_elsewhere = len(music.taggram)

    def _look_up(self, track: Track) -> None:
        """What is remembered of the file as it is now, and nothing of what it was before."""
        track.stat = _stat(track.path)
        track.content, track.tags, track.noted = None, None, False
        track.heard, track.from_cache = None, False
        known = self._cache.known(track.path, track.stat, self._reader, self._keys)
        if known is not None:
            track.content, track.tags, track.noted = known.content, known.tags, known.complete
            self._take(track, known.heard)

    def _take(self, track: Track, remembered: Mapping[str, Heard | None]) -> None:
        """What was heard before, if this model can have heard it: the cache may be damaged."""
        for key, codes in zip(self._keys, (_HEARD, DAMAGES), strict=True):
            heard = remembered.get(key)
            if heard is not None and heard.code in codes:
                n_tags = 0 if heard.code else len(self._checkpoint.tags)
                if len(heard.probabilities) == n_tags:
                    track.heard, track.from_cache = heard, True
                    return

    def _check_sound(self, track: Track, hand: Hand) -> None:
        """Of a file whose tags cannot be parsed: FileError if there is no music in it, which says
        more. One that its decoder does not survive is noted, and not tried at every scan."""
        if track.heard is not None and track.heard.code in FATAL:
            track.noted = True
            return
        track.heard, track.from_cache = None, False
        try:
            for _ in hand.track(track.path).segments(most=1):
                pass
        except FileError as error:
            if error.code in FATAL:
                _note_fatal(track, error)
            elif error.code in DAMAGES:
                raise

    def ear(self) -> Ear | CpuEar:
        """The model in memory."""
        device = find_device(self._settings.device)
        log.info("hearing with the model %s on %s", self._checkpoint.name, device)
        return self._checkpoint.load(device, batch_size=self._settings.batch_size)

    def outcome(self, track: Track, run: Writing | None) -> Outcome:
        """Probabilities → tags → fields, and into the file if there is a run to write it in."""
        outcome = Outcome(
            track.path,
            "failed",
            error=track.problem,
            model=self._checkpoint.name,
            from_cache=track.from_cache,
        )
        if track.problem is not None:
            return outcome
        try:
            self._keep_up(track)
            heard = self._remembered(track)
            if heard.code in DAMAGES:
                return replace(outcome, error=Problem(heard.code, heard.message))
            if heard.code:
                error = Problem(heard.code, heard.message)
                return replace(outcome, status="skipped", duration_s=heard.duration_s, error=error)
            probabilities = dict(zip(self._checkpoint.tags, heard.probabilities, strict=True))
            outcome = replace(
                outcome,
                duration_s=heard.duration_s,
                probabilities=probabilities,
                chosen=decision.choose(
                    probabilities, self._checkpoint.vocabulary, limits=self._settings.limits
                ),
            )
            if track.tags is not None and track.tags.code:
                untaggable = Problem(track.tags.code, track.tags.message)
                return replace(outcome, status="skipped", error=untaggable)
            settled = self._settled(track, outcome, run)
            if settled.error is not None and settled.error.code == "changed":
                # Somebody was quicker, perhaps another musictag: what is there now decides, once.
                self._read_again(track, _stat(track.path))
                settled = self._settled(track, outcome, run)
            return settled
        except FileError as error:
            return replace(outcome, error=Problem.of(error))

    def _settled(self, track: Track, outcome: Outcome, run: Writing | None) -> Outcome:
        """Planned, and done if there is a run to do it in."""
        assert track.tags is not None  # or it would not have been heard
        old = track.tags.values
        others = self._others(track, old, outcome.chosen)
        fields = self._planned(old, outcome.chosen, others)
        status: Status = "unchanged"
        try:
            if any(change.changed for change in fields.values()):
                status = "planned"
                if run is not None:
                    status = self._apply(track, old, fields, others, run)
        except FileError as error:
            return replace(outcome, fields=fields, error=Problem.of(error))
        return replace(outcome, status=status, fields=fields)

    def _planned(self, old: Metadata, chosen: Metadata, others: Others) -> Mapping[str, Change]:
        """Values that shall be one and are several are a change, even if they are the same."""
        fields = decision.plan(self._split(old), chosen, self._settings.policies, others=others)
        join, policies = self._settings.join, self._settings.policies
        for name, change in fields.items():
            apart = len(old.get(name, ())) > 1 and not change.changed
            if join is not None and policies[name] == "replace" and apart and chosen.get(name):
                fields[name] = Change(old[name], (join.join(change.new),))
        return fields

    def _others(self, track: Track, old: Metadata, chosen: Metadata) -> Others:
        """What of the values in the file is not ours; not looked up where nothing hangs on it."""
        if self._journal is None or track.content is None:
            return {}
        among: Collection[str] = [
            name
            for name in self._settings.fields
            if chosen.get(name) and old.get(name, ()) != chosen[name]
        ]
        if self._settings.join is not None or (among and self._writes):
            among = metadata.FIELDS  # what stays ours is written down again
        elif not any(old.get(name) for name in among):
            return {}
        return writing.others(self._journal, track.path, track.content, old, among)

    def _keep_up(self, track: Track) -> None:
        """With a file that was changed since it was looked at."""
        now, then = _stat(track.path), track.stat
        if then is None or not _same(now, then) or now.st_ctime_ns != then.st_ctime_ns:
            self._read_again(track, now)

    def _read_again(self, track: Track, now: os.stat_result) -> None:
        """The tags that are in the file by now, whether its owner or we under another name of it
        set them; FileError `changed` if it is no longer the sound that was heard."""
        if not _same(now, track.stat) and (
            track.content is None or self._payload_digest(track.path) != track.content
        ):
            raise FileError(
                track.path,
                "changed",
                "the file changed while it was being heard",
                cure="scan it again",
            )
        if track.tags is not None:
            track.tags = _tags(track.path)
        track.stat, track.noted = now, False

    def _remembered(self, track: Track) -> Heard:
        """What was heard, in the cache from now on."""
        if track.heard is None:
            track.heard = Heard(
                track.duration_s or 0.0, decision.track_probabilities(track.taggram)
            )
        if track.content is not None and track.stat is not None:
            if not track.from_cache:
                key = self._key_of_damage if track.heard.code in DAMAGES else self._key
                self._cache.remember_heard(track.content, key, track.heard)
            if not track.noted:
                self._remember_file(track, track.stat)
        return track.heard

    def _remember_file(self, track: Track, stat: os.stat_result) -> None:
        if track.content is not None:
            self._cache.remember_content(
                track.path, stat, track.content, track.tags, reader=self._reader
            )

    def _apply(
        self,
        track: Track,
        old: Metadata,
        fields: Mapping[str, Change],
        others: Others,
        run: Writing,
    ) -> Status:
        """Write what changes: the one place where a scan writes.

        What `keep` and `merge` made of the old values holds only while those
        are still there, and what stays ours only while nobody has set it: the
        writer is told them. The cache learns the file as it is afterwards, so
        the next scan does not take it for a new one.
        """
        changes = {name: change for name, change in fields.items() if change.changed}
        new = {name: change.new for name, change in changes.items()}
        still = {
            name: tuple(value for value in others.get(name, change.old) if value in change.new)
            for name, change in changes.items()
        }
        with writing.written_down(run, track.path, others={**others, **still}) as about_to:
            written = metadata.write(
                track.path,
                new,
                expected={name: old.get(name, ()) for name in {*new, *others}},
                preserve_mtime=self._settings.preserve_mtime,
                join=self._settings.join,
                payload_digest=self._payload_digest,
                hardlinks=self._settings.hardlinks,
                about_to=self._into_what_was_heard(track, about_to),
            )
        with contextlib.suppress(FileError):  # gone or changed again already: it was written
            now = _stat(track.path)
            track.tags = _tags(track.path)
            self._remember_file(track, now)
        return "unchanged" if written is None else "written"

    def _into_what_was_heard(
        self, track: Track, about_to: Callable[[Written], None]
    ) -> Callable[[Written], None]:
        """The file was known by its size and time. The writer has compared its sound."""

        def checked(written: Written) -> None:
            if written.payload != track.content:
                if track.stat is not None and written.payload is not None:
                    self._cache.remember_content(track.path, track.stat, written.payload)
                reason = "it is not the music that was heard"
                raise FileError(track.path, "changed", reason, cure="scan it again")
            about_to(written)

        return checked

    def _split(self, values: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """Values as they were before `join` made one of them, so that twice equals once."""
        join = self._settings.join
        if join is None:
            return dict(values)
        return {
            name: tuple(filter(None, (p.strip() for part in parts for p in part.split(join))))
            for name, parts in values.items()
        }


def _stat(path: Path) -> os.stat_result:
    """Of a regular file that has something in it; FileError for anything else."""
    try:
        result = path.stat()
    except OSError as error:
        raise _explained(path, error) from error
    except ValueError as error:  # a NUL in the name, from a list
        raise FileError(path, "not_found", "no file can have such a name") from error
    if not stat.S_ISREG(result.st_mode):
        kind = "it is a folder" if stat.S_ISDIR(result.st_mode) else "it is not a regular file"
        raise FileError(path, "not_a_file", kind)
    if result.st_size == 0:
        raise FileError(path, "empty", "the file is empty", cure="restore it or delete it")
    return result


def _tags(path: Path) -> Tags:
    """What is in a file's fields; FileError for metadata that cannot be parsed."""
    try:
        return Tags(metadata.read(path))
    except FileError as error:
        if error.code != "no_tags":
            raise
        return Tags({}, error.code, error.message)


def _explained(path: Path, error: OSError) -> FileError:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return FileError(path, "not_found", "there is no such file")
    if isinstance(error, PermissionError):
        cure = "check the permissions of the file and its folder"
        return FileError(path, "permission", "may not be read", cure=cure)
    return FileError(path, "io", f"cannot be opened: {error.strerror or error}")


def _note_fatal(track: Track, error: FileError) -> None:
    """What no decoder survives is known again by all its bytes: nobody can tell which are music."""
    if track.content is None:
        track.content = file_digest(track.path)
    track.heard = Heard(0.0, (), error.code, error.message)


def _decoders() -> str:
    """The libraries that decode, by version: a new one may read what the old one could not."""
    return ",".join(map(_version, ("av", "soundfile", "audioread")))


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:  # bundled without its papers
        return "unknown"


def _same(one: os.stat_result, other: os.stat_result | None) -> bool:
    """Size and time only: some network file systems number a file anew at every look."""
    return other is not None and (one.st_size, one.st_mtime_ns) == (
        other.st_size,
        other.st_mtime_ns,
    )
