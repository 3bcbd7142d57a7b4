"""All stages, from a list of paths to tags in files.

    file → samples → segments → coefficients → probabilities → tags → fields
           └── decoding processes ───┘ └────── the caller's thread ───────┘

What one track goes through is here, how many do at once in `hearing`. Outcomes
come in the order of the paths, and nothing grows with the library.

One file is the unit of error: a FileError becomes a failed Outcome and the run
goes on; any other exception stops it.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import stat
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from musictag import audio, decision, metadata, writing
from musictag.cache import Cache, Heard
from musictag.config import Settings, n_cores
from musictag.decision import Change
from musictag.decoder import FATAL, Decoder
from musictag.ear import Ear, find_device
from musictag.errors import CheckpointError, FileError, Problem
from musictag.hearing import Decoders, Listener, Track, in_order
from musictag.journal import Journal, Others, Writing

if TYPE_CHECKING:
    from musictag.checkpoint import Checkpoint
    from musictag.hearing import Segment

log = logging.getLogger(__name__)

HEARING = 1
"""Raise this when the same audio and checkpoint come to be heard differently (decoding,
segments): what older versions remembered is then heard anew."""

Metadata = Mapping[str, tuple[str, ...]]
"""Field → values."""
Status = Literal["written", "restored", "planned", "unchanged", "skipped", "failed"]

SILENCES = {
    "silent": "there is only silence in it",
    "too_short": "it is shorter than one second",
}
"""Nothing is wrong with such a file, and there is nothing to tag."""
DAMAGES = frozenset({"corrupt", "mislabelled", "no_decoder", "truncated", *FATAL})
"""What the same bytes and the same decoders will always end in, so that once is enough."""


@dataclass(frozen=True)
class Outcome:
    """All there is to say about one file."""

    path: Path
    status: Status
    """What happened: written, restored (by an undo), planned (would be written), unchanged
    (nothing to write), skipped (nothing to hear, or a container without metadata), failed."""
    duration_s: float | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """Tag → probability, track level."""
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Field → values heard, whether or not they may be written."""
    fields: Mapping[str, Change] = field(default_factory=dict)
    """Field → old and new values, for the fields that may be written."""
    error: Problem | None = None
    model: str = ""
    from_cache: bool = False
    """Heard in an earlier scan."""


def scan(
    paths: Iterable[Path | FileError],
    checkpoint: Checkpoint,
    settings: Settings,
    *,
    cache: Cache,
    journal: Journal | None = None,
    write: Sequence[str] | None = None,
    stopped: Callable[[], bool] = lambda: False,
    heard: Callable[[Path, float], None] = lambda *_: None,
) -> Generator[Outcome, None, None]:
    """Hear every track, decide, and write if so asked; one Outcome per path, in order.

    Without `journal` nothing is known of earlier writes. `write` is the command
    line, by which people will know this run; without it nothing is written.
    No further file is begun once `stopped` says so. `heard` is told of music
    long before its track is an Outcome: which track's, and how many seconds more.

    The paths are taken as they come, from another thread. The model is loaded
    when the first segment is there, so a library that is remembered whole
    needs no torch; only a device asked for by name is looked for at once.
    """
    check_segments(checkpoint)
    if settings.device not in ("auto", "cpu"):
        find_device(settings.device)
    jobs = settings.jobs or n_cores()
    with (
        Decoder() as own,
        writing.begun(journal, write, (checkpoint.name, checkpoint.digest)) as run,
    ):
        scanner = _Scanner(
            checkpoint, settings, cache, journal, own.payload_digest, writes=write is not None
        )
        listener = Listener(scanner.ear, stopped, heard)
        with Decoders(paths, scanner.segments, jobs) as decoders:
            for track in in_order(listener.tracks(decoders)):
                if stopped():
                    break
                decoders.one_done()
                yield scanner.outcome(track, run)
        if run is not None:
            run.interrupted = stopped()


def check_segments(checkpoint: Checkpoint) -> None:
    """CheckpointError for a model that hears other segments than we cut."""
    n_samples = checkpoint.front_end.get("n_samples", audio.SEGMENT_LENGTH)
    if n_samples != audio.SEGMENT_LENGTH:
        raise CheckpointError(
            f"{checkpoint.name}: this model hears segments of {n_samples} samples, "
            f"musictag cuts {audio.SEGMENT_LENGTH}"
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

    def segments(self, track: Track, decoder: Decoder) -> Iterator[Segment]:
        """File → samples → segments; none when the track was heard before.

        The metadata is read before the sound: a file whose header cannot be
        parsed would never be written, so it is not heard either.
        """
        self._recognise(track)
        try:
            track.old = metadata.read(track.path)
        except FileError as error:
            if error.code != "no_tags":
                self._check_sound(track, decoder)
                if track.heard is None:
                    raise
                return
            track.untaggable = Problem.of(error)
        if track.content is None:
            try:
                track.content = decoder.payload_digest(track.path)
            except FileError as fatal:
                if fatal.code not in FATAL:
                    raise
                _note_fatal(track, fatal)
                return
        track.heard = self._heard_before(track.content)
        if track.heard is not None:
            track.from_cache = True
            return
        music = decoder.track(track.path, n_segments=self._settings.segments)
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

    def _recognise(self, track: Track) -> None:
        """Which file it is, and which sound if it was heard before under this name."""
        if self._writes:
            metadata.clear_leftovers(track.path)
        track.stat = _stat(track.path)
        track.content = self._cache.content(track.path, track.stat)

    def _check_sound(self, track: Track, decoder: Decoder) -> None:
        """Of a file whose tags cannot be parsed: FileError if there is no music in it, which says
        more. One that its decoder does not survive is noted, and not tried at every scan."""
        if track.content is not None:
            heard = self._heard_before(track.content)
            if heard is not None and heard.code in FATAL:
                track.heard, track.from_cache = heard, True
                return
        try:
            for _ in decoder.track(track.path).segments(most=1):
                pass
        except FileError as error:
            if error.code in FATAL:
                _note_fatal(track, error)
            elif error.code in DAMAGES:
                raise

    def _heard_before(self, content: bytes) -> Heard | None:
        """What is remembered, if this model can have heard it: the cache may be damaged."""
        for key, codes in ((self._key, {"", *SILENCES}), (self._key_of_damage, DAMAGES)):
            heard = self._cache.heard(content, key)
            if heard is not None and heard.code in codes:
                n_tags = 0 if heard.code else len(self._checkpoint.tags)
                if len(heard.probabilities) == n_tags:
                    return heard
        return None

    def ear(self) -> Ear:
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
            self._check_unchanged(track)
            heard = self._remembered(track)
            problem = Problem(heard.code, heard.message)
            if heard.code in DAMAGES:
                return replace(outcome, error=problem)
            outcome = replace(outcome, duration_s=heard.duration_s)
            if heard.code:
                return replace(outcome, status="skipped", error=problem)
            probabilities = dict(zip(self._checkpoint.tags, heard.probabilities, strict=True))
            chosen = decision.choose(
                probabilities, self._checkpoint.thresholds, limits=self._settings.limits
            )
            outcome = replace(outcome, probabilities=probabilities, chosen=chosen)
            if track.untaggable is not None:
                return replace(outcome, status="skipped", error=track.untaggable)
            others = self._others(track)
            fields = self._planned(track.old, chosen, others)
            outcome = replace(outcome, fields=fields)
            return replace(outcome, status=self._settled(track, fields, others, run))
        except FileError as error:
            return replace(outcome, error=Problem.of(error))

    def _settled(
        self, track: Track, fields: Mapping[str, Change], others: Others, run: Writing | None
    ) -> Status:
        if not any(change.changed for change in fields.values()):
            return "unchanged"
        if run is None:
            return "planned"
        return "written" if self._apply(track, fields, others, run) else "unchanged"

    def _planned(self, old: Metadata, chosen: Metadata, others: Others) -> Mapping[str, Change]:
        """Values that shall be one and are several are a change, even if they are the same."""
        fields = decision.plan(self._split(old), chosen, self._settings.policies, others=others)
        join, policies = self._settings.join, self._settings.policies
        for name, change in fields.items():
            apart = len(old.get(name, ())) > 1 and not change.changed
            if join is not None and policies[name] == "replace" and apart and chosen.get(name):
                fields[name] = Change(old[name], (join.join(change.new),))
        return fields

    def _others(self, track: Track) -> Others:
        if self._journal is None or track.content is None:
            return {}
        return writing.others(self._journal, track.path, track.content, track.old)

    def _check_unchanged(self, track: Track) -> None:
        """The file is still the one that was heard; FileError `changed` if not.

        A file that was only retagged meanwhile (by its owner, or by us under
        another name of it) is taken with the metadata it has now.
        """
        now = _stat(track.path)
        if _same(now, track.stat):
            return
        if track.content is None or self._payload_digest(track.path) != track.content:
            raise FileError(
                track.path,
                "changed",
                "the file changed while it was being heard",
                cure="scan it again",
            )
        if track.untaggable is None:
            track.old = metadata.read(track.path)
        track.stat = now

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
            if self._cache.content(track.path, track.stat) != track.content:
                self._cache.remember_content(track.path, track.stat, track.content)
        return track.heard

    def _apply(
        self, track: Track, fields: Mapping[str, Change], others: Others, run: Writing
    ) -> bool:
        """Write what changes: the one place where a scan writes. Whether that was needed.

        What `keep` and `merge` made of the old values holds only while those
        are still there: the writer is told them. The cache learns the file as
        it is afterwards, so the next scan does not take it for a new one.
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
                expected={name: track.old.get(name, ()) for name in new},
                preserve_mtime=self._settings.preserve_mtime,
                join=self._settings.join,
                payload_digest=self._payload_digest,
                hardlinks=self._settings.hardlinks,
                about_to=about_to,
            )
        if track.content is not None:
            self._cache.remember_content(track.path, _stat(track.path), track.content)
        return written is not None

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
        track.content = audio.file_digest(track.path)
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
