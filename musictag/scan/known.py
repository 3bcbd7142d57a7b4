"""What is remembered of files, and under which keys."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from musictag.audio.decoder import FATAL
from musictag.errors import FileError
from musictag.scan.job import File, Job
from musictag.stores.cache import Cache
from musictag.stores.stored import StoredHearing

if TYPE_CHECKING:
    from musictag.hearing.checkpoint import Checkpoint

log = logging.getLogger(__name__)

HEARING = 1
"""Version of how audio is decoded and cut into segments. Raise it when the same audio and
checkpoint come to be heard differently: files are then heard again."""

READING = 2
"""Version of how metadata is read. Raise it when the same metadata comes to be read differently."""

SILENCES = {
    "silent": "there is only silence in it",
    "too_short": "it is shorter than one second",
}
"""Codes and messages of files in which nothing is wrong and nothing can be heard."""
_HEARD = frozenset({"", *SILENCES})
DAMAGES = frozenset({"corrupt", "mislabelled", "no_decoder", "truncated", *FATAL})
"""Codes of failures that the same bytes and the same decoders always end in."""


class Known:
    """Looks files up in the cache, and remembers what a scan finds out about them."""

    def __init__(self, cache: Cache, checkpoint: Checkpoint, *, segments: int | None) -> None:
        self._cache = cache
        self._name, self._digest = checkpoint.name, checkpoint.digest
        self._n_tags = len(checkpoint.tags)
        self._is_new: bool | None = None
        self._key = f"{HEARING}:{self._digest}:{segments or 'all'}"
        self._key_of_damage = f"{self._key}:{_decoders()}"
        self._keys = (self._key, self._key_of_damage)
        self._reader = f"{READING}:{_version('mutagen')}"

    def file(self, path: Path) -> File:
        """The file as it is now, with what is remembered of exactly that; FileError if it is no
        regular file with something in it."""
        now = stat_of(path)
        known = self._cache.known(path, now, self._reader, self._keys)
        if known is None:
            return File(now)
        hearing = self._plausible(known.heard)
        if hearing is None and self._is_new is None:
            self._note_new_model(known.content)
        return File(now, known.content, known.fields, hearing, is_stored=known.complete)

    def hearing(self, content: bytes) -> StoredHearing | None:
        """What was heard in this sound, whichever file it was in."""
        return self._plausible({key: self._cache.heard(content, key) for key in self._keys})

    def _note_new_model(self, content: bytes) -> None:
        """Say once that a library which another model has heard is heard again."""
        models = {key.split(":")[1] for key in self._cache.keys(content) if key.count(":") > 1}
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
                if len(hearing.probabilities) == n_tags:
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


def _decoders() -> str:
    """Versions of the decoding libraries: a new one may read what the old one could not."""
    return ",".join(map(_version, ("av", "soundfile", "audioread")))


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:  # bundled without its papers
        return "unknown"
