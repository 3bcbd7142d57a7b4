"""One file: what is known of it, its fields, its sound, its segments."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from musictag.audio.decoder import FATAL
from musictag.audio.digest import file_digest
from musictag.errors import FileError
from musictag.metadata.fields import ABOUT, FIELDS, MORE
from musictag.scan.known import DAMAGES, SILENCES, Known
from musictag.stores.stored import StoredFields, StoredHearing

if TYPE_CHECKING:
    from musictag.scan.job import Job
    from musictag.scan.ports import AnyDecoder, AnyMetadata, Samples
    from musictag.selection import Selection

log = logging.getLogger(__name__)


class Reading:
    """Reads files for a scan."""

    def __init__(
        self,
        known: Known,
        metadata: AnyMetadata,
        *,
        n_segments: int | None,
        writes: bool,
        selection: Selection | None = None,
    ) -> None:
        self._known = known
        self._metadata = metadata
        self._n_segments = n_segments
        self._writes = writes
        self._selection = selection or None
        self._cleared: str | None = None

    def is_remembered(self, job: Job) -> bool:
        """Look the file up; True if the scan need not open it."""
        if self._selection is not None and self._selection.wants(job.path, None) is False:
            job.is_left_out = True
            return True
        if self._writes:
            folder = os.path.dirname(job.path)  # noqa: PTH120  # faster, for a million files
            if folder != self._cleared:
                self._metadata.clear_leftovers(job.path)
                self._cleared = folder
        job.file = self._known.file(job.path)
        if job.file.fields is not None and self._is_left_out(job, job.file.fields):
            return True
        return job.file.fields is not None and job.file.hearing is not None

    def _is_left_out(self, job: Job, fields: StoredFields) -> bool:
        """Whether the scan is not about a file with these fields."""
        if self._selection is not None:
            known = {**fields.about, **fields.values}
            job.is_left_out = not self._selection.wants(job.path, known)
        return job.is_left_out

    def segments(self, job: Job, decoder: AnyDecoder) -> Iterator[Samples]:
        """File → samples → segments; none if the track was heard before, or is heard elsewhere.

        The metadata is read before the sound: a file whose header cannot be parsed is never
        written, so it is not heard either.
        """
        file = job.file = self._known.file(job.path)  # it may have changed since it was looked up
        try:
            fields = file.fields or read_fields(self._metadata, job.path)
        except FileError:
            self._check_sound(job, decoder)
            if job.hearing is None:
                raise
            return
        job.file = file = replace(file, fields=fields)
        if self._is_left_out(job, fields):
            return
        if file.content is None:
            try:
                content = decoder.payload_digest(job.path)
            except FileError as error:
                if error.code not in FATAL:
                    raise
                _note_fatal(job, error)
                return
            file = replace(file, content=content, hearing=self._known.hearing(content))
            job.file = file
        if file.hearing is None:
            yield from self._decoded(job, decoder)

    def _decoded(self, job: Job, decoder: AnyDecoder) -> Iterator[Samples]:
        track = decoder.track(job.path, n_segments=self._n_segments)
        try:
            yield from track.segments()
        except FileError as error:
            if error.code in SILENCES:
                duration_s = track.duration_s or 0.0
                job.heard = StoredHearing(duration_s, (), error.code, SILENCES[error.code])
            elif error.code in DAMAGES:
                job.heard = StoredHearing(0.0, (), error.code, error.message)
            else:
                raise
        finally:
            log.debug("%s: decoded by %s", job.path, track.decoder or "nobody")
        job.duration_s = track.duration_s
        job.taggram.extend(track.taggram)
        job.n_heard_elsewhere = len(track.taggram)
        for summaries in track.summaries:
            job.summing.add(summaries)

    def _check_sound(self, job: Job, decoder: AnyDecoder) -> None:
        """For a file whose metadata cannot be parsed: FileError if there is no music in it, which
        is the better explanation.

        A file that kills its decoder is remembered, so that not every scan tries it again.
        """
        assert job.file is not None
        if job.file.hearing is not None and job.file.hearing.code in FATAL:
            job.file = replace(job.file, is_stored=True)
            return
        job.file = replace(job.file, hearing=None)
        try:
            for _ in decoder.track(job.path).segments(most=1):
                pass
        except FileError as error:
            if error.code in FATAL:
                _note_fatal(job, error)
            elif error.code in DAMAGES:
                raise


def read_fields(metadata: AnyMetadata, path: Path) -> StoredFields:
    """The fields of a file; FileError for metadata that cannot be parsed."""
    try:
        values = metadata.read(path, also=(*ABOUT, *MORE))
    except FileError as error:
        if error.code != "no_tags":
            raise
        return StoredFields({}, error.code, error.message)
    about = {name: values[name] for name in ABOUT if values.get(name)}
    more = {name: values[name] for name in MORE if values.get(name)}
    four = {name: values.get(name, ()) for name in FIELDS}
    return StoredFields({**four, **more}, about=about)


def _note_fatal(job: Job, error: FileError) -> None:
    """Identify a file that no decoder survives by all its bytes: which are music is not known."""
    assert job.file is not None
    if job.file.content is None:
        job.file = replace(job.file, content=file_digest(job.path))
    job.heard = StoredHearing(0.0, (), error.code, error.message)
