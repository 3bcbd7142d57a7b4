"""A made-up collection for pages: tracks sound like their genres, and tags mostly fit."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

from musictag import decision
from musictag.decision import LIMITS
from musictag.library.doubts import Doubting
from musictag.library.overview import Row, Trouble
from musictag.outcome import Change, Discarded
from musictag.vocabulary import FIELDS, Vocabulary

SOUNDS = {
    # genre: the other values that go with it, and against it
    "Electronic": ("Synth Drum Machine Danceable Energetic Instrumental Loud", "Acoustic Quiet"),
    "Rock": ("Electric Guitar Drums Bass Guitar Energetic Loud Male", "Quiet Acoustic Relaxing"),
    "Jazz": ("Saxophone Piano Double Bass Drums Acoustic Relaxing Instrumental", "Synth Loud"),
    "Classical": ("Orchestra Strings Violin Piano Quiet Acoustic Instrumental", "Drums Loud Synth"),
    "Folk": ("Acoustic Guitar Guitar Acoustic Quiet Tender Female", "Drum Machine Loud Synth"),
    "Hip Hop": ("Rap Drum Machine Male Danceable Bass Guitar", "Acoustic Strings Quiet"),
    "Metal": ("Electric Guitar Drums Aggressive Fast Loud Male", "Quiet Tender Acoustic"),
    "Ambient": ("Synth Spacey Quiet Slow Meditative Relaxing Instrumental", "Drums Loud Fast"),
    "Techno": ("Electronic Synth Drum Machine Danceable Fast Loud Instrumental", "Acoustic Quiet"),
    "Reggae": ("Bass Guitar Drums Happy Danceable Male", "Aggressive Violin"),
    "Blues": ("Electric Guitar Guitar Male Slow Harmonica", "Synth Fast"),
    "Pop": ("Female Happy Danceable Synth Drums Vocals", "Aggressive"),
    "Soul": ("Female Romantic Organ Brass Vocals", "Aggressive Synth"),
    "Soundtrack": ("Orchestra Strings Slow Melancholic Instrumental", "Rap Happy"),
}
_WEIGHTS = (14, 18, 11, 13, 7, 8, 7, 8, 6, 3, 4, 12, 3, 5)
_FIRST = [
    "Amber",
    "Silver",
    "Northern",
    "Paper",
    "Velvet",
    "Hollow",
    "Bright",
    "Winter",
    "Copper",
    "Quiet",
    "Glass",
    "Electric",
]
_SECOND = [
    "Rivers",
    "Engines",
    "Gardens",
    "Foxes",
    "Harbour",
    "Atlas",
    "Signals",
    "Orchard",
    "Comets",
    "Saints",
    "Parade",
]
_THINGS = [
    "Light",
    "Road",
    "Morning",
    "Machine",
    "Letter",
    "Ocean",
    "Garden",
    "Window",
    "Summer",
    "Smoke",
    "Bridge",
    "Song",
]


def rows(n: int, vocabulary: Vocabulary, *, root: str = "/music") -> Iterator[Row]:
    """So many tracks, the same ones every time."""
    chance = random.Random(7)
    doubting = Doubting(vocabulary)
    genres = [genre for genre in SOUNDS if genre in vocabulary.by_name]
    weights = [w for w, genre in zip(_WEIGHTS, SOUNDS, strict=True) if genre in genres]
    for number in range(n):
        genre = chance.choices(genres, weights)[0] if genres else ""
        agreement = _agreement(chance, genre, vocabulary)
        discarded: list[Discarded] = []
        chosen = decision.choose(
            _by_tag(agreement, vocabulary), vocabulary, limits=LIMITS, discarded=discarded
        )
        album_number = number // 11
        artist = f"{_FIRST[album_number % 12]} {_SECOND[album_number // 3 % 11]}"
        album = f"{_THINGS[album_number * 5 % 12]} and {_THINGS[album_number * 7 % 11]}"
        title = f"{_FIRST[number * 5 % 12]} {_THINGS[number * 7 % 12]}"
        tagged = {"GENRE": _tagged(chance, genre, genres)}
        changes = {
            field: Change(tagged.get(field, ()), chosen[field])
            for field in ("GENRE", "MOOD")
            if chosen[field] and not tagged.get(field)
        }
        yield Row(
            Path(root, artist, album, f"{number % 11 + 1:02} {title}.flac"),
            chance.uniform(95, 420),
            {"TITLE": (title,), "ARTIST": (artist,), "ALBUM": (album,)},
            {field: tagged.get(field, ()) for field in FIELDS},
            chosen,
            changes,
            agreement,
            tuple(discarded),
            doubting.doubt(tagged["GENRE"], agreement),
        )


def troubles(n: int, *, root: str = "/music") -> Iterator[Trouble]:
    kinds = (
        ("silent", "there is only silence in it"),
        ("truncated", "the file ends after 2:10 of 4:02"),
        ("speech", "it is speech, not music"),
        ("unheard", "not heard as it is now (musictag scan hears it)"),
    )
    for number in range(n):
        code, message = kinds[number % len(kinds)]
        yield Trouble(Path(root, "Odds", f"odd {number}.mp3"), code, message)


def _agreement(chance: random.Random, genre: str, vocabulary: Vocabulary) -> dict[str, float]:
    words, against = (f" {text} " for text in SOUNDS.get(genre, ("", "")))
    mood = chance.gauss(0, 1)  # what its sound has more or less of, all together
    found = {}
    for value in vocabulary.values:
        level = -3.2
        if value.name == genre:
            level = 0.9
        elif f" {value.name} " in words:
            level = 0.6
        elif f" {value.name} " in against:
            level = -4.6
        elif value.field == "MOOD":
            level = -1.8
        level += chance.gauss(0, 1.1) + (0.8 * mood if value.name in ("Loud", "Energetic") else 0)
        level -= 0.8 * mood if value.name in ("Quiet", "Relaxing") else 0
        found[value.name] = 1 / (1 + math.exp(-level))
    return found


def _by_tag(agreement: dict[str, float], vocabulary: Vocabulary) -> dict[str, float]:
    """Probabilities of the tags that a model without calibration would have."""
    found = {}
    for value in vocabulary.values:
        p = agreement[value.name]
        if value.calibration is not None:
            level = (math.log(p / (1 - p)) - value.calibration.offset) / value.calibration.slope
            p = 1 / (1 + math.exp(-level))
        found[value.tags[0]] = p
    return found


def _tagged(chance: random.Random, genre: str, genres: list[str]) -> tuple[str, ...]:
    at = chance.random()
    if at < 0.35 or not genre:
        return ()
    if at < 0.85:
        return (genre,)
    return (chance.choice(["Other", "Misc", "Zydeco", *genres]),)
