"""Tracks as they are remembered: looked up in the cache, never opened."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from musictag.errors import FileError
from musictag.stores import keys
from musictag.stores.cache import Cache
from musictag.stores.stored import StoredFile, StoredHearing


@dataclass(frozen=True)
class Track:
    """What is remembered of a file that has not changed since."""

    path: Path
    duration_s: float
    probabilities: tuple[float, ...]
    """In the order of the model's tags."""
    summary: bytes | None = None
    """What the network made of it, packed (see `stores.summary`), if it was asked for."""
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Field → values in the file, for our four fields; empty if they are to be read again."""
    about: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The same for TITLE, ARTIST, ALBUM and ALBUMARTIST."""
    sound: bytes = b""
    """Digest of its sound."""
    is_read: bool = True
    """Whether fields are known; if not, they are to be read again."""

    @property
    def album(self) -> tuple[object, ...] | None:
        """What tells its album from others: the name and by whom it is; None without a name."""
        name = self.about.get("ALBUM", ())
        if not name:
            return None
        by = self.about.get("ALBUMARTIST") or ("", str(self.path.parent))
        return tuple(map(str.casefold, (*name, *by)))

    @property
    def artists(self) -> frozenset[str]:
        """Names of its artists, in small letters."""
        return frozenset(map(str.casefold, self.about.get("ARTIST", ())))


@dataclass
class Missing:
    """Files of which too little is remembered."""

    unheard: list[Path] = field(default_factory=list)
    """Never heard by this model, or changed since."""
    unsummed: list[Path] = field(default_factory=list)
    """Heard when summaries were not yet remembered."""
    without_music: list[Path] = field(default_factory=list)
    """Silent, too short or damaged."""
    unlisted: list[FileError] = field(default_factory=list)
    """Folders that cannot be listed."""
    n_gone: int = 0


class Collection:
    """What one model heard in the files that the cache remembers."""

    def __init__(
        self,
        cache: Cache,
        digest: str,
        tags: Sequence[str],
        *,
        segments: int | None = None,
    ) -> None:
        self._cache = cache
        self._key = keys.hearing(digest, segments)
        self._keys = (self._key, keys.damage(self._key))
        self._reader = keys.reader()
        self.tags = tuple(tags)

    def tracks(
        self,
        paths: Iterable[Path | FileError] | None = None,
        *,
        summaries: bool = False,
        missing: Missing | None = None,
    ) -> Iterator[Track]:
        """The tracks at these paths, or all that are remembered; others are noted in `missing`.

        With `summaries` only tracks that have one.
        """
        missing = Missing() if missing is None else missing
        for path in self._cache.paths() if paths is None else paths:
            if isinstance(path, FileError):
                missing.unlisted.append(path)
                continue
            track = self._track(path, summaries=summaries, missing=missing)
            if track is not None:
                yield track

    def _track(self, path: Path, *, summaries: bool, missing: Missing) -> Track | None:
        try:
            now = path.stat()
        except (OSError, ValueError):
            missing.n_gone += 1
            return None
        known = None
        if stat.S_ISREG(now.st_mode):
            known = self._cache.known(path, now, self._reader, self._keys, summaries=summaries)
        heard = None if known is None else self._heard(known)
        if known is None or heard is None:
            missing.unheard.append(path)
        elif heard.code:
            missing.without_music.append(path)
        elif summaries and heard.summary is None:
            missing.unsummed.append(path)
        else:
            fields = known.fields
            return Track(
                path,
                heard.duration_s,
                heard.probabilities,
                heard.summary,
                {} if fields is None else fields.values,
                {} if fields is None else fields.about,
                known.content,
                fields is not None,
            )
        return None

    def _heard(self, known: StoredFile) -> StoredHearing | None:
        for key in self._keys:
            heard = known.heard.get(key)
            if heard is not None and len(heard.probabilities) == (
                0 if heard.code else len(self.tags)
            ):
                return heard
        return None
