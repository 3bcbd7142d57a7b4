"""Which tracks may not vouch for each other, and the parts of a cross-validation.

Tracks of one album or of one artist sound alike for reasons that no other music has. Groups are
the connected components of tracks that share an album or an artist (or the very same sound), so
that two groups have neither in common.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from musictag.training.own.words import key_of
from musictag.training.scores import Mask

Numbers = NDArray[np.intp]

COMPILATION = 5
"""Different artists from which on an album is a compilation: it does not tie its artists, or half
of a library would be one group."""
NOBODY = frozenset({"", "va", "various", "variousartists", "unknown", "unknownartist"})
"""Keys of artists that are none."""


@dataclass(frozen=True)
class Origin:
    """Where a track comes from."""

    album: str = ""
    artists: tuple[str, ...] = ()
    album_artist: str = ""
    folder: str = ""
    """Stands for the album where none is named, and tells albums of one name apart."""
    sound: bytes = b""
    """Digest of the sound; tracks of the same sound are never apart."""


def groups(origins: Sequence[Origin]) -> tuple[Numbers, Numbers]:
    """Each track's group and each track's album, both numbered from 0: (n,) and (n,)."""
    albums = _numbered([_album(origin) for origin in origins])
    artists = [_artists(origin) for origin in origins]
    of_album: dict[int, set[str]] = defaultdict(set)
    for album, some in zip(albums.tolist(), artists, strict=True):
        of_album[album] |= some
    components = _Components()
    for track, (origin, album, some) in enumerate(
        zip(origins, albums.tolist(), artists, strict=True)
    ):
        ties: list[object] = [("artist", artist) for artist in some]
        if len(of_album[album]) < COMPILATION or not some:
            ties.append(("album", album))
        if origin.sound:
            ties.append(("sound", origin.sound))
        for tie in ties:
            components.join(track, tie)
    return _numbered([components.root(track) for track in range(len(origins))]), albums


def folds(group: Numbers, labels: Mask, n_folds: int, *, seed: int = 0) -> Numbers:
    """Each track's part of a cross-validation, (n,); a group is in one part.

    Large groups are placed first, each where its words are most wanting.
    """
    group = np.unique(group, return_inverse=True)[1]  # numbered from 0
    n_groups = int(group.max()) + 1
    counts = np.zeros((n_groups, labels.shape[1] + 1))  # of each word, and of tracks
    np.add.at(counts, group, np.concatenate([labels, np.ones((len(labels), 1))], axis=1))
    counts /= np.maximum(counts.sum(axis=0), 1)
    order = np.random.default_rng(seed).permutation(n_groups)
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    part_of = np.zeros(n_groups, dtype=np.intp)
    filled = np.zeros((n_folds, counts.shape[1]))
    for one in order:
        own = counts[one]
        part = int(np.argmin((filled * own).sum(axis=1)))
        part_of[one] = part
        filled[part] += own
    found: Numbers = part_of[group]
    return found


def n_apart(group: Numbers, labels: Mask) -> Numbers:
    """In how many groups each word is, (K,)."""
    found = [len(np.unique(group[labels[:, k]])) for k in range(labels.shape[1])]
    return np.array(found, dtype=np.intp)


def _album(origin: Origin) -> object:
    """What albums are told apart by. Many artists have a "Greatest Hits"."""
    album = key_of(origin.album) or origin.album.strip()
    if not album:
        # without an album, an artist's loose tracks in a folder are no album of others
        return origin.folder, key_of(origin.artists[0]) if origin.artists else ""
    artist = key_of(origin.album_artist)
    return album, origin.folder if artist in NOBODY else artist


def _artists(origin: Origin) -> set[str]:
    keys = map(key_of, (*origin.artists, origin.album_artist))
    return {key for key in keys if key not in NOBODY}


def _numbered(things: Iterable[object]) -> Numbers:
    number: dict[object, int] = {}
    return np.array([number.setdefault(thing, len(number)) for thing in things], dtype=np.intp)


class _Components:
    """Things that were joined, directly or by way of others."""

    def __init__(self) -> None:
        self._above: dict[object, object] = {}

    def root(self, thing: object) -> object:
        path = [thing]
        while (above := self._above.setdefault(path[-1], path[-1])) != path[-1]:
            path.append(above)
        for passed in path:
            self._above[passed] = path[-1]
        return path[-1]

    def join(self, one: object, other: object) -> None:
        self._above[self.root(one)] = self.root(other)
