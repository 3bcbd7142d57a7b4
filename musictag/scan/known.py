"""What is remembered of files, and under which keys."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from musictag.audio.decoder import FATAL
from musictag.errors import FileError
from musictag.scan.job import File, Job
from musictag.stores import keys
from musictag.stores.cache import Cache
from musictag.stores.stored import StoredHearing

if TYPE_CHECKING:
    from musictag.hearing.checkpoint import Checkpoint

log = logging.getLogger(__name__)

SILENCES = {
    "silent": "there is only silence in it",
    "too_short": "it is shorter than one second",
}
"""Codes and messages of files in which nothing is wrong and nothing can be heard."""
_HEARD = frozenset({"", *SILENCES})
DAMAGES = frozenset({"corrupt", "mislabelled", "no_decoder", "truncated", *FATAL})
"""Codes of failures that the same bytes and the same decoders always end in."""


class Known:
    """Looks files up in the cache, and remembers what a scan finds out about them.

    With `need_summary` a track of which no summary is remembered counts as not heard.
    """

    def __init__(
        self,
        cache: Cache,
        checkpoint: Checkpoint,
        *,
        segments: int | None,
        need_summary: bool = False,
    ) -> None:
        self._cache = cache
        self._name, self._digest = checkpoint.name, checkpoint.digest
        self._n_tags = len(checkpoint.tags)
        self._is_new: bool | None = None
        self._need_summary = need_summary
        self._key = keys.hearing(self._digest, segments)
        self._key_of_damage = keys.damage(self._key)
        self._keys = (self._key, self._key_of_damage)
        self._reader = keys.reader()

    def file(self, path: Path) -> File:
        """The file as it is now, with what is remembered of exactly that; FileError if it is no
        regular file with something in it."""
        now = stat_of(path)
        known = self._cache.known(path, now, self._reader, self._keys, summaries=self._need_summary)
        if known is None:
            return File(now)
        hearing = self._plausible(known.heard)
        if hearing is None and self._is_new is None:
            self._note_new_model(known.content)
        return File(now, known.content, known.fields, hearing, is_stored=known.complete)

    def hearing(self, content: bytes) -> StoredHearing | None:
        """What was heard in this sound, whichever file it was in."""
        need = self._need_summary
        return self._plausible(
            {key: self._cache.heard(content, key, with_summary=need) for key in self._keys}
        )

    def _note_new_model(self, content: bytes) -> None:
        """Say once that a library which another model has heard is heard again."""
        models = {keys.digest(key) for key in self._cache.keys(content)} - {None}
        if not models:
            return
        self._is_new = self._digest not in models
        if self._is_new:
            log.warning(
                "%s is a new model here: what another one heard is heard again, this once",
                self._name,
            )

    def _plausible(self, stored: Mapping[str, StoredHearing | None]) -> StoredHearing | None:
        """The hearing that this model can have had: the cache may be damaged."""
        for key, codes in zip(self._keys, (_HEARD, DAMAGES), strict=True):
            hearing = stored.get(key)
            if hearing is not None and hearing.code in codes:
                n_tags = 0 if hearing.code else self._n_tags
                lacks = self._need_summary and not hearing.code and hearing.summary is None
                if len(hearing.probabilities) == n_tags and not lacks:
                    return hearing
        return None

    def remember(self, job: Job) -> None:
        """Store what this scan found out about a file and its sound."""
        file = job.file
        if file is None or file.content is None:
            return
        if job.heard is not None:
            key = self._key_of_damage if job.heard.code in DAMAGES else self._key
            self._cache.remember_heard(file.content, key, job.heard)
        if not file.is_stored:
            self.remember_file(job.path, file)

    def remember_file(self, path: Path, file: File) -> None:
        if file.content is not None:
            self._cache.remember_content(
                path, file.stat, file.content, file.fields, reader=self._reader
            )


def stat_of(path: Path) -> os.stat_result:
    """The stat of a regular file that is not empty; FileError for anything else."""
    try:
        result = path.stat()
    except OSError as error:
        raise FileError.of_system(path, error, "cannot be opened") from error
    except ValueError as error:  # a NUL in the name, from a list
        raise FileError(path, "not_found", "no file can have such a name") from error
    if not stat.S_ISREG(result.st_mode):
        kind = "it is a folder" if stat.S_ISDIR(result.st_mode) else "it is not a regular file"
        raise FileError(path, "not_a_file", kind)
    if result.st_size == 0:
        raise FileError(path, "empty", "the file is empty", cure="restore it or delete it")
    return result
