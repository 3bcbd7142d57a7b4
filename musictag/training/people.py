"""What people said about an example, as tags that apply and tags that do not.

Genres are read by the vocabulary: a genre rules out those that a listener would
not let stand for it. Moods are read by the tables here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from musictag.training.dataset import Example
from musictag.vocabulary import Vocabulary


@dataclass(frozen=True)
class Evidence:
    """Tags that apply and tags that do not."""

    present: tuple[frozenset[str], ...] = ()  # of each set at least one applies
    absent: frozenset[str] = frozenset()


QUADRANT_TAGS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Q1": (("happy", "energetic"), ("sad", "melancholic", "aggressive", "scary")),
    "Q2": (("aggressive", "energetic"), ("happy", "relaxing", "tender", "quiet", "soft")),
    "Q3": (("sad", "melancholic"), ("happy", "energetic", "aggressive")),
    "Q4": (("relaxing", "tender", "quiet"), ("energetic", "aggressive", "scary", "loud")),
}
"""Quadrant → tags that apply in it, tags that do not. Others may or may not."""

MOOD_WORDS: Mapping[str, tuple[str, ...]] = {
    "happy": (
        *("Happy", "Cheerful", "Joyous", "Fun", "Exuberant", "Giddy", "Gleeful", "Carefree"),
        *("Celebratory", "Jovial", "Amiable/Good-Natured", "Bright"),
    ),
    "sad": ("Sad", "Gloomy", "Bleak", "Somber", "Lonely", "Plaintive", "Tragic"),
    "melancholic": (
        *("Melancholy", "Wistful", "Bittersweet", "Nostalgic", "Brooding", "Autumnal"),
        *("Poignant", "Yearning"),
    ),
    "relaxing": ("Calm/Peaceful", "Soothing", "Relaxed", "Laid-Back/Mellow"),
    "energetic": (
        *("Energetic", "Exciting", "Rousing", "Lively", "Boisterous", "Raucous", "Rowdy"),
        *("Rollicking", "Fiery", "Explosive", "Manic", "Rambunctious"),
    ),
    "aggressive": (
        *("Aggressive", "Angry", "Hostile", "Harsh", "Fierce", "Outraged", "Belligerent"),
        *("Confrontational", "Menacing", "Malevolent", "Volatile"),
    ),
    "scary": ("Eerie", "Spooky", "Ominous", "Menacing", "Unsettling", "Threatening"),
    "romantic": ("Romantic", "Sentimental", "Sensual"),
    "tender": ("Tender", "Gentle", "Delicate", "Sweet", "Warm", "Intimate", "Innocent"),
    "meditative": ("Meditative", "Spiritual", "Reverent", "Reflective", "Thoughtful"),
    "uplifting": ("Uplifting", "Optimistic", "Positive", "Euphoric"),
    "spacey": ("Spacey", "Ethereal", "Trippy"),
    "funny": ("Humorous", "Silly", "Witty", "Campy", "Whimsical", "Irreverent"),
    "atmospheric": ("Atmospheric",),
    "quiet": ("Soft/Quiet",),
    "soft": ("Soft/Quiet",),
}
"""Tag → AllMusic's words of mood that mean it. A word that is not given means nothing: the lists
are short."""

INSTRUMENTAL = "Instrumental"
"""Name of the value of VOCALS that says that there is no voice."""


def genres(example: Example, vocabulary: Vocabulary) -> Evidence:
    """The tags that people gave, and the genres that these rule out.

    Words that the vocabulary does not know rule out nothing. What is not music
    to the vocabulary ("speech") is no evidence either: in lists of genres it is
    the name of a shelf, where comedians' songs stand as well.
    """
    shelves = {tag for value in vocabulary.not_music for tag in value.tags}
    given = tuple(words for words in example.people if not words & shelves)
    genre_values = {value.name: value.tags for value in vocabulary.in_field("GENRE")}
    allowed: set[str] = set()
    asked = False
    for word in frozenset().union(*given):
        compatible = vocabulary.compatible(word)
        if compatible is not None:
            allowed |= compatible
            asked |= vocabulary.shown.get(word, "") in genre_values or word in vocabulary.words
    ruled_out = (tags for name, tags in genre_values.items() if name not in allowed)
    absent = frozenset(tag for tags in ruled_out for tag in tags) if asked else frozenset()
    return Evidence(given, absent - frozenset().union(*given))


def moods(example: Example) -> Evidence:
    """The tags that the quadrant and the words of mood mean."""
    present, absent = QUADRANT_TAGS.get(example.quadrant, ((), ()))
    words = frozenset(example.moods)
    meant = [tag for tag, names in MOOD_WORDS.items() if words.intersection(names)]
    return Evidence(
        tuple(frozenset({tag}) for tag in dict.fromkeys((*present, *meant))),
        frozenset(absent) - frozenset(meant),
    )


def voice(example: Example, vocabulary: Vocabulary) -> Evidence:
    """That a voice is heard, by whichever of its tags is the likeliest, or that none is."""
    if example.voice is None:
        return Evidence()
    instrumental = vocabulary.by_name.get(INSTRUMENTAL)
    none = frozenset(instrumental.tags if instrumental else ())
    some = frozenset(tag for value in vocabulary.in_field("VOCALS") for tag in value.tags) - none
    present, absent = (some, none) if example.voice else (none, some)
    return Evidence((present,) if present else (), absent)
