"""One genre per album: its tracks wait for each other, and get what was heard in all of them.

    for outcome in Albums(settling, known, metadata, stopped).outcomes(jobs):
        ...                                    # in the order of the jobs

Tracks of one folder, or of the disc folders in one, come together, because a walk keeps them
together; at most MOST_TRACKS of them are held. Tracks beside them that this scan does not cover
count, too, if they are remembered: a part of an album gets the same genre as all of it, once all of
it has been heard.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING

from musictag.errors import FileError
from musictag.files import EXTENSIONS
from musictag.outcome import Album, Discarded, Outcome
from musictag.scan.job import File, Job
from musictag.scan.reading import read_fields

if TYPE_CHECKING:
    from musictag.scan.known import Known
    from musictag.scan.ports import AnyMetadata
    from musictag.scan.settling import Settling

MOST_TRACKS = 2000
"""A folder with more tracks than this holds no album that could be waited for."""

_DISC_FOLDER = re.compile(r"(cd|dis[ck]|disque|disco)[ ._-]*\d{1,3}\b.*", re.IGNORECASE)
_DISC_IN_TITLE = re.compile(r"[ ,:-]*[(\[]?\b(cd|dis[ck])[ ._-]*\d{1,3}[)\]]?$", re.IGNORECASE)
_GUESTS = re.compile(r"\s+[(\[]?(feat|ft|featuring)\b.*", re.IGNORECASE)
_VARIOUS = frozenset(
    {"various artists", "various", "va", "v.a.", "v. a.", "v/a", "artistes divers", "artisti vari"}
    | {"diverse interpreten", "diverse", "verschiedene interpreten", "varios artistas"}
)
"""What stands for the artist of a compilation."""


@dataclass(frozen=True)
class _Track:
    """A track of an album, whether this scan covers it or not."""

    path: Path
    probabilities: Mapping[str, float] | None
    """None if it was not heard, or is no music."""
    about: Mapping[str, tuple[str, ...]]
    genres: tuple[str, ...]
    """Genres in the file that stay."""

    def says(self, field: str) -> str:
        """The first value of a field that says which music this is."""
        return next(iter(self.about.get(field, ())), "")

    @property
    def album(self) -> tuple[str, str]:
        """Title and artist of its album as they are compared; empty if it does not say."""
        title = _DISC_IN_TITLE.sub("", self.says("ALBUM")).casefold()
        return title, self.says("ALBUMARTIST").casefold() if title else ""


class Albums:
    """Settles tracks album by album."""

    def __init__(
        self,
        settling: Settling,
        known: Known,
        metadata: AnyMetadata,
        stopped: Callable[[], bool],
    ) -> None:
        self._settling = settling
        self._known = known
        self._metadata = metadata
        self._stopped = stopped

    def outcomes(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        """One outcome per job, in their order; none more once stopped."""
        for place, together in groupby(jobs, key=lambda job: place_of(job.path)):
            beside = _tracks_in(place)
            if len(beside) > MOST_TRACKS:
                yield from map(self._settling.outcome, together)
                continue
            while held := self._held(islice(together, MOST_TRACKS)):
                albums = self._albums(place, held, beside)
                for job, _ in held:
                    if self._stopped():
                        return
                    yield self._settling.outcome(job, albums.get(job.path))

    def _held(self, jobs: Iterable[Job]) -> list[tuple[Job, Mapping[str, float] | None]]:
        held: list[tuple[Job, Mapping[str, float] | None]] = []
        for job in jobs:
            held.append((job, self._settling.heard(job)))
            job.taggram.clear()  # what is held is small, however long the tracks are
        return held

    def _albums(
        self,
        place: Path,
        held: Sequence[tuple[Job, Mapping[str, float] | None]],
        beside: Iterable[Path],
    ) -> dict[Path, Album]:
        """Path → album, for tracks of albums that get one genre."""
        here = {job.path for job, _ in held}
        tracks = [self._track(job.path, job.file, heard) for job, heard in held]
        others = (self._beside(path) for path in beside if path not in here)
        tracks += [track for track in others if track is not None]
        tracks.sort(key=lambda track: os.fsencode(track.path))  # sums do not depend on the part
        found: dict[Path, Album] = {}
        for members in _grouped(place, tracks):
            if not _is_compilation(members) and (album := self._album(members)):
                found.update(dict.fromkeys((track.path for track in members), album))
        return found

    def _track(
        self, path: Path, file: File | None, probabilities: Mapping[str, float] | None
    ) -> _Track:
        if file is None or file.fields is None:
            return _Track(path, None, {}, ())
        genres: tuple[str, ...] = ()
        with suppress(FileError):  # its outcome will tell
            genres = self._settling.genres_to_keep(path, file)
        return _Track(path, probabilities, file.fields.about, genres)

    def _beside(self, path: Path) -> _Track | None:
        """A track that this scan does not cover, if it is remembered."""
        try:
            file = self._known.file(path)
            hearing = file.hearing
            if hearing is None:
                return None
            if file.fields is None:  # a system that does not tell when it was changed
                file = replace(file, fields=read_fields(self._metadata, path))
            return self._track(path, file, self._settling.music(hearing))
        except FileError:
            return None

    def _album(self, members: Sequence[_Track]) -> Album | None:
        """What the members share; None if fewer than two were heard."""
        heard = [track.probabilities for track in members if track.probabilities is not None]
        if len(heard) < 2:
            return None
        mean = {tag: sum(track[tag] for track in heard) / len(heard) for tag in heard[0]}
        discarded: list[Discarded] = []
        chosen = self._settling.chosen(mean, discarded)
        kept = _kept(members)
        first = members[0]
        title = _DISC_IN_TITLE.sub("", first.says("ALBUM")) or first.path.parent.name
        artists = Counter(artist for track in members if (artist := _artist(track)))
        artist = first.says("ALBUMARTIST") or next(iter(artists.most_common(1)), ("", 0))[0]
        return Album(
            title,
            artist,
            len(heard),
            kept or chosen["GENRE"],
            styles=chosen.get("STYLE", ()),
            probabilities=mean,
            is_kept=bool(kept),
            discarded=tuple(found for found in discarded if found.field == "GENRE"),
        )


def place_of(path: Path) -> Path:
    """The folder that holds the whole album of a track: above the one of its disc."""
    folder = path.parent
    return folder.parent if _DISC_FOLDER.fullmatch(folder.name) else folder


def _tracks_in(place: Path) -> list[Path]:
    """Music in a folder and in the disc folders in it; none where they cannot be listed."""
    folders, found = [place], []
    with suppress(OSError):
        with os.scandir(place) as entries:
            folders += [Path(e) for e in entries if _DISC_FOLDER.fullmatch(e.name) and e.is_dir()]
        for folder in folders:
            with os.scandir(folder) as entries:
                names = (e.name for e in entries if not e.name.startswith("."))
                found += [folder / n for n in names if Path(n).suffix.lower() in EXTENSIONS]
    return found


def _grouped(place: Path, tracks: Sequence[_Track]) -> Iterator[list[_Track]]:
    """The tracks of each album. Where a folder holds one album alone, its tracks that do not say
    theirs belong to it; else they belong to their folder."""
    named = {track.album for track in tracks} - {("", "")}
    groups: dict[object, list[_Track]] = defaultdict(list)
    for track in tracks:
        album: object = track.album
        if album == ("", ""):
            alone = len(named) == 1 and track.path.parent == place
            album = next(iter(named)) if alone else track.path.parent
        groups[album].append(track)
    yield from groups.values()


def _is_compilation(members: Sequence[_Track]) -> bool:
    """Whether its tracks are by different artists: none of them has made more than half."""
    names = {track.says("ALBUMARTIST").casefold() for track in members} - {""}
    if names:
        return not names.isdisjoint(_VARIOUS)
    artists = Counter(artist.casefold() for track in members if (artist := _artist(track)))
    return bool(artists) and max(artists.values()) * 2 <= sum(artists.values())


def _artist(track: _Track) -> str:
    return _GUESTS.sub("", track.says("ARTIST"))


def _kept(members: Sequence[_Track]) -> tuple[str, ...]:
    """The genre that at least half of the tracks have from somebody else, all of those the same."""
    tagged = [track.genres for track in members if track.genres]
    if len(tagged) * 2 < len(members):
        return ()
    different = {tuple(sorted(genre.casefold() for genre in genres)) for genres in tagged}
    return tagged[0] if len(different) == 1 else ()
