"""Tracks that sound alike: arithmetic by hand, albums and artists."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from musictag.library import similar
from musictag.library.collection import Track
from musictag.library.similar import Neighbours, without_relatives
from musictag.stores import summary


def track(
    name: str, mean: Sequence[float], *, album: str = "", artist: str = "", by: str = ""
) -> Track:
    about = {"ALBUM": album, "ARTIST": artist, "ALBUMARTIST": by}
    return Track(
        Path("/music", name),
        60.0,
        (),
        summary.pack(np.array(mean), np.zeros(len(mean))),
        about={key: (value,) for key, value in about.items() if value},
    )


def names(found: Sequence[tuple[float, Track]]) -> list[str]:
    return [track.path.name for _, track in found]


def summed(*tracks: Track) -> list[bytes]:
    return [one.summary for one in tracks if one.summary is not None]


def test_cosines_are_those_of_standardised_summaries() -> None:
    """(1, 100), (-1, 100), (1, -100), (-1, -100) become (±1, ±1): both numbers count alike."""
    a, b, c, d = (
        track(name, mean)
        for name, mean in {"a": (1, 100), "b": (-1, 100), "c": (1, -100), "d": (-1, -100)}.items()
    )
    found = Neighbours([a, b, c, d]).nearest(summed(a))
    assert names(found) == ["a", "b", "c", "d"]
    assert [cosine for cosine, _ in found] == pytest.approx([1, 0, 0, -1], abs=1e-6)
    several = Neighbours([a, b, c, d]).nearest(summed(a, b))
    assert [cosine for cosine, _ in several] == pytest.approx(
        [0.5**0.5, 0.5**0.5, -(0.5**0.5), -(0.5**0.5)], abs=1e-6
    )


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 6))
    tracks = [track(str(n), row) for n, row in enumerate(rows)]
    whole = Neighbours(tracks).nearest(summed(tracks[7]))
    monkeypatch.setattr(similar, "_BLOCK", 7)
    blocks = Neighbours(tracks).nearest(summed(tracks[7]))
    assert names(whole) == names(blocks)
    assert [c for c, _ in whole] == pytest.approx([c for c, _ in blocks], abs=1e-6)


def test_one_track_and_none_are_collections_too() -> None:
    alone = track("a", (1, 2))
    assert [cosine for cosine, _ in Neighbours([alone]).nearest(summed(alone))] == [0.0]
    assert Neighbours([]).nearest(summed(alone)) == []


def test_a_summary_of_another_model_is_not_compared() -> None:
    short, long = track("a", (1, 2)), track("b", (1, 2, 3))
    assert names(Neighbours([short, long]).nearest(summed(short))) == ["a"]
    with pytest.raises(ValueError, match="another model"):
        Neighbours([short]).nearest(summed(long))


def test_relatives_are_left_out_on_request() -> None:
    like = track("a", (1,), album="Blue", artist="X")
    found = [
        (1.0, like),
        (0.9, track("b", (1,), album="Blue", artist="X")),
        (0.8, track("c", (1,), album="Red", artist="x")),
        (0.7, track("d", (1,), artist="Y")),
        (0.6, track("e", (1,))),
    ]
    assert names(without_relatives(found, [like])) == ["b", "c", "d", "e"]
    assert names(without_relatives(found, [like], same_album=False)) == ["c", "d", "e"]
    assert names(without_relatives(found, [like], same_artist=False)) == ["d", "e"]
    assert names(without_relatives(found, [found[4][1]], same_album=False)) == ["a", "b", "c", "d"]


def test_albums_of_one_name_by_two_are_two() -> None:
    one = track("a", (1,), album="Greatest Hits", by="Queen")
    other = track("b", (1,), album="Greatest Hits", by="Abba")
    found = [(1.0, other), (0.9, track("c", (1,), album="greatest hits", by="queen"))]
    assert names(without_relatives(found, [one], same_album=False)) == ["b"]
