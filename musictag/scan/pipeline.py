"""All stages, from a list of paths to tags in files.

    file → samples → segments → coefficients → probabilities → tags → fields
           └── decoding processes ───┘ └────── the caller's thread ───────┘

`reading` takes a track from its file to segments, `readers` many tracks at once; `listening` hears
their segments; `settling` decides and writes; `known` remembers. Outcomes come in the order of the
paths, and nothing grows with the library.

One file is the unit of error: a FileError becomes a failed Outcome and the run goes on; any other
exception stops it.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from musictag import decision, process
from musictag import metadata as music_metadata
from musictag.audio.decoder import Decoder
from musictag.audio.samples import SEGMENT_LENGTH
from musictag.errors import CheckpointError, FileError
from musictag.hearing.devices import find_device
from musictag.outcome import Outcome
from musictag.scan import additions, writing
from musictag.scan.albums import Albums
from musictag.scan.known import Known
from musictag.scan.listening import Listening, Progress, in_order
from musictag.scan.readers import Readers
from musictag.scan.reading import Reading
from musictag.scan.settling import Settling
from musictag.selection import Selection

if TYPE_CHECKING:
    from musictag.config import Settings
    from musictag.hearing.checkpoint import Checkpoint
    from musictag.hearing.ear import Ear
    from musictag.scan.job import Job
    from musictag.scan.ports import AnyDecoder, AnyMetadata, Workers
    from musictag.stores.cache import Cache
    from musictag.stores.journal import Journal

log = logging.getLogger(__name__)


def scan(  # noqa: PLR0913  # what a run has, by name
    paths: Iterable[Path | FileError],
    checkpoint: Checkpoint,
    settings: Settings,
    *,
    cache: Cache,
    journal: Journal | None = None,
    write: Sequence[str] | None = None,
    explain: bool = False,
    stopped: Callable[[], bool] = lambda: False,
    progress: Progress = lambda *_: None,
    left_out: Callable[[Path], None] = lambda _: None,
    workers: Workers | None = None,
    load: Callable[[], Ear] | None = None,
    need_summary: bool = False,
    keep_undone: bool = False,
    decoder: Callable[[], AnyDecoder] = Decoder,
    metadata: AnyMetadata = music_metadata,
) -> Generator[Outcome, None, None]:
    """Hear every track, decide, and write if asked to; yields one Outcome per path, in order.

    Paths that the settings do not select are neither decoded nor yielded: `left_out` is told.

    Without `journal` nothing is known of earlier writes. `write` is the command line by which
    people will know this run; without it nothing is written. With `explain` outcomes say what was
    heard and not chosen. No further file is begun once
    `stopped` says so. `progress` is told of music as soon as it is decoded. With `workers` a
    cluster decodes and hears the files, and everything else is done here. `load` gives the ear of
    `checkpoint.heard_by` if it is in memory already. With `need_summary` a track whose summary is
    not remembered is heard again. With `keep_undone` what an undo took back is not written anew.
    `decoder` and `metadata` open the files.

    The paths are taken as they come, by another thread. The model is loaded when the first segment
    is there, so a library of which everything is remembered needs no torch; only a device that was
    asked for by name is looked for at once.
    """
    _check(checkpoint, settings, hears_here=workers is None)
    n_jobs = settings.jobs or (process.n_cores() if workers is None else workers.n)
    known = Known(
        cache,
        checkpoint.heard_by,
        segments=settings.segments,
        need_summary=need_summary or checkpoint.base is not None,
    )
    reading = Reading(
        known,
        metadata,
        n_segments=settings.segments,
        writes=write is not None,
        selection=Selection(settings),
    )
    load = load or functools.partial(_load, checkpoint.heard_by, settings)
    listening = Listening(load, stopped, progress)
    with (
        decoder() as own,
        writing.begun(journal, write, (checkpoint.name, checkpoint.digest)) as run,
        Readers(
            paths,
            reading.is_remembered,
            reading.segments,
            jobs=n_jobs,
            decoder=decoder if workers is None else workers.decoder,
        ) as readers,
    ):
        settling = Settling(
            checkpoint,
            settings,
            known,
            metadata=metadata,
            payload_digest=own.payload_digest,
            journal=journal,
            run=run,
            explain=explain,
            keep_undone=keep_undone,
        )
        jobs = _selected(in_order(listening.jobs(readers)), readers, stopped, left_out)
        if settings.by_album:
            yield from Albums(settling, known, metadata, stopped).outcomes(jobs)
        else:
            yield from map(settling.outcome, jobs)
        if run is not None:
            run.interrupted = stopped()


def _selected(
    jobs: Iterable[Job],
    readers: Readers,
    stopped: Callable[[], bool],
    left_out: Callable[[Path], None],
) -> Iterator[Job]:
    """The jobs that the scan is about, until it is stopped; each one taken makes room for
    another."""
    for job in jobs:
        if stopped():
            return
        readers.one_done()
        if job.is_left_out:
            left_out(job.path)
        else:
            yield job


def _check(checkpoint: Checkpoint, settings: Settings, *, hears_here: bool) -> None:
    """Raise what a scan would otherwise fail with later: UsageError, CheckpointError."""
    check_segments(checkpoint)
    vocabulary = settings.worded(checkpoint.vocabulary)
    for doubt in settings.doubts(checkpoint.vocabulary):
        log.warning("%s", doubt)
    additions.check(settings, vocabulary)
    if settings.join is not None:
        decision.check_join(settings.join, vocabulary)
    if hears_here and settings.device not in ("auto", "cpu"):
        find_device(settings.device)


def _load(checkpoint: Checkpoint, settings: Settings) -> Ear:
    """The model in memory."""
    device = find_device(settings.device)
    log.info("hearing with the model %s on %s", checkpoint.name, device)
    return checkpoint.load(device, batch_size=settings.batch_size)


def check_segments(checkpoint: Checkpoint) -> None:
    """CheckpointError for a model that hears segments of another length than we cut."""
    n_samples = checkpoint.front_end.get("n_samples", SEGMENT_LENGTH)
    if n_samples != SEGMENT_LENGTH:
        raise CheckpointError(
            f"{checkpoint.name}: this model hears segments of {n_samples} samples, "
            f"musictag cuts {SEGMENT_LENGTH}"
        )
