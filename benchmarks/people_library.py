"""A library as people keep one, made of a data set: files of several containers, with genres.

One file per recording, in a folder of its artist, or one of its own where nobody knows the artist.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import mutagen
import numpy as np
from shared import sounds

from musictag import metadata
from musictag.audio.digest import payload_digest
from musictag.audio.samples import RATE_HZ
from musictag.audio.track import Track
from musictag.hearing import checkpoint

CONTAINERS = ("flac", "mp3", "ogg", "m4a", "opus", "wma", "wavpack")
BIT_RATE = 64_000
ARTIST = {".wma": "Author", ".wv": "Artist"}
"""Suffix → the field for the artist, where mutagen's easy names do not reach."""
OTHER_WORDS = {"lounge": "Lounge", "oldies": "Oldies", "80s": "80s", "children's": "Children's"}
"""People's genres that the bundled model has no word for → how they are written."""


@dataclass(frozen=True)
class Recording:
    """A recording with genres by people."""

    file: Path
    name: str
    artist: str
    is_fresh: bool
    """Whether the bundled model was not trained on it."""
    genres: tuple[str, ...]


def recordings(dataset: Path) -> list[Recording]:
    """The recordings of a data set that people gave genres, in the words that a scan would use.

    Alternatives (`pop|rock`) are left out: nobody said which.
    """
    shown = genres()
    found: dict[str, Recording] = {}
    with (dataset / "clips.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            given = [tag for tag in row["people"].split(";") if tag in shown]
            if given and row["track"] not in found:
                words = tuple(dict.fromkeys(shown[tag] for tag in given))
                path = dataset / row["file"]
                is_fresh = row["split"] != "train"
                found[row["track"]] = Recording(path, row["track"], row["artist"], is_fresh, words)
    return list(found.values())


def genres() -> Mapping[str, str]:
    """People's tag → the word that is written for it."""
    vocabulary = checkpoint.find().vocabulary
    named = {tag: value.name for value in vocabulary.in_field("GENRE") for tag in value.tags}
    return {**OTHER_WORDS, **named}


def make(found: list[Recording], root: Path) -> Iterator[int]:
    """Write what is not there yet, below `root/trained` and `root/fresh`; yields how many are."""
    for n, one in enumerate(found):
        container = CONTAINERS[n % len(CONTAINERS)]
        path = place(one, root, container)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(one, path, container)
        yield n + 1


def place(one: Recording, root: Path, container: str) -> Path:
    folder = root / ("fresh" if one.is_fresh else "trained")
    suffix = sounds.CONTAINERS[container].suffix
    return folder / (one.artist or one.name).replace("/", "_") / f"{one.name}{suffix}"


def _write(one: Recording, path: Path, container: str) -> None:
    samples = np.concatenate(list(Track(one.file).samples()))[:, None]
    new = path.with_name(f".new{path.suffix}")
    sounds.write(new, container, samples, RATE_HZ, bit_rate=BIT_RATE)
    if one.artist:
        tags = mutagen.File(new, easy=True)
        if tags.tags is None:
            tags.add_tags()
        tags[ARTIST.get(path.suffix, "artist")] = [one.artist]
        tags.save()
    metadata.write(new, {"GENRE": one.genres}, payload_digest=payload_digest)
    new.rename(path)
