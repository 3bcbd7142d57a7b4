"""Which words the axes of the map have at first."""

from __future__ import annotations

from musictag.vocabulary import Vocabulary

Axis = tuple[str | None, str]
"""The word at its beginning, if there is one, and the word at its end."""

ACROSS: tuple[tuple[str, str], ...] = (("Acoustic", "Electronic"), ("Slow", "Fast"))
UP: tuple[tuple[str, str], ...] = (("Quiet", "Loud"), ("Relaxing", "Energetic"))
OTHERS: tuple[tuple[str, str], ...] = (
    ("Sad", "Happy"),
    ("Tender", "Aggressive"),
    ("Instrumental", "Vocals"),
)


def first_axes(vocabulary: Vocabulary) -> tuple[Axis, ...]:
    """Two axes from the values of a model, with pairs that people know where it has them.

    Fewer for a model with fewer values.
    """
    place = vocabulary.place
    pairs = [sorted(pair, key=place.__getitem__) for pair in vocabulary.opposites]
    opposites: list[Axis] = [(low, high) for low, high in sorted(pairs, key=lambda p: place[p[0]])]
    single: list[Axis] = [(None, value.name) for value in vocabulary.values]
    found: list[Axis] = []
    for first in (ACROSS, UP):
        taken = {name for axis in found for name in axis if name}
        for low, high in [*first, *OTHERS, *ACROSS, *UP, *opposites, *single]:
            if {low, high} - {None} <= place.keys() and not {low, high} & taken:
                found.append((low, high))
                break
    return tuple(found)
