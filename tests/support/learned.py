"""Tracks with words that can be heard in their summaries, and a head for a tiny model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from musictag.hearing import checkpoint, own
from musictag.hearing.checkpoint import Checkpoint
from musictag.hearing.head import Head
from musictag.stores import cache as caches
from musictag.stores import keys, summary
from musictag.stores.cache import Cache
from musictag.stores.stored import StoredFields, StoredHearing
from musictag.training.own.groups import Origin
from musictag.training.own.learning import Track
from musictag.vocabulary import Value, Vocabulary

N_SUMMARY = 12


def tracks(
    n_albums: int = 40, words: Sequence[str] = ("Rock", "Jazz", "Dub"), seed: int = 0
) -> list[Track]:
    """Five tracks of each album, whose artist has one word only. Word k shows in number k of the
    summary; an album also has a sound of its own."""
    rng = np.random.default_rng(seed)
    found = []
    for album in range(n_albums):
        k = album % len(words)
        own_sound = rng.normal(size=N_SUMMARY) * 0.5
        for _ in range(5):
            mean = rng.normal(size=N_SUMMARY) * 0.5 + own_sound
            mean[k] += 3
            spread = np.abs(rng.normal(size=N_SUMMARY))
            origin = Origin(f"Album {album}", (f"Artist {album // len(words)} {k}",))
            found.append(
                Track((words[k],), mean.astype(np.float32), spread.astype(np.float32), origin)
            )
    return found


def own_model(directory: Path, base: Path, *, with_base: bool = True) -> Checkpoint:
    """Two genres of one's own on a model: Schlager always, with 0.9, and Polka never."""
    model = checkpoint.read(base)
    n = model.sizes().n_summary
    nothing = np.zeros((2, n), np.float32)
    bias = np.log(np.array([9, 1 / 99], np.float32))
    values = (
        Value("Schlager", "GENRE", ("Schlager",), threshold=0.5),
        Value("Polka", "GENRE", ("Polka",)),
    )
    return own.save(
        directory,
        Head(nothing, nothing, np.zeros(n, np.float32), bias),
        base=model,
        vocabulary=Vocabulary(values),
        name="my-words",
        training={},
        with_base=with_base,
    )


def remember(root: Path, model: Path, some: Sequence[Track]) -> list[Path]:
    """Files that the cache remembers as these tracks, with words, albums and artists as their
    fields. No sound is in them: nobody who believes the cache opens them."""
    base = checkpoint.read(model)
    n = base.sizes().n_summary
    paths = []
    with Cache(caches.default_path()) as cache:
        for number, track in enumerate(some):
            path = root / track.origin.album / f"{number:03}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"%d" % number)
            sound = track.origin.sound or b"sound %d" % number
            fields = StoredFields(
                {"GENRE": tuple(track.words)},
                about={"ALBUM": (track.origin.album,), "ARTIST": track.origin.artists},
            )
            cache.remember_content(path, path.stat(), sound, fields, reader=keys.reader())
            heard = StoredHearing(
                30.0,
                (0.5,) * len(base.tags),
                summary=summary.pack(track.mean[:n], track.spread[:n]),
            )
            cache.remember_heard(sound, keys.hearing(base.digest), heard)
            paths.append(path)
    return paths
