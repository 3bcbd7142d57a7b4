"""All stages for one track, then for many.

    file → samples → segments → coefficients → probabilities → tags → fields
           └── decoding processes ───┘ └────── the caller's thread ───────┘

Threads, each with a process that decodes for it, read tracks, a few at a time,
and put their segments on a short queue; the caller's thread takes them off,
hears them in batches that reach across tracks, decides, and writes. Outcomes
come in the order of the paths. Nothing here grows with the library or with a
track: the queue bounds the segments in memory, a window the tracks that may
overtake a slow one.

One file is the unit of error: a FileError becomes a failed Outcome and the run
goes on; any other exception stops it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import logging
import os
import queue
import stat
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from musictag import audio, decision, metadata, writing
from musictag.cache import Cache, Heard
from musictag.config import Settings
from musictag.decision import Change
from musictag.decoder import FATAL, Closed, Decoder
from musictag.errors import CheckpointError, FileError, MusictagError, UsageError
from musictag.journal import Journal, Others, Writing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from musictag.checkpoint import Checkpoint, Ear

    Segment = NDArray[np.float32]

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

CPU_BATCH = 8
GPU_BATCH = 32
"""Segments heard at once unless the settings say otherwise."""
_WINDOW = 1024
"""Tracks that may be under way at once, so that finished ones wait for a slow one in bounded
memory. Far more than fit into a batch."""
_PATIENCE_S = 0.5
"""A batch that is not full waits this long for the next segment."""
_POLL_S = 0.1
"""How soon a waiting thread sees that the scan has ended."""
_PARTING_S = 3.0
"""Threads in the middle of something are waited for so long when the scan has ended."""


@dataclass(frozen=True)
class Problem:
    """Why a file was not tagged: a word for programs, a sentence for people."""

    code: str
    message: str

    @classmethod
    def of(cls, error: FileError) -> Problem:
        """Without the exception, whose traceback would hold a track's samples."""
        return cls(error.code, error.message)


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
) -> Generator[Outcome, None, None]:
    """Hear every track, decide, and write if so asked; one Outcome per path, in order.

    Without `journal` nothing is known of earlier writes. `write` is the command
    line, by which people will know this run; without it nothing is written.
    No further file is begun once `stopped` says so.

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
        listener = _Listener(scanner.ear, stopped)
        with _Decoders(paths, scanner.segments, jobs) as decoders:
            for track in _in_order(listener.tracks(decoders)):
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


def find_device(name: str) -> str:
    """The device to hear on; auto takes the fastest there is. UsageError if it is not there."""
    # torch's threads wait for each other by spinning unless told before they start, and take the
    # cores away from the decoding threads: 52 instead of 205 times real time on two busy cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch  # noqa: PLC0415  # not for a library that is remembered whole

    n_cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        return "cuda" if n_cuda else "mps" if has_mps else "cpu"
    kind, _, number = name.partition(":")
    if kind == "cuda" and int(number or 0) >= n_cuda:
        found = f"it finds {n_cuda} of them" if n_cuda else "it finds no CUDA device"
        raise UsageError(f"--device {name}: PyTorch cannot use it ({found})")
    if kind == "mps" and not has_mps:
        raise UsageError("--device mps: PyTorch cannot use it (no Apple GPU, or a build without)")
    return name


def n_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# ---------------------------------------------------------------- one track


@dataclass
class _Track:
    """A file on its way through the stages; one thread at a time has it in hand."""

    number: int
    path: Path
    stat: os.stat_result | None = None
    old: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The metadata as the file has it."""
    untaggable: Problem | None = None
    content: bytes | None = None
    duration_s: float | None = None
    taggram: list[list[float]] = field(default_factory=list)
    heard: Heard | None = None
    from_cache: bool = False
    problem: Problem | None = None
    decoded: bool = False
    n_unheard: int = 0


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

    def segments(self, track: _Track, decoder: Decoder) -> Iterator[Segment]:
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

    def _recognise(self, track: _Track) -> None:
        """Which file it is, and which sound if it was heard before under this name."""
        if self._writes:
            metadata.clear_leftovers(track.path)
        track.stat = _stat(track.path)
        track.content = self._cache.content(track.path, track.stat)

    def _check_sound(self, track: _Track, decoder: Decoder) -> None:
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

    def ear(self) -> tuple[Ear, int]:
        """The model in memory, and how many segments it hears at once."""
        device = find_device(self._settings.device)
        log.info("hearing with the model %s on %s", self._checkpoint.name, device)
        size = self._settings.batch_size or (CPU_BATCH if device == "cpu" else GPU_BATCH)
        try:
            return self._checkpoint.load(device), size
        except UsageError:
            raise
        except MusictagError as error:  # not one file's fault: the scan cannot go on
            raise CheckpointError(str(error)) from error

    def outcome(self, track: _Track, run: Writing | None) -> Outcome:
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
        self, track: _Track, fields: Mapping[str, Change], others: Others, run: Writing | None
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

    def _others(self, track: _Track) -> Others:
        if self._journal is None or track.content is None:
            return {}
        return writing.others(self._journal, track.path, track.content, track.old)

    def _check_unchanged(self, track: _Track) -> None:
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

    def _remembered(self, track: _Track) -> Heard:
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
        self, track: _Track, fields: Mapping[str, Change], others: Others, run: Writing
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


def _note_fatal(track: _Track, error: FileError) -> None:
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


# ---------------------------------------------------------------- many tracks


class _Listener:
    """Segments → probabilities, in batches that reach across tracks.

    The model is loaded for the first segment: who has none needs no model.
    """

    def __init__(self, load: Callable[[], tuple[Ear, int]], stopped: Callable[[], bool]) -> None:
        self._load = load
        self._stopped = stopped
        self._ear: Ear | None = None
        self._batch_size = 1
        self._batch: list[tuple[_Track, Segment]] = []

    def tracks(self, decoders: _Decoders) -> Iterator[_Track]:
        """Each track when all of it has been heard, in any order; no more once stopped."""
        for arrival in decoders:
            if self._stopped():
                return
            if arrival is None:
                yield from self._hear()
            elif arrival.segment is None:
                arrival.track.decoded = True
                if arrival.track.n_unheard == 0:
                    yield arrival.track
            else:
                arrival.track.n_unheard += 1
                self._batch.append((arrival.track, arrival.segment))
                if self._ear is None:
                    self._ear, self._batch_size = self._load()
                if len(self._batch) >= self._batch_size:
                    yield from self._hear()
        yield from self._hear()

    def _hear(self) -> list[_Track]:
        """Hear the batch as it is; the tracks that were waiting for nothing else."""
        if not self._batch or self._ear is None:
            return []
        import torch  # noqa: PLC0415  # not for a library that is remembered whole

        tracks, segments = zip(*self._batch, strict=True)
        self._batch = []
        probabilities = self._ear.hear(torch.from_numpy(np.stack(segments)))  # (B, N) -> (B, K)
        for track, row in zip(tracks, probabilities.tolist(), strict=True):
            track.taggram.append(row)
            track.n_unheard -= 1
        together = {track.number: track for track in tracks}
        return [t for t in together.values() if t.decoded and t.n_unheard == 0]


def _in_order(tracks: Iterable[_Track]) -> Iterator[_Track]:
    """Each track when all that come before it in the list have come."""
    waiting: dict[int, _Track] = {}
    number = 0
    for track in tracks:
        waiting[track.number] = track
        while number in waiting:
            yield waiting.pop(number)
            number += 1


@dataclass(frozen=True)
class _Arrival:
    """A segment of a track; None says that all its segments have come."""

    track: _Track
    segment: Segment | None


class _Decoders:
    """Threads that read tracks in the order of the paths and hand over their segments.

    Each has a Decoder, whose process does the work; the thread waits for it.
    Iterating gives what arrives, and None when nothing did for a while. One
    more thread takes the paths, because a list on standard input may make it
    wait for ever. Leaving the `with` block ends all of them.
    """

    def __init__(
        self,
        paths: Iterable[Path | FileError],
        segments: Callable[[_Track, Decoder], Iterator[Segment]],
        jobs: int,
    ) -> None:
        self._paths = paths
        self._segments = segments
        self._ended = threading.Event()
        self._window = threading.Semaphore(_WINDOW)
        self._todo: queue.Queue[_Track | None] = queue.Queue()
        self._arrivals: queue.Queue[_Arrival | BaseException | None] = queue.Queue(
            maxsize=max(16, 2 * jobs)
        )
        self._porter = threading.Thread(
            target=self._guarded, args=(self._take_paths,), name="musictag paths", daemon=True
        )
        self._decoders = [Decoder() for _ in range(jobs)]
        self._threads = [
            threading.Thread(
                target=self._guarded,
                args=(functools.partial(self._decode, decoder),),
                name=f"musictag {n}",
                daemon=True,
            )
            for n, decoder in enumerate(self._decoders)
        ]

    def __enter__(self) -> _Decoders:
        for thread in (self._porter, *self._threads):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for decoder in self._decoders:
            decoder.kill()
            self._todo.put(None)
        # Who reads huge metadata or waits for standard input sees the end late or never: daemons,
        # they end with the program, and nothing they hand over any more is taken.
        deadline_s = time.monotonic() + _PARTING_S
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        self._porter.join(min(1.0, max(0.0, deadline_s - time.monotonic())))

    def __iter__(self) -> Iterator[_Arrival | None]:
        n_at_work = len(self._threads)
        while n_at_work:
            try:
                arrival = self._arrivals.get(timeout=_PATIENCE_S)
            except queue.Empty:
                yield None
                continue
            if isinstance(arrival, BaseException):
                raise arrival
            if arrival is None:
                n_at_work -= 1
            else:
                yield arrival

    def one_done(self) -> None:
        """A track has left the scan: another may come in."""
        self._window.release()

    def _guarded(self, work: Callable[[], None]) -> None:
        """An exception that we did not foresee is raised again where the arrivals are taken."""
        try:
            work()
        except (_Ended, Closed):
            pass
        except BaseException as error:
            with contextlib.suppress(_Ended):
                self._hand_over(error)

    def _take_paths(self) -> None:
        for number, path in enumerate(self._paths):
            while not self._window.acquire(timeout=_POLL_S):
                self._check_ended()
            self._check_ended()
            if isinstance(path, FileError):
                self._todo.put(_Track(number, path.path, problem=Problem.of(path)))
            else:
                self._todo.put(_Track(number, path))
        for _thread in self._threads:
            self._todo.put(None)

    def _decode(self, decoder: Decoder) -> None:
        with decoder:
            while (track := self._todo.get()) is not None:
                self._check_ended()
                if track.problem is None:
                    try:
                        for segment in self._segments(track, decoder):
                            self._hand_over(_Arrival(track, segment))
                    except FileError as error:
                        track.problem = Problem.of(error)
                self._hand_over(_Arrival(track, None))
        self._hand_over(None)

    def _hand_over(self, arrival: _Arrival | BaseException | None) -> None:
        while True:
            self._check_ended()
            with contextlib.suppress(queue.Full):
                self._arrivals.put(arrival, timeout=_POLL_S)
                return

    def _check_ended(self) -> None:
        if self._ended.is_set():
            raise _Ended


class _Ended(Exception):  # noqa: N818  # not an error: the way out of a thread
    """The scan is over."""
