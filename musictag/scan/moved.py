"""Files that were moved or renamed since they were written: they are known by their sound."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from musictag import files
from musictag.errors import FileError
from musictag.stores.cache import Cache

log = logging.getLogger(__name__)


class Sounds:
    """Finds files by their sound, below folders.

    A folder is looked through when something is first searched in it, and one kind of file
    after the other. Unchanged files that a scan has met are known by the cache; all others are
    read.
    """

    def __init__(
        self,
        cache: Cache,
        payload_digest: Callable[[Path], bytes],
        *,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._cache = cache
        self._payload_digest = payload_digest
        self._stopped = stopped
        self._found: dict[tuple[Path, str], dict[bytes, list[Path]]] = {}

    def of(self, path: Path) -> bytes | None:
        """The digest of a file's sound; FileError if it cannot be read."""
        try:
            content = self._cache.content(path, path.stat())
        except OSError as error:
            raise FileError.of_system(path, error, "cannot be opened") from error
        return content or self._payload_digest(path)

    def is_in(self, path: Path, payload: bytes) -> bool:
        """Whether this file can be read and has this sound."""
        try:
            return self.of(path) == payload
        except FileError:
            return False

    def below(self, folders: Sequence[Path], payload: bytes, suffix: str) -> list[Path]:
        """Files with this sound and this ending, each once, in the order of a scan."""
        found: dict[str, Path] = {}
        for folder in folders:
            kind = folder, suffix.lower()
            if kind not in self._found:
                self._found[kind] = self._looked_through(*kind)
            for path in self._found[kind].get(payload, ()):
                found.setdefault(os.path.realpath(path), path)
        return list(found.values())

    def _looked_through(self, folder: Path, suffix: str) -> dict[bytes, list[Path]]:
        log.warning("looking for moved %s files in %s", suffix or "unnamed", os.fspath(folder))
        found: dict[bytes, list[Path]] = {}
        for path in files.walk([folder]):
            if self._stopped():
                break
            if isinstance(path, Path) and (path.suffix.lower() == suffix or path == folder):
                try:
                    sound = self.of(path)
                except FileError as error:
                    log.info("%s", error)
                    continue
                if sound is not None:
                    found.setdefault(sound, []).append(path)
        return found


def folders_to_search(paths: Sequence[Path], missing: Path) -> list[Path]:
    """Where to look for a missing file of a run that wrote `paths`: in the folder that holds them
    all; where that is gone, in what is left above it, unless that is a home or holds disks."""
    try:
        shared = Path(os.path.commonpath([os.fspath(path.parent) for path in paths]))
    except ValueError:  # on several drives
        shared = missing.parent
    if shared == Path(shared.anchor):
        shared = missing.parent
    folder = shared
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    if folder != shared:
        home = Path(os.path.expanduser("~"))  # noqa: PTH111  # leaves ~ alone if nobody is at home
        least = {"media": 4, "run": 5}.get(folder.parts[1] if folder.parts[1:] else "", 3)
        if folder in {home, *home.parents} or len(folder.parts) < least:
            return []
    return [folder] if folder != Path(folder.anchor) else []
