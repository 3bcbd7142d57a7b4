"""Tracks that sound alike, by the cosine of their standardised summaries.

A summary has a mean and a spread for each number that the network's last layer sees. Over the
collection every one of them is brought to mean 0 and deviation 1, so that those count alike that
differ much and those that differ little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from musictag.library.collection import Track

_BLOCK = 4096
"""Tracks that are compared at once, so that only so many stand in memory as float32."""


class Neighbours:
    """The summaries of a collection, 4 · S bytes each."""

    def __init__(self, tracks: Sequence[Track]) -> None:
        """Tracks with a summary; those whose summary has not the length of the first are left
        out."""
        summaries = [track.summary for track in tracks if track.summary is not None]
        length = len(summaries[0]) if summaries else 0
        self.tracks = [t for t in tracks if t.summary is not None and len(t.summary) == length]
        packed = b"".join(t.summary for t in self.tracks if t.summary is not None)
        self._summaries = np.frombuffer(packed, "<f2").reshape(-1, length // 2 or 1)  # (n, 2S)
        self._center, self._scale = self._moments()

    def _moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        n, size = self._summaries.shape
        total, squares = np.zeros(size), np.zeros(size)
        for start in range(0, n, _BLOCK):
            block = self._summaries[start : start + _BLOCK].astype(np.float32)
            total += block.sum(axis=0, dtype=np.float64)
            squares += np.square(block, out=block).sum(axis=0, dtype=np.float64)
        center = total / max(1, n)
        deviation = np.sqrt(np.maximum(squares / max(1, n) - center * center, 0.0))
        # what does not differ in the collection tells nothing in it
        return center, np.where(deviation > 1e-6, deviation, np.inf)

    def nearest(self, like: Sequence[bytes]) -> list[tuple[float, Track]]:
        """All tracks, the most alike first, with the cosine to the mean of these summaries.

        ValueError for a summary of another model.
        """
        if not self.tracks:
            return []
        size = self._summaries.shape[1]
        if any(len(summary) != 2 * size for summary in like):
            raise ValueError("a summary of another model")
        query = self._standardised(np.frombuffer(b"".join(like), "<f2").reshape(-1, size))
        wanted = _normal(query.mean(axis=0, keepdims=True))[0]
        cosines = np.concatenate(
            [
                self._standardised(self._summaries[start : start + _BLOCK]) @ wanted
                for start in range(0, len(self.tracks), _BLOCK)
            ]
        )
        order = np.argsort(-cosines, kind="stable")
        return [(float(cosines[i]), self.tracks[i]) for i in order]

    def _standardised(self, summaries: NDArray[np.float16]) -> NDArray[np.float32]:
        """(b, 2S) -> each row of length 1."""
        block = summaries.astype(np.float32)
        block -= self._center.astype(np.float32)
        block /= self._scale.astype(np.float32)
        return _normal(block)


def _normal(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """These rows, in place, each of length 1."""
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    lengths[lengths == 0] = 1
    rows /= lengths
    return rows


def without_relatives(
    found: Sequence[tuple[float, Track]],
    like: Sequence[Track],
    *,
    same_album: bool = True,
    same_artist: bool = True,
) -> list[tuple[float, Track]]:
    """Leave out the tracks themselves and, unless wanted, those of their albums and artists.

    A track whose album or artist nobody has named is of no album or artist of the others.
    """
    paths = {track.path.absolute() for track in like}
    albums = {track.album for track in like} - {None}
    artists = frozenset().union(*(track.artists for track in like))
    return [
        (cosine, track)
        for cosine, track in found
        if track.path.absolute() not in paths
        and (same_album or track.album not in albums)
        and (same_artist or not track.artists & artists)
    ]
